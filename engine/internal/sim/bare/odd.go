package bare

import (
	"errors"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Odd is what a driver, a store and a network may do and hardly ever do: all of it is
// within the core's contract. It has a stream of numbers of its own.
type Odd struct {
	TellLate  float64 // a node hears that a write is durable after what waited for it has left
	TellTwice float64 // and hears of it twice
	Spurious  float64 // per fault event: an event that tells nothing new
	Forge     float64 // a message arrives as one that could be, and is wrong
	StoreFail float64 // per fault event: the next read of the log fails, and with it the process
	Treachery float64 // per change: those that it relies on fail
	Scratch   float64 // per fault event: entries on a disk are damaged; per start: an image is
	Hang      float64 // per piece of a snapshot: the stream says nothing for long
	Found     bool    // recovery has found the configurations of the log by itself
	Plot      plot    // what is brought about on purpose
	Plots     float64 // how often, per fault event
	Lockstep  bool    // all nodes begin the quiet phase at one instant, on a network without jitter
}

// drawOdd chooses oddities; k is drawn already.
func (k *Knobs) drawOdd(r *schedule.Stream) {
	maybe := func(least, most float64) float64 {
		v := r.LogUniform(least, most)
		if r.Intn(2) == 0 {
			return 0
		}
		return v
	}
	k.Odd = Odd{
		TellLate: maybe(0.001, 0.2), TellTwice: maybe(0.001, 0.05), Spurious: maybe(0.05, 0.5), Forge: maybe(0.0002, 0.01),
		StoreFail: maybe(0.005, 0.1), Treachery: maybe(0.05, 0.5), Hang: maybe(0.01, 0.1), Scratch: maybe(0.05, 0.5),
		Found: r.Intn(2) == 0, Lockstep: r.Intn(12) == 0,
	}
	if k.Core.QuiesceAfter > 0 {
		k.Reads = max(k.Reads, 0.3)
	}
	if p := r.Intn(18); p < 6 && k.Nodes >= 3 {
		k.plan([6]plot{overlap, overlap, overlap, amnesia, amnesia, lapse}[p], r)
	}
}

// told is a completion on its way to the node.
type told struct{ id, epoch uint64 }

// tell reports a completion to the node: at once or, in its order, later.
func (w *World) tellDurable(s *server, id, epoch uint64) {
	late := !w.calm && w.strikes(toldLate, w.knobs.Odd.TellLate, &w.odd)
	if !late && len(s.told) == 0 {
		w.hears(s, told{id, epoch})
		return
	}
	s.toldAt = max(s.toldAt, w.now)
	if late {
		s.toldAt += Time(w.odd.N(int64(Election / 4)))
	}
	s.told = append(s.told, told{id, epoch})
	w.push(s.toldAt, event{kind: eventTold, node: s.index, gen: s.boot})
}

// heard is the arrival of the oldest completion under way.
func (w *World) heard(s *server) {
	t := s.told[0]
	s.told = append(s.told[:0], s.told[1:]...)
	w.hears(s, t)
}

func (w *World) hears(s *server, t told) {
	boot := s.boot
	in := raft.Event{Kind: raft.EventPersisted, WriteID: t.id, Epoch: t.epoch}
	w.step(s, &in)
	if s.node != nil && s.boot == boot && w.strikes(toldTwice, w.knobs.Odd.TellTwice, &w.odd) {
		w.step(s, &in)
	}
	if s.stalled && s.node != nil {
		s.stalled = false
		w.step(s, &raft.Event{Kind: raft.EventDiskOK})
	}
}

// spurious steps an event that tells a node nothing new, or asks it for nothing.
func (w *World) spurious(s *server) {
	other := raft.NodeID(1 + w.odd.Intn(len(w.servers)))
	var in raft.Event
	switch w.odd.Intn(8) {
	case 0:
		in = raft.Event{Kind: raft.EventTimer}
	case 1: // its disk is as it was
		in = raft.Event{Kind: raft.EventDiskOK}
		if s.stalled {
			in.Kind = raft.EventDiskStalled
		}
	case 2:
		in = raft.Event{Kind: raft.EventApplied, Applied: s.machine.applied / 2}
	case 3:
		if s.streamTo(other) >= 0 {
			return
		}
		in = raft.Event{Kind: raft.EventSnapshotFailed, Peer: other}
	case 4:
		in = raft.Event{Kind: raft.EventUnreachable, Peer: other}
		if w.odd.Intn(2) == 0 { // it has the state
			in = raft.Event{Kind: raft.EventStateLost, Applied: s.was.Commit + 1}
		}
	case 5:
		if im := s.disk.snapshot; im != nil {
			in = raft.Event{Kind: raft.EventSnapshotTaken, Snapshot: &im.is, Keep: 1}
			break
		}
		return
	case 6:
		w.nonsense(s, nil)
		return
	default:
		kind := []raftpb.EntryKind{raftpb.EntryKindNoop, raftpb.EntryKindConfig, raftpb.EntryKindUnspecified}[w.odd.Intn(3)]
		w.nonsense(s, []raft.Entry{{Kind: kind}})
		return
	}
	w.step(s, &in)
}

// nonsense proposes what no client may propose.
func (w *World) nonsense(s *server, entries []raft.Entry) {
	w.Counts.Events++
	if err := s.node.Step(raft.Event{Kind: raft.EventPropose, Now: s.clock.at(w.now), Proposals: entries}, &s.out); err != nil {
		w.died(s, err)
		return
	}
	if !s.out.Accepted.Empty() {
		w.failf("node %d accepts a proposal of %v", s.id, entries)
	}
	w.carryOut(s)
}

// storeFault says how a store fails.
type storeFault uint8

const (
	storeWell storeFault = iota
	storeUnreadable
	storeEmpty // it returns nothing, and no error
	storeFaults
)

// store is the disk as the node reads it.
type store struct{ s *server }

var errUnreadable = errors.New("bare: store: unreadable")

// FirstIndex implements raft.Log.
func (t store) FirstIndex() raft.Index { return t.s.disk.FirstIndex() }

// LastIndex implements raft.Log.
func (t store) LastIndex() raft.Index { return t.s.disk.LastIndex() }

// Term implements raft.Log.
func (t store) Term(i raft.Index) (raft.Term, error) {
	if t.s.fault == storeUnreadable {
		t.s.failed = true
		return 0, errUnreadable
	}
	return t.s.disk.Term(i)
}

// Entries implements raft.Log.
func (t store) Entries(dst []raft.Entry, lo, hi raft.Index, maxBytes int) ([]raft.Entry, error) {
	switch t.s.fault {
	case storeUnreadable:
		t.s.failed = true
		return dst, errUnreadable
	case storeEmpty:
		t.s.failed = true
		return dst, nil
	default:
		hi, err := t.s.legible(lo, hi)
		if err != nil {
			return dst, err
		}
		return t.s.disk.Entries(dst, lo, hi, maxBytes)
	}
}

// died takes a node's word that it is dead. It is right if its store failed, and then
// says so for ever.
func (w *World) died(s *server, err error) {
	again := s.node.Step(raft.Event{Kind: raft.EventTimer, Now: s.clock.at(w.now)}, &s.out)
	if !s.failed || !blamesStore(err, s.fault) || !errors.Is(again, err) {
		w.failf("node %d: %w, and then %w", s.id, err, again)
		return
	}
	w.tracef("node %d dies of %v", s.id, err)
	s.out.Reset()
	w.crash(s)
}

// blamesStore: the error names the cause.
func blamesStore(err error, fault storeFault) bool {
	var of *raft.StoreError
	if fault == storeUnreadable {
		return errors.As(err, &of) && errors.Is(err, errUnreadable) && strings.Contains(err.Error(), of.Op)
	}
	return errors.As(err, &of) && of.Op == "entries"
}

// unreadable: a store that fails at the start starts nothing. It may be better later.
func (w *World) unreadable(s *server, err error) {
	if !blamesStore(err, s.fault) {
		w.failf("start of node %d: %w", s.id, err)
		return
	}
	if w.odd.Intn(4) > 0 {
		s.fault = storeWell
	}
	w.tracef("node %d cannot start: %v", s.id, err)
	w.push(w.now+Election/4+Time(w.odd.N(int64(w.knobs.Down))), event{kind: eventRestart, node: s.index})
}

// oddFault brings the seed's oddities about.
func (w *World) oddFault() {
	o := &w.knobs.Odd
	s := w.servers[w.odd.Intn(len(w.servers))]
	if w.alive(s) && w.strikes(spurious, o.Spurious, &w.odd) {
		w.spurious(s)
	}
	if w.alive(s) && w.strikes(storeFail, o.StoreFail, &w.odd) {
		s.fault = storeFault(1 + w.odd.Intn(int(storeFaults)-1))
	}
	if w.strikes(scratch, o.Scratch, &w.odd) {
		w.scratch(s)
	}
	w.overdue()
	if w.strikes(scheme, o.Plots, &w.odd) {
		w.scheme()
	}
	w.hopeless()
	w.retune()
}

// hopeless asks the leader to hand over to a member that cannot take over: it is in
// doubt, or its disk stalls.
func (w *World) hopeless() {
	if !w.strikes(treachery, w.knobs.Odd.Treachery, &w.odd) {
		return
	}
	leader := w.leader()
	for _, s := range w.servers {
		if (s.doubtFrom != 0 || s.stalled) && w.alive(s) && leader != nil && leader != s && w.alive(leader) {
			w.handOver(leader, s.id)
			return
		}
	}
}
