package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// parcel is a message on its way, or one that waits for a write. Its memory is used
// again.
type parcel struct {
	message raft.Message
	entries []raft.Entry
	write   uint64 // that it waited for, as the observer knows it; 0: none
	boot    uint32 // of its sender
	image   *image // of the last message of a stream
	life    uint32 // of an answer: the boot of the one who asked; 0: not known
	copies  int32
}

// link is one direction between two nodes.
type link struct {
	cut  bool
	last Time // when the last message arrives
}

// callSlots is how many requests of a node may be open before the oldest is no
// longer watched.
const callSlots = 512

// answered requests are those that must be answered exactly once.
func isRequest(kind raft.MessageKind) bool {
	switch kind {
	case raft.MessageVote, raft.MessageAppend, raft.MessageBeat, raft.MessageReadIndex, raft.MessageTimeoutNow, raft.MessageSnapshot:
		return true
	default:
		return false
	}
}

// pack copies a message out of Effects.
func (w *World) pack(s *server, m *raft.Message) int32 {
	var slot int32
	if k := len(w.free); k > 0 {
		slot, w.free = w.free[k-1], w.free[:k-1]
	} else {
		slot = int32(len(w.parcels))
		w.parcels = append(w.parcels, new(parcel))
	}
	p := w.parcels[slot]
	p.entries = append(p.entries[:0], m.Entries...)
	p.message = *m
	p.message.Entries = p.entries
	p.write, p.boot, p.copies, p.image, p.life = 0, s.boot, 1, nil, 0
	if m.Call != 0 {
		p.life = s.askedBy[m.Call%callSlots]
	}
	return slot
}

func (w *World) drop(slot int32) {
	p := w.parcels[slot]
	if p.copies--; p.copies <= 0 {
		w.free = append(w.free, slot)
	}
}

// leaves sends a message that waits for nothing.
func (w *World) leaves(s *server, m *raft.Message) { w.send(s, w.pack(s, m)) }

// gate keeps a message until its write is durable.
func (w *World) gate(s *server, g *raft.Gated) {
	slot := w.pack(s, &g.Message)
	w.parcels[slot].write = writeID(s, g.WriteID)
	for i := s.queue.len() - 1; i >= 0; i-- {
		if wr := s.queue.at(i); wr.id == g.WriteID {
			wr.gated = append(wr.gated, slot)
			return
		}
	}
	if g.WriteID > s.done {
		w.failf("node %d: %v waits for write %d, which is unknown", s.id, g.Message.Kind, g.WriteID)
		return
	}
	w.send(s, slot) // it completed since the step
}

// send puts a message on its link. What it promises must be on the disk now.
func (w *World) send(s *server, slot int32) {
	p := w.parcels[slot]
	m := &p.message
	w.sawSent(s, p)
	if m.Call != 0 {
		if at := &s.calls[m.Call%callSlots]; *at == m.Call {
			*at = 0
		} else if m.Call > s.forgotten {
			w.failf("node %d: %v answers call %d, which is answered or unknown", s.id, m.Kind, m.Call)
		}
	}
	if m.To < 1 || int(m.To) > len(w.servers) {
		w.drop(slot)
		return
	}
	l := &w.links[s.index][m.To-1]
	copies := 1
	if !w.calm {
		if w.strikes(loss, w.knobs.Loss, &w.network) {
			copies = 0
		} else if w.strikes(duplicate, w.knobs.Dup, &w.network) {
			copies = 2
		}
	}
	if copies == 0 {
		w.lost(s, m.To)
	}
	p.copies = int32(max(copies, 1))
	if copies == 0 {
		w.drop(slot)
		return
	}
	for range copies {
		at := w.now + 1 + w.knobs.MinDelay + Time(w.network.N(int64(w.knobs.MoreDelay)))
		if !w.calm && w.strikes(late, w.knobs.Heavy, &w.network) {
			at += Time(w.network.N(int64(10 * Election)))
		} else if !w.knobs.Reorder {
			at = max(at, l.last)
			l.last = at
		}
		w.push(at, event{kind: eventDeliver, node: int8(m.To - 1), slot: slot, gen: 0})
	}
}

// lost tells the sender that what it sent may be lost, if its network notices.
func (w *World) lost(s *server, to raft.NodeID) {
	if s.node != nil && s.pausedUntil <= w.now && w.network.Chance(w.knobs.Unreachable) {
		s.unreachable |= 1 << to
	}
}

// deliver hands a message over, as a call of its own each time.
func (w *World) deliver(s *server, slot int32) {
	p := w.parcels[slot]
	m := &p.message
	from := w.servers[m.From-1]
	switch {
	case s.node == nil || w.links[from.index][s.index].cut:
		w.lost(from, s.id)
		w.drop(slot)
		w.report(from)
		return
	case from.muted >= p.boot, p.life != 0 && p.life <= s.lostLife:
		w.drop(slot)
		return
	}
	w.Counts.Deliveries++
	m.Call = 0
	if w.options.Trace != nil {
		w.traceMessage(m)
	}
	in := raft.Event{Kind: raft.EventMessage, Message: m}
	lies := false
	if w.knobs.Odd.Forge > 0 && !w.calm && w.strikes(forge, w.knobs.Odd.Forge, &w.odd) {
		w.lie, lies = w.forged(s, m)
	}
	if !lies && w.knobs.Mangle > 0 && !w.calm && w.strikes(mangle, w.knobs.Mangle, &w.network) {
		w.lie, lies = w.mangled(m), true
	}
	if lies {
		in.Message = &w.lie
	} else {
		w.sawDelivered(s, from, p)
		switch {
		case m.Kind == raft.MessageSnapshot && m.Done:
			s.received = p.image
		case m.Kind == raft.MessageSnapshotAnswer:
			w.streamAnswered(s, m)
		}
	}
	if isRequest(in.Message.Kind) {
		w.calls++
		in.Message.Call = w.calls
		at := &s.calls[w.calls%callSlots]
		s.forgotten = max(s.forgotten, *at)
		*at = w.calls
		s.askedBy[w.calls%callSlots] = p.boot
	}
	s.cause = m
	w.step(s, &in)
	s.cause = nil
	w.drop(slot)
	w.report(s)
}

// report steps what the network noticed, outside of any other step.
func (w *World) report(s *server) {
	for s.node != nil && s.unreachable != 0 {
		to := raft.NodeID(1)
		for s.unreachable>>to&1 == 0 {
			to++
		}
		s.unreachable &^= 1 << to
		w.step(s, &raft.Event{Kind: raft.EventUnreachable, Peer: to})
	}
}
