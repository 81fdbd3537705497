package invariant

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// read is a read that somebody waits for.
type read struct {
	floor raftpb.Index // what a client had been told before it asked
	asked uint64
}

// ClientAcked takes note that a client was told that its command at i is applied.
func (g *Group) ClientAcked(i raftpb.Index) {
	g.observer.step++
	g.acked = max(g.acked, i)
}

// ReadAsked takes note that a client asks for a read, under an id of the caller's.
func (g *Group) ReadAsked(id uint64) {
	g.observer.step++
	g.reads[id] = read{g.acked, g.observer.step}
}

// ReadDropped forgets a read that will not be served.
func (g *Group) ReadDropped(id uint64) { delete(g.reads, id) }

// ReadConfirmed takes note that leader n answers read id with index i, after a round
// (I13). Call it after Observe of the same event.
func (n *Node) ReadConfirmed(id uint64, i raftpb.Index) {
	n.tick()
	g := n.group
	r, ok := g.reads[id]
	if !ok {
		n.report(I13, i, n.term, "it confirms read %d, for which nobody waits", id)
		return
	}
	confirmed := uint64(1) << n.slot
	for _, m := range g.nodes {
		if h := &n.heard[m.slot]; h.term == n.term && h.asked > r.asked {
			confirmed |= 1 << m.slot
		}
	}
	// A step that confirms a read may end with another configuration in force, or with the
	// leadership handed over.
	c, was := g.configs[n.inForce], g.configs[n.before]
	if n.role != raftpb.RoleLeader && !n.led || !c.quorum(confirmed) && !was.quorum(confirmed) {
		n.report(I13, i, n.term, "it confirms a read by %b of voters %b, outgoing %b: no quorum answered a round sent after the read came", confirmed, c.voters, c.outgoing)
	}
	if at, ok := n.log.at(g, n.commit); !ok || at.term != n.term {
		n.report(I13, i, n.term, "it confirms a read before it has committed in its own term")
	}
	if i < r.floor {
		n.report(I13, i, n.term, "it confirms a read at %d; a client knew of %d before it asked", i, r.floor)
	}
}

// ReadServed takes note that the client of read id gets an answer from n's state
// machine, by read index i (I13) or by a lease (I14). The read is then done.
func (n *Node) ReadServed(id uint64, i raftpb.Index, byLease bool) {
	n.tick()
	g := n.group
	r, ok := g.reads[id]
	delete(g.reads, id)
	rule := I13
	if byLease {
		rule = I14
	}
	if byLease && n.handed == n.term && n.term != 0 {
		n.report(I14, i, n.term, "it serves a read by its lease after it told another node to campaign in this term")
	}
	switch {
	case byLease && g.observer.options.SkewBeyondBound:
	case !ok:
		n.report(rule, i, n.term, "it serves read %d, for which nobody waits", id)
	case i < r.floor:
		n.report(rule, i, n.term, "it serves a read at %d; a client knew of %d before it asked", i, r.floor)
	case max(n.machine, n.applied) < i:
		n.report(rule, i, n.term, "it serves a read at %d and has applied %d", i, max(n.machine, n.applied))
	}
}

// Lease takes note that at the true instant now, in nanoseconds of the simulation,
// the node believes that it may serve lease reads until the instant until; until <=
// now: it does not. Tell of every change (I14).
func (n *Node) Lease(now, until int64) {
	n.tick()
	n.lease = until
	if until <= now {
		return
	}
	if n.handed == n.term && n.term != 0 {
		n.report(I14, 0, n.term, "it believes in a lease after it told another node to campaign in this term")
	}
	if n.group.observer.options.SkewBeyondBound {
		return
	}
	for _, m := range n.group.nodes {
		if m != n && m.lease > now {
			n.report(I14, 0, n.term, "it believes in a lease at %d ns while node %d does until %d ns", now, m.id, m.lease)
		}
	}
}
