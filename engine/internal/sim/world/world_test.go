package world

import (
	"os"
	"strconv"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
)

// TestSeeds lives through some worlds.
func TestSeeds(t *testing.T) {
	from, to := uint64(1), uint64(40)
	if s := os.Getenv("SEED"); s != "" {
		from, _ = strconv.ParseUint(s, 10, 64)
		to = from
	}
	if s := os.Getenv("SEEDS"); s != "" {
		to, _ = strconv.ParseUint(s, 10, 64)
	}
	var events, del uint64
	for seed := from; seed <= to; seed++ {
		o := sim.Options{Seed: seed}
		if os.Getenv("TRACE") != "" {
			f, _ := os.Create(os.Getenv("TRACE"))
			o.Trace = func(l sim.Line) { f.WriteString(l.String() + "\n") }
		}
		r := Run(o)
		events += r.Events
		del += r.Deliveries
		if r.Failure != nil {
			t.Errorf("seed %d: %v\n %d events, %d delivered, %.1f s, %v %v", seed, r.Failure, r.Events, r.Deliveries, float64(r.Simulated)/1e9, r.Did, r.Faults)
		}
	}
	t.Logf("%d events %d", events, del)
}
