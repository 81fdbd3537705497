package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// Priorities say who should lead if all else is equal. They are a wish, and cost
// no liveness: everybody still campaigns within the election time-out, whoever has
// the longer log wins, and a leader yields only to a voter that lacks little.
//
//	0          E/2           3E/4            E
//	            |  the highest  |  all others  |     who is silent how long
//	            |       all, if equal          |

// electionWait is between which two times a node waits for a leader.
func (n *Node) electionWait() (least, most Time) {
	e := n.election
	least, most = e/2, e
	switch n.rank {
	case rankHighest:
		most = e - e/4
	case rankLower:
		least = e - e/4
	}
	return least, most
}

// rank is where a node's priority stands among those that may lead.
type rank uint8

const (
	rankEqual   rank = iota // all are equal, or this node may not lead
	rankHighest             // nobody is above, some are below
	rankLower               // somebody is above
)

// setRank compares this node's priority with the others'.
func (n *Node) setRank() {
	n.rank = rankEqual
	if n.self < 0 || !n.mayLead(n.self) {
		return
	}
	own := n.members[n.self].priority
	for i := range n.members {
		if !n.mayLead(i) {
			continue
		}
		switch p := n.members[i].priority; {
		case p > own:
			n.rank = rankLower
			return
		case p < own:
			n.rank = rankHighest
		}
	}
}

// yield hands over to a voter of a higher priority that could lead as well. Each
// time that this leads to nothing the next try waits twice as long: a voter that
// cannot win must not cost one leadership after the other.
func (n *Node) yield(out *Effects) {
	if n.rank != rankLower || n.now < n.yieldAt || n.transfer.target != 0 || n.log.commit < n.termStart ||
		n.change.active || n.inForce().Index > n.log.commit || len(n.conf.Outgoing) > 0 {
		return
	}
	best, bound := -1, CatchUp{}.withDefaults(0)
	for i := range n.members {
		p := &n.members[i]
		if !n.mayLead(i) || p.priority <= n.members[n.self].priority || p.state != raftpb.ProgressStateReplicate ||
			n.now-p.contact >= n.election/2 || !n.near(p, bound) {
			continue
		}
		if best < 0 || p.priority > n.members[best].priority {
			best = i
		}
	}
	if best >= 0 {
		n.mark(MarkYield)
		n.startTransfer(transfer{target: n.members[best].id}, out)
	}
}

// judgePriority learns from how a transfer ended when to yield again.
func (n *Node) judgePriority(t *transfer, why Refusal) {
	if why == RefusalNone {
		n.yieldWait = 0
		return
	}
	if !t.asked && !t.leaving {
		n.mark(MarkYieldAgain)
	}
	e := n.election
	n.yieldWait = min(max(2*n.yieldWait, 2*e), 64*e)
	n.yieldAt = n.now + n.yieldWait
}
