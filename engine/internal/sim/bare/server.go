package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// server is one node with its disk, clock and state machine.
type server struct {
	index int8
	id    raft.NodeID
	seen  *invariant.Node
	boot  uint32
	muted uint32 // what boots up to this one sent is lost

	node    *raft.Node // nil: down
	out     raft.Effects
	lazy    bool // out waits to be carried out
	was     raft.Glance
	sent    int           // messages of out.SendNow that belong to earlier steps
	votes   []raft.NodeID // given to this candidate, for the model
	ledTerm raft.Term
	ledFrom raft.Index
	cause   *raft.Message // the message that is being handled, if it is one

	armed       Time // when the next timer event comes, in true time; Never: none
	wanted      Time // what the node asked for, in its own time
	pausedUntil Time
	clock       clock

	disk        disk
	queue       writes
	done        uint64 // newest completed write of this boot
	machine     machine
	calls       [callSlots]uint64 // requests that are not answered, by their low bits
	forgotten   uint64            // requests up to this one are watched no more
	unreachable uint64            // members, by id, to whom something was lost
	reading     []reading
	claims      []accepted
	orders      []order

	witness    bool
	sending    []stream
	received   *image // complete, and on the disk beside the log
	installed  *image // of the write that installs it
	restoring  *image // what the state machine is to become
	mayRestore bool
	compactTo  raft.Index

	doubtFrom raft.Index // what the disk may have lost; 0: nothing
	voteDoubt bool
	damaged   bool // since the last start
	// lostLife is the last boot before a damage. Answers to it end with their connections:
	// a node in doubt relies on that.
	lostLife   uint32
	askedBy    [callSlots]uint32 // the boots of those who asked, by the low bits of the call
	cutOff     []raft.Entry      // what a truncation took last, from cutFrom on
	cutFrom    raft.Index
	leaseUntil Time // by its own clock
	stalled    bool
	syncedAt   Time
	heldUntil  Time // no write completes before
	told       []told
	toldAt     Time
	fault      storeFault
	scratched  raft.Span // entries on the disk that cannot be read
	repairing  bool
	stateless  bool // it needs a snapshot to go on applying
	failed     bool // a read has failed since the last start
}

// clock is a node's own: since base it has run by ppm too fast.
type clock struct {
	base, shown Time
	ppm         int64
}

const million = 1_000_000

func (c *clock) at(now Time) Time {
	passed := now - c.base
	return c.shown + passed + passed/million*Time(c.ppm) + passed%million*Time(c.ppm)/million
}

// when returns the true time at which the clock shows local, or a little later.
func (c *clock) when(local Time) Time {
	if c.ppm == 0 {
		return c.base + local - c.shown
	}
	passed := local - c.shown
	took := passed/(million+Time(c.ppm))*million + passed%(million+Time(c.ppm))*million/(million+Time(c.ppm))
	return c.base + took + 1
}

// run goes on from now at another pace.
func (c *clock) run(now Time, ppm int64) { *c = clock{now, c.at(now), ppm} }

func (w *World) newServer(id raft.NodeID) *server {
	s := &server{index: int8(id - 1), id: id, seen: w.group.Node(id), armed: raft.Never}
	s.disk.entries = make([]raft.Entry, 0, 64)
	if w.knobs.SkewPPM != 0 {
		s.clock.ppm = w.process.Between(-w.knobs.SkewPPM, w.knobs.SkewPPM)
	}
	return s
}

