// Package world is a simulated cluster made of the real thing: the cores, their driver
// (engine/internal/runtime) and the log (wal) run unchanged, by hand and on one thread,
// over a simulated disk, network and clock, with clients and whatever may go wrong. One
// seed makes one world, bit for bit.
//
//	r := world.Run(sim.Options{Seed: 17})
//	fmt.Println(r.Failure) // nil, or the first rule that was broken
//
// First comes a phase of faults, in which nothing wrong may happen, then all faults end
// and the cluster must recover: one leader, new commands served, all logs and machines
// equal. Every step of a core is judged by sim/invariant, on request by sim/model, and
// what the clients saw by sim/oracle.
//
//	client --> Group.Propose --> inbox    call ... link ... ServePeer --> inbox
//	                               |  evRun, after the service time          |
//	                               v                                         v
//	                             worker: core.Step --> judge, effects
//	                               |            |             |
//	                            wal.Submit   applier       network.Call --> link
//	                               | evDisk     | evApply
//	                               v            v
//	                             disk        machine --> judge, client
package world

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// World is one simulated cluster. It belongs to one goroutine.
type World struct {
	mutation
	memory *memory
	o      sim.Options
	k      knobs
	now    int64 // true time
	queue  schedule.Queue[event]
	calm   bool // no faults any more

	network, disk, process, clientele schedule.Stream

	coder codec.Codec // what messages pass through, if they do

	nodes []*node
	links [][]link
	calls []*call
	free  []int32

	encoded   []byte // the last message that went through a codec
	groups    []*group
	troubles  uint64 // that struck or would have
	skip      []sim.Range
	struck    [troubles]uint64
	did       did
	marks     raft.Marks
	hushUntil int64
	failure   *sim.Failure
}

// did counts what a run consisted of.
type did struct {
	crashes, restarts, frames, applied, writes, reads, infos, lost, recovered                  uint64
	leased, snapshots, installed, pulled, changed, changeRefused, transferred, transferRefused uint64
	flipped, wiped, rolledBack, doubted, repaired, slept, woken, stalls                        uint64
	idled, disturbed                                                                           uint64
	sessions, sessionsExpired, expiredAnswers, attempts, fromTable, resultsDropped             uint64
	upgrades, downgrades, extended, unknownCalls, unknownEntries, stopped                      uint64
}

// eventKind says what an event is about.
type eventKind uint8

const (
	evRequest  eventKind = iota // slot: which call
	evAnswer                    // slot: which call
	evRun                       // the worker of a node takes what is queued
	evTimer                     // a core asked for it
	evDisk                      // the log writes what was handed over
	evTold                      // the node hears that a write is durable
	evLogTimer                  // slot: which one
	evApply
	evTask    // file work beside the worker
	evClient  // node: which group; slot: which of its clients
	evTimeout // likewise; x: of which operation
	evSession // likewise, of those with sessions
	evRetry   // node: which group; slot: which request of its sessions
	evFault
	evHeal
	evRestart
	evExit // of a process whose disk failed
)

// event is small: it is moved about in a heap. gen tells the lives of a node apart.
type event struct {
	kind eventKind
	node int8
	gen  uint32
	slot int32
	x    uint32
}

func newWorld(o sim.Options, m *memory) *World {
	w := &World{
		memory:   m,
		mutation: newMutation(o.Mutant),
		o:        o, k: draw(o.Seed, o.Without), skip: o.Skip,
		network:   schedule.NewStream(o.Seed, 1),
		disk:      schedule.NewStream(o.Seed, 2),
		process:   schedule.NewStream(o.Seed, 3),
		clientele: schedule.NewStream(o.Seed, 4),
	}
	if o.Events != 0 {
		w.k.events = o.Events
	}
	if o.Custom != nil {
		w.k.lasting, w.k.groups, w.k.session, w.k.witness = false, 1, sessionKnobs{}, 0
	}
	watched := invariant.Options{Origins: true}
	if o.Custom == nil { // whose commands may have any size
		watched.Limits = w.k.limits()
	}
	observer := invariant.New(watched)
	for range w.k.groups {
		w.groups = append(w.groups, w.newGroup(observer))
	}
	w.coder, _ = codec.ByID(uint8(1 + w.k.codec))
	w.links = make([][]link, w.k.nodes+w.k.outsiders)
	for i := range w.links {
		w.links[i] = make([]link, len(w.links))
		w.nodes = append(w.nodes, w.newNode(i))
	}
	for _, g := range w.groups {
		g.clients.init(g)
	}
	return w
}

