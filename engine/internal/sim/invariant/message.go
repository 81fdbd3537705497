package invariant

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// ClaimKind says what a message claims of its sender.
type ClaimKind uint8

// The claims. Messages that claim nothing need not be told of.
const (
	VoteAsk ClaimKind = iota + 1 // it is a candidate of Term
	Vote                         // it voted for the receiver in Term
	PreVote                      // it would
	Ack                          // in Term it holds the receiver's log up to Index, durably
	Beat                         // it obeys the receiver in Term
	TimeOut                      // the receiver, which holds all of the log, shall campaign
)

// Claim is what a message says. Write names the write that it had to wait for, 0 if
// none. Round is the round of the leader that an Ack or Beat answers, 0 if none.
type Claim struct {
	Kind  ClaimKind
	To    raftpb.NodeID
	Term  raftpb.Term
	Index raftpb.Index
	Write uint64
	Round int64
}

// heard is what a leader has got from one follower.
type heard struct {
	term   raftpb.Term
	acked  raftpb.Index // the highest, in term
	asked  uint64       // when the newest round was sent that it answered
	match  raftpb.Index // what the leader made of it
	config raftpb.Index // in force when match was told
}

// round: the leader sent it first at that step.
type round struct {
	number int64
	term   raftpb.Term
	step   uint64
}

// Sent judges a message when it leaves: what it claims must be backed by the disk
// (I9), its write must be done (I18), and a node in doubt promises nothing (I21).
// Whether the network then loses it does not matter.
func (n *Node) Sent(c *Claim) {
	n.tick()
	if d := &n.disk; c.Write > d.wrote {
		n.report(I18, c.Index, c.Term, "a message leaves before write %d, for which it had to wait (done: %d)", c.Write, d.wrote)
	}
	if n.doubt && (c.Kind != Ack || c.Index >= n.doubtFrom) && c.Kind != Beat {
		n.report(I21, c.Index, c.Term, "it promises something while its disk is in doubt from %d on", n.doubtFrom)
	}
	switch c.Kind {
	case VoteAsk:
		if !n.onDisk(c, n.id) {
			n.report(I9, 0, c.Term, "it asks for votes in term %d before its own is on its disk", c.Term)
		}
	case Vote:
		if !n.onDisk(c, c.To) {
			n.report(I9, 0, c.Term, "it gives node %d a vote in term %d that is not on its disk", c.To, c.Term)
		}
	case Ack:
		n.checkAck(c)
	case TimeOut:
		n.handed, n.lease = c.Term, 0
	case PreVote, Beat:
	}
}

// onDisk: the vote of c is there, or the disk is in a later term. A vote that never
// was on the disk by itself cannot then be given a second time.
func (n *Node) onDisk(c *Claim, to raftpb.NodeID) bool {
	given := n.group.votes[ballot{c.Term, n.slot}]
	return given == to || given == 0 && n.disk.term > c.Term
}

func (n *Node) checkAck(c *Claim) {
	g, d := n.group, &n.disk
	if d.term < c.Term {
		n.report(I9, c.Index, c.Term, "it acknowledges in term %d and its disk is in term %d", c.Term, d.term)
	}
	if c.Term < n.term || c.Term < d.term { // an answer of the past: its own write tells how far it may go
		for _, w := range n.done {
			if c.Write != 0 && w.id == c.Write && w.last < c.Index {
				n.report(I9, c.Index, c.Term, "it acknowledges %d and its disk held %d with the write that this waited for", c.Index, w.last)
			}
		}
		return
	}
	at, ok := d.log.at(g, c.Index)
	leader := g.leaders[c.Term]
	switch {
	case !ok:
		n.report(I9, c.Index, c.Term, "it acknowledges %d and its disk holds %d", c.Index, d.log.last())
	case leader == nil:
		n.report(I9, c.Index, c.Term, "it acknowledges in term %d, which nobody leads", c.Term)
	case leader.term == c.Term && leader.role == raftpb.RoleLeader && !leader.log.holds(g, c.Index, at):
		n.report(I9, c.Index, c.Term, "it acknowledges %d and its disk holds another entry there than its leader has", c.Index)
	}
	if n.promised.term != c.Term {
		n.promised = place{0, c.Term}
	}
	n.promised.index = max(n.promised.index, c.Index)
}

