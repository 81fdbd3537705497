// Package invariant watches a simulated cluster from outside and objects at the
// step at which it breaks a rule. The rules are I1 to I22 of the list of invariants
// below. The observer knows what no node knows, every log, every disk, every
// promise under way, and it never forgets.
//
// What it is told, and in which order, for each event that a node handles:
//
//	Delivered   the message that is the event, if it is one
//	Wrote       the write that the node handed to its disk, if any
//	Applied, Restored, Effect, ...           what else it did
//	Observe     what the node looks like now
//	Sent        each message, at the moment at which it leaves
//
// and Persisted, Crashed, Restarted between events, when they happen.
//
//	o := invariant.New(invariant.Options{})
//	g := o.Group(1, invariant.Config{Voters: []raftpb.NodeID{1, 2, 3}})
//	g.Node(1).Observe(&invariant.View{Role: raftpb.RoleLeader, Term: 1})
//	fmt.Println(o.First()) // I1: it leads term 1 without the votes of a quorum ...
//
// Each entry has a rolling hash of all that stands before it and of itself,
//
//	h[i] = H(h[i-1], term, kind, sum of the body)
//
// so that two logs are equal up to i exactly if their hashes at i are. Checks cost
// O(1) per event, O(voters) when a leader commits or is elected, and what a write or
// a recovery carries.
//
//	I1  election safety          I9  promise persistence    I17 group isolation
//	I2  leader append-only       I10 configuration safety   I18 order of effects
//	I3  log matching             I11 learners, removed      I19 resources
//	I4  leader completeness      I12 disruption             I20 no silent corruption
//	I5  state-machine safety     I13 read index             I21 amnesia
//	I6  committed is immutable   I14 leases                 I22 economy
//	I7  monotonic                I15 sessions
//	I8  order of positions       I16 equivalence of snapshots
package invariant

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// ID names an invariant.
type ID string

// The invariants.
const (
	I1  ID = "I1"
	I2  ID = "I2"
	I3  ID = "I3"
	I4  ID = "I4"
	I5  ID = "I5"
	I6  ID = "I6"
	I7  ID = "I7"
	I8  ID = "I8"
	I9  ID = "I9"
	I10 ID = "I10"
	I11 ID = "I11"
	I12 ID = "I12"
	I13 ID = "I13"
	I14 ID = "I14"
	I15 ID = "I15"
	I16 ID = "I16"
	I17 ID = "I17"
	I18 ID = "I18"
	I19 ID = "I19"
	I20 ID = "I20"
	I21 ID = "I21"
	I22 ID = "I22"
)

// Violation is one broken invariant. Fields that mean nothing for it are zero.
type Violation struct {
	ID       ID
	Sentence string
	Group    raftpb.GroupID
	Node     raftpb.NodeID
	Index    raftpb.Index
	Term     raftpb.Term
	Step     uint64 // how many things the observer had been told before
}

// Error makes a violation an error.
func (v *Violation) Error() string {
	return fmt.Sprintf("invariant: %s: %s (group %d, node %d, index %d, term %d, step %d)", v.ID, v.Sentence, v.Group, v.Node, v.Index, v.Term, v.Step)
}

// Limits are those that the nodes were configured with, for I8 and I19. Zero: no
// limit is checked.
type Limits struct {
	UncommittedBytes int64 // of entries that a leader accepted and did not commit
	PeerBytes        int64 // queued for one peer
	EffectBytes      int64 // handed out by one step
	InflightMessages int   // appends to one follower without an answer
	InflightBytes    int64
}

// Options of an observer. The zero value checks everything but limits and origins.
type Options struct {
	Limits
	// Origins demands that every command was announced by Group.Proposed (I17).
	Origins bool
	// SkewBeyondBound says that clocks drift faster than leases were told: I14 and
	// the freshness of lease reads are then nobody's promise.
	SkewBeyondBound bool
}

// Limits of the observer itself.
const (
	MaxNodes      = 64   // per group, over its life
	MaxViolations = 64   // kept; more are counted
	MaxRounds     = 1024 // of a leader that may be without an answer
)

// Observer watches any number of groups. One goroutine at a time may use it and
// all that it hands out.
type Observer struct {
	options    Options
	step       uint64
	groups     map[raftpb.GroupID]*Group
	origins    map[uint64]*Group // sum of a command: who may hold it
	violations []Violation
	dropped    int
}

// New returns an observer that has seen nothing.
func New(o Options) *Observer {
	return &Observer{options: o, groups: make(map[raftpb.GroupID]*Group), origins: make(map[uint64]*Group)}
}

// Limits are those that the nodes are held to.
func (o *Observer) Limits() Limits { return o.options.Limits }

// First returns the first violation, nil if there is none.
func (o *Observer) First() *Violation {
	if len(o.violations) == 0 {
		return nil
	}
	return &o.violations[0]
}

// Violations returns the first MaxViolations of them, in order, and how many more
// there were.
func (o *Observer) Violations() (kept []Violation, more int) { return o.violations, o.dropped }

