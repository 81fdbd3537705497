// Command idlcheck compares an IDL file with its lock: what earlier versions of it have put on wires and disks.
//
//	idlcheck [-update] [-I DIR]... FILE.thrift
//
// The lock of idl/raft.thrift is idl/raft.lock. A change that old peers or old logs could not live with is refused with
// its place and the way out; -update writes what is new into the lock, and refuses the same changes. docs/spec/idl.md
// has the rules.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/idlcheck/lock"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/check"
)

const usage = "usage: idlcheck [-update] [-I DIR]... FILE.thrift"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0; 1 when the file breaks a rule, the lock is not up to date or cannot be used; 2 for bad use.
func run(args []string, stdout, stderr io.Writer) int {
	var include []string
	flags := flag.NewFlagSet("idlcheck", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprintln(stderr, usage) }
	update := flags.Bool("update", false, "write what is new into the lock")
	flags.Func("I", "search included files here too", func(dir string) error {
		include = append(include, dir)
		return nil
	})
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() != 1:
		fmt.Fprintln(stderr, usage)
		return 2
	}
	message, err := compare(flags.Arg(0), include, *update)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fmt.Fprintln(stdout, message)
	return 0
}

// compare checks the IDL file at path against its lock and says what it found or wrote.
func compare(path string, include []string, update bool) (string, error) {
	lockPath := strings.TrimSuffix(path, filepath.Ext(path)) + ".lock"
	set, err := check.Load([]string{path}, include, os.ReadFile)
	if err != nil {
		return "", err
	}
	old, err := os.ReadFile(lockPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	missing := err != nil
	result, err := lock.Compare(set, lockPath, old)
	switch {
	case err != nil:
		return "", err
	case !missing && len(result.Added) == 0:
		return lockPath + " is up to date", nil
	case update:
		return fmt.Sprintf("%s: %d lines written, %d of them new", lockPath, result.Lines, len(result.Added)),
			os.WriteFile(lockPath, []byte(result.Text), 0o644)
	case missing:
		return "", fmt.Errorf("%s does not exist: write it with idlcheck -update %s", lockPath, path)
	}
	return "", fmt.Errorf("%s lacks what is new: run idlcheck -update %s\n%s", lockPath, path, strings.Join(result.Added, "\n"))
}
