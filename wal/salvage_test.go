package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// brokenLog is a log whose last segment has a damaged frame: the one with entry 6 of
// group 1. Behind it stand frames that were acknowledged.
func brokenLog(t *testing.T) (*crashfs.FS, Options) {
	t.Helper()
	fs := crashfs.New()
	o := manual(fs)
	l, _ := mustOpen(t, "wal", o)
	for i := raftpb.Index(1); i <= 10; i++ {
		mustWrite(t, l, func(b *Batch) {
			b.Append(1, i, entriesOf(1, i, 1, 100))
			b.Append(2, i, entriesOf(1, i, 1, 10))
		})
	}
	mustWrite(t, l, func(b *Batch) {
		b.HardState(1, HardState{Term: 7, Vote: 3, Commit: 9})
		b.Append(3, 1, entriesOf(7, 1, 2, 10))
	})
	mustWrite(t, l, func(b *Batch) { b.Snapshot(2, Snapshot{Index: 9, Term: 1, Data: []byte("image")}) })
	at := l.Group(1).view.runs[5].lsn &^ (alignBytes - 1)
	mustClose(t, l)
	fs.Spoil("wal/seg/"+segName(1), int(at-firstLSN)+segHeaderBytes+20, 1)
	return fs, o
}

func doubts(rec Recovery) string {
	s := ""
	for _, r := range rec.Uncertain {
		s += fmt.Sprintf("%d[%d,%d)@%d ", r.Group, r.Lo, r.Hi, r.Term)
	}
	return s
}

// Without Salvage a log with damage to what was acknowledged does not open. With it,
// every group is an older state of itself, in doubt, with its newest term and vote.
func TestSalvage(t *testing.T) {
	fs, o := brokenLog(t)
	if _, _, err := Open("wal", o); !isCorrupt(err) {
		t.Fatalf("open: %v", err)
	}
	o.Salvage = true
	l, rec := mustOpen(t, "wal", o)
	if rec.Damage == nil || rec.Damage.Segment != 1 || doubts(rec) != "1[7,11)@7 2[7,11)@1 3[1,3)@7 " {
		t.Errorf("recovery is %+v, doubts %s", rec, doubts(rec))
	}
	check := func() {
		t.Helper()
		checkEntries(t, l.Group(1), 1, entriesOf(1, 1, 5, 100))
		checkEntries(t, l.Group(2), 10, nil)
		checkEntries(t, l.Group(3), 1, nil)
		if hs := l.Group(1).HardState(); hs != (HardState{Term: 7, Vote: 3}) {
			t.Errorf("hard state is %v", hs)
		}
		if s := l.Group(2).Snapshot(); s.Index != 9 || string(s.Data) != "image" {
			t.Errorf("snapshot is %v", s)
		}
		for g := range raftpb.GroupID(5) {
			if !l.Group(g).Uncertain() {
				t.Errorf("group %d is certain", g)
			}
		}
	}
	check()
	mustClose(t, l)
	o.Salvage = false // the damage is settled, the doubt is not
	l, rec = mustOpen(t, "wal", o)
	check()
	if rec.Damage != nil || doubts(rec) != "1[7,11)@7 2[7,11)@1 3[1,3)@7 " {
		t.Errorf("second recovery is %+v", rec)
	}
	// A leader brings group 1 up to date: from then on it is certain, for good.
	mustWrite(t, l, func(b *Batch) {
		b.Append(1, 6, entriesOf(8, 6, 7, 100))
		b.HardState(1, HardState{Term: 8, Commit: 12})
		b.Trust(1)
		b.Trust(9)
	})
	for range 2 {
		if l.Group(1).Uncertain() || l.Group(9).Uncertain() || !l.Group(2).Uncertain() {
			t.Error("trust is not what it was said to be")
		}
		checkEntries(t, l.Group(1), 1, append(entriesOf(1, 1, 5, 100), entriesOf(8, 6, 7, 100)...))
		crash(l)
		fs = fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, 1)))
		o.FS = fs
		l, _ = mustOpen(t, "wal", o)
	}
	mustClose(t, l)
	// Inspect sees the log as it counts now, and where it was taken back to.
	doubtful := 0
	rep, err := Inspect(fs, "wal", Inspection{Segment: func(s SegmentInfo) error {
		if s.Doubtful {
			doubtful++
		}
		return nil
	}})
	if err != nil || len(rep.Damage) > 0 || doubtful != 1 || !rep.Clean {
		t.Errorf("inspection: %+v, %d doubtful segments, %v", rep, doubtful, err)
	}
}

