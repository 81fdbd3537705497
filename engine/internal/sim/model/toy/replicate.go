package toy

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func (n *Node) propose(e Entry) {
	e.Term = n.Term
	n.World.step(model.Step{Kind: model.Append, Node: n.ID, Index: n.Log.Last() + 1, Entries: []Entry{e}})
	n.Log = n.Log.With(e)
	n.write()
	if n.World.has(CountSelfEarly) {
		n.Match[n.ID] = n.Log.Last()
		n.tryCommit()
	}
}

// replicate sends every peer some of what it lacks.
func (n *Node) replicate() {
	for _, peer := range n.peers() {
		next, ok := n.next[peer]
		if !ok {
			next = n.Log.Last() + 1
		}
		m := &Message{Kind: AppendAsk, From: n.ID, To: peer, Term: n.Term, Commit: n.Commit}
		if n.Log.Term(n.Commit) == n.Term { // else earlier leaders may have committed more than it knows
			m.Nonce = n.nonces[peer]
		}
		if next <= n.Log.Base.Index {
			m.Kind, m.Prev, m.Config = SnapshotAsk, n.Log.Base, n.Log.Config
		} else {
			hi := min(n.Log.Last()+1, next+raftpb.Index(n.World.rand.IntN(4)))
			m.Prev = Mark{next - 1, n.Log.Term(next - 1)}
			m.Entries = n.Log.Span(next, hi)
		}
		n.World.send(m)
	}
	if n.transferee != 0 && !n.mayVote(n.transferee) {
		n.abort()
	}
	if n.transferee != 0 && (n.Match[n.transferee] == n.Log.Last() || n.World.has(HandOverEarly)) {
		n.World.step(model.Step{Kind: model.TimeoutNow, Node: n.ID, Peer: n.transferee})
		n.World.send(&Message{Kind: TimeoutNow, From: n.ID, To: n.transferee, Term: n.Term})
	}
}

func (n *Node) handOver() {
	to := raftpb.NodeID(n.World.rand.IntN(len(n.World.Nodes)) + 1)
	if to == n.ID || !n.mayVote(to) {
		return
	}
	n.World.step(model.Step{Kind: model.Transfer, Node: n.ID, Peer: to})
	n.transferee = to
}

func (n *Node) abort() {
	n.World.step(model.Step{Kind: model.AbortTransfer, Node: n.ID})
	n.transferee = 0
}

func (n *Node) appendAsked(m *Message) {
	answer := &Message{Kind: AppendAnswer, From: n.ID, To: m.From, Term: n.Term, Boot: n.Boot, Last: n.Log.Last()}
	if n.Uncertain {
		answer.Nonce = n.Boot
		if m.Nonce == n.Boot { // the leader knows that it must not count older answers
			n.repairTerm = n.Term
			n.repairTo = max(n.repairTo, m.Commit)
		}
	}
	matched := m.Prev.Index + raftpb.Index(len(m.Entries))
	switch {
	case m.Prev.Index < n.Log.Base.Index: // covered by our snapshot
		answer.OK, answer.Matched = matched <= n.Log.Base.Index, matched
	case m.Kind == SnapshotAsk:
		n.install(m)
		answer.OK, answer.Matched = true, matched
	case n.Log.Term(m.Prev.Index) == m.Prev.Term:
		n.extend(m)
		answer.OK, answer.Matched = true, matched
		if n.World.has(AckLast) {
			answer.Matched = n.Log.Last()
		}
	}
	if answer.OK {
		n.verified = max(n.verified, matched)
		bound := min(m.Commit, n.verified)
		if n.World.has(CommitUnclamped) {
			bound = min(m.Commit, n.Log.Last())
		}
		n.commitTo(bound)
	}
	n.write(answer)
}