// live is the life of a world: faults, then recovery.
func (w *World) live() {
	for _, n := range w.nodes {
		w.guard(n, (*node).boot)
	}
	w.push(w.k.faultEvery, event{kind: evFault})
	for _, g := range w.groups {
		g.clients.start()
	}
	span := w.now + 2000*election
	for w.failure == nil && w.events() < w.k.events && w.now < span {
		w.next()
	}
	w.settle()
}

func (w *World) push(at int64, e event) { w.queue.Push(max(at, w.now), e) }

// next handles the next event.
func (w *World) next() {
	at, e := w.queue.Pop()
	w.now = at
	switch e.kind {
	case evRequest, evAnswer:
		w.arrives(e)
		return
	case evClient:
		w.groups[e.node].clients.act(int(e.slot), e.x)
		return
	case evTimeout:
		w.groups[e.node].clients.timeout(int(e.slot), e.x)
		return
	case evSession:
		w.groups[e.node].clients.sessions.act(int(e.slot))
		return
	case evRetry:
		s := &w.groups[e.node].clients.sessions
		s.try(s.requests[e.slot])
		return
	case evFault:
		w.strikeOften()
		return
	case evHeal:
		w.heal(e)
		return
	default:
	}
	n := w.nodes[e.node]
	switch {
	case e.kind == evRestart:
		if !n.up && e.gen == n.life {
			w.guard(n, (*node).boot)
		}
	case !n.up || e.gen != n.life:
	case n.pausedUntil > w.now:
		w.push(n.pausedUntil, e)
	default:
		n.event = e
		w.guard(n, (*node).handle)
	}
}

// powerLoss is what a node panics with when its power fails in the middle of
// something. Whatever holds it together is thrown away.
type powerLoss struct{}

// guard runs a part of a node's life, which may end there.
func (w *World) guard(n *node, f func(*node)) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case powerLoss:
			w.crash(n)
		default:
			w.fail("panic", "node %d: %v at %s", n.id, r, origin(debug.Stack()))
		}
	}()
	f(n)
	if w.failure == nil {
		w.judge()
	}
}

// origin is the first function of ours below a panic.
func origin(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "panic(") {
			continue
		}
		var ours []string
		for _, line := range lines[i+2:] {
			if strings.HasPrefix(line, "\t") && strings.Contains(line, ".go:") {
				ours = append(ours, strings.Fields(line)[0])
			}
		}
		return strings.Join(ours[:min(len(ours), 6)], " < ")
	}
	return "?"
}

// judge asks the judges of all groups.
func (w *World) judge() {
	for _, g := range w.groups {
		if err := g.judge.Err(); err != nil {
			w.objects(err)
			return
		}
	}
}

// objects ends the world with what a judge has to say.
func (w *World) objects(err error) {
	if v := w.groups[0].judge.Observer.First(); v != nil {
		w.fail(string(v.ID), "%snode %d: %s (index %d, term %d)", w.groups[v.Group-1].name(), v.Node, v.Sentence, v.Index, v.Term)
		return
	}
	w.fail("model", "%v", err)
}

func (w *World) fail(check, format string, args ...any) {
	if w.failure != nil {
		return
	}
	w.failure = &sim.Failure{Check: check, Sentence: fmt.Sprintf(format, args...), At: w.now, Event: w.events()}
	if w.o.Trace != nil {
		w.trace(nil, "VIOLATION", "%v", w.failure)
	}
}

