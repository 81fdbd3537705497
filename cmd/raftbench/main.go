// Command raftbench runs a Raft cluster under load and measures it: three durable
// nodes in one process by default, or each node in a process of its own.
//
//	raftbench                     3 nodes, 256 closed-loop clients, 128-byte commands, 10 s
//	raftbench --json              the same, one JSON object on standard output
//	raftbench --processes         each node a child process, the load over TCP
//	raftbench --rate 20000        open loop: latency counts from when an operation is due
//	raftbench sweep               one run after the other with 1 to 1,024 clients, or what else shall vary
//	raftbench scenario failover   processes killed, restarted, added, slowed down: for how long nothing is acknowledged
//	raftbench compare A B         two results: ratios with their confidence; status 3 for a regression
//	raftbench report A ...        one HTML file with charts of one or more results
//	raftbench load --peer ...     the load alone, on nodes that run already, here or elsewhere
//	raftbench guard BASELINE      counts that depend little on the machine beside a baseline; status 3 for a regression
//	raftbench node --id 1 ...     one member that also serves RaftClient to anyone
//
// After the load it compares all nodes: what was acknowledged must have been applied
// on each of them exactly once, and their states must be equal. If not it says what
// differs and exits with status 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// Exit statuses.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitRegression  = 3
	exitInterrupted = 130 // what a shell reports of a program ended by Ctrl-C
)

// stopLimit is how long a stop may take after a signal.
const stopLimit = 1900 * time.Millisecond

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		restore() // a second signal ends the process as if nobody had asked for the first
		time.AfterFunc(stopLimit, func() {
			fmt.Fprintf(os.Stderr, "raftbench: not stopped %v after a signal: giving up\n", stopLimit)
			os.Exit(exitInterrupted)
		})
	})
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, &lockedWriter{w: os.Stderr}))
}

// run is the program, but for signals and the end of the process. It returns the exit
// status. stderr is used by several goroutines.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := newApp(stdin, stdout, stderr)
	err := app.RunContext(ctx, flagsAnywhere(app, args))
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(stderr, "raftbench: interrupted")
		return exitInterrupted
	case errors.Is(err, errRegression):
		fmt.Fprintf(stderr, "raftbench: %s\n", oneLine(err))
		return exitRegression
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "raftbench: %s\n%s\n", oneLine(err), usage.hint)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "raftbench: %s\n", oneLine(err))
		return exitFailed
	}
}

// oneLine joins the lines of joined errors.
func oneLine(err error) string {
	return strings.Join(strings.Split(strings.TrimSpace(err.Error()), "\n"), "; ")
}

// usageError says what is wrong with a command line.
type usageError struct {
	faults []error
	hint   string
}

func (e *usageError) Error() string { return errors.Join(e.faults...).Error() }

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	bench := &runConfig{stderr: stderr}
	benchFlags := runSettings(bench)
	node := new(nodeConfig)
	nodeFlags := nodeSettings(node)
	level := new(slog.LevelVar)
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	bench.logLevel = level
	sweep := newSweep(&runConfig{stderr: stderr, logLevel: level})
	runAction := func(c *cli.Context) error {
		bench.switches(func(name string) bool { return anywhere(c, name) })
		if err := checkUsage(c, append(benchFlags.faults(), bench.validate(benchFlags)...)); err != nil {
			return err
		}
		return runBench(c.Context, bench, log, stdout, stderr)
	}
	nodeAction := func(c *cli.Context) error {
		node.endWithStdin, node.dropApply, node.join = c.Bool("end-with-stdin"), c.Bool("test-drop-apply"), c.Bool("join")
		if err := checkUsage(c, append(nodeFlags.faults(), node.validate(nodeFlags)...)); err != nil {
			return err
		}
		level.Set(node.log)
		return runNode(c.Context, node, stdin, stdout, log)
	}
	return &cli.App{
		Name:  "raftbench",
		Usage: "run a Raft cluster under load and measure it",
		Description: "Without a command, raftbench does what \"run\" does. GOMAXPROCS is 3 x the CPUs while the nodes share\n" +
			"this process, as three processes would have together, unless the environment sets it.\n\n" +
			"Exit status: 0 measured and verified, 1 failed, 2 wrong command line, 3 a regression was found, 130 interrupted (the result is partial).",
		Version: buildVersion(), HideHelpCommand: true, Writer: stdout, ErrWriter: stderr,
		Flags: benchFlags.flags, Action: runAction, OnUsageError: usageFault,
		ExitErrHandler: func(*cli.Context, error) {}, // run decides about the exit status
		Commands: []*cli.Command{
			{
				Name: "run", Usage: "run a cluster under load and print what it did", HideHelpCommand: true,
				Flags: benchFlags.flags, Action: runAction, OnUsageError: usageFault,
			},
			{
				Name: "sweep", Usage: "run one cluster after the other while settings vary, and print a table", HideHelpCommand: true,
				Description: "Settings that take several values, divided by \"/\", are tried in every combination: --nodes 3/5/7 --clients 1/256.",
				Flags:       sweep.settings.flags, OnUsageError: usageFault,
				Action: func(c *cli.Context) error {
					sweep.run.switches(c.Bool)
					if err := checkUsage(c, append(sweep.settings.faults(), sweep.run.validate(sweep.settings)...)); err != nil {
						return err
					}
					return runSweep(c.Context, sweep, log, stdout, stderr)
				},
			},
			scenarioCommand(&runConfig{stderr: stderr, logLevel: level}, log, stdout, stderr),
			loadCommand(&runConfig{stderr: stderr, logLevel: level}, log, stdout, stderr),
			guardCommand(stdout, stderr),
			compareCommand(stdout),
			reportCommand(stdout),
			{
				Name: "node", Usage: "be one member of a cluster, serving RaftClient to anyone, until SIGINT or SIGTERM", HideHelpCommand: true,
				Flags: nodeFlags.flags, Action: nodeAction, OnUsageError: usageFault,
			},
		},
	}
}

// anywhere says whether a flag was given, before or after the command's name.
func anywhere(c *cli.Context, name string) bool {
	for _, l := range c.Lineage() {
		if l.Command != nil && l.Bool(name) {
			return true
		}
	}
	return false
}

// checkUsage turns faults, and arguments that nobody asked for, into one error.
func checkUsage(c *cli.Context, faults []error) error {
	if c.Args().Present() {
		faults = append([]error{fmt.Errorf("unexpected argument %q", c.Args().First())}, faults...)
	}
	if len(faults) == 0 {
		return nil
	}
	return &usageError{faults, hint(c)}
}

// usageFault reports what the flag parser refused.
func usageFault(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		if len(name) > 2 {
			name = "-" + name // the parser drops a dash
		}
		err = fmt.Errorf("unknown flag %s", name)
	}
	return &usageError{[]error{err}, hint(c)}
}

func hint(c *cli.Context) string {
	name := "raftbench"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != name {
		name += " " + c.Command.Name
	}
	return "Run \"" + name + " --help\" for the flags."
}

// lockedWriter lets several goroutines write whole lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
