package bare

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestTracedWorldIsTheSame: who looks on changes nothing.
func TestTracedWorldIsTheSame(t *testing.T) {
	for seed := range uint64(3) {
		silent, traced := New(Options{Seed: seed}), New(Options{Seed: seed, Trace: io.Discard})
		silent.Run()
		traced.Run()
		if silent.Hash() != traced.Hash() {
			t.Errorf("seed %d: a trace changes the world", seed)
		}
	}
}

// grown returns a node in the middle of its life.
func grown(t *testing.T) *server {
	s := newStory(t, scenario{nodes: 3}, 1)
	for range 5 {
		s.agree(3)
	}
	return s.leader()
}

// TestCrookedDriversAreNoticed: an event that a driver cannot mean kills the node; it
// says why, then and for ever.
func TestCrookedDriversAreNoticed(t *testing.T) {
	for name, in := range map[string]raft.Event{
		"no kind":                        {},
		"no message":                     {Kind: raft.EventMessage},
		"a write nobody asked for":       {Kind: raft.EventPersisted, WriteID: 1 << 40},
		"an epoch nobody began":          {Kind: raft.EventPersisted, WriteID: 1, Epoch: 1 << 40},
		"applied what was not committed": {Kind: raft.EventApplied, Applied: 1 << 40},
		"no change":                      {Kind: raft.EventChange},
		"no snapshot":                    {Kind: raft.EventSnapshotTaken},
		"a snapshot of another term":     {Kind: raft.EventSnapshotTaken, Snapshot: &raft.Snapshot{Index: 1, Term: 999}},
	} {
		n, out := grown(t).node, raft.Effects{}
		err := n.Step(in, &out)
		var broken *raft.BrokenError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), broken.What) {
			t.Errorf("%s: %v", name, err)
		}
		if again := n.Step(raft.Event{Kind: raft.EventTimer}, &out); !errors.Is(again, err) {
			t.Errorf("%s: dead of %v, and then %v", name, err, again)
		}
	}
}

// TestBadConfigurationsAreRefused: each by the name of the field.
func TestBadConfigurationsAreRefused(t *testing.T) {
	member := func(id raft.NodeID, s raftpb.Suffrage) raft.Member { return raft.Member{ID: id, Suffrage: s} }
	voter, learner := member(1, raftpb.SuffrageVoter), member(1, raftpb.SuffrageLearner)
	var crowd []raft.Member
	for id := range raft.NodeID(raft.MaxMembers + 1) {
		crowd = append(crowd, member(id+1, raftpb.SuffrageVoter))
	}
	conf := func(in, out []raft.Member) func(*raft.Config) {
		return func(c *raft.Config) { c.Configuration = raft.Configuration{Incoming: in, Outgoing: out} }
	}
	for name, spoil := range map[string]func(*raft.Config){
		"ID":                  func(c *raft.Config) { c.ID = 0 },
		"ElectionTimeout":     func(c *raft.Config) { c.ElectionTimeout = 0 },
		"Heartbeat":           func(c *raft.Config) { c.Heartbeat = c.ElectionTimeout },
		"MaxAppendBytes":      func(c *raft.Config) { c.MaxAppendBytes = -1 },
		"DoubtFrom":           func(c *raft.Config) { c.VoteDoubt = true },
		"ClockBound":          func(c *raft.Config) { c.ClockBound = c.ElectionTimeout },
		"DisableCheckQuorum":  func(c *raft.Config) { c.ClockBound, c.DisableCheckQuorum = 1, true },
		"QuiesceAfter":        func(c *raft.Config) { c.QuiesceAfter = -1 },
		"ConfigurationIndex":  func(c *raft.Config) { c.ConfigurationIndex = -1 },
		"too many":            conf(crowd, nil),
		"no id":               conf([]raft.Member{{}}, nil),
		"unknown suffrage":    conf([]raft.Member{{ID: 1, Suffrage: 9}}, nil),
		"twice":               conf([]raft.Member{voter, voter}, nil),
		"twice, outgoing":     conf([]raft.Member{voter}, []raft.Member{voter, voter}),
		"half a joint one":    conf(nil, []raft.Member{voter}),
		"nobody can lead":     conf([]raft.Member{learner}, nil),
		"changes out of turn": func(c *raft.Config) { c.Changes = []raft.Change{{Index: 2}, {Index: 1}} },
		"a bad change": func(c *raft.Config) {
			c.Changes = []raft.Change{{Index: 1, Configuration: raft.Configuration{Incoming: []raft.Member{learner}}}}
		},
	} {
		c := raft.Config{ID: 1, ElectionTimeout: 1000, Heartbeat: 100}
		c.Configuration.Incoming = []raft.Member{voter}
		spoil(&c)
		if _, err := raft.New(c, &disk{}, raft.HardState{}, 0, 0); err == nil {
			t.Errorf("%s: a bad configuration is taken", name)
		}
	}
}

// TestBadStoresAreRefused: a store that contradicts itself starts no node.
func TestBadStoresAreRefused(t *testing.T) {
	one := &disk{entries: []raft.Entry{{Term: 2, Kind: raftpb.EntryKindNoop}}}
	based := &disk{base: 5, under: 1}
	config := &disk{entries: []raft.Entry{{Term: 1, Kind: raftpb.EntryKindConfig, Body: []byte{1}}}}
	for name, c := range map[string]struct {
		disk    *disk
		hard    raft.HardState
		applied raft.Index
	}{
		"negative":              {disk: &disk{}, hard: raft.HardState{Term: -1}},
		"commit beyond the log": {disk: one, hard: raft.HardState{Term: 2, Commit: 2}},
		"term below the log's":  {disk: one, hard: raft.HardState{Term: 1}},
		"applied below the log": {disk: based, hard: raft.HardState{Term: 1}, applied: 3},
		"not a configuration":   {disk: config, hard: raft.HardState{Term: 1}},
	} {
		k := raft.Config{ID: 1, ElectionTimeout: 1000, Heartbeat: 100}
		if _, err := raft.New(k, c.disk, c.hard, c.applied, 0); err == nil {
			t.Errorf("%s: a bad store is taken", name)
		}
	}
}

// TestEventsAllocateLittle: a whole world, its judges included, allocates less than
// once per event. What the core alone allocates is in its own benchmarks: nothing.
func TestEventsAllocateLittle(t *testing.T) {
	var events uint64
	seed := uint64(0)
	allocs := testing.AllocsPerRun(10, func() {
		w := New(Options{Seed: seed})
		w.Run()
		seed++
		events += w.Counts.Events
	})
	if per := 11 * allocs / float64(events); per > 1 { // one run more, to warm up
		t.Errorf("%.2f allocations per event", per)
	} else {
		t.Logf("%.3f allocations per event", per)
	}
}