// Delivered takes note that c, sent by another node, is about to be handled by n.
func (n *Node) Delivered(from *Node, c *Claim) {
	n.tick()
	h := &n.heard[from.slot]
	switch c.Kind {
	case Vote:
		if c.Term > n.ballotsOf {
			n.ballotsOf, n.ballots = c.Term, 0
		}
		if c.Term == n.ballotsOf {
			n.ballots |= 1 << from.slot
		}
	case Ack, Beat:
		if c.Term < h.term {
			return
		}
		if c.Term > h.term {
			*h = heard{term: c.Term}
		}
		if c.Kind == Ack {
			h.acked = max(h.acked, c.Index)
		}
		if c.Round != 0 && len(n.rounds) > 0 {
			if r := &n.rounds[c.Round&(MaxRounds-1)]; r.number == c.Round && r.term == c.Term {
				h.asked = max(h.asked, r.step)
			}
		}
	case VoteAsk, PreVote, TimeOut:
	}
}

// RoundSent takes note that a leader sends round number of term to somebody.
func (n *Node) RoundSent(term raftpb.Term, number int64) {
	n.tick()
	if n.rounds == nil {
		n.rounds = make([]round, MaxRounds)
	}
	if r := &n.rounds[number&(MaxRounds-1)]; r.number != number || r.term != term {
		*r = round{number, term, n.group.observer.step}
	}
}

// Progress is a leader's view of one follower.
type Progress struct {
	Match, Next      raftpb.Index
	InflightMessages int
	InflightBytes    int64
}

// Progressed compares a leader's view of a follower with what the follower told it
// (I7), its view of itself with its disk (I9), and both with the limits (I8). Call
// it after Observe.
func (n *Node) Progressed(peer *Node, p Progress) {
	n.tick()
	g, l, h := n.group, &n.group.observer.options.Limits, &n.heard[peer.slot]
	if h.term != n.term {
		*h = heard{term: n.term}
	}
	if peer.losses > 0 && p.Match == 0 { // it said so, once or more often
		h.match = 0
	}
	if in := n.config().index; h.config != in {
		// It may have been no member for a while: what it had acknowledged was forgotten then, and the first that counts
		// again may be a late answer of before.
		h.match = min(h.match, p.Match)
		h.config = in
	}
	at, ok := n.log.at(g, p.Match)
	switch {
	case peer == n && (!ok || !n.disk.log.holds(g, p.Match, at)):
		n.report(I9, p.Match, n.term, "it counts itself up to %d and its disk holds %d", p.Match, n.disk.log.last())
	case peer != n && p.Match > h.acked:
		n.report(I7, p.Match, n.term, "it takes node %d to match up to %d, which acknowledged %d", peer.id, p.Match, h.acked)
	case p.Match < h.match:
		n.report(I7, p.Match, n.term, "what node %d matches falls from %d to %d", peer.id, h.match, p.Match)
	}
	h.match = max(h.match, p.Match)
	if p.Match < 0 || p.Next <= p.Match {
		n.report(I8, p.Match, n.term, "node %d matches up to %d and is sent %d next", peer.id, p.Match, p.Next)
	}
	if l.InflightMessages > 0 && p.InflightMessages > l.InflightMessages || l.InflightBytes > 0 && p.InflightBytes > l.InflightBytes {
		n.report(I8, p.Next, n.term, "%d appends, %d bytes, are in flight to node %d", p.InflightMessages, p.InflightBytes, peer.id)
	}
}
