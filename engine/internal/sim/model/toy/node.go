package toy

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Kind of a Message.
type Kind uint8

// The messages.
const (
	VoteAsk Kind = iota
	VoteAnswer
	AppendAsk
	AppendAnswer
	SnapshotAsk
	TimeoutNow
)

// Message is a request or an answer. Prev is the last entry of a candidate too.
type Message struct {
	Kind     Kind
	From, To raftpb.NodeID
	Term     raftpb.Term
	Boot     int // the sender's
	Prev     Mark
	Entries  []Entry
	Commit   raftpb.Index
	OK       bool
	Matched  raftpb.Index
	Last     raftpb.Index
	Config   *model.Config // of a snapshot
	Nonce    int           // of an uncertain node, and of the leader's answer to it
	Write    *Write        // the one that the message waited for
}

// Write is an image under way to the disk, and what waits for it.
type Write struct {
	Image
	Seq   int
	Gated []*Message
}

// Node is a member. The embedded Image is what its memory holds.
type Node struct {
	World *World
	ID    raftpb.NodeID
	Up    bool
	Boot  int
	Image
	Role      raftpb.Role
	Commit    raftpb.Index
	Disk      Image
	Pending   []*Write
	Uncertain bool
	Match     map[raftpb.NodeID]raftpb.Index

	votes      map[raftpb.NodeID]bool
	next       map[raftpb.NodeID]raftpb.Index
	boots      map[raftpb.NodeID]int
	nonces     map[raftpb.NodeID]int
	transferee raftpb.NodeID
	verified   raftpb.Index
	writes     int
	older      []Image
	owes       raftpb.Term  // an uncertain node's highest
	repairTo   raftpb.Index // what it must hold
	repairTerm raftpb.Term
}

func (n *Node) becomeFollowerOf(term raftpb.Term) {
	if term > n.Term {
		n.Term, n.Vote = term, 0
	}
	n.Role, n.transferee, n.verified, n.repairTerm = raftpb.RoleFollower, 0, 0, 0
	n.votes, n.Match, n.next = map[raftpb.NodeID]bool{}, map[raftpb.NodeID]raftpb.Index{}, map[raftpb.NodeID]raftpb.Index{}
	n.boots, n.nonces = map[raftpb.NodeID]int{}, map[raftpb.NodeID]int{}
}

func (n *Node) becomeFollower() {
	n.World.step(model.Step{Kind: model.StepDown, Node: n.ID})
	n.Role, n.transferee, n.verified = raftpb.RoleFollower, 0, 0
}

// write hands memory's image to the disk; the messages leave when it is there.
func (n *Node) write(gated ...*Message) {
	n.writes++
	wr := &Write{Image: n.Image, Seq: n.writes}
	for _, m := range gated {
		if m != nil {
			m.Write = wr
			wr.Gated = append(wr.Gated, m)
		}
	}
	n.Pending = append(n.Pending, wr)
	if n.World.Watch.Wrote != nil {
		n.World.Watch.Wrote(n, wr)
	}
	if n.World.has(AckAnyWrite) && len(n.Pending) > 1 {
		wr.Gated, n.Pending[0].Gated = nil, append(n.Pending[0].Gated, wr.Gated...)
	}
}

func (n *Node) complete() {
	wr := n.Pending[0]
	n.Pending = n.Pending[1:]
	n.Disk = wr.Image
	if len(n.older) < 8 {
		n.older = append(n.older, wr.Image)
	}
	last := wr.Log.Last()
	n.World.step(model.Step{Kind: model.Durable, Node: n.ID, Term: wr.Term, Vote: wr.Vote, Index: last, LastTerm: wr.Log.Term(last)})
	if n.World.Watch.Persisted != nil {
		n.World.Watch.Persisted(n, wr)
	}
	for _, m := range wr.Gated {
		n.World.send(m)
	}
	if wr.Term == n.Term && n.Role == raftpb.RoleLeader {
		n.Match[n.ID] = max(n.Match[n.ID], last)
		n.tryCommit()
	}
	if wr.Term == n.Term && n.Role == raftpb.RoleCandidate && wr.Vote == n.ID {
		n.votes[n.ID] = true
		n.tryLead()
	}
	n.tryRepaired()
}

