package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// Glance is the part of Status that costs nothing: for whoever looks at a node
// after each of a million steps.
type Glance struct {
	Role     raftpb.Role
	Term     Term
	Vote     NodeID
	Leader   NodeID
	First    Index
	Last     Index
	LastTerm Term
	Durable  Index
	Commit   Index
	Applied  Index
	Config   Index // of the entry whose configuration is in force
	Members  int   // how many positions Peer knows
	Backlog  int   // bytes that count towards MaxUncommittedBytes
}

// Glance returns what the node is now.
func (n *Node) Glance() Glance {
	l := &n.log
	return Glance{
		Role: n.role, Term: n.term, Vote: n.vote, Leader: n.leader,
		First: l.store.FirstIndex(), Last: l.last, LastTerm: l.lastTerm,
		Durable: l.durable, Commit: l.commit, Applied: l.applied,
		Config: n.changes[len(n.changes)-1].Index, Members: len(n.members), Backlog: l.backlog(),
	}
}

// Peer is a leader's view of the member at a position, in order of ids.
type Peer struct {
	ID              NodeID
	State           raftpb.ProgressState
	Match, Next     Index
	InflightAppends int
	InflightBytes   int
}

// Peer returns the view of member i, 0 <= i < Glance.Members.
func (n *Node) Peer(i int) Peer {
	p := &n.members[i]
	if i == n.self {
		return Peer{ID: p.id, State: raftpb.ProgressStateReplicate, Match: n.log.durable, Next: n.log.last + 1}
	}
	return Peer{p.id, p.state, p.match, p.next, p.inflight.count, p.inflight.bytes}
}

// PeerOf returns the view of the member id; false if it is none.
func (n *Node) PeerOf(id NodeID) (Peer, bool) {
	i := n.position(id)
	if i < 0 {
		return Peer{}, false
	}
	return n.Peer(i), true
}
