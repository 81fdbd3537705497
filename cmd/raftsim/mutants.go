package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

func mutantsCommand() *cli.Command {
	return &cli.Command{
		Name:  "mutants",
		Usage: "hide every seeded bug in worlds until one of them notices; status 1 if a bug survives (builds with the tag mutants)",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "one array of all verdicts"},
			&cli.Uint64Flag{Name: "seeds", Value: 100_000, Usage: "at most so many worlds for each"},
			&cli.DurationFlag{Name: "budget", Value: 10 * time.Minute, Usage: "no new world for a bug after `TIME`"},
			&cli.StringFlag{Name: "only", Usage: "the `ID` to hunt, with its variants"},
			&cli.IntFlag{Name: "part", Usage: "which of the `PARTS` of the table to hunt, from 0"},
			&cli.IntFlag{Name: "parts", Value: 1, Usage: "how many there are"},
		},
		Action: mutants,
	}
}

func mutants(c *cli.Context) error {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(heapBytes)
	h := enginetest.MutantHunt{Seeds: c.Uint64("seeds"), Budget: c.Duration("budget"), Only: c.String("only"), Parts: max(1, c.Int("parts"))}
	if h.Part = c.Int("part"); h.Part < 0 || h.Part >= h.Parts {
		return fmt.Errorf("raftsim: mutants: there is no part %d of %d", h.Part, h.Parts)
	}
	verdicts, err := enginetest.Mutants(h)
	switch {
	case err != nil:
		return err
	case len(verdicts) == 0:
		return fmt.Errorf("raftsim: mutants: there is no mutant %s", h.Only)
	}
	if c.Bool("json") {
		err = json.NewEncoder(c.App.Writer).Encode(verdicts)
	} else {
		printVerdicts(c, verdicts)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(verdicts, func(v enginetest.MutantVerdict) bool { return !v.Killed }) {
		return errRed
	}
	return nil
}

// printVerdicts counts the mutants of the test plan: one that has variants is killed
// if all of them are.
func printVerdicts(c *cli.Context, verdicts []enginetest.MutantVerdict) {
	alive := map[string]bool{}
	seconds := make([]float64, 0, len(verdicts))
	for _, v := range verdicts {
		end := "killed by " + v.By
		if !v.Killed {
			end = "SURVIVED"
		}
		fmt.Fprintf(c.App.Writer, "%-4s %-24s %-13s %6d worlds %7.2f s  %s\n", v.ID, v.Name, v.Where, v.Seeds, v.Seconds, end)
		alive[v.ID[:3]] = alive[v.ID[:3]] || !v.Killed
		seconds = append(seconds, v.Seconds)
	}
	killed := 0
	for _, survived := range alive {
		if !survived {
			killed++
		}
	}
	slices.Sort(seconds)
	fmt.Fprintf(c.App.Writer, "%d of %d mutants killed, %d switches, median %.2f s\n", killed, len(alive), len(verdicts), seconds[len(seconds)/2])
}
