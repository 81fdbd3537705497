package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

// what are the flags that say which run of a seed.
func what() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "profile", Value: enginetest.Profiles()[0].Name, Usage: profileUsage()},
		&cli.Uint64Flag{Name: "events", Usage: "end the faults after so many events"},
		&cli.StringFlag{Name: "without", Usage: "kinds of trouble to leave out: `a,b,c`"},
		&cli.StringFlag{Name: "skip", Usage: "single troubles to leave out, half-open ranges: `0-30,31-71`"},
		&cli.IntFlag{Name: "mutant", Usage: "a seeded bug to switch on, by its `NUMBER` (builds with the tag mutants)"},
	}
}

func replayCommand() *cli.Command {
	return &cli.Command{
		Name:      "replay",
		Usage:     "run one seed again and tell all that happens; status 1 if it fails",
		ArgsUsage: "SEED",
		Flags: append(what(),
			&cli.BoolFlag{Name: "json", Usage: "one object per line"},
			&cli.BoolFlag{Name: "quiet", Usage: "only the outcome"},
		),
		Action: replay,
	}
}

func shrinkCommand() *cli.Command {
	return &cli.Command{
		Name:      "shrink",
		Usage:     "leave out of a failing seed what it does not need",
		ArgsUsage: "SEED",
		Flags:     append(what(), &cli.DurationFlag{Name: "budget", Value: time.Minute, Usage: "for at most `TIME`"}),
		Action: func(c *cli.Context) error {
			p, o, err := asked(c)
			if err != nil {
				return err
			}
			small := enginetest.Shrink(p, o, c.Duration("budget"))
			printShrunk(c.App.Writer, p.Name, &small)
			if small.Report.Failure != nil {
				return errRed
			}
			return nil
		},
	}
}

// asked reads which run is meant.
func asked(c *cli.Context) (p enginetest.Profile, o enginetest.Options, err error) {
	if c.NArg() != 1 {
		return p, o, errors.New("one seed, behind the flags")
	}
	if p, err = enginetest.ProfileByName(c.String("profile")); err != nil {
		return p, o, err
	}
	o.Events, o.Mutant = c.Uint64("events"), c.Int("mutant")
	if o.Seed, err = strconv.ParseUint(c.Args().First(), 10, 64); err != nil {
		return p, o, fmt.Errorf("seed: %w", err)
	}
	if s := c.String("without"); s != "" {
		o.Without = strings.Split(s, ",")
	}
	o.Skip, err = parseRanges(c.String("skip"))
	return p, o, err
}

func parseRanges(s string) (ranges []enginetest.Range, err error) {
	if s == "" {
		return nil, nil
	}
	for text := range strings.SplitSeq(s, ",") {
		var r enginetest.Range
		if _, err := fmt.Sscanf(text, "%d-%d", &r.From, &r.To); err != nil {
			return nil, fmt.Errorf("skip: %q is no range", text)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

func replay(c *cli.Context) error {
	p, o, err := asked(c)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.App.Writer)
	asJSON := json.NewEncoder(out)
	switch {
	case c.Bool("quiet"):
	case c.Bool("json"):
		o.Trace = func(l enginetest.Line) { _ = asJSON.Encode(&l) } // who reads it has gone
	default:
		o.Trace = func(l enginetest.Line) { fmt.Fprintln(out, l) }
	}
	r := p.Run(o)
	if c.Bool("json") {
		err = asJSON.Encode(&r)
	} else {
		printReport(out, &r)
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if r.Failure != nil {
		return errRed
	}
	return nil
}

func printReport(w io.Writer, r *enginetest.Report) {
	fmt.Fprintf(w, "seed %d: %d events, %.1f %% of them deliveries, %.3f s of virtual time, %d troubles, trace %016x\n",
		r.Seed, r.Events, percent(r.Deliveries, r.Events), float64(r.Simulated)/1e9, r.Troubles, r.Hash)
	printCounts(w, "faults", r.Faults)
	printCounts(w, "did", r.Did)
	if r.Failure != nil {
		fmt.Fprintf(w, "RED: %v\n", r.Failure)
	} else {
		fmt.Fprintln(w, "green")
	}
}

func printShrunk(w io.Writer, profile string, s *enginetest.Shrunk) {
	fmt.Fprintf(w, "after %d runs:\n", s.Runs)
	printReport(w, &s.Report)
	fmt.Fprintln(w, "    raftsim replay"+replayFlags(profile, &s.Options))
}

// replayFlags is what to call raftsim replay with, to see a run again.
func replayFlags(profile string, o *enginetest.Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, " --profile %s", profile)
	if o.Events != 0 {
		fmt.Fprintf(&b, " --events %d", o.Events)
	}
	if len(o.Without) > 0 {
		fmt.Fprintf(&b, " --without %s", strings.Join(o.Without, ","))
	}
	for i, r := range o.Skip {
		separator := ","
		if i == 0 {
			separator = " --skip "
		}
		fmt.Fprintf(&b, "%s%d-%d", separator, r.From, r.To)
	}
	if o.Mutant != 0 {
		fmt.Fprintf(&b, " --mutant %d", o.Mutant)
	}
	fmt.Fprintf(&b, " %d", o.Seed)
	return b.String()
}
