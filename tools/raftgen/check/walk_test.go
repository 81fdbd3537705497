package check

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// walker checks what package ast promises of a loaded set: everything is resolved, and what is resolved fits.
type walker struct {
	t    *testing.T
	path string
}

func (w *walker) fail(pos ast.Pos, text string) {
	w.t.Helper()
	w.t.Errorf("%s:%d:%d: %s", w.path, pos.Line, pos.Col, text)
}

func checkResolved(t *testing.T, set *ast.Set) {
	t.Helper()
	seen := map[*ast.Program]bool{}
	for _, p := range set.All {
		w := &walker{t, p.Path}
		for _, include := range p.Includes {
			if !seen[include.Program] {
				w.fail(include.Pos, "included later than its includer")
			}
		}
		seen[p] = true
		count := len(p.Consts) + len(p.Typedefs) + len(p.Enums) + len(p.Structs) + len(p.Services)
		if count != len(p.Defs) {
			w.fail(ast.Pos{}, "Defs is not all definitions")
		}
		for i, def := range p.Defs {
			if i > 0 && !p.Defs[i-1].DefPos().Before(def.DefPos()) {
				w.fail(def.DefPos(), "Defs is not in the order of the file")
			}
			if w.owner(def) != p {
				w.fail(def.DefPos(), "definition of another program")
			}
			w.def(def)
		}
	}
	for _, p := range set.Roots {
		if !seen[p] {
			t.Errorf("root %s is not in All", p.Path)
		}
	}
}

func (w *walker) owner(def ast.Def) *ast.Program {
	switch d := def.(type) {
	case *ast.Const:
		return d.Program
	case *ast.Typedef:
		return d.Program
	case *ast.Enum:
		return d.Program
	case *ast.Struct:
		return d.Program
	case *ast.Service:
		return d.Program
	}
	return nil
}

func (w *walker) def(def ast.Def) {
	switch d := def.(type) {
	case *ast.Const:
		w.typ(d.Type)
		w.value(d.Pos, d.Value, d.Type)
	case *ast.Typedef:
		w.typ(d.Type)
	case *ast.Enum:
		for _, v := range d.Values {
			if v.Enum != d {
				w.fail(v.Pos, "enum value of another enum")
			}
		}
	case *ast.Struct:
		w.fields(d.Fields)
		for _, f := range d.Fields {
			if d.Kind == ast.Union && f.Requiredness != ast.Optional {
				w.fail(f.Pos, "union field that is not optional")
			}
		}
	case *ast.Service:
		if (d.Extends != "") != (d.Base != nil) {
			w.fail(d.Pos, "base service not resolved")
		}
		for _, f := range d.Functions {
			if f.Result.Kind != ast.KindVoid {
				w.typ(f.Result)
			}
			w.fields(f.Args)
			w.fields(f.Throws)
			for _, e := range f.Throws {
				if s := e.Type.True().Struct; s == nil || s.Kind != ast.Exception {
					w.fail(e.Pos, "throws what is no exception")
				}
			}
		}
	}
}

func (w *walker) fields(fields []*ast.Field) {
	names, ids := map[string]bool{}, map[int16]bool{}
	for _, f := range fields {
		if names[f.Name] || ids[f.ID] || f.ID == 0 || f.Implicit != (f.ID < 0) {
			w.fail(f.Pos, "name or id used twice, or no id")
		}
		names[f.Name], ids[f.ID] = true, true
		w.typ(f.Type)
		if f.Expr != nil {
			w.value(f.Pos, f.Value, f.Type)
		}
		w.fields(f.XsdAttrs)
	}
}

func (w *walker) typ(t *ast.Type) {
	named := 0
	for _, set := range []bool{t.Typedef != nil, t.Enum != nil, t.Struct != nil} {
		if set {
			named++
		}
	}
	switch t.Kind {
	case ast.KindInvalid, ast.KindNamed, ast.KindVoid:
		w.fail(t.Pos, "type is "+t.Kind.String())
	case ast.KindTypedef, ast.KindEnum, ast.KindStruct:
		if named != 1 || t.Program() == nil {
			w.fail(t.Pos, "named type without its definition")
		}
		t.True()
	case ast.KindMap:
		w.typ(t.Key)
		w.typ(t.Elem)
	case ast.KindList, ast.KindSet:
		w.typ(t.Elem)
	}
	if t.Max < 0 || t.Max > 0 && !isSized(t.True().Kind) {
		w.fail(t.Pos, "Max where there is nothing to count")
	}
}

func (w *walker) value(pos ast.Pos, v *ast.Value, t *ast.Type) {
	if v == nil || v.Type != t {
		w.fail(pos, "value is nil or of another type")
		return
	}
	base := t.True()
	for _, item := range v.List {
		w.value(v.Pos, item, base.Elem)
	}
	for _, pair := range v.Map {
		w.value(v.Pos, pair.Key, base.Key)
		w.value(v.Pos, pair.Value, base.Elem)
	}
	for _, field := range v.Fields {
		w.value(v.Pos, field.Value, field.Field.Type)
	}
	if base.Kind == ast.KindEnum && (v.Member == nil || v.Member.Enum != base.Enum || v.Int != int64(v.Member.Number)) {
		w.fail(v.Pos, "enum value that is none of its enum")
	}
}
