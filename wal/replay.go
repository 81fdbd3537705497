package wal

import (
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// replay moves v by one record, as Submit did when it wrote it. It returns what
// is impossible about the record, "" normally.
//
// When older segments are gone (partial), the records that are left may refer to
// entries that only those held. Such entries were dead before the segments went,
// and whatever still counted of a group was restated later in the log. So a record
// that does not fit restarts the view at its place; when all is replayed, the view
// must begin where the newest compaction or snapshot says it does: see confirm.
func (v *groupView) replay(h recordHeader, rec []byte, lsn uint64, partial bool) string {
	switch h.typ {
	case recEntries:
		return v.replayEntries(h, lsn, partial)
	case recHardState:
		hs, ok := decodeHardState(rec[recordHeaderBytes:])
		if !ok {
			return "hard state of a wrong size"
		}
		v.hard, v.hardLSN = hs, lsn
	case recTruncate:
		if h.index < v.first || h.index > v.last {
			if !partial || h.index < v.base.first {
				return fmt.Sprintf("truncate from %d, log is [%d, %d]", h.index, v.first, v.last)
			}
			v.restart(h.index)
			return ""
		}
		v.truncate(h.index)
	case recCompact:
		return v.replayCompact(h, lsn, partial)
	case recSnapshot:
		return v.replaySnapshot(h, rec, lsn, partial)
	case recDestroy:
		*v = freshView()
	case recTrust:
		v.doubtLSN = 0
	}
	return ""
}

func (v *groupView) replayEntries(h recordHeader, lsn uint64, partial bool) string {
	if h.flags&recRepair != 0 {
		term, ok := v.termAt(h.index)
		if ok && h.index >= v.first && term == h.term && h.count == 1 {
			v.repair(run{first: h.index, lsn: lsn, count: 1, bytes: h.length})
		} else if !partial {
			return fmt.Sprintf("repair of entry %d of term %d, log is [%d, %d]", h.index, h.term, v.first, v.last)
		}
		return ""
	}
	if h.index < v.first || h.index > v.last+1 {
		// A gap, or an overwrite of what came before the oldest segment.
		if !partial || h.index < v.base.first {
			return fmt.Sprintf("entries from %d, log is [%d, %d]", h.index, v.first, v.last)
		}
		v.restart(h.index)
	}
	v.append(run{first: h.index, lsn: lsn, count: h.count, bytes: h.length}, h.term)
	return ""
}

func (v *groupView) replayCompact(h recordHeader, lsn uint64, partial bool) string {
	if !partial && (h.index <= v.first && h.flags&recRestated == 0 || h.index > v.last+1) {
		return fmt.Sprintf("compact to %d, log is [%d, %d]", h.index, v.first, v.last)
	}
	v.baseLSN = lsn
	v.base.first, v.base.prevTerm = h.index, h.term
	v.compact(h.index, h.term)
	return ""
}

func (v *groupView) replaySnapshot(h recordHeader, rec []byte, lsn uint64, partial bool) string {
	s := Snapshot{
		Index: raftpb.Index(h.index), Term: raftpb.Term(h.term),
		Data: slices.Clone(rec[recordHeaderBytes:]),
	}
	if h.flags&recRestated != 0 {
		v.snap, v.snapLSN = s, lsn
		return ""
	}
	if !partial && h.index+1 < v.first {
		return fmt.Sprintf("snapshot at %d, log is [%d, %d]", h.index, v.first, v.last)
	}
	v.snapLSN, v.baseLSN = lsn, lsn
	v.base.first, v.base.prevTerm = h.index+1, h.term
	v.install(s, h.count == 1)
	return ""
}

// restart forgets entries whose beginning is not known any more.
func (v *groupView) restart(first uint64) {
	v.empty(first, 0)
}

// confirm ends the replay. It reports whether the view begins where it should; if
// it does not, a segment is missing that held what comes first.
func (v *groupView) confirm() bool {
	v.prevTerm = v.base.prevTerm
	return v.first == v.base.first
}
