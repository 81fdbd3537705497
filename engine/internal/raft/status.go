package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// Status is what a node knows of itself, for operators and tests.
type Status struct {
	ID            NodeID
	Role          raftpb.Role
	Term          Term
	Vote          NodeID // 0: none in this term
	Leader        NodeID // 0: unknown
	First         Index  // of the log; First == Last+1 when it is empty
	Last          Index
	Durable       Index // this node's own writes completed up to here
	Commit        Index
	Applied       Index
	Tail          Span // what is in memory: bodies outside of it are not referred to
	Configuration Configuration
	// ConfigurationIndex is the entry it stands in, 0 for the initial one: what
	// ChangeRequest.Expected is compared with. ConfigurationIndex > Commit: it may
	// still be undone.
	ConfigurationIndex Index
	Changing           bool           // this leader carries out a change
	TransferTo         NodeID         // who is to lead instead; 0: nobody
	Members            []MemberStatus // by rising id; all but ID and Suffrage mean something on a leader only
	PendingReads       int
	DoubtFrom          Index // what follows may be lost: see Config.DoubtFrom; 0: nothing
	Asleep             bool
	DiskStalled        bool
	LeaseUntil         Time  // 0: no lease
	Election           Time  // the election time-out at present
	Lacks              Index // a snapshot of so much is needed before anything is applied; 0: none is
}

// MemberStatus is what a leader knows of a member.
type MemberStatus struct {
	ID              NodeID
	Suffrage        raftpb.Suffrage
	State           raftpb.ProgressState
	Match           Index
	Next            Index
	LagBytes        int // of the entries behind Match, as far as they are in the tail
	InflightAppends int
	InflightBytes   int
	WindowAppends   int // what may be in flight
	WindowBytes     int
	Contact         Time // its last word in this leadership
}

// Status returns a copy of the node's state.
func (n *Node) Status() Status {
	s := Status{
		ID: n.cfg.ID, Role: n.role, Term: n.term, Vote: n.vote, Leader: n.leader,
		First: n.log.base + 1, Last: n.log.last, Durable: n.log.durable,
		Commit: n.log.commit, Applied: n.log.applied, Tail: n.Tail(),
		Configuration: n.conf, ConfigurationIndex: n.inForce().Index,
		Changing: n.change.active, TransferTo: n.transfer.target, PendingReads: len(n.reads.waiting) + len(n.reads.forwards),
		DoubtFrom: n.doubt.from, Asleep: n.quiesce.asleep, DiskStalled: n.stalled, LeaseUntil: n.leaseUntil(),
		Lacks: n.lacks, Election: n.election,
	}
	for i := range n.members {
		s.Members = append(s.Members, n.member(i))
	}
	return s
}

func (n *Node) member(i int) MemberStatus {
	p := &n.members[i]
	s := MemberStatus{
		ID: p.id, Suffrage: p.suffrage, State: p.state, Match: p.match, Next: p.next,
		LagBytes: n.log.tail.bytes(p.match+1, n.log.tail.hi), InflightAppends: p.inflight.count, InflightBytes: p.inflight.bytes,
		WindowAppends: p.window.appends, WindowBytes: p.window.bytes, Contact: p.contact,
	}
	if i == n.self {
		s.State, s.Match, s.Next, s.Contact = raftpb.ProgressStateReplicate, n.log.durable, n.log.last+1, n.now
	}
	return s
}

// Glance is the part of Status that costs nothing to copy, for those who look after
// every step.
type Glance struct {
	Role                                  raftpb.Role
	Term                                  Term
	Vote                                  NodeID
	First, Last, Durable, Commit, Applied Index
	LastTerm                              Term
	ConfigIndex                           Index // where the configuration in force stands; First-1 or below: before the log
}

// Glance returns what a look at the node shows.
func (n *Node) Glance() Glance {
	return Glance{
		Role: n.role, Term: n.term, Vote: n.vote,
		First: n.log.base + 1, Last: n.log.last, Durable: n.log.durable,
		Commit: n.log.commit, Applied: n.log.applied, LastTerm: n.log.lastTerm,
		ConfigIndex: n.changes[len(n.changes)-1].Index,
	}
}

// Follower returns what a leader knows of member id, or false: it is no member.
func (n *Node) Follower(id NodeID) (s MemberStatus, ok bool) {
	i := n.position(id)
	if i < 0 || n.role != raftpb.RoleLeader {
		return s, false
	}
	return n.member(i), true
}

// Commit returns the commit index.
func (n *Node) Commit() Index { return n.log.commit }

// HasState reports whether what is committed can be applied: see Config.StateLost.
func (n *Node) HasState() bool { return n.cfg.StateLost == 0 || n.lacks != n.cfg.StateLost }

// Election returns the election time-out at present.
func (n *Node) Election() Time { return n.election }

// IsWitness reports whether this node keeps no bodies of commands.
func (n *Node) IsWitness() bool { return n.witness }

// Role returns the current role.
func (n *Node) Role() raftpb.Role { return n.role }

// Leader returns who leads the current term, 0 if that is not known, and the term.
func (n *Node) Leader() (NodeID, Term) { return n.leader, n.term }

// Tail returns the part of the log that is in memory. The node refers to no
// entry's body outside of it.
func (n *Node) Tail() Span { return Span{n.log.tail.lo, n.log.tail.hi} }
