package raft

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestStepsThatSayNothing: what is wrong with a step itself, whoever is a member.
func TestStepsThatSayNothing(t *testing.T) {
	step := func(kind raftpb.ChangeKind, m Member) raftpb.Change { return raftpb.Change{Kind: kind, Member: m} }
	var crowd []raftpb.Change
	for id := range NodeID(MaxMembers - 4) {
		crowd = append(crowd, step(raftpb.ChangeKindAddLearner, Member{ID: id + 5}))
	}
	for name, c := range map[string]struct {
		steps []raftpb.Change
		want  Refusal
	}{
		"nobody":           {[]raftpb.Change{step(raftpb.ChangeKindRemove, Member{})}, RefusalBadStep},
		"negative":         {[]raftpb.Change{step(raftpb.ChangeKindAddVoter, Member{ID: -1})}, RefusalBadStep},
		"no kind":          {[]raftpb.Change{step(raftpb.ChangeKindUnspecified, Member{ID: 1})}, RefusalBadStep},
		"unknown kind":     {[]raftpb.Change{step(99, Member{ID: 1})}, RefusalBadStep},
		"no suffrage":      {[]raftpb.Change{step(raftpb.ChangeKindReplaceAll, Member{ID: 1})}, RefusalBadStep},
		"unknown suffrage": {[]raftpb.Change{step(raftpb.ChangeKindReplaceAll, Member{ID: 1, Suffrage: 9})}, RefusalBadStep},
		"a crowd":          {crowd, RefusalTooManyMembers},
		"older store":      {[]raftpb.Change{step(raftpb.ChangeKindAddLearner, Member{ID: 4, Incarnation: 1})}, RefusalIncarnation},
		"nothing":          {nil, RefusalBadStep},
	} {
		t.Run(name, func(t *testing.T) {
			from := voters(1, 2, 3)
			from.Incoming = append(from.Incoming, Member{ID: 4, Suffrage: raftpb.SuffrageLearner, Incarnation: 2})
			if _, got := applySteps(&from, c.steps); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if len(from.Incoming) != 4 || from.Incoming[3].Incarnation != 2 {
				t.Error("the configuration in force was written to")
			}
		})
	}
}

// TestStepsKeepWhatTheyDoNotSay: an operator who changes one thing of a member loses
// no other.
func TestStepsKeepWhatTheyDoNotSay(t *testing.T) {
	from := voters(1, 2)
	from.Incoming[1].Address, from.Incoming[1].Priority.Set, from.Incoming[1].Priority.Value = "here", true, 7
	to, why := applySteps(&from, []raftpb.Change{
		{Kind: raftpb.ChangeKindAddVoter, Member: Member{ID: 2}},
		{Kind: raftpb.ChangeKindUpdateAddress, Member: Member{ID: 2}},
	})
	if why != RefusalNone || !sameConfiguration(&from, &to) {
		t.Errorf("%v: %+v", why, to)
	}
	update := Member{ID: 2, Address: "there"}
	update.Priority.Set = true
	to, why = applySteps(&from, []raftpb.Change{{Kind: raftpb.ChangeKindUpdateAddress, Member: update}})
	if m := to.Incoming[1]; why != RefusalNone || m.Address != "there" || m.Priority.Value != 0 || !m.Priority.Set {
		t.Errorf("%v: %+v", why, m)
	}
}

// TestEventWithoutChange: the driver owes a change.
func TestEventWithoutChange(t *testing.T) {
	n, err := New(goodConfig(), newMemoryLog(), HardState{}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Step(Event{Kind: EventChange}, &Effects{}); err == nil {
		t.Error("taken")
	}
}

// TestStrippedEntries: a body is left out of a command only, as a whole, and for a
// witness only.
func TestStrippedEntries(t *testing.T) {
	stripped := func(kind raftpb.EntryKind, bytes int32, body string) Entry {
		e := Entry{Term: 1, Kind: kind, Body: []byte(body)}
		e.StrippedBytes.Set, e.StrippedBytes.Value = true, bytes
		return e
	}
	for name, c := range map[string]struct {
		e              Entry
		voter, witness bool
	}{
		"whole command":    {command(1, "x"), true, false},
		"stripped command": {stripped(raftpb.EntryKindCommand, 1, ""), false, true},
		"empty command":    {stripped(raftpb.EntryKindCommand, 0, ""), false, true},
		"negative":         {stripped(raftpb.EntryKindCommand, -1, ""), false, false},
		"both":             {stripped(raftpb.EntryKindCommand, 1, "x"), false, false},
		"another kind":     {stripped(raftpb.EntryKindSession, 1, ""), false, false},
		"no-op":            {Entry{Term: 1, Kind: raftpb.EntryKindNoop}, true, true},
		"session":          {Entry{Term: 1, Kind: raftpb.EntryKindSession, Body: []byte("x")}, true, true},
	} {
		for _, witness := range []bool{false, true} {
			n := &Node{witness: witness}
			want := c.voter
			if witness {
				want = c.witness
			}
			if got := n.checkStripped(&c.e); (got == "") != want {
				t.Errorf("%s, witness %v: %q", name, witness, got)
			}
		}
	}
}

// TestWitnessByConfiguration: who is listed is what the configuration says, whatever
// the driver said; until then the driver's word counts.
func TestWitnessByConfiguration(t *testing.T) {
	listed := voters(1, 2, 3)
	listed.Incoming[0].Suffrage = raftpb.SuffrageWitness
	for name, c := range map[string]struct {
		conf        Configuration
		says, wants bool
	}{
		"listed as a witness": {listed, false, true},
		"listed as a voter":   {voters(1, 2, 3), true, false},
		"not listed":          {Configuration{}, true, true},
		"nobody":              {Configuration{}, false, false},
	} {
		cfg := goodConfig()
		cfg.Configuration, cfg.Witness = c.conf, c.says
		n, err := New(cfg, newMemoryLog(), HardState{}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n.witness != c.wants || n.electable() == (c.wants || len(c.conf.Incoming) == 0) {
			t.Errorf("%s: witness %v, electable %v", name, n.witness, n.electable())
		}
	}
}
