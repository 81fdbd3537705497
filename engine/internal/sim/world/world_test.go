package world_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/world"
)

// TestSeeds lives through some worlds. In none of them may a rule be broken, and all
// of them must recover.
func TestSeeds(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	var events, deliveries uint64
	did := sim.Counts{}
	for seed := range seeds {
		r := world.Run(sim.Options{Seed: seed, Events: 6000})
		events, deliveries = events+r.Events, deliveries+r.Deliveries
		did.Sum(r.Did)
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
	}
	if deliveries*100 < events*40 {
		t.Errorf("of %d events only %d are messages", events, deliveries)
	}
	if did["groups"] <= seeds {
		t.Errorf("%d worlds have %d groups", seeds, did["groups"])
	}
	for _, what := range []string{
		"elections", "crashes", "snapshots", "sessions", "sessions-expired", "expired-answers", "answers-from-table",
		"upgrades", "messages-with-unknown-fields", "idle", "disturbed",
	} {
		if did[what] == 0 {
			t.Errorf("in %d worlds there are no %s", seeds, what)
		}
	}
}

// TestOneSeedOneWorld: a seed gives the same world whoever else lives at the time.
func TestOneSeedOneWorld(t *testing.T) {
	var group sync.WaitGroup
	var runs [3][8]sim.Report
	for i := range runs {
		group.Go(func() {
			for seed := range runs[i] {
				runs[i][seed] = world.Run(sim.Options{Seed: uint64(seed), Events: 3000})
			}
		})
	}
	group.Wait()
	for i := range runs {
		for seed, r := range runs[i] {
			first := runs[0][seed]
			if r.Hash != first.Hash || r.Events != first.Events || r.Simulated != first.Simulated {
				t.Errorf("seed %d: %x after %d events, and %x after %d", seed, r.Hash, r.Events, first.Hash, first.Events)
			}
		}
	}
}

// TestTrace: listening changes nothing.
func TestTrace(t *testing.T) {
	quiet := world.Run(sim.Options{Seed: 3, Events: 2000})
	lines := 0
	loud := world.Run(sim.Options{Seed: 3, Events: 2000, Trace: func(l sim.Line) {
		if lines++; l.String() == "" || l.Kind == "" {
			t.Errorf("empty line: %+v", l)
		}
	}})
	if quiet.Hash != loud.Hash || lines < 2000 {
		t.Errorf("%x and %x, %d lines", quiet.Hash, loud.Hash, lines)
	}
}

// TestWithout: what is left out does not come about, and the rest of the world is as
// it was drawn.
func TestWithout(t *testing.T) {
	for seed := range uint64(10) {
		all := world.Run(sim.Options{Seed: seed, Events: 2000})
		for _, name := range all.Faults.Names() {
			left := world.Run(sim.Options{Seed: seed, Events: 2000, Without: []string{name}})
			if left.Faults[name] > 0 || left.Failure != nil {
				t.Errorf("seed %d without %s: %v %v", seed, name, left.Faults, left.Failure)
			}
		}
		none := world.Run(sim.Options{Seed: seed, Events: 2000, Skip: []sim.Range{{From: 0, To: 1 << 62}}})
		if len(none.Faults) > 0 || none.Failure != nil {
			t.Errorf("seed %d: %v %v", seed, none.Faults, none.Failure)
		}
	}
}

func ExampleRun() {
	r := world.Run(sim.Options{Seed: 17, Events: 1000})
	fmt.Println(r.Failure == nil, r.Events >= 1000)
	// Output:
	// true true
}
