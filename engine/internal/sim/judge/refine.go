package judge

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// check gives a step to the model.
func (g *Group) check(s *model.Step) {
	if g.model != nil && g.rejected == nil {
		g.rejected = g.model.Check(*s)
	}
}

// refine takes a step of a core apart into steps of the model, in the order in which
// the core takes them: a term is seen, a vote given, a role changed, entries appended
// or taken over, the commit index moved.
func (n *Node) refine(now *raft.Glance, in *raft.Event, out *raft.Effects) {
	g, was := n.group, &n.was
	term := was.Term
	campaigns := now.Vote == n.id && now.Term > was.Term
	if now.Term > term && !campaigns {
		g.check(&model.Step{Kind: model.ObserveTerm, Node: n.id, Term: now.Term})
		term = now.Term
	}
	if campaigns {
		g.check(&model.Step{Kind: model.BecomeCandidate, Node: n.id, Term: now.Term})
		n.votes, n.voters = now.Term, append(n.voters[:0], n.id)
	} else if now.Vote != 0 && now.Vote != n.id && (now.Term > was.Term || was.Vote == 0) && in.Kind == raft.EventMessage {
		m := in.Message
		g.check(&model.Step{Kind: model.Grant, Node: n.id, Peer: now.Vote, Term: now.Term, Index: m.LastIndex, LastTerm: m.LastTerm})
	}
	active := was.Role == raftpb.RoleLeader || was.Role == raftpb.RoleCandidate
	leads := now.Role == raftpb.RoleLeader
	follows := !leads && now.Role != raftpb.RoleCandidate
	if leads && (was.Role != raftpb.RoleLeader || now.Term != was.Term) {
		g.check(&model.Step{Kind: model.BecomeLeader, Node: n.id, Term: now.Term, Votes: n.voters})
	}
	if leads {
		n.told(raft.FactTransferEnded, out)
	}
	led := was.Role == raftpb.RoleLeader && now.Term == was.Term
	if led { // it commits, then appends what follows from that
		n.refineCommit(now, out)
	}
	accepted := n.refineAppend(now, in, out)
	if !led {
		n.refineCommit(now, out)
	}
	if leads {
		n.told(raft.FactTransferStarted, out)
		n.told(raft.FactTransferSent, out)
	}
	if active && follows && term == was.Term && !accepted {
		g.check(&model.Step{Kind: model.StepDown, Node: n.id})
	}
	if out.Repaired && n.lost {
		n.lost = false
		g.check(&model.Step{Kind: model.Repaired, Node: n.id})
	}
}

// told gives the model what the core tells of hand-overs.
func (n *Node) told(kind raft.FactKind, out *raft.Effects) {
	step := model.AbortTransfer
	switch kind {
	case raft.FactTransferStarted:
		step = model.Transfer
	case raft.FactTransferSent:
		step = model.TimeoutNow
	default:
	}
	for i := range out.Facts {
		if f := &out.Facts[i]; f.Kind == kind {
			n.group.check(&model.Step{Kind: step, Node: n.id, Peer: f.Peer})
		}
	}
}

// refineCommit: the commit index has moved, and not by a snapshot alone.
func (n *Node) refineCommit(now *raft.Glance, out *raft.Effects) {
	if now.Commit > n.was.Commit && (out.Install == nil || now.Commit > out.Install.Index) {
		n.group.check(&model.Step{Kind: model.AdvanceCommit, Node: n.id, Index: now.Commit})
	}
}

// refineAppend: entries that a leader made, or that a follower took over.
func (n *Node) refineAppend(now *raft.Glance, in *raft.Event, out *raft.Effects) (accepted bool) {
	g := n.group
	led := n.was.Role == raftpb.RoleLeader && now.Term == n.was.Term // it may hand over with what it appends
	if led || now.Role == raftpb.RoleLeader || in.Kind != raft.EventMessage {
		if len(out.Append) > 0 {
			g.check(&model.Step{Kind: model.Append, Node: n.id, Index: out.AppendFrom, Entries: g.modelEntries(out.Append)})
		}
		return false
	}
	m := in.Message
	if out.Install != nil {
		g.check(&model.Step{
			Kind: model.InstallSnapshot, Node: n.id, Peer: m.From, Term: m.Term,
			Index: out.Install.Index, LastTerm: out.Install.Term, Last: now.Last,
		})
		return true
	}
	if m.Kind != raft.MessageAppend || !accepts(out, m) {
		return false
	}
	g.check(&model.Step{
		Kind: model.Accept, Node: n.id, Peer: m.From, Term: m.Term, Index: m.PrevIndex, LastTerm: m.PrevTerm,
		Last: now.Last, Entries: g.modelEntries(m.Entries),
	})
	return true
}

// accepts reports whether the step took the append in. A node in doubt, or without its
// state, does so and promises nothing.
func accepts(out *raft.Effects, in *raft.Message) bool {
	took := func(m *raft.Message) bool {
		switch m.Status {
		case raftpb.AppendStatusOk:
			return true
		case raftpb.AppendStatusUncertain, raftpb.AppendStatusNeedSnapshot:
			return m.Matched > 0 || in.PrevIndex == 0
		default:
			return false
		}
	}
	for i := range out.SendNow {
		if m := &out.SendNow[i]; m.Kind == raft.MessageAppendAnswer {
			return took(m)
		}
	}
	for i := range out.SendAfter {
		if m := &out.SendAfter[i].Message; m.Kind == raft.MessageAppendAnswer {
			return took(m)
		}
	}
	return false
}

func (g *Group) modelEntries(entries []raft.Entry) []model.Entry {
	g.steps = g.steps[:0]
	for i := range entries {
		e := &entries[i]
		s := model.Entry{Term: e.Term, Kind: e.Kind, Hash: g.Sum(e)}
		if e.Kind == raftpb.EntryKindConfig {
			var c raft.Configuration
			if _, err := c.ParseCompact(e.Body, nil); err == nil {
				s.Config = modelConfig(&c)
			}
		}
		g.steps = append(g.steps, s)
	}
	return g.steps
}

func modelConfig(c *raft.Configuration) *model.Config {
	w := ConfigOf(c)
	return &model.Config{Voters: w.Voters, Outgoing: w.Outgoing, Learners: w.Learners}
}
