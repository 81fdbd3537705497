package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// worker owns the cores of its groups. Everything it does happens in step, on
// one goroutine: run's.
type worker struct {
	host    *Host
	inbox   *inbox
	applier *applier
	stopped chan struct{} // closed when run has returned

	now         raft.Time
	work        work
	out         raft.Effects
	batch       wal.Batch
	staged      []raft.Entry // entries of batch
	stagedBytes int
	pending     *write // what batch makes durable; nil: nothing staged
	spare       writes
	timers      timers
	touched     []*Group // groups with proposals or reads in this drain
	groups      []*Group // for shutdown, in order of start
	send        sender
	tap         Tap
	seen        raft.Event // what tap is shown: a copy in here does not escape

	tempo      tempo
	flights    flights
	loaded     bool         // the last batch was large
	holdUntil  raft.Time    // proposals wait for the end of a write; Never: they do not
	holding    []*Group     // their writes were refused for want of space
	full       bool         // and all are told so
	retryAt    raft.Time    // when to try again; Never: nothing is held
	fullRest   raft.Time    // how long the last pause was
	pulseAsked atomic.Int64 // when presence asked for a sign of life that is still due; 0: none is
}

// write is one batch handed to the log: which groups wrote what in it.
type write struct {
	w     *worker
	parts []part
	err   error
	done  func(error) // completed, made once
}

type part struct {
	group          *Group
	writeID, epoch uint64 // 0: nothing that the core waits for
	try            uint32 // held.try when it was staged
}

// completed runs on the log's goroutine.
func (x *write) completed(err error) {
	x.err = err
	x.w.inbox.written(x)
}

func newWorker(h *Host) *worker {
	w := &worker{flights: flights{at: raft.Never}, retryAt: raft.Never, holdUntil: raft.Never, host: h, inbox: newInbox(h.cfg.MaxInboxBytes), stopped: make(chan struct{}), tap: h.cfg.Tap}
	w.applier = newApplier(w)
	w.send.init(w)
	return w
}

// run is the goroutine around step.
func (w *worker) run() {
	defer close(w.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next := w.next(); next != raft.Never {
			timer.Reset(time.Duration(next - w.host.clock.Now()))
		}
		select {
		case <-w.inbox.wake:
			// Clients that are about to propose get to run first: what they queue goes
			// with this batch, under load most of it. One yield costs nothing when idle.
			goruntime.Gosched()
		case <-timer.C:
		case <-w.host.stop:
			w.shutdown()
			return
		}
		w.step(w.host.clock.Now())
	}
}

// next is the earliest time at which the worker has something to do by itself.
func (w *worker) next() raft.Time {
	at := min(w.timers.next(), w.flights.at, w.applier.lookAt, w.retryAt, w.holdUntil)
	if w == w.host.workers[0] {
		at = min(at, w.host.presence.at)
	}
	return at
}

// step takes all that is queued and carries it out. Order: what became durable,
// messages, notices, control, reads and proposals, timers; then one batch to the
// log, one heartbeat per peer.
func (w *worker) step(now raft.Time) {
	w.now = now
	if due := w.timers.next(); due <= now {
		w.tempo.late.add(now - due)
	}
	hold := w.holdUntil != raft.Never && now < w.holdUntil
	if w.inbox.take(&w.work, hold); len(w.work.writes) > 0 || !hold {
		w.holdUntil = raft.Never
	}
	many := w.many(len(w.work.proposals))
	for _, x := range w.work.writes {
		w.durable(x)
	}
	for i := range w.work.messages {
		w.receive(&w.work.messages[i])
	}
	for i := range w.work.notices {
		w.noticed(&w.work.notices[i])
	}
	for _, f := range w.work.control {
		f()
	}
	w.gather()
	for _, g := range w.touched {
		w.stepClients(g)
	}
	clear(w.touched)
	w.touched = w.touched[:0]
	for g := w.timers.due(now); g != nil; g = w.timers.due(now) {
		w.timers.remove(g)
		w.expired(g)
	}
	w.watch(now)
	w.work.reset()
	w.submit()
	if many && w.flights.began.size > 0 {
		w.holdUntil = now + holdFor
		w.inbox.hold()
	}
	w.send.flush()
}