func isCorrupt(err error) bool {
	_, ok := errors.AsType[*CorruptError](err)
	return ok
}

// The segment that says that groups are in doubt stays until none is. Then the doubt
// is over, also for groups of which the log has nothing.
func TestDoubtPins(t *testing.T) {
	_, o := brokenLog(t)
	o.Salvage = true
	l, _ := mustOpen(t, "wal", o)
	next := raftpb.Index(6)
	churn := func() {
		for range 80 {
			mustWrite(t, l, func(b *Batch) {
				b.Append(1, next, entriesOf(8, next, 1, 9000))
				b.Compact(1, next)
			})
			next++
			for l.Step() {
			}
		}
	}
	churn()
	m := l.Metrics()
	if m.Recycled != 1 || m.Segments < 5 || !l.Group(2).Uncertain() {
		t.Errorf("group 2 is in doubt %v, metrics %+v", l.Group(2).Uncertain(), m)
	}
	mustWrite(t, l, func(b *Batch) { b.Trust(1); b.Trust(3) })
	mustWrite(t, l, func(b *Batch) { b.Destroy(2) })
	churn()
	if m := l.Metrics(); m.Recycled < 5 || m.Segments > 4 || l.Group(77).Uncertain() {
		t.Errorf("group 77 is in doubt %v, metrics %+v", l.Group(77).Uncertain(), m)
	}
	mustClose(t, l)
	o.Verify = true
	l, rec := mustOpen(t, "wal", o)
	if len(rec.Uncertain) > 0 || l.Group(1).Uncertain() || l.Group(5).Uncertain() {
		t.Errorf("in doubt again: %+v", rec)
	}
	if hs := l.Group(1).HardState(); hs.Term != 7 || hs.Vote != 3 {
		t.Errorf("hard state is %v", hs)
	}
	mustClose(t, l)
}

// pairTold names an entry together with the term of the one before it.
func pairTold(g raftpb.GroupID, i raftpb.Index, prev raftpb.Term, e *raftpb.Entry) string {
	return fmt.Sprintf("group %d, entry %d of term %d after %d, %x", g, i, e.Term, prev, e.Crc32c)
}

// tell adds what the model shows.
func (m *model) tell(history map[string]bool) {
	for id, g := range m.groups {
		prev := g.prev
		for i := range g.entries {
			history[pairTold(id, g.first+raftpb.Index(i), prev, &g.entries[i])] = true
			prev = g.entries[i].Term
		}
	}
}

// salvaged opens a damaged log under Salvage and returns what it shows. Entries that
// were never appended there are an error, and so is certainty after damage.
func (c *corpus) salvaged(fs *crashfs.FS) (shown string, doubt bool, err error) {
	o := manual(fs)
	o.Salvage = true
	l, rec, err := Open("wal", o)
	if err != nil {
		return "", false, fmt.Errorf("open: %s", err.Error()) // not to be taken for a damaged body
	}
	defer crash(l)
	if shown, err = showLog(l); err != nil {
		return "", false, err
	}
	doubt = len(rec.Uncertain) > 0
	for _, id := range append(l.Groups(), 1<<40) {
		if g := l.Group(id); g.Uncertain() != doubt && (rec.Damage != nil || doubt) {
			return "", doubt, fmt.Errorf("group %d is certain after %v", id, rec.Damage)
		}
		if err := c.known(l.Group(id)); err != nil {
			return "", doubt, err
		}
	}
	return shown, doubt, nil
}

// known checks that the log of g is one that it had: each entry follows one that it
// followed before.
func (c *corpus) known(g *Group) error {
	first, last := g.FirstIndex(), g.LastIndex()
	prev, err := g.Term(first - 1)
	if err != nil || last < first {
		return err
	}
	es, err := g.Entries(nil, first, last+1, 1<<30)
	for i := range es {
		if at := pairTold(g.ID(), first+raftpb.Index(i), prev, &es[i]); !c.history[at] {
			return fmt.Errorf("was never there: %s", at)
		}
		prev = es[i].Term
	}
	return err
}

