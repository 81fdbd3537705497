package shrink_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/shrink"
)

// A run that fails if troubles 30 and 71 come about, of kinds a and c: all others can
// be left out.
func TestShrink(t *testing.T) {
	run := func(o sim.Options) sim.Report {
		r := sim.Report{Troubles: 100, Events: 5000, Faults: sim.Counts{}}
		struck := func(n uint64) bool {
			return !slices.ContainsFunc(o.Skip, func(s sim.Range) bool { return n >= s.From && n < s.To })
		}
		for _, name := range []string{"a", "b", "c"} {
			if !slices.Contains(o.Without, name) {
				r.Faults.Add(name, 1)
			}
		}
		if struck(30) && struck(71) && r.Faults["a"] > 0 && r.Faults["c"] > 0 {
			r.Failure = &sim.Failure{Check: "I6"}
		}
		return r
	}
	got := shrink.Shrink(run, sim.Options{Seed: 7}, time.Minute)
	want := []sim.Range{{From: 0, To: 30}, {From: 31, To: 71}, {From: 72, To: 100}}
	if !slices.Equal(got.Options.Without, []string{"b"}) || !slices.Equal(got.Options.Skip, want) || got.Report.Failure == nil || got.Options.Seed != 7 {
		t.Errorf("shrunk to %+v in %d runs", got.Options, got.Runs)
	}
}

// Where a cluster does not recover, the phase of faults is cut short.
func TestShrinkLiveness(t *testing.T) {
	run := func(o sim.Options) sim.Report {
		r := sim.Report{Events: 5000, Faults: sim.Counts{}}
		if o.Events != 0 {
			r.Events = o.Events
		}
		if r.Events >= 1234 {
			r.Failure = &sim.Failure{Check: "liveness"}
		}
		return r
	}
	if got := shrink.Shrink(run, sim.Options{}, time.Minute); got.Options.Events != 1234 {
		t.Errorf("shrunk to %d events", got.Options.Events)
	}
}

// A run that does not fail stays as it is.
func TestNothingToShrink(t *testing.T) {
	got := shrink.Shrink(func(sim.Options) sim.Report { return sim.Report{} }, sim.Options{Seed: 3}, time.Minute)
	if got.Report.Failure != nil || got.Runs != 1 {
		t.Errorf("%+v", got)
	}
}
