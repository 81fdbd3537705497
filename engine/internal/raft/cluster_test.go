package raft

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// A cluster is a hostile world in one thread: nodes whose disks complete writes
// late, a network that loses, doubles, delays and cuts, crashes that keep a part
// of what was not synced. One seed decides everything. Time is virtual.
type cluster struct {
	rnd   *rand.Rand
	seed  uint64
	knobs knobs
	now   Time
	seq   uint64
	queue []event // a heap by (at, seq)
	nodes []*server
	cut   map[[2]NodeID]bool
	calm  bool // the end: no faults any more
	calls uint64

	watch  watch
	events int
	facts  [factKinds]int
	// How operators' requests ended.
	refusals [refusals]int
	marks    Marks
	mutant   mutant
	trace    *strings.Builder
	failed   string

	installs, damages, repairs, leases int
}

// server is one node with its disk and its state machine.
type server struct {
	id      NodeID
	witness bool
	muted   uint64 // what this boot and earlier ones sent is lost
	boot    uint64
	node    *Node // nil: crashed
	out     Effects
	lazy    bool // out waits to be carried out
	timer   uint64
	disk    disk
	queued  []diskWrite
	done    uint64 // newest completed write of this boot

	links   [8]Time // when the last message to each node arrives
	applied Index
	shadow  []uint64 // hash of the log up to each index, as handed out
	term    Term     // in this boot
	shown   Term     // the highest in any message that promises it
	commit  Index
	led     Term // the last term in which it was seen leading
	reads   map[uint64]Index
	asked   map[uint64]bool // requests of operators
	configs []Change        // in its log as handed out, the first one before it
	calls   map[uint64]Time // delivered to this boot, when; done: answered

	rate         float64 // of its clock
	offset       Time
	image        *Snapshot // the newest on its disk
	installing   Index     // restored from an image when that is durable
	streams      map[NodeID]*stream
	doubtFrom    Index // what its store says of itself
	voteDoubt    bool
	ghost        []uint64 // what the store had before its damage
	backup       *disk
	backupImage  *Snapshot
	lease        Time
	handed       Term // the last in which it told another to campaign
	stalledUntil Time
}

// disk is what survives a crash.
type disk struct {
	log   *memoryLog
	hs    HardState
	chain []uint64 // hash of the log up to each index
}

type diskWrite struct {
	id, epoch uint64
	hs        *HardState
	install   *Snapshot
	truncate  Index
	from      Index
	entries   []Entry
	gated     []Message
}

type eventKind uint8

const (
	eventDeliver eventKind = iota
	eventTimer
	eventDisk
	eventClient
	eventFault
	eventCarryOut
	eventRestart
	eventDoom
	eventStream
	eventDiskOK
	eventHosts
)

type event struct {
	at   Time
	seq  uint64
	kind eventKind
	node NodeID
	gen  uint64 // timer or boot this event belongs to
	msg  *Message

	stream *stream
}

// answered stands for the time of a call that was.
const answered Time = -1

const (
	simElection  = Time(1000)
	simHeartbeat = Time(100)
)

func newCluster(seed uint64, m mutant) *cluster {
	rnd := rand.New(rand.NewPCG(seed, 0x5eed))
	c := &cluster{rnd: rnd, seed: seed, knobs: drawKnobs(rnd), mutant: m, cut: map[[2]NodeID]bool{}}
	c.watch.init()
	for i := range c.knobs.nodes + c.knobs.admin.strangers {
		s := &server{id: NodeID(i + 1), disk: disk{log: newMemoryLog(), chain: []uint64{0}}}
		s.witness = c.knobs.admin.witness && i == c.knobs.nodes-1
		s.rate, s.offset = 1+c.knobs.drift*(2*rnd.Float64()-1), Time(rnd.IntN(5000))
		c.nodes = append(c.nodes, s)
	}
	for _, s := range c.nodes {
		c.start(s)
	}
	c.push(event{at: 1, kind: eventClient})
	c.push(event{at: 50, kind: eventFault})
	c.push(event{at: simElection, kind: eventHosts})
	return c
}

func (c *cluster) failf(format string, args ...any) {
	if c.failed == "" {
		c.failed = fmt.Sprintf("seed %d, t=%d: ", c.seed, c.now) + fmt.Sprintf(format, args...)
		c.tracef("VIOLATION %s", c.failed)
	}
}

