package lock

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/check"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/parse"
)

func load(t *testing.T, files map[string]string) *ast.Set {
	t.Helper()
	set, err := check.Load([]string{"t.thrift"}, nil, func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestCompare runs the scripts of testdata: "file name=x" adds a file that can be included, "was" locks an IDL and shows
// its lock, "now" compares an IDL with the last lock and shows what is refused or what is new.
func TestCompare(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		files := map[string]string{}
		locked := ""
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			old := locked
			switch d.Cmd {
			case "file":
				var name string
				d.ScanArgs(t, "name", &name)
				files[name] = d.Input
				return ""
			case "was":
				old = ""
			}
			files["t.thrift"] = d.Input
			result, err := Compare(load(t, files), "t.lock", []byte(old))
			if err != nil {
				return err.Error() + "\n"
			}
			checkRoundTrip(t, files, result)
			if d.Cmd == "was" {
				locked = result.Text
				return strings.TrimPrefix(locked, header+"\n")
			}
			return strings.Join(append([]string{"accepted"}, result.Added...), "\n") + "\n"
		})
	})
}

// checkRoundTrip compares a lock with the IDL that it was made from: nothing is new.
func checkRoundTrip(t *testing.T, files map[string]string, result Result) {
	t.Helper()
	again, err := Compare(load(t, files), "t.lock", []byte(result.Text))
	if err != nil || len(again.Added) > 0 || again.Text != result.Text {
		t.Errorf("its own lock: %v, added %q", err, again.Added)
	}
}

func TestBadLock(t *testing.T) {
	set := load(t, map[string]string{"t.thrift": "struct A { 1: i32 a }"})
	for text, want := range map[string]string{
		"hello\n":                                `t.lock:1:1: found the line "hello", expected a line written by idlcheck -update`,
		"# x\n\nstruct A x\n":                    `t.lock:3:1: found the line "struct A x", expected a line written by idlcheck -update`,
		"struct\n":                               `t.lock:1:1: found the line "struct", expected a line written by idlcheck -update`,
		"struct A reserved x y\n":                `t.lock:1:1: found the line "struct A reserved x y", expected a line written by idlcheck -update`,
		"<<<<<<< HEAD\n":                         `t.lock:1:1: found the line "<<<<<<< HEAD", expected a line written by idlcheck -update`,
		strings.Repeat("#", MaxBytes+1):          "t.lock: found a lock of 4194305 bytes, expected at most 4194304",
		"struct A\nstruct A 1 i32 a default\n":   "",
		"struct A\r\nstruct A 1 i32 a default\r": "",
	} {
		_, err := Compare(set, "t.lock", []byte(text))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzLock compares a fixed IDL with any lock: no panic, and what is refused is refused with a list of places.
func FuzzLock(f *testing.F) {
	src, err := os.ReadFile("../../raftgen/check/testdata/accepted/shared/base.thrift")
	if err != nil {
		f.Fatal(err)
	}
	set, err := check.Load([]string{"t.thrift"}, nil, func(string) ([]byte, error) { return src, nil })
	if err != nil {
		f.Fatal(err)
	}
	f.Add("enum Level\nenum Level 0 NONE\nenum Level reserved 7\n")
	f.Add("struct Item\nstruct Item 1 Level level default = 1\nexception Oops\n")
	f.Add("service Root extends Other\nservice Root 1 stop void(1:Item item) oneway\nservice Root 1 throws 1 Oops oops\n")
	f.Add("union Item\n\nstruct Gone\nstruct Gone 1 i32 a optional\n# comment\nstruct  Item  2 \n")
	f.Fuzz(func(t *testing.T, old string) {
		result, err := Compare(set, "t.lock", []byte(old))
		var faults parse.Errors
		if err != nil && (!errors.As(err, &faults) || len(faults) == 0) {
			t.Fatalf("not a list of faults: %v", err)
		}
		if err == nil && result.Lines == 0 {
			t.Error("nothing locked")
		}
	})
}