// tryRepaired: an uncertain node is whole again when it has, on its disk, what a
// leader had committed at a moment when that leader had forgotten its answers.
func (n *Node) tryRepaired() {
	done := n.repairTerm == n.Term && n.Term >= n.owes && n.Disk.Term == n.Term && n.verified >= n.repairTo && n.Disk.Log.Last() >= n.repairTo &&
		len(n.Pending) == 0
	if n.World.has(RepairedEarly) {
		done = n.Term >= n.owes && n.Disk.Term == n.Term
	}
	if n.Uncertain && done {
		n.Uncertain = false
		n.World.step(model.Step{Kind: model.Repaired, Node: n.ID})
	}
}

func (n *Node) mayCampaign() bool { return n.Role != raftpb.RoleLeader && n.mayVote(n.ID) }

func (n *Node) mayVote(id raftpb.NodeID) bool {
	c, _ := n.Log.Configuration()
	return slices.Contains(c.Voters, id) || slices.Contains(c.Outgoing, id)
}

func (n *Node) campaign() {
	n.becomeFollowerOf(n.Term + 1)
	n.Role, n.Vote = raftpb.RoleCandidate, n.ID
	n.World.step(model.Step{Kind: model.BecomeCandidate, Node: n.ID, Term: n.Term})
	var asks []*Message
	for _, peer := range n.peers() {
		last := n.Log.Last()
		asks = append(asks, &Message{Kind: VoteAsk, From: n.ID, To: peer, Term: n.Term, Prev: Mark{last, n.Log.Term(last)}})
	}
	n.write(asks...)
}

// peers are the other members, learners too.
func (n *Node) peers() (ids []raftpb.NodeID) {
	c, _ := n.Log.Configuration()
	for _, m := range n.World.Nodes {
		if m.ID != n.ID && slices.Contains(slices.Concat(c.Voters, c.Outgoing, c.Learners), m.ID) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func (n *Node) receive(m *Message) {
	if m.Term > n.Term && m.Kind != VoteAnswer {
		n.World.step(model.Step{Kind: model.ObserveTerm, Node: n.ID, Term: m.Term})
		n.becomeFollowerOf(m.Term)
		n.write()
	}
	switch m.Kind {
	case VoteAsk:
		n.voteAsked(m)
	case VoteAnswer:
		if n.Role == raftpb.RoleCandidate && m.OK && (m.Term == n.Term || n.World.has(CountAnyVote)) {
			n.votes[m.From] = true
			n.tryLead()
		}
	case AppendAsk, SnapshotAsk:
		if m.Term == n.Term && n.Role != raftpb.RoleLeader {
			n.Role = raftpb.RoleFollower
			n.appendAsked(m)
		}
	case AppendAnswer:
		if n.Role == raftpb.RoleLeader && m.Term == n.Term {
			n.appendAnswered(m)
		}
	case TimeoutNow:
		if m.Term == n.Term && !n.Uncertain && n.mayCampaign() {
			n.campaign()
		}
	}
}

func (n *Node) voteAsked(m *Message) {
	w := n.World
	last := n.Log.Last()
	if w.has(CompareCommit) {
		last = n.Commit
	}
	lastTerm := n.Log.Term(last)
	fresh := m.Prev.Term > lastTerm || m.Prev.Term == lastTerm && m.Prev.Index >= last
	if w.has(IndexBeforeTerm) {
		fresh = m.Prev.Index >= last
	}
	free := n.Vote == 0 || n.Vote == m.From || w.has(KeepVote)
	if m.Term != n.Term || !free || !fresh || n.Role == raftpb.RoleLeader || n.Uncertain && !w.has(VoteWhileUncertain) {
		return
	}
	n.Vote = m.From
	w.step(model.Step{Kind: model.Grant, Node: n.ID, Peer: m.From, Term: m.Term, Index: m.Prev.Index, LastTerm: m.Prev.Term})
	answer := &Message{Kind: VoteAnswer, From: n.ID, To: m.From, Term: n.Term, OK: true}
	if w.has(VoteBeforeDurable) {
		n.write()
		w.send(answer)
		return
	}
	n.write(answer)
}

func (n *Node) tryLead() {
	c, _ := n.Log.Configuration()
	if !n.votes[n.ID] || !n.World.quorum(c, func(id raftpb.NodeID) bool { return n.votes[id] }) {
		return
	}
	n.World.Elected++
	var votes []raftpb.NodeID
	for _, m := range n.World.Nodes {
		if n.votes[m.ID] {
			votes = append(votes, m.ID)
		}
	}
	n.Role = raftpb.RoleLeader
	n.World.step(model.Step{Kind: model.BecomeLeader, Node: n.ID, Term: n.Term, Votes: votes})
	n.propose(Entry{Kind: raftpb.EntryKindNoop})
}
