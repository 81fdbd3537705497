package repocheck

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestLengths(t *testing.T) {
	tree := invent(t, "README.md", strings.Repeat("x\n", 151), "FITS.md", strings.Repeat("x\n", 9))
	expect(t, checkLengths(tree, map[string]int{"README.md": 150, "FITS.md": 9, "GONE.md": 5}),
		"README.md: has 151 lines, the limit is 150",
		"GONE.md: is missing",
	)
}

func TestLinks(t *testing.T) {
	tree := invent(t,
		"docs/a.md", "# One `Title`, two!\n"+
			"[ok](b.md) [ok](../README.md#hop-1-size-check) [ok](#one-title-two) [ok](../docs) [ok](https://x.org/y.md)\n"+
			"[gone](c.md) and ![picture](pictures/x.png \"title\")\n"+
			"[bad](b.md#none) [out](../../etc)\n"+
			"`[code](nowhere.md)`\n```\n[block](nowhere.md)\n```\n",
		"docs/b.md", "text\n",
		"README.md", "## Hop 1: size check\n",
	)
	expect(t, checkLinks(tree),
		"docs/a.md:3: link to c.md: there is no docs/c.md",
		"docs/a.md:3: link to pictures/x.png: there is no docs/pictures/x.png",
		"docs/a.md:4: link to b.md#none: docs/b.md has no such heading",
		"docs/a.md:4: link to ../../etc: there is no ../etc",
	)
}

func TestDependencies(t *testing.T) {
	tree := invent(t,
		"codec/a.go", source("github.com/apache/thrift/lib/go/thrift"),
		"codec/a_test.go", source("go.uber.org/goleak"),
		"docs/dependencies.md", "| module | for |\n|---|---|\n| `github.com/apache/thrift` | protocol |\n| `example.com/old` | was |\n",
	)
	expect(t, checkDependencies(tree),
		"docs/dependencies.md: no line for go.uber.org/goleak, which codec/a_test.go imports",
		"docs/dependencies.md:4: example.com/old is not imported anywhere: delete the line",
	)
}

func TestRecords(t *testing.T) {
	const parts = "\n## Context\n\n## Choice\n\n## Price\n"
	tree := invent(t,
		"docs/adr/0001-first.md", "# 0001: First\n"+parts,
		"docs/adr/0003-third.md", "# 0004: Third\n"+parts,
		"docs/adr/0004-short.md", "# 0004: Short\n\n## Context\n\n## Choice\n",
		"docs/adr/notes.md", "x\n",
		"docs/adr/0005-long.md", "# 0005: Long\n"+parts+strings.Repeat("\n", 80),
	)
	expect(t, checkRecords(tree),
		"docs/adr/0003-third.md: the next record is number 0002",
		"docs/adr/0003-third.md:1: the title begins with \"# 0003: \"",
		"docs/adr/0004-short.md: the next record is number 0003",
		"docs/adr/0004-short.md: has no part ## Price",
		"docs/adr/0005-long.md: the next record is number 0004",
		"docs/adr/0005-long.md: has 87 lines, a page is 80",
		"docs/adr/notes.md: a record is named NNNN-title.md",
	)
}

func TestIgnored(t *testing.T) {
	tree := invent(t,
		".gitignore", "# built\n/bin/\n*.test\ndata/\n",
		"bin/x", "", "cmd/bin/x", "", "a/b.test", "", "a/data/x", "", "data", "", ".git/config", "",
	)
	for p, want := range map[string]bool{"bin/x": false, "cmd/bin/x": true, "a/b.test": false, "a/data/x": false, "data": true, ".git/config": false, ".gitignore": true} {
		if _, ok := tree.Files[p]; ok != want {
			t.Errorf("%s: read %v, want %v", p, ok, want)
		}
	}
	if _, err := Load(fstest.MapFS{"go.mod": {Data: []byte("module x\n")}, ".gitignore": {Data: []byte("a/**/b\n")}}); err == nil {
		t.Error("a pattern that is not understood was accepted")
	}
}
