package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/engine"
)

// recoverCommand brings a group back that has lost its quorum for ever. Nodes do not run while it works; what one command prints
// can be carried to the machine where the next one runs.
func recoverCommand() *cli.Command {
	group := &cli.Int64Flag{Name: "group", Usage: "`ID` of the group", Value: 1}
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print one JSON object"}
	offline := func(name, text, args string, least, most int, flags []cli.Flag, do func(*cli.Context, []string) error) *cli.Command {
		return &cli.Command{
			Name: name, Usage: text, ArgsUsage: args, Flags: flags, HideHelpCommand: true, OnUsageError: usageFault, Description: exitHelp,
			Action: func(c *cli.Context) error {
				if c.NArg() < least || c.NArg() > most {
					return usage("recover %s: want %s", name, args)
				}
				return do(c, c.Args().Slice())
			},
		}
	}
	return &cli.Command{
		Name: "recover", Usage: "go on after the loss of a quorum, offline", HideHelpCommand: true, OnUsageError: usageFault, Action: unknownCommand,
		Description: "Who was left out can never come back with what it knew: the cluster gets a new epoch. What only those had\n" +
			"acknowledged is lost. Nothing is changed but by \"apply --yes\".",
		Subcommands: []*cli.Command{
			offline("inspect", "print, as JSON, what the directory of a survivor has: certainly and possibly committed", "DIR", 1, 1, nil, recoverInspect),
			offline("plan", "say how the group can go on with the survivors: directories, or files with what \"inspect\" printed", "SURVIVOR...", 1, 9,
				[]cli.Flag{group, asJSON, &cli.StringFlag{Name: "out", Usage: "write the plan to `FILE`, for \"apply\""}}, recoverPlan),
			offline("apply", "carry a plan out in the directory of a survivor; on all of them before any is started", "PLAN DIR", 2, 2,
				[]cli.Flag{&cli.BoolFlag{Name: "yes", Usage: "do it; without this flag, say what would be done"}}, recoverApply),
		},
	}
}

// nodeDir is the directory of a host: dir itself, or that in a directory of raftkv.
func nodeDir(dir string) string {
	if info, err := os.Stat(filepath.Join(dir, "raft", "seg")); err == nil && info.IsDir() {
		return filepath.Join(dir, "raft")
	}
	return dir
}

func printIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func recoverInspect(c *cli.Context, args []string) error {
	i, err := engine.Inspect(nodeDir(args[0]))
	if err != nil {
		return err
	}
	return printIndented(c.App.Writer, i)
}

// survivor reads what a survivor has, from its directory or from a file.
func survivor(name string) (i engine.Inspection, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return i, &usageError{err}
	}
	if info.IsDir() {
		return engine.Inspect(nodeDir(name))
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return i, err
	}
	if err := json.Unmarshal(b, &i); err != nil {
		return i, fmt.Errorf("%s: %w", name, err)
	}
	return i, nil
}

func recoverPlan(c *cli.Context, args []string) error {
	var left []engine.Inspection
	for _, name := range args {
		i, err := survivor(name)
		if err != nil {
			return err
		}
		left = append(left, i)
	}
	group := engine.GroupID(c.Int64("group"))
	plan, err := engine.PlanRecovery(group, left)
	if c.Bool("json") {
		if err != nil {
			return err
		}
		if err := printIndented(c.App.Writer, plan); err != nil {
			return err
		}
	} else {
		printSurvivors(c.App.Writer, group, left)
		if err != nil {
			return err
		}
		printPlan(c.App.Writer, &plan)
	}
	if out := c.String("out"); out != "" {
		b, err := json.MarshalIndent(plan, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(out, append(b, '\n'), 0o600)
	}
	return nil
}

// printSurvivors is a table of what each of them has.
func printSurvivors(out io.Writer, group engine.GroupID, left []engine.Inspection) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tEPOCH\tTERM\tCERTAINLY COMMITTED\tPOSSIBLY, UP TO\tOF TERM\tSNAPSHOT\tDAMAGED\tUNCERTAIN")
	for _, i := range left {
		for _, g := range i.Groups {
			if g.Group == group {
				fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\n", i.Node, i.Epoch, g.Term, g.Committed, g.Last, g.LastTerm, g.Snapshot, len(g.Damaged), g.Uncertain)
			}
		}
	}
	_ = w.Flush()
}

func printPlan(w io.Writer, p *engine.Plan) {
	list := func(members []engine.Member) (s string) {
		for i, m := range members {
			if i > 0 {
				s += ", "
			}
			s += fmt.Sprintf("%d=%s", m.ID, m.Address)
		}
		return s
	}
	fmt.Fprintf(w, "\nnode %d has the most and would lead; the members would be %s, in epoch %d\n", p.Lead, list(p.Members), p.Epoch)
	fmt.Fprintf(w, "left out for ever: %s\n", list(p.Gone))
	fmt.Fprintf(w, "entries up to %d are certainly committed; those up to %d were possibly, and would be\n", p.Committed, p.Kept)
}

func recoverApply(c *cli.Context, args []string) error {
	b, err := os.ReadFile(args[0])
	if err != nil {
		return &usageError{err}
	}
	var plan engine.Plan
	if err := json.Unmarshal(b, &plan); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	printPlan(c.App.Writer, &plan)
	if !c.Bool("yes") {
		_, err := fmt.Fprintln(c.App.Writer, "nothing was done: say --yes")
		return err
	}
	if err := plan.Apply(nodeDir(args[1])); err != nil {
		return errors.Join(errors.New("nothing may rely on this directory before the plan was applied to it"), err)
	}
	_, err = fmt.Fprintf(c.App.Writer, "applied to %s\n", args[1])
	return err
}