// Group starts to watch a group that begins with configuration c and empty logs.
// For a group that was destroyed and made again, call it again: what the old one
// held must not appear in the new one.
func (o *Observer) Group(id raftpb.GroupID, c Config) *Group {
	g := &Group{
		observer:  o,
		id:        id,
		slots:     make(map[raftpb.NodeID]int),
		others:    make(map[place]uint64),
		leaders:   make(map[raftpb.Term]*Node),
		votes:     make(map[ballot]raftpb.NodeID),
		reads:     make(map[uint64]read),
		states:    make(map[raftpb.Index]state),
		effects:   make(map[command]effect),
		expired:   make(map[int64]raftpb.Index),
		brought:   make(map[place]int32),
		committed: make([]link, 1),
		first:     make([]link, 1),
	}
	g.configs = []members{g.masks(&c)}
	g.adopted = []configAt{{}}
	o.groups[id] = g
	return g
}

// Group is what the observer knows of one group.
type Group struct {
	observer *Observer
	id       raftpb.GroupID
	slots    map[raftpb.NodeID]int
	nodes    []*Node
	healthy  bool

	first     []link // per index, the entry that was seen first there
	others    map[place]uint64
	committed []link // per index; never changes
	marks     []mark // how far leaders had committed, by rising term
	configs   []members
	brought   map[place]int32 // the configuration that an entry brought
	adopted   []configAt      // the committed ones, by rising index
	leaders   map[raftpb.Term]*Node
	votes     map[ballot]raftpb.NodeID // on disk, once
	maxTerm   raftpb.Term              // the highest that a candidate began

	acked   raftpb.Index // the highest that a client knows of
	reads   map[uint64]read
	states  map[raftpb.Index]state
	effects map[command]effect
	expired map[int64]raftpb.Index
}

// place names an entry: log matching gives it to one entry only.
type place struct {
	index raftpb.Index
	term  raftpb.Term
}

// ballot names a voter in a term.
type ballot struct {
	term  raftpb.Term
	voter int
}

// mark: leaders of terms <= term had committed up to index.
type mark struct {
	term  raftpb.Term
	index raftpb.Index
}

// Node returns what is known of a node of the group. It panics when there are more
// than MaxNodes: the simulation is wrong, not the cluster.
func (g *Group) Node(id raftpb.NodeID) *Node {
	if i, ok := g.slots[id]; ok {
		return g.nodes[i]
	}
	if len(g.nodes) == MaxNodes {
		panic(fmt.Sprintf("invariant: more than %d nodes in group %d", MaxNodes, g.id))
	}
	n := &Node{group: g, id: id, slot: len(g.nodes), configs: []configAt{{}}, role: raftpb.RoleFollower}
	g.slots[id] = n.slot
	g.nodes = append(g.nodes, n)
	return n
}

// Node is what the observer knows of one node. log is what its memory holds, disk
// what its disk does; writes are between the two.
type Node struct {
	group *Group
	id    raftpb.NodeID
	slot  int

	role        raftpb.Role
	term        raftpb.Term
	vote        raftpb.NodeID
	commit      raftpb.Index
	applied     raftpb.Index
	machine     raftpb.Index // what its state machine has taken in, as it was told
	snapshot    raftpb.Index
	durable     raftpb.Index // what it believes of its disk
	incarnation int64
	log         chain
	configs     []configAt // in force, by rising index; the last one counts
	inForce     int32      // the one when the step began
	led         bool       // the term that it is in, before the step that Observe saw
	before      int32      // the same after Observe, when inForce is that of the next step
	created     raftpb.Term
	changes     []change // configurations that the step added
	truncated   bool     // since the last Observe

	disk    image
	writes  []*write
	done    [16]written // the writes that completed last
	doneAt  int
	spare   []*write
	started bool

	ballots   uint64 // votes that were delivered to it in ballotTerm
	ballotsOf raftpb.Term
	promised  place // the furthest that it acknowledged, and in which term
	heard     [MaxNodes]heard
	rounds    []round
	lease     int64 // until when, in true time, it believes that it holds one
	handed    raftpb.Term

	doubt     bool
	doubtFrom raftpb.Index
	lost      lost
	losses    int
	owed      raftpb.Index // what lost had of the committed log, or was counted for

	outcast     bool
	snapshotted raftpb.Index // its newest snapshot on disk
	names       map[string]bool
}

// report takes note of a violation.
func (n *Node) report(id ID, index raftpb.Index, term raftpb.Term, format string, args ...any) {
	n.group.observer.keep(Violation{ID: id, Sentence: fmt.Sprintf(format, args...), Group: n.group.id, Node: n.id, Index: index, Term: term})
}

func (o *Observer) keep(v Violation) {
	if v.Step = o.step; len(o.violations) < MaxViolations {
		o.violations = append(o.violations, v)
	} else {
		o.dropped++
	}
}

// tick counts what the observer is told.
func (n *Node) tick() { n.group.observer.step++ }
