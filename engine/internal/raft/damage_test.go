package raft

import (
	"errors"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// rottenLog is a log of which some entries cannot be read.
type rottenLog struct {
	*memoryLog
	rotten Span
}

func (l *rottenLog) Entries(dst []Entry, lo, hi Index, maxBytes int) ([]Entry, error) {
	if lo >= l.rotten.Lo && lo < l.rotten.Hi {
		return dst, &DamagedError{Damaged: Span{lo, min(hi, l.rotten.Hi)}, Err: errors.New("rotten")}
	}
	if lo < l.rotten.Lo && hi > l.rotten.Lo && !l.rotten.Empty() {
		hi = l.rotten.Lo
	}
	return l.memoryLog.Entries(dst, lo, hi, maxBytes)
}

// fiveEntries is a log of five commands of term 1.
func fiveEntries() *memoryLog {
	l := &memoryLog{first: 1}
	for _, s := range []string{"a", "b", "c", "d", "e"} {
		l.entries = append(l.entries, command(1, s))
	}
	return l
}

func step(t *testing.T, n *Node, in Event) *Effects {
	t.Helper()
	var out Effects
	if err := n.Step(in, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func message(t *testing.T, n *Node, m Message) *Effects {
	t.Helper()
	m.To = n.cfg.ID
	return step(t, n, Event{Kind: EventMessage, Now: n.now, Message: &m})
}

// sentBy returns the messages of out of one kind, whatever they wait for.
func sentBy(out *Effects, kind MessageKind) (found []Message) {
	for _, m := range out.SendNow {
		if m.Kind == kind {
			found = append(found, m)
		}
	}
	for _, g := range out.SendAfter {
		if g.Message.Kind == kind {
			found = append(found, g.Message)
		}
	}
	return found
}

// A leader that cannot read an entry for a follower says which, goes on leading, sends
// what stands before it, and sends the rest once it was repaired.
func TestLeaderNamesDamageAndGoesOn(t *testing.T) {
	log := &rottenLog{fiveEntries(), Span{3, 4}}
	cfg := goodConfig()
	cfg.Changes = []Change{}
	cfg.DisablePreVote = true
	n, err := New(cfg, log, HardState{Term: 1, Commit: 5}, 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := step(t, n, Event{Kind: EventCampaign, Now: 2000})
	step(t, n, Event{Kind: EventPersisted, Now: 2000, WriteID: out.WriteID, Epoch: out.Epoch})
	message(t, n, Message{Kind: MessageVoteAnswer, From: 2, Term: 2, AskedTerm: 2, Granted: true})
	if n.Role() != raftpb.RoleLeader {
		t.Fatalf("role %v", n.Role())
	}
	probed := Message{
		Kind: MessageAppendAnswer, From: 2, Term: 2, Status: raftpb.AppendStatusLogMismatch, PrevIndex: 5, LogLast: 1,
		ConflictIndex: 1, ConflictTerm: 1,
	}
	out = message(t, n, probed) // it has entry 1
	m := sentBy(out, MessageAppend)
	if len(m) != 1 || m[0].PrevIndex != 1 || len(m[0].Entries) != 1 {
		t.Fatalf("sent %+v", m)
	}
	out = message(t, n, Message{
		Kind: MessageAppendAnswer, From: 2, Term: 2, Status: raftpb.AppendStatusOk, PrevIndex: 1, Matched: 2,
	})
	if out.Damaged != (Span{3, 4}) || len(sentBy(out, MessageAppend)) != 0 {
		t.Fatalf("damaged %v, sent %+v", out.Damaged, sentBy(out, MessageAppend))
	}
	log.rotten = Span{}
	out = step(t, n, Event{Kind: EventReadable, Now: n.now})
	m = sentBy(out, MessageAppend)
	if len(m) == 0 || m[0].PrevIndex != 2 || len(m[0].Entries) != 3 || m[0].To != 2 || !out.Damaged.Empty() {
		t.Fatalf("sent %+v, damaged %v", m, out.Damaged)
	}
}

// A driver that asks for a damaged entry is told which; the node lives on.
func TestDriverIsToldOfDamage(t *testing.T) {
	log := &rottenLog{fiveEntries(), Span{3, 5}}
	cfg := goodConfig()
	if _, err := New(cfg, log, HardState{Term: 1}, 0, 0); !errors.As(err, new(*DamagedError)) {
		t.Errorf("a log whose configurations cannot be read: %v", err)
	}
	cfg.Changes = []Change{}
	n, err := New(cfg, log, HardState{Term: 1, Commit: 5}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := n.Entries(nil, 1, 6, 1000)
	if err != nil || len(got) != 2 {
		t.Errorf("%d entries, %v", len(got), err)
	}
	var d *DamagedError
	if _, err := n.Entries(nil, 3, 6, 1000); !errors.As(err, &d) || d.Damaged != (Span{3, 5}) {
		t.Errorf("%v", err)
	}
	if out := step(t, n, Event{Kind: EventTimer, Now: 1}); !out.Damaged.Empty() {
		t.Errorf("told again: %v", out.Damaged)
	}
}

// A node that has its log and not its state follows, votes and acknowledges; it does not
// campaign, says what it needs, and a snapshot within its log leaves the log behind it.
func TestNodeWithoutStateKeepsItsWord(t *testing.T) {
	log := fiveEntries()
	log.first, log.floor, log.entries = 3, 1, log.entries[2:]
	cfg := goodConfig()
	cfg.StateLost = 2
	n, err := New(cfg, log, HardState{Term: 1, Commit: 4}, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if out := step(t, n, Event{Kind: EventTimer, Now: 5000}); n.Role() != raftpb.RoleFollower || n.HasState() {
		t.Fatalf("%v, %+v", n.Role(), out.SendNow)
	}
	vote := sentBy(message(t, n, Message{Kind: MessageVote, From: 2, Term: 2, LastIndex: 5, LastTerm: 1}), MessageVoteAnswer)
	if len(vote) != 1 || !vote[0].Granted {
		t.Fatalf("vote %+v", vote)
	}
	worse := sentBy(message(t, n, Message{Kind: MessageVote, From: 3, Term: 3, LastIndex: 4, LastTerm: 1}), MessageVoteAnswer)
	if len(worse) != 1 || worse[0].Granted {
		t.Fatalf("vote for a shorter log %+v", worse)
	}
	out := message(t, n, Message{
		Kind: MessageAppend, From: 2, Term: 3, PrevIndex: 5, PrevTerm: 1, Commit: 5, Entries: []Entry{command(3, "f")}, Round: 1,
	})
	ack := sentBy(out, MessageAppendAnswer)
	if len(ack) != 1 || ack[0].Status != raftpb.AppendStatusNeedSnapshot || ack[0].Matched != 6 || ack[0].ConflictIndex != 2 {
		t.Fatalf("acknowledged %+v", ack)
	}
	step(t, n, Event{Kind: EventPersisted, Now: n.now, WriteID: out.WriteID, Epoch: out.Epoch})

	of := &Snapshot{Index: 4, Term: 1, Configuration: threeVoters()}
	image := Message{Kind: MessageSnapshot, From: 2, Term: 3, Snapshot: of}
	if a := sentBy(message(t, n, image), MessageSnapshotAnswer); len(a) != 1 || a[0].SnapshotStatus != raftpb.SnapshotStatusOk {
		t.Fatalf("wanted %+v", a)
	}
	image.Done = true
	out = message(t, n, image)
	if out.Install != of || !n.HasState() {
		t.Fatalf("install %+v", out.Install)
	}
	s := n.Status()
	if s.First != 5 || s.Last != 6 || s.Lacks != 0 || s.Durable != 6 {
		t.Errorf("%+v", s)
	}
	again := message(t, n, Message{Kind: MessageAppend, From: 2, Term: 3, PrevIndex: 6, PrevTerm: 3, Commit: 6, Round: 2})
	if a := sentBy(again, MessageAppendAnswer); len(a) != 1 || a[0].Status != raftpb.AppendStatusOk {
		t.Errorf("%+v", a)
	}
	if !slices.ContainsFunc(out.Facts, func(f Fact) bool { return f.Kind == FactSnapshotInstalled }) {
		t.Error("nobody is told")
	}
}

// A leader counts the acknowledgements of a member that lacks its state, and streams it a
// snapshot of what it needs until that has arrived.
func TestLeaderServesAMemberWithoutState(t *testing.T) {
	cfg := goodConfig()
	cfg.DisablePreVote = true
	n, err := New(cfg, fiveEntries(), HardState{Term: 1, Commit: 5}, 5, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := step(t, n, Event{Kind: EventCampaign, Now: 2000})
	step(t, n, Event{Kind: EventPersisted, Now: 2000, WriteID: out.WriteID, Epoch: out.Epoch})
	out = message(t, n, Message{Kind: MessageVoteAnswer, From: 2, Term: 2, AskedTerm: 2, Granted: true})
	step(t, n, Event{Kind: EventPersisted, Now: 2000, WriteID: out.WriteID, Epoch: out.Epoch})
	out = message(t, n, Message{
		Kind: MessageAppendAnswer, From: 2, Term: 2, Status: raftpb.AppendStatusNeedSnapshot, PrevIndex: 5, Matched: 6,
		ConflictIndex: 4, LogLast: 6,
	})
	if n.Commit() != 6 {
		t.Errorf("commit %d: the word of the member does not count", n.Commit())
	}
	want := SnapshotAsk{Peer: 2, Term: 2, Index: 4}
	if len(out.Snapshots) != 1 || out.Snapshots[0] != want {
		t.Fatalf("asked for %+v", out.Snapshots)
	}
	// A late acknowledgement does not end the stream; INSTALLED does.
	out = message(t, n, Message{Kind: MessageAppendAnswer, From: 2, Term: 2, Status: raftpb.AppendStatusOk, PrevIndex: 5, Matched: 6})
	if f, _ := n.Follower(2); f.State != raftpb.ProgressStateSnapshot || len(out.Snapshots) != 0 {
		t.Errorf("%+v, %+v", f, out.Snapshots)
	}
	message(t, n, Message{Kind: MessageSnapshotAnswer, From: 2, Term: 2, SnapshotStatus: raftpb.SnapshotStatusInstalled, Matched: 6})
	if f, _ := n.Follower(2); f.State != raftpb.ProgressStateReplicate {
		t.Errorf("%+v", f)
	}
}

// A snapshot may restore the state while entries that it covers are still in the write
// that it joins: the disk installs first, and would find them before its log's begin.
func TestStateIsRestoredOverUnwrittenEntries(t *testing.T) {
	for covered, from := range map[Index]Index{6: 7, 7: 8, 8: 0} {
		cfg := goodConfig()
		cfg.StateLost = 1
		n, err := New(cfg, fiveEntries(), HardState{Term: 1, Commit: 4}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var out Effects
		for _, m := range []Message{
			{
				Kind: MessageAppend, PrevIndex: 5, PrevTerm: 1, Commit: 5, Round: 1,
				Entries: []Entry{command(3, "f"), command(3, "g"), command(3, "h")},
			},
			{Kind: MessageSnapshot, Snapshot: &Snapshot{Index: covered, Term: 3, Configuration: threeVoters()}, Done: true},
		} {
			m.From, m.To, m.Term = 2, 1, 3
			if err := n.Step(Event{Kind: EventMessage, Message: &m}, &out); err != nil {
				t.Fatal(err)
			}
		}
		if out.Install == nil || len(out.Append) != int(8-covered) || from != 0 && out.AppendFrom != from {
			t.Errorf("up to %d: install %+v, append %d entries from %d", covered, out.Install, len(out.Append), out.AppendFrom)
		}
	}
}
