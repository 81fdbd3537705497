package runtime

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/wal"
)

// What came once is a hiccup; what came twice is how things are, until 32 looks have not
// seen it.
func TestAGaugeForgetsAHiccup(t *testing.T) {
	var q gauge
	looks := func(n int, d raft.Time) {
		for range n {
			for range 200 {
				q.add(1e6)
			}
			for range 5 { // more than one in a hundred
				q.add(d)
			}
			q.look()
		}
	}
	looks(10, 1e6)
	usual := q.value
	if looks(1, 1e9); q.value != usual || usual < 1e6 || usual > 2e6 {
		t.Fatalf("after one hiccup: %v, before: %v", q.value, usual)
	}
	if looks(1, 2e9); q.value < 1e9 || q.value > 2e9 {
		t.Fatalf("after two: %v, want the smaller of them, or up to twice that", q.value)
	}
	if looks(30, 1e6); q.value < 1e9 {
		t.Fatalf("it forgot within 32 looks: %v", q.value)
	}
	if looks(2, 1e6); q.value != usual {
		t.Fatalf("it still remembers: %v", q.value)
	}
}

// tempoGroup are three members, of which the first leads.
func tempoGroup(t *testing.T, slowest raft.Time) (*hands, func(id int) raft.Time) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	h.restartAll(func() { h.slowest = slowest })
	t.Cleanup(h.close)
	h.campaign(1)
	h.propose(1, "a")
	return h, func(id int) raft.Time { return h.members[id-1].group.Node().Election() }
}

// A leader whose quorum answers slowly waits longer before it holds it for lost, up to
// its bound, and comes back when the network is fast again.
func TestTimeoutsFollowTheTempoWithinBounds(t *testing.T) {
	h, waits := tempoGroup(t, 2e9)
	h.pass(20)
	if waits(1) != 1e9 {
		t.Fatalf("on a fast network it waits %v", waits(1))
	}
	h.lag = 3e8
	h.pass(40)
	if leader := h.members[0].group.Leader(); leader != 1 || waits(1) != 2e9 {
		t.Fatalf("answers take 0.3 s: node %d leads, node 1 waits %v, want its bound of 2 s", leader, waits(1))
	}
	h.lag = 0
	h.pass(360)
	if waits(1) != 1e9 {
		t.Fatalf("the network is fast again, and it waits %v", waits(1))
	}
}

// A follower that hears its leader late, again and again, waits longer for it.
func TestAFollowerThatHearsItsLeaderLateWaitsLonger(t *testing.T) {
	h, waits := tempoGroup(t, 5e9)
	for range 4 {
		h.pass(12)
		h.members[2].silent = true
		h.pass(3)
		h.members[2].silent = false
	}
	h.pass(12)
	if waits(2) > 13e8 || waits(3) < 15e8 || waits(3) >= 5e9 { // beats come a little late in this test: its clock goes by beats
		t.Fatalf("node 3 heard beats late: it waits %v, node 2 %v", waits(3), waits(2))
	}
}

// Whoever does not ask for it waits as long as configured.
func TestTimeoutsAreFixedUnlessAskedFor(t *testing.T) {
	h, waits := tempoGroup(t, 0)
	h.lag = 3e8
	h.pass(60)
	for id := 1; id <= 3; id++ {
		if waits(id) != 1e9 {
			t.Errorf("node %d waits %v", id, waits(id))
		}
	}
}
