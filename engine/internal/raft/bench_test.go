package raft

import (
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// bench is one node whose peers and disk are played by hand.
type bench struct {
	tb    testing.TB
	node  *Node
	out   Effects
	now   Time
	write uint64
	epoch uint64
	batch []Entry
	steps uint64
}

func (b *bench) step(in Event) {
	in.Now = b.now
	b.steps++
	if err := b.node.Step(in, &b.out); err != nil {
		b.tb.Fatal(err)
	}
	if b.out.WriteID != 0 {
		b.write, b.epoch = b.out.WriteID, b.out.Epoch
	}
}

// persist completes all writes.
func (b *bench) persist() {
	b.out.Reset()
	b.step(Event{Kind: EventPersisted, WriteID: b.write, Epoch: b.epoch})
}

func (b *bench) message(m Message) {
	b.out.Reset()
	m.To = 1
	b.step(Event{Kind: EventMessage, Message: &m})
}

// apply applies all that was handed out.
func (b *bench) apply() {
	b.out.Reset()
	b.step(Event{Kind: EventApplied, Applied: b.node.handed})
}

// plain is a node with nothing switched on.
func plain(*Config) {}

// settings are what a node may have switched on beyond the least.
func settings() map[string]func(*Config) {
	leases := func(c *Config) { c.ClockBound = 50 }
	quiesce := func(c *Config) { c.QuiesceAfter = 250 }
	marks := func(c *Config) { c.Marks = new(Marks) }
	return map[string]func(*Config){
		"plain":   plain,
		"leases":  leases,
		"quiesce": quiesce,
		"marks":   marks,
		"all":     func(c *Config) { leases(c); quiesce(c); marks(c) },
	}
}

func newBench(tb testing.TB, perBatch int, set func(*Config)) *bench {
	cfg := goodConfig()
	cfg.DisablePreVote = true
	cfg.TailBytes = 1 << 20
	set(&cfg)
	n, err := New(cfg, &endlessLog{}, HardState{}, 0, 0)
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{tb: tb, node: n}
	for range perBatch {
		b.batch = append(b.batch, Entry{Term: 1, Kind: raftpb.EntryKindCommand, Body: make([]byte, 128)})
	}
	return b
}

// endlessLog is a store that is never read.
type endlessLog struct{}

func (*endlessLog) FirstIndex() Index                                     { return 1 }
func (*endlessLog) LastIndex() Index                                      { return 0 }
func (*endlessLog) Term(Index) (Term, error)                              { return 1, nil }
func (*endlessLog) Entries(d []Entry, _, _ Index, _ int) ([]Entry, error) { return d, nil }

func (b *bench) lead() {
	b.step(Event{Kind: EventCampaign})
	b.persist()
	b.message(Message{Kind: MessageVoteAnswer, From: 2, Term: 1, AskedTerm: 1, Granted: true})
	b.persist()
	b.answers()
	b.apply()
}

// answers acknowledges all there is, for both followers.
func (b *bench) answers() {
	last := b.node.log.last
	for from := NodeID(2); from <= 3; from++ {
		b.message(Message{Kind: MessageAppendAnswer, From: from, Term: 1, Status: raftpb.AppendStatusOk, Matched: last})
	}
}

// proposeRound is a batch from the proposal to the commit.
func (b *bench) proposeRound() {
	b.out.Reset()
	b.step(Event{Kind: EventPropose, Proposals: b.batch})
	if b.out.Accepted.Empty() {
		b.tb.Fatal("refused")
	}
	b.persist()
	b.answers()
	b.apply()
}

// appendRound is a batch on a follower, from its arrival to its answer.
func (b *bench) appendRound() {
	prev := b.node.log.last
	m := Message{Kind: MessageAppend, From: 2, Term: 1, PrevIndex: prev, PrevTerm: 1, Commit: prev, Entries: b.batch}
	if prev == 0 {
		m.PrevTerm = 0
	}
	b.message(m)
	if len(b.out.SendAfter) != 1 {
		b.tb.Fatalf("%+v", b.out)
	}
	b.persist()
	b.apply()
}

func (b *bench) beat() {
	b.message(Message{Kind: MessageBeat, From: 2, Term: 1, Round: 1})
	if len(b.out.SendNow)+len(b.out.SendAfter) != 1 {
		b.tb.Fatalf("%+v", b.out)
	}
}

// beatRound is a heartbeat on the leader: beats out, acknowledgements in. They extend
// its lease, if it may have one. A group that would sleep has something to do in between.
func (b *bench) beatRound() {
	b.out.Reset()
	b.step(Event{Kind: EventWake})
	b.beats()
	if leases := b.node.cfg.ClockBound > 0; leases != (b.out.LeaseUntil > b.now) {
		b.tb.Fatalf("lease until %d, now %d", b.out.LeaseUntil, b.now)
	}
}

func (b *bench) beats() {
	b.now += b.node.cfg.Heartbeat
	b.out.Reset()
	b.step(Event{Kind: EventTimer})
	if len(b.out.SendNow) != 2 {
		b.tb.Fatalf("%+v", b.out)
	}
	for from := NodeID(2); from <= 3; from++ {
		b.message(Message{Kind: MessageBeatAck, From: from, Term: 1, Round: b.node.reads.round})
	}
}

// leaderSleeps is a leader that has nothing to do for as long as it must, sleeps if it
// may, and is woken.
func (b *bench) leaderSleeps() {
	for range 5 {
		if !b.node.quiesce.asleep {
			b.beats()
		}
	}
	if may := b.node.cfg.QuiesceAfter > 0; may != b.node.quiesce.asleep {
		b.tb.Fatalf("asleep: %v", b.node.quiesce.asleep)
	}
	b.proposeRound()
}

// followerSleeps is a follower that agrees to sleep, and is woken.
func (b *bench) followerSleeps() {
	last := b.node.log.last
	b.message(Message{Kind: MessageBeat, From: 2, Term: 1, Round: b.node.beatRound + 1, Commit: last, Quiesce: true})
	if may := b.node.cfg.QuiesceAfter > 0; may != b.node.quiesce.asleep {
		b.tb.Fatalf("asleep: %v", b.node.quiesce.asleep)
	}
	b.out.Reset()
	b.step(Event{Kind: EventWake})
}

// readRound is a read on the leader with its round.
func (b *bench) readRound() {
	b.out.Reset()
	b.step(Event{Kind: EventRead, ReadID: 1})
	b.message(Message{Kind: MessageBeatAck, From: 2, Term: 1, Round: b.node.reads.round})
	if len(b.out.Reads) != 1 {
		b.tb.Fatalf("%+v", b.out)
	}
}

// stale is a message of an older term.
func (b *bench) stale() {
	b.message(Message{Kind: MessageAppend, From: 3, Term: 1})
}

// withWitness is proposeRound with a witness, which is sent entries without bodies
// once the leader's write completed.
func (b *bench) withWitness() {
	b.out.Reset()
	b.step(Event{Kind: EventPropose, Proposals: b.batch})
	b.persist()
	if len(b.out.SendNow) != 1 || len(b.out.SendNow[0].Entries) != len(b.batch) || b.out.SendNow[0].Entries[0].Body != nil {
		b.tb.Fatalf("%+v", b.out)
	}
	b.answers()
	b.apply()
}

// handOver is a transfer that the target refuses.
func (b *bench) handOver() {
	b.out.Reset()
	b.step(Event{Kind: EventTransfer, Peer: 2, RequestID: 1})
	b.message(Message{Kind: MessageTimeoutNowAnswer, From: 2, Term: 1})
	if len(b.out.Transfers) != 1 {
		b.tb.Fatalf("%+v", b.out)
	}
}

// rounds names what is measured: the node, and what it does.
func rounds(tb testing.TB, set func(*Config)) map[string]round {
	follower, leader, later := newBench(tb, 64, set), newBench(tb, 64, set), newBench(tb, 1, set)
	leader.lead()
	later.message(Message{Kind: MessageBeat, From: 2, Term: 2})
	later.persist()
	watched, handing, drowsy := newBench(tb, 64, set), newBench(tb, 64, set), newBench(tb, 1, set)
	c := watched.node.conf
	c.Incoming = slices.Clone(c.Incoming)
	c.Incoming[2].Suffrage = raftpb.SuffrageWitness
	watched.node.setConfiguration(c)
	watched.lead()
	handing.lead()
	drowsy.lead()
	return map[string]round{
		"witness":         {watched, (*bench).withWitness},
		"hand over":       {handing, (*bench).handOver},
		"propose 64":      {leader, (*bench).proposeRound},
		"append 64":       {follower, (*bench).appendRound},
		"beat":            {follower, (*bench).beat},
		"beats":           {leader, (*bench).beatRound},
		"read":            {leader, (*bench).readRound},
		"stale":           {later, (*bench).stale},
		"leader sleeps":   {drowsy, (*bench).leaderSleeps},
		"follower sleeps": {newBench(tb, 1, set), (*bench).followerSleeps},
	}
}

// round is something that a node does again and again.
type round struct {
	b  *bench
	do func(*bench)
}

// warm lets the node's memory grow.
func (r round) warm() {
	for range 300 {
		r.do(r.b)
	}
}

// TestStepsAllocateNothing: once its memory has grown, a node allocates nothing for
// heartbeats, stale messages, reads, proposals, appends and sleep, whatever is
// switched on.
func TestStepsAllocateNothing(t *testing.T) {
	for setting, set := range settings() {
		for name, r := range rounds(t, set) {
			r.warm()
			if got := testing.AllocsPerRun(300, func() { r.do(r.b) }); got != 0 {
				t.Errorf("%s: %s: %.2f allocations", setting, name, got)
			}
		}
	}
}

// life is a node from its start: elected, busy, deposed, behind, and restored from a
// snapshot. It returns how many events that took.
func life(tb testing.TB, set func(*Config)) uint64 {
	b := newBench(tb, 4, set)
	b.lead()
	for range 8 {
		b.proposeRound()
		b.beatRound()
		b.readRound()
	}
	b.handOver()
	last := b.node.log.last
	b.out.Reset()
	b.step(Event{Kind: EventSnapshotTaken, Snapshot: &Snapshot{Index: last, Term: 1, Configuration: b.node.conf}})
	if b.out.CompactTo != last+1 {
		tb.Fatalf("%+v", b.out)
	}
	b.message(Message{Kind: MessageBeat, From: 2, Term: 2})
	b.persist()
	for range 4 {
		b.stale()
	}
	s := &Snapshot{Index: last + 100, Term: 2, Configuration: b.node.conf}
	for _, done := range []bool{false, true} {
		b.message(Message{Kind: MessageSnapshot, From: 2, Term: 2, Snapshot: s, Done: done})
	}
	if b.out.Install == nil {
		tb.Fatalf("%+v", b.out)
	}
	b.persist()
	b.apply()
	return b.steps
}

// TestLifeAllocatesLittle: with its start, all growth of its memory, a change of
// leaders and a snapshot, a node makes at most one allocation per event.
func TestLifeAllocatesLittle(t *testing.T) {
	for setting, set := range settings() {
		steps := life(t, set)
		if got := testing.AllocsPerRun(20, func() { life(t, set) }); got > float64(steps) {
			t.Errorf("%s: %.0f allocations for %d events", setting, got, steps)
		}
	}
}

// BenchmarkStep is one round; an event is one input of the node.
func BenchmarkStep(b *testing.B) {
	set := settings()["all"]
	names := slices.Sorted(maps.Keys(rounds(b, set)))
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			r := rounds(b, set)[name]
			r.warm()
			steps := r.b.steps
			perEvent(b, func() { r.do(r.b) }, func() uint64 { return r.b.steps - steps })
		})
	}
	b.Run("life", func(b *testing.B) {
		steps := uint64(0)
		perEvent(b, func() { steps += life(b, set) }, func() uint64 { return steps })
	})
}

// perEvent measures do, and divides by the events that it took.
func perEvent(b *testing.B, do func(), events func() uint64) {
	var before, after runtime.MemStats
	b.ReportAllocs()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		do()
	}
	runtime.ReadMemStats(&after)
	n := float64(events())
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/event")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/event")
}