// TestSalvageFlips flips bits of a log, one byte in 32 or all under -torture. Where
// that is damage to frames, Salvage opens the log all the same: with states that the
// groups once had, in doubt, and the same ones again when the recovery was cut off by
// a crash at any of its operations.
func TestSalvageFlips(t *testing.T) {
	for _, closed := range []bool{true, false} {
		c := flipCorpus(t, closed)
		rng := rand.New(rand.NewPCG(13, 14))
		y := newTally(t, c)
		var turn atomic.Int64
		y.judge = func(fs *crashfs.FS, count func(string)) (string, error) {
			if !testing.Short() && turn.Add(1)%4 != 0 {
				count = nil // without the crashes
			}
			return c.salvageVerdict(fs, count)
		}
		for _, name := range c.names {
			size := len(c.fs.Bytes("wal/seg/" + name))
			for at := segHeaderBytes; at < size; at++ {
				if rng.IntN(thinly(32)) != 0 {
					continue
				}
				y.damage(fmt.Sprintf("%s, byte %d", name, at), c.with(name, func(b []byte) []byte {
					b[at] ^= 1 << (at % 8)
					return b
				}))
			}
		}
		y.end(fmt.Sprintf("salvage after flips, closed %v", closed))
		if y.count["in doubt"] == 0 || y.count["in doubt, crashed"] == 0 {
			t.Error("nothing was salvaged")
		}
	}
}

// salvageVerdict opens a damaged copy under Salvage, again, and after crashes of the
// first attempt.
func (c *corpus) salvageVerdict(fs *crashfs.FS, count func(string)) (string, error) {
	damaged := fs.Clone()
	first, doubt, err := c.salvaged(fs)
	if err != nil {
		if isCorrupt(err) {
			return "unreadable", nil // a body: Repair is for that
		}
		return "", err
	}
	if !doubt {
		return "not needed", nil
	}
	if again, doubt, err := c.salvaged(fs); err != nil || !doubt || again != first {
		return "", fmt.Errorf("second time: in doubt %v, %w\n%s", doubt, err, firstDiff(again, first))
	}
	if count == nil {
		return "in doubt", nil
	}
	rng := rand.New(rand.NewPCG(uint64(len(first)), 15))
	var images []*crashfs.FS
	damaged.OnOp = func(crashfs.Op) error {
		for _, s := range crashfs.Survivals()[:4] {
			images = append(images, damaged.Image(s, rng))
		}
		return nil
	}
	if _, _, err := c.salvaged(damaged); err != nil {
		return "", err
	}
	for i, image := range images {
		if got, doubt, err := c.salvaged(image); err != nil || !doubt || got != first {
			return "", fmt.Errorf("crash image %d: in doubt %v, %w\n%s", i, doubt, err, firstDiff(got, first))
		}
		count("in doubt, crashed")
	}
	return "in doubt", nil
}

// The configuration that a group begins with is a snapshot at 0. Damage before it does
// not cost it, although nothing of the log that counts is as old.
func TestSalvageKeepsTheFirstSnapshot(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	l, _ := mustOpen(t, "wal", o)
	mustWrite(t, l, func(b *Batch) { b.Append(2, 1, entriesOf(2, 1, 1, 100)) })
	at := l.Group(2).view.runs[0].lsn &^ (alignBytes - 1)
	mustWrite(t, l, func(b *Batch) { b.Snapshot(1, Snapshot{Data: []byte("members")}) })
	for i := raftpb.Index(1); i <= 10; i++ {
		mustWrite(t, l, func(b *Batch) { b.Append(1, i, entriesOf(1, i, 1, 100)) })
	}
	mustWrite(t, l, func(b *Batch) { b.Compact(1, 8) })
	mustClose(t, l)
	fs.Spoil("wal/seg/"+segName(1), int(at-firstLSN)+segHeaderBytes+20, 1)
	o.Salvage = true
	for range 2 {
		l, _ = mustOpen(t, "wal", o)
		if s := l.Group(1).Snapshot(); string(s.Data) != "members" || l.Group(1).FirstIndex() != 8 || !l.Group(1).Uncertain() {
			t.Errorf("snapshot %+v, log from %d", s, l.Group(1).FirstIndex())
		}
		mustClose(t, l)
	}
}