func (c *cluster) tracef(format string, args ...any) {
	if c.trace != nil {
		fmt.Fprintf(c.trace, "%6d ", c.now)
		fmt.Fprintf(c.trace, format+"\n", args...)
	}
}

// start boots a server from its disk.
func (c *cluster) start(s *server) {
	s.boot++
	cfg := c.knobs.cfg
	cfg.ID, cfg.Seed, cfg.Boot = s.id, c.seed<<8|uint64(s.id), s.boot
	cfg.Witness, cfg.Marks = s.witness, &c.marks
	if int(s.id) <= c.knobs.nodes {
		cfg.Configuration = c.firstConfiguration()
	}
	c.imageBeyondLog(s)
	if i := s.image; i != nil {
		cfg.Configuration, cfg.ConfigurationIndex = i.Configuration, i.ConfigurationIndex
	}
	cfg.DoubtFrom, cfg.VoteDoubt = s.doubtFrom, s.voteDoubt
	if !c.knobs.applyDurable {
		s.applied = 0
	}
	if s.image != nil {
		s.applied = max(s.applied, s.image.Index)
	}
	if s.term = s.disk.hs.Term; s.term < s.shown && !s.voteDoubt {
		c.failf("I7: node %d comes back in term %d, it had shown %d", s.id, s.term, s.shown)
	}
	node, err := New(cfg, s.disk.log, s.disk.hs, s.applied, c.clock(s))
	if err != nil {
		c.failf("start of %d: %v", s.id, err)
		return
	}
	setMutant(node, c.mutant)
	s.node, s.out, s.lazy, s.queued = node, Effects{}, false, nil
	s.shadow = append(s.shadow[:0], s.disk.chain...)
	s.commit, s.led, s.done, s.installing, s.lease, s.handed = 0, 0, 0, 0, 0, 0
	s.streams, s.stalledUntil = map[NodeID]*stream{}, 0
	s.reads, s.calls, s.asked = map[uint64]Index{}, map[uint64]Time{}, map[uint64]bool{}
	s.configs = append(s.configs[:0], Change{cfg.ConfigurationIndex, cfg.Configuration})
	for i := range s.disk.log.entries {
		if e := &s.disk.log.entries[i]; e.Kind == raftpb.EntryKindConfig && s.disk.log.first+Index(i) > cfg.ConfigurationIndex {
			conf, _ := parseConfiguration(e.Body)
			s.configs = append(s.configs, Change{s.disk.log.first + Index(i), conf})
		}
	}
	c.tracef("start %d: %+v, last %d, applied %d", s.id, s.disk.hs, s.disk.log.LastIndex(), s.applied)
	c.step(s, Event{Kind: EventTimer})
}

// crash stops a server. Of its unsynced writes a prefix may have reached the disk.
func (c *cluster) crash(s *server) {
	survive := 0
	if len(s.queued) > 0 && c.rnd.IntN(2) == 0 {
		survive = c.rnd.IntN(len(s.queued) + 1)
	}
	for _, w := range s.queued[:survive] {
		c.applyWrite(s, w)
	}
	c.tracef("crash %d: %d of %d writes survive", s.id, survive, len(s.queued))
	s.node, s.queued = nil, nil
	if c.rnd.IntN(2) == 0 {
		s.muted = s.boot
	}
	c.damage(s)
	c.push(event{at: c.now + Time(c.rnd.Int64N(int64(c.knobs.down))), kind: eventRestart, node: s.id})
}

func (c *cluster) server(id NodeID) *server { return c.nodes[id-1] }

// step feeds one event to a node and carries out what it asks for, at once or,
// together with later steps, a little later.
func (c *cluster) step(s *server, in Event) {
	in.Now = c.clock(s)
	conf, commit, facts := s.node.conf, s.node.log.commit, len(s.out.Facts)
	if err := s.node.Step(in, &s.out); err != nil {
		c.failf("node %d: %v", s.id, err)
		return
	}
	c.checkQuorum(s, conf, commit)
	for _, f := range s.out.Facts[facts:] {
		if f.Kind == FactVoteRefused && f.Reason == raftpb.RejectReasonNotMember && s.node.position(f.Peer) >= 0 {
			c.failf("node %d refuses member %d as a stranger", s.id, f.Peer)
		}
	}
	c.checkNode(s)
	if !c.calm && c.rnd.Float64() < c.knobs.lazy {
		if !s.lazy {
			s.lazy = true
			c.push(event{at: c.now + Time(c.rnd.Int64N(int64(c.knobs.lazyFor))), kind: eventCarryOut, node: s.id, gen: s.boot})
		}
		return
	}
	c.carryOut(s)
}

