package repocheck

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// exampled are the packages whose exported functions and methods must be used in an Example.
var exampled = []string{
	"engine", "engine/enginetest", "engine/prometheus", "transport", "transport/transporttest", "codec", "codec/codectest",
	"wal", "wal/waltest", "histogram",
}

// withoutExample says what needs no Example, and why.
var withoutExample = map[string]string{
	"Error":  "implements error",
	"Unwrap": "for errors.Is and errors.As",
	"Is":     "for errors.Is",
	"String": "implements fmt.Stringer",

	"codec/codectest.Run":                  "needs a test: the package documentation shows it",
	"wal/waltest.TestLog":                  "likewise",
	"wal/waltest.TestCatalog":              "likewise",
	"transport/transporttest.Run":          "likewise",
	"engine/enginetest.TestStateMachine":   "likewise; its one-shot form Conformance.Check has an Example",
	"engine/enginetest.Simulate":           "likewise; its one-shot form Machine.Run has an Example",
	"engine/enginetest.Mutants":            "needs a build with the tag mutants",
	"engine/prometheus.Collector.Collect":  "a registry calls it",
	"engine/prometheus.Collector.Describe": "a registry calls it",
	"engine.Host.ServeCall":                "the network calls it",

	"codec.SortedKeys":           "generated code calls it",
	"codec.SortedKeysFunc":       "generated code calls it",
	"codec.Sorted":               "generated code calls it",
	"codec.SortedFunc":           "generated code calls it",
	"codec.SortedPairs":          "generated code calls it",
	"codec.BinaryKey":            "generated code calls it",
	"codec.MapBytes":             "generated code calls it",
	"codec.NonNilSlice":          "generated code calls it",
	"codec.NonNilMap":            "generated code calls it",
	"codec.StructInfo.FieldName": "generated code calls it",
	"codec.StructInfo.FieldID":   "generated code calls it",
	"codec.UnknownMethod":        "generated code calls it",
	"codec.Reply":                "generated code calls it",

	"wal.CrashFS.Create":        "implements FS: the log calls it",
	"wal.CrashFS.Open":          "implements FS: the log calls it",
	"wal.CrashFS.OpenDir":       "implements FS: the log calls it",
	"wal.CrashFS.OpenReadWrite": "implements FS: the log calls it",
	"wal.CrashFS.ReuseForWrite": "implements FS: the log calls it",
	"wal.SlowFS.Create":         "implements FS: the log calls it",
	"wal.SlowFS.OpenDir":        "implements FS: the log calls it",
	"wal.SlowFS.OpenReadWrite":  "implements FS: the log calls it",
	"wal.SlowFS.ReuseForWrite":  "implements FS: the log calls it",
}

// checkExamples holds the public packages to a rule: every exported function, and every
// exported method of an exported type, is used by an Example that runs (one with an output),
// in its body, in functions of the same test package that it calls, or in methods of types
// there that it names. exempt says what
// needs none, and why: entries like "dir.Func" and "dir.Type.Method", and methods of every type
// as "Method". One that is not needed is a fault.
func checkExamples(t *Tree, imports types.Importer, dirs []string, exempt map[string]string) []Fault {
	used := map[string]bool{}
	for _, dir := range dirs {
		for _, files := range t.testPackages(dir) {
			path := t.Module + "/" + dir
			if strings.HasSuffix(files[0].Name.Name, "_test") {
				path += "_test"
			}
			t.usedInExamples(path, files, imports, used)
		}
	}
	var faults []Fault
	needed := map[string]bool{}
	for _, dir := range dirs {
		for _, e := range t.entries(dir) {
			short := e.name[strings.LastIndexByte(e.name, '.')+1:]
			switch {
			case used[e.name]:
			case exempt[e.name] != "":
				needed[e.name] = true
			case e.method && exempt[short] != "":
				needed[short] = true
			default:
				faults = append(faults, Fault{e.path, e.line, e.name + " is used in no runnable Example"})
			}
		}
	}
	for name := range exempt {
		if !needed[name] {
			faults = append(faults, Fault{Path: "tools/repocheck", Text: fmt.Sprintf("the exemption of %s from the Examples is not needed", name)})
		}
	}
	return faults
}