// many reports whether n proposals at once mean load. While they do, half as many are
// enough: else one smaller batch would end it.
func (w *worker) many(n int) bool {
	if n == 0 {
		return false
	}
	least := w.host.cfg.HoldFrom
	if w.loaded {
		least = (least + 1) / 2
	}
	w.loaded = least > 0 && n >= least
	return w.loaded
}

// watch looks after what is not a group's own: the disk, the other hosts.
func (w *worker) watch(now raft.Time) {
	w.watchDisk(now)
	if w.tempo.at <= now && w.tempo.every > 0 {
		w.tune(now)
	}
	if w.retryAt <= now {
		w.tryAgain()
	}
	if w.applier.lookAt <= now {
		w.applier.look(now)
	}
	if p := &w.host.presence; w == w.host.workers[0] && p.at <= now {
		p.tick(now)
	}
}

// began makes a group that starts one of this host's. One that never asks for votes
// makes itself known by other means: its leader may sleep.
func (w *worker) began(g *Group, c *raft.Config) {
	w.tempo.joins(g, c)
	status := g.node.Status()
	if g.onMembers != nil {
		g.onMembers(status.Configuration, false)
	}
	if c.QuiesceAfter > 0 {
		w.host.presence.joined(&status.Configuration)
		if status.Role == raftpb.RoleLearner || c.Witness || c.DoubtFrom > 0 {
			w.host.presence.renew()
		}
	}
	if w.flights.told {
		w.stepCore(g, raft.Event{Kind: raft.EventDiskStalled})
	}
}

// expired goes on with what waited for its time: streams of snapshots, the core.
func (w *worker) expired(g *Group) {
	for _, s := range slices.Clone(g.snaps.sends) {
		if s.wake() <= w.now {
			w.advance(s)
		}
	}
	if g.repairs.wake() <= w.now {
		w.repair(g)
	}
	w.lendMore(g)
	w.pullAgain(g)
	if g.coreAt <= w.now {
		w.stepCore(g, raft.Event{Kind: raft.EventTimer})
		return
	}
	w.arm(g)
}

// arm sets the group's timer to the earliest time that anything in it waits for. Leaders
// come together: a beat is up to a quarter of its interval late, once, and from then on
// goes with those of other groups in one message.
func (w *worker) arm(g *Group) {
	if g.dead {
		return
	}
	at := g.coreAt
	if g.role.leader && at > w.now && at != raft.Never {
		at += (g.slack - at%g.slack) % g.slack
	}
	for _, s := range g.snaps.sends {
		at = min(at, s.wake())
	}
	at = min(at, g.repairs.wake(), g.snaps.lendsWake(), g.snaps.pullWake())
	w.timers.set(g, at)
}

// durable releases what waited for a write.
func (w *worker) durable(x *write) {
	w.writeEnded()
	if x.err != nil && refusedForSpace(x) {
		w.hold(x)
		w.spare.put(x)
		return
	}
	for _, p := range x.parts {
		g := p.group
		if g.dead || x.err == nil && p.try != g.held.try {
			continue
		}
		if x.err != nil { // what else depends on the log ends through Host.Fail
			w.fail(g, fmt.Errorf("log write: %w", x.err))
			continue
		}
		if w.stored(p); p.writeID == 0 {
			continue
		}
		if w.tap != nil {
			w.tap.Durable(g, p.writeID)
		}
		for g.gated.size > 0 && (g.gated.front().WriteID <= p.writeID || w.host.mutated(mutAnyWrite)) {
			m := g.gated.front() // what leaves adds nothing to the queue
			w.leave(g, &m.Message, m.WriteID)
			g.gated.drop()
		}
		w.stepCore(g, raft.Event{Kind: raft.EventPersisted, WriteID: p.writeID, Epoch: p.epoch})
	}
	if x.err != nil {
		w.host.Fail(x.err)
	}
	w.spare.put(x)
}

