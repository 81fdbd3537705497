package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// follow obeys the sender of an append or a beat as the leader of m.Term. It
// returns false if the sender does not lead: its term is over, or another leads it.
func (n *Node) follow(m *Message, out *Effects) bool {
	if m.Term < n.term {
		switch m.Kind {
		case MessageAppend:
			n.mark(MarkAppendOfOldTerm)
		case MessageBeat:
			n.mark(MarkBeatOfOldTerm)
		default:
			n.mark(MarkSnapshotOfOldTerm)
		}
		return false
	}
	if m.Term == n.term && (n.role == raftpb.RoleLeader || (n.leader != 0 && n.leader != m.From)) {
		out.fact(Fact{Kind: FactInvalidMessage, Peer: m.From, Term: m.Term, Message: m.Kind})
		return false
	}
	if m.Term > n.term || n.role != n.restingRole() {
		n.becomeFollower(m.Term, m.From, out)
	}
	n.setLeader(m.From, out)
	n.leaderHeard = n.now
	n.promisedUntil = n.now + n.promise()
	n.resetElectionTimer()
	return true
}

// onAppend takes a leader's entries. Its answer promises exactly what THIS append
// covered, and waits for the write that makes it true.
func (n *Node) onAppend(m *Message, out *Effects) {
	following := n.follow(m, out)
	answer := n.answerTo(m, MessageAppendAnswer)
	answer.PrevIndex = m.PrevIndex
	if !following {
		answer.Status = raftpb.AppendStatusStaleTerm
		n.answer(answer, 0, out)
		return
	}
	answer.Round = m.Round
	n.beatRound = max(n.beatRound, m.Round)
	// Committed entries are equal in every log that a leader can have.
	t, ok := n.log.term(m.PrevIndex)
	committed := m.PrevIndex <= n.log.commit
	if !committed && (!ok || t != m.PrevTerm) {
		if ok {
			n.mark(MarkAppendOnOtherTerm)
		} else {
			n.mark(MarkAppendOnShortLog)
		}
		n.refuseAppend(m, answer, out)
		return
	}
	end := m.PrevIndex + Index(len(m.Entries))
	if (committed && ok && t != m.PrevTerm) || !n.accept(m, out) {
		out.fact(Fact{Kind: FactInvalidMessage, Peer: m.From, Term: m.Term, Message: m.Kind})
		n.answer(answer, 0, out)
		return
	}
	n.verify(end)
	n.commitTo(n.boundCommit(m, end))
	answer.Status, answer.Matched = raftpb.AppendStatusOk, end
	if n.mutated(mutAckLast) {
		answer.Matched = n.log.last
	}
	var gate uint64
	if answer.Matched > n.log.durable {
		gate = n.ackGate(answer.Matched)
		if gate != out.WriteID {
			n.mark(MarkAckWaitsForOlderWrite)
		}
	}
	if n.lacks != 0 {
		answer.Status, answer.ConflictIndex, answer.LogLast = raftpb.AppendStatusNeedSnapshot, n.lacks, n.log.last
	}
	if n.doubt.from != 0 {
		n.withhold(&answer)
	}
	n.answer(answer, gate, out)
}

// ackGate is the write that an acknowledgement up to i waits for.
func (n *Node) ackGate(i Index) uint64 {
	if n.mutated(mutAckAnyWrite) && len(n.writes.pending) > 0 {
		return n.writes.pending[0].id
	}
	return n.writes.gate(i)
}

// boundCommit is how far an append may move the commit index: what it verified
// ends at end, and beyond it this log may hold anything.
func (n *Node) boundCommit(m *Message, end Index) Index {
	if n.mutated(mutCommitUnbounded) {
		return min(m.Commit, n.log.last)
	}
	if m.Commit > end {
		n.mark(MarkCommitBounded)
		return end
	}
	return m.Commit
}

