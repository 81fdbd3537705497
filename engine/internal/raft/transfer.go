package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A leader hands over (dissertation, section 3.10): it takes no more proposals,
// waits until the target has its whole log, and tells it to campaign at once. If
// that leads to nothing within the election time-out, it goes on leading.
//
//	start --> target has all --> TimeoutNow --> higher term --> the target leads
//	  |            |                 |
//	  +------------+-----------------+--> E is over, refused, removed: given up
//
// Before a node stops, its driver asks for a transfer to nobody in particular and
// waits for the answer, whatever it is.

// transfer is the hand-over under way. It outlives the leadership: the answer
// waits until it is known who leads.
type transfer struct {
	target   NodeID // 0: none
	request  uint64
	asked    bool // somebody waits for the answer
	sent     bool
	leaving  bool // this node will not lead again: it stands down in any case
	deadline Time
}

// TransferAnswer ends a transfer: Leader leads Term; or Refused says why it does
// not. Every EventTransfer has one.
type TransferAnswer struct {
	RequestID uint64
	Leader    NodeID
	Term      Term
	Refused   Refusal
}

// onTransfer takes an operator's request.
func (n *Node) onTransfer(target NodeID, request uint64, out *Effects) {
	why := RefusalNone
	switch {
	case n.role != raftpb.RoleLeader:
		n.mark(MarkTransferElsewhere)
		why = RefusalNotLeader
	case n.transfer.target != 0:
		n.mark(MarkTransferTwice)
		why = RefusalTransferring
	case target == n.cfg.ID:
		n.mark(MarkTransferToItself)
		out.Transfers = append(out.Transfers, TransferAnswer{RequestID: request, Leader: n.cfg.ID, Term: n.term})
		return
	case target == 0:
		n.mark(MarkTransferChosen)
		target = n.successor()
		if i := n.position(target); i < 0 || n.now-n.members[i].contact >= n.election {
			n.mark(MarkTransferNobody)
			why = RefusalNobodyLeads
		}
	case n.position(target) < 0:
		why = RefusalUnknownMember
	case !n.mayLead(n.position(target)):
		n.mark(MarkTransferTarget)
		why = RefusalTarget
	}
	if why != RefusalNone {
		out.Transfers = append(out.Transfers, TransferAnswer{RequestID: request, Leader: n.leader, Term: n.term, Refused: why})
		return
	}
	n.startTransfer(transfer{target: target, request: request, asked: true}, out)
}

func (n *Node) startTransfer(t transfer, out *Effects) {
	t.deadline = n.now + n.election
	n.transfer = t
	out.fact(Fact{Kind: FactTransferStarted, Term: n.term, Peer: t.target})
}

// mayLead reports whether member i can be handed over to: a voter that holds
// state and is to stay.
func (n *Node) mayLead(i int) bool {
	return n.voters.incoming&(1<<i) != 0 && n.members[i].suffrage == raftpb.SuffrageVoter
}

// successor is whom to hand over to if nobody is named: one that spoke lately and
// lacks little, of these the one of the highest priority; if there is none, whoever
// lacks least; 0: nobody else may lead.
func (n *Node) successor() NodeID {
	best, bound := -1, CatchUp{}.withDefaults(0)
	good := func(p *progress) bool {
		return n.now-p.contact < 3*n.cfg.Heartbeat && n.near(p, bound)
	}
	better := func(i, j int) bool {
		a, b := &n.members[i], &n.members[j]
		goodA, goodB := good(a), good(b)
		switch {
		case goodA != goodB:
			return goodA
		case goodA && a.priority != b.priority:
			return a.priority > b.priority
		}
		return a.match > b.match
	}
	for i := range n.members {
		if i == n.self || !n.mayLead(i) {
			continue
		}
		if best < 0 || better(i, best) {
			best = i
		}
	}
	if best < 0 {
		return 0
	}
	return n.members[best].id
}

