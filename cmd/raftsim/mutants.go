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
			&cli.DurationFlag{Name: "budget", Value: 2 * time.Minute, Usage: "no new world for a bug after `TIME`"},
		},
		Action: mutants,
	}
}

func mutants(c *cli.Context) error {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(heapBytes)
	verdicts, err := enginetest.Mutants(c.Uint64("seeds"), c.Duration("budget"))
	if err != nil {
		return err
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

func printVerdicts(c *cli.Context, verdicts []enginetest.MutantVerdict) {
	alive := map[string]bool{}
	seconds := make([]float64, 0, len(verdicts))
	for _, v := range verdicts {
		end := "killed by " + v.By
		if !v.Killed {
			end = "SURVIVED"
		}
		fmt.Fprintf(c.App.Writer, "%-4s %-24s %6d worlds %7.2f s  %s\n", v.ID, v.Name, v.Seeds, v.Seconds, end)
		alive[v.ID] = alive[v.ID] || !v.Killed
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
