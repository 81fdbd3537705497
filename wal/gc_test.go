package wal

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// Segments of which nothing counts any more are used again; what their groups
// must not forget is restated.
func TestRecycle(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	o.forcePrefill = true
	l, _ := mustOpen(t, "wal", o)
	mustWrite(t, l, func(b *Batch) {
		b.HardState(1, HardState{Term: 3, Vote: 2}) // never written again
		b.Snapshot(2, Snapshot{Index: 9, Term: 2, Data: []byte("kept")})
		b.Append(3, 1, entriesOf(1, 1, 5, 10))
		b.Compact(3, 3)
		b.Append(4, 1, entriesOf(1, 1, 1, 10))
	})
	next := raftpb.Index(2)
	churn := func(segments int) {
		t.Helper()
		for range segments * 7 {
			mustWrite(t, l, func(b *Batch) {
				b.Append(4, next, entriesOf(1, next, 1, 9000))
				b.Compact(4, next)
			})
			next++
			for l.Step() {
			}
		}
	}
	churn(6)
	if m := l.Metrics(); m.Recycled != 0 || m.Segments < 6 {
		t.Fatalf("recycled although group 3 has entries in the first segment: %+v", m)
	}
	want := entriesOf(1, 3, 3, 10)
	checkEntries(t, l.Group(3), 3, want)
	mustWrite(t, l, func(b *Batch) { b.Append(3, 3, entriesOf(2, 3, 2, 10)) })
	want = entriesOf(2, 3, 2, 10)
	for l.Step() {
	}
	if m := l.Metrics(); m.Recycled < 5 {
		t.Fatalf("recycled %d segments of %d", m.Recycled, m.Segments)
	}
	churn(20)
	mustWrite(t, l, func(b *Batch) { b.Append(3, 3, want) })
	for l.Step() {
	}
	check := func() {
		t.Helper()
		checkEntries(t, l.Group(3), 3, want)
		if term, err := l.Group(3).Term(2); term != 1 || err != nil {
			t.Errorf("term before the first entry is %d, %v", term, err)
		}
		if hs := l.Group(1).HardState(); hs != (HardState{Term: 3, Vote: 2}) {
			t.Errorf("hard state is %v", hs)
		}
		if s := l.Group(2).Snapshot(); s.Index != 9 || s.Term != 2 || string(s.Data) != "kept" || l.Group(2).FirstIndex() != 10 {
			t.Errorf("snapshot is %v", s)
		}
	}
	check()
	files, _ := fs.List("wal/seg")
	spares, _ := fs.List("wal/spare")
	if n := len(files) + len(spares); n > maxSpares+4 {
		t.Errorf("%d files after churning through 26 segments", n)
	}
	for _, lose := range []bool{false, true} {
		mustClose(t, l)
		if lose {
			_ = fs.RemoveAll("wal/catalog")
		}
		l, _ = mustOpen(t, "wal", o)
		check()
	}
	mustClose(t, l)
}

// Groups that hold the log back are named when it is above its budget.
func TestPinned(t *testing.T) {
	o := manual(crashfs.New())
	o.BudgetBytes = 3 * o.SegmentBytes
	l, _ := mustOpen(t, "wal", o)
	for i := range raftpb.Index(40) {
		mustWrite(t, l, func(b *Batch) {
			if i < 3 {
				b.Append(raftpb.GroupID(i), 1, entriesOf(1, 1, 1, 10))
			}
			b.Append(9, i+1, entriesOf(1, i+1, 1, 9000))
			b.Compact(9, i+1)
		})
		for l.Step() {
		}
	}
	groups, excess := l.Pinned()
	if !slices.Equal(groups, []raftpb.GroupID{0, 1, 2}) || excess <= 0 {
		t.Errorf("pinned by %v, %d bytes above", groups, excess)
	}
	mustWrite(t, l, func(b *Batch) {
		for _, g := range groups {
			b.Compact(g, 2)
		}
	})
	for l.Step() {
	}
	if groups, excess := l.Pinned(); len(groups) > 0 || excess != 0 {
		t.Errorf("still pinned by %v, %d bytes above", groups, excess)
	}
	mustClose(t, l)
}

