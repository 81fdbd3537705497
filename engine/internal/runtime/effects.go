package runtime

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// execute carries out the effects of one step. The safety argument is the order
// of its lines: the write is staged before anything that promises it is queued
// behind it, and what leaves at once promises nothing.
func (w *worker) execute(g *Group, out *raft.Effects) {
	if out.LeaseUntil != 0 { // before a message leaves by which others apply more
		g.committed.Store(uint64(g.node.Commit()))
	}
	g.lease.Store(int64(out.LeaseUntil)) // before a message leaves that ends it
	for _, f := range out.Facts {
		g.observe.Fact(g.id, f)
	}
	g.followConfiguration(out.Facts)
	w.followSleep(g, out.Facts)
	w.stage(g, out)
	for i := range out.SendNow {
		w.leave(g, &out.SendNow[i], 0)
	}
	for i := range out.SendAfter {
		w.send.leaveOut(g, &out.SendAfter[i].Message)
		if w.host.mutated(mutSentBeforeWrite) {
			w.leave(g, &out.SendAfter[i].Message, out.SendAfter[i].WriteID)
			continue
		}
		g.gated.push(out.SendAfter[i])
	}
	w.follow(g)
	if out.Install != nil {
		w.install(g, out.Install)
	}
	if !out.Commit.Empty() {
		g.commit = out.Commit.Hi - 1
		if out.Accepted.Empty() {
			w.feed(g)
		}
	}
	for _, r := range out.Reads {
		w.grant(g, r)
	}
	g.answerRequests(out)
	if out.Repaired {
		w.stageTrust(g)
	}
	if e := g.snaps.policy.Entries; e > 0 && g.hardState.Commit >= g.snaps.looked+e {
		w.witness(g)
	}
	if out.CompactTo > 0 {
		w.stageCompact(g, out.CompactTo)
	}
	if d := out.Damaged; !d.Empty() {
		w.damaged(g, damages(&raft.DamagedError{Damaged: d}))
	}
	g.coreAt = out.NextTimer
	for _, ask := range out.Snapshots {
		w.askedFor(g, ask)
	}
	w.arm(g)
}

// leave lets a message go, which waited for write (0: for nothing).
func (w *worker) leave(g *Group, m *raft.Message, write uint64) {
	if w.tap != nil {
		w.tap.Leaves(g, m, write)
	}
	w.send.message(g, m)
}

// stage adds the step's write to the batch of the drain. A commit that moved
// alone waits for the next write: losing it costs nothing but a question to the
// leader after a restart.
func (w *worker) stage(g *Group, out *raft.Effects) {
	if out.HardState != nil {
		g.hardState, g.hardDirty = *out.HardState, true
	}
	if out.WriteID == 0 || (!out.MustSync && len(out.Append) == 0 && out.TruncateFrom == 0) {
		return
	}
	g.keep(out)
	if g.held.is {
		return
	}
	if g.hardDirty {
		w.stageHardState(g)
	}
	if out.Install != nil {
		w.stageInstall(g, out.Install)
	}
	switch {
	case len(out.Append) > 0:
		// The effects are reused by the next step of this drain, the batch is encoded at
		// its end: it needs entries of its own. Their bodies are shared.
		start := len(w.staged)
		w.staged = append(w.staged, out.Append...)
		w.batch.Append(g.id, out.AppendFrom, w.staged[start:len(w.staged):len(w.staged)])
		for i := range out.Append {
			w.stagedBytes += len(out.Append[i].Body) + queueOverhead
		}
	case out.TruncateFrom > 0:
		w.batch.Truncate(g.id, out.TruncateFrom)
	}
	w.note(part{group: g, writeID: out.WriteID, epoch: out.Epoch})
	if w.stagedBytes >= maxBatchBytes {
		w.submit()
	}
}

// maxBatchBytes is how much is staged before the rest of a drain goes into a
// batch of its own: one batch is one frame of the log.
const maxBatchBytes = 4 << 20

func (w *worker) stageHardState(g *Group) {
	hs := g.hardState
	w.batch.HardState(g.id, wal.HardState{Term: hs.Term, Vote: hs.Vote, Commit: hs.Commit})
	g.hardDirty = false
}

