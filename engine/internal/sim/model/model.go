// Package model is an executable specification of Raft, written from Ongaro's
// dissertation (2014) and from nothing else. It reads a trace, the abstract steps
// of one group in the order in which they happened, and accepts each step or says
// which rule it broke and how. It shares no code and no idea with the core that it
// judges: where the two disagree, one of them is wrong.
//
//	m := model.New(model.Config{Voters: []raftpb.NodeID{1, 2, 3}})
//	err := m.Check(model.Step{Kind: model.BecomeCandidate, Node: 1, Term: 1})
//	// err == nil; a second BecomeCandidate{1, 1} is rejected: a candidacy begins
//	// a new term (3.4).
//
// What the steps abstract from: messages (a step that acts on one names what it
// claimed), time, pre-votes (they change no state: stuttering), taking snapshots
// and compacting (a snapshot is a prefix of the log), applying.
//
// All logs live in one tree: an entry is named by its index and term, its parent is
// the entry before it, and a log is the path from the root to its last entry. Two
// logs that agree at an index therefore agree below it, or the tree refuses the
// entry: that is log matching (3.5).
//
//	root -- 1.1 -- 2.1 -- 3.1            index.term; nodes 1 and 3 end at 4.3,
//	                  \-- 3.3 -- 4.3     node 2, not yet repaired, at 3.1
package model

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// Model is the state of the specification. One goroutine at a time may use it.
type Model struct {
	tree
	slots     map[raftpb.NodeID]int
	nodes     []*node
	reigns    map[raftpb.Term]*reign
	asked     map[ballot]id            // the log with which a candidate began its candidacy
	ballots   map[ballot]raftpb.NodeID // votes that a crash cannot undo
	committed id
	maxTerm   raftpb.Term // the highest that a candidate began
	seq       int
	rejected  *Rejection
	checked   Step // a copy in here is none for the garbage collector
}

// ballot names a voter, or a candidate, in a term.
type ballot struct {
	term raftpb.Term
	node raftpb.NodeID
}

// node is one member. log, what memory holds, may be ahead of disk.log, and after
// a truncation beside it.
type node struct {
	id              raftpb.NodeID
	slot            int
	role            raftpb.Role
	down, uncertain bool
	term            raftpb.Term
	vote            raftpb.NodeID
	log             id
	commit          raftpb.Index
	seen            []prefix // per term, up to where its log was that term's leader's
	transferee      raftpb.NodeID
	disk            image
	past            []id        // ends of logs that were truncated: writes of them may still complete
	unsynced        []ballot    // votes given, per term for whom, that no completed write covers yet
	lost            image       // what an uncertain node had promised
	highest         raftpb.Term // it was ever in: a disk that lost something gives an older state, not one that never was
}

type image struct {
	term raftpb.Term
	vote raftpb.NodeID
	log  id
}

// prefix is a log up to end, held in memory while in term. Once it is durable the
// answer of that term is good, though the node may be in a later one by then: its
// vote there was given by a log that has the prefix.
type prefix struct {
	term raftpb.Term
	end  id
}

// reign is what one leader did in its term. It outlives the leader: its appends
// and their answers may arrive later.
type reign struct {
	leader raftpb.NodeID
	commit raftpb.Index
	log    id
	acked  [MaxNodes]raftpb.Index // per slot: how much of log it took over in this term, durably
}

// New returns the model of a group that starts with the configuration c and empty
// logs. A node that is not in c joins when a step first names it.
func New(c Config) *Model {
	m := &Model{
		slots:   make(map[raftpb.NodeID]int),
		reigns:  make(map[raftpb.Term]*reign),
		asked:   make(map[ballot]id),
		ballots: make(map[ballot]raftpb.NodeID),
	}
	m.tree.plant()
	first, _ := m.masks(&c)
	m.configs = append(m.configs, first)
	return m
}

// Check accepts s with nil or rejects it with a *Rejection. After a rejection the
// model is spent: it returns the same one for ever.
func (m *Model) Check(s Step) error {
	if m.rejected == nil {
		m.checked, m.seq = s, m.seq+1
		if m.rejected = m.step(&m.checked); m.rejected == nil {
			return nil
		}
		m.rejected.Seq, m.rejected.Step = m.seq-1, s
	}
	return m.rejected
}

func (m *Model) step(s *Step) *Rejection {
	n := m.node(s.Node)
	switch {
	case n == nil:
		return reject("trace", "a node has an id above 0 and a group at most %d nodes", MaxNodes)
	case n.down && s.Kind != Restart:
		return reject("3.8", "the node is down and cannot act")
	case n.uncertain && (s.Kind == BecomeCandidate || s.Kind == Grant):
		return reject("3.8", "the node may have forgotten a promise: until it is repaired it has no say in elections")
	}
	if int(s.Kind) >= len(rules) || rules[s.Kind] == nil {
		return reject("trace", "there is no step of kind %d", s.Kind)
	}
	return rules[s.Kind](m, n, s)
}

// rules has the judge of each kind of step.
//
//nolint:gochecknoglobals // a table that is only read
var rules = [...]func(*Model, *node, *Step) *Rejection{
	ObserveTerm: (*Model).observe, BecomeCandidate: (*Model).campaign, Grant: (*Model).grant,
	BecomeLeader: (*Model).lead, StepDown: (*Model).stepDown,
	Append: (*Model).append, Accept: (*Model).accept, InstallSnapshot: (*Model).install, AdvanceCommit: (*Model).advance,
	Durable: (*Model).durable, Crash: (*Model).crash, Restart: (*Model).restart, Repaired: (*Model).repaired,
	Transfer: (*Model).transfer, TimeoutNow: (*Model).transfer, AbortTransfer: (*Model).transfer,
}

// node finds a node or lets it join; nil: it cannot.
func (m *Model) node(who raftpb.NodeID) *node {
	if i, ok := m.slots[who]; ok {
		return m.nodes[i]
	}
	if who <= 0 || len(m.nodes) == MaxNodes {
		return nil
	}
	n := &node{id: who, slot: len(m.nodes), role: raftpb.RoleFollower}
	m.slots[who] = n.slot
	m.nodes = append(m.nodes, n)
	return n
}
