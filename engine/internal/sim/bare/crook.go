package bare

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// What a driver must never do, and a store never say. The core takes none of it for
// true: it refuses to start, or dies and says why. Some worlds try that on their nodes
// when they are over, on copies.

// crookEvery: one world in so many is followed by crooks.
const crookEvery = 16

// crooks tries all of it on a copy of each node.
func (w *World) crooks() {
	if w.err != nil || w.odd.Intn(crookEvery) > 0 {
		return
	}
	for _, s := range w.servers {
		if s.node == nil {
			continue
		}
		for _, try := range nodeCrooks() {
			if err := try(s); err != nil {
				w.failf("crook: node %d: %w", s.id, err)
			}
		}
	}
	for _, try := range []func() error{badConfigurations, badStores, names} {
		if err := try(); err != nil {
			w.failf("crook: %w", err)
		}
	}
}

// nodeCrooks are those that need a node.
func nodeCrooks() []func(*server) error {
	return []func(*server) error{crookedEvents, crookedReads, lastTerm, largeBatch, imageOverCut}
}

// crookedEvents: an event that a driver cannot mean kills the node; it says why, then
// and for ever.
func crookedEvents(s *server) error {
	for name, in := range map[string]raft.Event{
		"no kind":                        {},
		"no message":                     {Kind: raft.EventMessage},
		"a write nobody asked for":       {Kind: raft.EventPersisted, WriteID: 1 << 40},
		"an epoch nobody began":          {Kind: raft.EventPersisted, WriteID: 1, Epoch: 1 << 40},
		"applied what was not committed": {Kind: raft.EventApplied, Applied: 1 << 40},
		"no change":                      {Kind: raft.EventChange},
		"no snapshot":                    {Kind: raft.EventSnapshotTaken},
		"a snapshot of another term":     {Kind: raft.EventSnapshotTaken, Snapshot: &raft.Snapshot{Index: s.was.Commit, Term: 1 << 50}},
	} {
		n, out := s.node.Clone(&s.disk), raft.Effects{}
		err := n.Step(in, &out)
		var broken *raft.BrokenError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), broken.What) {
			return fmt.Errorf("%s: %w", name, err)
		}
		if again := n.Step(raft.Event{Kind: raft.EventTimer}, &out); !errors.Is(again, err) {
			return fmt.Errorf("%s: dead of %w, and then %w", name, err, again)
		}
	}
	return nil
}

// crookedReads: entries that are not in the log are not to be had, and of nothing
// comes nothing.
func crookedReads(s *server) error {
	n := s.node.Clone(&s.disk)
	for _, span := range []raft.Span{{Lo: s.was.First - 1, Hi: s.was.First}, {Lo: s.was.Last + 1, Hi: s.was.Last + 3}} {
		var broken *raft.BrokenError
		if got, err := n.Entries(nil, span.Lo, span.Hi, 100); !errors.As(err, &broken) || len(got) > 0 {
			return fmt.Errorf("entries %v are %v, %w", span, got, err)
		}
	}
	if got, err := n.Entries(nil, s.was.First, s.was.First, 100); err != nil || len(got) > 0 {
		return fmt.Errorf("no entries are %v, %w", got, err)
	}
	return nil
}

// lastTerm: at the end of all terms nobody campaigns, and no term overflows.
func lastTerm(s *server) error {
	const last = 1 << 62
	n, out := s.node.Clone(&s.disk), raft.Effects{}
	if n.Role() == raftpb.RoleLeader {
		return nil
	}
	m := raft.Message{Kind: raft.MessageTimeoutNow, From: s.id%3 + 1, To: s.id, Term: last, Call: 1}
	if err := n.Step(raft.Event{Kind: raft.EventMessage, Message: &m, Now: 1 << 52}, &out); err != nil {
		return err
	}
	if _, term := n.Leader(); term > last || n.Role() == raftpb.RoleCandidate {
		return fmt.Errorf("it is a %v in term %d", n.Role(), term)
	}
	return nil
}

// largeBatch: effects that were large once do not keep the memory of it.
func largeBatch(s *server) error {
	n, out := s.node.Clone(&s.disk), raft.Effects{}
	if s.was.Role != raftpb.RoleLeader {
		return nil
	}
	many := make([]raft.Entry, 20_000)
	for i := range many {
		many[i].Kind = raftpb.EntryKindCommand
	}
	if err := n.Step(raft.Event{Kind: raft.EventPropose, Proposals: many}, &out); err != nil {
		return err
	}
	out.Reset()
	if out.Accepted.Hi != 0 || cap(out.Append) >= len(many) {
		return fmt.Errorf("room for %d entries is kept", cap(out.Append))
	}
	return nil
}