// stageTrust ends the log's doubt about g. What made it whole is durable already; if
// this is lost, a restart begins in doubt once more.
func (w *worker) stageTrust(g *Group) {
	w.batch.Trust(g.id)
	if w.pending == nil {
		w.pending = w.spare.get(w)
	}
}

// note remembers that the batch of this drain holds p.
func (w *worker) note(p part) {
	if w.pending == nil {
		w.pending = w.spare.get(w)
	}
	p.try = p.group.held.try
	w.pending.parts = append(w.pending.parts, p)
}

// follow reacts to a change of role: who proposed to a leader that no longer
// leads learns at once that the outcome is open.
func (w *worker) follow(g *Group) {
	leader, term := g.node.Leader()
	if now := int64(leader); g.leader.Load() != now {
		g.leader.Store(now)
	}
	leads := g.node.Role() == raftpb.RoleLeader
	if g.role.leader && (!leads || term != g.role.term) {
		g.failWaiting(Rejection{Reason: LeadershipLost, Leader: leader})
	}
	g.role = roleView{leads, term}
}

const (
	maxJobBytes = 1 << 20 // entries applied at a time
	maxFedBytes = 8 << 20 // handed to the applier and not yet applied, per group
)

// feed hands committed entries to the applier, as far as its bound allows; the
// rest follows when it reports progress.
func (w *worker) feed(g *Group) {
	g.starved = false
	for g.fed < g.commit && !g.dead && g.node.HasState() {
		if g.fedBytes >= maxFedBytes {
			g.starved = true
			return
		}
		j := w.applier.get(g)
		var err error
		j.entries, err = g.node.Entries(j.entries, g.fed+1, g.commit+1, maxJobBytes)
		if w.feedStopped(g, err) {
			w.applier.put(&j)
			break
		}
		if err != nil {
			w.fail(g, err)
			return
		}
		j.first = g.fed + 1
		w.cut(g, &j)
		g.fed += raft.Index(len(j.entries))
		for i := range j.entries {
			j.bytes += len(j.entries[i].Body) + queueOverhead
		}
		g.fedBytes += j.bytes
		j.wake = g.fed < g.commit || g.fedBytes > maxFedBytes/2
		g.collect(&j)
		w.applier.push(j)
	}
	for g.granted.size > 0 && g.granted.front().index <= g.fed {
		w.applier.push(job{group: g, reads: g.granted.pop().reads})
	}
}

// collect moves the proposals that wait for the entries of j into it.
func (g *Group) collect(j *job) {
	if g.waiting.size == 0 {
		return
	}
	for len(j.done) < len(j.entries) {
		j.done = append(j.done, nil)
	}
	end := j.first + raft.Index(len(j.entries))
	for g.waiting.size > 0 && g.waiting.front().index < end {
		x := g.waiting.pop()
		j.done[x.index-j.first] = x.done
		j.open += x.size
	}
}

// grant lets reads go on whose read index is known.
func (w *worker) grant(g *Group, r raft.ReadGrant) {
	for n := g.asked.size; n > 0; n-- {
		b := g.asked.pop()
		if b.id != r.ReadID {
			g.asked.push(b) // grants come in order: seldom more than one turn
			continue
		}
		if r.Round > g.readRound {
			g.readRound = r.Round
			w.host.readRounds.Add(1)
		}
		switch {
		case r.Refused && r.Why == raft.RefusalBusy:
			g.failReadsOf(b.reads, Rejection{Reason: Busy, Full: FullReads, Leader: g.Leader()})
		case r.Refused:
			g.failReadsOf(b.reads, Rejection{Reason: NotLeader, Leader: g.Leader()})
		case r.Index <= g.fed:
			w.applier.push(job{group: g, reads: b.reads})
		default:
			b.index = r.Index
			g.granted.push(b)
		}
	}
}

// writes is a free list.
type writes struct{ free []*write }

func (s *writes) get(w *worker) *write {
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		return x
	}
	x := &write{w: w}
	x.done = x.completed
	return x
}

func (s *writes) put(x *write) {
	clear(x.parts)
	x.parts, x.err = x.parts[:0], nil
	s.free = append(s.free, x)
}
