package bare

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

const commandKind = raftpb.EntryKindCommand

func (w *World) traceMessage(m *raft.Message) {
	var text string
	switch m.Kind {
	case raft.MessageVote:
		text = fmt.Sprintf("last %d of %d, pre %v", m.LastIndex, m.LastTerm, m.PreVote)
	case raft.MessageVoteAnswer:
		text = fmt.Sprintf("granted %v, asked %d, pre %v, reason %d", m.Granted, m.AskedTerm, m.PreVote, m.Reason)
	case raft.MessageAppend:
		text = fmt.Sprintf("prev %d of %d, commit %d, round %d, %d entries", m.PrevIndex, m.PrevTerm, m.Commit, m.Round, len(m.Entries))
	case raft.MessageAppendAnswer:
		text = fmt.Sprintf("status %d, prev %d, matched %d, round %d, hint %d of %d, last %d",
			m.Status, m.PrevIndex, m.Matched, m.Round, m.ConflictIndex, m.ConflictTerm, m.LogLast)
	case raft.MessageBeat, raft.MessageBeatAck:
		text = fmt.Sprintf("commit %d, round %d", m.Commit, m.Round)
	case raft.MessageSnapshot:
		text = fmt.Sprintf("index %d of %d, done %v", m.Snapshot.Index, m.Snapshot.Term, m.Done)
	case raft.MessageSnapshotAnswer:
		text = fmt.Sprintf("status %d, matched %d", m.SnapshotStatus, m.Matched)
	case raft.MessageTimeoutNow, raft.MessageTimeoutNowAnswer:
		text = fmt.Sprintf("granted %v", m.Granted)
	default:
		text = fmt.Sprintf("context %d, index %d", m.Context, m.ReadIndex)
	}
	w.tracef("%d -> %d %v call %d term %d: %s", m.From, m.To, m.Kind, m.Call, m.Term, text)
}

// tell hands one step to the model.
func (w *World) tell(s model.Step) {
	if w.err != nil {
		return
	}
	if err := w.model.Check(s); err != nil {
		w.failf("%w: %+v", err, s)
	}
}

func (w *World) modelEntries(entries []raft.Entry) []model.Entry {
	out := make([]model.Entry, len(entries))
	for i := range entries {
		e := &entries[i]
		out[i] = model.Entry{Term: e.Term, Kind: e.Kind, Hash: uint64(e.Crc32c)}
		if e.Kind == raftpb.EntryKindConfig {
			out[i].Config = w.configuration(e).checked
		}
	}
	return out
}

