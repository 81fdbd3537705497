package emit

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// constView is one constant. What Go has no constants for is returned by a function, so that nobody can change it.
type constView struct {
	Doc, Go, Type, Value string
	Func                 bool
}

func (g *generator) constViews() []constView {
	var vs []constView
	for _, c := range g.prog.Consts {
		v := constView{Go: g.names.def(g.prog, c)}
		v.Doc = comment(v.Go+" is a constant of "+path.Base(g.prog.Path)+".", c.Doc)
		value := *c.Value
		value.Const = nil // do not refer to itself
		if c.Expr != nil && c.Expr.Kind == ast.ExprName && c.Value.Const != nil && c.Value.Const != c {
			value.Const = c.Value.Const
		}
		v.Value = g.literal(&value)
		switch k := c.Type.True().Kind; {
		case k >= ast.KindBinary && k != ast.KindEnum, isFunc(c.Value):
			v.Func, v.Type = true, g.goType(c.Type)
		case c.Type.Kind == ast.KindTypedef || k == ast.KindEnum:
			v.Type = g.goType(c.Type)
		}
		vs = append(vs, v)
	}
	return vs
}

// literal returns the Go expression for a value of the type it was declared with.
func (g *generator) literal(v *ast.Value) string {
	t := v.Type.True()
	if c := v.Const; c != nil && t.Kind < ast.KindBinary && c.Type.Kind == v.Type.Kind && c.Type.Typedef == v.Type.Typedef {
		if isFunc(c.Value) {
			return g.qualified(c.Program, c) + "()"
		}
		return g.qualified(c.Program, c)
	}
	switch t.Kind {
	case ast.KindBool:
		return strconv.FormatBool(v.Bool)
	case ast.KindI8, ast.KindI16, ast.KindI32, ast.KindI64:
		return strconv.FormatInt(v.Int, 10)
	case ast.KindDouble:
		if isFunc(v) {
			return "math.Copysign(0, -1)" // Go has no constant for it
		}
		s := strconv.FormatFloat(v.Double, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	case ast.KindString:
		return strconv.Quote(v.Text)
	case ast.KindBinary:
		return g.goType(v.Type) + "(" + strconv.Quote(v.Text) + ")"
	case ast.KindUUID:
		return g.goType(v.Type) + byteList(v.UUID[:])
	case ast.KindEnum:
		if v.Member != nil {
			return g.qualified(v.Member.Enum.Program, v.Member)
		}
		return fmt.Sprintf("%s(%d)", g.goType(v.Type), v.Int)
	default:
		return g.composite(v, t)
	}
}

// isFunc reports whether a scalar has no constant in Go: the double -0.
func isFunc(v *ast.Value) bool {
	return v.Type.True().Kind == ast.KindDouble && v.Double == 0 && math.Signbit(v.Double)
}

func byteList(b []byte) string {
	parts := make([]string, len(b))
	for i, c := range b {
		parts[i] = fmt.Sprintf("%#02x", c)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// composite returns the literal of a container or struct.
func (g *generator) composite(v *ast.Value, t *ast.Type) string {
	var parts []string
	for _, e := range v.List {
		parts = append(parts, g.element(t.Elem, e))
	}
	for _, p := range v.Map {
		if hashable(t.Key) {
			parts = append(parts, g.element(t.Key, p.Key)+": "+g.element(t.Elem, p.Value))
		} else {
			parts = append(parts, fmt.Sprintf("{Key: %s, Value: %s}", g.literal(p.Key), g.literal(p.Value)))
		}
	}
	if t.Kind == ast.KindStruct {
		parts = g.structParts(v, t.Struct)
	}
	return g.goType(v.Type) + "{" + strings.Join(parts, ", ") + "}"
}

// element returns the literal of an element, without its type where Go lets it be left out.
func (g *generator) element(t *ast.Type, v *ast.Value) string {
	lit := g.literal(v)
	if rest, ok := strings.CutPrefix(lit, g.goType(t)); ok && strings.HasPrefix(rest, "{") {
		return rest
	}
	return lit
}

// structParts returns the fields of a struct's literal: those that v sets, and the defaults of others.
func (g *generator) structParts(v *ast.Value, s *ast.Struct) []string {
	set := fieldValues(v, s)
	var parts []string
	for _, f := range g.other(s).Fields {
		for _, af := range s.Fields {
			if af.ID == f.ID && set[af] != nil {
				parts = append(parts, f.Go+": "+g.held(f, set[af]))
			}
		}
	}
	return parts
}

// held returns the expression for a field that holds v.
func (g *generator) held(f *field, v *ast.Value) string {
	lit := g.literal(v)
	switch f.Form {
	case opt:
		return g.use(codecPath) + ".Some[" + g.goType(f.T) + "](" + lit + ")"
	case pointer:
		return "&" + lit
	}
	return lit
}

// Reset returns the body of the record's Reset.
func (r *record) Reset() string {
	var parts, steps []string
	fresh := true // a literal does: no nested struct has capacity to keep
	for _, f := range r.Fields {
		x := "m." + f.Go
		k := f.T.True().Kind
		slice := k == ast.KindList || k == ast.KindSet || k == ast.KindMap && !hashable(f.T.True().Key)
		value := ""
		switch {
		case f.Default != nil && r.Kind != ast.Union && f.Form == plain && slice && len(f.Default.List) > 0:
			elements := make([]string, len(f.Default.List)) // with their types, which only a literal lets leave out
			for i, e := range f.Default.List {
				elements[i] = r.g.literal(e)
			}
			value = "append(" + x + "[:0], " + strings.Join(elements, ", ") + ")"
		case f.Default != nil && r.Kind != ast.Union:
			value = r.g.held(f, f.Default)
		case f.Form == plain && slice:
			value = x + "[:0]"
		case f.Form == plain && k == ast.KindStruct:
			steps, fresh = append(steps, x+".Reset()"), false
			continue
		}
		if value != "" {
			parts = append(parts, f.Go+": "+value)
		} else {
			value = r.zero(f)
		}
		steps = append(steps, x+" = "+value)
	}
	if fresh {
		return "*m = " + r.Go + "{" + strings.Join(parts, ", ") + "}"
	}
	return strings.Join(steps, "\n")
}

// zero returns the zero value of a field's type.
func (r *record) zero(f *field) string {
	if f.Form == opt {
		return f.GoType() + "{}"
	}
	switch k := f.T.True().Kind; k {
	case ast.KindBool:
		return "false"
	case ast.KindString:
		return `""`
	case ast.KindUUID:
		return r.g.goType(f.T) + "{}"
	default:
		if f.Form != plain || k == ast.KindBinary || k == ast.KindMap {
			return "nil"
		}
	}
	return "0"
}
