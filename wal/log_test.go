package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func TestMain(m *testing.M) {
	// A database that fails to open leaves this goroutine behind; one that is not
	// closed has others too.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(
		"github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"))
}

// What was written is there after a reopen: entries, term and vote, snapshot,
// bounds, in both catalogs and on a real disk.
func TestReopen(t *testing.T) {
	for name, o := range map[string]Options{
		"manual": manual(memFS()), "running": running(memFS()), "disk": running(vfs.Default),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "wal")
			l, rec := mustOpen(t, dir, o)
			if !rec.Created {
				t.Error("a new log is not reported as created")
			}
			es := append(entriesOf(1, 1, 3, 10), entriesOf(2, 4, 40, 3000)...)
			mustWrite(t, l, func(b *Batch) {
				b.Append(7, 1, es[:10])
				b.HardState(7, HardState{Term: 2, Vote: 3, Commit: 1})
				b.HardState(8, HardState{Term: 9})
			})
			mustWrite(t, l, func(b *Batch) { b.Append(7, 11, es[10:]) })
			mustWrite(t, l, func(b *Batch) { b.Snapshot(9, Snapshot{Index: 100, Term: 5, Data: []byte("image")}) })
			id := l.Identity()
			if id.Incarnation == 0 {
				t.Error("no incarnation was made")
			}
			check := func(l *Log) {
				t.Helper()
				checkEntries(t, l.Group(7), 1, es)
				checkEntries(t, l.Group(9), 101, nil)
				if hs := l.Group(7).HardState(); hs != (HardState{2, 3, 1}) {
					t.Errorf("hard state is %v", hs)
				}
				if s := l.Group(9).Snapshot(); s.Index != 100 || s.Term != 5 || string(s.Data) != "image" {
					t.Errorf("snapshot is %v", s)
				}
				if got := l.Groups(); !slices.Equal(got, []raftpb.GroupID{7, 8, 9}) {
					t.Errorf("groups are %v", got)
				}
				if term, err := l.Group(9).Term(100); term != 5 || err != nil {
					t.Errorf("term before the first entry is %d, %v", term, err)
				}
			}
			check(l)
			mustClose(t, l)
			for range 2 {
				l, rec = mustOpen(t, dir, o)
				if rec.Created || rec.Torn || rec.CatalogRebuilt || l.Identity() != id {
					t.Errorf("recovery is %+v, identity %v", rec, l.Identity())
				}
				check(l)
				mustClose(t, l)
			}
		})
	}
}

