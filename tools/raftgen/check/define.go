package check

import (
	"strconv"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// definition checks one definition whose types are resolved, and evaluates its values.
func (r *resolver) definition(def ast.Def) {
	switch d := def.(type) {
	case *ast.Const:
		d.Value = r.value(d.Expr, d.Type)
	case *ast.Typedef:
		r.max(d.Type)
		if n, ok := r.maxAnnotation(d.Type, d.Annotations); ok {
			d.Type.Max = n
		}
	case *ast.Enum:
		r.enum(d)
	case *ast.Struct:
		r.record(d)
	case *ast.Service:
		r.service(d)
	}
}

func (r *resolver) enum(e *ast.Enum) {
	seen := map[string]ast.Pos{}
	for _, v := range e.Values {
		r.checkName(v.Name, v.Pos)
		if first, ok := seen[v.Name]; ok {
			r.again(v.Pos, "enum value "+v.Name, first)
			continue
		}
		seen[v.Name] = v.Pos
	}
}

func (r *resolver) record(s *ast.Struct) {
	var withDefault *ast.Field
	for _, f := range s.Fields {
		if s.Kind != ast.Union {
			continue
		}
		if f.Requiredness == ast.Required {
			r.fail(f.Pos, "the required field "+f.Name+" in a union", "no required field there: exactly one field is set")
		}
		f.Requiredness = ast.Optional
		if f.Expr != nil && withDefault != nil {
			r.fail(f.Pos, "a second default in a union, for "+f.Name, "at most one, which "+withDefault.Name+" has")
		}
		if f.Expr != nil {
			withDefault = f
		}
	}
	r.fields(s.Fields)
}

// fields checks a list of fields, arguments, or xsd_attrs.
func (r *resolver) fields(fields []*ast.Field) {
	r.uniqueFields(fields)
	for _, f := range fields {
		r.max(f.Type)
		f.Max = f.Type.Max
		if n, ok := r.maxAnnotation(f.Type, f.Annotations); ok {
			f.Max = n
		}
		if f.Expr != nil {
			f.Value = r.value(f.Expr, f.Type)
		}
		r.fields(f.XsdAttrs)
	}
}

func (r *resolver) uniqueFields(fields []*ast.Field) {
	names, ids := map[string]*ast.Field{}, map[int16]*ast.Field{}
	for _, f := range fields {
		r.checkName(f.Name, f.Pos)
		if first := names[f.Name]; first != nil {
			r.again(f.Pos, "field "+f.Name, first.Pos)
		}
		if first := ids[f.ID]; first != nil {
			r.fail(f.Pos, "field "+f.Name+" with the id "+strconv.Itoa(int(f.ID))+" of field "+first.Name, "another id")
		}
		names[f.Name], ids[f.ID] = f, f
	}
}

// max sets Max of a type and of the types in it.
func (r *resolver) max(t *ast.Type) {
	if t.Key != nil {
		r.max(t.Key)
	}
	if t.Elem != nil {
		r.max(t.Elem)
	}
	if n, ok := r.maxAnnotation(t, t.Annotations); ok {
		t.Max = n
		return
	}
	if t.Kind == ast.KindTypedef {
		t.Max = r.maxOfTypedef(t.Typedef)
	}
}

// maxOfTypedef reads the annotations themselves: the typedef may stand further down and not be checked yet.
func (r *resolver) maxOfTypedef(d *ast.Typedef) int64 {
	for {
		for _, list := range []ast.Annotations{d.Annotations, d.Type.Annotations} {
			if text, ok := list.Get("max"); ok && isSized(d.Type.True().Kind) {
				n, _ := strconv.ParseInt(text, 10, 32)
				return n
			}
		}
		if d.Type.Kind != ast.KindTypedef {
			return 0
		}
		d = d.Type.Typedef
	}
}

func isSized(k ast.Kind) bool {
	return k == ast.KindString || k == ast.KindBinary || k == ast.KindList || k == ast.KindSet || k == ast.KindMap
}

// maxAnnotation reads (max = "n") where it says something: on other types it belongs to someone else's tool.
func (r *resolver) maxAnnotation(t *ast.Type, list ast.Annotations) (int64, bool) {
	text, ok := list.Get("max")
	if !ok || !isSized(t.True().Kind) {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		r.fail(r.annotationPos(list, "max"), "max = "+strconv.Quote(text), "a whole number from 1 to 2147483647")
	}
	return n, true
}

func (r *resolver) annotationPos(list ast.Annotations, key string) ast.Pos {
	var pos ast.Pos
	for _, a := range list {
		if a.Key == key {
			pos = a.Pos
		}
	}
	return pos
}

func (r *resolver) service(s *ast.Service) {
	if s.Extends != "" {
		switch base := r.lookup(s.Extends).(type) {
		case nil:
			r.fail(s.ExtendsPos, "the unknown service "+s.Extends, "a service defined above or included")
		case *ast.Service:
			s.Base = base
			if !r.above(base) {
				s.Base = nil
				r.fail(s.ExtendsPos, "service "+s.Extends+", defined only at "+lineCol(base.Pos), "a service defined above")
			}
		default:
			r.fail(s.ExtendsPos, "the "+word(base)+" "+s.Extends, "a service")
		}
	}
	names, ids := map[string]*ast.Service{}, map[int]string{}
	for base := s.Base; base != nil; base = base.Base {
		for _, f := range base.Functions {
			names[f.Name], ids[f.NativeID] = base, f.Name
		}
	}
	for _, f := range s.Functions {
		r.checkName(f.Name, f.Pos)
		if owner := names[f.Name]; owner != nil {
			r.fail(f.Pos, "function "+f.Name+", which service "+owner.Name+" has already", "another name")
		}
		names[f.Name] = s
		r.function(f)
		if first := ids[f.NativeID]; f.NativeID != 0 && first != "" {
			r.fail(f.Pos, "function "+f.Name+" with the native id "+strconv.Itoa(f.NativeID)+" of "+first, "another id")
		}
		ids[f.NativeID] = f.Name
	}
}

func (r *resolver) function(f *ast.Function) {
	if f.Oneway && f.Result.Kind != ast.KindVoid {
		r.fail(f.Result.Pos, "the result "+f.Result.String()+" of the oneway function "+f.Name, "void: it has no answer")
	}
	if f.Oneway && len(f.Throws) > 0 {
		r.fail(f.Throws[0].Type.Pos, "throws of the oneway function "+f.Name, "none: it has no answer")
	}
	r.max(f.Result)
	r.fields(f.Args)
	r.uniqueFields(f.Throws)
	for _, thrown := range f.Throws {
		r.thrown(thrown)
	}
	if text, ok := f.Annotations.Get("id"); ok {
		id, err := strconv.ParseUint(text, 10, 16)
		if err != nil || id == 0 {
			r.fail(r.annotationPos(f.Annotations, "id"), "id = "+strconv.Quote(text), "a whole number from 1 to 65535")
		}
		f.NativeID = int(id)
	}
}

func (r *resolver) thrown(f *ast.Field) {
	t := f.Type.True()
	switch {
	case t.Kind == ast.KindInvalid:
	case t.Kind != ast.KindStruct || t.Struct.Kind != ast.Exception:
		r.fail(f.Type.Pos, "the type "+f.Type.String()+" in a throws list", "an exception")
	case !r.above(t.Struct):
		r.fail(f.Type.Pos, "exception "+t.Struct.Name+", defined only at "+lineCol(t.Struct.Pos), "an exception defined above")
	}
	if f.Expr != nil {
		r.fail(f.Expr.Pos, "a default for the exception "+f.Name, "none in a throws list")
	}
}

// markRecursive sets Recursive on the fields by which a record contains itself by value. Such a circle stays within one
// program, because includes have no cycles: it is a strongly connected component of the graph "holds by value".
func markRecursive(p *ast.Program) {
	g := &holds{number: map[*ast.Struct]int{}, low: map[*ast.Struct]int{}, component: map[*ast.Struct]int{}}
	for _, s := range p.Structs {
		if g.number[s] == 0 {
			g.visit(s)
		}
	}
	for _, s := range p.Structs {
		for _, f := range s.Fields {
			if held := heldByValue(f); held != nil && held.Program == p {
				f.Recursive = g.component[held] == g.component[s]
			}
		}
	}
}

func heldByValue(f *ast.Field) *ast.Struct {
	if f.Requiredness == ast.Optional {
		return nil
	}
	return f.Type.True().Struct
}

// holds is Tarjan's algorithm over the records of one program; numbers and components count from 1.
type holds struct {
	number, low, component map[*ast.Struct]int
	stack                  []*ast.Struct
	components             int
}

func (g *holds) visit(s *ast.Struct) {
	g.number[s] = len(g.number) + 1
	g.low[s] = g.number[s]
	g.stack = append(g.stack, s)
	for _, f := range s.Fields {
		held := heldByValue(f)
		switch {
		case held == nil || held.Program != s.Program || g.component[held] != 0:
		case g.number[held] == 0:
			g.visit(held)
			g.low[s] = min(g.low[s], g.low[held])
		default:
			g.low[s] = min(g.low[s], g.number[held])
		}
	}
	if g.low[s] != g.number[s] {
		return
	}
	g.components++
	for {
		last := g.stack[len(g.stack)-1]
		g.stack = g.stack[:len(g.stack)-1]
		g.component[last] = g.components
		if last == s {
			return
		}
	}
}