func (w *worker) receive(m *inbound) {
	g := m.group
	if g.dead {
		if m.answer != nil {
			m.answer.drop(ErrStopped)
		}
		return
	}
	if chunk, ok := m.answer.(*snapshotCall); ok {
		w.chunkArrived(g, &m.message, chunk)
		return
	}
	if m.message.Kind == raft.MessageAppend && (g.held.is || len(m.message.Entries) > 0 && w.host.disk.isFull()) {
		m.answer.drop(errFull)
		return
	}
	if m.asked > 0 {
		w.tempo.answered(m.message.From, w.now-m.asked)
	}
	if m.message.Kind == raft.MessageBeat {
		g.pulse.beats(&m.message, w.now)
	}
	m.message.Call = g.calls.add(m.answer)
	w.stepCore(g, raft.Event{Kind: raft.EventMessage, Message: &m.message})
}

func (w *worker) noticed(n *notice) {
	g := n.group
	switch {
	case g.dead:
	case n.err != nil:
		w.fail(g, n.err)
	case n.unreachable:
		w.stepCore(g, raft.Event{Kind: raft.EventUnreachable, Peer: n.peer})
	default:
		g.fedBytes -= n.bytes
		g.open -= n.open
		w.stepCore(g, raft.Event{Kind: raft.EventApplied, Applied: n.applied})
		if g.starved {
			w.feed(g)
		}
	}
}

// gather sorts proposals and reads by group, in order of arrival.
func (w *worker) gather() {
	touch := func(g *Group) {
		if len(g.batch) == 0 && len(g.reading) == 0 {
			w.touched = append(w.touched, g)
		}
	}
	for _, p := range w.work.proposals {
		touch(p.group)
		p.group.batch = append(p.group.batch, p)
	}
	for _, r := range w.work.reads {
		touch(r.group)
		r.group.reading = append(r.group.reading, r)
	}
}

// stepClients gives a group's proposals of this drain to the core as one event,
// and its reads as another.
func (w *worker) stepClients(g *Group) {
	if g.repairs.lost != nil {
		w.refuseClients(g)
	}
	if len(g.reading) > 0 {
		w.stepReads(g)
		clear(g.reading)
		g.reading = g.reading[:0]
	}
	if len(g.batch) > 0 {
		w.stepProposals(g)
		clear(g.batch)
		g.batch = g.batch[:0]
	}
}

func (w *worker) stepProposals(g *Group) {
	for rest := g.batch; len(rest) > 0; {
		n, size := 0, 0
		for n < len(rest) && (n == 0 || size < w.host.cfg.MaxEventBytes) {
			size += len(rest[n].entry.Body) + queueOverhead
			n++
		}
		w.stepSome(g, rest[:n])
		rest = rest[n:]
	}
}

func (w *worker) stepSome(g *Group, batch []proposal) {
	entries, size := w.send.entries[:0], 0
	for i := range batch {
		entries = append(entries, batch[i].entry)
		size += len(batch[i].entry.Body) + queueOverhead
	}
	w.send.entries = entries
	if full := g.takesNone(size); full != 0 {
		for i := range batch {
			batch[i].done.Fail(Rejection{Reason: Busy, Full: full, Leader: g.Leader()})
		}
		clear(entries)
		return
	}
	accepted := w.stepCore(g, raft.Event{Kind: raft.EventPropose, Proposals: entries})
	n, full := int(accepted.Hi-accepted.Lo), FullBacklog
	if w.out.Refused == raft.RefusalTransferring {
		full = HandingOver
	}
	for i := range batch {
		switch {
		case i < n && !g.dead:
			size := len(entries[i].Body) + queueOverhead
			g.waiting.push(waiter{accepted.Lo + raft.Index(i), batch[i].done, size})
			g.open += size
		case i < n:
			end := g.end
			end.MayHappen = true
			batch[i].done.Fail(end)
		case g.dead:
			batch[i].done.Fail(g.end)
		case g.role.leader:
			batch[i].done.Fail(Rejection{Reason: Busy, Full: full, Leader: g.self})
		default:
			batch[i].done.Fail(Rejection{Reason: NotLeader, Leader: g.Leader()})
		}
	}
	clear(entries)
	w.feed(g) // a single voter may have committed within the step; its waiters are known only now
}