// A first index that is recalled from behind the damage, in a log whose older segments went after the damage was found: what is
// left of it follows on what was found then.
func TestSalvagedLogLosesItsOldSegments(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	l, _ := mustOpen(t, "wal", o)
	next := raftpb.Index(1)
	write := func(l *Log, last raftpb.Index, bytes int) {
		for ; next <= last; next++ {
			mustWrite(t, l, func(b *Batch) { b.Append(1, next, entriesOf(1, next, 1, bytes)) })
		}
	}
	mustWrite(t, l, func(b *Batch) { b.Append(2, 1, entriesOf(1, 1, 1, 10)) }) // holds the first segment
	write(l, 40, 9000)
	write(l, 50, 10)
	run, segment := l.Group(1).view.runs[44], l.segs.list[len(l.segs.list)-1]
	mustWrite(t, l, func(b *Batch) { b.Compact(1, 5) })
	mustClose(t, l)
	fs.Spoil("wal/seg/"+segName(segment.seq), int(run.lsn&^(alignBytes-1)-segment.base)+segHeaderBytes+20, 1)

	o.Salvage = true
	l, _ = mustOpen(t, "wal", o)
	if g := l.Group(1); g.FirstIndex() != 5 || g.LastIndex() != 44 {
		t.Fatalf("salvaged: [%d, %d]", g.FirstIndex(), g.LastIndex())
	}
	next = 45
	write(l, 60, 9000)
	mustWrite(t, l, func(b *Batch) { b.Compact(1, 38); b.Destroy(2); b.Trust(1) })
	for l.Step() {
	}
	if m := l.Metrics(); m.Recycled == 0 {
		t.Fatalf("no segment went: %+v", m)
	}
	mustClose(t, l)
	o.Verify = true
	l, rec := mustOpen(t, "wal", o)
	if g := l.Group(1); g.FirstIndex() != 38 || g.LastIndex() != 60 || len(rec.Uncertain) > 0 {
		t.Errorf("[%d, %d] is left, in doubt %v", g.FirstIndex(), g.LastIndex(), rec.Uncertain)
	}
	mustClose(t, l)
}

// Whole segments that are void go with the last one before them, and not after those behind: the log is found without its
// catalog, too.
func TestVoidSegmentsLeaveNoGap(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	l, _ := mustOpen(t, "wal", o)
	write := func(l *Log, from, to raftpb.Index, term raftpb.Term) {
		for i := from; i <= to; i++ {
			mustWrite(t, l, func(b *Batch) { b.Append(1, i, entriesOf(term, i, 1, 9000)) })
		}
	}
	write(l, 1, 60, 1)
	if len(l.segs.list) < 4 {
		t.Fatalf("%d segments", len(l.segs.list))
	}
	lsn := l.Group(1).view.runs[3].lsn
	mustClose(t, l)
	fs.Spoil("wal/seg/"+segName(1), int(lsn&^(alignBytes-1)-firstLSN)+segHeaderBytes+20, 1)

	o.Salvage, o.Verify = true, true
	l, rec := mustOpen(t, "wal", o)
	if rec.Damage == nil || len(l.segs.list) != 2 || l.segs.list[1].seq < 4 {
		t.Fatalf("%+v, %d segments", rec, len(l.segs.list))
	}
	write(l, 4, 60, 2)
	mustWrite(t, l, func(b *Batch) { b.Trust(1); b.Compact(1, 58) })
	for l.Step() {
	}
	mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Term: 2}) })
	if _, err := Inspect(fs, "wal", Inspection{}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if err := fs.RemoveAll("wal/" + catalogDir); err != nil {
		t.Fatal(err)
	}
	l, rec = mustOpen(t, "wal", o)
	if g := l.Group(1); !rec.CatalogRebuilt || g.FirstIndex() != 58 || g.LastIndex() != 60 || g.Uncertain() {
		t.Errorf("[%d, %d], %+v", g.FirstIndex(), g.LastIndex(), rec)
	}
	mustClose(t, l)
}

// A second damage, in the first frame behind the place of the first one: two segments begin there, and the one that goes
// does not take the doubt with it that the other one says.
func TestDoubtOutlivesAVoidSegment(t *testing.T) {
	fs, o := brokenLog(t)
	o.Salvage = true
	l, _ := mustOpen(t, "wal", o)
	next := raftpb.Index(6)
	for range 3 {
		mustWrite(t, l, func(b *Batch) { b.Append(1, next, entriesOf(8, next, 1, 100)) })
		next++
	}
	seq, base := l.segs.list[1].seq, l.segs.list[1].base
	mustClose(t, l)
	fs.Spoil("wal/seg/"+segName(seq), segHeaderBytes+20, 1)

	l, _ = mustOpen(t, "wal", o)
	if list := l.segs.list; len(list) != 3 || list[1].base != base || list[2].base != base {
		t.Fatalf("%d segments, the last ones do not begin at %d", len(list), base)
	}
	mustWrite(t, l, func(b *Batch) {
		b.Append(1, 6, entriesOf(9, 6, 1, 100))
		b.Compact(1, 6)
		b.Destroy(2)
		b.Destroy(3)
	})
	for l.Step() {
	}
	if m := l.Metrics(); m.Segments != 1 || !l.Group(1).Uncertain() || !l.Group(77).Uncertain() {
		t.Errorf("doubts are %v, %v; %+v", l.Group(1).Uncertain(), l.Group(77).Uncertain(), m)
	}
	mustWrite(t, l, func(b *Batch) { b.Trust(1) })
	mustClose(t, l)
	l, rec := mustOpen(t, "wal", o)
	if len(rec.Uncertain) > 0 || l.Group(1).Uncertain() {
		t.Errorf("in doubt again after it was over: %+v", rec)
	}
	mustClose(t, l)
}

