package wal_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// The large log: 1 Mi entries of 1 KiB in batches of 256, one group.
const (
	largeEntries = 1 << 20
	largeBatch   = 256
	largeBody    = 1 << 10
)

func largeOptions() wal.Options {
	return wal.Options{
		Identity: wal.Identity{Cluster: "bench", Node: 1}, Logger: slog.New(slog.DiscardHandler),
		Sync: wal.SyncNone, CacheBytes: -1, MaxQueuedBytes: 256 << 20,
	}
}

// fillLarge writes the large log and waits until the catalog has all footers it gets.
func fillLarge(b *testing.B, dir string) {
	b.Helper()
	l, _, err := wal.Open(dir, largeOptions())
	if err != nil {
		b.Fatal(err)
	}
	es := entries(shape{count: largeBatch, size: largeBody})
	var batch wal.Batch
	for next := raftpb.Index(1); next <= largeEntries; next += largeBatch {
		batch.Reset()
		batch.Append(1, next, es)
		if err := l.Write(&batch); err != nil {
			b.Fatal(err)
		}
	}
	for l.Metrics().Footers < int64(l.Metrics().Segments)-2 {
		l.Group(1).LastIndex() // the background is at it
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// forget drops the log's files from the page cache, off the clock.
func forget(b *testing.B, dir string) {
	b.Helper()
	b.StopTimer()
	defer b.StartTimer()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		const dontNeed = 4
		err = f.Sync() // only clean pages are dropped
		if _, _, no := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0); no != 0 {
			err = errors.Join(err, no)
		}
		return errors.Join(err, f.Close())
	})
	if err != nil {
		b.Fatal(err)
	}
}

// bareReads is what reading one entry of a large record needs of the kernel: two
// preads, of its record's table and of its body, here at random places.
func bareReads(b *testing.B, dir string) {
	names, err := filepath.Glob(filepath.Join(dir, "seg", "*"))
	if err != nil || len(names) == 0 {
		b.Fatal(names, err)
	}
	f, err := os.Open(names[0])
	if err != nil {
		b.Fatal(err)
	}
	table, body := make([]byte, 40+8*largeBatch), make([]byte, largeBody)
	rng := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		at := rng.Int64N(60 << 20)
		if _, err := f.ReadAt(table, at); err != nil {
			b.Fatal(err)
		}
		if _, err := f.ReadAt(body, at+rng.Int64N(256<<10)); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLarge opens a log of 1 GiB and reads it; the page cache is warm, but where
// the name says cold.
func BenchmarkLarge(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "wal")
	fillLarge(b, dir)
	openLarge := func(b *testing.B, verify bool) *wal.Log {
		o := largeOptions()
		o.Verify = verify
		l, _, err := wal.Open(dir, o)
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	for _, x := range []struct {
		name         string
		verify, cold bool
	}{
		{"open", false, false}, {"open-verified", true, false}, {"open-cold", false, true}, {"open-verified-cold", true, true},
	} {
		b.Run(x.name, func(b *testing.B) {
			for b.Loop() {
				if x.cold {
					forget(b, dir)
				}
				l := openLarge(b, x.verify)
				b.StopTimer()
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
	l := openLarge(b, false)
	g := l.Group(1)
	var dst []raftpb.Entry
	var buf wal.ReadBuffer
	b.Run("entry", func(b *testing.B) {
		rng := rand.New(rand.NewPCG(1, 2))
		for b.Loop() {
			i := raftpb.Index(1 + rng.IntN(largeEntries))
			var err error
			if dst, err = g.Entries(dst[:0], i, i+1, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("entry-bare-reads", func(b *testing.B) { bareReads(b, dir) })
	b.Run("sequential", func(b *testing.B) {
		b.SetBytes(largeEntries * largeBody)
		for b.Loop() {
			for i := raftpb.Index(1); i <= largeEntries; i += raftpb.Index(len(dst)) {
				var err error
				if dst, err = g.EntriesInto(&buf, dst[:0], i, largeEntries+1, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("scrub", func(b *testing.B) {
		for b.Loop() {
			rep, err := l.Scrub(b.Context(), 0)
			if err != nil || len(rep.Damage) > 0 {
				b.Fatal(rep, err)
			}
			b.SetBytes(rep.Bytes)
		}
	})
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
