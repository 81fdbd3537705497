package world

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// asked is the node that operators take for the leader: nearly always it is.
func (w *World) asked() *node {
	n := w.nodes[w.process.Intn(len(w.nodes))]
	if w.process.Chance(0.1) {
		return n
	}
	for _, m := range w.nodes {
		if m.up && m.group != nil && m.judge.Role() == raftpb.RoleLeader {
			n = m
		}
	}
	return n
}

// change asks for other members: one or several steps, sensible or not.
func (w *World) change() {
	n, s := w.asked(), &w.process
	if !n.up || n.group == nil {
		return
	}
	kinds := []raftpb.ChangeKind{
		raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddLearner, raftpb.ChangeKindRemove,
		raftpb.ChangeKindPromote, raftpb.ChangeKindDemote,
	}
	r := raft.ChangeRequest{CatchUp: raft.CatchUp{Skip: s.Chance(0.3)}}
	for range 1 + s.Intn(3) {
		member := raftpb.Member{ID: raftpb.NodeID(1 + s.Intn(len(w.nodes))), Suffrage: raftpb.SuffrageVoter}
		step := raftpb.Change{Kind: kinds[s.Intn(len(kinds))], Member: member}
		if step.Kind == raftpb.ChangeKindAddLearner {
			step.Member.Suffrage = raftpb.SuffrageLearner
		}
		r.Steps = append(r.Steps, step)
	}
	_ = n.group.Change(r, func(a raft.ChangeAnswer) { // stopped: nobody hears of it
		if a.Refused != raft.RefusalNone {
			w.did.changeRefused++
		} else {
			w.did.changed++
		}
	})
	if w.o.Trace != nil {
		w.trace(n, "admin", "change %+v", r)
	}
	w.poke(n)
}

// transfer asks the leader to hand over.
func (w *World) transfer(to *node) {
	n := w.asked()
	if !n.up || n.group == nil {
		return
	}
	id := to.id
	if w.process.Chance(0.3) {
		id = 0
	}
	_ = n.group.Transfer(id, func(a raft.TransferAnswer) { // stopped: nobody hears of it
		if a.Refused != raft.RefusalNone {
			w.did.transferRefused++
		} else {
			w.did.transferred++
		}
	})
	if w.o.Trace != nil {
		w.trace(n, "admin", "transfer to %d", id)
	}
	w.poke(n)
}