// After a repair old segments go, and what they said about where a group begins. What
// the group has kept before the place of the damage is found all the same.
func TestRepairedLogOutlivesItsOldSegments(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	l, _ := mustOpen(t, "wal", o)
	next := raftpb.Index(1)
	write := func(l *Log, last raftpb.Index, bytes int) {
		for ; next <= last; next++ {
			mustWrite(t, l, func(b *Batch) { b.Append(1, next, entriesOf(1, next, 1, bytes)) })
		}
	}
	write(l, 30, 9000)
	write(l, 40, 10)
	run := l.Group(1).view.runs[34]
	segment := l.segs.list[len(l.segs.list)-1]
	mustClose(t, l)
	fs.Spoil("wal/seg/"+segName(segment.seq), int(run.lsn&^(alignBytes-1)-segment.base)+segHeaderBytes+20, 1)

	o.Salvage = true
	l, _ = mustOpen(t, "wal", o)
	if last := l.Group(1).LastIndex(); last != 34 || !l.Group(1).Uncertain() {
		t.Fatalf("salvaged up to %d", last)
	}
	next = 35
	mustWrite(t, l, func(b *Batch) { b.Trust(1); b.Compact(1, 20) })
	write(l, 36, 10)
	for l.Step() {
	}
	if m := l.Metrics(); m.Recycled == 0 {
		t.Fatalf("no segment went: %+v", m)
	}
	mustClose(t, l)
	l, _ = mustOpen(t, "wal", o)
	if g := l.Group(1); g.FirstIndex() != 20 || g.LastIndex() != 36 || g.Uncertain() {
		t.Errorf("the log is [%d, %d]", g.FirstIndex(), g.LastIndex())
	}
	checkEntries(t, l.Group(1), 20, append(entriesOf(1, 20, 11, 9000), entriesOf(1, 31, 6, 10)...))
	mustClose(t, l)
}

// Damage behind entries that were known to be committed, and before the notice of where
// the group begins; the segment with the entry before that has gone. The entries stay, in doubt,
// and the commit with them: a log is never shorter than its commit.
func TestSalvageKeepsWhatWasCommitted(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	l, _ := mustOpen(t, "wal", o)
	for i := raftpb.Index(1); i <= 40; i++ {
		mustWrite(t, l, func(b *Batch) { b.Append(1, i, entriesOf(1, i, 1, map[bool]int{true: 9000, false: 10}[i <= 30])) })
		if i == 34 {
			mustWrite(t, l, func(b *Batch) { b.HardState(1, HardState{Term: 1, Commit: 34}) })
		}
	}
	runs, segs := l.Group(1).view.runs, l.segs.list
	first := runs[slices.IndexFunc(runs, func(r run) bool { return r.lsn >= segs[1].base })].first
	lsn, segment := runs[35].lsn, segs[len(segs)-1]
	mustWrite(t, l, func(b *Batch) { b.Compact(1, raftpb.Index(first)) })
	for l.Step() {
	}
	if m := l.Metrics(); m.Recycled == 0 {
		t.Fatalf("no segment went: %+v", m)
	}
	mustClose(t, l)
	fs.Spoil("wal/seg/"+segName(segment.seq), int(lsn&^(alignBytes-1)-segment.base)+segHeaderBytes+20, 1)
	o.Salvage = true
	for range 2 {
		l, _ = mustOpen(t, "wal", o)
		if g := l.Group(1); !g.Uncertain() || g.FirstIndex() != raftpb.Index(first) || g.LastIndex() != 35 || g.HardState() != (HardState{Term: 1, Commit: 34}) {
			t.Errorf("log [%d, %d], hard state %+v", g.FirstIndex(), g.LastIndex(), g.HardState())
		}
		mustClose(t, l)
	}
}