// driveTransfer tells the target to campaign once it has the whole log, and gives
// up when it is time. It runs at the end of every Step of a leader.
func (n *Node) driveTransfer(out *Effects) {
	t := &n.transfer
	i := n.position(t.target)
	switch {
	case i < 0 || !n.mayLead(i):
		n.mark(MarkTransferTargetRemoved)
		n.endTransfer(RefusalTargetRemoved, out)
	case n.now >= t.deadline && !n.mutated(mutTransferNeverEnds):
		if t.sent {
			n.mark(MarkTransferTimeout)
			n.endTransfer(RefusalTimeout, out)
		} else {
			n.mark(MarkTransferLagging)
			n.endTransfer(RefusalLagging, out)
		}
	case !t.sent && n.members[i].match == n.log.last:
		t.sent = true
		n.sendTimeoutNow(out)
	case !t.sent:
		n.mark(MarkTransferWaits)
	}
}

// sendTimeoutNow is repeated with every beat, as long as the target has the whole log:
// it may be lost, and a configuration may follow it.
func (n *Node) sendTimeoutNow(out *Effects) {
	n.handedOver = n.term
	out.fact(Fact{Kind: FactTransferSent, Term: n.term, Peer: n.transfer.target})
	out.SendNow = append(out.SendNow, Message{
		Kind: MessageTimeoutNow, From: n.cfg.ID, To: n.transfer.target, Term: n.term,
	})
}

// onTimeoutNow campaigns on the word of the leader: no pre-vote, and the voters
// are told that nobody is pushed aside.
func (n *Node) onTimeoutNow(m *Message, out *Effects) {
	answer := n.answerTo(m, MessageTimeoutNowAnswer)
	if n.follow(m, out) {
		if n.mayCampaign(true) {
			n.campaignForReal(true, out)
		} else {
			n.mark(MarkTimeoutNowUnelectable)
		}
		answer.Granted = n.role == raftpb.RoleCandidate
	} else {
		n.mark(MarkTimeoutNowStale)
	}
	answer.Term = n.term
	n.answer(answer, 0, out)
}

// onTimeoutNowAnswer hears that the target will not. That it will is known by its
// higher term.
func (n *Node) onTimeoutNowAnswer(m *Message, out *Effects) {
	if n.transfer.target == m.From && !m.Granted {
		n.mark(MarkTransferRefused)
		n.endTransfer(RefusalTarget, out)
	}
}

// leaderKnown ends a transfer of which the outcome is known now.
func (n *Node) leaderKnown(out *Effects) {
	t := &n.transfer
	t.leaving = false // the leadership that it was about is over
	switch {
	case t.target == 0 || n.leader == 0:
	case n.leader == t.target:
		n.mark(MarkTransferDone)
		n.endTransfer(RefusalNone, out)
	default:
		n.mark(MarkTransferOtherLeader)
		n.endTransfer(RefusalOtherLeader, out)
	}
}

// expireTransfer gives up a transfer on a node that leads no more.
func (n *Node) expireTransfer(out *Effects) {
	if n.transfer.target != 0 && n.now >= n.transfer.deadline {
		n.mark(MarkTransferExpired)
		n.endTransfer(RefusalTimeout, out)
	}
}

// endTransfer answers, and lets this node take proposals again, unless it has to
// leave.
func (n *Node) endTransfer(why Refusal, out *Effects) {
	t := n.transfer
	n.transfer = transfer{}
	out.fact(Fact{Kind: FactTransferEnded, Term: n.term, Peer: t.target, Refusal: why})
	n.judgePriority(&t, why)
	if t.asked {
		out.Transfers = append(out.Transfers, TransferAnswer{RequestID: t.request, Leader: n.leader, Term: n.term, Refused: why})
	}
	if t.leaving && n.role == raftpb.RoleLeader {
		n.becomeFollower(n.term, 0, out)
	}
}

// leave hands over for a node that the committed configuration does not let lead
// (section 4.2.2). There is always somebody: a configuration has a voter that holds
// state, and this node is none.
func (n *Node) leave(out *Effects) {
	n.mark(MarkRemovedLeaves)
	n.startTransfer(transfer{target: n.successor(), leaving: true}, out)
	n.driveTransfer(out)
}
