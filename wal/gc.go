package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Segments go oldest first, so that a record that overwrote or dropped entries
// outlives them. A segment may go when nothing in it counts any more:
//
//	entries    dead by compaction, truncation, overwriting or a snapshot
//	the rest   of what a group's newest hard state, snapshot and first index say,
//	           restated at the end of the log
//
// and all that made it so is durable. The catalog forgets the segment first, then
// the file becomes a spare. A crash in between leaves a file that Open takes away.

// low is the LSN of the oldest thing that keeps its segment, the end of time if none.
func (v *groupView) low() uint64 {
	low := ^uint64(0)
	if v.doubtLSN != 0 && v.holds() {
		low = v.doubtLSN // the segment that says so
	}
	if len(v.runs) == 0 {
		return low
	}
	// Records of one group stand in the order of their positions, because an
	// overwrite drops everything behind it.
	return min(low, v.runs[0].lsn)
}

// stale reports whether something other than entries stands before lsn and counts.
func (v *groupView) stale(lsn uint64) bool {
	old := func(at uint64) bool { return at != 0 && at < lsn }
	return old(v.hardLSN) || old(v.snapLSN) || old(v.baseLSN)
}

// gcStep frees the oldest segment if it can, and restates what keeps it if that is
// all that does.
func (l *Log) gcStep() (bool, error) {
	if worked, err := l.burySegments(); worked || err != nil {
		return worked, err
	}
	seg, end := l.segs.oldest()
	if seg == nil || l.pinned(end) {
		return false, nil
	}
	// From here on nothing can make the segment count again: what is dead stays dead.
	l.mu.Lock()
	var stale []raftpb.GroupID
	for _, id := range l.sortedGroups() {
		if l.groups[id].view.stale(end) {
			stale = append(stale, id)
		}
	}
	settled := l.settledLSN() >= l.endLSN()
	l.mu.Unlock()
	if !settled || len(stale) > 0 {
		if err := l.restate(stale); err != nil {
			return false, err
		}
	}
	return true, l.dropSegment(seg)
}

// restateBytes is where a batch of restated records ends.
const restateBytes = 1 << 20

// restate writes down once more what the groups must not forget. When it returns,
// that and everything handed over before is durable.
func (l *Log) restate(groups []raftpb.GroupID) error {
	b := &l.restated
	for {
		b.Reset()
		b.force = true
		l.mu.Lock()
		for len(groups) > 0 && b.size < min(restateBytes, l.o.MaxQueuedBytes/2) {
			b.add(restateBound(&l.groups[groups[0]].view), op{kind: opRestate, group: groups[0]})
			groups = groups[1:]
		}
		l.mu.Unlock()
		if err := l.Write(b); err != nil || len(groups) == 0 {
			return err
		}
	}
}

// restateBound bounds the bytes of a group's restated records.
func restateBound(v *groupView) int { return 3*recordBound + hardStateBytes + len(v.snap.Data) }

// again encodes what v knows besides its entries.
func (v *groupView) again(f *frame, id raftpb.GroupID) {
	if v.hardLSN != 0 {
		v.hardLSN = f.hardState(id, v.hard, recRestated)
	}
	if v.snapLSN != 0 {
		h := recordHeader{
			typ: recSnapshot, flags: recRestated, group: id, index: uint64(v.snap.Index), term: uint64(v.snap.Term),
		}
		v.snapLSN = f.plain(h, v.snap.Data)
	}
	if v.baseLSN != 0 {
		h := recordHeader{typ: recCompact, flags: recRestated, group: id, index: v.first, term: v.prevTerm}
		v.baseLSN = f.plain(h, nil)
	}
}

// pinned reports whether entries before end count. The group that was in the way
// last time is asked first.
func (l *Log) pinned(end uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.pin; g != nil && g.view.low() < end {
		return true
	}
	l.pin = nil
	for _, g := range l.groups {
		if g.view.low() < end {
			l.pin = g
			return true
		}
	}
	return false
}

// Pinned names the groups whose entries keep the log above Options.BudgetBytes,
// ascending, and how many bytes it is above: their owners should compact them. It
// returns nothing while the log is within the budget.
func (l *Log) Pinned() (groups []raftpb.GroupID, excess int64) {
	l.segs.mu.RLock()
	list := slices.Clone(l.segs.list)
	l.segs.mu.RUnlock()
	if len(list) == 0 {
		return nil, 0
	}
	total := int64(len(list)) * l.o.SegmentBytes
	if excess = total - l.o.BudgetBytes; excess <= 0 {
		return nil, 0
	}
	cut := int((excess + l.o.SegmentBytes - 1) / l.o.SegmentBytes)
	end := list[min(cut, len(list)-1)].base
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.sortedGroups() {
		if l.groups[id].view.low() < end {
			groups = append(groups, id)
		}
	}
	return groups, excess
}

