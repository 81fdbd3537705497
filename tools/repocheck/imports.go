package repocheck

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Layer says what the packages of one folder may import. A package belongs to the
// layer with the longest Dir that contains it.
//
// Entries of May and Test are folders of this repository ("codec", everything
// below included) or module paths of others. A package may always import its own
// layer's folder.
type Layer struct {
	Dir  string
	May  []string
	Std  []string            // the only standard packages allowed; nil: all of them
	Test []string            // _test.go files: these too, and all of std
	Only map[string][]string // others: import -> prefixes of the names of the files that may have it
}

// Modules that appear in several rows.
const (
	apacheThrift = "github.com/apache/thrift"
	msgpack      = "github.com/vmihailenco/msgpack/v5"
	pebble       = "github.com/cockroachdb/pebble/v2"
	cli          = "github.com/urfave/cli/v2"
	toml         = "github.com/BurntSushi/toml"
	hdrHistogram = "github.com/HdrHistogram/hdrhistogram-go"
	prometheus   = "github.com/prometheus/client_golang"
	porcupine    = "github.com/anishathalye/porcupine"
)

// testOnly are the modules that any test may use and nothing else.
var testOnly = []string{
	"go.uber.org/goleak",
	"pgregory.net/rapid",
	"github.com/cockroachdb/datadriven",
	porcupine,
}

// layers is the import direction of ARCHITECTURE.md, top to bottom. A folder that
// no row covers may hold no Go code: a new layer begins with a row here.
var layers = []Layer{
	{Dir: "."}, // generate.go: a go:generate line, no code
	{Dir: "cmd", May: []string{"engine", "engine/enginetest", "wal", "transport", "gen", "codec", "histogram", cli, hdrHistogram}, Test: []string{apacheThrift}},
	{Dir: "cmd/raftbench", May: []string{"cmd/internal", "engine", "engine/enginetest", "wal", "transport", "gen", "codec", "histogram", cli, hdrHistogram}, Test: []string{apacheThrift}},
	{Dir: "cmd/raftkv", May: []string{"cmd/internal", "engine", "engine/enginetest", "wal", "transport", "gen", "codec", "histogram", cli, toml, pebble, prometheus}, Test: []string{apacheThrift}},
	{Dir: "examples", May: []string{"engine", "engine/enginetest", "wal", "transport", "gen", "codec", "histogram"}},
	{Dir: "examples/kvdisk", May: []string{"engine", "engine/enginetest", "examples/internal", pebble}},
	{Dir: "benchmarks", May: []string{"engine", "engine/enginetest", "wal", "transport", "gen", "codec", "histogram", apacheThrift, msgpack}},
	{Dir: "engine/enginetest", May: []string{"engine", "engine/internal", "wal", "transport", "gen", "codec", "histogram"}},
	{Dir: "engine", May: []string{"engine/internal", "wal", "transport", "gen", "codec", "histogram"}, Test: []string{"engine/enginetest"}},
	{Dir: "engine/prometheus", May: []string{"engine", "transport", "gen", "histogram", prometheus}},
	{Dir: "engine/internal/sim", May: []string{"engine/internal", "wal", "transport", "gen", "codec", "histogram"}},
	{Dir: "engine/internal/sim/disk", May: []string{"engine/internal/sim/schedule", pebble}, Test: []string{"wal"}}, // the disk is one of pebble's file systems
	// What judges a run shares nothing with what runs.
	{Dir: "engine/internal/sim/model", May: []string{"gen/raftpb"}},
	{Dir: "engine/internal/sim/invariant", May: []string{"gen/raftpb"}, Test: []string{"engine/internal/sim/model"}},
	{Dir: "engine/internal/sim/oracle", May: []string{"gen/raftpb", porcupine}},
	{Dir: "engine/internal/runtime", May: []string{"engine/internal/raft", "engine/internal/snapshot", "wal", "transport", "gen", "codec", "histogram"}},
	{Dir: "engine/internal/snapshot", May: []string{"wal", "gen/raftpb", "codec"}},
	{
		Dir: "engine/internal/raft",
		May: []string{"gen/raftpb"},
		Std: []string{"cmp", "errors", "fmt", "hash/crc32", "math", "math/bits", "math/rand/v2", "slices", "strconv"},
	},
	{
		Dir: "engine/internal/session",
		May: []string{"gen/raftpb", "codec"},
		Std: []string{"bytes", "cmp", "encoding/binary", "errors", "fmt", "math", "slices", "sort"},
	},
	{
		Dir:  "wal",
		May:  []string{"gen", "codec", "histogram"},
		Only: map[string][]string{pebble: {"catalog", "pebble", "vfs"}},
		Test: []string{pebble, "wal/crashfs"},
	},
	{Dir: "wal/crashfs", May: []string{pebble}}, // the disk of tests is one of pebble's file systems
	{Dir: "transport", May: []string{"gen", "codec", "histogram"}, Test: []string{apacheThrift}},
	{Dir: "histogram", Std: []string{"math/bits", "sync/atomic", "time"}},
	{Dir: "gen", May: []string{"codec", apacheThrift}, Test: []string{msgpack}},
	{Dir: "codec", May: []string{apacheThrift, msgpack}, Test: []string{"gen"}},
	{Dir: "tools", May: []string{"codec"}, Test: []string{"gen", apacheThrift, msgpack}},
}

