package explore

import (
	"errors"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// judge looks at a node after its step: one leader per term, which has all that is
// committed; what is committed is durable at a majority and never changes.
func (s *Search) judge(c, from *state, i int, node *raft.Node, d *disk, before raftpb.Role) bool {
	now := node.Glance()
	if now.Role == raftpb.RoleLeader && before != raftpb.RoleLeader {
		if other := c.leaders[now.Term]; other != 0 && other != raft.NodeID(i+1) {
			s.fail(from, "I1: node %d leads term %d, which node %d leads or led", i+1, now.Term, other)
			return false
		}
		c.leaders = slices.Clone(c.leaders)
		c.leaders[now.Term] = raft.NodeID(i + 1)
		// A leader of a later term may have committed more while the votes were late.
		if !slices.ContainsFunc(c.leaders[now.Term+1:], func(id raft.NodeID) bool { return id != 0 }) && !s.has(from, node, c.committed) {
			s.fail(from, "I4: node %d leads term %d and lacks committed entries", i+1, now.Term)
			return false
		}
	}
	for k := range s.out.SendNow {
		if !s.promises(from, i, d, &message{Message: s.out.SendNow[k]}) {
			return false
		}
	}
	if now.Durable > d.LastIndex() {
		s.fail(from, "I9: node %d believes %d durable, its disk ends at %d", i+1, now.Durable, d.LastIndex())
		return false
	}
	if s.out.Commit.Empty() {
		return true
	}
	log := s.read(from, node, now.Commit)
	for k := range log {
		e := entry{log[k].Term, log[k].Crc32c}
		switch {
		case k < len(c.committed) && c.committed[k] != e:
			s.fail(from, "I5: node %d commits another entry at %d", i+1, k+1)
			return false
		case k < len(c.committed):
		case !c.durable(k, e, i, d):
			s.fail(from, "I6: node %d commits %d, which no majority has on its disk", i+1, k+1)
			return false
		default:
			c.committed = append(slices.Clip(c.committed), e)
		}
	}
	return true
}

// read returns a node's log up to i.
func (s *Search) read(from *state, node *raft.Node, i raft.Index) (log []raft.Entry) {
	for len(log) < int(i) {
		before := len(log)
		var err error
		if log, err = node.Entries(log, raft.Index(before+1), i+1, 1<<20); err != nil || len(log) == before {
			s.fail(from, "entries up to %d: %d, %v", i, len(log), err)
			return make([]raft.Entry, i)
		}
	}
	return log
}

// has reports whether a node's log begins with these entries.
func (s *Search) has(from *state, node *raft.Node, committed []entry) bool {
	if len(committed) == 0 {
		return true
	}
	if int(node.Glance().Last) < len(committed) {
		return false
	}
	log := s.read(from, node, raft.Index(len(committed)))
	for k, e := range committed {
		if log[k].Term != e.term || log[k].Crc32c != e.sum {
			return false
		}
	}
	return true
}

// durable reports whether a majority of disks has e as entry k+1. d is that of node i.
func (w *state) durable(k int, e entry, i int, d *disk) bool {
	n := 0
	for j, p := range w.places {
		at := p.disk
		if j == i {
			at = d
		}
		if k < len(at.entries) && at.entries[k].Term == e.term && at.entries[k].Crc32c == e.sum {
			n++
		}
	}
	return n > len(w.places)/2
}

// promises holds a message against its sender's disk: I9.
func (s *Search) promises(w *state, i int, d *disk, m *message) bool {
	switch {
	case m.Term > d.hard.Term:
		s.fail(w, "I9: node %d sends %s, its disk is in term %d", i+1, describe(m), d.hard.Term)
	case m.Term < d.hard.Term: // late: it was true
	case m.Kind == raft.MessageVote && d.hard.Vote != m.From, m.Kind == raft.MessageVoteAnswer && m.Granted && d.hard.Vote != m.To:
		s.fail(w, "I9: node %d sends %s, its disk has a vote for node %d", i+1, describe(m), d.hard.Vote)
	case m.Kind == raft.MessageAppendAnswer && m.Status == raftpb.AppendStatusOk && m.Matched > d.LastIndex():
		s.fail(w, "I9: node %d sends %s, its disk ends at %d", i+1, describe(m), d.LastIndex())
	}
	return s.err == nil
}

// disk is what survives a crash. It never changes.
type disk struct {
	hard    raft.HardState
	entries []raft.Entry
}

// with is the disk with a write done.
func (d *disk) with(w *write) *disk {
	c := *d
	if w.hard != nil {
		c.hard = *w.hard
	}
	if w.truncate > 0 {
		c.entries = c.entries[:w.truncate-1]
	}
	if len(w.entries) > 0 {
		c.entries = append(slices.Clip(c.entries), w.entries...)
	}
	return &c
}

func (d *disk) digest() uint64 {
	var h schedule.Hash
	h.Add(uint64(d.hard.Term))
	h.Add(uint64(d.hard.Vote))
	h.Add(uint64(d.hard.Commit))
	for i := range d.entries {
		h.Add(uint64(d.entries[i].Term)<<32 ^ uint64(d.entries[i].Crc32c))
	}
	return uint64(h)
}

var errOutside = errors.New("explore: disk: outside of the log")

// FirstIndex implements raft.Log.
func (d *disk) FirstIndex() raft.Index { return 1 }

// LastIndex implements raft.Log.
func (d *disk) LastIndex() raft.Index { return raft.Index(len(d.entries)) }

// Term implements raft.Log.
func (d *disk) Term(i raft.Index) (raft.Term, error) {
	if i < 1 || i > d.LastIndex() {
		return 0, errOutside
	}
	return d.entries[i-1].Term, nil
}

// Entries implements raft.Log.
func (d *disk) Entries(dst []raft.Entry, lo, hi raft.Index, _ int) ([]raft.Entry, error) {
	if lo < 1 || hi > d.LastIndex()+1 {
		return dst, errOutside
	}
	return append(dst, d.entries[lo-1:hi-1]...), nil
}
