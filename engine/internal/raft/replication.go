package raft

import (
	"math/bits"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// noopCrc32c is the CRC-32C of an entry of kind NOOP: of its kind's byte alone.
const noopCrc32c = 0xb34623a6

// probeBytes bounds what a probe carries: it may be refused.
const probeBytes = 64 << 10

// becomeLeader takes over the term. The no-op is the first entry that counting
// may commit, and with it everything before it.
func (n *Node) becomeLeader(out *Effects) {
	n.role = raftpb.RoleLeader
	n.votes = tally{}
	n.leader = n.cfg.ID
	n.leaderKnown(out)
	n.termStart = n.log.last + 1
	n.quiesce = quiesce{activeAt: n.now}
	n.beatAt = n.now + n.cfg.Heartbeat
	n.quorumAt = n.now + n.election
	n.yieldAt = max(n.yieldAt, n.now+n.election)
	for i := range n.members {
		p := &n.members[i]
		p.match, p.round, p.contact, p.pin, p.matchRound, p.doubtBefore, p.doubt = 0, 0, n.now, 0, 0, 0, false
		p.heard, p.lacks, p.window = false, 0, n.openWindow()
		p.probe(n.log.last + 1)
	}
	out.fact(Fact{Kind: FactRole, Term: n.term, Role: n.role, Peer: n.cfg.ID})
	out.fact(Fact{Kind: FactLeader, Term: n.term, Peer: n.cfg.ID})
	noop := [1]Entry{{Term: n.term, Kind: raftpb.EntryKindNoop, Crc32c: noopCrc32c}}
	n.appendEntries(noop[:], out)
	n.advanceCommit(out)
	n.sendToAll(out)
}

// onPropose appends what clients propose and sends it on at once: the own disk
// and the network run in parallel.
func (n *Node) onPropose(proposals []Entry, out *Effects) {
	out.Accepted, out.Refused = Span{}, n.mayPropose(proposals)
	if out.Refused != RefusalNone {
		if out.Refused == RefusalNotLeader {
			n.mark(MarkProposalElsewhere)
		} else {
			out.fact(Fact{Kind: FactProposalRefused, Term: n.term, Index: n.log.last, Refusal: out.Refused})
		}
		return
	}
	out.Accepted = Span{n.log.last + 1, n.log.last + 1 + Index(len(proposals))}
	n.appendEntries(proposals, out)
	n.sendToAll(out)
}

// mayPropose says why proposals are refused, and sets their term.
func (n *Node) mayPropose(proposals []Entry) Refusal {
	switch {
	case n.role != raftpb.RoleLeader:
		return RefusalNotLeader
	case n.transfer.target != 0 && !n.mutated(mutProposeInTransfer):
		n.mark(MarkTransferProposal)
		return RefusalTransferring
	case len(proposals) == 0:
		return RefusalNotProposable
	}
	size := 0
	for i := range proposals {
		e := &proposals[i]
		if e.Kind <= raftpb.EntryKindConfig && e.Kind != raftpb.EntryKindCommand {
			return RefusalNotProposable // a no-op or a configuration is never a client's to propose
		}
		e.Term = n.term
		size += entrySize(e)
	}
	if backlog := n.log.backlog(); backlog > 0 && backlog+size > n.cfg.MaxUncommittedBytes && !n.mutated(mutBacklogUnbounded) {
		n.mark(MarkBacklogFull)
		return RefusalBusy
	}
	return RefusalNone
}

func (n *Node) sendToAll(out *Effects) {
	for i := range n.members {
		if i != n.self {
			n.sendNew(&n.members[i], out)
		}
	}
}

// sendNew sends p everything it has not been sent, as far as its window allows.
func (n *Node) sendNew(p *progress, out *Effects) {
	switch p.state {
	case raftpb.ProgressStateProbe:
		if p.paused {
			n.mark(MarkProbePaused)
			return
		}
		p.paused = n.sendAppend(p, probeBytes, out)
	case raftpb.ProgressStateReplicate:
		for p.next <= n.sendableTo(p) {
			if p.inflight.full(p.window.appends, p.window.bytes) {
				n.mark(MarkWindowFull)
				p.window.reached = true
				return
			}
			if !n.sendAppend(p, n.cfg.MaxAppendBytes, out) {
				return
			}
		}
	}
}

// sendAppend sends one append with what follows next, at most maxBytes; with 0
// an empty one that only asks whether the follower's log reaches next-1. Only in
// Replicate does it move next.
func (n *Node) sendAppend(p *progress, maxBytes int, out *Effects) bool {
	m := Message{
		Kind: MessageAppend, From: n.cfg.ID, To: p.id, Term: n.term,
		PrevIndex: p.next - 1, Commit: n.log.commit, Round: n.reads.round,
	}
	var ok bool
	if m.PrevTerm, ok = n.log.term(m.PrevIndex); !ok {
		n.needSnapshot(p, out)
		return false
	}
	if maxBytes > 0 {
		if maxBytes = min(maxBytes, n.cfg.MaxAppendBytes); p.suffrage == raftpb.SuffrageWitness {
			m.Entries = n.strippedFor(p.next, maxBytes, out)
		} else {
			m.Entries = n.entriesFor(p.next, maxBytes, out)
		}
	}
	k := len(m.Entries)
	if k == 0 && maxBytes > 0 && p.state == raftpb.ProgressStateReplicate {
		return false // what is next is damaged here, and being repaired
	}
	if k > 0 && p.state == raftpb.ProgressStateReplicate {
		bytes := 0
		if n.log.tail.has(p.next) && p.suffrage != raftpb.SuffrageWitness {
			bytes = n.log.tail.bytes(p.next, p.next+Index(k))
		} else {
			for i := range m.Entries {
				bytes += entrySize(&m.Entries[i])
			}
		}
		p.next += Index(k)
		p.inflight.add(p.next-1, bytes, n.now)
	}
	out.SendNow = append(out.SendNow, m)
	return n.log.err == nil
}

// entriesFor returns the entries from lo on, for one append. They lie in out and
// are good until its Reset: those that are in its write anyway are not copied,
// and two followers that stand at the same place share theirs.
func (n *Node) entriesFor(lo Index, maxBytes int, out *Effects) []Entry {
	if lo > n.log.last {
		return nil
	}
	if len(out.Append) > 0 && lo >= out.AppendFrom {
		n.mark(MarkEntriesOfThisWrite)
		from, hi := lo-out.AppendFrom, n.log.tail.fit(lo, n.log.last+1, maxBytes)
		return out.Append[from : hi-out.AppendFrom : hi-out.AppendFrom]
	}
	if s := &out.shared; s.lo == lo && s.maxBytes == maxBytes && s.last == n.log.last && s.epoch == n.writes.epoch {
		n.mark(MarkEntriesShared)
		return s.entries
	}
	start := len(out.arena)
	out.arena = n.log.entries(out.arena, lo, n.log.last+1, maxBytes)
	entries := out.arena[start:len(out.arena):len(out.arena)]
	out.shared = sharedEntries{lo, n.log.last, maxBytes, n.writes.epoch, entries}
	return entries
}

// onAppendAnswer learns where a follower stands.
func (n *Node) onAppendAnswer(m *Message, p *progress, out *Effects) {
	if !n.sign(m, p, out) {
		return
	}
	p.heard = true
	switch m.Status {
	case raftpb.AppendStatusStaleTerm:
		// Of this term: the late answer to an append of an older one.
	case raftpb.AppendStatusOk:
		if m.Round < p.doubtBefore {
			n.mark(MarkAckOfFormerLife)
			return
		}
		trusted := p.doubt
		p.doubt = false
		if p.state != raftpb.ProgressStateSnapshot {
			p.lacks = 0
		}
		n.matched(p, m.Matched, out)
		if trusted && p.state == raftpb.ProgressStateReplicate && p.match < p.next-1 && p.inflight.count == 0 {
			n.sendAppend(p, 0, out) // what it stored in doubt it has to acknowledge now
		}
	case raftpb.AppendStatusLogMismatch:
		n.mismatched(p, m, out)
	case raftpb.AppendStatusUncertain:
		n.uncertain(p, m, out)
	case raftpb.AppendStatusNeedSnapshot:
		if m.Round >= p.doubtBefore {
			p.doubt = false
			n.memberLacksState(p, m, out)
		}
	default:
		n.mark(MarkFollowerBusy)
		n.shrink(p)
		// It cannot take entries now. Ask again with the next beat.
		if p.state == raftpb.ProgressStateReplicate {
			p.probe(p.next)
		}
		p.paused = true
	}
	n.confirmReads(out)
}

// sign notes a word from a follower; false if it says what cannot be.
func (n *Node) sign(m *Message, p *progress, out *Effects) bool {
	if m.Round > n.reads.round || m.Matched > n.log.last {
		out.fact(Fact{Kind: FactInvalidMessage, Peer: m.From, Term: m.Term, Message: m.Kind})
		return false
	}
	p.contact = n.now
	if m.Status != raftpb.AppendStatusUncertain {
		p.round = max(p.round, m.Round)
	}
	return true
}

// matched takes an acknowledgement. Late and reordered ones are true, but never
// move anything back.
func (n *Node) matched(p *progress, match Index, out *Effects) {
	advanced := match > p.match
	if n.mutated(mutMatchMovesBack) {
		p.match = match
	}
	if advanced {
		p.matchRound = n.reads.round
	}
	p.match = max(p.match, match)
	p.next = max(p.next, p.match+1)
	if sent := p.inflight.free(p.match); sent != longAgo {
		n.timed(p, sent)
	}
	if p.lacks != 0 { // it has the log; what it waits for is the stream
		if advanced {
			n.advanceCommit(out)
			n.feedWitnesses(out)
		}
		return
	}
	if p.state == raftpb.ProgressStateSnapshot && p.match >= n.log.base {
		n.mark(MarkSnapshotOvertaken)
		n.stopStream(p, out)
	}
	if p.state != raftpb.ProgressStateReplicate && p.match >= n.log.base {
		p.replicate()
		out.fact(Fact{Kind: FactReplicate, Term: n.term, Peer: p.id, Index: p.match})
	}
	if advanced {
		n.advanceCommit(out)
		n.feedWitnesses(out)
	} else {
		n.mark(MarkAckLate)
	}
	n.sendNew(p, out)
}

// mismatched takes a refusal. It is about the append now under way, or about one
// that was answered long ago and means nothing any more.
func (n *Node) mismatched(p *progress, m *Message, out *Effects) {
	if m.PrevIndex <= p.match || m.LogLast < p.match {
		n.lostMatch(p, m, out)
	}
	switch {
	case m.PrevIndex <= p.match:
		n.mark(MarkRefusalLate)
		return
	case p.state == raftpb.ProgressStateProbe && m.PrevIndex != p.next-1:
		n.mark(MarkRefusalOfOtherProbe)
		return
	case p.state == raftpb.ProgressStateSnapshot:
		return
	}
	if p.state == raftpb.ProgressStateReplicate {
		n.mark(MarkRefusalInStream)
	}
	// The highest position of ours that can equal the follower's at its hint or
	// below. It is below PrevIndex, whatever the follower says: probing ends.
	high := min(m.ConflictIndex, m.PrevIndex-1, n.log.last)
	low := max(p.match, min(n.log.base, high))
	hint := n.log.lastWithTerm(low, max(high, low), m.ConflictTerm)
	p.probe(hint + 1)
	out.fact(Fact{Kind: FactProbe, Term: n.term, Peer: p.id, Index: p.next})
	n.sendNew(p, out)
}

// advanceCommit commits by counting what is durable on a quorum, and only entries
// of the own term: one of an older term that a majority holds can still be
// replaced, until an entry of this term is committed above it.
func (n *Node) advanceCommit(out *Effects) {
	for i := range n.members {
		n.scratch[i] = int64(n.members[i].match)
	}
	if n.self >= 0 {
		n.members[n.self].match = n.log.durable
		n.scratch[n.self] = int64(n.log.durable)
		if n.mutated(mutSelfBeforeWrite) {
			n.scratch[n.self] = int64(n.log.last)
		}
	}
	if n.mutated(mutRemovedCounts) && !n.voters.has(n.self) {
		n.scratch[bits.TrailingZeros64(n.voters.incoming)] = int64(n.log.durable)
	}
	i := Index(n.voters.reached(&n.scratch))
	if i <= n.log.commit {
		return
	}
	if i < n.termStart && !n.mutated(mutCommitOldTerm) {
		n.mark(MarkOldTermNotCounted)
		return
	}
	first := n.log.commit < n.termStart
	n.commitTo(i)
	if first {
		n.nextRound(out)
	}
}

// onUnreachable stops streaming to a follower: what was sent may be lost. The
// next sign of life, or the next beat, asks where it stands.
func (n *Node) onUnreachable(peer NodeID, out *Effects) {
	if peer == n.leader {
		n.endForwards(out)
	}
	i := n.position(peer)
	if n.role != raftpb.RoleLeader || i < 0 || i == n.self {
		n.mark(MarkPeerOfFollowerLost)
		return
	}
	p := &n.members[i]
	switch p.state {
	case raftpb.ProgressStateProbe:
		n.mark(MarkProbeLost)
	case raftpb.ProgressStateReplicate:
		n.mark(MarkStreamLost)
		n.shrink(p)
		p.probe(p.next)
		out.fact(Fact{Kind: FactProbe, Term: n.term, Peer: p.id, Index: p.next})
	}
	p.paused, p.lost = true, true
}

// leaderTimer beats, and looks whether a quorum still listens.
func (n *Node) leaderTimer(out *Effects) {
	if n.alone() || n.quiesce.asleep {
		return
	}
	if !n.cfg.DisableCheckQuorum && n.now >= n.quorumAt && !n.mutated(mutNoCheckQuorum) {
		heard := n.quorumHeard()
		if n.now-heard >= n.election {
			n.mark(MarkQuorumLost)
			out.fact(Fact{Kind: FactQuorumLost, Term: n.term})
			n.becomeFollower(n.term, 0, out)
			return
		}
		n.mark(MarkQuorumHeardSince)
		n.quorumAt = heard + n.election
	}
	if n.now < n.beatAt {
		return
	}
	n.beatAt = n.now + n.cfg.Heartbeat
	if (n.stalled || n.lacks != 0) && n.transfer.target == 0 {
		n.handOver(out)
	}
	if i := n.position(n.transfer.target); n.transfer.sent && n.now < n.transfer.deadline && i >= 0 && n.members[i].match == n.log.last {
		n.mark(MarkTransferRepeated)
		n.sendTimeoutNow(out)
	}
	n.yield(out)
	n.startRound(out)
	n.flushCommit = true
	for i := range n.members {
		if i != n.self {
			n.ask(&n.members[i], out)
		}
	}
}

// ask repeats, once per beat, what would otherwise wait for ever if a message was
// lost: the probe, or in the middle of a stream the question whether all of it
// arrived. It carries no entries; a follower that only has a slow disk answers
// when that is done, and nothing was sent twice.
func (n *Node) ask(p *progress, out *Effects) {
	if p.state == raftpb.ProgressStateSnapshot {
		n.watchStream(p, out)
		return
	}
	waiting := p.state == raftpb.ProgressStateReplicate && (p.doubt || (p.inflight.count > 0 && !p.heard))
	if waiting {
		n.mark(MarkStreamAsked)
	}
	if waiting || (p.state == raftpb.ProgressStateProbe && !n.mutated(mutProbeOnce)) {
		n.sendAppend(p, 0, out)
		p.paused, p.lost = p.state == raftpb.ProgressStateProbe, false
	}
	p.heard = false
}

// quorumHeard is the last time at which a quorum had been heard.
func (n *Node) quorumHeard() Time {
	for i := range n.members {
		n.scratch[i] = int64(n.members[i].contact)
	}
	if n.self >= 0 {
		n.scratch[n.self] = int64(n.now)
	}
	return Time(n.voters.reached(&n.scratch))
}
