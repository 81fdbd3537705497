package wal_test

import (
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/wal"
)

func TestSlowFS(t *testing.T) {
	const slow = 30 * time.Millisecond
	disk := wal.NewSlowFS(wal.DefaultFS())
	dir := t.TempDir()
	f, err := disk.Create(disk.PathJoin(dir, "a"), "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, sync := range []func() error{f.Sync, f.SyncData, func() error { _, err := f.SyncTo(1); return err }} {
		disk.Slow(slow)
		began := time.Now()
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := sync(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < slow {
			t.Errorf("a sync of the slow disk took only %v", took)
		}
	}
	disk.Slow(0)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func() (wal.File, error){
		func() (wal.File, error) { return disk.OpenDir(dir) },
		func() (wal.File, error) { return disk.OpenReadWrite(disk.PathJoin(dir, "a"), "test") },
		func() (wal.File, error) {
			return disk.ReuseForWrite(disk.PathJoin(dir, "a"), disk.PathJoin(dir, "b"), "test")
		},
	} {
		f, err := open()
		if err != nil {
			t.Fatal(err)
		}
		disk.Slow(slow)
		began := time.Now()
		if err := f.Sync(); err != nil || time.Since(began) < slow {
			t.Errorf("sync after %v: %v", time.Since(began), err)
		}
		disk.Slow(0)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := disk.OpenReadWrite(disk.PathJoin(dir, "missing", "x"), "test"); err == nil {
		t.Error("a file that cannot be there was opened")
	}
}
