package repocheck

import (
	"go/importer"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// invent makes a tree of the files given, as path and content in turn.
func invent(t *testing.T, files ...string) *Tree {
	t.Helper()
	m := fstest.MapFS{"go.mod": {Data: []byte("module example.org/house\n\ngo 1.26\n\nrequire (\n\tgithub.com/apache/thrift v0.25.0\n\tgo.uber.org/goleak v1.3.0 // indirect\n)\n")}}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	tree, err := Load(m)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// expect compares faults with the texts wanted, which may be given in any order.
func expect(t *testing.T, faults []Fault, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := texts(faults); !slices.Equal(got, want) {
		t.Errorf("faults:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// source is a Go file of package x that imports the packages given.
func source(imports ...string) string {
	var b strings.Builder
	b.WriteString("package x\n")
	for _, p := range imports {
		b.WriteString("import _ \"" + p + "\"\n")
	}
	return b.String()
}

func TestImportDirection(t *testing.T) {
	const house = "example.org/house/"
	const coreMay = "engine/internal/raft may import only gen/raftpb, cmp errors fmt hash/crc32 math math/bits math/rand/v2 slices strconv"
	for name, c := range map[string]struct {
		path    string
		imports []string
		want    []string
	}{
		"core imports its list":       {path: "engine/internal/raft/a.go", imports: []string{"fmt", "slices", house + "gen/raftpb"}},
		"core imports os":             {path: "engine/internal/raft/a.go", imports: []string{"os"}, want: []string{"engine/internal/raft/a.go:2: imports os: " + coreMay}},
		"core imports time":           {path: "engine/internal/raft/quorum/a.go", imports: []string{"time"}, want: []string{"engine/internal/raft/quorum/a.go:2: imports time: " + coreMay}},
		"core test imports os":        {path: "engine/internal/raft/a_test.go", imports: []string{"os", "pgregory.net/rapid"}},
		"core test imports runtime":   {path: "engine/internal/raft/a_test.go", imports: []string{house + "engine/internal/runtime"}, want: []string{"engine/internal/raft/a_test.go:2: imports engine/internal/runtime: " + coreMay}},
		"core imports its own parts":  {path: "engine/internal/raft/a.go", imports: []string{house + "engine/internal/raft/quorum"}},
		"core imports other gen":      {path: "engine/internal/raft/a.go", imports: []string{house + "gen/other"}, want: []string{"engine/internal/raft/a.go:2: imports gen/other: " + coreMay}},
		"codec imports gen":           {path: "codec/a.go", imports: []string{house + "gen/raftpb"}, want: []string{"codec/a.go:2: imports gen/raftpb: codec may import only github.com/apache/thrift, github.com/vmihailenco/msgpack/v5, std"}},
		"codec imports thrift":        {path: "codec/thrift/a.go", imports: []string{"github.com/apache/thrift/lib/go/thrift", house + "codec"}},
		"transport imports wal":       {path: "transport/a.go", imports: []string{house + "wal"}, want: []string{"transport/a.go:2: imports wal: transport may import only gen, codec, histogram, std"}},
		"wal's catalog has pebble":    {path: "wal/catalog_pebble.go", imports: []string{pebble}},
		"wal's log has pebble":        {path: "wal/log.go", imports: []string{pebble + "/vfs"}, want: []string{"wal/log.go:2: imports " + pebble + "/vfs: in wal only files named catalog*.go, pebble*.go, vfs*.go may"}},
		"runtime imports sim":         {path: "engine/internal/runtime/a.go", imports: []string{house + "engine/internal/sim"}, want: []string{"engine/internal/runtime/a.go:2: imports engine/internal/sim: engine/internal/runtime may import only engine/internal/raft, engine/internal/snapshot, wal, transport, gen, codec, histogram, std"}},
		"engine imports a stranger":   {path: "engine/a.go", imports: []string{"example.com/metrics"}, want: []string{"engine/a.go:2: imports example.com/metrics: engine may import only engine/internal, wal, transport, gen, codec, histogram, std"}},
		"a name that only begins so":  {path: "cmd/x/a.go", imports: []string{house + "walk"}, want: []string{"cmd/x/a.go:2: imports walk: cmd may import only engine, engine/enginetest, wal, transport, gen, codec, histogram, github.com/urfave/cli/v2, github.com/HdrHistogram/hdrhistogram-go, std"}},
		"test library in the product": {path: "engine/a.go", imports: []string{"go.uber.org/goleak"}, want: []string{"engine/a.go:2: imports go.uber.org/goleak: engine may import only engine/internal, wal, transport, gen, codec, histogram, std"}},
		"test library in a test":      {path: "engine/a_test.go", imports: []string{"go.uber.org/goleak"}},
		"a folder without a layer":    {path: "internal/a.go", want: []string{"internal/a.go: no layer of the import table covers internal: add a row, or put the code where one does"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, checkImports(invent(t, c.path, source(c.imports...)), layers), c.want...)
		})
	}
}

func TestImportsOfNestedModule(t *testing.T) {
	tree := invent(t, "benchmarks/peers/go.mod", "module peers\n", "benchmarks/peers/a.go", source("example.com/peer"))
	expect(t, checkImports(tree, layers))
}

func TestCoreIsAFunction(t *testing.T) {
	const tail = ": the core is a function of its events"
	tree := invent(t, "core/a.go", `package core

type table map[int]int

func pure(t table, s []int) int {
	for i := range s {
		t[i]++
	}
	return len(t)
}

func impure(t table, c chan int) {
	for range t {
	}
	go pure(t, nil)
	select {}
	c <- 1
	<-c
}
`, "core/on.go", "//go:build sabotage\n\npackage core\n\nconst on = true\n\nfunc hidden() { go hidden() }\n",
		"core/off.go", "//go:build !sabotage\n\npackage core\n\nconst on = false\n",
		"core/a_test.go", "package core\n\nfunc test(t table) {\n\tfor range t {\n\t}\n}\n")
	faults, err := checkCore(tree, "core", importer.Default())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, faults,
		"core/on.go:7: go statement"+tail,
		"core/a.go:12: channel type"+tail,
		"core/a.go:13: range over a map, whose order is random"+tail,
		"core/a.go:15: go statement"+tail,
		"core/a.go:16: select statement"+tail,
		"core/a.go:17: channel send"+tail,
		"core/a.go:18: channel receive"+tail,
	)
}

func TestSize(t *testing.T) {
	function := func(name string, lines int) string {
		return "func " + name + "() {\n" + strings.Repeat("\t_ = 0\n", lines) + "}\n"
	}
	tree := invent(t,
		"a/a.go", "package a\n"+function("fits", 70)+function("long", 71)+function("old", 75)+function("shrunk", 72)+function("grown", 80),
		"a/b.go", "package a\n\ntype T[K any] struct{}\n\nfunc (t *T[K]) m() {\n"+strings.Repeat("\n", 71)+"}\n",
		"a/big.go", "package a\n"+strings.Repeat("\n", 600),
		"a/gen.go", "// Code generated by raftgen from x.thrift. DO NOT EDIT.\n\npackage a\n"+function("generated", 700),
		"a/x.tmpl", strings.Repeat("\n", 601),
	)
	expect(t, checkSize(tree, map[string]int{"a/a.go#old": 75, "a/a.go#shrunk": 74, "a/a.go#grown": 79, "a/a.go#gone": 90}),
		"a/a.go:74: func long has 71 lines, the limit is 70",
		"a/a.go:298: func grown has grown to 80 lines, the ratchet stands at 79",
		"a/a.go:224: func shrunk has shrunk to 72 lines: lower its ratchet from 74",
		"a/a.go#gone: the ratchet allows it 90 lines, but it is within the limit or gone: delete the entry",
		"a/b.go:5: func T.m has 71 lines, the limit is 70",
		"a/big.go: file has 601 lines, the limit is 600",
		"a/x.tmpl: file has 601 lines, the limit is 600",
	)
}

func TestNames(t *testing.T) {
	tree := invent(t,
		"a/a.go", "package util\n\ntype LogManager struct{ WALHelper int }\n\nfunc (LogManager) managerOf() {}\n\nfunc Utility() {}\n\nconst StoreImpl, simpl = 1, 2\n",
		"b/a.go", "package b\n\ntype Importer interface{ Implement() }\n",
	)
	const tail = " says nothing or has another name here (docs/glossary.md)"
	expect(t, checkNames(tree),
		"a/a.go:1: package name util says nothing: name what is in it",
		"a/a.go:3: LogManager: the word Manager"+tail,
		"a/a.go:3: WALHelper: the word Helper"+tail,
		"a/a.go:9: StoreImpl: the word Impl"+tail,
	)
}

func TestText(t *testing.T) {
	tree := invent(t,
		"a.go", "package a\n\n// TO"+"DO: later\nvar x = context.TO"+"DO()\n",
		"a.md", "See /ro"+"ot/x, not https://host/work/, ./work or a/root/b.\nFIX"+"MES are fine\n",
		"x/testdata/old.txt", "/ho"+"me/alice/x",
		"run", "cd /tmp/ba"+"sh/x\n",
	)
	expect(t, checkText(tree),
		"a.go:3: TO"+"DO: do it, or open an issue",
		"a.go:4: TO"+"DO: do it, or open an issue",
		"a.md:1: /ro"+"ot/x is a path of one machine",
		"run:1: /tmp/ba"+"sh/x is a path of one machine",
	)
}

func TestSleep(t *testing.T) {
	body := `package a

func TestA(t *testing.T) {
	time.Sleep(1)
	<-time.After(1)
	select {
	case <-time.After(1):
	}
}
`
	bubbles := strings.Replace(body, "package a", "package a\nimport \"testing/synctest\"", 1)
	tree := invent(t, "a_test.go", body, "a.go", body, "b_test.go", bubbles)
	expect(t, checkSleep(tree),
		"a_test.go:4: time.Sleep in a test: wait for the event itself, or use testing/synctest",
		"a_test.go:5: <-time.After in a test is a sleep: wait for the event itself",
	)
}