// start boots a server from its disk.
func (w *World) start(s *server) {
	s.boot++
	cfg := w.knobs.Core
	cfg.ID, cfg.Seed, cfg.Boot = s.id, w.options.Seed<<8|uint64(s.id), uint64(s.boot)
	cfg.Witness, cfg.Marks = s.witness, &w.Counts.Marks
	cfg.DoubtFrom, cfg.VoteDoubt = s.doubtFrom, s.voteDoubt
	s.wakeUp(w)
	cfg.Configuration, cfg.ConfigurationIndex = s.founding(w)
	if w.knobs.Odd.Found {
		cfg.Changes = s.disk.changes()
	}
	if w.mutated(mutFlagsDecide) && s.boot > 1 {
		cfg.Configuration, cfg.Changes = w.initial(), []raft.Change{}
	}
	s.failed = false
	applied := w.losesImage(s, &cfg)
	node, err := raft.New(cfg, store{s}, s.disk.hard, applied, s.clock.at(w.now))
	if isDamage(err) {
		s.scratched = raft.Span{} // whoever starts without the configurations of its log has it repaired first
		node, err = raft.New(cfg, store{s}, s.disk.hard, applied, s.clock.at(w.now))
	}
	if s.failed {
		w.unreadable(s, err)
		return
	}
	if err != nil {
		w.failf("start of node %d: %w", s.id, err)
		return
	}
	mutate(node, w.options.Mutant)
	s.node, s.lazy, s.done, s.sent = node, false, 0, 0
	s.out.Reset()
	s.queue.clear()
	s.machine.handed, s.machine.under, s.machine.writing = s.machine.applied, false, nil
	s.armed, s.wanted = raft.Never, raft.Never
	s.told, s.toldAt = s.told[:0], 0
	s.calls, s.forgotten, s.unreachable = [callSlots]uint64{}, w.calls, 0
	s.leaseUntil, s.stalled, s.syncedAt = 0, false, 0
	s.votes, s.claims, s.orders = s.votes[:0], s.claims[:0], s.orders[:0]
	s.sending, s.received, s.installed, s.restoring, s.compactTo = s.sending[:0], nil, nil, nil, 0
	if s.boot > 1 {
		w.sawRestart(s)
	}
	s.was = node.Glance()
	if w.options.Trace != nil {
		w.tracef("start %d, boot %d: %+v, last %d, applied %d", s.id, s.boot, s.disk.hard, s.disk.LastIndex(), s.machine.applied)
	}
	w.step(s, &raft.Event{Kind: raft.EventTimer})
}

// wakeUp brings the state machine to where a restart finds it.
func (s *server) wakeUp(w *World) {
	m, im := &s.machine, s.disk.snapshot
	if w.knobs.Volatile {
		m.forget()
	}
	if im != nil && m.applied < im.is.Index {
		m.state = im.state
	}
	if s.witness {
		m.applied = s.disk.base
	}
	if m.applied == 0 && int(s.id) <= w.knobs.Nodes {
		m.conf, m.confIndex = w.initial(), 0
	}
}

// founding is the configuration that the store knows without its log.
func (s *server) founding(w *World) (c raft.Configuration, at raft.Index) {
	if im := s.disk.snapshot; im != nil {
		return im.is.Configuration, im.is.ConfigurationIndex
	}
	if int(s.id) <= w.knobs.Nodes {
		return w.initial(), 0
	}
	return c, 0
}

// crash stops a server. Of the writes under way the first few may be on its disk;
// what it had sent may still arrive.
func (w *World) crash(s *server) {
	survive := 0
	if s.queue.len() > 0 && w.process.Intn(2) == 0 {
		survive = w.process.Intn(s.queue.len() + 1)
	}
	if w.options.Trace != nil {
		w.tracef("crash %d: %d of %d writes survive", s.id, survive, s.queue.len())
	}
	w.stop(s, survive)
	if w.strikes(mute, w.knobs.Mute, &w.process) {
		s.muted = s.boot
	}
	w.damage(s)
	w.push(w.now+Time(w.process.N(int64(w.knobs.Down))), event{kind: eventRestart, node: s.index})
	for _, other := range w.servers {
		if other != s {
			w.parted(other, s)
		}
	}
}

// stop ends a process; the first few of its writes complete.
func (w *World) stop(s *server, survive int) {
	w.Counts.Crashes++
	for i := range s.queue.len() {
		wr := s.queue.at(i)
		if i < survive {
			s.disk.take(wr)
		}
		for _, slot := range wr.gated {
			w.drop(slot)
		}
	}
	if survive < s.queue.len() {
		w.corrupts(s, s.queue.at(survive))
	} else {
		w.corrupts(s, nil)
	}
	for _, r := range s.reading {
		w.group.ReadDropped(r.id)
	}
	if s.stateless || survive > 0 || w.calm {
		s.scratched = raft.Span{}
	}
	s.stateless, s.repairing = false, false
	s.node, s.reading, s.lazy = nil, s.reading[:0], false
	s.queue.clear()
	w.sawCrash(s)
}

// step feeds one event to a node and carries out what it asks for: at once or,
// together with later steps, a little later.
func (w *World) step(s *server, in *raft.Event) {
	w.Counts.Events++
	in.Now = s.clock.at(w.now)
	if err := s.node.Step(*in, &s.out); err != nil {
		w.died(s, err)
		return
	}
	if w.knobs.Lazy > 0 && !w.calm && w.mayWait(s) && w.process.Chance(w.knobs.Lazy) {
		if !s.lazy {
			s.lazy = true
			w.push(w.now+Time(w.process.N(int64(w.knobs.LazyFor))), event{kind: eventCarryOut, node: s.index, gen: s.boot})
		}
		s.sent = len(s.out.SendNow)
		return
	}
	w.carryOut(s)
}

