package wal

import (
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// HardState is what a group must never forget. A commit that moved alone forces
// no sync: give such a batch NoSync.
type HardState struct {
	Term   raftpb.Term
	Vote   raftpb.NodeID
	Commit raftpb.Index
}

// Snapshot tells which state image stands in for the entries up to Index. The
// image itself lives elsewhere; Data is the caller's description of it.
type Snapshot struct {
	Index raftpb.Index
	Term  raftpb.Term
	Data  []byte
}

// Batch collects changes of any number of groups. They become durable together
// or not at all, in the order in which they were added. The zero Batch is empty
// and ready; one that is Reset and used again allocates nothing. A Batch must not
// be used from two goroutines at once, nor changed while Submit or Write run; it
// may be used again when they return.
//
// A fault, such as an entry too large, is kept and becomes the batch's answer.
type Batch struct {
	ops    []op
	size   int // bound on the bytes of the records
	noSync bool
	force  bool // sync even if there is nothing to write: a mark
	err    error
}

type opKind uint8

const (
	opAppend opKind = iota + 1
	opHardState
	opSnapshot
	opTruncate
	opCompact
	opDestroy
	opRepair  // a copy of one entry
	opRestate // the log's own: write down what the group's view says besides entries
	opTrust
)

type op struct {
	kind    opKind
	group   raftpb.GroupID
	index   raftpb.Index // first, from, to, snapshot's index
	term    raftpb.Term
	entries []raftpb.Entry
	hard    HardState
	data    []byte
	state   *Group // found by the log
}

// Reset empties b for another use.
func (b *Batch) Reset() {
	clear(b.ops)
	*b = Batch{ops: b.ops[:0]}
}

// Empty reports whether b holds no change.
func (b *Batch) Empty() bool { return len(b.ops) == 0 }

// NoSync lets the batch be acknowledged without a sync of its own: it is written
// together with the next batch that needs one, or after a few milliseconds.
// For batches that only move the commit index.
func (b *Batch) NoSync() { b.noSync = true }

// Append stores entries at first, first+1 and so on, and replaces everything
// that g has from first on. first is at most one behind g's last position. The
// bodies are read when Submit or Write runs; Crc32c is stored as it is, so it
// must have been computed with EntryChecksum or verified.
func (b *Batch) Append(g raftpb.GroupID, first raftpb.Index, entries []raftpb.Entry) {
	if len(entries) == 0 {
		return
	}
	size := recordBound
	for i := range entries {
		e := &entries[i]
		if e.Kind < 0 || e.Kind > maxEntryKind {
			b.fault(badBatch("group %d: entry %d: kind %d, at most %d", g, first+raftpb.Index(i), e.Kind, maxEntryKind))
			return
		}
		if n := e.StrippedBytes.Or(0); len(e.Body) > maxBodyBytes || n > maxBodyBytes || n < 0 {
			b.fault(badBatch("group %d: entry %d: body above %d bytes", g, first+raftpb.Index(i), maxBodyBytes))
			return
		}
		if e.StrippedBytes.Set && len(e.Body) > 0 {
			b.fault(badBatch("group %d: entry %d: stripped, but has a body", g, first+raftpb.Index(i)))
			return
		}
		if i > 0 && (e.Term != entries[i-1].Term || e.StrippedBytes.Set != entries[i-1].StrippedBytes.Set) {
			size += recordBound // a record holds entries of one term
		}
		size += entrySlotBytes + len(e.Body)
	}
	b.add(size, op{kind: opAppend, group: g, index: first, entries: entries})
}

// HardState replaces g's term, vote and commit. Once entries of g were refused with
// ErrNoSpace, the commit is stored no higher than the log reaches.
func (b *Batch) HardState(g raftpb.GroupID, hs HardState) {
	b.add(recordBound+hardStateBytes, op{kind: opHardState, group: g, hard: hs})
}

// Snapshot records that everything up to s.Index is in a state image. Entries
// behind it stay when g's log has s.Term at s.Index; otherwise the log is emptied
// and begins at s.Index+1. s.Data is read when Submit or Write runs.
func (b *Batch) Snapshot(g raftpb.GroupID, s Snapshot) {
	b.add(recordBound+len(s.Data), op{kind: opSnapshot, group: g, index: s.Index, term: s.Term, data: s.Data})
}

// Truncate drops g's entries from the position from on.
func (b *Batch) Truncate(g raftpb.GroupID, from raftpb.Index) {
	b.add(recordBound, op{kind: opTruncate, group: g, index: from})
}

// Compact drops g's entries before the position to, which becomes the first
// one. Beyond the last position plus one it is refused.
func (b *Batch) Compact(g raftpb.GroupID, to raftpb.Index) {
	b.add(recordBound, op{kind: opCompact, group: g, index: to})
}

// Destroy forgets everything about g.
func (b *Batch) Destroy(g raftpb.GroupID) {
	b.add(recordBound, op{kind: opDestroy, group: g})
}

// Repair stores e, fetched from another member, in the place of g's entry at index,
// whose bytes are damaged: see Log.Repair. Readers find it as soon as the batch was
// handed over. e.Crc32c must be verified.
func (b *Batch) Repair(g raftpb.GroupID, index raftpb.Index, e raftpb.Entry) {
	had := len(b.ops)
	b.Append(g, index, []raftpb.Entry{e})
	if len(b.ops) > had {
		b.ops[had].kind, b.ops[had].term = opRepair, e.Term
	}
}

// Trust ends the doubt about g that Group.Uncertain reports: g has again all that
// it ever acknowledged. It changes nothing about a group that is not in doubt.
func (b *Batch) Trust(g raftpb.GroupID) {
	b.add(recordBound, op{kind: opTrust, group: g})
}

// recordBound is the most that a record needs beside table, bodies and payload.
const recordBound = recordHeaderBytes + 8

func (b *Batch) add(size int, o op) {
	b.size += size
	b.ops = append(b.ops, o)
}

func (b *Batch) fault(err error) {
	if b.err == nil {
		b.err = err
	}
}
