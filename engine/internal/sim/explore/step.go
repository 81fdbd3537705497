package explore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// expand puts all states one step away, that are new, on the stack.
func (s *Search) expand(w *state) {
	begin := len(s.stack)
	for i := range w.places {
		s.atNode(w, i)
	}
	for k, m := range w.network {
		if k > 0 && w.network[k-1].digest == m.digest {
			continue // the same message twice
		}
		gone := w.without(k)
		s.deliver(w, gone, m, left{})
		if w.left.losses > 0 {
			gone.left.losses--
			s.keep(gone, w, "lost", m)
		}
		if w.left.doubles > 0 {
			s.deliver(w, w, m, left{doubles: 1})
		}
	}
	for k := len(s.stack) - 1; k > begin; k-- {
		j := begin + s.random.Intn(k-begin+1)
		s.stack[k], s.stack[j] = s.stack[j], s.stack[k]
	}
}

// atNode tries what can happen at a node without a message.
func (s *Search) atNode(w *state, i int) {
	p := w.places[i]
	role, term := p.node.Role(), p.node.Glance().Term
	if term < s.scope.Terms && role != raftpb.RoleLeader {
		s.step(w, i, &raft.Event{Kind: raft.EventCampaign}, left{}, "campaigns")
	}
	if role == raftpb.RoleLeader && w.left.commands > 0 {
		e := raft.Entry{Kind: raftpb.EntryKindCommand, Crc32c: int64(w.left.commands)}
		s.step(w, i, &raft.Event{Kind: raft.EventPropose, Proposals: []raft.Entry{e}}, left{commands: 1}, "is asked for a command")
	}
	if role == raftpb.RoleLeader && w.left.beats > 0 {
		s.step(w, i, &raft.Event{Kind: raft.EventTimer, Now: farAway}, left{beats: 1}, "beats")
	}
	if len(p.queue) > 0 {
		s.persist(w, i)
	}
	if w.left.crashes > 0 {
		for survive := range len(p.queue) + 1 {
			s.crash(w, i, survive)
		}
	}
}

// farAway is when every timer is due. Times are no part of a state, so that a beat is
// possible again and again.
const farAway raft.Time = 1 << 50

// copyOf is a state that shares everything with w, ready to be changed.
func (w *state) copyOf() *state {
	c := *w
	c.places = slices.Clone(w.places)
	c.network = slices.Clone(w.network)
	return &c
}

// without is w, less a message.
func (w *state) without(k int) *state {
	c := w.copyOf()
	c.network = slices.Delete(c.network, k, k+1)
	return c
}

// keep puts a state on the stack if it is new.
func (s *Search) keep(c, from *state, what string, m *message) {
	if s.Steps++; !s.isNew(c) {
		return
	}
	text := what
	if m != nil {
		text = fmt.Sprintf("%s: %s", what, describe(m))
	}
	c.path = &step{from.path, text}
	s.stack = append(s.stack, c)
}

func describe(m *message) string {
	return fmt.Sprintf("%d -> %d %v term %d, prev %d, matched %d, status %d, commit %d, %d entries, granted %v",
		m.From, m.To, m.Kind, m.Term, m.PrevIndex, m.Matched, m.Status, m.Commit, len(m.Entries), m.Granted)
}

func (s *Search) deliver(from, w *state, m *message, uses left) {
	in := m.Message
	s.stepFrom(from, w, int(m.To-1), &raft.Event{Kind: raft.EventMessage, Message: &in}, uses, "", m)
}

func (s *Search) step(w *state, i int, in *raft.Event, uses left, what string) {
	s.stepFrom(w, w, i, in, uses, fmt.Sprintf("node %d %s", i+1, what), nil)
}

// stepFrom lets node i of w take an event. from is the state before.
func (s *Search) stepFrom(from, w *state, i int, in *raft.Event, uses left, what string, m *message) {
	c := w.copyOf()
	c.left.commands -= uses.commands
	c.left.beats -= uses.beats
	c.left.doubles -= uses.doubles
	p := w.places[i]
	node := p.node.Clone(p.disk)
	if !s.run(c, from, i, node, p.disk, p.queue, in) {
		return
	}
	if m != nil {
		what = "delivered"
	}
	s.keep(c, from, what, m)
}

