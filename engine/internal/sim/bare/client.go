package bare

import (
	"encoding/binary"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// client is one session: it has at most one command that it wants done, and asks
// again, perhaps elsewhere, when it does not know what became of it.
type client struct {
	serial int64
	open   bool // serial was proposed and is not known to be applied
	asked  Time
}

// accepted is a command that a leader took, at a place.
type accepted struct {
	index  raft.Index
	term   raft.Term
	client int32
	serial int64
}

// reading is a read that a client waits for at a node.
type reading struct {
	id      uint64
	context int64 // of the question to the leader; 0: none
	index   raft.Index
	granted bool
}

// client lets somebody propose or read, mostly where the leader is.
func (w *World) client() {
	if w.calm || w.quiet() {
		return
	}
	s := w.servers[w.clients.Intn(len(w.servers))]
	if w.clients.Intn(4) > 0 {
		if leader := w.leader(); leader != nil {
			s = leader
		}
	}
	if s.node == nil || s.pausedUntil > w.now {
		return
	}
	if !s.witness && w.clients.Chance(w.knobs.Reads) {
		if w.clients.Intn(2) > 0 || !w.readByLease(s) {
			w.read(s)
		}
		return
	}
	if s.witness && w.odd.Chance(w.knobs.Reads) {
		w.read(s)
		return
	}
	w.batch = w.batch[:0]
	first := len(s.claims)
	for range 1 + w.clients.Intn(w.knobs.Batch) {
		w.compose(s)
	}
	w.propose(s, first)
}

// compose adds a client's command to the batch.
func (w *World) compose(s *server) {
	i := w.clients.Intn(len(w.clientele))
	c := &w.clientele[i]
	switch {
	case c.open && w.clients.Chance(w.knobs.Retry):
	case c.open && w.now-c.asked < Election:
		return
	default:
		c.serial, c.open, c.asked = c.serial+1, true, w.now
	}
	body := w.body(8 + w.clients.Intn(w.knobs.BodyBytes+1))
	binary.LittleEndian.PutUint64(body, uint64(i)<<40|uint64(c.serial))
	w.batch = append(w.batch, raft.Entry{Kind: raftpb.EntryKindCommand, Body: body, Crc32c: sumOf(body)})
	s.claims = append(s.claims, accepted{client: int32(i), serial: c.serial})
}

// body returns room for a body. Bodies are shared by all who hold the entry, and
// never change once proposed.
func (w *World) body(n int) []byte {
	if len(w.bodies) < n {
		w.bodies = make([]byte, 64<<10)
	}
	b := w.bodies[:n:n]
	w.bodies = w.bodies[n:]
	return b
}

// propose steps the batch, whose commands stand in s.claims from first on.
func (w *World) propose(s *server, first int) (at raft.Span) {
	if len(w.batch) == 0 {
		return at
	}
	w.Counts.Client++
	w.Counts.Events++
	in := raft.Event{Kind: raft.EventPropose, Now: s.clock.at(w.now), Proposals: w.batch}
	if err := s.node.Step(in, &s.out); err != nil {
		w.died(s, err)
		return at
	}
	at = s.out.Accepted
	if w.options.Trace != nil {
		w.tracef("propose %d on %d: %v", len(w.batch), s.id, at)
	}
	if at.Empty() {
		s.claims = s.claims[:first]
	} else {
		w.place(s, first, at)
	}
	w.carryOut(s)
	return at
}

// place notes where the commands of a batch stand. What a client waited for at
// these places before is gone.
func (w *World) place(s *server, first int, at raft.Span) {
	_, term := s.node.Leader()
	for i := first; i < len(s.claims); i++ {
		s.claims[i].index, s.claims[i].term = at.Lo+raft.Index(i-first), term
	}
	keep := first
	for keep > 0 && s.claims[keep-1].index >= at.Lo {
		keep--
	}
	s.claims = append(s.claims[:keep], s.claims[first:]...)
	limit := w.knobs.Core.MaxUncommittedBytes
	if have := s.node.Backlog(); limit > 0 && len(w.batch) == 1 && have > max(limit, 64+len(w.batch[0].Body)) {
		w.failf("I19: node %d accepted a proposal with %d bytes that are not committed, the limit is %d", s.id, have, limit)
	}
}

// read asks a node for a linearizable read.
func (w *World) read(s *server) {
	w.reads++
	id := w.reads
	w.group.ReadAsked(id)
	w.Counts.Client++
	w.Counts.Events++
	had := len(s.out.SendNow)
	if err := s.node.Step(raft.Event{Kind: raft.EventRead, Now: s.clock.at(w.now), ReadID: id}, &s.out); err != nil {
		w.died(s, err)
		return
	}
	r := reading{id: id}
	for i := had; i < len(s.out.SendNow); i++ {
		if m := &s.out.SendNow[i]; m.Kind == raft.MessageReadIndex {
			r.context = m.Context
		}
	}
	s.reading = append(s.reading, r)
	w.carryOut(s)
}

// granted takes a node's word about a read.
func (w *World) granted(s *server, g raft.ReadGrant) {
	for i := range s.reading {
		r := &s.reading[i]
		if r.id != g.ReadID || r.granted {
			continue
		}
		if g.Refused {
			w.group.ReadDropped(r.id)
			s.reading = append(s.reading[:i], s.reading[i+1:]...)
			return
		}
		if r.context == 0 {
			s.seen.ReadConfirmed(r.id, g.Index)
		}
		r.granted, r.index = true, g.Index
		w.serveReads(s)
		return
	}
	w.failf("node %d answers read %d twice, or one that nobody wanted", s.id, g.ReadID)
}

// confirmed: a leader tells a follower that its read may be served.
func (w *World) confirmed(s *server, m *raft.Message) {
	asker := w.servers[m.To-1]
	for i := range asker.reading {
		if r := &asker.reading[i]; r.context == m.Context && !r.granted {
			s.seen.ReadConfirmed(r.id, m.ReadIndex)
		}
	}
}

// serveReads answers those whose index the state machine has reached.
func (w *World) serveReads(s *server) {
	kept := s.reading[:0]
	for _, r := range s.reading {
		if !r.granted || r.index > s.machine.applied {
			kept = append(kept, r)
			continue
		}
		w.Counts.Reads++
		s.seen.ReadServed(r.id, r.index, false)
	}
	s.reading = kept
}

// leader is the node that leads the highest term, nil if none does.
func (w *World) leader() *server {
	var best *server
	for _, s := range w.servers {
		if s.node != nil && s.was.Role == raftpb.RoleLeader && (best == nil || s.was.Term > best.was.Term) {
			best = s
		}
	}
	return best
}
