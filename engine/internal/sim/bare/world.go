// Package bare is a simulated cluster of cores alone: nodes of engine/internal/raft
// with disks, a network, clocks, clients and state machines that are models. One
// thread and one seed; every step is judged by sim/invariant, and on request by
// sim/model. It is as fast as can be, so that rare orders of events come about: the
// driver and the log have their own worlds.
//
//	w := bare.New(bare.Options{Seed: 17})
//	w.Run()                // faults, then a cluster that must recover
//	fmt.Println(w.Err())   // nil, or the first rule that was broken
//
// An event is one input of one node. What happens between nodes:
//
//	Step --> Effects --> write ...... disk ......... completion --> Step
//	             |         \-- gated messages leave with it
//	             +-- messages --> link: lost, doubled, late --> Step
//	             +-- committed entries --> state machine --> Step
package bare

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Options say which world it is. The zero value is the hostile world of seed 0.
type Options struct {
	Seed   uint64
	Knobs  *Knobs // nil: drawn from the seed
	Mutant int    // a seeded bug of the core, by its number; builds with the tag mutants only
	// Model lets the refinement model judge the run too. Effects are then carried out
	// after each step, so that each can be told to the model by itself.
	Model bool
	Trace io.Writer // one line per event; nil: none

	Events  uint64      // ends the phase of faults after so many; 0: as the knobs have it
	Without []string    // kinds of trouble that are left out, by the names in Troubles
	Skip    []sim.Range // single troubles that are left out, by their number: half-open, ascending
}

// ErrLiveness says that a cluster without faults does not do what it must.
var ErrLiveness = errors.New("liveness")

// eventKind says what an event is about.
type eventKind uint8

const (
	eventDeliver  eventKind = iota // slot: which parcel
	eventTimer                     // gen: of which boot, as for the next four
	eventDisk                      // the oldest writes complete
	eventApply                     // the state machine takes some entries
	eventCarryOut                  // effects that were put off
	eventSnapshot                  // an image is written
	eventStall                     // the disk has been busy for long
	eventStream                    // slot: to whom; the next piece of an image leaves
	eventDoom                      // a new leader's end
	eventTold                      // the oldest completion that a node has not heard of
	eventRepair                    // of damaged entries
	eventPlot                      // goes on
	eventAsk                       // for votes
	eventRestart
	eventClient
	eventFault
	eventHeal
)

// event is small: it is moved about in a heap.
type event struct {
	kind eventKind
	node int8
	slot int32
	gen  uint32
}

// Counts tell what a run consisted of.
type Counts struct {
	Events, Deliveries, Timers, Writes, Applies, Client uint64
	Crashes, Commits, Acked, Reads, Leaders, Checked    uint64
	Snapshots, Installs, Changes, Transfers             uint64
	Damages, Repairs, LeaseReads                        uint64
	Facts                                               [factKinds]uint64
	Marks                                               raft.Marks
}

// factKinds is room for all kinds of facts that the core knows.
const factKinds = 64

// stillAtMost is how many events may come at one instant.
const stillAtMost = 100_000

// maxNodes bounds the nodes of a world, those that join later included.
const maxNodes = 10

// World is one simulated cluster. It belongs to one goroutine.
type World struct {
	options Options
	knobs   Knobs
	now     Time
	queue   schedule.Queue[event]
	network schedule.Stream
	disk    schedule.Stream
	process schedule.Stream
	clients schedule.Stream
	odd     schedule.Stream
	tuning  schedule.Stream
	calm    bool // no faults any more
	hash    schedule.Hash
	faults  faults

	servers   []*server
	links     [maxNodes][maxNodes]link
	parcels   []*parcel
	free      []int32
	lie       raft.Message // that is delivered in the place of another
	among     []*server
	calls     uint64
	plotUntil Time // no other faults strike before
	still     int  // events since time moved
	orders    uint64
	begin     raft.Configuration
	reads     uint64

	clientele []client
	bodies    []byte
	batch     []raft.Entry

	observer *invariant.Observer
	group    *invariant.Group
	model    *model.Model
	write    invariant.Write
	configs  map[uint64]known
	entries  []invariant.Entry
	watch    func(*server, *raft.Effects) // a story looks on
	applied  func(raft.Index, *raft.Entry)

	Counts Counts
	err    error
}

// New builds the world of o, with all nodes started.
func New(o Options) *World {
	w := &World{
		options:  o,
		network:  schedule.NewStream(o.Seed, 1),
		disk:     schedule.NewStream(o.Seed, 2),
		process:  schedule.NewStream(o.Seed, 3),
		clients:  schedule.NewStream(o.Seed, 4),
		odd:      schedule.NewStream(o.Seed, 6),
		tuning:   schedule.NewStream(o.Seed, 8),
		observer: invariant.New(invariant.Options{}),
		configs:  map[uint64]known{},
	}
	if o.Knobs != nil {
		w.knobs = *o.Knobs
	} else {
		w.knobs = draw(o.Seed)
	}
	if o.Model {
		w.knobs.Lazy = 0
		w.knobs.Damage = 0 // the model demands that a repaired node has more than it was counted for
		if w.knobs.Odd.Plot == lapse {
			w.knobs.Odd.Plots = 0
		}
	}
	if o.Events != 0 {
		w.knobs.Events = int(min(o.Events, math.MaxInt))
	}
	w.knobs.leaveOut(o.Without)
	w.faults.skip = o.Skip
	ids := make([]raftpb.NodeID, w.knobs.Nodes)
	for i := range ids {
		ids[i] = raftpb.NodeID(i + 1)
	}
	w.group = w.observer.Group(1, invariant.Config{Voters: ids})
	if o.Model {
		w.model = model.New(model.Config{Voters: ids})
	}
	w.clientele = make([]client, w.knobs.Clients)
	for _, id := range ids {
		w.servers = append(w.servers, w.newServer(id))
	}
	for _, s := range w.servers {
		w.start(s)
	}
	return w
}

