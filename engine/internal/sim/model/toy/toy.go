// Package toy is a small Raft cluster in one goroutine, written to be read: whole
// logs are copied at every write, messages lie in a heap from which a random one
// is taken, time does not exist. It is what the checkers of the simulator are
// tested with. They must accept everything that it does, and object when one of
// its Bugs is switched on.
//
//	w := toy.New(toy.Options{Seed: 1, Nodes: 5, Bugs: toy.CommitOldTerm})
//	w.Watch.Step = func(s model.Step) { err = errors.Join(err, m.Check(s)) }
//	for range 10_000 {
//		w.Next()
//	}
package toy

import (
	"math/rand/v2"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Options of a world.
type Options struct {
	Seed  uint64
	Nodes int // voters at the start
	Spare int // further nodes that may join
	Bugs  Bug
	Quiet Fault // kinds of trouble that do not happen
}

// Fault is a set of kinds of trouble.
type Fault uint8

// The kinds of trouble.
const (
	DiskLoss Fault = 1 << iota // a disk comes back with an older state
	Changes                    // of the configuration
	Crashes
	Snapshots
	Transfers
)

// Watcher is told what happens. Functions that are nil are not called.
type Watcher struct {
	Step      func(model.Step)
	Wrote     func(*Node, *Write) // a write was handed to the disk
	Persisted func(*Node, *Write)
	Sent      func(*Message)
	Delivered func(*Message)
	Crashed   func(*Node)
	Restarted func(*Node)
	Changed   func(*Node) // the node has finished an event
}

// World is a cluster and all that is under way in it.
type World struct {
	Options
	Watch   Watcher
	Nodes   []*Node // Nodes[i] has the id i+1
	Net     []*Message
	Initial model.Config
	Elected int          // leaders so far
	Commit  raftpb.Index // the highest that a leader committed
	rand    *rand.Rand
	bodies  uint64
}

// New builds a world at rest. Equal options give equal histories.
func New(o Options) *World {
	w := &World{Options: o, rand: rand.New(rand.NewPCG(o.Seed, 0x70_79))}
	for i := range o.Nodes + o.Spare {
		id := raftpb.NodeID(i + 1)
		w.Nodes = append(w.Nodes, &Node{World: w, ID: id, Up: true})
		if i < o.Nodes {
			w.Initial.Voters = append(w.Initial.Voters, id)
		}
	}
	for _, n := range w.Nodes {
		n.Log.Config = &w.Initial
		n.Disk.Log.Config = &w.Initial
		n.forget()
	}
	return w
}

// Next lets one thing happen.
func (w *World) Next() {
	n := w.Nodes[w.rand.IntN(len(w.Nodes))]
	switch p := w.rand.IntN(1000); {
	case p < 560:
		w.deliver()
	case p < 760:
		if n.Up && len(n.Pending) > 0 {
			n.complete()
		}
	case p < 775:
		if n.Up && !n.Uncertain && n.mayCampaign() {
			n.campaign()
		}
	case p < 900:
		if n.Up && n.Role == raftpb.RoleLeader {
			n.replicate()
		}
	case p < 970:
		n.clientAsks()
	case p < 985:
		n.trouble()
	case !n.Up:
		n.restart()
	}
	if w.Watch.Changed != nil && n.Up {
		w.Watch.Changed(n)
	}
}

func (w *World) deliver() {
	if len(w.Net) == 0 {
		return
	}
	i := w.rand.IntN(len(w.Net))
	m := w.Net[i]
	if w.rand.IntN(8) != 0 { // else it stays: a duplicate
		w.Net[i] = w.Net[len(w.Net)-1]
		w.Net = w.Net[:len(w.Net)-1]
	}
	to := w.Nodes[m.To-1]
	if !to.Up || w.rand.IntN(10) == 0 {
		return
	}
	if w.Watch.Delivered != nil {
		w.Watch.Delivered(m)
	}
	to.receive(m)
	if w.Watch.Changed != nil {
		w.Watch.Changed(to)
	}
}

func (w *World) send(m *Message) {
	if w.Watch.Sent != nil {
		w.Watch.Sent(m)
	}
	if len(w.Net) < 40*len(w.Nodes) {
		w.Net = append(w.Net, m)
	}
}

func (w *World) step(s model.Step) {
	if w.Watch.Step != nil {
		w.Watch.Step(s)
	}
}

func (w *World) has(b Bug) bool { return w.Bugs&b != 0 }

// clientAsks lets a leader accept a command, or do what an operator asks.
func (n *Node) clientAsks() {
	w := n.World
	if !n.Up || n.Role != raftpb.RoleLeader {
		return
	}
	switch p := w.rand.IntN(20); {
	case p < 15:
		if n.transferee == 0 || w.has(AppendDuringTransfer) {
			w.bodies++
			n.propose(Entry{Kind: raftpb.EntryKindCommand, Hash: w.bodies})
		}
	case p < 17:
		if w.Quiet&Changes == 0 && n.transferee == 0 {
			n.change()
		}
	case p < 18:
		if w.Quiet&Transfers == 0 && n.transferee == 0 {
			n.handOver()
		}
	case n.transferee != 0:
		n.abort()
	}
}

func (n *Node) trouble() {
	w := n.World
	switch p := w.rand.IntN(4); {
	case p == 0 && n.Up && w.Quiet&Crashes == 0:
		n.crash()
	case p == 1 && n.Up && w.Quiet&Snapshots == 0:
		n.compact()
	case p == 2 && n.Up && (n.Role == raftpb.RoleLeader || n.Role == raftpb.RoleCandidate):
		n.becomeFollower() // as check-quorum does
	}
}

// crash loses memory and any number of the newest writes under way.
func (n *Node) crash() {
	w := n.World
	for k := w.rand.IntN(len(n.Pending) + 1); k > 0; k-- {
		n.Disk = n.Pending[0].Image // on the disk, but nobody will ever hear of it
		n.Pending = n.Pending[1:]
	}
	n.Up, n.Pending = false, nil
	w.step(model.Step{Kind: model.Crash, Node: n.ID})
	if w.Watch.Crashed != nil {
		w.Watch.Crashed(n)
	}
	if w.Quiet&DiskLoss == 0 && w.rand.IntN(6) == 0 && w.uncertain() == 0 {
		n.Uncertain = true
		n.owes = max(n.Disk.Term, n.Term)
		n.Disk = Image{Log: Log{Config: &w.Initial}}
		if k := len(n.older); k > 0 && w.rand.IntN(2) == 0 {
			n.Disk = n.older[w.rand.IntN(k)]
		}
	}
	if w.has(ForgetVote) {
		n.Disk.Vote = 0
	}
}

// uncertain counts the nodes that are: losing more disks at once than a minority
// is outside of what Raft promises.
func (w *World) uncertain() (k int) {
	for _, n := range w.Nodes {
		if n.Uncertain {
			k++
		}
	}
	return k
}

func (n *Node) restart() {
	n.forget()
	n.Boot++
	n.Up = true
	n.Image = n.Disk
	n.older = nil
	n.Commit = n.Log.Base.Index
	n.World.step(model.Step{Kind: model.Restart, Node: n.ID, Term: n.Term, Vote: n.Vote, Index: n.Log.Last(), LastTerm: n.Log.Term(n.Log.Last()),
		Commit: n.Commit, Uncertain: n.Uncertain})
	if n.World.Watch.Restarted != nil {
		n.World.Watch.Restarted(n)
	}
}

func (n *Node) forget() {
	n.Role, n.Commit, n.Pending = raftpb.RoleFollower, 0, nil
	n.becomeFollowerOf(n.Term)
}

// compact replaces the log up to some committed entry by a snapshot.
func (n *Node) compact() {
	if n.Commit <= n.Log.Base.Index {
		return
	}
	i := n.Log.Base.Index + 1 + raftpb.Index(n.World.rand.Int64N(int64(n.Commit-n.Log.Base.Index)))
	n.Log = n.Log.From(i)
	n.write(nil)
}

// change begins or ends a change of the configuration.
func (n *Node) change() {
	w := n.World
	now, at := n.Log.Configuration()
	blocked := at > n.Commit || n.Log.Term(n.Commit) != n.Term
	if w.has(SecondChange) {
		blocked = false
	}
	if blocked || len(now.Outgoing) > 0 {
		return
	}
	next := model.Config{Outgoing: slices.Clone(now.Voters)}
	for _, m := range w.Nodes {
		switch w.rand.IntN(4) {
		case 0:
			next.Learners = append(next.Learners, m.ID)
		case 1, 2:
			next.Voters = append(next.Voters, m.ID)
		}
	}
	if w.has(NoJoint) {
		next.Outgoing = nil
	}
	if len(next.Voters) > 0 {
		n.propose(Entry{Kind: raftpb.EntryKindConfig, Config: &next})
	}
}
