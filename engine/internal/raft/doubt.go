package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A node in doubt knows that its store may have lost what it had promised: it is
// damaged, rolled back or was wiped (Config.DoubtFrom). Raft assumes that this
// never happens, so until it is repaired the node must count for nobody: it gives
// no vote, does not campaign, and acknowledges nothing. It takes entries all the
// while, and tells where it stands with the status UNCERTAIN.
//
// When is it repaired? It asks the others, as if it wanted to read. An answer with
// an index says that the leader of that term was confirmed by a quorum after the
// question, without this node's help, and has committed an entry of its own term.
// From the question on that leader counts nothing that this node acknowledged in its
// former life. So everything that was ever committed with its help is in that
// leader's log up to that index, and in this one's, once it holds the same.
//
// If term and vote are in doubt too, it asks until every other voter has named its
// term. Whoever may still hold a vote of this node is in the term of that vote or a
// later one. So the index must come from a leader of a term that is not below any
// of these: the log then ends in an entry of that leader's, and refuses by itself
// everybody who could have been voted for in that term or before.
type doubt struct {
	from  Index // 0: none
	vote  bool
	index Index // repaired when the log is the leader's up to here; 0: not known
	term  Term  // of the leader that said so
	least Term  // the highest that a voter named
	heard []NodeID
	asks  []doubtAsk
	askAt Time
}

// doubtContext is set in the context of a question that comes from a node in doubt,
// and in no other: it tells the leader so.
const doubtContext = 1 << 61

// doubtAsk is a question on its way. Contexts are never used twice, also not after
// a restart: an answer that names one was given after the question.
type doubtAsk struct {
	peer    NodeID
	context int64
}

// loadDoubt takes over what the store says about itself.
func (n *Node) loadDoubt() {
	if n.cfg.DoubtFrom == 0 {
		n.doubt.askAt = Never
		return
	}
	n.doubt = doubt{from: n.cfg.DoubtFrom, vote: n.cfg.VoteDoubt, askAt: n.now}
	n.doubt.least, n.doubtful = n.term, true
}

// distrust keeps from a store in doubt only what it cannot have lost: the commit
// index as far as the log is sure, and a term that its entries prove.
func (n *Node) distrust(hs HardState) {
	l := &n.log
	l.commit = max(min(hs.Commit, l.last, n.cfg.DoubtFrom-1), l.applied, l.base)
	if n.cfg.VoteDoubt && l.lastTerm > n.term {
		n.term, n.vote = l.lastTerm, 0
	}
}

// withhold takes the promise out of an acknowledgement: that something is stored is
// no acknowledgement, and its round no echo.
func (n *Node) withhold(answer *Message) {
	if n.mutated(mutDoubtPromises) {
		return
	}
	n.mark(MarkDoubtAck)
	answer.Status, answer.LogLast = raftpb.AppendStatusUncertain, n.log.last
}

// doubtTimer asks again what was not answered.
func (n *Node) doubtTimer(out *Effects) {
	d := &n.doubt
	if n.now < d.askAt {
		return
	}
	d.askAt = n.now + n.election/2
	d.asks = d.asks[:0]
	n.mark(MarkDoubtAsked)
	for i := range n.members {
		p := &n.members[i]
		if i == n.self || !n.voters.has(i) {
			continue
		}
		n.reads.context = (n.reads.context + 1) & (doubtContext - 1)
		context := n.reads.context | doubtContext
		d.asks = append(d.asks, doubtAsk{p.id, context})
		out.SendNow = append(out.SendNow, Message{
			Kind: MessageReadIndex, From: n.cfg.ID, To: p.id, Term: n.term, Context: context,
		})
	}
}

