package wal

import (
	"slices"
	"strconv"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// A log whose acknowledged bytes are damaged in its structure, so that it is not
// known what they were, can be opened under Options.Salvage. It is taken back to X,
// where the damage begins, and goes on in a new segment flagged doubtful:
//
//	segment j   ... frame | X damaged ...   j+1 ... k: void   k+1 doubtful, base X
//
// Every group is then what it was at X: an older state, but one that it had. Of what
// is void only that is taken which is right however old it is: terms and votes,
// snapshots, first indexes. The flag says durably that everybody is in doubt, until
// a record of type 7 says otherwise about a group; so a crash at any point finds
// either the damage or the flag. Damaged bodies are no case for this: their records
// say which entries they are, and Log.Repair puts them back.

// GroupReport says of a group that it may have forgotten what it acknowledged:
// entries, a term, a vote.
type GroupReport struct {
	Group raftpb.GroupID
	// Entries [Lo, Hi) stood in the part that is void now, as far as that can be read.
	// With Lo == Hi none were seen, which does not say that there were none.
	Lo, Hi raftpb.Index
	Term   raftpb.Term // the highest one seen anywhere
	Reason string
}

// Uncertain reports whether the group may have forgotten what it acknowledged, since
// its log was taken back to where damage begins (Options.Salvage). Until a leader
// has brought it up to date and Batch.Trust says so, its owner must neither vote nor
// acknowledge entries for it. It also holds for groups of which the log has
// nothing: all about them may have been in the part that is void.
func (g *Group) Uncertain() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.view.doubtLSN != 0
}

// salvage ends the log at t for the reason of damage, if that is wanted.
func (l *Log) salvage(t *tailState, damage *CorruptError) error {
	if l.o.mutated(mutDamageIsEnd) {
		t.torn, t.clean = true, false
		return nil
	}
	if !l.o.Salvage {
		return damage
	}
	l.damaged.Add(1)
	l.o.Logger.Error("wal: damage; the log is taken back to where it begins", "dir", l.dir, "lsn", t.end, "err", damage)
	t.damage, t.torn, t.clean = damage, true, false
	return nil
}

// replayAll replays the segments that count and returns where the log ends.
func (l *Log) replayAll(begun []segFile, rec *Recovery) (counted []segFile, t tailState, err error) {
	partial := begun[0].seq != firstSeq
	counted = withoutVoid(begun)
	for i := range counted {
		f := &counted[i]
		if f.doubtful() {
			older := begun[:slices.IndexFunc(begun, func(o segFile) bool { return o.seq == f.seq })]
			if err := l.doubt(f.base, older, counted[:i]); err != nil {
				return nil, t, err
			}
		}
		var cut *tailState
		if i+1 < len(counted) {
			cut, err = l.replaySegment(f, counted[i+1].base, counted[i+1].chainIn, partial, rec)
		} else if t, err = l.recoverTail(f, partial, rec); t.damage != nil {
			cut = &t
		}
		if err != nil {
			return nil, t, err
		}
		if cut != nil {
			counted = counted[:i+1]
			if l.o.mutated(mutDamageIsEnd) {
				return counted, *cut, nil
			}
			return counted, *cut, l.doubt(cut.end, begun, counted)
		}
	}
	return counted, t, nil
}

// withoutVoid leaves out the segments that a later, doubtful one makes void.
func withoutVoid(begun []segFile) []segFile {
	counted := make([]segFile, 0, len(begun))
	for _, f := range begun {
		for n := len(counted); f.doubtful() && n > 0 && counted[n-1].base >= f.base; n-- {
			counted = counted[:n-1]
		}
		counted = append(counted, f)
	}
	return counted
}

// doubt puts every group in doubt, for the log was taken back to from. older are
// the segments before that, counted those of them that still count; what the last
// of these has behind from, and the others at all, is void.
func (l *Log) doubt(from uint64, older, counted []segFile) error {
	l.doubtLSN = from
	l.lost = map[raftpb.GroupID]*GroupReport{}
	for i := range older {
		f := &older[i]
		if f.base < from && (len(counted) == 0 || f.seq != counted[len(counted)-1].seq) {
			continue
		}
		if err := l.recall(f, from); err != nil {
			return err
		}
	}
	for _, g := range l.groups {
		v := &g.view
		// What says where it begins was damaged, or stands restated behind: whoever opened
		// the log after the damage wrote it there, and older segments may have gone since.
		v.unsure = !v.confirm()
		v.doubtLSN = from
		// A recalled first index may have dropped entries that were known to be committed:
		// a commit that the log does not reach would be a contradiction.
		v.hard.Commit = min(v.hard.Commit, raftpb.Index(v.last))
	}
	return nil
}