// checkImports compares every import with the table. Modules nested in this
// repository have dependencies of their own and are left alone.
func checkImports(t *Tree, table []Layer) []Fault {
	var faults []Fault
	for _, g := range t.Go {
		if g.Nested {
			continue
		}
		layer := layerOf(table, g.Dir())
		if layer == nil {
			faults = append(faults, Fault{Path: g.Path, Text: "no layer of the import table covers " + g.Dir() + ": add a row, or put the code where one does"})
			continue
		}
		for _, spec := range g.AST.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if text := layer.refuse(table, t.Module, g, imported); text != "" {
				faults = append(faults, Fault{Path: g.Path, Line: t.line(spec.Pos()), Text: text})
			}
		}
	}
	return faults
}

func layerOf(table []Layer, dir string) *Layer {
	var best *Layer
	for i := range table {
		if l := &table[i]; within(dir, l.Dir) && (best == nil || len(l.Dir) > len(best.Dir)) {
			best = l
		}
	}
	return best
}

// refuse says why file g of this layer may not import the package, or "".
func (l *Layer) refuse(table []Layer, module string, g *GoFile, imported string) string {
	local, own := strings.CutPrefix(imported, module+"/")
	switch {
	case isStd(imported):
		if l.Std == nil || g.Test() || slices.Contains(l.Std, imported) {
			return ""
		}
		return fmt.Sprintf("imports %s: %s may import only %s", imported, l.Dir, l.allowed())
	case own && within(local, l.Dir) && layerOf(table, local) == l:
		return ""
	}
	for _, may := range l.May {
		if within(local, may) {
			return ""
		}
	}
	if g.Test() {
		for _, may := range slices.Concat(l.Test, testOnly) {
			if within(local, may) {
				return ""
			}
		}
	}
	for other, prefixes := range l.Only {
		if !within(local, other) {
			continue
		}
		if hasAnyPrefix(path.Base(g.Path), prefixes) {
			return ""
		}
		return fmt.Sprintf("imports %s: in %s only files named %s*.go may", local, l.Dir, strings.Join(prefixes, "*.go, "))
	}
	return fmt.Sprintf("imports %s: %s may import only %s", local, l.Dir, l.allowed())
}

func (l *Layer) allowed() string {
	std := "std"
	if l.Std != nil {
		std = strings.Join(l.Std, " ")
	}
	return strings.Join(append(slices.Clone(l.May), std), ", ")
}

// isStd reports whether the path is the standard library's: its first element has no dot.
func isStd(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// within reports whether p is dir or lies below it.
func within(p, dir string) bool {
	rest, ok := strings.CutPrefix(p, dir)
	return ok && (rest == "" || rest[0] == '/')
}

func hasAnyPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}