// carryOut does what the driver does with Effects, in its order.
func (c *cluster) carryOut(s *server) {
	out := &s.out
	s.lazy = false
	c.checkEffects(s)
	if out.Repaired {
		c.repaired(s)
	}
	for _, f := range out.Facts {
		c.facts[f.Kind]++
		strange := f.Kind == FactUnknownMember && c.knobs.admin.rate == 0
		if f.Kind == FactInvalidMessage || strange {
			c.failf("node %d refuses what an honest node sent: %+v", s.id, f)
		}
	}
	if out.WriteID != 0 {
		w := diskWrite{id: out.WriteID, epoch: out.Epoch, install: out.Install, truncate: out.TruncateFrom, from: out.AppendFrom}
		w.entries = append(w.entries, out.Append...)
		if out.HardState != nil {
			hs := *out.HardState
			w.hs = &hs
		}
		if len(s.queued) == 0 {
			c.scheduleDisk(s)
		}
		s.queued = append(s.queued, w)
	}
	for i := range out.SendNow {
		c.send(s, out.SendNow[i])
	}
	for _, g := range out.SendAfter {
		c.gate(s, g)
	}
	s.lease = out.LeaseUntil
	c.checkCommit(s, out.Commit)
	c.checkAnswers(s)
	c.checkLease(s, 0)
	s.disk.log.compact(out.CompactTo)
	for _, ask := range out.Snapshots {
		c.asked(s, ask)
	}
	for _, r := range out.Reads {
		c.checkRead(s, r)
	}
	s.timer++
	if out.NextTimer != Never {
		c.push(event{at: max(c.trueTime(s, out.NextTimer), c.now), kind: eventTimer, node: s.id, gen: s.boot<<32 | s.timer})
	}
	committed := !out.Commit.Empty()
	out.Reset()
	if committed || c.rnd.IntN(20) == 0 {
		c.apply(s)
	}
}

// gate keeps a message until its write is durable.
func (c *cluster) gate(s *server, g Gated) {
	for i := range s.queued {
		if s.queued[i].id == g.WriteID {
			s.queued[i].gated = append(s.queued[i].gated, g.Message)
			return
		}
	}
	if g.WriteID > s.done {
		c.failf("node %d: %v gated on write %d, which is unknown", s.id, g.Message.Kind, g.WriteID)
		return
	}
	c.send(s, g.Message) // it completed since the step
}

// apply moves the state machine on: part of the way, now and then.
func (c *cluster) apply(s *server) {
	if !c.calm && c.rnd.Float64() > c.knobs.applied || s.commit <= s.applied || s.installing > s.applied {
		return
	}
	entries, err := s.node.Entries(nil, s.applied+1, s.commit+1, 1+c.rnd.IntN(500))
	if err != nil || len(entries) == 0 {
		c.failf("node %d: entries [%d, %d): %d, %v", s.id, s.applied+1, s.commit+1, len(entries), err)
		return
	}
	for i := range entries {
		s.applied++
		if got := c.watch.committed[s.applied]; got.term != entries[i].Term || got.body != bodyOf(&entries[i]) {
			c.failf("node %d applies %d of term %d, committed is %+v", s.id, s.applied, entries[i].Term, got)
		}
	}
	c.step(s, Event{Kind: EventApplied, Applied: s.applied})
	if s.node != nil && !s.lazy {
		c.takeSnapshot(s)
	}
}

// scheduleDisk plans the next completion: one sync for all that is queued by then.
func (c *cluster) scheduleDisk(s *server) {
	delay := 1 + Time(c.rnd.Int64N(int64(c.knobs.diskDelay)))
	if !c.calm && c.rnd.Float64() < c.knobs.slow {
		delay *= 20
	}
	delay = max(delay, s.stalledUntil-c.now)
	c.push(event{at: c.now + delay, kind: eventDisk, node: s.id, gen: s.boot})
}

