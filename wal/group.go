package wal

import (
	"slices"
	"sort"
	"sync"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Group is the view of one Raft group's part of the log. It shows what was
// handed over, durable or not. It is safe for concurrent use and stays valid, if
// empty, when the group is destroyed.
type Group struct {
	log *Log
	id  raftpb.GroupID

	mu   sync.RWMutex
	view groupView

	// The state the group will have when the batch being checked is applied.
	// Guarded by Log.mu; valid when round is the log's.
	check struct{ round, first, last uint64 }
	// refused: entries were refused for want of space. Guarded by Log.mu.
	refused bool
}

// groupView is the index of one group: 24 bytes per record, whatever the number
// of entries in it. It has no lock and reads no disk; recovery and Submit move it
// by the same methods, in LSN order.
//
// Invariants: the runs cover [first, last] without gap or overlap, but that the
// first of them may begin before first; terms has a span that covers each live
// position and its starts ascend; last >= first-1.
type groupView struct {
	first    uint64
	last     uint64
	prevTerm uint64 // of first-1
	terms    []termSpan
	runs     []run
	repairs  map[uint64]run // copies of single entries that stand in for damaged ones; nil mostly
	hard     HardState
	snap     Snapshot
	base     struct{ first, prevTerm uint64 } // what the newest compaction or snapshot said; see replay

	// Where the newest record of the kind stands; 0: none. Collection of old
	// segments must restate them before it drops their segment.
	hardLSN, snapLSN, baseLSN uint64

	doubtLSN uint64 // where the segment begins that put the group in doubt; 0: it is certain
	unsure   bool   // during recovery: what says where the log begins may have been damaged
}

// run is one record of entries: where it stands and which positions of it are live.
type run struct {
	first uint64 // position of the record's first entry
	lsn   uint64
	count uint32 // live entries from first on; the record may hold more
	bytes uint32 // length of the record
}

func (r run) end() uint64 { return r.first + uint64(r.count) }

type termSpan struct{ start, term uint64 }

func freshView() groupView {
	v := groupView{first: 1}
	v.base.first = 1
	return v
}

// holds reports whether there is anything that a fresh group does not have.
func (v *groupView) holds() bool {
	return v.last > 0 || v.hard != HardState{} || v.snap.Index > 0 || len(v.snap.Data) > 0
}

// append adds a record of entries and drops what it overwrites.
func (v *groupView) append(r run, term uint64) {
	v.truncate(r.first)
	v.runs = append(v.runs, r)
	if n := len(v.terms); n == 0 || v.terms[n-1].term != term {
		v.terms = append(v.terms, termSpan{r.first, term})
	}
	v.last = r.end() - 1
}

// truncate drops the positions from on.
func (v *groupView) truncate(from uint64) {
	if from > v.last {
		return
	}
	defer v.forget()
	if from <= v.first {
		v.runs, v.terms = v.runs[:0], v.terms[:0]
		v.last = v.first - 1
		return
	}
	n := len(v.runs)
	for n > 0 && v.runs[n-1].first >= from {
		n--
	}
	v.runs = v.runs[:n]
	if n > 0 && v.runs[n-1].end() > from {
		v.runs[n-1].count = uint32(from - v.runs[n-1].first)
	}
	t := len(v.terms)
	for t > 0 && v.terms[t-1].start >= from {
		t--
	}
	v.terms = v.terms[:t]
	v.last = from - 1
}

// compact makes to the first position. prevTerm is the term of to-1.
func (v *groupView) compact(to, prevTerm uint64) {
	if to < v.first {
		return
	}
	if to > v.last {
		v.empty(to, prevTerm)
		return
	}
	n := 0
	for n < len(v.runs) && v.runs[n].end() <= to {
		n++
	}
	v.runs = v.runs[n:]
	t := 0
	for t+1 < len(v.terms) && v.terms[t+1].start <= to {
		t++
	}
	v.terms = v.terms[t:]
	v.first, v.prevTerm = to, prevTerm
	v.forget()
}

// empty makes the log begin, without entries, at the position first.
func (v *groupView) empty(first, prevTerm uint64) {
	v.runs, v.terms = v.runs[:0], v.terms[:0]
	v.first, v.last, v.prevTerm = first, first-1, prevTerm
	v.forget()
}

// install notes a snapshot; keep says that the entries behind it stay.
func (v *groupView) install(s Snapshot, keep bool) {
	v.snap = s
	if keep {
		v.compact(uint64(s.Index)+1, uint64(s.Term))
	} else {
		v.empty(uint64(s.Index)+1, uint64(s.Term))
	}
}

// termAt returns the term of position i; ok is false outside [first-1, last].
func (v *groupView) termAt(i uint64) (term uint64, ok bool) {
	if i+1 == v.first {
		return v.prevTerm, true
	}
	if i < v.first || i > v.last {
		return 0, false
	}
	t := len(v.terms) - 1
	if v.terms[t].start > i { // the newest term is asked for most
		t = sort.Search(t, func(k int) bool { return v.terms[k].start > i }) - 1
	}
	return v.terms[t].term, true
}

// runAt returns the place in runs of the record that holds the live position i.
func (v *groupView) runAt(i uint64) int {
	return sort.Search(len(v.runs), func(k int) bool { return v.runs[k].end() > i })
}

// ID returns the group's number.
func (g *Group) ID() raftpb.GroupID { return g.id }

// FirstIndex is the lowest position that can be read: 1 in a fresh log, and one
// more than the newest snapshot or compaction covers in others.
func (g *Group) FirstIndex() raftpb.Index {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return raftpb.Index(g.view.first)
}

// LastIndex is the highest position; FirstIndex()-1 when there is none.
func (g *Group) LastIndex() raftpb.Index {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return raftpb.Index(g.view.last)
}

// Term returns the term of position i, FirstIndex()-1 <= i <= LastIndex(). It
// never touches the disk. Below that it fails with ErrCompacted, above with ErrUnavailable.
func (g *Group) Term(i raftpb.Index) (raftpb.Term, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if term, ok := g.view.termAt(uint64(i)); ok {
		return raftpb.Term(term), nil
	}
	if uint64(i) > g.view.last && i > 0 {
		return 0, ErrUnavailable
	}
	return 0, ErrCompacted
}

// HardState returns the newest term, vote and commit that were handed over.
func (g *Group) HardState() HardState {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.view.hard
}

// Snapshot returns the newest snapshot; its Index is 0 when there is none. Data
// is a copy.
func (g *Group) Snapshot() Snapshot {
	g.mu.RLock()
	defer g.mu.RUnlock()
	s := g.view.snap
	s.Data = slices.Clone(s.Data)
	return s
}
