package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// FuzzLoad loads two files, the first of which may include the second. Whatever they hold: no panic; every fault points
// into its file; what is accepted is resolved, and is accepted again with the same result.
func FuzzLoad(f *testing.F) {
	for _, path := range []string{"../../../idl/raft.thrift", "testdata/accepted/types.thrift",
		"testdata/accepted/values.thrift", "testdata/accepted/docs.thrift", "testdata/accepted/uuid.thrift"} {
		f.Add(readSeed(f, path), "")
	}
	base := readSeed(f, "testdata/accepted/shared/base.thrift")
	f.Add(readSeed(f, "testdata/accepted/includes.thrift"), base)
	for _, script := range refusedSeeds(f) {
		f.Add(script, base)
	}
	f.Fuzz(func(t *testing.T, main, included string) {
		all := files{"main.thrift": main, "base.thrift": included, "shared/base.thrift": included}
		set, err := Load([]string{"main.thrift"}, []string{"shared"}, all.read)
		if err != nil {
			checkFaults(t, err, all)
			return
		}
		checkResolved(t, set)
		again, err := Load([]string{"main.thrift"}, []string{"shared"}, all.read)
		if err != nil {
			t.Fatalf("the second time: %v", err)
		}
		for i, p := range set.All {
			checkPositions(t, p, all[p.Path])
			if a, b := dump(p), dump(again.All[i]); a != b {
				compareLines(t, p.Path, a, b)
			}
		}
	})
}

func checkPositions(t *testing.T, p *ast.Program, text string) {
	t.Helper()
	for _, def := range p.Defs {
		checkInside(t, def.DefPos(), text)
	}
	for _, w := range p.Warnings {
		checkInside(t, w.Pos, text)
	}
}

func readSeed(f *testing.F, path string) string {
	f.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}

// refusedSeeds returns the inputs of testdata/refused.
func refusedSeeds(f *testing.F) []string {
	f.Helper()
	paths, err := filepath.Glob("testdata/refused/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	var seeds []string
	for _, path := range paths {
		for _, part := range strings.Split(readSeed(f, path), "\nload")[1:] {
			input, _, _ := strings.Cut(part, "\n----")
			_, input, _ = strings.Cut(input, "\n")
			seeds = append(seeds, input)
		}
	}
	if len(seeds) < 100 {
		f.Fatalf("only %d seeds in testdata/refused", len(seeds))
	}
	return seeds
}
