package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// everyFile lists the files of a log, of every kind.
func everyFile(fs *crashfs.FS) (files []string) {
	for _, dir := range []string{"wal", "wal/" + segDir, "wal/" + spareDir, "wal/" + catalogDir} {
		names, _ := fs.List(dir)
		for _, name := range names {
			if st, err := fs.Stat(dir + "/" + name); err == nil && !st.IsDir() {
				files = append(files, dir+"/"+name)
			}
		}
	}
	return files
}

// TestEveryFile deletes each file of a log, puts a copy of it under another name of its
// directory, and copies each over each other one and swaps them: all of it is detected
// or changes nothing.
func TestEveryFile(t *testing.T) {
	c := newCorpus(t, 16<<10, 12, true)
	c.fs.SetBytes("wal/spare/00000077", make([]byte, 16<<10))
	files := everyFile(c.fs)
	y := newTally(t, c)
	change := func(what string, f func(fs *crashfs.FS)) {
		fs := c.fs.Clone()
		f(fs)
		y.damage(what, fs)
	}
	for _, a := range files {
		bytes := slices.Clone(c.fs.Bytes(a))
		change(a+" deleted", func(fs *crashfs.FS) { _ = fs.Remove(a) })
		change(a+" twice", func(fs *crashfs.FS) { fs.SetBytes(a[:len(a)-5]+"9"+a[len(a)-4:], bytes) })
		for _, b := range files {
			if a == b {
				continue
			}
			other := slices.Clone(c.fs.Bytes(b))
			change(a+" copied over "+b, func(fs *crashfs.FS) { fs.SetBytes(b, bytes) })
			change(a+" swapped with "+b, func(fs *crashfs.FS) { fs.SetBytes(b, bytes); fs.SetBytes(a, other) })
		}
	}
	y.end(fmt.Sprintf("%d files deleted, duplicated, copied over others and swapped", len(files)))
	if y.count["cut"] > 0 || y.count["detected"] < 2*len(c.names) {
		t.Errorf("verdicts are %v", y.count)
	}
}

// fullDisk refuses what needs new blocks or names from operation k on.
func fullDisk(fs *crashfs.FS, k int, op *int) func(crashfs.Op) error {
	return func(o crashfs.Op) error {
		*op++
		if *op < k {
			return nil
		}
		switch o.Kind {
		case crashfs.Create, crashfs.Link:
			return syscall.ENOSPC
		case crashfs.Mkdir:
			if _, err := fs.Stat(o.Path); err != nil {
				return syscall.ENOSPC
			}
		case crashfs.Write:
			if st, err := fs.Stat(o.Path); err != nil || o.Off+int64(o.Len) > st.Size() {
				return syscall.ENOSPC
			}
		}
		return nil
	}
}

// TestFullDisk lets the disk be full from each operation on. A log that opened refuses
// entries in time and stores terms and votes still. Opened again, with the disk as full
// as before or when there is room, it has all that it acknowledged.
func TestFullDisk(t *testing.T) {
	disks, opened := 0, 0
	for k := 1; ; k += thinly(3) {
		fs := crashfs.New()
		op := 0
		fs.OnOp = fullDisk(fs, k, &op)
		o := manual(fs)
		o.forcePrefill = true
		disks++
		l, _, err := Open("wal", o)
		if err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("full from operation %d on: open: %v", k, err)
			}
			continue
		}
		opened++
		acked, refused := fillUp(t, l, k)
		if !refused {
			crash(l)
			break // the disk was not full before the workload ended
		}
		var b Batch
		b.HardState(1, HardState{Term: raftpb.Term(k), Vote: 1})
		if err := l.Write(&b); err != nil {
			t.Fatalf("full from operation %d on: a vote after %d entries: %v", k, acked, err)
		}
		crash(l)
		for i, disk := range []*crashfs.FS{fs.Clone(), fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, uint64(k))))} {
			ops := 0
			disk.OnOp = fullDisk(disk, 1, &ops)
			l, _, err := Open("wal", manual(disk))
			if errors.Is(err, syscall.ENOSPC) { // the catalog needs a few bytes
				disk.OnOp = nil
				l, _, err = Open("wal", manual(disk))
			}
			if err != nil {
				t.Fatalf("full from operation %d on: reopen %d: %v", k, i, err)
			}
			if hs := l.Group(1).HardState(); hs.Term != raftpb.Term(k) || l.Group(1).LastIndex() != acked {
				t.Fatalf("full from operation %d on: reopen %d: %v, %d entries of %d", k, i, hs, l.Group(1).LastIndex(), acked)
			}
			crash(l)
		}
	}
	t.Logf("%d disks that are full at some operation, %d of them after the log was made", disks, opened)
}

// fillUp appends until entries are refused, or for a while.
func fillUp(t *testing.T, l *Log, k int) (acked raftpb.Index, refused bool) {
	t.Helper()
	var b Batch
	for i := raftpb.Index(1); i <= 120; i++ {
		b.Reset()
		b.Append(1, i, entriesOf(1, i, 1, 3000))
		err := l.Write(&b)
		if errors.Is(err, ErrNoSpace) {
			return acked, true
		}
		if err != nil {
			t.Fatalf("full from operation %d on: entry %d: %v", k, i, err)
		}
		acked = i
		for l.Step() {
		}
	}
	return acked, false
}
