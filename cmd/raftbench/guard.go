package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// guardFile is a baseline of counts that depend little on the machine, checked in.
type guardFile struct {
	// MarginPercent of its baseline, and Slack beside that, is by how much a count may exceed it.
	MarginPercent float64    `json:"margin_percent"`
	Slack         float64    `json:"slack"`
	Rounds        int        `json:"rounds"` // of each run; the lowest count is taken, for other work can only add
	Runs          []guardRun `json:"runs"`
}

// guardRun is one run and what it cost.
type guardRun struct {
	Name string   `json:"name"`
	Args []string `json:"args"` // of "raftbench run"
	// Counts are those that are guarded: how many commands share a sync depends on the machine
	// where many clients meet.
	Counts   []string           `json:"counts"`
	Baseline map[string]float64 `json:"baseline"`
}

const (
	maxGuardBytes  = 1 << 20
	maxGuardRounds = 100
)

// guarded returns the counts of a run that are guarded.
func guarded(r *result.Result) map[string]float64 {
	m := map[string]float64{
		"fsyncs_per_1000_ops": r.FsyncsPer1000Ops, "wire_bytes_per_op": r.WireBytesPerOp, "writes_per_1000_ops": r.WritesPer1000Ops,
	}
	if r.AllocsPerOp != nil {
		m["allocs_per_op"] = *r.AllocsPerOp
	}
	return m
}

// guardCommand is the command "guard".
func guardCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "guard", Usage: "measure counts that depend little on the machine, and compare them with a baseline", ArgsUsage: "BASELINE.json", HideHelpCommand: true,
		Description: "Counts are fsyncs, system calls that write, bytes on the wire and allocations, per operation. The status is 3 when one\n" +
			"exceeds its baseline by more than the file's margin.",
		Flags:        []cli.Flag{&cli.BoolFlag{Name: "update", Usage: "write what was measured to the file, as the new baseline"}},
		OnUsageError: usageFault,
		Action: func(c *cli.Context) error {
			if err := checkFiles(c, new(settings), 1, 1); err != nil {
				return err
			}
			name := c.Args().First()
			g, err := loadGuard(name)
			if err != nil {
				return err
			}
			var regressions []error
			for i := range g.Runs {
				got, err := g.measure(c.Context, &g.Runs[i], stderr)
				if err != nil {
					return fmt.Errorf("%s: %w", g.Runs[i].Name, err)
				}
				regressions = append(regressions, g.judge(stdout, &g.Runs[i], got))
				if c.Bool("update") {
					g.Runs[i].Baseline = got
				}
			}
			if !c.Bool("update") {
				return errors.Join(regressions...)
			}
			data, err := json.MarshalIndent(&g, "", "  ")
			if err != nil {
				return err
			}
			return os.WriteFile(name, append(data, '\n'), 0o644)
		},
	}
}

func loadGuard(name string) (g guardFile, err error) {
	f, err := os.Open(name)
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d := json.NewDecoder(io.LimitReader(f, maxGuardBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		return g, fmt.Errorf("%s: %w", name, err)
	}
	if len(g.Runs) == 0 || g.MarginPercent < 0 || g.Rounds < 1 || g.Rounds > maxGuardRounds {
		return g, fmt.Errorf("%s: no runs, or no margin or rounds that make sense", name)
	}
	return g, nil
}

// measure returns the lowest counts of several runs.
func (g *guardFile) measure(ctx context.Context, run *guardRun, stderr io.Writer) (map[string]float64, error) {
	lowest := map[string]float64{}
	for range g.Rounds {
		var out bytes.Buffer
		args := append([]string{"raftbench", "run", "--json"}, run.Args...)
		if err := newApp(bytes.NewReader(nil), &out, stderr).RunContext(ctx, args); err != nil {
			return nil, err
		}
		r := new(result.Result)
		if err := json.Unmarshal(out.Bytes(), r); err != nil {
			return nil, err
		}
		all := guarded(r)
		for _, name := range run.Counts {
			v, ok := all[name]
			if !ok {
				return nil, fmt.Errorf("%s: no count, or not measured here", name)
			}
			if least, ok := lowest[name]; !ok || v < least {
				lowest[name] = math.Round(v*100) / 100
			}
		}
	}
	return lowest, nil
}

// judge prints the counts beside their baseline, and returns an error that matches
// errRegression when one is too high.
func (g *guardFile) judge(w io.Writer, run *guardRun, got map[string]float64) (worse error) {
	for _, name := range run.Counts {
		base, ok := run.Baseline[name]
		verdict := "ok"
		switch {
		case !ok:
			verdict = "no baseline"
		case got[name] > base*(1+g.MarginPercent/100)+g.Slack:
			verdict = "REGRESSION"
			worse = errors.Join(worse, fmt.Errorf("%w: %s: %s is %.2f, the baseline %.2f", errRegression, run.Name, name, got[name], base))
		}
		fmt.Fprintf(w, "%-24s %-22s %10.2f  baseline %10.2f  %s\n", run.Name, name, got[name], base, verdict)
	}
	return worse
}
