package raft

import (
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func threeVoters() Configuration {
	return Configuration{Incoming: []Member{
		{ID: 1, Suffrage: raftpb.SuffrageVoter},
		{ID: 2, Suffrage: raftpb.SuffrageVoter},
		{ID: 3, Suffrage: raftpb.SuffrageVoter},
	}}
}

func goodConfig() Config {
	return Config{ID: 1, Configuration: threeVoters(), ElectionTimeout: 1000, Heartbeat: 100}
}

// TestConfigFaultsAllTold: every fault of a configuration is reported at once, by
// the name of its field.
func TestConfigFaultsAllTold(t *testing.T) {
	bad := Config{
		ID: -1, ElectionTimeout: 0, Heartbeat: 7, MaxAppendBytes: -1, MaxInflightBytes: -1, MaxInflightAppends: -1,
		MaxElectionTimeout: -1, MinInflightBytes: 1, MinInflightAppends: 2,
		MaxUncommittedBytes: -1, TailBytes: -1, MaxPendingReads: -1, MaxPinnedEntries: -1,
		Configuration: Configuration{Incoming: []Member{{ID: 1, Suffrage: raftpb.SuffrageVoter}, {ID: 1, Suffrage: raftpb.SuffrageVoter}}},
		Changes:       []Change{{Index: 5}, {Index: 5}},
	}
	_, err := New(bad, newMemoryLog(), HardState{}, 0, 0)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"ID", "ElectionTimeout", "Heartbeat", "MaxAppendBytes", "MaxInflightBytes", "MaxInflightAppends",
		"MaxElectionTimeout", "MinInflightBytes", "MinInflightAppends",
		"MaxUncommittedBytes", "TailBytes", "MaxPendingReads", "MaxPinnedEntries", "Configuration", "Changes",
	} {
		if !strings.Contains(err.Error(), "config: "+field+":") {
			t.Errorf("%s is not named in:\n%v", field, err)
		}
	}
}