// A reader that is at work keeps its segment's file from being written over.
func TestRecycleWaitsForReaders(t *testing.T) {
	fs := crashfs.New()
	l, _ := mustOpen(t, "wal", manual(fs))
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, entriesOf(1, 1, 1, 100)) })
	seg, err := l.segs.acquire(firstLSN)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raftpb.Index(30) {
		mustWrite(t, l, func(b *Batch) {
			b.Append(1, i+2, entriesOf(1, i+2, 1, 9000))
			b.Compact(1, i+2)
		})
		for l.Step() {
		}
	}
	files, _ := fs.List("wal/seg")
	if !slices.Contains(files, segName(1)) || l.Metrics().Recycled == 0 {
		t.Fatalf("the first segment's file is gone under its reader: %v", files)
	}
	b := make([]byte, 8)
	if _, err := seg.r.ReadAt(b, segHeaderBytes+4); err != nil {
		t.Errorf("reader: %v", err)
	}
	if err := seg.release(); err != nil {
		t.Fatal(err)
	}
	for l.Step() {
	}
	if files, _ = fs.List("wal/seg"); slices.Contains(files, segName(1)) {
		t.Error("the first segment's file stays after its reader left")
	}
	mustClose(t, l)
}

// With footers Open reads only the last segment, and finds the same as without.
func TestFooters(t *testing.T) {
	c := newCorpus(t, 16<<10, 60, true)
	reads := func(fs *crashfs.FS) (string, Recovery) {
		l, rec, err := Open("wal", manual(fs))
		if err != nil {
			t.Fatal(err)
		}
		defer crash(l)
		got, err := showLog(l)
		if err != nil {
			t.Fatal(err)
		}
		return got, rec
	}
	with, rec := reads(c.fs.Clone())
	if rec.Footers < rec.Segments-3 { // Close may have begun a segment
		t.Errorf("%d footers for %d segments", rec.Footers, rec.Segments)
	}
	bare := c.fs.Clone()
	_ = bare.RemoveAll("wal/catalog")
	without, rec2 := reads(bare)
	if rec2.Footers != 0 || rec2.Frames != rec.Frames {
		t.Errorf("without the catalog: %+v, with it: %+v", rec2, rec)
	}
	if want := c.state[len(c.state)-1]; with != want || without != want {
		t.Errorf("with footers:\n%s\nwithout:\n%s", firstDiff(with, want), firstDiff(without, want))
	}
}

// A segment goes only when what made its entries dead is durable.
func TestRecycleAfterDurableOnly(t *testing.T) {
	fs := crashfs.New()
	l, _ := mustOpen(t, "wal", manual(fs))
	for i := range raftpb.Index(20) {
		mustWrite(t, l, func(b *Batch) { b.Append(1, i+1, entriesOf(1, i+1, 1, 9000)) })
	}
	var b Batch
	b.Compact(1, 21)
	b.NoSync() // not even written until something else is
	l.Submit(&b, nil)
	fs.OnOp = func(crashfs.Op) error {
		image := fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, 1)))
		l, _, err := Open("wal", manual(image))
		if err != nil {
			t.Fatal(err)
		}
		g := l.Group(1)
		if first, last := g.FirstIndex(), g.LastIndex(); last != 20 || first != 1 && first != 21 {
			t.Errorf("log is [%d, %d]", first, last)
		}
		readAll(t, g)
		crash(l)
		return nil
	}
	for l.Step() {
	}
	fs.OnOp = nil
	if l.Metrics().Recycled == 0 {
		t.Error("nothing was recycled")
	}
	mustClose(t, l)
}