// Submit answers in the order of submission, exactly once each, and the views
// show a batch before it is on disk.
func TestSubmitOrder(t *testing.T) {
	l, _ := mustOpen(t, "wal", running(memFS()))
	const n = 500
	var mu sync.Mutex
	var got []int
	var all sync.WaitGroup
	var b Batch
	for i := range n {
		b.Reset()
		b.Append(1, raftpb.Index(i+1), entriesOf(1, raftpb.Index(i+1), 1, 100))
		all.Add(1)
		l.Submit(&b, func(err error) {
			if err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
			mu.Lock()
			got = append(got, i)
			mu.Unlock()
			all.Done()
		})
		if last := l.Group(1).LastIndex(); last != raftpb.Index(i+1) {
			t.Fatalf("view ends at %d after batch %d", last, i)
		}
		if es, err := l.Group(1).Entries(nil, raftpb.Index(i+1), raftpb.Index(i+2), 1); err != nil || len(es) != 1 {
			t.Fatalf("entry %d handed over does not read: %v", i+1, err)
		}
	}
	all.Wait()
	for i := range got {
		if got[i] != i {
			t.Fatalf("answer %d is that of batch %d", i, got[i])
		}
	}
	if m := l.Metrics(); m.Batches != n || m.Frames > n || m.Entries != n {
		t.Errorf("metrics are %+v", m)
	}
	mustClose(t, l)
	b.Reset()
	b.HardState(1, HardState{Term: 1})
	var after error
	l.Submit(&b, func(err error) { after = err })
	if !errors.Is(after, ErrClosed) || !errors.Is(l.Write(&b), ErrClosed) {
		t.Errorf("after Close: %v", after)
	}
	if _, err := l.Group(1).Entries(nil, 1, 2, 1); err != nil && !errors.Is(err, ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
}

// Many goroutines write to many groups; everything is there afterwards.
func TestConcurrentWriters(t *testing.T) {
	fs := memFS()
	o := running(fs)
	o.MaxFrameBytes, o.MaxQueuedBytes = 8<<10, 32<<10
	l, _ := mustOpen(t, "wal", o)
	const groups, rounds = 16, 60
	var all sync.WaitGroup
	for g := range groups {
		all.Go(func() {
			var b Batch
			for i := range rounds {
				b.Reset()
				first := raftpb.Index(i + 1)
				b.Append(raftpb.GroupID(g), first, entriesOf(1, first, 1, 200+i))
				if i%7 == 0 {
					b.HardState(raftpb.GroupID(g), HardState{Term: 1, Commit: first})
				}
				if err := l.Write(&b); err != nil {
					t.Errorf("group %d: %v", g, err)
				}
				if _, err := l.Group(raftpb.GroupID(g)).Entries(nil, 1, first+1, 1<<20); err != nil {
					t.Errorf("group %d: read: %v", g, err)
				}
			}
		})
	}
	all.Wait()
	mustClose(t, l)
	l, _ = mustOpen(t, "wal", o)
	for g := range groups {
		var want []raftpb.Entry
		for i := range rounds {
			want = append(want, entriesOf(1, raftpb.Index(i+1), 1, 200+i)...)
		}
		checkEntries(t, l.Group(raftpb.GroupID(g)), 1, want)
	}
	mustClose(t, l)
}

// Overwriting cuts the suffix, also across a reopen and across term changes.
func TestOverwrite(t *testing.T) {
	fs := memFS()
	l, _ := mustOpen(t, "wal", manual(fs))
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, entriesOf(1, 1, 10, 50)) })
	mustWrite(t, l, func(b *Batch) { b.Append(1, 11, entriesOf(2, 11, 10, 50)) })
	mustWrite(t, l, func(b *Batch) { b.Append(1, 6, entriesOf(3, 6, 3, 50)) })
	want := append(entriesOf(1, 1, 5, 50), entriesOf(3, 6, 3, 50)...)
	checkEntries(t, l.Group(1), 1, want)
	mustWrite(t, l, func(b *Batch) { b.Truncate(1, 7); b.Truncate(1, 30) })
	checkEntries(t, l.Group(1), 1, want[:6])
	mustWrite(t, l, func(b *Batch) { b.Append(1, 7, entriesOf(4, 7, 1, 50)) })
	want = append(want[:6:6], entriesOf(4, 7, 1, 50)...)
	mustClose(t, l)
	l, _ = mustOpen(t, "wal", manual(fs))
	checkEntries(t, l.Group(1), 1, want)
	for i, term := range []raftpb.Term{0, 1, 1, 1, 1, 1, 3, 4} {
		if got, err := l.Group(1).Term(raftpb.Index(i)); got != term || err != nil {
			t.Errorf("term of %d is %d, %v; want %d", i, got, err, term)
		}
	}
	if _, err := l.Group(1).Term(8); !errors.Is(err, ErrUnavailable) {
		t.Errorf("term behind the end: %v", err)
	}
	mustClose(t, l)
}

// Compaction, snapshots and destruction move the bounds as documented.
func TestCompactSnapshotDestroy(t *testing.T) {
	fs := memFS()
	l, _ := mustOpen(t, "wal", manual(fs))
	es := append(entriesOf(1, 1, 5, 20), entriesOf(2, 6, 5, 20)...)
	for g := raftpb.GroupID(1); g <= 6; g++ {
		mustWrite(t, l, func(b *Batch) { b.Append(g, 1, es); b.HardState(g, HardState{Term: 2}) })
	}
	mustWrite(t, l, func(b *Batch) {
		b.Compact(1, 4)
		b.Compact(2, 11)
		b.Snapshot(3, Snapshot{Index: 7, Term: 2}) // matches: the suffix stays
		b.Snapshot(4, Snapshot{Index: 7, Term: 1}) // does not
		b.Snapshot(5, Snapshot{Index: 50, Term: 4})
		b.Destroy(6)
	})
	for range 2 {
		checkEntries(t, l.Group(1), 4, es[3:])
		checkEntries(t, l.Group(2), 11, nil)
		checkEntries(t, l.Group(3), 8, es[7:])
		checkEntries(t, l.Group(4), 8, nil)
		checkEntries(t, l.Group(5), 51, nil)
		checkEntries(t, l.Group(6), 1, nil)
		if hs := l.Group(6).HardState(); hs != (HardState{}) {
			t.Errorf("destroyed group has %v", hs)
		}
		if _, err := l.Group(1).Entries(nil, 3, 5, 100); !errors.Is(err, ErrCompacted) {
			t.Errorf("read below the first entry: %v", err)
		}
		if _, err := l.Group(1).Entries(nil, 4, 12, 100); !errors.Is(err, ErrUnavailable) {
			t.Errorf("read behind the last entry: %v", err)
		}
		if _, err := l.Group(1).Term(2); !errors.Is(err, ErrCompacted) {
			t.Errorf("term below the first entry: %v", err)
		}
		mustClose(t, l)
		l, _ = mustOpen(t, "wal", manual(fs))
	}
	mustClose(t, l)
}

