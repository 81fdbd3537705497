package wal_test

import (
	"log/slog"
	"math/rand/v2"
	"path/filepath"
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

// BenchmarkLarge opens a log of 1 GiB and reads it; the page cache is warm.
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
	for name, verify := range map[string]bool{"open": false, "open-verified": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l := openLarge(b, verify)
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