// entry is an exported function or method.
type entry struct {
	name, path string
	line       int
	method     bool
}

// entries lists what a package exports, of files that are always built.
func (t *Tree) entries(dir string) []entry {
	var all []entry
	for _, g := range t.Go {
		if g.Dir() != dir || g.Test() || !built(g.AST, false) {
			continue
		}
		for _, d := range g.AST.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			e := entry{name: dir + "." + f.Name.Name, path: g.Path, line: t.line(f.Pos()), method: f.Recv != nil}
			if e.method {
				of := receiver(f.Recv.List[0].Type)
				if !token.IsExported(of) {
					continue
				}
				e.name = dir + "." + of + "." + f.Name.Name
			}
			all = append(all, e)
		}
	}
	return all
}

// testPackages are the test packages of a folder that have Examples: the one beside the
// package, and the package itself with its tests.
func (t *Tree) testPackages(dir string) [][]*ast.File {
	var beside, inside []*ast.File
	for _, g := range t.Go {
		switch {
		case g.Dir() != dir || g.Nested || !built(g.AST, false):
		case strings.HasSuffix(g.AST.Name.Name, "_test"):
			beside = append(beside, g.AST)
		default:
			inside = append(inside, g.AST)
		}
	}
	return slices.DeleteFunc([][]*ast.File{beside, inside}, func(files []*ast.File) bool { return len(files) == 0 || len(doc.Examples(files...)) == 0 })
}

// usedInExamples adds what the runnable Examples of a package use.
func (t *Tree) usedInExamples(path string, files []*ast.File, imports types.Importer, used map[string]bool) {
	info := types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	// What tests alone import, or see of the package under test, is not there: errors are expected.
	config := types.Config{Importer: imports, Error: func(error) {}}
	_, _ = config.Check(path, t.Set, files, &info)
	bodies := map[types.Object][]*ast.FuncDecl{} // of a function; of a type: of its methods
	runs := map[string]bool{}
	for _, e := range doc.Examples(files...) {
		runs["Example"+e.Name] = e.Output != "" || e.EmptyOutput
	}
	var next []*ast.FuncDecl
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				of := info.Defs[f.Name]
				if m, ok := of.(*types.Func); ok && f.Recv != nil {
					of = typeOf(m)
				}
				bodies[of] = append(bodies[of], f)
				if f.Recv == nil && runs[f.Name.Name] {
					next = append(next, f)
				}
			}
		}
	}
	seen := map[*ast.FuncDecl]bool{}
	for len(next) > 0 {
		f := next[0]
		next = next[1:]
		if seen[f] {
			continue
		}
		seen[f] = true
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			of := info.Uses[id]
			if called, ok := of.(*types.Func); ok {
				used[t.nameOf(called)] = true
				of = called.Origin()
			}
			if of != nil {
				next = append(next, bodies[of]...)
			}
			return true
		})
	}
}

// nameOf names a function as entries does.
func (t *Tree) nameOf(f *types.Func) string {
	if f.Pkg() == nil {
		return ""
	}
	name := strings.TrimPrefix(f.Pkg().Path(), t.Module+"/") + "."
	if of := typeOf(f); of != nil {
		name += of.Name() + "."
	}
	return name + f.Name()
}

// typeOf is the type of a method; nil: f is none.
func typeOf(f *types.Func) types.Object {
	recv := f.Signature().Recv()
	if recv == nil {
		return nil
	}
	of := recv.Type()
	if p, ok := of.(*types.Pointer); ok {
		of = p.Elem()
	}
	if named, ok := of.(*types.Named); ok {
		return named.Obj()
	}
	return nil
}
