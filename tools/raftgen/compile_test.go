package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/check"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/emit"
)

// includesItsName includes another file of the same name and namespace: both would be the same Go file.
const includesItsName = "lib/php/test/Resources/ThriftTest.thrift"

const home = "github.com/seed-814fcd60/raftwire"

// TestApacheFiles generates code from every IDL file of the official repository that package check accepts, with all
// that it includes, and vets it.
func TestApacheFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles some 200 packages; run without -short")
	}
	root := strings.TrimSpace(command(t, ".", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/apache/thrift"))
	var sets []*ast.Set
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".thrift" || strings.HasSuffix(path, includesItsName) {
			return err
		}
		config := check.Config{ReadFile: os.ReadFile, AllowReserved: true, IncludeDirs: includeDirs(path)}
		if set, err := config.Load([]string{path}); err == nil { // package check tests which files it refuses
			sets = append(sets, set)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sets) < 150 {
		t.Errorf("only %d files", len(sets))
	}
	// Those that include most come first, and what was included need not be done again.
	slices.SortStableFunc(sets, func(a, b *ast.Set) int { return len(b.All) - len(a.All) })
	done := map[string]bool{}
	dir := module(t)
	for i, set := range sets {
		if done[set.Roots[0].Path] {
			continue
		}
		set.Roots = set.All
		name := fmt.Sprintf("f%d", i)
		out, err := emit.Emit(set, "example.com/m/"+name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), out)
		for _, p := range set.All {
			done[p.Path] = true
		}
	}
	command(t, dir, "go", "vet", "./...")
}

// includeDirs returns the folders above a file, for trees whose includes start at their root.
func includeDirs(path string) []string {
	dir := filepath.Dir(path)
	return []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))}
}

// module makes a module that uses this one.
func module(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(gomod), "module "+home+"\n")
	var kept strings.Builder
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "tool ") {
			kept.WriteString(line)
		}
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, []emit.File{
		{Path: "go.sum", Data: sum},
		{Path: "go.mod", Data: fmt.Appendf(nil, "module example.com/m\n%s\nrequire %s v0.0.0\nreplace %s => %s\n", kept.String(), home, home, root)},
	})
	return dir
}

func write(t *testing.T, dir string, files []emit.File) {
	t.Helper()
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// command runs a program in dir and returns what it prints.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
