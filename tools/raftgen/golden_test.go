package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/check"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/emit"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files instead of comparing")

// TestGolden compares what is generated from testdata/golden with the files there, and vets them.
func TestGolden(t *testing.T) {
	compare(t, options{out: "testdata", files: []string{"testdata/golden/names.thrift", "testdata/golden/shop.thrift"}})
	command(t, ".", "go", "vet", "./testdata/golden/names", "./testdata/golden/shop")
}

// TestGenerated does the same for the files that the go:generate lines of the module write.
func TestGenerated(t *testing.T) {
	t.Chdir("../..")
	src, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(src)) {
		if args, ok := strings.CutPrefix(line, "//go:generate go tool raftgen "); ok {
			o, err := parseArgs(strings.Fields(args))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, o)
			n++
		}
	}
	if n == 0 {
		t.Fatal("generate.go has no line for raftgen")
	}
}

func compare(t *testing.T, o options) {
	t.Helper()
	set, err := check.Load(o.files, o.includes, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	base, err := importBase(o.out)
	if err != nil {
		t.Fatal(err)
	}
	files, err := emit.Emit(set, base)
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		write(t, o.out, files)
	}
	for _, f := range files {
		name := filepath.Join(o.out, filepath.FromSlash(f.Path))
		old, err := os.ReadFile(name)
		if err != nil {
			t.Errorf("%v; go test ./tools/raftgen -rewrite writes it", err)
			continue
		}
		if !bytes.Equal(old, f.Data) {
			t.Errorf("%s:%s; go generate or go test ./tools/raftgen -rewrite writes it", name, firstDifference(old, f.Data))
		}
	}
}

// firstDifference returns the line where two files begin to differ, and both texts there.
func firstDifference(old, now []byte) string {
	a, b := bytes.Split(old, []byte("\n")), bytes.Split(now, []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			return strings.Join([]string{"", "is:  " + string(a[i]), "now: " + string(b[i])}, "\n")
		}
	}
	return " the lengths differ"
}

// TestDeterministic emits twice and compares.
func TestDeterministic(t *testing.T) {
	emitOnce := func() []emit.File {
		set, err := check.Load([]string{"testdata/golden/shop.thrift"}, nil, os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		files, err := emit.Emit(set, "x")
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	first := emitOnce()
	for range 5 {
		for i, f := range emitOnce() {
			if f.Path != first[i].Path || !bytes.Equal(f.Data, first[i].Data) {
				t.Fatalf("%s differs from run to run", f.Path)
			}
		}
	}
}
