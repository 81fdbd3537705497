package model

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestTreeAgainstWholeLogs compares the tree with logs written out in full.
func TestTreeAgainstWholeLogs(t *testing.T) {
	var m tree
	m.plant()
	rnd := rand.New(rand.NewPCG(1, 2))
	logs := map[id][]id{0: {0}} // every entry on the way from the root
	tips := []id{0}
	for term := range raftpb.Term(3000) {
		from := tips[len(tips)-1-rnd.IntN(min(len(tips), 9))]
		e := m.grow(from, &Entry{Term: term + 1}, -1)
		logs[e] = append(slices.Clone(logs[from]), e)
		tips = append(tips, e)

		a, b := logs[tips[rnd.IntN(len(tips))]], logs[tips[rnd.IntN(len(tips))]]
		tipA, tipB := a[len(a)-1], b[len(b)-1]
		i := rnd.IntN(len(a) + 2)
		want := none
		if i < len(a) {
			want = a[i]
		}
		if got := m.at(tipA, raftpb.Index(i)); got != want {
			t.Fatalf("position %d of the log %v is %d, want %d", i, a, got, want)
		}
		shared := 0
		for shared+1 < min(len(a), len(b)) && a[shared+1] == b[shared+1] {
			shared++
		}
		if got := m.fork(tipA, tipB); got != a[shared] {
			t.Fatalf("the logs %v and %v part at %d, want %d", a, b, got, a[shared])
		}
		if got, want := m.contains(tipA, tipB), slices.Contains(a, tipB); got != want {
			t.Fatalf("%v contains %d: %v, want %v", a, tipB, got, want)
		}
	}
	if m.at(0, -1) != none || m.contains(0, none) || m.find(1, 77_777) != none {
		t.Error("there is nothing before the root and nothing that was not grown")
	}
}

// TestAncestorsAreNear: no position of a long log is far from its end.
func TestAncestorsAreNear(t *testing.T) {
	const entries, far = 1 << 16, 4 * 16
	var m tree
	m.plant()
	log := id(0)
	for range entries {
		log = m.grow(log, &Entry{Term: 1}, -1)
	}
	for i := raftpb.Index(0); i < entries; i += 97 {
		steps := 0
		for e := log; m.last(e) > i; steps++ {
			if jump := m.entries[e].jump; m.last(jump) >= i {
				e = jump
			} else {
				e = m.entries[e].parent
			}
		}
		if steps > far {
			t.Fatalf("position %d is %d steps from the end of a log of %d", i, steps, entries)
		}
	}
}

// TestQuorumAgainstCounting compares quorums of all small configurations with
// counting by hand.
func TestQuorumAgainstCounting(t *testing.T) {
	half := func(of, s uint64) bool {
		in, all := 0, 0
		for i := range 4 {
			if of>>i&1 == 1 {
				all++
				in += int(s >> i & 1)
			}
		}
		return 2*in > all
	}
	for voters := range uint64(16) {
		for outgoing := range uint64(16) {
			for s := range uint64(16) {
				want := half(voters, s) && (outgoing == 0 || half(outgoing, s))
				if got := (members{voters: voters, outgoing: outgoing}).quorum(s); got != want {
					t.Errorf("%b is a quorum of %b and %b: %v", s, voters, outgoing, got)
				}
			}
		}
	}
}