// mayWait: what can be judged only by itself is carried out at once. That is a
// change of role or configuration, a leader's commit, and a read that is confirmed.
func (w *World) mayWait(s *server) bool {
	now := s.node.Glance()
	if now.Role != s.was.Role || now.ConfigIndex != s.was.ConfigIndex || s.out.Repaired || len(s.out.Reads) > 0 || s.out.Install != nil || now.Role == raftpb.RoleLeader && now.Commit != s.was.Commit {
		return false
	}
	for i := s.sent; i < len(s.out.SendNow); i++ {
		if s.out.SendNow[i].Kind == raft.MessageReadIndexAnswer {
			return false
		}
	}
	return true
}

// carryOut does what a driver does with Effects, in its order.
func (w *World) carryOut(s *server) {
	out := &s.out
	s.lazy, s.sent = false, 0
	now := s.node.Glance()
	w.count(s)
	if out.Repaired {
		w.repaired(s)
	}
	if out.Install != nil {
		w.installs(s, out.Install)
	}
	if !out.Damaged.Empty() {
		w.repairs(s)
	}
	inside := w.knobs.CrashInside > 0 && !w.calm && w.strikes(crashInside, w.knobs.CrashInside, &w.process)
	if out.WriteID != 0 {
		w.hand(s, &now)
	}
	w.observe(s, &now)
	if w.watch != nil {
		w.watch(s, out)
	}
	sends := len(out.SendNow)
	if inside {
		sends = w.process.Intn(sends + 1)
	}
	for i := range out.SendNow[:sends] {
		w.leaves(s, &out.SendNow[i])
	}
	if inside {
		out.Reset()
		w.crash(s)
		return
	}
	for i := range out.SendAfter {
		w.gate(s, &out.SendAfter[i])
	}
	if !out.Commit.Empty() {
		s.machine.handed = out.Commit.Hi - 1
	}
	w.wakeMachine(s)
	s.compactTo = max(s.compactTo, out.CompactTo)
	w.ordered(s, out)
	w.streams(s, out.Snapshots)
	for i := range out.Reads {
		w.granted(s, out.Reads[i])
	}
	w.leases(s, out.LeaseUntil)
	asleep := w.knobs.Core.QuiesceAfter > 0 && slept(out)
	s.wanted = out.NextTimer
	w.arm(s)
	out.Reset()
	if now.Role == raftpb.RoleLeader {
		w.leads(s, &now)
	}
	if asleep {
		w.fellAsleep(s)
	}
}

// slept reports whether the node fell asleep.
func slept(out *raft.Effects) bool {
	for i := range out.Facts {
		if out.Facts[i].Kind == raft.FactQuiesced {
			return true
		}
	}
	return false
}

func (w *World) count(s *server) {
	for i := range s.out.Facts {
		f := &s.out.Facts[i]
		w.Counts.Facts[f.Kind]++
		if w.options.Trace != nil {
			w.tracef("     %d: %v term %d index %d peer %d role %v %v", s.id, f.Kind, f.Term, f.Index, f.Peer, f.Role, f.Refusal)
		}
		if f.Kind == raft.FactInvalidMessage && w.knobs.Mangle == 0 && w.knobs.Odd.Forge == 0 {
			w.failf("node %d refuses a %v of node %d as nonsense", s.id, f.Message, f.Peer)
		}
	}
}

// arm sees to it that a timer event comes when the node wants it. One that comes
// too early is cheaper than one that is moved.
func (w *World) arm(s *server) {
	if s.wanted == raft.Never {
		return
	}
	at := max(s.clock.when(s.wanted), w.now)
	if at < s.armed {
		s.armed = at
		w.push(at, event{kind: eventTimer, node: s.index, gen: s.boot})
	}
}

func (w *World) timer(s *server) {
	if w.now < s.armed {
		return // replaced by an earlier one that came meanwhile
	}
	s.armed = raft.Never
	if s.wanted == raft.Never {
		return
	}
	if s.clock.at(w.now) < s.wanted {
		w.arm(s)
		return
	}
	w.Counts.Timers++
	w.step(s, &raft.Event{Kind: raft.EventTimer})
}
