package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A linearizable read needs to know that this leader still led after the read
// arrived. A round is the proof: a number that only grows, sent with every beat
// and append, echoed by every answer. A round started after the read arrived and
// echoed by a quorum confirms it. Reads that arrive while a round is out share
// the next one.
//
//	read a -> round 7 out ...... quorum echoes 7: a granted, round 8 out
//	             read b, c wait ..^                  quorum echoes 8: b, c granted

// read is a request that waits on a leader. From a follower it has from, call
// and context; otherwise id.
type read struct {
	id      uint64
	from    NodeID
	call    uint64
	context int64
	index   Index
	round   int64 // 0: for the next round
}

// forward is a request that a follower passed on to the leader.
type forward struct {
	id      uint64
	context int64
	expires Time
}

// readQueue holds reads in order of arrival: those of the round that is out
// first, then those that wait for the next.
type readQueue struct {
	round    int64 // the newest round; 0: none yet
	waiting  []read
	out      int // how many of waiting have a round
	forwards []forward
	context  int64 // last one given out; unique over restarts, by Config.Boot
}

// nextExpiry is when the oldest forward is given up.
func (q *readQueue) nextExpiry() Time {
	if len(q.forwards) == 0 {
		return Never
	}
	return q.forwards[0].expires
}

// onRead takes a client's read: a leader queues it, a follower asks the leader.
func (n *Node) onRead(id uint64, out *Effects) {
	q := &n.reads
	switch {
	case n.role == raftpb.RoleLeader:
		if !n.queueRead(read{id: id}, out) {
			n.refuseRead(id, RefusalBusy, out)
		}
	case n.witness:
		n.mark(MarkWitnessRead)
		n.refuseRead(id, RefusalWitness, out) // there is nothing to read from
	case n.leader == 0:
		n.mark(MarkReadWithoutLeader)
		n.refuseRead(id, RefusalNotLeader, out)
	case len(q.forwards) >= n.cfg.MaxPendingReads:
		n.mark(MarkReadsFull)
		n.refuseRead(id, RefusalBusy, out)
	default:
		q.context = (q.context + 1) & (doubtContext - 1)
		q.forwards = append(q.forwards, forward{id, q.context, n.now + n.election})
		out.SendNow = append(out.SendNow, Message{
			Kind: MessageReadIndex, From: n.cfg.ID, To: n.leader, Term: n.term, Context: q.context,
		})
	}
}

func (n *Node) refuseRead(id uint64, why Refusal, out *Effects) {
	out.Reads = append(out.Reads, ReadGrant{ReadID: id, Refused: true, Why: why})
}

// onReadIndex takes a member's request for a read index.
func (n *Node) onReadIndex(m *Message, out *Effects) {
	if n.role != raftpb.RoleLeader || n.position(m.From) < 0 {
		n.mark(MarkReadIndexElsewhere)
		n.refuse(m, out)
		return
	}
	if m.Context&doubtContext != 0 {
		n.memberInDoubt(&n.members[n.position(m.From)], out)
	}
	if !n.queueRead(read{from: m.From, call: m.Call, context: m.Context}, out) {
		answer := n.answerTo(m, MessageReadIndexAnswer)
		answer.Context, answer.Busy = m.Context, true
		n.answer(answer, 0, out)
	}
}

// queueRead puts a read behind the others and starts a round if none is out. A
// round whose beats still lie in out is one started after the read arrived.
func (n *Node) queueRead(r read, out *Effects) bool {
	q := &n.reads
	if len(q.waiting) >= n.cfg.MaxPendingReads {
		n.mark(MarkReadsFull)
		return false
	}
	q.waiting = append(q.waiting, r)
	if n.mutated(mutReadStaleRound) && q.round > 0 {
		n.assignRound(q.round)
		n.confirmReads(out)
		return true
	}
	switch {
	case !n.ownTermCommitted():
		n.mark(MarkReadBeforeFirstCommit) // advanceCommit starts the round
	case out.round == q.round && q.round > 0 && q.out == len(q.waiting)-1:
		n.mark(MarkReadJoinedRound)
		n.assignRound(q.round)
		n.confirmReads(out) // a node that decides alone has no answer to wait for
	case q.out == 0:
		n.nextRound(out)
	default:
		n.mark(MarkReadWaitedForRound)
	}
	return true
}

// ownTermCommitted is the gate of all reads: before it, a leader does not know
// what its predecessors have committed.
func (n *Node) ownTermCommitted() bool {
	return n.log.commit >= n.termStart || n.mutated(mutReadBeforeNoop)
}

// nextRound starts a round if reads wait for one.
func (n *Node) nextRound(out *Effects) {
	q := &n.reads
	if len(q.waiting) == q.out {
		return
	}
	n.startRound(out)
	n.confirmReads(out)
}

// startRound sends a beat to every member. The reads that wait go with it.
func (n *Node) startRound(out *Effects) {
	n.reads.round++
	out.round = n.reads.round
	n.lease.start(n.reads.round, n.now)
	quiesce := n.offerSleep()
	for i := range n.members {
		if i != n.self {
			n.sendBeat(&n.members[i], quiesce, out)
		}
	}
	if n.ownTermCommitted() {
		n.assignRound(n.reads.round)
	}
}

