package world

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/judge"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// group is one Raft group of a world: its members, who judges it, who uses it. All
// groups of a world share its logs, links and troubles.
type group struct {
	w       *World
	place   int // in World.groups
	id      runtime.GroupID
	judge   *judge.Group
	config  raft.Configuration // the first one
	members []*member          // by place of their node, those included that are none yet
	clients clients
	twin    twin
	images  map[raft.Index]uint64 // hashes of the snapshots of another's machine
	settled []*member             // that are equal at the end
	probe   *operation            // of the end
	probed  int64                 // when
}

// member is a node's part in a group. What a crash takes is made anew by boot.
type member struct {
	n       *node
	g       *group
	judge   *judge.Node
	group   *runtime.Group // nil: it does not run
	machine *machine

	tooOld   bool       // it has ended because its node is of the older version
	finished bool       // that image became the log then
	image    raft.Index // where the newest image ended at the start
	lease    int64      // until when it believes to have one, by its clock; 0: it does not
	doubt    doubt
	entries  []raft.Entry
}

// newGroup makes the next group. The first has every node that is no outsider, others
// some of them.
func (w *World) newGroup(o *invariant.Observer) *group {
	g := &group{w: w, place: len(w.groups), images: map[raft.Index]uint64{}}
	g.twin.init()
	g.id = runtime.GroupID(g.place + 1)
	in := uint64(1)<<w.k.nodes - 1
	if own := schedule.NewStream(w.o.Seed, 400+uint64(g.place)); g.place > 0 && own.Chance(0.5) {
		in &= own.Uint64() | 1<<own.Intn(w.k.nodes)
	}
	for i := range w.k.nodes {
		if in>>i&1 == 1 {
			g.config.Incoming = append(g.config.Incoming, raftpb.Member{ID: raftpb.NodeID(i + 1), Suffrage: raftpb.SuffrageVoter})
		}
	}
	for i := range g.config.Incoming {
		if x := &g.config.Incoming[i]; g.keepsNoState(x.ID) {
			x.Suffrage = raftpb.SuffrageWitness
		}
	}
	g.judge = judge.New(judge.Options{Refine: true, Observer: o, ID: g.id, Stripped: w.k.witness != 0}, &g.config)
	return g
}

// begins reports whether a node is a member from the beginning.
func (g *group) begins(n *node) bool {
	for i := range g.config.Incoming {
		if g.config.Incoming[i].ID == n.id {
			return true
		}
	}
	return false
}

// name tells the groups of a world apart, in lines that people read.
func (g *group) name() string {
	if len(g.w.groups) == 1 {
		return ""
	}
	return fmt.Sprintf("group %d: ", g.id)
}

// anyGroup is one of the groups. Where there is only one nothing is drawn.
func (w *World) anyGroup(s *schedule.Stream) *group {
	if len(w.groups) == 1 {
		return w.groups[0]
	}
	return w.groups[s.Intn(len(w.groups))]
}

// events is how many steps the cores of all groups have made.
func (w *World) events() (sum uint64) {
	for _, g := range w.groups {
		sum += g.judge.Events
	}
	return sum
}

// member is the node's part in a group.
func (n *node) member(g *runtime.Group) *member { return n.members[g.ID()-1] }