// accept makes the log equal to the append from PrevIndex on, as far as the
// append reaches: what is there already stays, a conflict is cut off with all
// that follows it. It returns false for a conflict with a committed entry, which
// no honest leader can cause.
func (n *Node) accept(m *Message, out *Effects) bool {
	index, entries := m.PrevIndex+1, m.Entries
	if skip := n.log.commit - m.PrevIndex; skip > 0 {
		n.mark(MarkAppendBelowCommit)
		skip = min(skip, Index(len(entries)))
		if !n.sameTerms(index, entries[:skip]) {
			return false
		}
		index, entries = index+skip, entries[skip:]
	}
	for len(entries) > 0 && index <= n.log.last {
		if t, _ := n.log.term(index); t != entries[0].Term || n.mutated(mutTruncateAlways) {
			if n.mutated(mutKeepConflict) {
				break
			}
			n.mark(MarkConflictCut)
			n.truncate(index, out)
			break
		}
		index, entries = index+1, entries[1:]
	}
	if n.mutated(mutKeepConflict) && len(entries) > 0 && index <= n.log.last {
		entries = entries[min(n.log.last-index+1, Index(len(entries))):]
	}
	switch known := len(m.Entries) - len(entries); {
	case len(entries) == 0 && known > 0:
		n.mark(MarkAppendKnown)
	case known > 0:
		n.mark(MarkAppendPartlyKnown)
	}
	n.appendEntries(entries, out)
	return true
}

// sameTerms checks entries against the log, where it still has them.
func (n *Node) sameTerms(index Index, entries []Entry) bool {
	for i := range entries {
		at := index + Index(i)
		if at <= n.log.base {
			continue
		}
		if t, ok := n.log.term(at); ok && t != entries[i].Term {
			return false
		}
	}
	return true
}

// refuseAppend answers that PrevIndex does not match, and where it could: at the
// highest position whose term is not above PrevTerm. Everything between is of
// terms that the leader's log, ending in PrevTerm there, cannot hold.
func (n *Node) refuseAppend(m *Message, answer Message, out *Effects) {
	hint := n.log.lastWithTerm(n.log.commit, min(m.PrevIndex, n.log.last), m.PrevTerm)
	answer.Status = raftpb.AppendStatusLogMismatch
	if hint+1 < min(m.PrevIndex, n.log.last) {
		n.mark(MarkHintSkips)
	}
	answer.LogLast = n.log.last
	answer.ConflictIndex = hint
	answer.ConflictTerm, _ = n.log.term(hint)
	out.fact(Fact{Kind: FactAppendRefused, Term: m.Term, Peer: m.From, Index: m.PrevIndex})
	if n.doubt.from != 0 {
		answer.Status = raftpb.AppendStatusUncertain
	}
	n.answer(answer, 0, out)
}

// onBeat answers a sign of life. It carries a commit index that its sender knows
// to be within what this node matches.
//
// The round is echoed to the leader of the current term only. A late beat of an
// older term may be from the same node, whose rounds began anew with a restart:
// echoed in this term it would confirm a round that is still to come.
func (n *Node) onBeat(m *Message, out *Effects) {
	answer := n.answerTo(m, MessageBeatAck)
	if n.follow(m, out) {
		answer.Term, answer.Round = n.term, m.Round
		commit := min(m.Commit, n.log.last)
		if n.doubtful && commit > n.verified {
			n.mark(MarkCommitUnverified)
			commit = n.verified
		}
		n.commitTo(commit)
		n.beatRound = max(n.beatRound, m.Round)
		switch {
		case m.Quiesce:
			answer.Wake = !n.agreeToSleep(m, out)
		case m.Round >= n.beatRound:
			n.wake(MarkWokenByMessage, out)
		}
		if n.doubt.from != 0 {
			n.mark(MarkDoubtBeat)
			answer.Round = 0
		}
		n.flushCommit = true
		answer.Wake = answer.Wake || n.lacks != 0
	}
	if n.mutated(mutEchoOldRound) {
		answer.Round = m.Round
	}
	n.answer(answer, 0, out)
}

// verify notes that the log is equal to the leader's up to i.
func (n *Node) verify(i Index) { n.verified = max(n.verified, i) }

// commitTo moves the commit index up.
func (n *Node) commitTo(i Index) {
	if i > n.log.commit {
		n.log.commit = i
		n.settleChanges()
	}
}
