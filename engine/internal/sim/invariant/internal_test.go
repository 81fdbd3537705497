package invariant

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestMarksAgainstAList compares what is known of commits with the list of them.
func TestMarksAgainstAList(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		g := New(Options{}).Group(1, Config{})
		var all []mark
		for range 30 {
			m := mark{raftpb.Term(r.IntN(8)), raftpb.Index(r.IntN(20))}
			all = append(all, m)
			g.commitBy(m.term, m.index)
			term := raftpb.Term(r.IntN(10))
			want := raftpb.Index(0)
			for _, m := range all {
				if m.term < term {
					want = max(want, m.index)
				}
			}
			if got := g.committedBefore(term); got != want {
				t.Fatalf("before term %d %d was committed, not %d: %v", term, want, got, all)
			}
		}
	}
}

// TestHashesTellEntriesApart: every field of an entry, and all before it, counts.
func TestHashesTellEntriesApart(t *testing.T) {
	seen := map[link]string{}
	for name, entries := range map[string][]Entry{
		"none": {}, "zero": {{}}, "two zeros": {{}, {}}, "term": {{Term: 1}}, "kind": {{Kind: 1}}, "sum": {{Sum: 1}},
		"term, then zero": {{Term: 1}, {}}, "zero, then term": {{}, {Term: 1}}, "sum, then zero": {{Sum: 1}, {}}, "zero, then sum": {{}, {Sum: 1}},
	} {
		var l link
		for i := range entries {
			l = l.next(&entries[i])
		}
		if other, ok := seen[l]; ok {
			t.Errorf("%q and %q have the same hash", name, other)
		}
		seen[l] = name
	}
}

// TestStepsAreCounted: everything that the observer is told is a step, so that the
// number in a violation finds it again.
func TestStepsAreCounted(t *testing.T) {
	o := New(Options{})
	g := o.Group(1, Config{Voters: []raftpb.NodeID{1, 2}})
	n, m := g.Node(1), g.Node(2)
	for name, tell := range map[string]func(){
		"Observe":         func() { n.Observe(&View{First: 1}) },
		"Wrote":           func() { n.Wrote(&Write{ID: 1}) },
		"Persisted":       func() { n.Persisted(0) },
		"Crashed":         n.Crashed,
		"Restarted":       func() { n.Restarted(&Image{}) },
		"ReadBack":        func() { n.ReadBack(1, &Entry{}) },
		"Sent":            func() { n.Sent(&Claim{Kind: Beat}) },
		"Delivered":       func() { n.Delivered(m, &Claim{Kind: Beat}) },
		"RoundSent":       func() { n.RoundSent(1, 1) },
		"Progressed":      func() { n.Progressed(m, Progress{Next: 1}) },
		"ClientAcked":     func() { g.ClientAcked(1) },
		"ReadAsked":       func() { g.ReadAsked(1) },
		"ReadConfirmed":   func() { n.ReadConfirmed(1, 1) },
		"ReadServed":      func() { n.ReadServed(1, 1, false) },
		"Lease":           func() { n.Lease(1, 0) },
		"Applied":         func() { n.Applied(1, nil) },
		"Restored":        func() { n.Restored(1) },
		"State":           func() { n.State(1, 1) },
		"Effect":          func() { n.Effect(1, 1, 1, 1, true) },
		"SessionExpired":  func() { n.SessionExpired(1, 1) },
		"Proposed":        func() { g.Proposed(1) },
		"Received":        func() { n.Received(1, 1, 1) },
		"SnapshotDurable": func() { n.SnapshotDurable(1) },
		"Compacted":       func() { n.Compacted(1) },
		"NameSynced":      func() { n.NameSynced("a") },
		"NameChanged":     func() { n.NameChanged("a") },
		"NameReferenced":  func() { n.NameReferenced("a") },
		"Uses":            func() { n.Uses(Resources{}) },
		"Idle":            func() { o.Idle(1, 0, time.Second, time.Second, 2) },
		"CaughtUp":        func() { n.CaughtUp(0, 0, 0, 0, 1) },
	} {
		before := o.step
		if tell(); o.step != before+1 {
			t.Errorf("%s counts as %d steps", name, o.step-before)
		}
	}
}
