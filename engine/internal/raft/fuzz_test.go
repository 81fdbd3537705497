package raft

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// FuzzStep lets a peer that is allowed to speak, and speaks nonsense, talk to a
// node, between the node's own writes, timers and proposals. No message may stop
// the node (G-SEC-6): no panic, no error. Terms, votes and commits move as they may,
// and every request is answered exactly once.
func FuzzStep(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"))
	f.Add([]byte{0, 21, 0, 0, 8, 20, 5, 1, 4, 21, 0, 0, 9, 20, 4, 1, 1, 4, 17, 0, 1}) // a snapshot that goes on, and one that is done
	f.Add([]byte{1, 1, 4, 16, 1, 0, 2, 0, 9, 1, 4, 16, 0, 0, 21, 1, 0, 0, 1, 6, 17, 2, 18, 19, 1, 4})
	f.Add([]byte{1, 1, 4, 18, 0, 18, 1, 18, 2, 18, 3, 4, 0, 0, 200, 18, 1, 2, 1, 9, 1}) // a disk that stalls, state that is lost
	f.Add([]byte{8, 9, 0, 1, 1, 0, 0, 1, 2, 3, 10, 0, 2, 0, 0, 1, 1, 1, 9, 9})
	f.Fuzz(func(t *testing.T, input []byte) {
		z := &fuzzed{t: t, in: input, log: newMemoryLog(), open: map[uint64]bool{}, asked: map[uint64]bool{}, ends: map[uint64]Index{}, votes: map[Term]NodeID{}}
		cfg := goodConfig()
		cfg.MaxUncommittedBytes, cfg.TailBytes, cfg.MaxPendingReads = 2000, 500, 4
		how := byte(0)
		if len(input) > 0 {
			how = input[0]
		}
		if how&2 != 0 {
			cfg.ClockBound = 50
		}
		if how&4 != 0 {
			cfg.QuiesceAfter = 200
		}
		if how&8 != 0 {
			cfg.Marks = new(Marks)
		}
		n, err := New(cfg, z.log, HardState{}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		z.node = n
		if z.next()%2 == 1 {
			z.lead()
		}
		for len(z.in) > 0 {
			z.event()
		}
		for len(z.writes) > 0 {
			z.persist()
		}
		z.step(Event{Kind: EventMessage, Message: &Message{Kind: MessageBeat, From: 3, To: 1, Term: maxTerm}})
		for len(z.writes) > 0 {
			z.persist()
		}
		if len(z.asked) > 0 {
			t.Fatalf("operators were never answered: %v", z.asked)
		}
		for call, open := range z.open {
			if open {
				t.Fatalf("call %d was never answered", call)
			}
		}
	})
}

type fuzzed struct {
	t      *testing.T
	in     []byte
	node   *Node
	out    Effects
	now    Time
	log    *memoryLog
	writes []diskWrite
	open   map[uint64]bool
	asked  map[uint64]bool  // of operators
	ends   map[uint64]Index // what an append covers, by call
	votes  map[Term]NodeID
	calls  uint64
	commit Index
	hs     HardState
}

// lead makes the node leader of term 1: chance hardly ever does.
func (z *fuzzed) lead() {
	z.step(Event{Kind: EventCampaign})
	for _, pre := range []bool{true, false} {
		m := Message{Kind: MessageVoteAnswer, From: 2, To: 1, AskedTerm: 1, PreVote: pre, Granted: true}
		z.step(Event{Kind: EventMessage, Message: &m})
		z.persist()
	}
	if z.node.role != raftpb.RoleLeader {
		z.t.Fatal("not elected")
	}
}

// next is one byte of the input, 0 at its end.
func (z *fuzzed) next() byte {
	if len(z.in) == 0 {
		return 0
	}
	b := z.in[0]
	z.in = z.in[1:]
	return b
}

// small is mostly a number that means something here, and sometimes an extreme one.
func (z *fuzzed) small() int64 {
	switch b := z.next(); {
	case b < 240:
		return int64(b % 12)
	case b < 248:
		return -int64(b)
	default:
		return 1<<62 - 4 + int64(b-248)
	}
}

// term is mostly the current one.
func (z *fuzzed) term() Term {
	if b := z.next(); b < 160 {
		return z.node.term
	}
	return Term(z.small())
}

// round is mostly the current one.
func (z *fuzzed) round() int64 {
	if b := z.next(); b < 200 {
		return z.node.reads.round
	}
	return z.small()
}

func (z *fuzzed) event() {
	switch kind := z.next() % 24; kind {
	case 0:
		z.now += Time(z.next()) * 10
		z.step(Event{Kind: EventTimer})
	case 1:
		z.persist()
	case 2:
		z.step(Event{Kind: EventPropose, Proposals: []Entry{{Kind: raftpb.EntryKind(z.next() % 6), Body: make([]byte, z.next())}}})
	case 3:
		z.step(Event{Kind: EventRead, ReadID: uint64(z.next())})
	case 4:
		z.step(Event{Kind: EventApplied, Applied: z.node.handed})
	case 5:
		z.step(Event{Kind: EventUnreachable, Peer: NodeID(z.small())})
	case 6:
		z.operate()
	case 16:
		z.snapshotTaken()
	case 17:
		z.step(Event{Kind: EventSnapshotFailed, Peer: NodeID(z.small())})
	case 18:
		z.driver()
	case 19, 20, 21:
		z.message(MessageSnapshot + MessageKind(z.next()%2))
	default:
		if z.next()%8 == 0 {
			z.message(MessageTimeoutNow + MessageKind(kind%2))
			return
		}
		z.message(MessageKind(1 + kind%8))
	}
}

// snapshotTaken offers the start of the log, as far as it is applied.
func (z *fuzzed) snapshotTaken() {
	n := z.node
	index := min(n.log.applied, n.log.durable)
	if index <= n.log.base {
		return
	}
	t, ok := n.log.term(index)
	if !ok {
		z.t.Fatalf("the term of %d is not known", index)
	}
	s := &Snapshot{Index: index, Term: t, Configuration: threeVoters()}
	z.step(Event{Kind: EventSnapshotTaken, Snapshot: s, Keep: Index(z.next() % 8)})
}

// driver is what a driver may say at any time, true or not.
func (z *fuzzed) driver() {
	switch z.next() % 5 {
	case 0:
		z.step(Event{Kind: EventTune, Election: z.now / 2, Sync: Time(z.small())})
		z.step(Event{Kind: EventDiskStalled})
	case 1:
		z.step(Event{Kind: EventDiskOK})
	case 2:
		z.step(Event{Kind: EventWake, Peer: NodeID(z.small())})
	case 3:
		z.step(Event{Kind: EventReadable})
	default:
		z.step(Event{Kind: EventStateLost, Applied: z.node.log.applied})
	}
}

// operate is what an operator may do: campaign, transfer, change.
func (z *fuzzed) operate() {
	z.calls++
	switch b := z.next(); b % 4 {
	case 0:
		z.step(Event{Kind: EventCampaign})
	case 1:
		z.asked[z.calls] = true
		z.step(Event{Kind: EventTransfer, Peer: NodeID(z.small()), RequestID: z.calls})
	default:
		r := &ChangeRequest{Compare: b&64 != 0, Expected: Index(z.small()), CatchUp: CatchUp{Skip: b&128 != 0, Patience: 1000}}
		for range z.next() % 4 {
			m := Member{ID: NodeID(z.small()), Suffrage: raftpb.Suffrage(z.next() % 5), Incarnation: z.small()}
			r.Steps = append(r.Steps, raftpb.Change{Kind: raftpb.ChangeKind(z.next() % 10), Member: m})
		}
		z.asked[z.calls] = true
		z.step(Event{Kind: EventChange, Change: r, RequestID: z.calls})
	}
}

// operatorAnswered: a request has one answer.
func (z *fuzzed) operatorAnswered(id uint64) {
	if !z.asked[id] {
		z.t.Fatalf("request %d is answered twice, or was none", id)
	}
	delete(z.asked, id)
}

func (z *fuzzed) message(kind MessageKind) {
	z.calls++
	m := Message{Kind: kind, From: NodeID(2 + z.next()%3), To: 1, Call: z.calls, Term: z.term()}
	flags := z.next()
	m.PreVote, m.Transfer, m.Granted = flags&1 != 0, flags&2 != 0, flags&4 != 0
	switch kind {
	case MessageVote:
		m.LastIndex, m.LastTerm = Index(z.small()), Term(z.small())
	case MessageVoteAnswer:
		m.AskedTerm = Term(z.small())
	case MessageAppend:
		m.PrevIndex, m.PrevTerm, m.Commit, m.Round = Index(z.small()), Term(z.small()), Index(z.small()), z.round()
		for range z.next() % 5 {
			e := Entry{Term: z.term(), Kind: raftpb.EntryKind(z.next() % 5), Body: []byte{z.next()}}
			if e.Kind == raftpb.EntryKindConfig && flags&8 != 0 {
				c := threeVoters()
				c.Incoming[0].Suffrage = raftpb.Suffrage(1 + z.next()%3)
				e.Body = c.AppendCompact(nil)
			}
			m.Entries = append(m.Entries, e)
		}
	case MessageAppendAnswer:
		m.Status, m.PrevIndex, m.Matched = raftpb.AppendStatus(1+z.next()%6), Index(z.small()), Index(z.small())
		m.ConflictIndex, m.ConflictTerm, m.LogLast, m.Round = Index(z.small()), Term(z.small()), Index(z.small()), z.round()
	case MessageBeat, MessageBeatAck:
		m.Commit, m.Round = Index(z.small()), z.round()
	case MessageReadIndex, MessageReadIndexAnswer:
		m.Context, m.ReadIndex = z.small(), Index(z.small())
	case MessageSnapshot:
		m.Done = flags&16 != 0
		if flags&32 == 0 {
			m.Snapshot = z.snapshot()
		}
	case MessageSnapshotAnswer:
		m.SnapshotStatus, m.Matched = raftpb.SnapshotStatus(z.next()%5), Index(z.small())
	}
	m.Quiesce, m.Wake, m.Busy = flags&8 != 0, flags&16 != 0, flags&32 != 0
	if kind == MessageVote || kind == MessageAppend || kind == MessageBeat || kind == MessageReadIndex || kind == MessageTimeoutNow || kind == MessageSnapshot {
		z.open[m.Call], z.ends[m.Call] = true, m.PrevIndex+Index(len(m.Entries))
	}
	z.step(Event{Kind: EventMessage, Message: &m})
}

// snapshot is mostly one that could be.
func (z *fuzzed) snapshot() *Snapshot {
	s := &Snapshot{Index: Index(z.small()), Term: z.term(), Configuration: threeVoters()}
	switch b := z.next(); {
	case b < 32:
		s.Configuration.Incoming = s.Configuration.Incoming[:b%3]
	case b < 64:
		s.ConfigurationIndex = Index(z.small())
	}
	return s
}

func (z *fuzzed) persist() {
	if len(z.writes) == 0 {
		return
	}
	w := z.writes[0]
	z.writes = z.writes[1:]
	if w.install != nil {
		z.log.install(w.install)
	}
	z.log.store(w.truncate, w.from, w.entries)
	for i := range w.gated {
		z.answered(&w.gated[i])
	}
	z.step(Event{Kind: EventPersisted, WriteID: w.id, Epoch: w.epoch})
}

func (z *fuzzed) answered(m *Message) {
	if m.Call == 0 {
		return
	}
	if !z.open[m.Call] {
		z.t.Fatalf("call %d is answered twice, or was none", m.Call)
	}
	z.open[m.Call] = false
	if end := z.ends[m.Call]; m.Status == raftpb.AppendStatusOk && (m.Matched != end || end < 0 || end > z.log.LastIndex()) {
		z.t.Fatalf("acknowledges %d of an append up to %d, the disk ends at %d", m.Matched, end, z.log.LastIndex())
	}
	if m.SnapshotStatus == raftpb.SnapshotStatusInstalled && m.Matched > z.log.LastIndex() {
		z.t.Fatalf("acknowledges a snapshot up to %d, the disk ends at %d", m.Matched, z.log.LastIndex())
	}
	if m.Granted && !m.PreVote {
		if was := z.votes[m.Term]; was != 0 && was != m.To {
			z.t.Fatalf("votes for %d and %d in term %d", was, m.To, m.Term)
		}
		z.votes[m.Term] = m.To
	}
}

func (z *fuzzed) step(in Event) {
	in.Now = z.now
	out := &z.out
	if err := z.node.Step(in, out); err != nil {
		z.t.Fatalf("%+v: %v", in, err)
	}
	if n := z.node; n.log.commit < z.commit || n.log.commit > n.log.last || n.term < z.hs.Term ||
		(n.term == z.hs.Term && z.hs.Vote != 0 && n.vote != z.hs.Vote) {
		z.t.Fatalf("commit %d to %d, last %d, term %d to %d, vote %d to %d",
			z.commit, n.log.commit, n.log.last, z.hs.Term, n.term, z.hs.Vote, n.vote)
	}
	z.commit, z.hs = z.node.log.commit, HardState{Term: z.node.term, Vote: z.node.vote}
	if out.WriteID != 0 {
		w := diskWrite{id: out.WriteID, epoch: out.Epoch, truncate: out.TruncateFrom, from: out.AppendFrom, install: out.Install}
		w.entries = append(w.entries, out.Append...)
		z.writes = append(z.writes, w)
	}
	if out.CompactTo != 0 {
		z.log.compact(out.CompactTo)
	}
	for _, a := range out.Changes {
		z.operatorAnswered(a.RequestID)
	}
	for _, a := range out.Transfers {
		z.operatorAnswered(a.RequestID)
	}
	for i := range out.SendNow {
		z.answered(&out.SendNow[i])
	}
	for _, g := range out.SendAfter {
		for i := range z.writes {
			if z.writes[i].id == g.WriteID {
				z.writes[i].gated = append(z.writes[i].gated, g.Message)
			}
		}
	}
	out.Reset()
}