func (l *Log) sortedGroups() []raftpb.GroupID {
	ids := make([]raftpb.GroupID, 0, len(l.groups))
	for id := range l.groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// settledLSN is how far the log is as durable as it will get.
func (l *Log) settledLSN() uint64 {
	if l.o.Sync == SyncNone {
		return l.written
	}
	return l.durable
}

// endLSN is where the log ends, with all that was handed over.
func (l *Log) endLSN() uint64 {
	if l.cur != nil {
		return l.cur.end()
	}
	return l.nextLSN
}

// oldest returns the first segment and its end, nil when it is the only one.
func (s *segments) oldest() (*segment, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.list) < 2 {
		return nil, 0
	}
	return s.list[0], s.list[1].base
}

// dropSegment takes the oldest segment out of the log. Its file follows when no
// reader uses it any more.
func (l *Log) dropSegment(seg *segment) error {
	l.segs.mu.RLock()
	m := l.meta
	m.first = l.segs.list[1].seq // void ones in between go with it: see below
	l.segs.mu.RUnlock()
	if err := l.putMeta(m, l.footerKeys(seg.seq)); err != nil {
		return err
	}
	l.segs.mu.Lock()
	l.segs.list = slices.Delete(l.segs.list, 0, 1)
	l.segs.dying = append(l.segs.dying, seg)
	for n := seg.seq + 1; n < l.segs.list[0].seq; n++ { // void ones, in order: the files that are left are numbered without gaps
		l.segs.dying = append(l.segs.dying, &segment{seq: n})
	}
	// Of a segment whose first frame was damaged nothing counts: the next one begins where it did, and has the flag for both.
	void := l.segs.list[0].base == seg.base
	l.segs.mu.Unlock()
	l.mu.Lock()
	l.counts.recycled++
	if seg.doubtful && !void {
		l.endDoubt(seg.base)
	}
	l.mu.Unlock()
	return seg.close()
}

// burySegments turns files of dropped segments into spares, in order, so that the
// files left in segDir are numbered without gaps.
func (l *Log) burySegments() (bool, error) {
	l.segs.mu.RLock()
	var seg *segment
	if len(l.segs.dying) > 0 && l.segs.dying[0].refs.Load() == 0 {
		seg = l.segs.dying[0]
	}
	l.segs.mu.RUnlock()
	if seg == nil {
		return false, nil
	}
	l.segs.prep.Lock()
	defer l.segs.prep.Unlock()
	name := l.fs.PathJoin(l.dir, segDir, segName(seg.seq))
	if err := l.bury(name); err != nil {
		return false, err
	}
	l.segs.mu.Lock()
	l.segs.dying = slices.Delete(l.segs.dying, 0, 1)
	l.segs.mu.Unlock()
	return true, nil
}

// maxSpares bounds the recycled files that are kept beyond Options.Spares.
const maxSpares = 4

// bury makes the file name a spare, or removes it when there are enough. prep is
// held. Nothing may be written to the file before its old name is gone for good.
func (l *Log) bury(name string) error {
	st, err := l.fs.Stat(name)
	if err != nil {
		return err
	}
	if len(l.segs.spares) >= maxSpares+max(0, l.o.Spares) || st.Size() > 2*l.o.SegmentBytes {
		if err := l.fs.Remove(name); err != nil {
			return err
		}
		return l.syncDirs(segDir)
	}
	spare := l.fs.PathJoin(l.dir, spareDir, fmt.Sprintf("%08x", l.segs.counter))
	l.segs.counter++
	if err := l.fs.Rename(name, spare); err != nil {
		return err
	}
	if err := l.syncDirs(segDir, spareDir); err != nil {
		return err
	}
	if err := l.lengthen(spare, st.Size()); err != nil {
		return err
	}
	l.segs.spares = append(l.segs.spares, spare)
	return nil
}

// lengthen writes the blocks that a file still lacks to be a whole segment: one
// that was made in a hurry has only those that frames were written to.
func (l *Log) lengthen(name string, size int64) error {
	if size >= l.o.SegmentBytes || !l.prefills() {
		return nil
	}
	f, err := l.fs.OpenReadWrite(name, categorySpare)
	if err != nil {
		return err
	}
	for at := size; at < l.o.SegmentBytes && err == nil; at += fillBytes {
		_, err = f.WriteAt(make([]byte, min(fillBytes, l.o.SegmentBytes-at)), at)
	}
	if err == nil {
		err = l.syncFile(f)
	}
	return errors.Join(err, f.Close())
}