// imageOverCut: a node without a state hears, before it carries out anything, of a
// leader that replaces the end of its log and of the image that covers a part of the
// new end. Image, cut and entries make one write, whose parts do not overlap.
func imageOverCut(s *server) error {
	n := s.node.Clone(&s.disk)
	st := n.Status()
	if s.witness || st.Commit < st.First {
		return nil
	}
	end, under := st.Last, s.was.LastTerm
	from := s.id%3 + 1
	entries := func(term raft.Term, k int) raft.Message {
		m := raft.Message{Kind: raft.MessageAppend, From: from, To: s.id, Term: term, PrevIndex: end, PrevTerm: under}
		for range k {
			m.Entries = append(m.Entries, raft.Entry{Term: term, Kind: raftpb.EntryKindCommand})
		}
		return m
	}
	old, cut := entries(st.Term+1, 1), entries(st.Term+2, 2)
	image := raft.Message{
		Kind: raft.MessageSnapshot, From: from, To: s.id, Term: st.Term + 2, Done: true,
		Snapshot: &raft.Snapshot{Index: end + 1, Term: st.Term + 2, Configuration: st.Configuration, ConfigurationIndex: st.ConfigurationIndex},
	}
	var before, out raft.Effects
	for _, step := range []struct {
		in  raft.Event
		out *raft.Effects
	}{
		{raft.Event{Kind: raft.EventMessage, Message: &old}, &before},
		{raft.Event{Kind: raft.EventStateLost, Applied: st.Commit - 1}, &before},
		{raft.Event{Kind: raft.EventMessage, Message: &cut}, &out},
		{raft.Event{Kind: raft.EventMessage, Message: &image}, &out},
	} {
		if err := n.Step(step.in, step.out); err != nil {
			return err
		}
	}
	if out.Install != image.Snapshot || out.TruncateFrom != end+2 || out.AppendFrom != end+2 || len(out.Append) != 1 {
		return fmt.Errorf("an image up to %d, over a log cut behind %d: the write installs %v, cuts from %d, has %d entries from %d",
			end+1, end, out.Install, out.TruncateFrom, len(out.Append), out.AppendFrom)
	}
	return nil
}

// badConfigurations: each is refused.
func badConfigurations() error {
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
		"MaxElectionTimeout":  func(c *raft.Config) { c.MaxElectionTimeout = c.ElectionTimeout - 1 },
		"MinInflightAppends":  func(c *raft.Config) { c.MinInflightAppends = raft.DefaultMaxInflightAppends + 1 },
		"MaxAppendBytes":      func(c *raft.Config) { c.MaxAppendBytes = -1 },
		"DoubtFrom":           func(c *raft.Config) { c.VoteDoubt = true },
		"ClockBound":          func(c *raft.Config) { c.ClockBound = c.ElectionTimeout },
		"DisableCheckQuorum":  func(c *raft.Config) { c.ClockBound, c.DisableCheckQuorum = 1, true },
		"QuiesceAfter":        func(c *raft.Config) { c.QuiesceAfter = -1 },
		"StateLost":           func(c *raft.Config) { c.StateLost = -1 },
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
			return fmt.Errorf("%s: a bad configuration is taken", name)
		}
	}
	return nil
}

// badStores: a store that contradicts itself starts no node.
func badStores() error {
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
			return fmt.Errorf("%s: a bad store is taken", name)
		}
	}
	return nil
}

// names: everything has a name of its own, also what there is not.
func names() error {
	damage := raft.DamagedError{Damaged: raft.Span{Lo: 3, Hi: 5}, Err: errScratched}
	if !errors.Is(&damage, errScratched) || !strings.Contains(damage.Error(), "[3, 5)") {
		return fmt.Errorf("damage says %w", &damage)
	}
	seen := map[string]bool{}
	for k := range 255 {
		for _, name := range []string{raft.FactKind(k).String(), raft.MessageKind(k).String(), "why-" + raft.Refusal(k).String(), "mark-" + raft.Mark(k).String()} {
			if name == "" || seen[name] && name != "mark-unknown" {
				return fmt.Errorf("two things are called %q", name)
			}
			seen[name] = true
		}
	}
	return nil
}
