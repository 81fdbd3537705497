package world

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// tap tells the judge of every step. It implements runtime.Tap.
type tap struct{ n *node }

// Stepped implements runtime.Tap.
func (t tap) Stepped(g *runtime.Group, in *raft.Event, out *raft.Effects) {
	n := t.n
	w := n.w
	m := n.member(g)
	was := m.judge.Role()
	m.judge.Stepped(g.Node(), in, out)
	if out.Repaired {
		m.repaired()
	}
	if until := int64(out.LeaseUntil); until != m.lease {
		m.lease = until
		if until != 0 {
			until = n.globalAt(until)
		}
		m.judge.Watched.Lease(w.now, until)
	}
	if w.o.Trace != nil {
		w.traceStep(m, in, out)
	}
	if was != raftpb.RoleLeader && m.judge.Role() == raftpb.RoleLeader && w.strikes(newLeader, &w.process) {
		w.fell(n)
	}
}

// Durable implements runtime.Tap.
func (t tap) Durable(g *runtime.Group, write uint64) { t.n.member(g).judge.Durable(write) }

// Leaves implements runtime.Tap. A crash in here leaves the rest of the effects undone.
func (t tap) Leaves(g *runtime.Group, m *raft.Message, write uint64) {
	t.n.member(g).judge.Leaves(m, write)
	if w := t.n.w; w.strikes(crashInside, &w.process) {
		panic(powerLoss{})
	}
}

func (w *World) traceStep(m *member, in *raft.Event, out *raft.Effects) {
	text := fmt.Sprintf("event %d", in.Kind)
	switch in.Kind {
	case raft.EventMessage:
		text = fmt.Sprintf("%v from %d term %d", in.Message.Kind, in.Message.From, in.Message.Term)
	case raft.EventPersisted:
		text = fmt.Sprintf("write %d of epoch %d is durable", in.WriteID, in.Epoch)
	case raft.EventPropose:
		text = fmt.Sprintf("%d proposals", len(in.Proposals))
	case raft.EventTimer:
		text = "timer"
	case raft.EventApplied:
		text = fmt.Sprintf("applied up to %d", in.Applied)
	default:
	}
	g := m.group
	if g == nil {
		return
	}
	now := g.Node().Glance()
	w.trace(m.n, "step", "%s%s => %v term %d vote %d log %d of %d commit %d durable %d; write %d, from %d truncating %d, %d entries; sends %d, later %d",
		m.g.name(), text, now.Role, now.Term, now.Vote, now.Last, now.LastTerm, now.Commit, now.Durable,
		out.WriteID, out.AppendFrom, out.TruncateFrom, len(out.Append), len(out.SendNow), len(out.SendAfter))
}