// takesNone says why a leader takes no proposals of size bytes, 0 when it does.
func (g *Group) takesNone(size int) Full {
	switch {
	case !g.role.leader:
	case g.open > 0 && g.open+size > g.limit: // its machine does not keep up
		return FullUnapplied
	case g.w.host.disk.isFull():
		return FullDisk
	}
	return 0
}

// maxOpenReads bounds the reads of a group that wait for a round or to be run, but for those
// that come in one drain.
const maxOpenReads = 1 << 16

// stepReads starts one round for all linearizable reads of the drain.
func (w *worker) stepReads(g *Group) {
	var local, round []read
	for _, r := range g.reading {
		switch {
		case g.dead:
			r.run.Fail(g.end)
		case g.reads.Load() >= maxOpenReads:
			r.run.Fail(Rejection{Reason: Busy, Full: FullReads, Leader: g.Leader()})
		case r.local:
			local = append(local, r)
		case !r.any && !g.role.leader:
			r.run.Fail(Rejection{Reason: NotLeader, Leader: g.Leader()})
		default:
			round = append(round, r)
		}
	}
	g.reads.Add(int32(len(local) + len(round)))
	if len(local) > 0 {
		w.applier.push(job{group: g, reads: local})
	}
	if len(round) > 0 {
		g.readSeq++
		g.asked.push(readBatch{id: g.readSeq, reads: round})
		w.stepCore(g, raft.Event{Kind: raft.EventRead, ReadID: g.readSeq})
	}
}

// stepCore gives one event to a core and carries out the effects. It returns the
// positions that proposals got.
func (w *worker) stepCore(g *Group, in raft.Event) (accepted raft.Span) {
	if g.dead {
		return accepted
	}
	in.Now = w.now
	w.out.Reset()
	if err := g.node.Step(in, &w.out); err != nil {
		w.fail(g, err)
		return accepted
	}
	accepted = w.out.Accepted
	if w.tap != nil {
		w.seen = in
		w.tap.Stepped(g, &w.seen, &w.out)
	}
	w.execute(g, &w.out)
	return accepted
}

// submit hands the batch of this drain to the log: one write for all groups.
func (w *worker) submit() {
	if w.pending == nil {
		return
	}
	x := w.pending
	w.pending = nil
	w.wrote()
	w.host.log.Submit(&w.batch, x.done)
	w.batch.Reset()
	clear(w.staged)
	w.staged, w.stagedBytes = w.staged[:0], 0
}

// fail ends a group whose core or log broke an invariant: it answers nobody any
// more, and says why.
func (w *worker) fail(g *Group, err error) {
	if g.dead {
		return
	}
	w.host.cfg.Logger.Error("group stopped", "node", g.self, "group", g.id, "err", err)
	g.observe.Ended(g.id, err)
	w.retire(g, Rejection{Reason: Failed, Err: err})
}

func (w *worker) retire(g *Group, r Rejection) {
	if g.dead {
		return
	}
	g.dead, g.end = true, r
	w.host.presence.woke(g)
	if g.role.leader {
		w.host.presence.renew()
	}
	g.role = roleView{}
	g.leader.Store(0)
	g.lease.Store(0)
	w.host.forget(g)
	w.groups = slices.DeleteFunc(w.groups, func(other *Group) bool { return other == g })
	w.timers.remove(g)
	w.holdNoMore(g)
	g.failWaiting(r)
	for g.granted.size > 0 {
		g.failReadsOf(g.granted.pop().reads, r)
	}
	for g.gated.size > 0 {
		g.gated.pop()
	}
	g.dropRequests()
	w.applier.push(job{group: g, run: func() {}}) // nobody reads its machine any more
	g.calls.dropAll(errors.New("runtime: group stopped"))
	w.endSnapshots(g)
}

// shutdown ends all groups. Their newest commit goes to the log with the last write.
func (w *worker) shutdown() {
	w.inbox.stop()
	w.step(w.host.clock.Now())
	for _, g := range slices.Clone(w.groups) {
		if g.hardDirty {
			w.stageHardState(g)
			w.batch.NoSync()
			w.note(part{group: g})
		}
		w.retire(g, Rejection{Reason: Stopped})
	}
	w.submit()
	w.applier.close()
}
