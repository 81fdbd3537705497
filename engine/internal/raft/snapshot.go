package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A snapshot stands for the beginning of the log (dissertation, chapter 5). The core
// decides who needs one, what it replaces and what of the log may go; taking,
// streaming and resuming are the driver's.
//
//	leader                                              follower
//	  | Effects.Snapshots {Peer, Index}                    |
//	  |   driver: first chunk ---------------------------> | MessageSnapshot
//	  | <-------------------------- MessageSnapshotAnswer: | OK, or INSTALLED: not needed
//	  |   driver: chunks --------------------------------> |   driver: file, sync, verify
//	  |                                                    | MessageSnapshot with Done
//	  |                                                    | Effects.Install, in write 7
//	  | <--------------- INSTALLED, Matched, after write 7 |
//
// A stream that breaks off ends in EventSnapshotFailed. The leader then asks the
// follower where it stands, as after any loss, and learns whether it still needs one.

// snapshotPatience is how many election time-outs a leader waits for a word about a
// snapshot before it holds the stream for dead.
const snapshotPatience = 4

// needSnapshot turns to the driver: p needs what the log does not hold any more.
func (n *Node) needSnapshot(p *progress, out *Effects) {
	if p.state == raftpb.ProgressStateSnapshot {
		return
	}
	n.mark(MarkSnapshotWanted)
	if p.pin != 0 {
		n.mark(MarkSnapshotWantedAgain)
	}
	p.state = raftpb.ProgressStateSnapshot
	p.inflight.reset()
	p.pin, p.streamHeard = n.log.base+1, n.now
	out.Snapshots = append(out.Snapshots, SnapshotAsk{
		Peer: p.id, Term: n.term, Index: max(n.log.base, p.lacks), Witness: p.suffrage == raftpb.SuffrageWitness,
	})
	out.fact(Fact{Kind: FactSnapshotNeeded, Term: n.term, Peer: p.id, Index: p.next})
}

// stopStream tells the driver that p's stream is of no use.
func (n *Node) stopStream(p *progress, out *Effects) {
	out.Snapshots = append(out.Snapshots, SnapshotAsk{Peer: p.id, Stop: true, Term: n.term})
}

// stopStreams ends every stream: this node leads no more.
func (n *Node) stopStreams(out *Effects) {
	for i := range n.members {
		if p := &n.members[i]; p.state == raftpb.ProgressStateSnapshot {
			n.stopStream(p, out)
			p.probe(p.match + 1)
		}
	}
}

// stopStreamsOf ends the streams to those of old that are members no more.
func (n *Node) stopStreamsOf(old []progress, out *Effects) {
	for i := range old {
		p := &old[i]
		if n.role == raftpb.RoleLeader && p.state == raftpb.ProgressStateSnapshot && n.position(p.id) < 0 {
			n.stopStream(p, out)
		}
	}
}

// onSnapshotFailed takes the driver's word that the stream to a peer is over.
func (n *Node) onSnapshotFailed(peer NodeID, out *Effects) {
	i := n.position(peer)
	if n.role != raftpb.RoleLeader || i < 0 || n.members[i].state != raftpb.ProgressStateSnapshot {
		n.mark(MarkSnapshotFailedLate)
		return
	}
	n.mark(MarkSnapshotFailed)
	n.snapshotFailed(&n.members[i], out)
}

// snapshotFailed asks p, with the next beat, whether it stands where the log begins:
// the answer that it has installed may be all that was lost. If not, its refusal
// leads to another snapshot; who does not answer is sent none.
func (n *Node) snapshotFailed(p *progress, out *Effects) {
	if n.mutated(mutSnapshotForEver) {
		return
	}
	out.fact(Fact{Kind: FactSnapshotFailed, Term: n.term, Peer: p.id, Index: p.match})
	p.probe(max(p.match, n.log.base) + 1)
	p.paused = true
}

// watchStream gives up a stream that nothing is heard of.
func (n *Node) watchStream(p *progress, out *Effects) {
	if n.now-p.streamHeard < snapshotPatience*n.election {
		return
	}
	n.mark(MarkSnapshotSilent)
	n.stopStream(p, out)
	n.snapshotFailed(p, out)
}

// onSnapshotAnswer learns what became of a snapshot.
func (n *Node) onSnapshotAnswer(m *Message, p *progress, out *Effects) {
	if !n.sign(m, p, out) {
		return
	}
	streams := p.state == raftpb.ProgressStateSnapshot
	switch m.SnapshotStatus {
	case raftpb.SnapshotStatusInstalled:
		n.mark(MarkSnapshotArrived)
		p.lacks = 0
		if streams {
			// From here on it is the log's again, or the log says what is missing still.
			p.probe(max(p.match, n.log.base) + 1)
		}
		if m.Matched == 0 {
			n.sendNew(p, out)
			return
		}
		n.matched(p, m.Matched, out)
	case raftpb.SnapshotStatusRejected:
		if streams {
			n.mark(MarkSnapshotFailed)
			n.snapshotFailed(p, out)
		}
	default:
		if streams {
			n.mark(MarkSnapshotProgressed)
			p.streamHeard = n.now
		}
	}
}

// onSnapshotTaken moves the beginning of the log up to where the driver wants it.
func (n *Node) onSnapshotTaken(s *Snapshot, keep Index) {
	if s == nil || s.Index > n.handed || s.Index < 0 || keep < 0 {
		n.fail(broken("a snapshot of more than was handed out, which is %d", n.handed))
		return
	}
	if t, ok := n.log.term(s.Index); ok && t != s.Term {
		n.fail(broken("snapshot at %d says term %d, the log says %d", s.Index, s.Term, t))
		return
	}
	if keep == 0 || keep > s.Index+1 {
		keep = s.Index + 1
	}
	if keep <= n.compactTo {
		n.mark(MarkSnapshotOld)
	}
	n.compactTo = max(n.compactTo, keep)
}

