package runtime

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// Whose calls failed together pauses apart: no two of a thousand groups on three hosts
// come back in the same thousandth, but by chance.
func TestPausesAreSpread(t *testing.T) {
	const d = raft.Time(1e9)
	slots := map[raft.Time]int{}
	for group := GroupID(1); group <= 1000; group++ {
		for host := raft.NodeID(1); host <= 3; host++ {
			g := &Group{self: host, id: group}
			first := spread(d, g, 4, 0)
			if first < d/2 || first > d {
				t.Fatalf("a pause of %d, want %d to %d", first, d/2, d)
			}
			if first == spread(d, g, 4, 1) || first == spread(d, g, 5, 0) {
				t.Fatal("the next pause, or that for another peer, is the same")
			}
			if first != spread(d, g, 4, 0) {
				t.Fatal("a replay pauses differently")
			}
			slots[(first-d/2)/(d/2000)]++
		}
	}
	for slot, n := range slots {
		if n > 15 { // three on average
			t.Errorf("%d of 3000 pauses end in thousandth %d", n, slot)
		}
	}
}
