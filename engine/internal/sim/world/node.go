package world

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/disk"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/wal"
)

// node is one process of the cluster and its disk. What a crash takes is made anew by
// boot.
type node struct {
	w       *World
	place   int // in World.nodes
	id      raft.NodeID
	disk    *disk.Disk
	life    uint32 // raised by every crash
	version int
	coder   codec.Codec // of its calls
	up      bool
	event   event // that is handled now
	booted  bool  // its log has existed
	noStart bool  // its disk does not let it

	host    *runtime.Host
	manual  runtime.Manual
	log     *wal.Log
	members []*member // one for each of World.groups
	failed  error     // the log's

	running   bool  // evRun is under way
	timerAt   int64 // true time of the earliest evTimer under way; 0: none
	writing   bool  // evDisk is under way
	applying  bool  // evApply is under way
	tasking   bool  // evTask is under way
	sent      int   // requests and answers
	submitted int   // batches that the log has not answered
	waiting   ring[func(error)]
	told      ring[told]
	toldAt    int64
	timers    []*logTimer
	turns     int  // of the disk
	wantsRoom bool // the log refused a batch for want of space

	pausedUntil int64
	slowUntil   int64
	hangUntil   int64
	fullUntil   int64
	doomedAt    int64
	ppm         int64 // its clock is fast by so many millionths
	clockBase   int64 // true time at which ppm began to hold
	localBase   int64 // its clock then

	hurt   bool       // its store was damaged once
	verify bool       // the whole log, at the next start
	backup *disk.Disk // of its store; nil: none
}

// told is the completion of a write on its way to the node.
type told struct {
	done func(error)
	err  error
}

func (w *World) newNode(place int) *node {
	id := raft.NodeID(place + 1)
	n := &node{w: w, place: place, id: id, disk: disk.NewIn(&w.memory.pages)}
	for _, g := range w.groups {
		m := &member{n: n, g: g, judge: g.judge.Node(id)}
		n.members, g.members = append(n.members, m), append(g.members, m)
	}
	n.disk.Before = n.beforeDisk
	n.initVersion()
	if w.k.skewPPM > 0 {
		n.ppm = w.process.Between(-w.k.skewPPM, w.k.skewPPM)
	}
	return n
}

// local is the node's own clock. Now makes the node the Clock of its host.
func (n *node) local() int64 {
	d := n.w.now - n.clockBase
	return n.localBase + d + d/1_000_000*n.ppm + d%1_000_000*n.ppm/1_000_000
}

// Now implements runtime.Clock.
func (n *node) Now() raft.Time { return raft.Time(n.local()) }

// globalAt is the true time at which the node's clock will show t, or a moment later.
func (n *node) globalAt(t int64) int64 {
	d := t - n.local()
	if d <= 0 {
		return n.w.now
	}
	return n.w.now + d*1_000_000/(1_000_000+n.ppm) + 2
}

// setClock changes the rate of the clock, which does not jump.
func (n *node) setClock(ppm int64) {
	n.localBase, n.clockBase, n.ppm = n.local(), n.w.now, ppm
	for _, m := range n.members {
		if n.up && m.lease != 0 {
			m.judge.Watched.Lease(n.w.now, n.globalAt(m.lease))
		}
	}
}

// boot is a start of the process: the log is recovered and the group begun.
func (n *node) boot() {
	w := n.w
	n.up, n.failed = true, nil
	n.submitted, n.waiting, n.told, n.timers = 0, ring[func(error)]{}, ring[told]{}, n.timers[:0]
	n.running, n.writing, n.applying, n.tasking, n.wantsRoom, n.timerAt = false, false, false, false, false, 0
	if !w.calm && w.k.rate[crashBoot] > 0 && n.booted && w.strikes(crashBoot, &w.process) {
		n.doomedAt = 1 + w.process.N(30)
	}
	log, _, err := wal.Open("/log", n.logOptions())
	n.doomedAt = 0
	if err != nil {
		n.bootFailed(err)
		return
	}
	n.log = log
	if n.failed == nil {
		err = n.start()
	}
	if err = errors.Join(n.failed, err); err != nil {
		n.bootFailed(err)
		return
	}
	w.did.restarts++
	for _, m := range n.members {
		view := log.Group(m.g.id)
		w.trace(n, "up", "%slife %d, log up to %d, %+v", m.g.name(), n.life, view.LastIndex(), view.HardState())
	}
	w.poke(n)
}

// bootFailed: a disk that fails or is full is an excuse, nothing else is.
func (n *node) bootFailed(err error) {
	if errors.Is(err, disk.ErrIO) || errors.Is(err, disk.ErrNoSpace) || errors.Is(err, wal.ErrNoSpace) {
		n.w.trace(n, "no start", "%v", err)
		n.noStart = true
		n.w.crash(n)
		return
	}
	n.w.fail("recovery", "node %d: %v", n.id, err)
}

