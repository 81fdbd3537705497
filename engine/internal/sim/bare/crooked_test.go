package bare

import (
	"io"
	"testing"
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

// TestCrooks: what no driver and no store may do is noticed.
func TestCrooks(t *testing.T) {
	s := newStory(t, scenario{nodes: 3}, 1)
	for range 5 {
		s.agree(3)
	}
	for _, node := range s.w.servers {
		for _, try := range nodeCrooks() {
			if err := try(node); err != nil {
				t.Errorf("node %d: %v", node.id, err)
			}
		}
	}
	for _, try := range []func() error{badConfigurations, badStores, names} {
		if err := try(); err != nil {
			t.Error(err)
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
