// Command raftsim runs Raftwire's clusters in virtual time, with everything going
// wrong that can. A run follows from its seed, bit for bit.
//
//	raftsim run --seeds 1000                 worlds of the driver and the log
//	raftsim run --seeds 1000 --profile core  worlds of cores alone
//	raftsim replay 4711                      one line per event of one seed
//	raftsim shrink 4711                      make a failing seed small
//
// docs/simulation.md explains what the worlds are made of.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// Exit statuses.
const (
	exitRed   = 1 // a run failed, or a campaign is invalid
	exitUsage = 2
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// errRed says that the outcome is not green; what there is to say was said.
var errRed = errors.New("red")

// run is the program, but for its end. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	err := newApp(stdout, stderr).Run(args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errRed):
		return exitRed
	}
	fmt.Fprintf(stderr, "raftsim: %v\n", err)
	return exitUsage
}

func newApp(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:            "raftsim",
		Usage:           "run clusters in virtual time, with everything going wrong that can",
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    func(_ *cli.Context, err error, _ bool) error { return err },
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("unknown command %q", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{runCommand(), replayCommand(), shrinkCommand(), mutantsCommand()},
	}
}
