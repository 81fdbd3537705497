package raft

import (
	"math/rand/v2"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// followed is the naive twin of a leader's progress: what one follower was sent and
// what it answered, as plain lists.
type followed struct {
	t     *testing.T
	node  *Node
	out   Effects
	now   Time
	acked Index
	sent  []sent // streamed and not acknowledged
	next  Index  // behind what was streamed last
}

func (f *followed) step(in Event) {
	f.t.Helper()
	p := &f.node.members[f.node.position(2)]
	was := p.state
	f.out.Reset()
	in.Now = f.now
	if err := f.node.Step(in, &f.out); err != nil {
		f.t.Fatal(err)
	}
	if m := in.Message; m != nil && m.Status == raftpb.AppendStatusOk && m.From == 2 {
		f.acked = max(f.acked, m.Matched)
	}
	probes := 0
	for _, fact := range f.out.Facts {
		if fact.Peer == 2 && (fact.Kind == FactProbe || fact.Kind == FactReplicate) {
			f.sent, f.next = nil, f.acked+1
			was = p.state
		}
	}
	if was != p.state {
		f.sent, f.next = nil, p.next
	}
	for i := range f.out.SendNow {
		m := &f.out.SendNow[i]
		if m.Kind != MessageAppend || m.To != 2 {
			continue
		}
		if p.state == raftpb.ProgressStateProbe {
			probes++
			continue
		}
		if len(m.Entries) == 0 {
			continue // it only asks
		}
		bytes := 0
		for j := range m.Entries {
			bytes += entrySize(&m.Entries[j])
		}
		if m.PrevIndex+1 != f.next {
			f.t.Fatalf("sent from %d on, %d is next", m.PrevIndex+1, f.next)
		}
		f.next = m.PrevIndex + 1 + Index(len(m.Entries))
		f.sent = append(f.sent, sent{f.next - 1, bytes, f.node.now})
	}
	if probes > 1 {
		f.t.Fatalf("%d probes at once", probes)
	}
	f.compare(p)
}

// compare holds the leader's view against the twin's.
func (f *followed) compare(p *progress) {
	f.t.Helper()
	bytes, count := 0, 0
	for _, s := range f.sent {
		if s.last > f.acked {
			bytes, count = bytes+s.bytes, count+1
		}
	}
	if p.match != f.acked || p.inflight.count != count || p.inflight.bytes != bytes {
		f.t.Fatalf("%+v: the twin has match %d, %d appends of %d bytes", p, f.acked, count, bytes)
	}
	if p.next <= p.match {
		f.t.Fatalf("next %d, match %d", p.next, p.match)
	}
	if p.state != raftpb.ProgressStateReplicate {
		return
	}
	cfg := &f.node.cfg
	if full := count >= cfg.MaxInflightAppends || (count > 0 && bytes >= cfg.MaxInflightBytes); !full && p.next != f.node.log.last+1 {
		f.t.Fatalf("next %d of %d, and the window has room", p.next, f.node.log.last)
	}
}

// TestProgressAgainstTwin drives a leader with every answer that a follower may give,
// late, doubled and out of order, beside the twin.
func TestProgressAgainstTwin(t *testing.T) {
	streamed := 0
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		cfg := goodConfig()
		cfg.DisablePreVote, cfg.MaxAppendBytes, cfg.MaxInflightAppends = true, 1+rnd.IntN(600), 1+rnd.IntN(5)
		cfg.MaxInflightBytes = 1 + rnd.IntN(1500)
		n, err := New(cfg, newMemoryLog(), HardState{}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := &followed{t: t, node: n}
		f.step(Event{Kind: EventCampaign})
		f.step(Event{Kind: EventPersisted, WriteID: 1})
		f.step(Event{Kind: EventMessage, Message: &Message{Kind: MessageVoteAnswer, From: 3, To: 1, Term: 1, AskedTerm: 1, Granted: true}})
		for range 300 {
			f.random(rnd)
			streamed += len(f.sent)
		}
	}
	if streamed == 0 {
		t.Error("nothing was ever streamed")
	}
}

func (f *followed) random(rnd *rand.Rand) {
	n := f.node
	p := &n.members[n.position(2)]
	answer := Message{Kind: MessageAppendAnswer, From: 2, To: 1, Term: 1, Round: rnd.Int64N(n.reads.round + 1)}
	switch rnd.IntN(8) {
	case 0, 1:
		f.step(Event{Kind: EventPropose, Proposals: []Entry{command(1, "some"), command(1, "thing")}})
	case 2:
		f.now += 100
		from3 := answer
		from3.From, from3.Status, from3.Matched = 3, raftpb.AppendStatusOk, n.log.last
		f.step(Event{Kind: EventMessage, Message: &from3}) // a quorum stays
		f.step(Event{Kind: EventTimer})
	case 3:
		f.step(Event{Kind: EventUnreachable, Peer: 2})
	case 4:
		// What it acknowledged it has: it refuses what begins behind that.
		if f.acked >= n.log.last {
			return
		}
		answer.Status, answer.PrevIndex = raftpb.AppendStatusLogMismatch, f.acked+1+Index(rnd.Int64N(int64(n.log.last-f.acked)))
		if rnd.IntN(2) == 0 {
			answer.PrevIndex = max(p.next-1, f.acked+1)
		}
		answer.ConflictIndex = f.acked + Index(rnd.Int64N(int64(answer.PrevIndex-f.acked)))
		answer.ConflictTerm, answer.LogLast = 1, max(f.acked, answer.ConflictIndex)
		f.step(Event{Kind: EventMessage, Message: &answer})
	default:
		// Of what it was sent it acknowledges any part, also what it acknowledged before.
		answer.Status, answer.Matched = raftpb.AppendStatusOk, Index(rnd.Int64N(int64(p.next)))
		f.step(Event{Kind: EventMessage, Message: &answer})
	}
}