// assignRound gives the waiting reads their round and their index.
func (n *Node) assignRound(round int64) {
	q := &n.reads
	for ; q.out < len(q.waiting); q.out++ {
		q.waiting[q.out].round, q.waiting[q.out].index = round, n.log.commit
	}
}

// sendBeat tells p that this node leads, and what is committed of what p is known
// to have.
func (n *Node) sendBeat(p *progress, quiesce bool, out *Effects) {
	commit := min(n.log.commit, p.match)
	if n.mutated(mutBeatUnclamped) {
		commit = n.log.commit
	}
	out.SendNow = append(out.SendNow, Message{
		Kind: MessageBeat, From: n.cfg.ID, To: p.id, Term: n.term, Commit: commit, Round: n.reads.round, Quiesce: quiesce,
	})
}

// onBeatAck notes that a follower was there in this round.
func (n *Node) onBeatAck(m *Message, p *progress, out *Effects) {
	if !n.sign(m, p, out) {
		return
	}
	if p.lost {
		n.mark(MarkLostFollowerSpoke)
		n.sendAppend(p, 0, out)
		p.paused, p.lost = true, false
	} else if m.Wake && p.state == raftpb.ProgressStateReplicate && p.inflight.count == 0 {
		n.sendAppend(p, 0, out) // it may lack something that only the answer to an append tells
	}
	n.confirmReads(out)
	n.fallAsleep(m, out)
}

// confirmReads grants the reads whose round a quorum has echoed, and starts the
// next round if it was waited for.
func (n *Node) confirmReads(out *Effects) {
	q := &n.reads
	if q.out == 0 {
		return
	}
	for i := range n.members {
		n.scratch[i] = n.members[i].round
	}
	if n.self >= 0 {
		n.scratch[n.self] = q.round
	}
	confirmed := n.voters.reached(&n.scratch)
	k := 0
	for ; k < q.out && q.waiting[k].round <= confirmed; k++ {
		n.grantRead(&q.waiting[k], out)
	}
	if k == 0 {
		return
	}
	q.waiting, q.out = append(q.waiting[:0], q.waiting[k:]...), q.out-k
	if q.out == 0 {
		n.nextRound(out)
	}
}

func (n *Node) grantRead(r *read, out *Effects) {
	if r.from == 0 {
		out.Reads = append(out.Reads, ReadGrant{ReadID: r.id, Index: r.index, Round: r.round})
		return
	}
	out.SendNow = append(out.SendNow, Message{
		Kind: MessageReadIndexAnswer, From: n.cfg.ID, To: r.from, Call: r.call, Term: n.term,
		Context: r.context, ReadIndex: r.index,
	})
	if i := n.position(r.from); i >= 0 {
		n.sendBeat(&n.members[i], false, out) // it will wait for this commit
	}
}

// onReadIndexAnswer ends a forward. Contexts are never used twice, so an answer
// that finds its forward is about a round that began after the request.
func (n *Node) onReadIndexAnswer(m *Message, out *Effects) {
	q, found := &n.reads, n.doubt.from != 0 && n.doubtAnswer(m)
	for i := range q.forwards {
		if f := q.forwards[i]; f.context == m.Context {
			n.endForward(f.id, m, out)
			q.forwards = append(q.forwards[:i], q.forwards[i+1:]...)
			found = true
			break
		}
	}
	if !found {
		n.mark(MarkForwardUnknown)
	}
	if m.Term > n.term && n.position(m.From) >= 0 {
		n.becomeFollower(m.Term, 0, out)
	}
}

func (n *Node) endForward(id uint64, m *Message, out *Effects) {
	switch {
	case m.ReadIndex != 0:
		out.Reads = append(out.Reads, ReadGrant{ReadID: id, Index: m.ReadIndex})
	case m.Busy:
		n.refuseRead(id, RefusalBusy, out)
	default:
		n.refuseRead(id, RefusalNotLeader, out)
	}
}

// expireForwards gives up what the leader did not answer within E.
func (n *Node) expireForwards(out *Effects) {
	q := &n.reads
	k := 0
	for ; k < len(q.forwards) && q.forwards[k].expires <= n.now; k++ {
		n.mark(MarkForwardExpired)
		n.refuseRead(q.forwards[k].id, RefusalTimeout, out)
	}
	if k > 0 {
		q.forwards = append(q.forwards[:0], q.forwards[k:]...)
	}
}

// endForwards refuses everything that was passed on: the leader is another now.
func (n *Node) endForwards(out *Effects) {
	for _, f := range n.reads.forwards {
		n.mark(MarkForwardLeaderChanged)
		n.refuseRead(f.id, RefusalOtherLeader, out)
	}
	n.reads.forwards = n.reads.forwards[:0]
}

// endReads refuses everything that waits: this node leads no more.
func (n *Node) endReads(out *Effects) {
	q := &n.reads
	for i := range q.waiting {
		r := &q.waiting[i]
		if r.from == 0 {
			n.mark(MarkReadsOfDeposed)
			n.refuseRead(r.id, RefusalLeadershipLost, out)
			continue
		}
		n.mark(MarkRemoteReadsOfDeposed)
		n.answer(Message{
			Kind: MessageReadIndexAnswer, From: n.cfg.ID, To: r.from, Call: r.call, Term: n.term, Context: r.context,
		}, 0, out)
	}
	q.waiting, q.out = q.waiting[:0], 0
}
