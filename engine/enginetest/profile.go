package enginetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/bare"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/world"
)

// Profile is a kind of world.
type Profile struct {
	Name    string
	Summary string
	// Run lives through the world of a seed. It is safe for concurrent use.
	Run func(Options) Report
	// Runner, if not nil, returns a Run for many seeds in a row, which takes the same
	// memory for all of them. Each is for one goroutine.
	Runner func() func(Options) Report
	// EventsPerSeed is how many events a seed must have on average, or the run has not
	// tried hard enough to be worth anything.
	EventsPerSeed uint64
	// Marks are the rare branches of the core that a run of MarksFrom seeds or more must
	// have taken, by the names in Report.Marks.
	Marks []string
}

// runner returns a Run for many seeds in a row.
func (p *Profile) runner() func(Options) Report {
	if p.Runner == nil {
		return p.Run
	}
	return p.Runner()
}

// MarksFrom is how many seeds a campaign has that is asked for the marks of its profile.
const MarksFrom = 1000

// Profiles returns all there are, the default first.
func Profiles() []Profile {
	return []Profile{
		{
			Name: "world", Summary: "driver and log on simulated disks, network and clocks, with clients",
			Run: world.Run, Runner: func() func(Options) Report { return world.NewRunner().Run }, EventsPerSeed: 40_000,
		},
		{
			Name: "core", Summary: "cores alone, on disks that are models: many times faster",
			Run: runBare, EventsPerSeed: 15_000, Marks: marks(),
		},
	}
}

// marks are all that the core has.
func marks() (names []string) {
	for m := range raft.MarkCount {
		names = append(names, m.String())
	}
	return names
}

// ProfileByName returns a profile.
func ProfileByName(name string) (Profile, error) {
	all := Profiles()
	if i := slices.IndexFunc(all, func(p Profile) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	return Profile{}, fmt.Errorf("enginetest: there is no profile %q", name)
}

// runBare runs a world of cores.
func runBare(o sim.Options) sim.Report {
	var out bytes.Buffer
	b := bare.Options{Seed: o.Seed, Mutant: o.Mutant, Events: o.Events, Without: o.Without, Skip: o.Skip}
	if o.Trace != nil {
		b.Trace = &out
	}
	w := bare.New(b)
	w.Run()
	c := &w.Counts
	r := sim.Report{
		Seed: o.Seed, Hash: w.Hash(), Events: c.Events, Deliveries: c.Deliveries, Simulated: int64(w.Now()),
		Did: sim.Counts{}, Marks: sim.Counts{},
	}
	r.Troubles, r.Faults = w.Troubles()
	for name, n := range map[string]uint64{
		"elections": c.Leaders, "crashes": c.Crashes, "committed": c.Commits, "client-writes": c.Acked, "client-reads": c.Reads,
	} {
		r.Did.Add(name, n)
	}
	for k, n := range c.Facts {
		r.Did.Add("fact-"+raft.FactKind(k).String(), n)
	}
	for m, n := range c.Marks {
		r.Marks.Add(raft.Mark(m).String(), n)
	}
	if err := w.Err(); err != nil {
		r.Failure = &sim.Failure{Check: "bare", Sentence: err.Error(), At: int64(w.Now()), Event: c.Events}
		var v *invariant.Violation
		if errors.As(err, &v) {
			r.Failure.Check = string(v.ID)
		} else if errors.Is(err, bare.ErrLiveness) {
			r.Failure.Check = "liveness"
		}
	}
	lines := bufio.NewScanner(&out)
	for o.Trace != nil && lines.Scan() {
		o.Trace(sim.Line{Kind: "core", Text: lines.Text()})
	}
	return r
}
