package repocheck

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Limits of size. A screen is what a reader holds.
const (
	maxFuncLines = 70  // between the line of the name and the closing brace
	maxFileLines = 600 // of a Go file or template
)

// oversize is the ratchet: what is longer than the limit, and how long it is. It
// may shrink, never grow, and an entry that is no longer needed must go. Keys are
// paths, with "#Name" or "#Receiver.Name" behind for a function. A test that is
// one table may stand here for good; nothing else should.
var oversize = map[string]int{}

// checkSize finds functions and files over the limits, and entries of the ratchet
// that are too generous. Generated files may be as long as they need.
func checkSize(t *Tree, ratchet map[string]int) []Fault {
	c := sizes{ratchet: ratchet, seen: map[string]bool{}}
	for _, p := range t.paths() {
		if strings.HasSuffix(p, ".tmpl") {
			c.measure(p, p, 0, "file", strings.Count(string(t.Files[p]), "\n"), maxFileLines)
		}
	}
	for _, g := range t.Go {
		if g.Generated {
			continue
		}
		c.measure(g.Path, g.Path, 0, "file", t.Set.File(g.AST.Pos()).LineCount(), maxFileLines)
		for _, d := range g.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := t.line(fn.End()) - t.line(fn.Pos()) - 1
			c.measure(g.Path+"#"+funcName(fn), g.Path, t.line(fn.Pos()), "func "+funcName(fn), n, maxFuncLines)
		}
	}
	for key, n := range ratchet {
		if !c.seen[key] {
			c.faults = append(c.faults, Fault{Path: key, Text: fmt.Sprintf("the ratchet allows it %d lines, but it is within the limit or gone: delete the entry", n)})
		}
	}
	return c.faults
}

type sizes struct {
	ratchet map[string]int
	seen    map[string]bool
	faults  []Fault
}

func (c *sizes) measure(key, path string, line int, what string, n, limit int) {
	if n <= limit {
		return
	}
	allowed, ok := c.ratchet[key]
	c.seen[key] = true
	switch {
	case !ok:
		c.faults = append(c.faults, Fault{path, line, fmt.Sprintf("%s has %d lines, the limit is %d", what, n, limit)})
	case n > allowed:
		c.faults = append(c.faults, Fault{path, line, fmt.Sprintf("%s has grown to %d lines, the ratchet stands at %d", what, n, allowed)})
	case n < allowed:
		c.faults = append(c.faults, Fault{path, line, fmt.Sprintf("%s has shrunk to %d lines: lower its ratchet from %d", what, n, allowed)})
	}
}

// funcName is "Name" or "Receiver.Name".
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	e := fn.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

// Words that say nothing or that docs/glossary.md has another name for.
var (
	bannedWords    = []string{"Impl", "Manager", "Helper", "Helpers", "Util", "Utils", "Common", "Misc", "Shard", "Replicator", "Standby"}
	bannedPackages = []string{"util", "utils", "helper", "helpers", "common", "types", "misc", "base", "shared", "lib"}
)

// checkNames looks at package names and at exported identifiers.
func checkNames(t *Tree) []Fault {
	var faults []Fault
	for _, g := range t.Go {
		if slices.Contains(bannedPackages, g.AST.Name.Name) {
			faults = append(faults, Fault{g.Path, t.line(g.AST.Name.Pos()), "package name " + g.AST.Name.Name + " says nothing: name what is in it"})
		}
		for _, id := range exported(g.AST) {
			if text := badName(id); text != "" {
				faults = append(faults, Fault{g.Path, t.line(id.Pos()), text})
			}
		}
	}
	return faults
}

func badName(id *ast.Ident) string {
	words := camelWords(id.Name)
	for _, w := range words {
		if slices.Contains(bannedWords, w) {
			return fmt.Sprintf("%s: the word %s says nothing or has another name here (docs/glossary.md)", id.Name, w)
		}
	}
	return ""
}

// exported lists the exported names that a file declares: types, functions,
// methods, fields, constants and variables.
func exported(f *ast.File) []*ast.Ident {
	var out []*ast.Ident
	keep := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				out = append(out, id)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			keep(n.Name)
			return false
		case *ast.TypeSpec:
			keep(n.Name)
		case *ast.ValueSpec:
			keep(n.Names...)
		case *ast.Field:
			keep(n.Names...)
		}
		return true
	})
	return out
}

// camelWords splits "HTTPManagerID" into HTTP, Manager, ID.
func camelWords(name string) []string {
	var words []string
	runes, start := []rune(name), 0
	for i := 1; i < len(runes); i++ {
		lowerBefore := !unicode.IsUpper(runes[i-1])
		lowerAfter := i+1 < len(runes) && unicode.IsLower(runes[i+1])
		if unicode.IsUpper(runes[i]) && (lowerBefore || lowerAfter) {
			words, start = append(words, string(runes[start:i])), i
		}
	}
	return append(words, string(runes[start:]))
}

// Written in halves so that this file passes its own checks.
var (
	promise     = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	machinePath = regexp.MustCompile(`(?:^|[^\w.~/-])(/(?:wo` + `rk|ro` + `ot|ho` + `me/\w+|Us` + `ers/\w+|tmp/ba` + `sh)\b[\w./-]*)`)
)

// checkText looks at every line of every text file: no work promised in a
// comment (an issue keeps it), no path of somebody's machine.
func checkText(t *Tree) []Fault {
	var faults []Fault
	for _, p := range t.paths() {
		b := t.Files[p]
		if p == "go.sum" || p == "LICENSE" || hasElement(p, "testdata") || strings.IndexByte(string(b), 0) >= 0 {
			continue
		}
		lines(b, func(n int, line string) {
			if m := promise.FindString(line); m != "" {
				faults = append(faults, Fault{p, n, m + ": do it, or open an issue"})
			}
			if m := machinePath.FindStringSubmatch(line); m != nil {
				faults = append(faults, Fault{p, n, m[1] + " is a path of one machine"})
			}
		})
	}
	return faults
}

func imports(f *ast.File, path string) bool {
	for _, spec := range f.Imports {
		if spec.Path.Value == `"`+path+`"` {
			return true
		}
	}
	return false
}

// checkSleep refuses waiting by the clock in tests. Inside a synctest bubble the
// clock is a fake one and sleeping is exact: files that import testing/synctest
// are left alone, for what runs in their bubbles has names of its own.
func checkSleep(t *Tree) []Fault {
	var faults []Fault
	for _, g := range t.Go {
		if !g.Test() || imports(g.AST, "testing/synctest") {
			continue
		}
		chosen := map[ast.Stmt]bool{} // one way out of a select among others: a limit, not a sleep
		ast.Inspect(g.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CommClause:
				chosen[n.Comm] = true
			case *ast.CallExpr:
				if isCall(n, "time", "Sleep") {
					faults = append(faults, Fault{g.Path, t.line(n.Pos()), "time.Sleep in a test: wait for the event itself, or use testing/synctest"})
				}
			case *ast.ExprStmt: // <-time.After(d) with nothing else to wait for
				wait, ok := n.X.(*ast.UnaryExpr)
				if !ok || wait.Op != token.ARROW || chosen[n] {
					break
				}
				if call, ok := wait.X.(*ast.CallExpr); ok && isCall(call, "time", "After") {
					faults = append(faults, Fault{g.Path, t.line(n.Pos()), "<-time.After in a test is a sleep: wait for the event itself"})
				}
			}
			return true
		})
	}
	return faults
}

func isCall(call *ast.CallExpr, pkg, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}