// doubtAnswer takes a voter's word. It returns false for an answer to something else.
func (n *Node) doubtAnswer(m *Message) bool {
	d := &n.doubt
	k := 0
	for k < len(d.asks) && (d.asks[k].peer != m.From || d.asks[k].context != m.Context) {
		k++
	}
	if k == len(d.asks) {
		return false
	}
	d.asks = append(d.asks[:k], d.asks[k+1:]...)
	d.least = max(d.least, m.Term)
	if !d.hasHeard(m.From) {
		n.mark(MarkDoubtVoterHeard)
		d.heard = append(d.heard, m.From)
	}
	if m.ReadIndex != 0 && m.Term > d.term {
		n.mark(MarkDoubtIndex)
		d.index, d.term = m.ReadIndex, m.Term
	}
	return true
}

func (d *doubt) hasHeard(id NodeID) bool {
	for _, h := range d.heard {
		if h == id {
			return true
		}
	}
	return false
}

// endDoubt looks whether this node is repaired. It runs at the end of every Step of
// a node in doubt, when what made the log whole is durable.
func (n *Node) endDoubt(out *Effects) {
	d := &n.doubt
	whole := d.index != 0 && d.term >= d.least && n.term >= d.term && min(n.verified, n.log.durable) >= d.index
	if n.mutated(mutDoubtEndsEarly) {
		whole = n.leader != 0 && n.verified > 0
	}
	if !whole || n.writes.termGate() != 0 {
		return
	}
	for i := range n.members {
		if d.vote && i != n.self && n.voters.has(i) && !d.hasHeard(n.members[i].id) {
			n.mark(MarkDoubtWaitsForVoter)
			return
		}
	}
	n.mark(MarkDoubtEnded)
	out.Repaired = true
	out.fact(Fact{Kind: FactRepaired, Term: n.term, Index: d.index})
	n.doubt = doubt{askAt: Never}
	n.resetElectionTimer()
}

// uncertain learns where a follower in doubt stands: what it stores is sent on
// behind, and counts for nothing.
func (n *Node) uncertain(p *progress, m *Message, out *Effects) {
	n.noteDoubt(p, out)
	p.doubt = true
	if m.Matched == 0 && m.PrevIndex > 0 {
		n.mismatched(p, m, out)
		return
	}
	if m.Matched < p.match {
		// It had acknowledged more. What it will acknowledge is learned anew.
		n.lostMatch(p, m, out)
	}
	p.inflight.free(m.Matched)
	p.next = max(p.next, m.Matched+1)
	if p.state != raftpb.ProgressStateReplicate && m.Matched >= n.log.base {
		next := p.next
		p.replicate()
		p.next = next
	}
	n.sendNew(p, out)
}

// memberInDoubt forgets what p acknowledged in its former life. Such answers may
// still be under way: they are of appends that left before now, and so of a round
// that began before the next one.
func (n *Node) memberInDoubt(p *progress, out *Effects) {
	n.noteDoubt(p, out)
	p.doubt, p.doubtBefore = true, n.reads.round+1
	if !n.mutated(mutDoubtKeepsMatch) {
		p.match = 0
	}
}

// noteDoubt tells, once, that p is in doubt, and what it had acknowledged.
func (n *Node) noteDoubt(p *progress, out *Effects) {
	if p.doubt {
		return
	}
	n.mark(MarkDoubtMember)
	out.fact(Fact{Kind: FactMemberInDoubt, Term: n.term, Peer: p.id, Index: p.match})
}

// lostMatch notes that a follower lost what it had acknowledged (its disk was wiped
// or rolled back), if m shows it: it refuses, at or below what it matched, an append
// that was sent after the acknowledgement had come. The round tells, because every
// round begins after everything that came before it. Nothing that is committed
// changes by it.
func (n *Node) lostMatch(p *progress, m *Message, out *Effects) {
	if m.Round <= p.matchRound || p.match == 0 {
		return
	}
	n.mark(MarkMemberLost)
	out.fact(Fact{Kind: FactMemberLost, Term: n.term, Peer: p.id, Index: p.match})
	p.match = 0
}