// trace tells whoever listens. Callers on the way of every event ask for w.o.Trace first.
func (w *World) trace(n *node, kind, format string, args ...any) {
	if w.o.Trace == nil {
		return
	}
	line := sim.Line{At: w.now, Kind: kind, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		line.Node = int64(n.id)
	}
	w.o.Trace(line)
}

// maxCrashes bounds the crashes of one world, for a recovery takes as long as thousands
// of events, and maxWrites the commands, for what has to be recovered is its log, and
// maxLeased the reads by lease, which are no events and cost as much.
const (
	maxCrashes = 60
	maxWrites  = 3000
	maxLeased  = 5000
)

// strikes decides whether a trouble comes about, now.
func (w *World) strikes(t trouble, s *schedule.Stream) bool {
	if w.calm || w.k.rate[t] == 0 || !s.Chance(w.k.rate[t]) || t.fatal() && w.did.crashes >= maxCrashes {
		return false
	}
	return w.counts(t)
}

// counts gives a trouble its number and leaves out those that shall not be.
func (w *World) counts(t trouble) bool {
	at := w.troubles
	w.troubles++
	for len(w.skip) > 0 && at >= w.skip[0].To {
		w.skip = w.skip[1:]
	}
	if len(w.skip) > 0 && at >= w.skip[0].From {
		return false
	}
	w.struck[t]++
	return true
}

func (w *World) report() sim.Report {
	r := sim.Report{
		Seed: w.o.Seed, Simulated: w.now,
		Troubles: w.troubles, Faults: sim.Counts{}, Did: sim.Counts{}, Marks: sim.Counts{}, Failure: w.failure,
	}
	var hash schedule.Hash
	var elections uint64
	for _, g := range w.groups {
		j := g.judge
		hash.Add(uint64(j.Hash))
		r.Events, r.Deliveries, elections = r.Events+j.Events, r.Deliveries+j.Deliveries, elections+j.Elections
	}
	r.Hash = uint64(hash)
	for t, n := range w.struck {
		r.Faults.Add(troubleNames[t], n)
	}
	d := &w.did
	for _, n := range w.nodes {
		if n.host != nil {
			c := n.host.SnapshotCounts()
			d.snapshots, d.installed, d.pulled = d.snapshots+c.Taken, d.installed+c.Installed, d.pulled+c.Pulled
		}
	}
	for name, n := range map[string]uint64{
		"sessions": d.sessions, "sessions-expired": d.sessionsExpired, "expired-answers": d.expiredAnswers,
		"session-attempts": d.attempts, "answers-from-table": d.fromTable, "results-dropped": d.resultsDropped,
		"upgrades": d.upgrades, "downgrades": d.downgrades, "messages-with-unknown-fields": d.extended,
		"unknown-calls": d.unknownCalls, "unknown-entries": d.unknownEntries, "groups-stopped-by-unknown-entry": d.stopped,
		"flipped": d.flipped, "wiped": d.wiped, "rolled-back": d.rolledBack, "starts-in-doubt": d.doubted, "repaired": d.repaired,
		"slept": d.slept, "woken": d.woken, "stalls": d.stalls, "idle": d.idled, "disturbed": d.disturbed,
		"groups": uint64(len(w.groups)), "elections": elections, "crashes": d.crashes, "restarts": d.restarts, "frames": d.frames, "applied": d.applied,
		"lease-reads": d.leased, "snapshots": d.snapshots, "snapshots-installed": d.installed, "snapshots-pulled": d.pulled, "changes": d.changed, "changes-refused": d.changeRefused,
		"transfers": d.transferred, "transfers-refused": d.transferRefused,
		"client-writes": d.writes, "client-reads": d.reads, "client-unknown": d.infos, "messages-lost": d.lost, "entries-recovered": d.recovered,
	} {
		r.Did.Add(name, n)
	}
	for m, n := range w.marks {
		r.Marks.Add(raft.Mark(m).String(), n)
	}
	return r
}