// extend takes over the entries of m behind a place where the logs agree.
func (n *Node) extend(m *Message) {
	log := n.Log
	if n.World.has(TruncateMatching) {
		log = log.Cut(m.Prev.Index)
	}
	for k, e := range m.Entries {
		i := m.Prev.Index + raftpb.Index(k) + 1
		if log.Term(i) == e.Term {
			continue
		}
		if i <= log.Last() && n.World.has(KeepConflict) {
			log.Entries = slices.Clone(log.Entries)
			log.Entries[i-log.Base.Index-1] = e
			continue
		}
		log = log.Cut(i - 1).With(m.Entries[k:]...)
		break
	}
	n.Log = log
	n.World.step(model.Step{Kind: model.Accept, Node: n.ID, Peer: m.From, Term: m.Term, Index: m.Prev.Index, LastTerm: m.Prev.Term,
		Entries: m.Entries, Last: log.Last()})
}

func (n *Node) install(m *Message) {
	w := n.World
	keep := n.Log.Term(m.Prev.Index) == m.Prev.Term
	tail := Log{Base: m.Prev, Config: m.Config}
	switch {
	case keep && w.has(DropTail), !keep && !w.has(KeepTail):
		n.Log = tail
	case m.Prev.Index <= n.Log.Last():
		log := n.Log.From(m.Prev.Index)
		log.Base, log.Config = m.Prev, m.Config
		n.Log = log
	default:
		n.Log = tail
	}
	w.step(model.Step{Kind: model.InstallSnapshot, Node: n.ID, Peer: m.From, Term: m.Term, Index: m.Prev.Index, LastTerm: m.Prev.Term, Last: n.Log.Last()})
	n.Commit = max(n.Commit, m.Prev.Index)
}

func (n *Node) appendAnswered(m *Message) {
	switch {
	case m.Boot < n.boots[m.From]: // from before its last restart
		return
	case m.Nonce != 0: // it is uncertain: what it said before counts no more
		n.Match[m.From], n.boots[m.From], n.nonces[m.From] = 0, m.Boot, m.Nonce
		n.next[m.From] = min(m.Last, n.Log.Last()) + 1
		if m.OK {
			n.next[m.From] = min(m.Matched, n.Log.Last()) + 1
		} else if m.Last >= n.Log.Base.Index {
			n.next[m.From] = n.Log.Base.Index + 1
		}
	case m.OK || n.World.has(CountRefusals):
		n.boots[m.From] = m.Boot
		n.Match[m.From] = max(n.Match[m.From], m.Matched)
		if !m.OK {
			n.Match[m.From] = max(n.Match[m.From], m.Last)
		}
		n.next[m.From] = min(n.Match[m.From], n.Log.Last()) + 1
		n.tryCommit()
	default:
		next, ok := n.next[m.From]
		if !ok {
			next = n.Log.Last() + 1
		}
		n.next[m.From] = max(1, min(next-1, m.Last+1))
	}
}

func (n *Node) tryCommit() {
	c, _ := n.Log.Configuration()
	for i := n.Log.Last(); i > n.Commit; i-- {
		if n.Log.Term(i) != n.Term && !n.World.has(CommitOldTerm) {
			return
		}
		if n.World.quorum(c, func(id raftpb.NodeID) bool { return n.Match[id] >= i }) {
			n.commitTo(i)
			return
		}
	}
}

func (n *Node) commitTo(i raftpb.Index) {
	if i <= n.Commit {
		return
	}
	n.World.step(model.Step{Kind: model.AdvanceCommit, Node: n.ID, Index: i})
	n.Commit = i
	if n.Role != raftpb.RoleLeader {
		return
	}
	n.World.Commit = max(n.World.Commit, i)
	c, at := n.Log.Configuration()
	switch {
	case len(c.Outgoing) > 0 && (at <= n.Commit || n.World.has(LeaveEarly)):
		n.propose(Entry{Kind: raftpb.EntryKindConfig, Config: &model.Config{Voters: c.Voters, Learners: c.Learners}})
	case at <= n.Commit && len(c.Outgoing) == 0 && !slices.Contains(c.Voters, n.ID):
		n.becomeFollower()
	}
}
