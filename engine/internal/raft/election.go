package raft

import (
	"math/bits"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// tally counts the answers of one election, as sets of member positions.
type tally struct {
	yes, no uint64
	own     uint64 // the write that holds this candidate's own vote; 0: counted

	transfer bool // the leader asked for this election
}

// maxTerm is where terms end: one that a peer made up cannot overflow ours.
const maxTerm Term = 1 << 62

// campaign starts an election: first a pre-vote, which asks whether a real one
// could be won and disturbs nobody, then the real one.
func (n *Node) campaign(out *Effects) {
	if !n.voters.has(n.self) {
		n.mark(MarkRemovedMayLead)
	}
	if n.role == raftpb.RolePrecandidate || n.role == raftpb.RoleCandidate {
		n.mark(MarkCampaignRepeated)
	}
	if n.cfg.DisablePreVote {
		n.campaignForReal(false, out)
		return
	}
	n.role = raftpb.RolePrecandidate
	n.setLeader(0, out)
	n.resetElectionTimer()
	n.votes = tally{yes: n.ownBit()}
	out.fact(Fact{Kind: FactRole, Term: n.term, Role: n.role})
	n.askForVotes(out)
	n.countVotes(out)
}

// campaignForReal raises the term and votes for itself. Neither the requests nor
// the own vote count before both are durable: a candidate that forgot its vote
// could give it again, to another.
func (n *Node) campaignForReal(transfer bool, out *Effects) {
	if n.term >= maxTerm {
		n.becomeFollower(n.term, 0, out)
		return
	}
	n.role = raftpb.RoleCandidate
	n.setLeader(0, out)
	n.term++
	n.vote, n.verified, n.beatRound = n.cfg.ID, n.log.commit, 0
	n.hardStateChanged(out)
	n.resetElectionTimer()
	n.votes = tally{own: n.writes.hard, transfer: transfer}
	out.fact(Fact{Kind: FactRole, Term: n.term, Role: n.role})
	n.askForVotes(out)
}

// ownBit is this node in a set of member positions; nothing if it is no member.
func (n *Node) ownBit() uint64 {
	if n.self < 0 {
		return 0
	}
	return 1 << n.self
}

func (n *Node) askForVotes(out *Effects) {
	for i := range n.members {
		if i == n.self || !n.voters.has(i) {
			continue
		}
		m := Message{
			Kind: MessageVote, From: n.cfg.ID, To: n.members[i].id,
			Term: n.term, LastIndex: n.log.last, LastTerm: n.log.lastTerm,
			Transfer: n.votes.transfer,
		}
		if n.role == raftpb.RolePrecandidate {
			m.PreVote, m.Term = true, n.term+1
			out.SendNow = append(out.SendNow, m)
			continue
		}
		if n.mutated(mutVoteBeforeWrite) {
			out.SendNow = append(out.SendNow, m)
			continue
		}
		out.SendAfter = append(out.SendAfter, Gated{WriteID: n.writes.hard, Message: m})
	}
}

// onVote answers a vote request or a pre-vote. Refusals for a leader that is
// alive and for strangers leave the own term alone: that is what keeps removed
// and cut-off servers from disturbing a group.
func (n *Node) onVote(m *Message, out *Effects) {
	answer := n.answerTo(m, MessageVoteAnswer)
	answer.PreVote, answer.AskedTerm = m.PreVote, m.Term
	var reason raftpb.RejectReason
	if n.mutated(mutTimerResetByVote) {
		n.resetElectionTimer()
	}
	switch {
	case m.Term < n.term || (m.PreVote && m.Term == n.term):
		n.mark(MarkVoteOfOldTerm)
		reason = raftpb.RejectReasonStaleTerm
	case n.doubt.from != 0 && !n.mutated(mutDoubtPromises):
		if n.mark(MarkDoubtVote); m.PreVote {
			n.mark(MarkDoubtPreVote)
		}
		reason = raftpb.RejectReasonUncertain
	case n.leaderAlive() && !m.Transfer:
		n.mark(MarkVoteWhileLeaderLives)
		if n.role == raftpb.RoleLeader {
			n.mark(MarkVoteAtLeader)
		}
		reason = raftpb.RejectReasonLeaderAlive
	case n.promised() && !m.Transfer:
		if n.leaderHeard > 0 {
			n.mark(MarkLeaseKept)
		} else {
			n.mark(MarkLeasePromised)
		}
		reason = raftpb.RejectReasonLeasePromised
	case !n.mayBeMember(m.From) && !n.log.endsBefore(m.LastIndex, m.LastTerm):
		// Our log knows every configuration that the candidate's does.
		n.mark(MarkVoteForStranger)
		reason = raftpb.RejectReasonNotMember
	case n.mutated(mutLearnerRefuses) && n.restingRole() == raftpb.RoleLearner:
		reason = raftpb.RejectReasonNotMember
	case m.PreVote && !n.mutated(mutPreVoteCounts):
		if reason = n.judge(m); reason == raftpb.RejectReasonNone {
			n.mark(MarkPreVoteGranted)
		}
	default:
		if m.Term > n.term {
			n.becomeFollower(m.Term, 0, out)
		}
		answer.Term = n.term
		if reason = n.judge(m); reason == raftpb.RejectReasonNone && n.vote != 0 && n.vote != m.From {
			n.mark(MarkVoteGivenAway)
			reason = raftpb.RejectReasonAlreadyVoted
		}
		if reason == raftpb.RejectReasonNone {
			n.grant(m.From, out)
		}
	}
	answer.Granted, answer.Reason = reason == raftpb.RejectReasonNone, reason
	if !answer.Granted {
		out.fact(Fact{Kind: FactVoteRefused, Term: m.Term, Peer: m.From, Reason: reason})
	}
	if n.mutated(mutVoteBeforeWrite) {
		out.SendNow = append(out.SendNow, answer)
		return
	}
	n.answer(answer, 0, out)
}

// judge refuses a candidate whose log is behind: what is committed must be in the
// log of whoever is elected.
func (n *Node) judge(m *Message) raftpb.RejectReason {
	behind := m.LastTerm < n.log.lastTerm || (m.LastTerm == n.log.lastTerm && m.LastIndex < n.log.last)
	if n.mutated(mutIndexBeforeTerm) {
		behind = m.LastIndex < n.log.last || (m.LastIndex == n.log.last && m.LastTerm < n.log.lastTerm)
	}
	if n.mutated(mutCommitForLast) {
		behind = m.LastIndex < n.log.commit
	}
	if m.Transfer && n.leaderAlive() {
		n.mark(MarkVoteForTransfer)
	}
	if n.position(m.From) < 0 {
		n.mark(MarkVoteForNewcomer)
	}
	if behind {
		n.mark(MarkVoteLogBehind)
		return raftpb.RejectReasonLogBehind
	}
	return raftpb.RejectReasonNone
}

// grant gives the vote of this term to a candidate, which gets a whole time-out
// to make something of it.
func (n *Node) grant(to NodeID, out *Effects) {
	if n.vote == 0 {
		n.vote = to
		n.hardStateChanged(out)
	} else {
		n.mark(MarkVoteRepeated)
	}
	n.resetElectionTimer()
	out.fact(Fact{Kind: FactVoted, Term: n.term, Peer: to})
}

// leaderAlive reports whether votes are refused because a leader was heard within
// the shortest time after which anybody may campaign. A leader holds itself for
// alive while it hears a quorum.
func (n *Node) leaderAlive() bool {
	if n.cfg.DisableCheckQuorum || n.mutated(mutNoStickiness) {
		return false
	}
	least := n.now - n.election/2
	if n.role == raftpb.RoleLeader {
		return n.alone() || n.quorumHeard() > least
	}
	return n.leader != 0 && n.leaderHeard > least
}

// onVoteAnswer counts an answer of member i, if it is about this election.
func (n *Node) onVoteAnswer(m *Message, i int, out *Effects) {
	asked, role := n.term, raftpb.RoleCandidate
	if m.PreVote {
		asked, role = n.term+1, raftpb.RolePrecandidate
	}
	if n.role != role || m.AskedTerm != asked {
		n.mark(MarkVoteAnswerLate)
		return
	}
	if n.mutated(mutAnyVote) && m.Granted {
		i = bits.TrailingZeros64(^n.votes.yes)
	}
	if bit := uint64(1) << i; m.Granted {
		n.votes.yes |= bit
	} else {
		n.votes.no |= bit
	}
	n.countVotes(out)
}

// countVotes ends the election as soon as its outcome is certain.
func (n *Node) countVotes(out *Effects) {
	v := &n.votes
	if v.own != 0 && (v.own <= n.writes.done || n.mutated(mutVoteBeforeWrite)) {
		if v.yes != 0 {
			n.mark(MarkOwnVoteLast)
		}
		v.yes, v.own = v.yes|n.ownBit(), 0
	}
	switch {
	case n.voters.won(v.yes) && n.role == raftpb.RolePrecandidate:
		n.campaignForReal(false, out)
	case n.voters.won(v.yes) && v.own == 0:
		n.becomeLeader(out)
	case n.voters.lost(v.no):
		if n.role == raftpb.RoleCandidate {
			n.mark(MarkElectionLost)
		} else {
			n.mark(MarkPreElectionLost)
		}
		out.fact(Fact{Kind: FactElectionLost, Term: n.term, Role: n.role})
		n.becomeFollower(n.term, 0, out)
	}
}
