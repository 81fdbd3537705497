// Command raftgen writes Go from Thrift IDL: types, three codecs, services.
//
//	raftgen -out DIR [-I DIR]... [-allow-reserved] FILE...
//
// A file with "namespace go a.b" is written to DIR/a/b. DIR must be inside a Go module: the import paths of included
// files follow from it. Included files are read, not written; name them too if their code is wanted.
// -allow-reserved accepts names that official compilers up to 0.17 refuse.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/check"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/emit"
)

const usage = "usage: raftgen -out DIR [-I DIR]... [-allow-reserved] FILE..."

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run returns the exit code: 0; 1 when the IDL is wrong or a file cannot be written; 2 for bad use.
func run(args []string, stderr io.Writer) int {
	o, err := parseArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stderr, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "raftgen: %v; %s\n", err, usage)
		return 2
	}
	if err := generate(o, stderr); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// options are the command line.
type options struct {
	out      string
	includes []string
	files    []string
	reserved bool // accept names that older official compilers refuse
}

func parseArgs(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("raftgen", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.out, "out", "", "")
	fs.BoolVar(&o.reserved, "allow-reserved", false, "")
	fs.Func("I", "", func(dir string) error {
		o.includes = append(o.includes, dir)
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.files = fs.Args()
	switch {
	case o.out == "":
		return o, errors.New("-out is missing")
	case len(o.files) == 0:
		return o, errors.New("no FILE given")
	}
	return o, nil
}

// generate writes nothing unless everything could be generated. Warnings go to w.
func generate(o options, w io.Writer) error {
	config := check.Config{IncludeDirs: o.includes, ReadFile: os.ReadFile, AllowReserved: o.reserved}
	set, err := config.Load(o.files)
	if err != nil {
		return err
	}
	base, err := importBase(o.out)
	if err != nil {
		return fmt.Errorf("raftgen: %w", err)
	}
	files, err := emit.Emit(set, base)
	if err != nil {
		return fmt.Errorf("raftgen: %w", err)
	}
	for _, f := range files {
		name := filepath.Join(o.out, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("raftgen: %w", err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			return fmt.Errorf("raftgen: %w", err)
		}
	}
	for _, p := range set.All {
		for _, warning := range p.Warnings {
			fmt.Fprintf(w, "%s:%d:%d: warning: %s\n", p.Path, warning.Pos.Line, warning.Pos.Col, warning.Text)
		}
	}
	for _, unused := range emit.Unused(set) {
		if err := removeGenerated(filepath.Join(o.out, filepath.FromSlash(unused))); err != nil {
			return fmt.Errorf("raftgen: %w", err)
		}
	}
	return nil
}

// removeGenerated removes a file that an earlier run wrote; what somebody else wrote stays.
func removeGenerated(name string) error {
	data, err := os.ReadFile(name)
	if err != nil || !bytes.HasPrefix(data, []byte(emit.Header)) {
		return nil //nolint:nilerr // mostly there is no such file; one that cannot be read is not ours
	}
	return os.Remove(name)
}

// importBase returns the import path of the folder dir, from the go.mod above it.
func importBase(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for root := abs; ; root = filepath.Dir(root) {
		data, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			rel, err := filepath.Rel(root, abs)
			if err != nil {
				return "", err
			}
			return path.Join(modulePath(string(data)), filepath.ToSlash(rel)), nil
		}
		if root == filepath.Dir(root) {
			return "", fmt.Errorf("%s is not inside a Go module", dir)
		}
	}
}

// modulePath returns the path in the module line of a go.mod.
func modulePath(gomod string) string {
	for line := range strings.Lines(gomod) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "module"); ok {
			rest, _, _ = strings.Cut(rest, "//")
			return strings.Trim(strings.TrimSpace(rest), `"`)
		}
	}
	return ""
}