// A batch that breaks a rule changes nothing and leaves the log usable.
func TestBadBatches(t *testing.T) {
	l, _ := mustOpen(t, "wal", manual(memFS()))
	es := entriesOf(1, 1, 5, 20)
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, es); b.Compact(1, 3) })
	odd := es[0]
	odd.Kind = 16
	stripped := es[0]
	stripped.StrippedBytes = codec.Some(int32(5))
	for name, fill := range map[string]func(b *Batch){
		"gap":              func(b *Batch) { b.Append(1, 7, es) },
		"compacted":        func(b *Batch) { b.Append(1, 2, es) },
		"fresh gap":        func(b *Batch) { b.Append(2, 2, es) },
		"zero":             func(b *Batch) { b.Append(2, 0, es) },
		"kind":             func(b *Batch) { b.Append(2, 1, []raftpb.Entry{odd}) },
		"stripped body":    func(b *Batch) { b.Append(2, 1, []raftpb.Entry{stripped}) },
		"compact ahead":    func(b *Batch) { b.Compact(1, 7) },
		"truncate below":   func(b *Batch) { b.Truncate(1, 2) },
		"snapshot below":   func(b *Batch) { b.Snapshot(1, Snapshot{Index: 1}) },
		"second operation": func(b *Batch) { b.Append(1, 6, es); b.Append(1, 12, es) },
	} {
		var b Batch
		b.HardState(1, HardState{Term: 77})
		fill(&b)
		if err := l.Write(&b); !errors.Is(err, ErrBadBatch) {
			t.Errorf("%s: %v", name, err)
		}
		var got error
		l.Submit(&b, func(err error) { got = err })
		for l.Step() {
		}
		if !errors.Is(got, ErrBadBatch) {
			t.Errorf("%s: submitted: %v", name, got)
		}
	}
	checkEntries(t, l.Group(1), 3, es[2:])
	if hs := l.Group(1).HardState(); hs.Term != 0 || len(l.Groups()) != 1 {
		t.Errorf("a refused batch left %v in groups %v", hs, l.Groups())
	}
	var big Batch
	for range 70 {
		big.Append(3, 1, []raftpb.Entry{entry(1, string(make([]byte, 1<<20)))})
	}
	if err := l.Write(&big); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a batch of 70 MiB: %v", err)
	}
	mustClose(t, l)
}

// A directory of another node is refused untouched; so is one that is open.
func TestForeignAndLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wal")
	l, _ := mustOpen(t, dir, running(vfs.Default))
	if _, _, err := Open(dir, running(vfs.Default)); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Term: 1}) })
	id := l.Identity()
	mustClose(t, l)
	before := listTree(t, dir)
	for _, want := range []Identity{
		{Cluster: "other", Node: 1}, {Cluster: "test", Node: 2},
		{Cluster: "test", Node: 1, Incarnation: id.Incarnation + 1},
	} {
		o := running(vfs.Default)
		o.Identity = want
		_, _, err := Open(dir, o)
		if e, ok := errors.AsType[*IdentityError](err); !ok || e.Have != id || e.Want != want {
			t.Errorf("open as %v: %v", want, err)
		}
	}
	if after := listTree(t, dir); !slices.Equal(before, after) {
		t.Errorf("a refused open changed the directory:\n%v\n%v", before, after)
	}
	o := running(vfs.Default)
	o.Identity = Identity{}
	l, _ = mustOpen(t, dir, o)
	if l.Identity() != id {
		t.Errorf("identity is %v, want %v", l.Identity(), id)
	}
	mustClose(t, l)
}

func listTree(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			files = append(files, fmt.Sprintf("%s %d %v", path, info.Size(), info.ModTime()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A directory that cannot be made or written to gives an error and leaves nothing.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(filepath.Join(file, "wal"), running(vfs.Default)); err == nil {
		t.Error("opened a log below a file")
	}
	if files := listTree(t, dir); len(files) != 2 {
		t.Errorf("left behind: %v", files)
	}
}

func TestOptions(t *testing.T) {
	o := manual(memFS())
	o.SegmentBytes, o.Sync, o.Spares, o.MaxFrameBytes = 5, 9, 1000, 1
	o.MaxQueuedBytes, o.Identity.Cluster, o.Identity.Node = 1<<30+1, string(make([]byte, 40)), -1
	o.Identity.Incarnation = -1
	_, _, err := Open("wal", o)
	for _, field := range []string{
		"SegmentBytes", "Sync", "Spares", "MaxFrameBytes", "MaxQueuedBytes", "Identity.Cluster", "Identity.Node",
		"Identity.Incarnation",
	} {
		if err == nil || !strings.Contains(err.Error(), "options: "+field+":") {
			t.Errorf("fault of %s is not named in %v", field, err)
		}
	}
}

// Entries without bodies keep their lengths and checksums.
func TestStripped(t *testing.T) {
	fs := memFS()
	l, _ := mustOpen(t, "wal", manual(fs))
	es := entriesOf(1, 1, 6, 3000)
	for i := range es[2:5] {
		es[2+i].StrippedBytes = codec.Some(int32(len(es[2+i].Body)))
		es[2+i].Body = nil
	}
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, es) })
	checkEntries(t, l.Group(1), 1, es)
	mustClose(t, l)
	o := manual(fs)
	o.CacheBytes = -1
	l, _ = mustOpen(t, "wal", o)
	checkEntries(t, l.Group(1), 1, es)
	got, err := l.Group(1).Entries(nil, 4, 5, 0)
	if err != nil || diffEntries(got, es[3:4]) != "" {
		t.Errorf("one of them: %v, %v", got, err)
	}
	mustClose(t, l)
}

