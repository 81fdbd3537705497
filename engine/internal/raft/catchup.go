package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// Defaults of the fields of CatchUp.
const (
	DefaultCatchUpEntries = 1000
	DefaultCatchUpBytes   = 1 << 20
)

// CatchUp says when a new voter may count. Before, it is a learner: it gets the
// log, and the others decide without it. Otherwise a group that adds a voter
// could commit nothing until that one has all.
//
// It catches up in rounds: a round is over when it has what the leader's log held
// at its start, and the last one is the first at whose end it lacks little. Zero
// fields mean the defaults.
type CatchUp struct {
	Skip       bool  // new voters count at once
	LagEntries Index // at most so many entries
	LagBytes   int   // and so many bytes, at the end of a round; more than Config.TailBytes is never little
	// Patience is how long a new voter may get nothing new before the change is given
	// up; it stays a learner then. Default: ten election time-outs.
	Patience Time
}

func (c CatchUp) withDefaults(election Time) CatchUp {
	if c.LagEntries == 0 {
		c.LagEntries = DefaultCatchUpEntries
	}
	if c.LagBytes == 0 {
		c.LagBytes = DefaultCatchUpBytes
	}
	if c.Patience == 0 {
		c.Patience = 10 * election
	}
	return c
}

// catchUpRound is where a new voter stands.
type catchUpRound struct {
	id    NodeID
	end   Index // the round is over when it matches up to here
	match Index
	moved Time // when match rose
}

// startCatchUp makes learners of the new voters and begins to wait for them;
// false: nobody is new. A witness is not waited for: all it needs is small.
func (n *Node) startCatchUp(out *Effects) bool {
	c := &n.change
	for i := range c.target.Incoming {
		m := &c.target.Incoming[i]
		if m.Suffrage == raftpb.SuffrageVoter && !votesIn(&n.conf, m.ID) {
			c.rounds = append(c.rounds, catchUpRound{id: m.ID, end: n.log.last, moved: n.now})
		}
	}
	if len(c.rounds) == 0 {
		return false
	}
	c.waiting = true
	n.mark(MarkCatchUpStarted)
	if first, some := withLearners(&n.conf, &c.target); some {
		n.appendConfiguration(&first, out)
	} else {
		n.mark(MarkCatchUpKnown)
	}
	return true
}

// watchCatchUp goes on with the change when all new voters have caught up, and
// gives it up when one of them gets nothing new.
func (n *Node) watchCatchUp(out *Effects) {
	c := &n.change
	ready := true
	for i := range c.rounds {
		r := &c.rounds[i]
		p := &n.members[n.position(r.id)]
		if p.match > r.match {
			r.match, r.moved = p.match, n.now
		}
		if p.state == raftpb.ProgressStateSnapshot {
			n.mark(MarkCatchUpSnapshot)
			r.moved = max(r.moved, p.contact) // a snapshot moves nothing until it is installed
		}
		switch {
		case p.match >= r.end && n.near(p, c.catchUp):
			continue
		case p.match >= r.end:
			n.mark(MarkCatchUpAgain)
			r.end = n.log.last
		case n.now-r.moved >= c.catchUp.Patience:
			n.mark(MarkCatchUpGivenUp)
			n.endChange(RefusalLagging, out)
			return
		}
		ready = false
	}
	if ready {
		n.mark(MarkCatchUpDone)
		n.enterTarget(out)
	}
}

// near reports whether p lacks little of the log. What is not in memory is much.
func (n *Node) near(p *progress, bound CatchUp) bool {
	from, t := p.match+1, &n.log.tail
	return n.log.last-p.match <= bound.LagEntries && from >= t.lo && t.bytes(from, t.hi) <= bound.LagBytes
}
