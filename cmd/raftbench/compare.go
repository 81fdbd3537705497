package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cmdline"
	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/page"
	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

var errRegression = errors.New("regression")

// compareCommand is the command "compare".
func compareCommand(stdout io.Writer) *cli.Command {
	var threshold float64
	s := new(settings)
	s.add("threshold", "smallest change in `PERCENT` that counts", "5", func(text string) (err error) {
		threshold, err = parseFloat(text, 0, 1000)
		return err
	})
	s.flags = append(s.flags,
		&cli.BoolFlag{Name: "anyway", Usage: "compare although workload, durability or machine differ"},
		&cli.BoolFlag{Name: "json", Usage: "print one JSON object instead of the table"})
	return &cli.Command{
		Name: "compare", Usage: "compare two files of results, of one run or several rounds each", ArgsUsage: "A.json B.json", HideHelpCommand: true,
		Description: "Prints the ratios B/A with their 95 % confidence intervals, and ends with status 3 when a whole interval is\n" +
			"on the bad side of the threshold. The files are what \"raftbench run --json\" printed; rounds stand one after the other in a file.",
		Flags: s.flags, OnUsageError: usageFault,
		Action: func(c *cli.Context) error {
			if err := checkFiles(c, s, 2, 2); err != nil {
				return err
			}
			a, err := result.Load(c.Args().Get(0))
			if err != nil {
				return err
			}
			b, err := result.Load(c.Args().Get(1))
			if err != nil {
				return err
			}
			if err := result.Comparable(a, b); err != nil && !c.Bool("anyway") {
				return fmt.Errorf("%w; --anyway compares them all the same", err)
			}
			cmp := result.Compare(a, b, threshold/100)
			if c.Bool("json") {
				err = json.NewEncoder(stdout).Encode(&cmp)
			} else {
				err = printComparison(stdout, &cmp)
			}
			if names := cmp.Regressions(); err == nil && len(names) > 0 {
				err = fmt.Errorf("%w: %s", errRegression, strings.Join(names, ", "))
			}
			return err
		},
	}
}

// checkFiles checks a command line that names files.
func checkFiles(c *cli.Context, s *settings, least, most int) error {
	faults := s.faults()
	if n := c.NArg(); n < least || n > most {
		faults = append(faults, fmt.Errorf("%d files, want %s", n, c.Command.ArgsUsage))
	}
	if len(faults) == 0 {
		return nil
	}
	return &usageError{faults, hint(c)}
}

func printComparison(w io.Writer, c *result.Comparison) error {
	t := new(table)
	t.line("%-20s  %12s  %12s  %6s  %16s  %8s", "", "A", "B", "B/A", "95 % confidence", "verdict")
	for _, r := range c.Ratios {
		interval := ""
		if r.High > 0 {
			interval = fmt.Sprintf("%.3f to %.3f", r.Low, r.High)
		}
		t.line("%-20s  %12s  %12s  %6.3f  %16s  %s", r.Name, grouped(r.A, 1), grouped(r.B, 1), r.Ratio, interval, r.Verdict)
	}
	t.line("\nSamples are %ss; a change counts from %.3g %% on. Not judged: a run has one such value, give several rounds.", c.Unit, 100*c.Threshold)
	if c.Unit == "interval" {
		t.line("What changed on the machine between two runs looks like a difference of the runs: take turns, and give rounds.")
	}
	_, err := w.Write(t.b)
	return err
}

const maxReportFiles = 100

// reportCommand is the command "report".
func reportCommand(stdout io.Writer) *cli.Command {
	out := ""
	s := new(settings)
	s.add("output", "write the page to `FILE`", "raftbench.html", func(text string) error {
		out = text
		return notEmpty(text)
	})
	return &cli.Command{
		Name: "report", Usage: "make one HTML file with charts of one or more results", ArgsUsage: "RESULT.json...", HideHelpCommand: true,
		Description: "The files are what \"raftbench run --json\", \"sweep --json\" or \"scenario --json\" printed. The page needs nothing else:\n" +
			"no network, no script.",
		Flags: s.flags, OnUsageError: usageFault,
		Action: func(c *cli.Context) (err error) {
			if err := checkFiles(c, s, 1, maxReportFiles); err != nil {
				return err
			}
			var list []*result.Result
			for _, name := range c.Args().Slice() {
				more, err := result.Load(name)
				if err != nil {
					return err
				}
				list = append(list, more...)
			}
			f, err := os.Create(out)
			if err != nil {
				return err
			}
			if err := errors.Join(page.Write(f, list), f.Close()); err != nil {
				return err
			}
			fmt.Fprintln(stdout, out)
			return nil
		},
	}
}

// flagsAnywhere lets the flags of commands that take files stand behind them too.
func flagsAnywhere(app *cli.App, args []string) []string {
	if len(args) > 1 && slices.Contains([]string{"compare", "report", "scenario"}, args[1]) {
		return cmdline.FlagsFirst(app, args)
	}
	return args
}