// diskDone completes the oldest writes in order, releases what waited for them,
// and reports the newest of them.
func (c *cluster) diskDone(s *server) {
	k := 1 + c.rnd.IntN(len(s.queued))
	done := s.queued[:k]
	s.queued = s.queued[k:]
	if len(s.queued) > 0 {
		c.scheduleDisk(s)
	}
	for _, w := range done {
		c.applyWrite(s, w)
		for _, m := range w.gated {
			c.send(s, m)
		}
	}
	last := done[k-1]
	s.done = last.id
	c.tracef("disk %d: write %d epoch %d, last %d", s.id, last.id, last.epoch, s.disk.log.LastIndex())
	c.step(s, Event{Kind: EventPersisted, WriteID: last.id, Epoch: last.epoch})
	if i := s.installing; s.node != nil && i > s.applied && s.image != nil && s.image.Index == i {
		s.applied = i
		c.step(s, Event{Kind: EventApplied, Applied: i})
	}
}

// applyWrite changes the image on the disk.
func (c *cluster) applyWrite(s *server, w diskWrite) {
	d := &s.disk
	if w.hs != nil {
		if w.hs.Term < d.hs.Term || (w.hs.Term == d.hs.Term && d.hs.Vote != 0 && w.hs.Vote != d.hs.Vote) {
			c.failf("node %d: hard state %+v after %+v", s.id, *w.hs, d.hs)
		}
		d.hs = *w.hs
	}
	if w.install != nil {
		d.log.install(w.install)
		d.chain = c.committedChain(w.install.Index)
		s.image = w.install
	}
	d.log.store(w.truncate, w.from, w.entries)
	if w.truncate > 0 {
		d.chain = d.chain[:w.truncate]
	}
	if len(w.entries) > 0 {
		d.chain = extend(d.chain[:w.from], w.entries)
	}
}

// send puts a message on the network. What it promises must be on the disk now.
func (c *cluster) send(s *server, m Message) {
	c.checkPromise(s, &m)
	if m.Call != 0 {
		if at, known := s.calls[m.Call]; !known || at == answered {
			c.failf("node %d: %v answers call %d, which is answered or unknown", s.id, m.Kind, m.Call)
		}
		s.calls[m.Call] = answered
	}
	if c.server(m.To).witness {
		c.checkWitness(s, &m)
	}
	m.Entries = append([]Entry(nil), m.Entries...)
	copies := 1
	if !c.calm {
		if c.rnd.Float64() < c.knobs.loss {
			copies = 0
		} else if c.rnd.Float64() < c.knobs.dup {
			copies = 2
		}
	}
	for range copies {
		at := c.now + 1 + Time(c.rnd.IntN(10))
		if !c.calm && c.rnd.Float64() < c.knobs.slow {
			at += Time(c.rnd.Int64N(int64(3 * simElection)))
		} else if !c.knobs.reorder {
			at = max(at, s.links[m.To])
			s.links[m.To] = at
		}
		c.push(event{at: at, kind: eventDeliver, node: m.To, gen: s.boot, msg: &m})
	}
}

// deliver hands a message over, as a call of its own each time.
func (c *cluster) deliver(s *server, in *Message) {
	if s.node == nil || c.cut[[2]NodeID{in.From, in.To}] {
		if from := c.server(in.From); from.node != nil && c.rnd.IntN(4) == 0 {
			c.step(from, Event{Kind: EventUnreachable, Peer: in.To})
		}
		return
	}
	m := *in
	switch m.Kind {
	case MessageVote, MessageAppend, MessageBeat, MessageReadIndex, MessageTimeoutNow, MessageSnapshot:
		c.calls++
		m.Call = c.calls
		s.calls[m.Call] = c.now
	default:
		m.Call = 0
	}
	if c.trace != nil {
		c.tracef("%d -> %d %s", m.From, m.To, messageText(&m))
	}
	before := s.node.term
	c.step(s, Event{Kind: EventMessage, Message: &m})
	if m.Kind == MessageVote && m.PreVote && s.node.term != before {
		c.failf("I12: a pre-vote moves node %d to term %d", s.id, s.node.term)
	}
	if m.Kind == MessageSnapshotAnswer && s.node != nil {
		c.streamAnswered(s, &m)
	}
	c.fallHalfway(s)
}

