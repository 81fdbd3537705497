package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run many seeds; status 1 if one of them fails, or if they prove nothing",
		Flags: []cli.Flag{
			&cli.Uint64Flag{Name: "seeds", Value: 100, Usage: "how many"},
			&cli.Uint64Flag{Name: "first", Value: 1, Usage: "the first `SEED`"},
			&cli.StringFlag{Name: "profile", Value: enginetest.Profiles()[0].Name, Usage: profileUsage()},
			&cli.Uint64Flag{Name: "events", Usage: "end the faults of each seed after so many events"},
			&cli.IntFlag{Name: "mutant", Usage: "a seeded bug to switch on, by its `NUMBER` (builds with the tag mutants)"},
			&cli.BoolFlag{Name: "json", Usage: "one object for the whole run"},
			&cli.BoolFlag{Name: "seed-hashes", Usage: "one line per seed with its trace hash, in their order, before the summary"},
			&cli.DurationFlag{Name: "shrink", Usage: "make the first failing seed small, for at most `TIME`"},
		},
		Action: campaign,
	}
}

func profileUsage() string {
	text := "kind of world:"
	for _, p := range enginetest.Profiles() {
		text += " " + p.Name + " (" + p.Summary + ")"
	}
	return text
}

// gcPercent: worlds take over the memory of those before them, so that a larger heap
// would only be colder. heapBytes is what a campaign may use before the collector works harder.
const (
	gcPercent = 100
	heapBytes = 1 << 30
)

func campaign(c *cli.Context) error {
	p, err := enginetest.ProfileByName(c.String("profile"))
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(heapBytes)
	seeds, first := c.Uint64("seeds"), c.Uint64("first")
	hashes := make([]uint64, seeds)
	progress := newProgress(c.App.ErrWriter, seeds)
	s := enginetest.Campaign{Profile: p, First: first, Seeds: seeds, Events: c.Uint64("events"), Mutant: c.Int("mutant")}.Run(func(r enginetest.Report) {
		hashes[r.Seed-first] = r.Hash
		progress.add(&r)
	})
	if c.Bool("seed-hashes") {
		for i, h := range hashes {
			fmt.Fprintf(c.App.Writer, "%d %016x\n", first+uint64(i), h)
		}
	}
	if c.Bool("json") {
		if err := json.NewEncoder(c.App.Writer).Encode(&s); err != nil {
			return err
		}
	} else {
		printSummary(c.App.Writer, &p, &s)
	}
	if len(s.Failures) > 0 && c.Duration("shrink") > 0 {
		small := enginetest.Shrink(p, enginetest.Options{Seed: s.Failures[0].Seed, Mutant: c.Int("mutant")}, c.Duration("shrink"))
		printShrunk(c.App.Writer, p.Name, &small)
	}
	if !s.Green() {
		return errRed
	}
	return nil
}

func printSummary(w io.Writer, p *enginetest.Profile, s *enginetest.Summary) {
	fmt.Fprintf(w, "profile %s, seeds %d to %d: %d events, %.1f %% of them deliveries, %.0f s of virtual time, trace %016x\n",
		s.Profile, s.First, s.First+s.Seeds-1, s.Events, percent(s.Deliveries, s.Events), float64(s.Simulated)/1e9, s.Hash)
	fmt.Fprintf(w, "%.1f s on %d processors, %.0f events/s on each, all invariants on\n", s.Elapsed.Seconds(), s.Processors, s.PerSecond)
	printCounts(w, "faults", s.Faults)
	printCounts(w, "did", s.Did)
	printCounts(w, fmt.Sprintf("marks (%d reached, %d demanded of %d seeds or more)", len(s.Marks), len(p.Marks), enginetest.MarksFrom), s.Marks)
	for i := range s.Failures {
		r := &s.Failures[i]
		fmt.Fprintf(w, "\nRED seed %d: %v\n    raftsim replay --profile %s %d\n", r.Seed, r.Failure, p.Name, r.Seed)
	}
	switch {
	case len(s.Failures) > 0:
		fmt.Fprintf(w, "\n%d failures: %d violations, %d undecided\n", len(s.Failures), uint64(len(s.Failures))-s.Undecided, s.Undecided)
	case s.Invalid != "":
		fmt.Fprintf(w, "\nINVALID: %s\n", s.Invalid)
	default:
		fmt.Fprintln(w, "\ngreen: 0 violations, 0 liveness failures, 0 undecided")
	}
}

func percent(part, whole uint64) float64 { return 100 * float64(part) / float64(max(1, whole)) }

func printCounts(w io.Writer, title string, c enginetest.Counts) {
	if len(c) == 0 {
		return
	}
	fmt.Fprintf(w, "%s:", title)
	for _, name := range c.Names() {
		fmt.Fprintf(w, " %s %d", name, c[name])
	}
	fmt.Fprintln(w)
}

// progress tells now and then how far a campaign is.
type progress struct {
	w            io.Writer
	seeds, done  uint64
	events       uint64
	began, spoke time.Time
}

func newProgress(w io.Writer, seeds uint64) *progress {
	now := time.Now()
	return &progress{w: w, seeds: seeds, began: now, spoke: now}
}

func (p *progress) add(r *enginetest.Report) {
	p.done++
	p.events += r.Events
	if r.Failure != nil {
		fmt.Fprintf(p.w, "seed %d: %v\n", r.Seed, r.Failure)
	}
	if now := time.Now(); now.Sub(p.spoke) > 10*time.Second {
		p.spoke = now
		fmt.Fprintf(p.w, "%d of %d seeds, %d events, %.0f s\n", p.done, p.seeds, p.events, now.Sub(p.began).Seconds())
	}
}