// compact lets go of the log's beginning, as far as a snapshot covers it, this
// node's own disk has it, and no follower that installs a snapshot needs it next.
func (n *Node) compact(out *Effects) {
	to := min(n.compactTo, n.log.durable+1, n.log.applied+1)
	if pin := n.pin(); pin < to {
		n.mark(MarkSnapshotPinned)
		n.pinned = true
		to = pin
	}
	if to <= n.log.base+1 {
		return
	}
	t, ok := n.log.term(to - 1)
	if !ok {
		return // the store failed
	}
	if n.pinned && to == n.compactTo {
		n.mark(MarkPinReleased)
		n.pinned = false
	}
	n.log.base, n.log.baseTerm = to-1, t
	n.log.tail.drop(to)
	out.CompactTo = to
}

// pin is the lowest position that a follower needs when it has installed what it is
// being sent. A follower that takes longer than MaxPinnedEntries entries is let go
// of, and will need another snapshot.
func (n *Node) pin() Index {
	pin := maxIndex
	if n.role != raftpb.RoleLeader {
		return pin
	}
	for i := range n.members {
		p := &n.members[i]
		if p.state == raftpb.ProgressStateSnapshot && n.log.last-p.pin < Index(n.cfg.MaxPinnedEntries) {
			pin = min(pin, p.pin)
		}
	}
	return pin
}

// onSnapshot takes what a stream of the leader's says of itself.
func (n *Node) onSnapshot(m *Message, out *Effects) {
	following := n.follow(m, out)
	answer := n.answerTo(m, MessageSnapshotAnswer)
	s := m.Snapshot
	t, known := n.log.term(s.Index)
	switch {
	case !following:
		answer.SnapshotStatus = raftpb.SnapshotStatusRejected
	case known && s.Index <= n.log.commit && t != s.Term:
		out.fact(Fact{Kind: FactInvalidMessage, Peer: m.From, Term: m.Term, Message: m.Kind})
		answer.SnapshotStatus = raftpb.SnapshotStatusRejected
	case n.restores(s):
		answer.SnapshotStatus = raftpb.SnapshotStatusOk
		if m.Done {
			n.verify(s.Index)
			n.restore(s, out)
			n.installed(s, answer, out)
			return
		}
	case s.Index <= n.log.commit && !n.mutated(mutSnapshotGoesBack):
		// Late, or of another leader: what is committed is equal in every log.
		n.mark(MarkSnapshotKnown)
		n.installed(s, answer, out)
		return
	case known && t == s.Term && !n.mutated(mutInstallDropsTail) && !n.mutated(mutSnapshotGoesBack):
		// Everything up to s.Index is here, and what follows it may be acknowledged.
		n.mark(MarkSnapshotMatched)
		n.verify(s.Index)
		n.commitTo(s.Index)
		n.installed(s, answer, out)
		return
	case !m.Done:
		answer.SnapshotStatus = raftpb.SnapshotStatusOk
	default:
		n.install(s, out)
		n.installed(s, answer, out)
		return
	}
	n.answer(answer, 0, out)
}

// installed answers that this node matches up to the snapshot, when that is durable.
func (n *Node) installed(s *Snapshot, answer Message, out *Effects) {
	answer.SnapshotStatus, answer.Matched = raftpb.SnapshotStatusInstalled, s.Index
	if n.doubt.from != 0 && !n.mutated(mutDoubtPromises) {
		n.mark(MarkDoubtSnapshot)
		answer.Matched = 0
	}
	var gate uint64
	if s.Index > n.log.durable {
		gate = n.writes.gate(s.Index)
	}
	n.answer(answer, gate, out)
}

// install makes the snapshot this node's state. Its log, which does not have the
// snapshot's last entry, ends before it or in conflict with it: nothing of it stays.
func (n *Node) install(s *Snapshot, out *Effects) {
	if n.log.last > n.log.commit && !n.mutated(mutInstallKeepsConflict) {
		n.mark(MarkSnapshotCutConflict)
		n.truncate(n.log.commit+1, out)
	}
	n.mark(MarkSnapshotInstalled)
	if len(out.Append) > 0 {
		n.mark(MarkSnapshotOverUnwritten)
	}
	id := n.writes.begin(out)
	out.Install, out.MustSync = s, true
	out.Append, out.AppendFrom = nil, 0
	if out.TruncateFrom > 0 {
		out.TruncateFrom = s.Index + 1
	}
	// What was committed and is not read yet is in the snapshot.
	out.Commit = Span{}
	n.log.install(s.Index, s.Term)
	n.writes.holds(id, n.log.last)
	n.handed, n.lacks = s.Index, 0
	n.verify(s.Index)
	n.changes = changes{{Index: s.ConfigurationIndex, Configuration: s.Configuration}}
	n.adoptChange(out)
	out.fact(Fact{Kind: FactSnapshotInstalled, Term: n.term, Index: s.Index, Peer: n.leader})
}

// install empties the log: it begins behind i.
func (l *raftLog) install(i Index, t Term) {
	l.tail.truncate(min(l.tail.lo, i+1))
	l.tail.lo, l.tail.hi = i+1, i+1
	l.base, l.baseTerm, l.last, l.lastTerm, l.commit = i, t, i, t, i
}
