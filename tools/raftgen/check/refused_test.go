package check

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/parse"
)

// files is a file system in memory.
type files map[string]string

func (f files) read(path string) ([]byte, error) {
	if text, ok := f[path]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

// runScript runs one file of testdata: "file name=x" adds a file, "load" loads its input as t.thrift beside them and
// answers with every fault, or with every warning and "accepted".
func runScript(t *testing.T, path string, each func(d *datadriven.TestData, all files)) {
	all := files{}
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "file" {
			var name string
			d.ScanArgs(t, "name", &name)
			all[name] = d.Input + "\n"
			return ""
		}
		all["t.thrift"] = d.Input + "\n"
		if each != nil {
			each(d, all)
			return d.Expected
		}
		set, err := Config{ReadFile: all.read, AllowReserved: d.HasArg("allow-reserved")}.Load([]string{"t.thrift"})
		if err != nil {
			checkFaults(t, err, all)
			return err.Error() + "\n"
		}
		return warnings(set) + "accepted\n"
	})
}

func warnings(set *ast.Set) string {
	var b strings.Builder
	for _, program := range set.All {
		for _, w := range program.Warnings {
			b.WriteString("warning " + lineCol(w.Pos) + ": " + w.Text + "\n")
		}
	}
	return b.String()
}

// checkFaults checks what holds for every error: it is parse.Errors, sorted, and each points into its file.
func checkFaults(t *testing.T, err error, all files) {
	t.Helper()
	var faults parse.Errors
	if !errors.As(err, &faults) || len(faults) == 0 || len(faults) > parse.MaxErrors {
		t.Fatalf("not a list of 1 to %d faults: %v", parse.MaxErrors, err)
	}
	for i, fault := range faults {
		if fault.Found == "" {
			t.Errorf("fault %d does not say what was found: %v", i, fault)
		}
		if i > 0 && faults[i-1].File == fault.File && fault.Before(faults[i-1].Pos) {
			t.Errorf("fault %d stands before fault %d: %v", i, i-1, err)
		}
		if fault.Line == 0 {
			continue // a file that cannot be read has no lines
		}
		checkInside(t, fault.Pos, all[fault.File])
	}
}

func checkInside(t *testing.T, pos ast.Pos, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimPrefix(text, "\uFEFF"), "\n")
	if pos.Line < 1 || pos.Line > len(lines) || pos.Col < 1 || pos.Col > len(lines[pos.Line-1])+1 {
		t.Errorf("%v is outside of the file", pos)
	}
}

func TestRefused(t *testing.T) {
	datadriven.Walk(t, "testdata/refused", func(t *testing.T, path string) { runScript(t, path, nil) })
}