func TestConfigurationsRefused(t *testing.T) {
	member := func(id NodeID, s raftpb.Suffrage) Member { return Member{ID: id, Suffrage: s} }
	many := make([]Member, MaxMembers+1)
	for i := range many {
		many[i] = member(NodeID(i+1), raftpb.SuffrageVoter)
	}
	for name, c := range map[string]Configuration{
		"id 0":             {Incoming: []Member{member(0, raftpb.SuffrageVoter)}},
		"unknown suffrage": {Incoming: []Member{member(1, 9)}},
		"no suffrage":      {Incoming: []Member{member(1, raftpb.SuffrageUnspecified)}},
		"twice":            {Incoming: []Member{member(1, raftpb.SuffrageVoter), member(1, raftpb.SuffrageLearner)}},
		"nobody can lead":  {Incoming: []Member{member(1, raftpb.SuffrageWitness), member(2, raftpb.SuffrageLearner)}},
		"only outgoing":    {Outgoing: []Member{member(1, raftpb.SuffrageVoter)}},
		"bad outgoing":     {Incoming: []Member{member(1, raftpb.SuffrageVoter)}, Outgoing: []Member{member(-2, raftpb.SuffrageVoter)}},
		"too many":         {Incoming: many},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			cfg.Configuration = c
			if _, err := New(cfg, newMemoryLog(), HardState{}, 0, 0); err == nil || !strings.Contains(err.Error(), "Configuration") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestStoresRefused: a store that contradicts itself has lost something. The node
// does not start, rather than vote or acknowledge on it.
func TestStoresRefused(t *testing.T) {
	three := &memoryLog{first: 1, entries: []Entry{command(1, "a"), command(2, "b"), command(2, "c")}}
	cut := &memoryLog{first: 3, floor: 2, entries: []Entry{command(2, "c")}}
	junk := &memoryLog{first: 1, entries: []Entry{{Term: 1, Kind: raftpb.EntryKindConfig, Body: []byte{0xff}}}}
	for name, x := range map[string]struct {
		log     Log
		hs      HardState
		applied Index
	}{
		"commit beyond the log":       {three, HardState{Term: 2, Commit: 4}, 0},
		"applied beyond the log":      {three, HardState{Term: 2}, 4},
		"term below the log's":        {three, HardState{Term: 1}, 0},
		"negative":                    {three, HardState{Term: 2, Vote: -1}, 0},
		"applied before the log":      {cut, HardState{Term: 2}, 1},
		"configuration is not one":    {junk, HardState{Term: 1}, 0},
		"log that cannot be read":     {&memoryLog{first: 1, entries: three.entries, fail: errors.New("bad sector")}, HardState{Term: 2}, 0},
		"log that cannot be read all": {&brokenAt{three}, HardState{Term: 2}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(goodConfig(), x.log, x.hs, x.applied, 0)
			var store *StoreError
			var broken *BrokenError
			if !errors.As(err, &store) && !errors.As(err, &broken) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// brokenAt reads terms but no entries.
type brokenAt struct{ *memoryLog }

func (*brokenAt) Entries([]Entry, Index, Index, int) ([]Entry, error) { return nil, nil }

// TestDeadNodeStaysDead: after a failure of the store every step says so.
func TestDeadNodeStaysDead(t *testing.T) {
	log := &memoryLog{first: 1, entries: []Entry{command(1, "a"), command(1, "b")}}
	n, err := New(goodConfig(), log, HardState{Term: 1}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	log.fail = errors.New("bad sector")
	var out Effects
	m := Message{Kind: MessageAppend, From: 2, To: 1, Term: 1, PrevIndex: 1, PrevTerm: 1}
	var store *StoreError
	if err := n.Step(Event{Kind: EventMessage, Message: &m}, &out); !errors.As(err, &store) || !errors.Is(err, log.fail) {
		t.Fatalf("got %v", err)
	}
	log.fail = nil
	if err := n.Step(Event{Kind: EventTimer}, &out); !errors.As(err, &store) {
		t.Fatalf("the dead node steps: %v", err)
	}
}

// TestDriverFaults: a driver that breaks the contract is told, and the node stops.
func TestDriverFaults(t *testing.T) {
	for name, in := range map[string]Event{
		"unknown kind":           {Kind: 99},
		"message without one":    {Kind: EventMessage},
		"write never asked for":  {Kind: EventPersisted, WriteID: 7},
		"epoch never begun":      {Kind: EventPersisted, Epoch: 1},
		"applied not handed out": {Kind: EventApplied, Applied: 1},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := New(goodConfig(), newMemoryLog(), HardState{}, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			var broken *BrokenError
			if err := n.Step(in, &Effects{}); !errors.As(err, &broken) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestEntriesOutside: the driver cannot read what is not there.
func TestEntriesOutside(t *testing.T) {
	log := &memoryLog{first: 3, floor: 1, entries: []Entry{command(1, "c"), command(1, "d")}}
	n, err := New(goodConfig(), log, HardState{Term: 1}, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range []Span{{2, 4}, {3, 6}} {
		if _, err := n.Entries(nil, span.Lo, span.Hi, 1<<20); err == nil {
			t.Errorf("%v was read", span)
		}
	}
	if got, err := n.Entries(nil, 3, 5, 1<<20); err != nil || len(got) != 2 {
		t.Errorf("got %d entries, %v", len(got), err)
	}
	if got, err := n.Entries(nil, 3, 5, 1); err != nil || len(got) != 1 {
		t.Errorf("got %d entries for 1 byte, %v", len(got), err)
	}
}

// TestNoopChecksum: the core cannot compute checksums, so it knows this one.
func TestNoopChecksum(t *testing.T) {
	want := crc32.Checksum([]byte{byte(raftpb.EntryKindNoop)}, crc32.MakeTable(crc32.Castagnoli))
	if noopCrc32c != want {
		t.Fatalf("%#x, want %#x", int64(noopCrc32c), want)
	}
}

// TestElectionTimeoutIsDrawn: every wait is in [E/2, E], and nodes with other seeds
// wait otherwise.
func TestElectionTimeoutIsDrawn(t *testing.T) {
	seen := map[Time]bool{}
	for seed := range uint64(200) {
		cfg := goodConfig()
		cfg.Seed = seed
		n, err := New(cfg, newMemoryLog(), HardState{}, 0, 5000)
		if err != nil {
			t.Fatal(err)
		}
		wait := n.electionAt - 5000
		if wait < 500 || wait > 1000 {
			t.Fatalf("seed %d waits %d", seed, wait)
		}
		seen[wait] = true
	}
	if len(seen) < 100 {
		t.Fatalf("only %d different waits in 200", len(seen))
	}
}

// TestResetLetsGo: an Effects keeps no body alive, and no more memory than agreed.
func TestResetLetsGo(t *testing.T) {
	out := Effects{Append: make([]Entry, 0, 4), SendNow: make([]Message, 0, maxKept+1)}
	out.Append = append(out.Append, command(1, "a"))
	out.SendNow = append(out.SendNow, Message{Entries: out.Append})
	kept := out.Append
	out.Reset()
	if kept[0].Body != nil || cap(out.Append) != 4 || len(out.Append) != 0 || out.SendNow != nil {
		t.Fatalf("after Reset: %+v, capacities %d and %d", kept, cap(out.Append), cap(out.SendNow))
	}
}

// TestNames: no fact, message or mutant without a name, and no name twice.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	name := func(s string) {
		if seen[s] || strings.ContainsAny(s, "0123456789") {
			t.Errorf("%q", s)
		}
		seen[s] = true
	}
	for k := FactRole; k < factKinds; k++ {
		name(k.String())
	}
	for k := MessageVote; k < messageKinds; k++ {
		name(k.String())
	}
	if FactKind(99).String() != "fact-99" || MessageKind(99).String() != "message-99" {
		t.Error("an unknown kind loses its number")
	}
}

// TestGate: one message for every way to be wrong. Nothing is done about it, it is
// counted, and a request gets an answer that says no.
func TestGate(t *testing.T) {
	const far = maxIndex + 1
	entry := func(term Term, kind raftpb.EntryKind) []Entry { return []Entry{{Term: term, Kind: kind}} }
	configuration := func(c Configuration, more ...byte) []Entry {
		return []Entry{{Term: 5, Kind: raftpb.EntryKindConfig, Body: append(c.AppendCompact(nil), more...)}}
	}
	for name, m := range map[string]Message{
		"no kind":            {},
		"unknown kind":       {Kind: 99, From: 2, To: 1, Term: 5},
		"from nobody":        {Kind: MessageAppend, To: 1, Term: 5},
		"from itself":        {Kind: MessageAppend, From: 1, To: 1, Term: 5},
		"to another":         {Kind: MessageAppend, From: 2, To: 3, Term: 5},
		"negative term":      {Kind: MessageAppend, From: 2, To: 1, Term: -5},
		"term to overflow":   {Kind: MessageVote, From: 2, To: 1, Term: maxTerm + 1},
		"asked to overflow":  {Kind: MessageVoteAnswer, From: 2, To: 1, Term: 5, AskedTerm: maxTerm + 1},
		"last too far":       {Kind: MessageVote, From: 2, To: 1, Term: 5, LastIndex: far, LastTerm: 1},
		"previous too far":   {Kind: MessageAppend, From: 2, To: 1, Term: 5, PrevIndex: far, PrevTerm: 1},
		"end too far":        {Kind: MessageAppend, From: 2, To: 1, Term: 5, PrevIndex: maxIndex, PrevTerm: 1, Entries: entry(5, 1)},
		"commit negative":    {Kind: MessageBeat, From: 2, To: 1, Term: 5, Commit: -1},
		"matched negative":   {Kind: MessageAppendAnswer, From: 2, To: 1, Term: 5, Matched: -1},
		"hint negative":      {Kind: MessageAppendAnswer, From: 2, To: 1, Term: 5, ConflictIndex: -1},
		"hint term negative": {Kind: MessageAppendAnswer, From: 2, To: 1, Term: 5, ConflictTerm: -1},
		"log last negative":  {Kind: MessageAppendAnswer, From: 2, To: 1, Term: 5, LogLast: -1},
		"index negative":     {Kind: MessageReadIndexAnswer, From: 2, To: 1, Term: 5, ReadIndex: -1},
		"round negative":     {Kind: MessageBeat, From: 2, To: 1, Term: 5, Round: -1},
		"beat with entries":  {Kind: MessageBeat, From: 2, To: 1, Term: 5, Entries: entry(5, 1)},
		"beat of term 0":     {Kind: MessageBeat, From: 2, To: 1},
		"vote of term 0":     {Kind: MessageVote, From: 2, To: 1},
		"vote behind log":    {Kind: MessageVote, From: 2, To: 1, Term: 5, LastIndex: 9, LastTerm: 6},
		"last without term":  {Kind: MessageVote, From: 2, To: 1, Term: 5, LastIndex: 9},
		"append of term 0":   {Kind: MessageAppend, From: 2, To: 1},
		"previous of future": {Kind: MessageAppend, From: 2, To: 1, Term: 5, PrevIndex: 9, PrevTerm: 6},
		"previous no term":   {Kind: MessageAppend, From: 2, To: 1, Term: 5, PrevIndex: 9},
		"term no previous":   {Kind: MessageAppend, From: 2, To: 1, Term: 5, PrevTerm: 1},
		"entry of term 0":    {Kind: MessageAppend, From: 2, To: 1, Term: 5, Entries: entry(0, 1)},
		"entry of future":    {Kind: MessageAppend, From: 2, To: 1, Term: 5, Entries: entry(6, 1)},
		"entry of no kind":   {Kind: MessageAppend, From: 2, To: 1, Term: 5, Entries: entry(5, 0)},
		"members none":       {Kind: MessageAppend, From: 2, To: 1, Term: 5, Entries: configuration(Configuration{})},
		"bytes behind":       {Kind: MessageAppend, From: 2, To: 1, Term: 5, Entries: configuration(threeVoters(), 0)},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := New(goodConfig(), newMemoryLog(), HardState{Term: 1}, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			var out Effects
			m.Call = 77
			if err := n.Step(Event{Kind: EventMessage, Message: &m}, &out); err != nil {
				t.Fatal(err)
			}
			if n.term != 1 || n.log.last != 0 || out.WriteID != 0 || n.leader != 0 {
				t.Fatalf("something was done: %+v", n.Status())
			}
			if len(out.Facts) != 1 || out.Facts[0].Kind != FactInvalidMessage {
				t.Fatalf("not counted: %+v", out.Facts)
			}
			request := m.Kind == MessageVote || m.Kind == MessageAppend || m.Kind == MessageBeat || m.Kind == MessageReadIndex
			if want := map[bool]int{true: 1}[request]; len(out.SendNow) != want {
				t.Fatalf("%d answers", len(out.SendNow))
			}
			for _, a := range out.SendNow {
				if a.Call != 77 || a.Granted || a.Status == raftpb.AppendStatusOk || a.Round != 0 || a.ReadIndex != 0 {
					t.Fatalf("answered %+v", a)
				}
			}
		})
	}
}

// TestTermsEnd: a peer that made up the last term there is cannot make this node
// overflow it. It stays a follower.
func TestTermsEnd(t *testing.T) {
	cfg := goodConfig()
	cfg.DisablePreVote = true
	n, err := New(cfg, newMemoryLog(), HardState{Term: maxTerm}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out Effects
	if err := n.Step(Event{Kind: EventCampaign}, &out); err != nil || n.Role() != raftpb.RoleFollower || len(out.SendAfter) > 0 {
		t.Fatalf("%v, %v: %+v", err, n.Role(), out)
	}
}

// TestMemberOfBothHalves: who votes in one half of a joint configuration and learns
// in the other is one member, and votes in the one.
func TestMemberOfBothHalves(t *testing.T) {
	cfg := goodConfig()
	cfg.Configuration = Configuration{
		Incoming: []Member{{ID: 2, Suffrage: raftpb.SuffrageVoter}, {ID: 1, Suffrage: raftpb.SuffrageLearner}},
		Outgoing: []Member{{ID: 1, Suffrage: raftpb.SuffrageVoter}, {ID: 3, Suffrage: raftpb.SuffrageWitness}},
	}
	n, err := New(cfg, newMemoryLog(), HardState{}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.members) != 3 || n.voters.incoming != 0b010 || n.voters.outgoing != 0b101 || !n.electable() {
		t.Fatalf("members %+v, voters %+v", n.members, n.voters)
	}
}

// TestClientsProposeCommands: no-ops and configurations are the engine's own.
func TestClientsProposeCommands(t *testing.T) {
	b := newBench(t, 1, plain)
	b.lead()
	for _, kind := range []raftpb.EntryKind{raftpb.EntryKindUnspecified, raftpb.EntryKindNoop, raftpb.EntryKindConfig} {
		b.out.Reset()
		b.step(Event{Kind: EventPropose, Proposals: []Entry{{Kind: raftpb.EntryKindCommand}, {Kind: kind}}})
		if !b.out.Accepted.Empty() || len(b.out.Facts) != 1 {
			t.Errorf("%v accepted", kind)
		}
	}
	b.out.Reset()
	b.step(Event{Kind: EventPropose, Proposals: []Entry{{Kind: raftpb.EntryKindSession}}})
	if b.out.Accepted.Empty() {
		t.Error("a session entry is refused")
	}
}