func (n *node) logOptions() wal.Options {
	k := &n.w.k
	o := wal.Options{
		Identity: wal.Identity{Cluster: "world", Node: n.id}, FS: n.disk, Catalog: wal.FileCatalog,
		Clock: logClock{n}, Random: random{n}, Logger: slog.New(slog.DiscardHandler), Manual: true,
		SegmentBytes: k.segment, Spares: k.spares, MaxFrameBytes: k.frame, StallAfter: 10 * time.Second, StallFatal: -1, CacheBytes: logCache,
		OnFatal: n.logFailed, Salvage: n.hurt, Verify: n.verify,
		OnDamage: func(e *wal.CorruptError) {
			if !n.hurt {
				n.w.fail("I20", "node %d: the log finds damage where nothing was damaged: %v", n.id, e)
			}
		},
	}
	n.w.mutateLog(&o)
	return o
}

// logFailed: the process ends, but not at once: what it still does must be right.
func (n *node) logFailed(err error) {
	n.failed = err
	n.w.trace(n, "log failed", "%v", err)
	n.w.push(n.w.now+n.w.process.N(election), event{kind: evExit, node: int8(n.place), gen: n.life})
}

// start makes the host and its groups from what the disk has, as an engine's host does.
func (n *node) start() error {
	w := n.w
	n.host = runtime.New(runtime.Config{
		Node: n.id, Workers: 1, MaxInboxBytes: 1 << 20, MaxEventBytes: maxEventBytes, HoldFrom: w.k.holdFrom, Logger: slog.New(slog.DiscardHandler),
		Clock: n, Tap: tap{n}, Presence: w.k.presence(), StallAfter: raft.Time(w.k.stallAfter),
		Snapshots: runtime.SnapshotLimits{MaxWrites: 1, MaxSends: 1 + w.k.nodes/2, ChunkBytes: w.k.chunk, WindowBytes: 4 * w.k.chunk, MaxImageBytes: 1 << 26, FromFollowers: w.k.fromFollowers},
	}, store{n}, int64(n.life)<<8|int64(n.id))
	w.mutateHost(n.host)
	n.manual = n.host.Manual(wire{n})
	for _, m := range n.members {
		if err := m.start(); err != nil {
			return err
		}
	}
	n.booted, n.verify = true, false
	return nil
}

// Limits, in bytes, the first two of worlds in which they are small.
const (
	smallWindow   = 4096    // sent to one follower and not answered, but for one append
	smallBacklog  = 1 << 14 // not committed
	maxEventBytes = 1 << 16 // proposals of one event, but for one
	logCache      = 1 << 18 // frames that a log keeps in memory: what is older is read from its disk
)

// core is the configuration of a node's core.
func (k *knobs) core(n *node, g *group, conf raft.Configuration) raft.Config {
	c := raft.Config{
		ID: n.id, Configuration: conf, ElectionTimeout: raft.Time(election), Heartbeat: raft.Time(k.heartbeat),
		MaxElectionTimeout: raft.Time(k.slowest),
		Seed:               n.w.o.Seed<<8 ^ uint64(n.id) ^ uint64(g.place)<<56, Boot: uint64(n.life), TailBytes: k.tail,
		ApplyDurable: k.lasting, ClockBound: raft.Time(k.clockBound()), Marks: &n.w.marks,
		DisablePreVote: k.disablePre, DisableCheckQuorum: k.disableQuorum,
		QuiesceAfter: raft.Time(k.quiesceAfter), Witness: g.keepsNoState(n.id),
	}
	if k.small {
		c.MaxAppendBytes, c.MaxInflightAppends, c.MaxInflightBytes = 1+k.bodyBytes*2, 1+k.nodes, smallWindow
		c.MinInflightAppends, c.MinInflightBytes = 1+k.nodes/2, smallWindow/2
		c.MaxUncommittedBytes, c.MaxPendingReads = smallBacklog, 4
	}
	return c
}

func (k *knobs) limits() invariant.Limits {
	if !k.small {
		return invariant.Limits{}
	}
	const entry = 4096 // more than any entry of these worlds has, and than an append if it has several
	return invariant.Limits{
		InflightMessages: 1 + k.nodes, UncommittedBytes: smallBacklog, PeerBytes: smallWindow + entry,
		EffectBytes: maxEventBytes + entry + int64(k.nodes+k.outsiders)*(smallWindow+entry),
	}
}

// handle is what an event does to a node that is up.
func (n *node) handle() {
	switch e := n.event; e.kind {
	case evRun:
		n.running = false
		n.step()
	case evTimer:
		if n.timerAt <= n.w.now {
			n.timerAt = 0
		}
		if int64(n.manual.Next()) <= n.local() {
			n.step()
		} else {
			n.after()
		}
	case evDisk:
		n.write()
	case evTold:
		t := n.told.pop()
		t.done(t.err)
		n.after()
	case evLogTimer:
		t := n.timers[e.slot]
		if t.gen == e.x {
			t.fire()
			n.busyDisk()
		}
	case evApply:
		n.applying = false
		n.manual.Apply()
		n.after()
	case evTask:
		n.tasking = false
		n.manual.Task()
		n.after()
	case evExit:
		panic(powerLoss{})
	default:
	}
}