// run handles events until the given time or a violation.
func (c *cluster) run(until Time) {
	for len(c.queue) > 0 && c.failed == "" && c.queue[0].at <= until {
		e := c.pop()
		c.now = e.at
		if c.events++; c.events > 1_000_000 {
			c.failf("time stands still")
		}
		c.handle(e)
	}
	c.now = max(c.now, until)
}

func (c *cluster) handle(e event) {
	switch e.kind {
	case eventClient:
		c.client()
		c.push(event{at: c.now + 1 + Time(c.rnd.Int64N(int64(c.knobs.idle))), kind: eventClient})
		return
	case eventFault:
		c.fault()
		if !c.calm {
			c.moreFaults()
		}
		c.push(event{at: c.now + 1 + Time(c.rnd.Int64N(int64(c.knobs.faultEvery))), kind: eventFault})
		return
	}
	if e.kind == eventHosts {
		c.hostsLost()
		c.push(event{at: c.now + simElection, kind: eventHosts})
		return
	}
	s := c.server(e.node)
	switch {
	case e.kind == eventDeliver:
		if c.server(e.msg.From).muted < e.gen {
			c.deliver(s, e.msg)
		}
	case e.kind == eventRestart && s.node == nil:
		c.start(s)
	case s.node == nil:
	case e.kind == eventTimer && e.gen == s.boot<<32|s.timer:
		c.step(s, Event{Kind: EventTimer})
	case e.kind == eventDisk && e.gen == s.boot:
		c.diskDone(s)
	case e.kind == eventDoom && e.gen == s.boot && !c.calm:
		if c.rnd.IntN(3) > 0 {
			c.crash(s)
			return
		}
		c.isolate(s.id)
	case e.kind == eventStream && e.gen == s.boot:
		c.streamLate(s, e.stream)
	case e.kind == eventDiskOK && e.gen == s.boot:
		c.step(s, Event{Kind: EventDiskOK})
	case e.kind == eventCarryOut && e.gen == s.boot && s.lazy:
		c.carryOut(s)
	}
}

// client proposes and reads, mostly where the leader is.
func (c *cluster) client() {
	if c.calm {
		return
	}
	s := c.nodes[c.rnd.IntN(len(c.nodes))]
	if c.rnd.IntN(3) > 0 {
		for _, other := range c.nodes {
			if other.node != nil && other.node.role == raftpb.RoleLeader {
				s = other
			}
		}
	}
	if s.node == nil {
		return
	}
	if c.rnd.Float64() < c.knobs.admin.rate {
		c.operate(s)
		return
	}
	if c.rnd.Float64() < c.knobs.wantReads {
		c.calls++
		s.reads[c.calls] = c.watch.highest
		c.step(s, Event{Kind: EventRead, ReadID: c.calls})
		return
	}
	c.propose(s)
}

func (c *cluster) propose(s *server) bool {
	entries := make([]Entry, 1+c.rnd.IntN(4))
	for i := range entries {
		c.calls++
		body := make([]byte, 8+c.rnd.IntN(60))
		for j := range 8 {
			body[j] = byte(c.calls >> (8 * j))
		}
		entries[i] = Entry{Kind: raftpb.EntryKindCommand, Body: body, Crc32c: int64(c.calls)}
	}
	busy, conf, commit := s.node.role == raftpb.RoleLeader && s.node.transfer.target != 0, s.node.conf, s.node.log.commit
	err := s.node.Step(Event{Kind: EventPropose, Now: c.clock(s), Proposals: entries}, &s.out)
	if err != nil {
		c.failf("node %d: propose: %v", s.id, err)
		return false
	}
	c.checkQuorum(s, conf, commit)
	accepted := !s.out.Accepted.Empty()
	if accepted == (s.out.Refused != RefusalNone) || (accepted && busy) {
		c.failf("node %d takes %v, refused %v, hands over %v", s.id, s.out.Accepted, s.out.Refused, busy)
	}
	c.tracef("propose %d entries on %d: %v", len(entries), s.id, s.out.Accepted)
	c.step(s, Event{Kind: EventTimer})
	return accepted
}