// run steps a node that is not shared yet, and puts it in its place with what it wants
// to have done. What is committed is applied at once.
func (s *Search) run(c, from *state, i int, node *raft.Node, d *disk, queue []*write, in *raft.Event) bool {
	before := node.Role()
	queue = slices.Clone(queue)
	for {
		s.out.Reset()
		if err := node.Step(*in, &s.out); err != nil {
			s.fail(from, "node %d: %v", i+1, err)
			return false
		}
		if s.out.WriteID != 0 {
			queue = append(queue, s.written())
		}
		for k := range s.out.SendNow {
			c.send(packed(&s.out.SendNow[k]))
		}
		s.gate(c, queue)
		if !s.judge(c, from, i, node, d, before) {
			return false
		}
		if s.out.Commit.Empty() {
			break
		}
		in = &raft.Event{Kind: raft.EventApplied, Applied: s.out.Commit.Hi - 1}
		before = node.Role()
	}
	c.places[i] = sealed(node, d, queue)
	return true
}

// gate keeps messages with the write that they wait for; what waits for a write that
// is done leaves.
func (s *Search) gate(c *state, queue []*write) {
	for k := range s.out.SendAfter {
		g := &s.out.SendAfter[k]
		at := slices.IndexFunc(queue, func(w *write) bool { return w.id == g.WriteID })
		if at < 0 {
			c.send(packed(&g.Message))
			continue
		}
		w := *queue[at]
		w.gated = append(slices.Clip(w.gated), packed(&g.Message))
		queue[at] = w.sealed()
	}
}

// send puts a message on the network, which has them by rising digest.
func (w *state) send(m *message) {
	at, _ := slices.BinarySearchFunc(w.network, m, func(a, b *message) int { return cmp.Compare(a.digest, b.digest) })
	w.network = slices.Insert(w.network, at, m)
}

// packed copies a message out of Effects.
func packed(m *raft.Message) *message {
	p := &message{Message: *m}
	p.Entries = slices.Clone(m.Entries)
	var h schedule.Hash
	for _, v := range []uint64{
		uint64(m.Kind), uint64(m.From), uint64(m.To), uint64(m.Term), uint64(m.LastIndex), uint64(m.LastTerm), uint64(m.AskedTerm),
		uint64(m.PrevIndex), uint64(m.PrevTerm), uint64(m.Commit), uint64(m.Round), uint64(m.Status), uint64(m.Matched),
		uint64(m.ConflictTerm), uint64(m.ConflictIndex), uint64(m.LogLast), uint64(m.Reason),
	} {
		h.Add(v)
	}
	if m.Granted {
		h.Add(1)
	}
	for i := range m.Entries {
		h.Add(uint64(m.Entries[i].Term)<<32 ^ uint64(m.Entries[i].Crc32c))
	}
	p.digest = uint64(h)
	return p
}

// written copies the write of the Effects.
func (s *Search) written() *write {
	w := write{id: s.out.WriteID, epoch: s.out.Epoch, truncate: s.out.TruncateFrom, entries: slices.Clone(s.out.Append)}
	if s.out.HardState != nil {
		hard := *s.out.HardState
		w.hard = &hard
	}
	return w.sealed()
}

// sealed gives the write its digest. Its number is no part of it.
func (w write) sealed() *write {
	var h schedule.Hash
	if w.hard != nil {
		h.Add(uint64(w.hard.Term))
		h.Add(uint64(w.hard.Vote))
		h.Add(uint64(w.hard.Commit))
	}
	h.Add(uint64(w.truncate))
	for i := range w.entries {
		h.Add(uint64(w.entries[i].Term)<<32 ^ uint64(w.entries[i].Crc32c))
	}
	for _, m := range w.gated {
		h.Add(m.digest)
	}
	w.digest = uint64(h)
	return &w
}

// persist completes the oldest write of node i.
func (s *Search) persist(w *state, i int) {
	p := w.places[i]
	c := w.copyOf()
	done := p.queue[0]
	d := p.disk.with(done)
	for _, m := range done.gated {
		if !s.promises(w, i, d, m) {
			return
		}
		c.send(m)
	}
	in := &raft.Event{Kind: raft.EventPersisted, WriteID: done.id, Epoch: done.epoch}
	if s.run(c, w, i, p.node.Clone(d), d, p.queue[1:], in) {
		s.keep(c, w, fmt.Sprintf("node %d: its disk has a write", i+1), nil)
	}
}

// crash stops node i and starts it again; the first few of its writes survive.
func (s *Search) crash(w *state, i, survive int) {
	p := w.places[i]
	c := w.copyOf()
	c.left.crashes--
	d := p.disk
	for _, done := range p.queue[:survive] {
		d = d.with(done)
	}
	node, err := s.boot(p.node.Status().ID, d)
	if err != nil {
		s.fail(w, "node %d starts again: %v", i+1, err)
		return
	}
	c.places[i] = sealed(node, d, nil)
	s.keep(c, w, fmt.Sprintf("node %d crashes, %d of %d writes survive", i+1, survive, len(p.queue)), nil)
}
