// Command raftkv is a replicated key-value store: a node, and its client.
//
//	raftkv serve                      one node, in ./raftkv-data
//	raftkv put greeting hello         write
//	raftkv get greeting               read
//
// It is also the worked example of package engine: a state machine on disk (internal/store), a Thrift service of its
// own (idl/kv.thrift, internal/service), and the settings that a program has to make.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/cmd/internal/cmdline"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Exit statuses.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitNo      = 3 // get, del: no such key; cas: not swapped
	exitUnknown = 4 // it may have happened
	exitNoNode  = 5
	// Of "serve".
	exitLogFailed   = 10
	exitDiskFull    = 11
	exitDamaged     = 12
	exitWrongDir    = 13
	exitAmnesia     = 14
	exitDirInUse    = 15
	exitInterrupted = 130
)

const exitHelp = `Exit status:
  0  asked to stop, and stopped
  1  failed in another way than those below
  2  wrong flags or configuration
  10 a write or sync of the log failed: what was not acknowledged may be lost; start again
  11 the disk is full
  12 the data is damaged, and was refused
  13 the directory belongs to another cluster or node
  14 the cluster refuses this node: its directory is not the one it had, so that it would have forgotten its votes, or
     the cluster was recovered without it
  15 another process uses the directory`

const clientHelp = `Exit status:
  0 done
  1 refused, or failed with no effect
  2 wrong arguments
  3 no: the key does not exist, or has another value than expected
  4 unknown: the write may have happened, or may still happen
  5 no node could be reached`

// stopLimit is how long a stop may take after a signal.
const stopLimit = 5 * time.Second

func main() {
	// What this process writes is nobody else's.
	syscall.Umask(0o077)
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		restore() // a second signal ends the process as if nobody had asked for the first
		time.AfterFunc(stopLimit, func() {
			fmt.Fprintf(os.Stderr, "raftkv: not stopped %v after a signal: giving up\n", stopLimit)
			os.Exit(exitInterrupted)
		})
	})
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run is the program, but for signals and the end of the process. It returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := newApp(stdin, stdout, stderr)
	err := app.RunContext(ctx, cmdline.FlagsFirst(app, args))
	if err == nil {
		return 0
	}
	var no *noError
	if !errors.As(err, &no) || no.text != "" {
		fmt.Fprintf(stderr, "raftkv: %s\n", oneLine(err))
	}
	return statusOf(err)
}

// statusOf is the exit status that tells err.
func statusOf(err error) int {
	var usage *usageError
	var no *noError
	var damage *wal.CorruptError
	var wrong *wal.IdentityError
	switch {
	case errors.As(err, &usage), errors.Is(err, engine.ErrConfig):
		return exitUsage
	case errors.As(err, &no):
		return exitNo
	case errors.Is(err, cluster.ErrUnknown):
		return exitUnknown
	case errors.Is(err, cluster.ErrNoNode):
		return exitNoNode
	case errors.Is(err, wal.ErrLocked):
		return exitDirInUse
	case errors.As(err, &wrong):
		return exitWrongDir
	case errors.As(err, &damage):
		return exitDamaged
	case errors.Is(err, engine.ErrAmnesia), errors.Is(err, engine.ErrOldEpoch):
		return exitAmnesia
	case errors.Is(err, wal.ErrNoSpace), errors.Is(err, syscall.ENOSPC):
		return exitDiskFull
	case errors.Is(err, wal.ErrFatal):
		return exitLogFailed
	}
	return exitFailed
}

// oneLine joins the lines of joined errors.
func oneLine(err error) string {
	return strings.Join(strings.Split(strings.TrimSpace(err.Error()), "\n"), "; ")
}

// usageError says what is wrong with a command line or a configuration.
type usageError struct{ cause error }

func (e *usageError) Error() string { return e.cause.Error() }

func (e *usageError) Unwrap() error { return e.cause }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func usageFault(_ *cli.Context, err error, _ bool) error { return &usageError{err} }

// noError is an answer that scripts want to see in the exit status.
type noError struct{ text string }

func (e *noError) Error() string { return e.text }

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name: "raftkv", Usage: "a replicated key-value store", HideHelpCommand: true, HideVersion: true,
		Writer: stdout, ErrWriter: stderr, OnUsageError: usageFault,
		ExitErrHandler: func(*cli.Context, error) {}, // run decides about the exit status
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("unknown command %q", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: append([]*cli.Command{serveCommand(stdout, stderr)}, clientCommands(stdin, stdout)...),
	}
}
