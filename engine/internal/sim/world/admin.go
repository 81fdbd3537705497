package world

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// asked is the member of some group that operators take for its leader: nearly always
// it is.
func (w *World) asked() *member {
	g := w.anyGroup(&w.process)
	m := g.members[w.process.Intn(len(g.members))]
	if w.process.Chance(0.1) {
		return m
	}
	for _, other := range g.members {
		if other.group != nil && other.judge.Role() == raftpb.RoleLeader {
			m = other
		}
	}
	return m
}

// change asks for other members: one or several steps, sensible or not.
func (w *World) change() {
	m, s := w.asked(), &w.process
	if m.group == nil {
		return
	}
	kinds := []raftpb.ChangeKind{
		raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddLearner, raftpb.ChangeKindRemove,
		raftpb.ChangeKindPromote, raftpb.ChangeKindDemote,
	}
	r := raft.ChangeRequest{CatchUp: raft.CatchUp{Skip: s.Chance(0.3)}}
	for range 1 + s.Intn(3) {
		one := raftpb.Member{ID: raftpb.NodeID(1 + s.Intn(len(w.nodes))), Suffrage: raftpb.SuffrageVoter}
		step := raftpb.Change{Kind: kinds[s.Intn(len(kinds))], Member: one}
		if step.Kind == raftpb.ChangeKindAddLearner {
			step.Member.Suffrage = raftpb.SuffrageLearner
		}
		if m.g.keepsNoState(one.ID) && step.Kind != raftpb.ChangeKindRemove {
			step.Kind, step.Member.Suffrage = raftpb.ChangeKindAddWitness, raftpb.SuffrageWitness
		}
		r.Steps = append(r.Steps, step)
	}
	_ = m.group.Change(r, func(a raft.ChangeAnswer) { // stopped: nobody hears of it
		if a.Refused != raft.RefusalNone {
			w.did.changeRefused++
		} else {
			w.did.changed++
		}
	})
	if w.o.Trace != nil {
		w.trace(m.n, "admin", "change %+v", r)
	}
	w.poke(m.n)
}

// transfer asks the leader to hand over.
func (w *World) transfer(to *node) {
	m := w.asked()
	if m.group == nil {
		return
	}
	id := to.id
	if w.process.Chance(0.3) {
		id = 0
	}
	_ = m.group.Transfer(id, func(a raft.TransferAnswer) { // stopped: nobody hears of it
		if a.Refused != raft.RefusalNone {
			w.did.transferRefused++
		} else {
			w.did.transferred++
		}
	})
	if w.o.Trace != nil {
		w.trace(m.n, "admin", "transfer to %d", id)
	}
	w.poke(m.n)
}