// Run lives through the safety phase and then demands that the cluster recovers.
func (w *World) Run() {
	if w.knobs.ClientEach > 0 {
		w.push(1, event{kind: eventClient})
	}
	if w.knobs.FaultEvery > 0 {
		w.push(w.knobs.FaultEvery, event{kind: eventFault})
	}
	for w.err == nil && w.Counts.Events < uint64(w.knobs.Events) && w.now < w.knobs.Span {
		w.next()
	}
	w.settle()
}

// Err is the first rule that was broken; nil if none was.
func (w *World) Err() error { return w.err }

// Hash is the hash of all that happened.
func (w *World) Hash() uint64 { return uint64(w.hash) }

// Now is the true time that has passed, in nanoseconds.
func (w *World) Now() Time { return w.now }

func (w *World) push(at Time, e event) { w.queue.Push(int64(max(at, w.now)), e) }

// advance handles events until the given time or a violation.
func (w *World) advance(until Time) {
	for w.err == nil {
		if at, ok := w.queue.NextAt(); !ok || Time(at) > until {
			w.now = max(w.now, until)
			return
		}
		w.next()
	}
}

// next handles the next event.
func (w *World) next() {
	at, e := w.queue.Pop()
	if Time(at) > w.now {
		w.still = 0
	} else if w.still++; w.still > stillAtMost {
		w.failf("%w: time stands still: somebody asks for a timer again and again", ErrLiveness)
		return
	}
	w.now = Time(at)
	switch e.kind {
	case eventClient:
		w.client()
		w.push(w.now+1+Time(w.clients.N(int64(w.knobs.ClientEach))), e)
		return
	case eventFault:
		w.fault()
		w.push(w.now+1+Time(w.process.N(2*int64(w.knobs.FaultEvery))), e)
		return
	case eventHeal:
		w.heal()
		return
	default:
	}
	s := w.servers[e.node]
	if s.pausedUntil > w.now && e.kind != eventRestart {
		w.push(s.pausedUntil, e)
		return
	}
	w.hash.Add(uint64(at)<<8 ^ uint64(e.kind)<<4 ^ uint64(e.node))
	switch {
	case e.kind == eventDeliver:
		w.deliver(s, e.slot)
	case e.kind == eventRestart:
		if s.node == nil {
			w.start(s)
		}
	case s.node == nil || e.gen != s.boot:
	case e.kind == eventTimer:
		w.timer(s)
	case e.kind == eventDisk:
		w.persist(s)
	case e.kind == eventApply:
		w.apply(s)
	case e.kind == eventSnapshot:
		w.snapshotDone(s)
	case e.kind == eventStall:
		w.stall(s)
	case e.kind == eventStream:
		w.chunk(s, raft.NodeID(e.slot))
	case e.kind == eventDoom && !w.calm:
		w.doomed(s)
	case e.kind == eventTold:
		w.heard(s)
	case e.kind == eventRepair:
		w.repair(s)
	case e.kind == eventPlot:
		w.plotOn(s, e.slot)
	case e.kind == eventAsk:
		w.step(s, &raft.Event{Kind: raft.EventCampaign})
	case e.kind == eventCarryOut && s.lazy:
		w.carryOut(s)
	}
}

func (w *World) failf(format string, args ...any) {
	if w.err == nil {
		w.fail(fmt.Errorf(format, args...))
	}
}

func (w *World) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("seed %d, event %d at %d us: %w", w.options.Seed, w.Counts.Events, w.now/1000, err)
		w.tracef("VIOLATION %v", w.err)
	}
}

// tracef writes a line; its caller asks for w.options.Trace first where arguments
// cost something.
func (w *World) tracef(format string, args ...any) {
	if w.options.Trace != nil {
		fmt.Fprintf(w.options.Trace, "%10d ", w.now/1000)
		fmt.Fprintf(w.options.Trace, format+"\n", args...)
	}
}

// Add sums up two runs.
func (c *Counts) Add(o *Counts) {
	for _, pair := range []struct{ to, from *uint64 }{
		{&c.Events, &o.Events}, {&c.Deliveries, &o.Deliveries}, {&c.Timers, &o.Timers}, {&c.Writes, &o.Writes},
		{&c.Applies, &o.Applies}, {&c.Client, &o.Client}, {&c.Crashes, &o.Crashes}, {&c.Commits, &o.Commits},
		{&c.Acked, &o.Acked}, {&c.Reads, &o.Reads}, {&c.Leaders, &o.Leaders}, {&c.Checked, &o.Checked},
		{&c.Snapshots, &o.Snapshots}, {&c.Installs, &o.Installs}, {&c.Changes, &o.Changes}, {&c.Transfers, &o.Transfers},
		{&c.Damages, &o.Damages}, {&c.Repairs, &o.Repairs}, {&c.LeaseReads, &o.LeaseReads},
	} {
		*pair.to += *pair.from
	}
	for k := range c.Facts {
		c.Facts[k] += o.Facts[k]
	}
	for k := range c.Marks {
		c.Marks[k] += o.Marks[k]
	}
}
