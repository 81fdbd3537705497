// Command raftctl operates a Raftwire cluster and looks into it.
//
//	raftctl status                          how each node is
//	raftctl why                             what holds the cluster back, in a sentence
//	raftctl member add 4=d.example:7001     change who is in it
//	raftctl wal verify DIR                  check the log of a node that is not running
//
// Calls go to RaftClient and RaftAdmin of raft.thrift: what raftctl does, a program in any language can.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/cmd/internal/cmdline"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Exit statuses.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitUnknown = 4
	exitNoNode  = 5
)

const exitHelp = `Exit status:
  0 done
  1 refused or failed with no effect; of "wal verify", "hash": damage or a difference was found
  2 wrong arguments
  4 unknown: the change may have happened, or may still happen
  5 no node could be reached`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// errFound says that something is wrong with what was looked at. What there is to say was said.
var errFound = errors.New("found")

// run is the program, but for signals and its end. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, cmdline.FlagsFirst(app, args))
	if err == nil {
		return 0
	}
	if errors.Is(err, errFound) {
		return exitFailed
	}
	fmt.Fprintf(stderr, "raftctl: %s\n", strings.Join(strings.Split(strings.TrimSpace(err.Error()), "\n"), "; "))
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, cluster.ErrUnknown):
		return exitUnknown
	case errors.Is(err, cluster.ErrNoNode):
		return exitNoNode
	}
	return exitFailed
}

// usageError says what is wrong with a command line.
type usageError struct{ cause error }

func (e *usageError) Error() string { return e.cause.Error() }

func (e *usageError) Unwrap() error { return e.cause }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func usageFault(_ *cli.Context, err error, _ bool) error { return &usageError{err} }

func newApp(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name: "raftctl", Usage: "operate a Raftwire cluster and look into it", Description: exitHelp,
		HideHelpCommand: true, HideVersion: true, Writer: stdout, ErrWriter: stderr, OnUsageError: usageFault,
		ExitErrHandler: func(*cli.Context, error) {}, // run decides about the exit status
		Action:         unknownCommand,
		Commands: []*cli.Command{
			online("status", "how each of the endpoints is", "", 0, 0, nil, (*operation).status),
			online("why", "what holds the group back, in a sentence", "", 0, 0, nil, (*operation).why),
			online("hash", "compare the state of the endpoints by hashes", "", 0, 0, []cli.Flag{
				&cli.Int64Flag{Name: "at", Usage: "`INDEX` of the log; default: one that all endpoints can tell"},
			}, (*operation).hash),
			memberCommand(),
			online("transfer", "hand the leadership to a member, or to the best one", "[ID]", 0, 1, nil, (*operation).transfer),
			online("snapshot", "have each of the endpoints take a snapshot", "", 0, 0, nil, (*operation).snapshot),
			online("compact", "the same, and drop the log before it", "", 0, 0, nil, (*operation).compact),
			walCommand(),
			recoverCommand(),
		},
	}
}

func unknownCommand(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("unknown command %q", c.Args().First())
	}
	return cli.ShowAppHelp(c)
}

// online makes a command that calls a running cluster.
func online(name, text, args string, least, most int, flags []cli.Flag, do func(*operation, []string) error) *cli.Command {
	return &cli.Command{
		Name: name, Usage: text, ArgsUsage: args, Description: exitHelp, HideHelpCommand: true, OnUsageError: usageFault,
		Flags: append(append(cluster.Flags(), &cli.Int64Flag{Name: "group", Usage: "`ID` of the group", Value: 1}), flags...),
		Action: func(c *cli.Context) error {
			if c.NArg() < least || c.NArg() > most {
				return usage("%s: want %s", name, strings.TrimSpace(args+" "))
			}
			calls, err := cluster.FromFlags(c)
			if err != nil {
				return &usageError{err}
			}
			ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
			defer cancel()
			o := &operation{ctx: ctx, c: c, cluster: calls, group: raftpb.GroupID(c.Int64("group")), out: c.App.Writer}
			return errors.Join(do(o, c.Args().Slice()), calls.Close())
		},
	}
}

// operation is a command that calls the cluster.
type operation struct {
	ctx     context.Context //nolint:containedctx // a command's, for its whole life
	c       *cli.Context
	cluster *cluster.Client
	group   raftpb.GroupID
	out     io.Writer
}

type object = cluster.Object

func (o *operation) json() bool { return o.c.Bool("json") }

func (o *operation) printJSON(v any) error {
	e := json.NewEncoder(o.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// print prints what became of a command: for people a line, for scripts an object.
func (o *operation) print(v object, format string, args ...any) error {
	if o.json() {
		return o.printJSON(v)
	}
	_, err := fmt.Fprintf(o.out, format+"\n", args...)
	return err
}