// modelStep finds out which abstract steps one event was. s.was is the node before
// it, now the node after it.
func (w *World) modelStep(s *server, now *raft.Glance) {
	was, m, out := &s.was, s.cause, &s.out
	if m != nil && m.Kind == raft.MessageVoteAnswer && m.Granted && !m.PreVote && m.AskedTerm == was.Term && was.Role == raftpb.RoleCandidate {
		s.votes = append(s.votes, m.From)
	}
	led := was.Role == raftpb.RoleLeader && now.Term == was.Term
	if led && now.Commit > was.Commit {
		w.tell(model.Step{Kind: model.AdvanceCommit, Node: s.id, Index: now.Commit})
	}
	accepts := m != nil && m.Kind == raft.MessageAppend && agreed(out, m)
	installs := m != nil && m.Kind == raft.MessageSnapshot && now.Commit > was.Commit && agreed(out, m)
	grants := m != nil && m.Kind == raft.MessageVote && !m.PreVote && now.Vote == m.From && now.Term == m.Term && (was.Vote != now.Vote || was.Term != now.Term)
	switch {
	case now.Term > was.Term && now.Vote == s.id:
		if m != nil && m.Kind == raft.MessageTimeoutNow && m.Term > was.Term {
			w.tell(model.Step{Kind: model.ObserveTerm, Node: s.id, Term: m.Term})
		}
		w.tell(model.Step{Kind: model.BecomeCandidate, Node: s.id, Term: now.Term})
		s.votes = append(s.votes[:0], s.id)
	case now.Term > was.Term && !accepts && !grants && !installs:
		w.tell(model.Step{Kind: model.ObserveTerm, Node: s.id, Term: now.Term})
	case now.Term == was.Term && rests(now.Role) && !rests(was.Role) && !accepts && !installs:
		w.tell(model.Step{Kind: model.StepDown, Node: s.id})
	}
	if grants {
		w.tell(model.Step{Kind: model.Grant, Node: s.id, Peer: m.From, Term: m.Term, Index: m.LastIndex, LastTerm: m.LastTerm})
	}
	if now.Role == raftpb.RoleLeader && was.Role != raftpb.RoleLeader {
		w.tell(model.Step{Kind: model.BecomeLeader, Node: s.id, Term: now.Term, Votes: s.votes})
	}
	switch {
	case accepts:
		w.tell(model.Step{
			Kind: model.Accept, Node: s.id, Peer: m.From, Term: m.Term, Index: m.PrevIndex, LastTerm: m.PrevTerm,
			Entries: w.modelEntries(m.Entries), Last: now.Last,
		})
	case installs:
		w.tell(model.Step{
			Kind: model.InstallSnapshot, Node: s.id, Peer: m.From, Term: m.Term, Index: m.Snapshot.Index, LastTerm: m.Snapshot.Term, Last: now.Last,
		})
	case len(out.Append) > 0:
		w.tell(model.Step{Kind: model.Append, Node: s.id, Index: out.AppendFrom, Entries: w.modelEntries(out.Append)})
	}
	if !led && !installs && now.Commit > was.Commit {
		w.tell(model.Step{Kind: model.AdvanceCommit, Node: s.id, Index: now.Commit})
	}
	if out.Repaired {
		w.tell(model.Step{Kind: model.Repaired, Node: s.id})
	}
	if now.Role == raftpb.RoleLeader {
		w.modelTransfers(s)
	}
}

// modelTransfers tells of hand-overs, which the core reports as facts.
func (w *World) modelTransfers(s *server) {
	for i := range s.out.Facts {
		f := &s.out.Facts[i]
		switch f.Kind {
		case raft.FactTransferStarted:
			w.tell(model.Step{Kind: model.Transfer, Node: s.id, Peer: f.Peer})
		case raft.FactTransferSent:
			w.tell(model.Step{Kind: model.TimeoutNow, Node: s.id, Peer: f.Peer})
		case raft.FactTransferEnded:
			w.tell(model.Step{Kind: model.AbortTransfer, Node: s.id})
		default:
		}
	}
}

// rests: neither leads nor wants to. A pre-vote changes nothing.
func rests(r raftpb.Role) bool { return r != raftpb.RoleLeader && r != raftpb.RoleCandidate }

// agreed reports whether the node agreed to an append or a snapshot.
func agreed(out *raft.Effects, m *raft.Message) bool {
	ok := func(a *raft.Message) bool {
		return a.Call == m.Call && (a.Kind == raft.MessageAppendAnswer && (a.Status == raftpb.AppendStatusOk || a.Status == raftpb.AppendStatusNeedSnapshot) ||
			a.Kind == raft.MessageSnapshotAnswer && a.SnapshotStatus == raftpb.SnapshotStatusInstalled)
	}
	for i := range out.SendNow {
		if ok(&out.SendNow[i]) {
			return true
		}
	}
	for i := range out.SendAfter {
		if ok(&out.SendAfter[i].Message) {
			return true
		}
	}
	return false
}

// image is the disk as the model wants to hear of it.
func (s *server) image(kind model.Kind) model.Step {
	d := &s.disk
	last := d.LastIndex()
	term, _ := d.Term(last)
	return model.Step{Kind: kind, Node: s.id, Term: d.hard.Term, Vote: d.hard.Vote, Index: last, LastTerm: term}
}

func (w *World) modelDurable(s *server) { w.tell(s.image(model.Durable)) }

func (w *World) modelCrash(s *server) { w.tell(model.Step{Kind: model.Crash, Node: s.id}) }

func (w *World) modelRestart(s *server) {
	step := s.image(model.Restart)
	step.Commit, step.Uncertain = max(s.disk.hard.Commit, s.machine.applied), s.damaged
	w.tell(step)
}
