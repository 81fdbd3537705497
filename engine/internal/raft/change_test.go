package raft

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func voters(ids ...NodeID) Configuration {
	var c Configuration
	for _, id := range ids {
		c.Incoming = append(c.Incoming, Member{ID: id, Suffrage: raftpb.SuffrageVoter})
	}
	return c
}

// TestConfigurationIndexIsTheEntrys: what a change compares with is the entry of the
// configuration, also when that is only in a snapshot, at a later position (B34,
// matrixone #24966): and a log that begins below its snapshot brings nothing back.
func TestConfigurationIndexIsTheEntrys(t *testing.T) {
	old, now := voters(1, 2, 3), voters(1)
	l := &memoryLog{first: 4, floor: 1}
	for i := range 5 { // 4 to 8, the snapshot is at 8
		e := command(1, "x")
		if i == 1 {
			e = Entry{Term: 1, Kind: raftpb.EntryKindConfig, Body: old.AppendCompact(nil)}
		}
		if i == 2 {
			e = Entry{Term: 1, Kind: raftpb.EntryKindConfig, Body: now.AppendCompact(nil)}
		}
		l.entries = append(l.entries, e)
	}
	cfg := goodConfig()
	cfg.Configuration, cfg.ConfigurationIndex = now, 6
	for name, changes := range map[string][]Change{"read": nil, "given": {{5, old}, {6, now}}} {
		cfg.Changes = changes
		n, err := New(cfg, l, HardState{Term: 1}, 8, 0)
		if err != nil {
			t.Fatal(err)
		}
		if s := n.Status(); s.ConfigurationIndex != 6 || len(s.Configuration.Incoming) != 1 {
			t.Errorf("%s: %d: %v", name, s.ConfigurationIndex, s.Configuration)
		}
		z := &oneNode{t: t, node: n}
		z.step(Event{Kind: EventCampaign})
		for range 3 {
			z.persist()
		}
		steps := []raftpb.Change{{Kind: raftpb.ChangeKindAddLearner, Member: Member{ID: 2}}}
		z.step(Event{Kind: EventChange, RequestID: 1, Change: &ChangeRequest{Compare: true, Expected: 8, Steps: steps}})
		if a := z.out.Changes; len(a) != 1 || a[0].Refused != RefusalOtherConfiguration || a[0].Index != 6 {
			t.Errorf("%s: for the snapshot's index: %+v", name, a)
		}
		z.step(Event{Kind: EventChange, RequestID: 2, Change: &ChangeRequest{Compare: true, Expected: 6, Steps: steps}})
		if len(z.out.Changes) != 0 || n.Status().ConfigurationIndex != 10 {
			t.Errorf("%s: for the entry's index: %+v", name, z.out.Changes)
		}
	}
}

// oneNode is a node whose writes are completed when asked.
type oneNode struct {
	t    *testing.T
	node *Node
	out  Effects
	id   uint64
}

func (z *oneNode) step(in Event) {
	z.t.Helper()
	z.out.Reset()
	if err := z.node.Step(in, &z.out); err != nil {
		z.t.Fatal(err)
	}
	z.id = max(z.id, z.out.WriteID)
}

func (z *oneNode) persist() {
	z.t.Helper()
	z.step(Event{Kind: EventPersisted, WriteID: z.id})
}

// TestOtherIncarnationIsUnknown: a learner whose store was exchanged has nothing of
// what its predecessor acknowledged; believing otherwise would count a log that
// does not exist when it is promoted.
func TestOtherIncarnationIsUnknown(t *testing.T) {
	cfg := goodConfig()
	cfg.Configuration = voters(1)
	n, err := New(cfg, newMemoryLog(), HardState{}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	z := &oneNode{t: t, node: n}
	z.step(Event{Kind: EventTimer})
	for range 3 {
		z.persist()
	}
	join := func(incarnation int64) {
		m := Member{ID: 2, Incarnation: incarnation}
		z.step(Event{Kind: EventChange, Change: &ChangeRequest{Steps: []raftpb.Change{{Kind: raftpb.ChangeKindAddLearner, Member: m}}}})
		z.persist()
	}
	join(1)
	z.step(Event{Kind: EventMessage, Message: &Message{
		Kind: MessageAppendAnswer, From: 2, To: 1, Term: 1, Status: raftpb.AppendStatusOk, PrevIndex: 2, Matched: 2,
	}})
	if got := n.Status().Members[1].Match; got != 2 {
		t.Fatalf("match %d", got)
	}
	join(2)
	if got := n.Status().Members[1]; got.Match != 0 || got.State != raftpb.ProgressStateProbe {
		t.Errorf("another store is taken for the old one: %+v", got)
	}
}

// TestRefusalNames: no reason without a name, and no name twice.
func TestRefusalNames(t *testing.T) {
	seen := map[string]bool{}
	for r := RefusalNone; r < refusals; r++ {
		if name := r.String(); name == "" || seen[name] {
			t.Errorf("%d: %q", r, name)
		} else {
			seen[name] = true
		}
	}
	if Refusal(99).String() != "refusal-99" {
		t.Error("an unknown reason loses its number")
	}
}

// TestToleratedFailures: what an operator is told of a plan.
func TestToleratedFailures(t *testing.T) {
	five, one := voters(1, 2, 3, 4, 5), voters(1)
	joint := Configuration{Incoming: five.Incoming, Outgoing: one.Incoming}
	for _, c := range []struct {
		conf Configuration
		want int
	}{{five, 2}, {one, 0}, {voters(1, 2), 0}, {voters(1, 2, 3, 4), 1}, {joint, 0}, {Configuration{}, 0}} {
		if got := ToleratedFailures(&c.conf); got != c.want {
			t.Errorf("%v: %d", configurationText(&c.conf), got)
		}
	}
}