// recall reads what a segment has at or behind from, past damage, and takes of it
// what is right however old it is.
func (l *Log) recall(f *segFile, from uint64) error {
	s, err := l.openScan(f)
	if err != nil {
		return err
	}
	defer s.r.Close() //nolint:errcheck // opened for reading
	for s.seek(max(f.base, from), 0); s.offset()+frameHeaderBytes <= s.size; {
		fr, v, err := s.nextAny()
		if err != nil {
			return err
		}
		if v != frameWhole {
			s.lsn += alignBytes
			continue
		}
		fr.walk(func(h recordHeader, rec []byte, _ uint64) bool {
			l.note(&h)
			// As if it had stood right before from: what is dropped up to there must be restated.
			l.group(h.group).view.recall(&h, rec, from-1)
			return true
		})
	}
	return nil
}

// note remembers what a void record says about its group.
func (l *Log) note(h *recordHeader) {
	r := l.lost[h.group]
	if r == nil {
		r = &GroupReport{Group: h.group}
		l.lost[h.group] = r
	}
	if h.typ != recEntries || h.flags&recRepair != 0 {
		return
	}
	lo, hi := raftpb.Index(h.index), raftpb.Index(h.index+uint64(h.count))
	if r.Lo == r.Hi {
		r.Lo, r.Hi = lo, hi
	}
	r.Lo, r.Hi, r.Term = min(r.Lo, lo), max(r.Hi, hi), max(r.Term, raftpb.Term(h.term))
}

// recall takes a void record's term and vote, snapshot or first index, if it is
// newer than what v has.
func (v *groupView) recall(h *recordHeader, rec []byte, lsn uint64) {
	switch h.typ {
	case recHardState:
		hs, ok := decodeHardState(rec[recordHeaderBytes:])
		if ok && (hs.Term > v.hard.Term || hs.Term == v.hard.Term && v.hard.Vote == 0) {
			v.hard.Term, v.hard.Vote, v.hardLSN = hs.Term, hs.Vote, lsn
		}
	case recCompact:
		v.recallBase(h.index, h.term, lsn)
	case recSnapshot:
		if s := raftpb.Index(h.index); s >= v.snap.Index { // the first configuration stands at 0
			v.snap = Snapshot{Index: s, Term: raftpb.Term(h.term), Data: slices.Clone(rec[recordHeaderBytes:])}
			v.snapLSN = lsn
			v.recallBase(h.index+1, h.term, lsn)
		}
	}
}

// recallBase makes first the first index, after an entry of term prev. Entries behind
// it stay only when the one before it has that term: then they are of one history.
// When that entry's segment has gone since the damage was found, it is too late to ask:
// what was written behind the damage follows from the answer of then. It goes on
// behind these entries or overwrites them, and says where the log begins by now.
func (v *groupView) recallBase(first, prev, lsn uint64) {
	if first <= v.base.first {
		return
	}
	v.baseLSN, v.base.first, v.base.prevTerm = lsn, first, prev
	switch term, ok := v.termAt(first - 1); {
	case v.first > first, v.first == first && v.prevTerm == 0:
	case ok && term == prev:
		v.compact(first, prev)
	default:
		v.empty(first, prev)
	}
}

// endRecovery writes down what was recalled, so that it outlives the void segments,
// and then lets the catalog know of the log as it is.
func (l *Log) endRecovery(rec *Recovery) error {
	for _, id := range l.sortedGroups() {
		v := &l.groups[id].view
		if v.doubtLSN == 0 {
			continue
		}
		r := GroupReport{Group: id}
		if lost := l.lost[id]; lost != nil {
			r = *lost
		}
		r.Term = max(r.Term, v.hard.Term)
		r.Reason = "what was acknowledged behind LSN " + strconv.FormatUint(v.doubtLSN, 10) + " was damaged"
		rec.Uncertain = append(rec.Uncertain, r)
	}
	l.lost = nil
	if rec.Damage != nil {
		if err := l.restate(l.sortedGroups()); err != nil {
			return err
		}
	}
	_, err := l.saveMeta()
	return err
}

// endDoubt is called when the segment with the flag goes: the groups that the log
// has were all repaired. mu is held.
func (l *Log) endDoubt(base uint64) {
	if l.doubtLSN == base {
		l.doubtLSN = 0
	}
	for _, g := range l.groups {
		g.mu.Lock()
		if g.view.doubtLSN == base {
			g.view.doubtLSN = 0
		}
		g.mu.Unlock()
	}
}
