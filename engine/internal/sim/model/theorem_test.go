package model

import (
	"errors"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestSafetyPropertiesAreCheckedThemselves: election safety, leader completeness
// and state-machine safety follow from the other rules. The model does not rely on
// that: it objects when they break, here because its state was tampered with.
func TestSafetyPropertiesAreCheckedThemselves(t *testing.T) {
	elected := func() (*Model, *node) { // node 1 is a candidate of term 2 and has the votes
		m := New(Config{Voters: []raftpb.NodeID{1, 2, 3}})
		for _, s := range []Step{
			{Kind: BecomeCandidate, Node: 1, Term: 1},
			{Kind: Durable, Node: 1, Term: 1, Vote: 1},
			{Kind: Grant, Node: 2, Peer: 1, Term: 1},
			{Kind: Durable, Node: 2, Term: 1, Vote: 1},
		} {
			if err := m.Check(s); err != nil {
				t.Fatal(err)
			}
		}
		return m, m.nodes[0]
	}
	lead := Step{Kind: BecomeLeader, Node: 1, Term: 1, Votes: []raftpb.NodeID{1, 2}}
	entry := Entry{Term: 1, Kind: raftpb.EntryKindNoop}
	other := Entry{Term: 9, Kind: raftpb.EntryKindNoop}

	t.Run("election safety", func(t *testing.T) {
		m, _ := elected()
		m.reigns[1] = &reign{leader: 3}
		wantRule(t, m.Check(lead), "3.4")
	})
	t.Run("leader completeness", func(t *testing.T) {
		m, _ := elected()
		m.committed = m.grow(0, &other, -1)
		m.reigns[0] = &reign{commit: 1}
		wantRule(t, m.Check(lead), "3.6.3")
	})
	t.Run("state-machine safety of a leader", func(t *testing.T) {
		m, n := elected()
		if err := errors.Join(m.Check(lead), m.Check(Step{Kind: Append, Node: 1, Index: 1, Entries: []Entry{entry}})); err != nil {
			t.Fatal(err)
		}
		m.committed = m.grow(0, &other, -1)
		for _, v := range m.nodes {
			m.reigns[1].acked[v.slot], v.disk.log = 1, n.log
		}
		wantRule(t, m.Check(Step{Kind: AdvanceCommit, Node: 1, Index: 1}), "3.6.3")
	})
	t.Run("state-machine safety of a follower", func(t *testing.T) {
		m, _ := elected()
		if err := errors.Join(m.Check(lead), m.Check(Step{Kind: Append, Node: 1, Index: 1, Entries: []Entry{entry}})); err != nil {
			t.Fatal(err)
		}
		m.committed = m.grow(0, &other, -1)
		m.nodes[1].log = m.committed
		wantRule(t, m.Check(Step{Kind: Accept, Node: 2, Peer: 1, Term: 1, Last: 1, Entries: []Entry{entry}}), "3.6.3")
	})
}

func wantRule(t *testing.T, err error, rule string) {
	t.Helper()
	var r *Rejection
	if !errors.As(err, &r) || r.Rule != rule {
		t.Errorf("got %v, want a rejection by section %s", err, rule)
	}
}
