package raft

import (
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
}

func (b *bench) step(in Event) {
	in.Now = b.now
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

func newBench(tb testing.TB, perBatch int) *bench {
	cfg := goodConfig()
	cfg.DisablePreVote = true
	cfg.TailBytes = 1 << 20
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

// beatRound is a heartbeat on the leader: beats out, acknowledgements in.
func (b *bench) beatRound() {
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

// rounds names what is measured: how a node gets there, and what it does.
func rounds(tb testing.TB) map[string]func() {
	follower, leader, later := newBench(tb, 64), newBench(tb, 64), newBench(tb, 1)
	leader.lead()
	later.message(Message{Kind: MessageBeat, From: 2, Term: 2})
	later.persist()
	watched, handing := newBench(tb, 64), newBench(tb, 64)
	c := watched.node.conf
	c.Incoming = slices.Clone(c.Incoming)
	c.Incoming[2].Suffrage = raftpb.SuffrageWitness
	watched.node.setConfiguration(c)
	watched.lead()
	handing.lead()
	return map[string]func(){
		"witness":    watched.withWitness,
		"hand over":  handing.handOver,
		"propose 64": leader.proposeRound,
		"append 64":  follower.appendRound,
		"beat":       func() { follower.beat() },
		"beats":      leader.beatRound,
		"read":       leader.readRound,
		"stale":      later.stale,
	}
}

// TestStepsAllocateNothing: once its memory has grown, a node allocates nothing for
// heartbeats, stale messages, reads, proposals and appends.
func TestStepsAllocateNothing(t *testing.T) {
	for name, round := range rounds(t) {
		for range 300 {
			round()
		}
		if got := testing.AllocsPerRun(1000, round); got != 0 {
			t.Errorf("%s: %.2f allocations", name, got)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, name := range []string{"propose 64", "append 64", "beat", "beats", "read", "stale", "witness", "hand over"} {
		b.Run(name, func(b *testing.B) {
			round := rounds(b)[name]
			for range 300 {
				round()
			}
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
		})
	}
}