// maxBytes bounds what is read, but one entry always comes.
func TestReadBounds(t *testing.T) {
	fs := memFS()
	o := manual(fs)
	o.CacheBytes, o.SegmentBytes = -1, 1<<20
	l, _ := mustOpen(t, "wal", o)
	small, large := entriesOf(1, 1, 100, 100), entriesOf(1, 101, 64, 4096)
	for i := range small {
		mustWrite(t, l, func(b *Batch) { b.Append(1, raftpb.Index(i+1), small[i:i+1]) })
	}
	mustWrite(t, l, func(b *Batch) { b.Append(1, 101, large) })
	want := append(small, large...)
	for lo := 1; lo <= len(want); lo += 7 {
		for _, hi := range []int{lo + 1, min(lo+40, len(want)+1), len(want) + 1} {
			for _, maxBytes := range []int{0, 1, 150, 1000, 5000, 1 << 20} {
				got, err := l.Group(1).Entries(nil, raftpb.Index(lo), raftpb.Index(hi), maxBytes)
				n, room := 0, maxBytes
				for lo+n < hi && (n == 0 || len(want[lo-1+n].Body) <= room) {
					room -= len(want[lo-1+n].Body)
					n++
				}
				if err != nil {
					t.Fatalf("[%d, %d) of %d bytes: %v", lo, hi, maxBytes, err)
				}
				if d := diffEntries(got, want[lo-1:lo-1+n]); d != "" {
					t.Fatalf("[%d, %d) of %d bytes: %s", lo, hi, maxBytes, d)
				}
			}
		}
	}
	mustClose(t, l)
}

// The label never claims more than the directory and the mode can keep.
func TestDurability(t *testing.T) {
	for want, o := range map[string]Options{"fsync": running(vfs.Default), "none (memory)": running(memFS())} {
		l, _ := mustOpen(t, filepath.Join(t.TempDir(), "wal"), o)
		if l.Durability() != want {
			t.Errorf("durability is %q, want %q", l.Durability(), want)
		}
		mustClose(t, l)
	}
	o := running(vfs.Default)
	o.Sync = SyncNone
	l, _ := mustOpen(t, filepath.Join(t.TempDir(), "wal"), o)
	mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Term: 1}) })
	if m := l.Metrics(); l.Durability() != "none (nosync)" || m.FrameSyncs != 0 {
		t.Errorf("durability is %q with %d syncs", l.Durability(), m.FrameSyncs)
	}
	mustClose(t, l)
}

// A batch that only moves the commit index is answered without a sync.
func TestNoSync(t *testing.T) {
	fs := memFS()
	l, _ := mustOpen(t, "wal", manual(fs))
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, entriesOf(1, 1, 1, 10)) })
	before := l.Metrics()
	mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Commit: 1}); b.NoSync() })
	after := l.Metrics()
	if n := after.SyncDurations.Count(); n != uint64(after.FrameSyncs) || n == 0 {
		t.Errorf("%d syncs, %d durations", after.FrameSyncs, n)
	}
	if after.FrameSyncs != before.FrameSyncs || after.Frames != before.Frames+1 {
		t.Errorf("a commit cost %d frames and %d syncs", after.Frames-before.Frames, after.FrameSyncs-before.FrameSyncs)
	}
	// Submitted, it rides along with the next batch.
	var b Batch
	b.HardState(1, HardState{Commit: 2})
	b.NoSync()
	answered := false
	l.Submit(&b, func(err error) { answered = err == nil })
	if l.ready() || answered {
		t.Error("a commit alone is written at once")
	}
	mustWrite(t, l, func(b *Batch) { b.Append(1, 2, entriesOf(1, 2, 1, 10)) })
	if m := l.Metrics(); !answered || m.Frames != after.Frames+1 {
		t.Errorf("a commit did not ride along: %+v", m)
	}
	mustClose(t, l)
}
