package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// writeID names a write for the observer: it rises over restarts.
func writeID(s *server, id uint64) uint64 { return uint64(s.boot)<<40 | id }

// sumOf stands for the body of an entry, also for who does not have it: equal bodies,
// equal sums.
func sumOf(body []byte) int64 {
	var sum uint64
	for k := 0; k < len(body) && k < 8; k++ {
		sum |= uint64(body[k]) << (8 * k)
	}
	return int64(sum ^ uint64(len(body))<<48)
}

// observed turns entries into what the observer wants to know of them.
func (w *World) observed(entries []raft.Entry) []invariant.Entry {
	w.entries = w.entries[:0]
	for i := range entries {
		e := &entries[i]
		o := invariant.Entry{Term: e.Term, Kind: e.Kind, Sum: uint64(e.Crc32c)}
		if e.Kind == raftpb.EntryKindConfig {
			o.Config = w.configuration(e).watched
		}
		w.entries = append(w.entries, o)
	}
	return w.entries
}

// sawWrite tells of the write in the node's effects.
func (w *World) sawWrite(s *server, now *raft.Glance) {
	out := &s.out
	w.write = invariant.Write{
		ID: writeID(s, out.WriteID), Term: now.Term, Vote: now.Vote,
		TruncateFrom: out.TruncateFrom, From: out.AppendFrom, Entries: w.observed(out.Append),
	}
	if out.Install != nil {
		w.write.Snapshot = invariant.Mark{Index: out.Install.Index, Term: out.Install.Term}
	}
	s.seen.Wrote(&w.write)
}

// observe lets the judges look at a node after its step, and takes note of what
// changed.
func (w *World) observe(s *server, now *raft.Glance) {
	if w.model != nil {
		w.modelStep(s, now)
	}
	view := invariant.View{
		Role: now.Role, Term: now.Term, Vote: now.Vote, Commit: now.Commit, Applied: now.Applied,
		First: now.First, Last: now.Last, LastTerm: now.LastTerm, Durable: now.Durable, Config: now.ConfigIndex,
		Snapshot: s.snapshotAt(), Restoring: s.restoring != nil || s.stateless, Uncertain: s.doubtFrom != 0,
	}
	if s.installed != nil {
		view.Snapshot = max(view.Snapshot, s.installed.is.Index)
	}
	s.seen.Observe(&view)
	w.hash.Add(uint64(now.Term)<<40 ^ uint64(now.Commit)<<20 ^ uint64(now.Last) ^ uint64(now.Role)<<60 ^ uint64(now.Durable)<<10)
	if now.Role == raftpb.RoleLeader && (s.was.Role != raftpb.RoleLeader || s.was.Term != now.Term) {
		w.Counts.Leaders++
		w.doom(s)
	}
	if now.Commit > s.was.Commit {
		w.Counts.Commits += uint64(now.Commit - s.was.Commit)
	}
	if now.Role == raftpb.RoleLeader {
		w.checkProgress(s)
	}
	s.was = *now
	w.verdict()
}

// verdict ends the run at the first violation.
func (w *World) verdict() {
	if v := w.observer.First(); v != nil {
		w.fail(v)
	}
}

// checkProgress compares a leader's view of those that the event can have changed.
func (w *World) checkProgress(s *server) {
	if s.cause != nil && !w.lazyWorld() {
		if p, ok := s.node.Follower(s.cause.From); ok {
			w.checkPeer(s, &p)
		}
		return
	}
	for i := range s.node.Members() {
		p := s.node.Member(i)
		w.checkPeer(s, &p)
	}
}

func (w *World) lazyWorld() bool { return w.knobs.Lazy > 0 }

func (w *World) checkPeer(s *server, p *raft.MemberStatus) {
	if int(p.ID) > len(w.servers) {
		return
	}
	core := &w.knobs.Core
	if core.MaxInflightAppends > 0 && p.InflightAppends > core.MaxInflightAppends {
		w.failf("I8: node %d has %d appends in flight to node %d", s.id, p.InflightAppends, p.ID)
	}
	w.checkTuning(s, p)
	w.Counts.Checked++
	s.seen.Progressed(w.servers[p.ID-1].seen, invariant.Progress{Match: p.Match, Next: p.Next, InflightMessages: p.InflightAppends, InflightBytes: int64(p.InflightBytes)})
}

// sawDurable tells that a write and all before it are on the disk.
func (w *World) sawDurable(s *server, id uint64) {
	s.seen.Persisted(writeID(s, id))
	if w.model != nil {
		w.modelDurable(s)
	}
	w.verdict()
}

func (w *World) sawCrash(s *server) {
	s.seen.Crashed()
	if w.model != nil {
		w.modelCrash(s)
	}
}

// sawRestart tells what a node found on its disk, and in its state machine.
func (w *World) sawRestart(s *server) {
	d := &s.disk
	s.seen.Restarted(&invariant.Image{
		Term: d.hard.Term, Vote: d.hard.Vote, Incarnation: 1,
		Snapshot: invariant.Mark{Index: d.base, Term: d.under}, Entries: w.observed(d.entries),
		Damaged: s.damaged, DoubtFrom: s.doubtFrom,
	})
	if s.machine.applied > 0 {
		s.seen.Restored(s.machine.applied)
	}
	if w.model != nil {
		w.modelRestart(s)
	}
	s.damaged = false
	w.verdict()
}

// claimOf is what a message says; false if nothing that could be wrong.
func claimOf(p *parcel) (invariant.Claim, bool) {
	m := &p.message
	c := invariant.Claim{To: m.To, Term: m.Term, Write: p.write, Round: m.Round}
	switch m.Kind {
	case raft.MessageVote:
		if m.PreVote {
			return c, false
		}
		c.Kind = invariant.VoteAsk
	case raft.MessageVoteAnswer:
		switch {
		case !m.Granted:
			return c, false
		case m.PreVote:
			c.Kind = invariant.PreVote
		default:
			c.Kind = invariant.Vote
		}
	case raft.MessageAppendAnswer:
		switch m.Status {
		case raftpb.AppendStatusOk, raftpb.AppendStatusNeedSnapshot:
			c.Kind, c.Index = invariant.Ack, m.Matched
		case raftpb.AppendStatusStaleTerm, raftpb.AppendStatusUncertain:
			return c, false
		default:
			c.Kind = invariant.Beat
		}
	case raft.MessageSnapshotAnswer:
		if m.SnapshotStatus != raftpb.SnapshotStatusInstalled || m.Matched == 0 {
			return c, false
		}
		c.Kind, c.Index = invariant.Ack, m.Matched
	case raft.MessageTimeoutNow:
		c.Kind = invariant.TimeOut
	case raft.MessageBeatAck:
		if m.Round == 0 {
			return c, false
		}
		c.Kind = invariant.Beat
	default:
		return c, false
	}
	return c, true
}

// sawSent judges a message as it leaves.
func (w *World) sawSent(s *server, p *parcel) {
	m := &p.message
	switch m.Kind {
	case raft.MessageBeat, raft.MessageAppend:
		if m.Round > 0 {
			s.seen.RoundSent(m.Term, m.Round)
		}
	case raft.MessageReadIndexAnswer:
		if m.ReadIndex > 0 {
			w.confirmed(s, m)
		}
	default:
	}
	if c, ok := claimOf(p); ok {
		s.seen.Sent(&c)
	}
	w.verdict()
}

func (w *World) sawDelivered(s, from *server, p *parcel) {
	if c, ok := claimOf(p); ok {
		s.seen.Delivered(from.seen, &c)
	}
}
