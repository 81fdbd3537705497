package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A group that has nothing to do sleeps: no beats, no election timers. The leader
// offers it with its beats when everybody has everything; a follower that agrees
// stops its timer, and once all agree the leader stops its beats.
//
// Whatever happens to a member then wakes it: a proposal, a read, a message, the
// driver's word that a peer cannot be reached. A sleeping follower takes its leader
// for alive until it hears of its loss: so one member that wakes, because it was
// restarted, wakes the leader by asking for votes and does not depose it.
//
// Sleep costs no safety: it only means that timers fire later, which Raft allows.
type quiesce struct {
	activeAt Time  // the last time that there was something to do
	offered  int64 // the first round that offers sleep; 0: none
	asleep   bool
}

// stirred notes that this node has something to do: it wakes, and the leader takes
// back its offer.
func (n *Node) stirred() {
	q := &n.quiesce
	q.activeAt = n.now
	if q.offered != 0 {
		if !q.asleep {
			n.mark(MarkQuiesceCalledOff)
		}
		q.offered = 0
	}
}

// wake ends the sleep of this node. Nobody is held for lost for having been silent
// in it.
func (n *Node) wake(by Mark, out *Effects) {
	if !n.quiesce.asleep {
		return
	}
	n.mark(by)
	n.quiesce.asleep = false
	out.fact(Fact{Kind: FactWoken, Term: n.term, Peer: n.leader})
	if n.role != raftpb.RoleLeader {
		n.leaderHeard = n.now
		n.resetElectionTimer()
		return
	}
	for i := range n.members {
		n.members[i].contact = n.now
	}
	n.quorumAt = n.now + n.election
	n.beatAt = n.now
}

// offerSleep reports whether the beats of this round may say that the group sleeps:
// it has had nothing to do for long enough, and everybody has everything.
func (n *Node) offerSleep() bool {
	q := &n.quiesce
	if n.cfg.QuiesceAfter == 0 || n.now-q.activeAt < n.cfg.QuiesceAfter || !n.idle() {
		q.offered = 0
		return false
	}
	if q.offered == 0 {
		n.mark(MarkQuiesceOffered)
		q.offered = n.reads.round
	}
	return true
}

// idle reports whether nothing is left to be done for anybody.
func (n *Node) idle() bool {
	l := &n.log
	if l.commit != l.last || l.durable != l.last || len(n.reads.waiting) > 0 || n.change.active ||
		n.transfer.target != 0 || len(n.conf.Outgoing) > 0 || n.rank == rankLower {
		return false
	}
	for i := range n.members {
		p := &n.members[i]
		if i != n.self && (p.state != raftpb.ProgressStateReplicate || p.match != l.last || p.inflight.count > 0) {
			return false
		}
	}
	return true
}

// agreeToSleep is a follower's answer to an offer: it agrees if it lacks nothing and
// wants nothing. An offer that comes late lies: the leader has gone on since.
func (n *Node) agreeToSleep(m *Message, out *Effects) bool {
	if m.Round < n.beatRound {
		n.mark(MarkQuiesceStale)
		return false
	}
	l := &n.log
	if n.cfg.QuiesceAfter == 0 || l.commit != l.last || m.Commit != l.last || l.durable != l.last ||
		len(n.reads.forwards) > 0 || n.doubt.from != 0 || n.lacks != 0 {
		n.mark(MarkQuiesceRefused)
		return false
	}
	if !n.quiesce.asleep {
		n.mark(MarkQuiesceAgreed)
		n.quiesce.asleep = true
		out.fact(Fact{Kind: FactQuiesced, Term: n.term, Peer: n.leader, Index: l.last})
	}
	return true
}

// fallAsleep ends the leader's beats when all have agreed to the offer.
func (n *Node) fallAsleep(m *Message, out *Effects) {
	q := &n.quiesce
	if m.Wake {
		n.stirred()
		n.wake(MarkWokenByMessage, out)
		return
	}
	if q.offered == 0 || q.asleep {
		return
	}
	for i := range n.members {
		if i != n.self && n.members[i].round < q.offered {
			return
		}
	}
	n.mark(MarkQuiesced)
	q.asleep = true
	out.fact(Fact{Kind: FactQuiesced, Term: n.term, Peer: n.cfg.ID, Index: n.log.last})
}

// stir wakes a node for an event that gives it something to do. A beat is not one: it
// says itself whether its sender wants to sleep; answers wake nobody.
func (n *Node) stir(in *Event, out *Effects) {
	by := MarkWokenByDriver
	switch in.Kind {
	case EventPropose:
		if n.role != raftpb.RoleLeader {
			return
		}
		by = MarkWokenByProposal
	case EventRead:
		by = MarkWokenByRead
	case EventMessage:
		if m := in.Message; m == nil || m.Kind == MessageBeat || isAnswer(m.Kind) {
			return
		}
		by = MarkWokenByMessage
	case EventUnreachable:
		if n.role != raftpb.RoleLeader && in.Peer != n.leader {
			return
		}
		by = MarkWokenByPeerLoss
	case EventWake, EventCampaign, EventChange, EventTransfer, EventDiskStalled, EventStateLost:
	default:
		return
	}
	n.stirred()
	n.wake(by, out)
}

func isAnswer(k MessageKind) bool {
	switch k {
	case MessageVoteAnswer, MessageAppendAnswer, MessageBeatAck, MessageReadIndexAnswer, MessageTimeoutNowAnswer, MessageSnapshotAnswer:
		return true
	}
	return false
}
