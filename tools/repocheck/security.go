package repocheck

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// limitsDoc lists every limit of the code and the test that shows it.
const limitsDoc = "docs/security.md"

// limited names the structs whose bounds limitsDoc must list, as folder.Struct.
var limited = []string{
	"codec.Limits", "transport.Config", "engine.Config", "engine/internal/raft.Config", "wal.Options",
	"engine/internal/snapshot.Options", "engine.SnapshotConfig",
}

var (
	limitField = regexp.MustCompile(`^Max[A-Z]|Bytes$|Timeout$|^Spares$`)
	testName   = regexp.MustCompile("`([a-z][a-z0-9/]*)\\.((?:Test|Fuzz)[A-Z]\\w*)`")
)

// checkSecurity holds limitsDoc to the code, in both directions: every test that it
// names exists and runs with nothing but Go installed; every row of a table with the
// column "shown by" names one; and every bound that a configuration has is in it.
func checkSecurity(t *Tree, structs []string) []Fault {
	text, ok := t.Files[limitsDoc]
	if !ok {
		return []Fault{{Path: limitsDoc, Text: "is missing"}}
	}
	faults := checkShownBy(text)
	prose(text, func(n int, line string) {
		for _, m := range testName.FindAllStringSubmatch(line, -1) {
			if wrong := t.testFault(m[1], m[2]); wrong != "" {
				faults = append(faults, Fault{limitsDoc, n, m[1] + "." + m[2] + " " + wrong})
			}
		}
	})
	for _, name := range structs {
		fields := t.limitFields(name)
		if len(fields) == 0 {
			faults = append(faults, Fault{Path: limitsDoc, Text: name + " is no struct with limits"})
		}
		for _, field := range fields {
			if !strings.Contains(string(text), "`"+name+"."+field+"`") {
				faults = append(faults, Fault{Path: limitsDoc, Text: fmt.Sprintf("does not list `%s.%s`", name, field)})
			}
		}
	}
	return faults
}

// checkShownBy finds rows without a test in tables whose last column is "shown by".
func checkShownBy(doc []byte) []Fault {
	var faults []Fault
	tables := 0
	inside := false
	prose(doc, func(n int, line string) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case last == "shown by":
			inside = true
			tables++
		case inside && strings.Trim(last, "-: ") != "" && !testName.MatchString(last):
			faults = append(faults, Fault{limitsDoc, n, "the row names no test"})
		}
	})
	if tables == 0 {
		faults = append(faults, Fault{Path: limitsDoc, Text: `has no table with the column "shown by"`})
	}
	return faults
}

// testFault says what is wrong with the test name of folder dir, or "".
func (t *Tree) testFault(dir, name string) string {
	for _, g := range t.Go {
		if g.Dir() != dir || !g.Test() {
			continue
		}
		for _, d := range g.AST.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || f.Name.Name != name {
				continue
			}
			switch {
			case g.Nested:
				return "is in another module: go test ./... does not run it"
			case !built(g.AST, false):
				return "is behind a build tag"
			case skips(f):
				return "skips itself"
			}
			return ""
		}
	}
	return "is not there"
}

// skips reports whether a function calls Skip, Skipf or SkipNow of its t or f.
func skips(f *ast.FuncDecl) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name) {
			x, name := s.X.(*ast.Ident)
			found = found || name && (x.Name == "t" || x.Name == "f")
		}
		return !found
	})
	return found
}

// limitFields lists the exported fields of folder.Struct that are bounds.
func (t *Tree) limitFields(name string) []string {
	dir, want, _ := strings.Cut(name, ".")
	var out []string
	for _, g := range t.Go {
		if g.Dir() != dir || g.Test() {
			continue
		}
		for _, d := range g.AST.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.TypeSpec)
				if st, ok := spec.Type.(*ast.StructType); ok && spec.Name.Name == want {
					out = append(out, boundsOf(st)...)
				}
			}
		}
	}
	return out
}

func boundsOf(st *ast.StructType) []string {
	var out []string
	for _, f := range st.Fields.List {
		for _, name := range f.Names {
			if name.IsExported() && limitField.MatchString(name.Name) {
				out = append(out, name.Name)
			}
		}
	}
	return out
}
