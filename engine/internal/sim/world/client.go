package world

import (
	"math/rand/v2"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// clients propose and read, each one thing at a time, and write down what they saw.
type clients struct {
	w         *World
	g         *group
	all       []*client
	history   []oracle.Op
	processes int64
	values    uint64 // given out so far
	reads     uint64
	leader    int // who answered last
	arena     []byte
	hunt      oracle.Hunt
	random    *rand.Rand // for commands of another's machine
	sessions  sessionClients
	texts     texts
}

// client is one process. After an operation whose outcome is open it goes on as
// another one.
type client struct {
	place   int
	process int64
	seq     uint32
	turn    uint32     // of its thinking: an older evClient counts no more
	op      *operation // under way
}

// operation is one command or read under way. It implements runtime.Completion and
// runtime.Reader.
type operation struct {
	c     *clients
	by    *client // nil: nobody waits any more
	at    *member
	life  uint32
	cmd   command
	start int64
	read  uint64 // names it to the judge
	hunt  oracle.Read

	served bool
	lease  bool
}

// opsPerKey keeps histories of one key short: then others are used.
const opsPerKey = 150

func (c *clients) init(g *group) {
	w := g.w
	c.w, c.g = w, g
	c.history = w.memory.history(g.place)
	c.random = rand.New(rand.NewPCG(w.o.Seed, 5+uint64(g.place)<<8))
	for i := range w.k.clients {
		c.processes++
		c.all = append(c.all, &client{place: i, process: c.processes})
	}
}

func (c *clients) start() {
	for _, cl := range c.all {
		c.next(cl)
	}
	c.sessions.init(c)
}

// next lets a client think before it acts again.
func (c *clients) next(cl *client) { c.wake(cl, 1+c.w.clientele.N(2*c.w.k.thinkFor)) }

// later is next for a client that got nothing.
func (c *clients) later(cl *client) {
	c.wake(cl, 5*millisecond+c.w.clientele.N(10*millisecond)+c.w.clientele.N(2*c.w.k.thinkFor))
}

func (c *clients) wake(cl *client, d int64) {
	cl.turn++
	c.w.push(c.w.now+d, event{kind: evClient, node: int8(c.g.place), slot: int32(cl.place), x: cl.turn})
}

// act begins an operation.
func (c *clients) act(place int, turn uint32) {
	w, cl := c.w, c.all[place]
	if cl.op != nil || w.calm || turn != cl.turn {
		return
	}
	if w.quiet() {
		c.wake(cl, w.hushUntil-w.now+w.clientele.N(election))
		return
	}
	op := &operation{c: c, by: cl, cmd: c.draw(), start: w.now}
	if !c.begin(op) {
		c.later(cl)
		return
	}
	if op.by == nil { // it was served at once
		return
	}
	cl.op = op
	cl.seq++
	w.push(w.now+w.k.timeout, event{kind: evTimeout, node: int8(c.g.place), slot: int32(place), x: cl.seq})
}

// draw chooses what to ask for.
func (c *clients) draw() command {
	w, s := c.w, &c.w.clientele
	cmd := c.onKey()
	lists := s.Chance(0.4)
	switch {
	case s.Chance(w.k.reads) || w.did.writes > maxWrites && !s.Chance(0.02):
		cmd.kind = get
		if lists {
			cmd.expected = 1
		}
	case w.o.Custom != nil && s.Chance(0.7):
		cmd.kind = other
	default:
		c.writes(&cmd, lists)
	}
	return cmd
}

// onKey is a command with a value that no other has.
func (c *clients) onKey() command {
	w := c.w
	c.values++
	era := c.values / uint64(opsPerKey*w.k.keys)
	return command{kind: put, key: uint32(era)*uint32(w.k.keys) + uint32(w.clientele.Intn(w.k.keys)), value: c.value()}
}

// writes makes a command one that changes a list or a register.
func (c *clients) writes(cmd *command, lists bool) {
	switch s := &c.w.clientele; {
	case lists:
		cmd.kind = extend
	case s.Chance(0.3):
		cmd.kind = swap
		cmd.expected = c.anyRegister(cmd.key)
	}
}

// drawWrite chooses a command that changes something.
func (c *clients) drawWrite() command {
	cmd := c.onKey()
	c.writes(&cmd, c.w.clientele.Chance(0.4))
	return cmd
}

// value is the newest of the values, which no other group has.
func (c *clients) value() uint64 { return c.values | uint64(c.g.place)<<48 }

// anyRegister is what some node has in a register: a good guess.
func (c *clients) anyRegister(key uint32) uint64 {
	if m := c.g.members[c.w.clientele.Intn(len(c.g.members))]; m.group != nil {
		return m.machine.register(key)
	}
	return 0
}

// someone is whom a client asks: nearly always the leader, as far as clients know.
func (c *clients) someone() *member {
	m := c.g.members[c.leader]
	if m.group == nil || c.w.clientele.Chance(0.1) {
		m = c.g.members[c.w.clientele.Intn(len(c.g.members))]
	}
	return m
}

// begin hands the operation to a node; false: nothing was queued.
func (c *clients) begin(op *operation) bool {
	w, m := c.w, c.someone()
	n := m.n
	if m.group == nil {
		return false
	}
	op.at, op.life = m, n.life
	if op.cmd.kind == get && w.k.leases > 0 && n.pausedUntil <= w.now && (w.did.leased < maxLeased || w.clientele.Chance(0.02)) {
		if least, ok := m.group.LeaseIndex(); ok && least <= m.group.Applied() && w.clientele.Chance(w.k.leases) {
			return c.readByLease(op, least)
		}
	}
	var err error
	if op.cmd.kind == get {
		mode := runtime.ReadLeader
		kind := oracle.LeaderRead
		if w.clientele.Chance(w.k.follower) {
			mode, kind = runtime.ReadAnywhere, oracle.FollowerRead
		}
		c.reads++
		op.read = c.reads
		c.g.judge.Watched.ReadAsked(op.read)
		op.hunt = c.hunt.Begin(kind)
		err = m.group.Read(mode, op)
	} else {
		e := c.entry(&op.cmd)
		c.g.judge.Watched.Proposed(c.g.judge.Sum(&e))
		err = m.group.Propose(e, op)
	}
	if err != nil {
		return false
	}
	if w.o.Trace != nil {
		w.trace(n, "client", "process %d: %+v", op.process(), op.cmd)
	}
	w.poke(n)
	return true
}

// entry is a command as it is proposed. Bodies are cut from large pieces.
func (c *clients) entry(cmd *command) raft.Entry {
	size := cmd.size() + c.w.clientele.Intn(c.w.k.bodyBytes+1)
	var data []byte
	if cmd.kind == other {
		data = c.w.o.Custom.Command(c.random)
		size = commandBytes + len(data)
	}
	if len(c.arena) < size {
		c.arena = make([]byte, max(1<<14, size))
	}
	body := c.arena[:size:size]
	c.arena = c.arena[size:]
	cmd.encode(body)
	copy(body[commandBytes:], data)
	return raft.Entry{Kind: raftpb.EntryKindCommand, Body: body, Crc32c: wal.EntryChecksum(raftpb.EntryKindCommand, body)}
}

func (op *operation) process() int64 {
	if op.by == nil {
		return 0
	}
	return op.by.process
}

// complete is the answer to a command.
func (op *operation) complete(r result) {
	c := op.c
	if op.by == nil {
		return
	}
	c.leader, op.served = op.at.n.place, true
	c.g.judge.Watched.ClientAcked(r.index)
	c.hunt.Acked(r.index)
	c.w.did.writes++
	c.write(op, oracle.Op{Status: oracle.OK, Swapped: r.swapped})
	c.end(op)
}

// readByLease reads what is applied, at once, because the node leads and has a lease.
func (c *clients) readByLease(op *operation, least raft.Index) bool {
	w := c.w
	c.reads++
	op.read, op.lease = c.reads, true
	c.g.judge.Watched.ReadAsked(op.read)
	op.hunt = c.hunt.Begin(oracle.LeaseRead)
	w.did.leased++
	return op.at.group.ReadHere(least, op.Run)
}

// Run implements runtime.Reader.
func (op *operation) Run(applied raft.Index) {
	c := op.c
	if op.by == nil {
		return
	}
	w := c.w
	op.at.judge.Watched.ReadServed(op.read, applied, op.lease)
	if err := c.hunt.End(op.hunt, applied); err != nil {
		w.fail("oracle", "node %d: %v", op.at.n.id, err)
	}
	w.did.reads++
	m := op.at.machine
	var o oracle.Op
	if op.cmd.expected == 1 {
		l := m.list(op.cmd.key)
		o.Result, o.Found = c.texts.list(op.cmd.key, l), len(l) > 0
	} else if v := m.register(op.cmd.key); v != 0 {
		o.Result, o.Found = value(v), true
	}
	o.Status = oracle.OK
	c.write(op, o)
	c.end(op)
}

// Fail implements runtime.Completion.
func (op *operation) Fail(r runtime.Rejection) {
	c := op.c
	if op.by == nil {
		return
	}
	if r.Leader > 0 {
		c.leader = int(r.Leader) - 1
	}
	cl := op.by
	switch {
	case op.cmd.kind == get:
		c.g.judge.Watched.ReadDropped(op.read)
		c.end(op)
	case r.MayHappen:
		c.unknown(op)
	default:
		c.write(op, oracle.Op{Status: oracle.Fail})
		c.end(op)
	}
	if !c.w.calm {
		c.later(cl)
	}
}

// unknown ends an operation of which nobody knows whether it takes effect.
func (c *clients) unknown(op *operation) {
	cl := op.by
	if op.cmd.kind == get {
		c.g.judge.Watched.ReadDropped(op.read)
	} else {
		c.proposeAgain(op)
		c.w.did.infos++
		// Whether it happened stays open for ever, and what is open multiplies the histories
		// that have to be thought of: keys with much of it are left sooner.
		c.values += uint64(opsPerKey*c.w.k.keys) / 12
		c.write(op, oracle.Op{Status: oracle.Info})
	}
	c.end(op)
	c.processes++
	cl.process = c.processes
}

// end frees the client.
func (c *clients) end(op *operation) {
	cl := op.by
	op.by, cl.op = nil, nil
	if !c.w.calm {
		c.next(cl)
	}
}

// timeout: the client gives up.
func (c *clients) timeout(place int, seq uint32) {
	if cl := c.all[place]; cl.op != nil && cl.seq == seq {
		c.unknown(cl.op)
	}
}

// crashed: whoever waits for an answer of n sees the connection end.
func (c *clients) crashed(n *node) {
	for _, cl := range c.all {
		if cl.op != nil && cl.op.at.n == n {
			c.unknown(cl.op)
		}
	}
	c.sessions.crashed(n)
}

// write adds an operation to the history; o has its outcome.
func (c *clients) write(op *operation, o oracle.Op) {
	cmd := &op.cmd
	if cmd.kind == other {
		return
	}
	c.record(cmd, op.by.process, op.start, op.at.n, o)
}

// record adds what a client knows of a command to the history.
func (c *clients) record(cmd *command, process, start int64, n *node, o oracle.Op) {
	o.Process, o.Start, o.End = process, start, c.w.now
	isList := false
	switch cmd.kind {
	case put:
		o.Kind = oracle.Put
	case swap:
		o.Kind = oracle.CAS
		o.ExpectAbsent = cmd.expected == 0
		if cmd.expected != 0 {
			o.Expect = value(cmd.expected)
		}
	case extend:
		o.Kind, isList = oracle.Append, true
	case get:
		o.Kind = oracle.Get
		isList = cmd.expected == 1
	}
	switch cmd.kind {
	case get:
	case extend:
		o.Value = string(appendMarked(nil, cmd.value))
	default:
		o.Value = value(cmd.value)
	}
	o.Key = c.texts.key(cmd.key, isList)
	if c.w.o.Trace != nil {
		c.w.trace(n, "client", "%v", &o)
	}
	if len(c.history) == cap(c.history) {
		c.history = slices.Grow(c.history, max(256, len(c.history))) // it becomes long
	}
	c.history = append(c.history, o)
}

// busy reports whether something is under way: a client's last operation, or probe.
func (c *clients) busy(probe *operation) bool {
	if probe != nil && probe.by != nil {
		return true
	}
	for _, cl := range c.all {
		if cl.op != nil {
			return true
		}
	}
	return c.sessions.busy()
}

// probe proposes one more command, to whoever leads, when all faults are over.
func (c *clients) probe() *operation {
	cl := c.all[0]
	c.values++
	op := &operation{c: c, by: cl, cmd: command{kind: extend, key: 0, value: c.value()}, start: c.w.now}
	if m := c.g.leader(); m != nil {
		c.leader = m.n.place
	}
	if !c.begin(op) {
		return nil
	}
	cl.op = op
	cl.seq++
	c.w.push(c.w.now+10*election, event{kind: evTimeout, node: int8(c.g.place), slot: int32(cl.place), x: cl.seq})
	return op
}

// readAll reads every key from a node that has everything: nothing that was
// acknowledged may be missing.
func (c *clients) readAll() {
	m := c.g.settled[0]
	c.processes++
	cl := &client{process: c.processes}
	for key := range m.machine.lists {
		op := &operation{c: c, by: cl, at: m, cmd: command{kind: get, key: uint32(key), expected: 1}, start: c.w.now}
		c.reads++
		op.read = c.reads
		c.g.judge.Watched.ReadAsked(op.read)
		op.hunt = c.hunt.Begin(oracle.LeaderRead)
		op.Run(m.group.Applied())
		op.by = nil
	}
}
