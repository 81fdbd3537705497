package repocheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// repository reads this repository once for all tests of the package.
var repository = sync.OnceValues(func() (*Tree, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return Load(os.DirFS(dir))
		}
		if dir == filepath.Dir(dir) {
			return nil, errors.New("no go.mod above the working directory")
		}
	}
})

// TestRepository holds this repository to its own rules, one subtest per rule.
func TestRepository(t *testing.T) {
	tree, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Go) == 0 {
		t.Fatal("no Go file found: nothing would be checked")
	}
	for name, check := range map[string]func(*Tree) []Fault{
		"imports":      func(t *Tree) []Fault { return checkImports(t, layers) },
		"size":         func(t *Tree) []Fault { return checkSize(t, oversize) },
		"names":        checkNames,
		"text":         checkText,
		"sleep":        checkSleep,
		"lengths":      func(t *Tree) []Fault { return checkLengths(t, lengths) },
		"links":        checkLinks,
		"dependencies": checkDependencies,
		"records":      checkRecords,
		"securitydoc":  func(t *Tree) []Fault { return checkSecurity(t, limited) },
		"requirements": checkRequirements,
		"bugs":         checkBugs,
		"logs":         func(t *Tree) []Fault { return checkLogs(t, logDirs) },
		"symbols":      func(t *Tree) []Fault { return checkSymbols(t, symbolDocs) },
	} {
		t.Run(name, func(t *testing.T) { report(t, check(tree)) })
	}
	t.Run("examples", func(t *testing.T) {
		var patterns []string
		for _, dir := range exampled {
			patterns = append(patterns, "./../../"+dir)
		}
		report(t, checkExamples(tree, exportData(t, patterns...), exampled, withoutExample))
	})
	t.Run("core", func(t *testing.T) {
		faults, err := checkCore(tree, coreDir, exportData(t, "./../../"+coreDir))
		if err != nil {
			t.Fatal(err)
		}
		report(t, faults)
	})
}

// TestReadmeProgram runs the program in README.md: the first thing that a reader
// tries must work as printed.
func TestReadmeProgram(t *testing.T) {
	tree, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(tree.Files["README.md"]), "```go\n")
	program, rest, _ := strings.Cut(rest, "```\n")
	_, rest, _ = strings.Cut(rest, "```\n")
	want, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("README.md: want a program in a Go block and its output in the block behind it")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", file)
	run.Dir = "../.." // the module that it imports
	var complaint bytes.Buffer
	run.Stderr = &complaint
	out, err := run.Output()
	if err != nil {
		t.Fatalf("go run: %v\n%s", err, complaint.Bytes())
	}
	if string(out) != want {
		t.Errorf("the program printed\n%s\nand README.md says\n%s", out, want)
	}
}

func report(t *testing.T, faults []Fault) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

// exportData returns an importer for all that the packages import, from the
// export data in Go's build cache.
func exportData(t *testing.T, packages ...string) types.Importer {
	t.Helper()
	var complaint bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Export"}, packages...)...)
	list.Stderr = &complaint
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaint.Bytes())
	}
	files := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
	}
	tree, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	return importer.ForCompiler(tree.Set, "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(files[path])
	})
}

// texts renders faults for comparison, in a stable order.
func texts(faults []Fault) []string {
	out := make([]string, 0, len(faults))
	for _, f := range faults {
		out = append(out, f.String())
	}
	slices.Sort(out)
	return out
}
