package bare

import "github.com/seed-814fcd60/raftwire/engine/internal/raft"

// damage loses what a crashed node's disk had, in one place of the group at a time:
// more would be more than any group survives. The node is told so when it starts.
func (w *World) damage(s *server) {
	if w.calm || s.node != nil || w.knobs.Nodes < 3 || !w.strikes(damage, w.knobs.Damage, &w.process) {
		return
	}
	for _, other := range w.servers {
		if other.doubtFrom != 0 {
			return
		}
	}
	d := &s.disk
	s.scratched = raft.Span{}
	from := d.base + 1 + raft.Index(w.disk.N(int64(len(d.entries))+1))
	if w.disk.Intn(3) == 0 {
		*d = disk{entries: d.entries[:0]}
		from = 1
	}
	d.entries = d.entries[:from-d.base-1]
	if im := d.snapshot; im != nil && d.LastIndex() < im.is.Index {
		d.install(im) // what it covers is not lost
		from = im.is.Index + 1
	}
	s.machine.forget()
	s.doubtFrom, s.damaged, s.lostLife = from, true, s.boot
	if from == 1 || w.disk.Intn(2) == 0 {
		s.voteDoubt = true
		last, _ := d.Term(d.LastIndex())
		d.hard = raft.HardState{Term: last + raft.Term(w.disk.N(int64(max(d.hard.Term-last, 0))+1))}
		if w.odd.Intn(4) == 0 {
			d.hard.Term = raft.Term(w.odd.N(int64(last) + 1)) // it is older than what the log proves
		}
	}
	d.hard.Commit = min(d.hard.Commit, from-1)
	w.Counts.Damages++
	if w.options.Trace != nil {
		w.tracef("damage %d from %d on, term and vote too: %v", s.id, from, s.voteDoubt)
	}
}

// repaired: the node needs no more doubts.
func (w *World) repaired(s *server) {
	s.doubtFrom, s.voteDoubt = 0, false
	w.Counts.Repairs++
}

// leases notes until when the node believes that it may serve reads by itself.
func (w *World) leases(s *server, until Time) {
	if w.knobs.Core.ClockBound == 0 || until == s.leaseUntil {
		return
	}
	s.leaseUntil = until
	if until == 0 {
		s.seen.Lease(int64(w.now), 0)
		return
	}
	s.seen.Lease(int64(w.now), int64(s.clock.when(until))-2) // when is a little late
}

// readByLease serves a read without a round, if the node may.
func (w *World) readByLease(s *server) bool {
	if s.clock.at(w.now) >= s.leaseUntil || s.stateless {
		return false
	}
	w.reads++
	w.Counts.LeaseReads++
	w.group.ReadAsked(w.reads)
	s.seen.ReadServed(w.reads, s.machine.applied, true)
	w.verdict()
	return true
}

// parted tells two nodes that they have lost each other, as their hosts notice: a
// group that sleeps relies on it.
func (w *World) parted(a, b *server) {
	if w.knobs.Core.QuiesceAfter == 0 {
		return
	}
	for _, s := range []*server{a, b} {
		if s.node != nil && s.pausedUntil <= w.now {
			other := a.id + b.id - s.id
			w.step(s, &raft.Event{Kind: raft.EventUnreachable, Peer: other})
		}
	}
}

// fellAsleep tells a node again whom its host cannot reach.
func (w *World) fellAsleep(s *server) {
	for _, other := range w.servers {
		if other != s && s.node != nil && (other.node == nil || w.links[s.index][other.index].cut || w.links[other.index][s.index].cut) {
			w.step(s, &raft.Event{Kind: raft.EventUnreachable, Peer: other.id})
		}
	}
}

// stall tells a node that its disk has been busy for too long.
func (w *World) stall(s *server) {
	if s.queue.len() == 0 || s.stalled || s.syncedAt != 0 && w.now-s.syncedAt < Election/4 {
		return
	}
	s.stalled = true
	w.step(s, &raft.Event{Kind: raft.EventDiskStalled})
}
