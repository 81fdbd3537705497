package repocheck

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
)

// symbolDocs tell the way through the code by its names.
var symbolDocs = []string{"ARCHITECTURE.md", limitsDoc}

// symbolName is folder.Name or folder.Type.Name, in a code span of its own.
var symbolName = regexp.MustCompile("`([a-z][a-z0-9/]*)\\.([A-Za-z]\\w*(?:\\.[A-Za-z]\\w*)?)`")

// checkSymbols finds names of the code, in the documents given, that the code no longer has.
// What does not begin with a folder of ours is left alone.
func checkSymbols(t *Tree, docs []string) []Fault {
	names := t.symbols()
	var faults []Fault
	for _, p := range docs {
		prose(t.Files[p], func(n int, line string) {
			for _, m := range symbolName.FindAllStringSubmatch(line, -1) {
				if have, ours := names[m[1]]; ours && !slices.Contains(fileEndings, m[2]) && !have[m[2]] {
					faults = append(faults, Fault{p, n, fmt.Sprintf("%s has no %s", m[1], m[2])})
				}
			}
		})
	}
	return faults
}

// fileEndings tell a file from a name: codec.go is no Name of codec.
var fileEndings = []string{"go", "md", "thrift", "lock"}

// symbols lists what each folder declares: Name, Type.Method, Type.Field.
func (t *Tree) symbols() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, g := range t.Go {
		if out[g.Dir()] == nil {
			out[g.Dir()] = map[string]bool{}
		}
		for _, d := range g.AST.Decls {
			declared(d, out[g.Dir()])
		}
	}
	return out
}

func declared(d ast.Decl, names map[string]bool) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = receiver(d.Recv.List[0].Type) + "." + name
		}
		names[name] = true
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, id := range s.Names {
					names[id.Name] = true
				}
			case *ast.TypeSpec:
				names[s.Name.Name] = true
				for _, member := range members(s.Type) {
					names[s.Name.Name+"."+member] = true
				}
			}
		}
	}
}

// receiver is the name of a method's type, without star and type parameters.
func receiver(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// members are the fields of a struct or the methods of an interface.
func members(e ast.Expr) []string {
	var list *ast.FieldList
	switch x := e.(type) {
	case *ast.StructType:
		list = x.Fields
	case *ast.InterfaceType:
		list = x.Methods
	default:
		return nil
	}
	var out []string
	for _, f := range list.List {
		for _, id := range f.Names {
			out = append(out, id.Name)
		}
		if len(f.Names) == 0 {
			out = append(out, receiver(f.Type)) // embedded
		}
	}
	return out
}