// step is one drain of the worker.
func (n *node) step() {
	n.manual.Step()
	for _, m := range n.members {
		if end := m.group.End(); end != nil && n.failed == nil && errors.Is(end.Err, wal.ErrNoSpace) {
			n.logFailed(end.Err)
		} else if end != nil && n.failed == nil && end.Reason == runtime.Failed && !m.stopped(end.Err) {
			n.w.fail("group", "%snode %d: its group ended: %v", m.g.name(), n.id, end)
		}
	}
	n.after()
}

// after arranges for what the node has to do next.
func (n *node) after() {
	w := n.w
	if n.manual.Ready() {
		w.poke(n)
	}
	if !n.applying && n.manual.Jobs() > 0 {
		n.applying = true
		w.push(w.now+1+w.process.N(2*w.k.applyFor), event{kind: evApply, node: int8(n.place), gen: n.life})
	}
	if !n.tasking && n.manual.Tasks() > 0 {
		n.tasking = true
		w.push(max(w.now+1+w.disk.N(2*w.k.diskDelay), n.hangUntil), event{kind: evTask, node: int8(n.place), gen: n.life})
	}
	if next := n.manual.Next(); next != raft.Never {
		if at := n.globalAt(int64(next)); n.timerAt == 0 || at < n.timerAt {
			n.timerAt = max(at, w.now+1)
			w.push(n.timerAt, event{kind: evTimer, node: int8(n.place), gen: n.life})
		}
	}
}

// poke makes the worker of n look into its inbox soon.
func (w *World) poke(n *node) {
	if n.running || !n.up {
		return
	}
	n.running = true
	d := w.process.N(2 * w.k.serviceFor)
	if n.slowUntil > w.now {
		d *= 50
	}
	w.push(w.now+1+d, event{kind: evRun, node: int8(n.place), gen: n.life})
}

// crash ends the process now. What was not synced is there, or not.
func (w *World) crash(n *node) {
	n.up = false
	n.life++
	w.did.crashes++
	w.trace(n, "crash", "life %d ends", n.life-1)
	if n.host != nil {
		c := n.host.SnapshotCounts()
		w.did.snapshots, w.did.installed, w.did.pulled = w.did.snapshots+c.Taken, w.did.installed+c.Installed, w.did.pulled+c.Pulled
	}
	for _, m := range n.members {
		m.judge.Crashed()
		m.group, m.lease, m.tooOld = nil, 0, false
		if !w.k.lasting {
			m.machine = nil
		} else if m.machine != nil && w.mutated(mutAppliedApart) {
			m.machine.forget()
		}
	}
	n.host, n.manual, n.log = nil, runtime.Manual{}, nil
	n.disk.Crash(disk.Survival{Keep: w.k.survival, Pages: w.k.pages}, &w.disk)
	w.hangUp(n)
	for _, g := range w.groups {
		g.clients.crashed(n)
	}
	d := 1 + w.process.N(w.k.downFor)
	if n.noStart {
		d += election / 3
	}
	n.noStart = false
	if w.calm {
		d = 1 + w.process.N(election/10)
	}
	w.push(w.now+d, event{kind: evRestart, node: int8(n.place), gen: n.life})
}

// random feeds the log's identity and salts.
type random struct{ n *node }

// Read implements io.Reader.
func (r random) Read(p []byte) (int, error) {
	var b [8]byte
	for i := range p {
		if i%8 == 0 {
			binary.LittleEndian.PutUint64(b[:], r.n.w.disk.Uint64())
		}
		p[i] = b[i%8]
	}
	return len(p), nil
}

// observer counts what happens. It implements runtime.Observer.
type observer struct{ n *node }

// Ended implements runtime.Observer.
func (o observer) Ended(runtime.GroupID, error) {}

// SnapshotTaken implements runtime.Observer.
func (o observer) SnapshotTaken(runtime.GroupID, raft.Index) {}

// Fact implements runtime.Observer.
func (o observer) Fact(id runtime.GroupID, f raft.Fact) {
	w := o.n.w
	switch f.Kind {
	case raft.FactChangeEnded:
		w.groups[id-1].clients.leader = o.n.place
	case raft.FactQuiesced:
		w.did.slept++
	case raft.FactWoken:
		w.did.woken++
	case raft.FactDiskStalled:
		w.did.stalls++
	default:
	}
	if w.o.Trace != nil {
		w.trace(o.n, f.Kind.String(), "%s", factText(&f))
	}
}

func factText(f *raft.Fact) string {
	return fmt.Sprintf("term %d index %d peer %d role %v reason %v", f.Term, f.Index, f.Peer, f.Role, f.Reason)
}
