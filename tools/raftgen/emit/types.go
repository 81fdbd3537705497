package emit

import (
	"path"
	"slices"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// record is a struct, union or exception, or the arguments or the result of a method.
type record struct {
	Go     string // name of the type
	IDL    string // name on the wire and in errors
	Kind   ast.StructKind
	Doc    string
	Info   string   // variable with its names
	Hot    bool     // from (hot = "1"): worth more lines for more speed
	Fields []*field // in the order of the file
	Sorted []*field // by id, which is the order on the wire

	Method *method // of arguments and results
	IsArgs bool

	g *generator
}

// form is how a field is held.
type form int

const (
	plain   form = iota // the value: always written
	opt                 // codec.Opt
	pointer             // *T, nil when absent
	nilable             // a slice or map, nil when absent
)

// field is one field of a record.
type field struct {
	Go   string
	Name string // in the IDL
	ID   int16
	T    *ast.Type
	Doc  string
	Form form
	Max  int64 // from (max = "n"), 0 when there is none

	Required bool
	Default  *ast.Value
	record   *record
}

// Presence returns the condition under which the field is there, or "".
func (f *field) Presence() string {
	switch f.Form {
	case opt:
		return "m." + f.Go + ".Set"
	case pointer, nilable:
		return "m." + f.Go + " != nil"
	}
	return ""
}

// value returns the expression for the field's value, when it is there.
func (f *field) value() string {
	if f.Form == opt {
		return "m." + f.Go + ".Value"
	}
	return "m." + f.Go
}

// GoType returns the field's Go type.
func (f *field) GoType() string {
	t := f.record.g.goType(f.T)
	switch f.Form {
	case opt:
		return f.record.g.use(codecPath) + ".Opt[" + t + "]"
	case pointer:
		return "*" + t
	}
	return t
}

// records returns what a file holds methods for: in the service file the arguments and results, elsewhere all.
func (g *generator) records(template string) []*record {
	var rs []*record
	if template != "service.tmpl" {
		for _, s := range g.prog.Structs {
			rs = append(rs, g.record(s))
		}
	}
	if template != "types.tmpl" {
		for _, s := range g.services() {
			for _, m := range s.Methods {
				rs = append(rs, m.Records()...)
			}
		}
	}
	return rs
}

func (g *generator) record(s *ast.Struct) *record {
	r := &record{Go: g.names.def(g.prog, s), IDL: s.Name, Kind: s.Kind, g: g}
	r.Info = infoName(r.Go)
	r.Doc = comment(r.Go+" is "+article(s.Kind.String())+" "+s.Kind.String()+" of "+path.Base(g.prog.Path)+".", s.Doc)
	_, r.Hot = s.Annotations.Get("hot")
	sc := fieldScope()
	for _, f := range s.Fields {
		r.add(g.field(r, sc, f))
	}
	return r
}

func (r *record) add(f *field) {
	r.Fields = append(r.Fields, f)
	r.Sorted = append(r.Sorted, f)
	slices.SortStableFunc(r.Sorted, func(a, b *field) int { return int(a.ID) - int(b.ID) })
}

func fieldScope() scope {
	s := scope{}
	for m := range methods {
		s[m] = true
	}
	return s
}

func infoName(goName string) string { return strings.ToLower(goName[:1]) + goName[1:] + "Info" }

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) && noun != "union" {
		return "an"
	}
	return "a"
}

func (g *generator) field(r *record, sc scope, f *ast.Field) *field {
	v := &field{
		Go: sc.name(exported(f.Name)), Name: f.Name, ID: f.ID, T: f.Type, Doc: comment("", f.Doc),
		Max: f.Max, Required: f.Requiredness == ast.Required, Default: f.Value, record: r,
	}
	v.Form = formOf(f)
	if v.Form == pointer {
		v.Required = false
	}
	return v
}

// formOf returns how a field of a struct is held.
func formOf(f *ast.Field) form {
	if f.Requiredness == ast.Optional || f.Recursive {
		return optionalForm(f.Type)
	}
	return plain
}

// optionalForm returns how an optional value of type t is held.
func optionalForm(t *ast.Type) form {
	switch t.True().Kind {
	case ast.KindStruct:
		return pointer
	case ast.KindBinary, ast.KindList, ast.KindSet, ast.KindMap:
		return nilable
	}
	return opt
}

// goType returns the Go type for t.
func (g *generator) goType(t *ast.Type) string {
	switch t.Kind {
	case ast.KindBool:
		return "bool"
	case ast.KindI8:
		return "int8"
	case ast.KindI16:
		return "int16"
	case ast.KindI32:
		return "int32"
	case ast.KindI64:
		return "int64"
	case ast.KindDouble:
		return "float64"
	case ast.KindString:
		return "string"
	case ast.KindBinary:
		return "[]byte"
	case ast.KindUUID:
		return g.use(codecPath) + ".UUID"
	case ast.KindList, ast.KindSet:
		return "[]" + g.goType(t.Elem)
	case ast.KindMap:
		if hashable(t.Key) {
			return "map[" + g.goType(t.Key) + "]" + g.goType(t.Elem)
		}
		return "[]" + g.pairType(t)
	case ast.KindTypedef:
		return g.qualified(t.Program(), t.Typedef)
	case ast.KindEnum:
		return g.qualified(t.Program(), t.Enum)
	default:
		return g.qualified(t.Program(), t.Struct)
	}
}

func (g *generator) pairType(t *ast.Type) string {
	return g.use(codecPath) + ".Pair[" + g.goType(t.Key) + ", " + g.goType(t.Elem) + "]"
}

// qualified returns the name of a definition, with its package when that is another one.
func (g *generator) qualified(p *ast.Program, node any) string {
	name := g.names.def(p, node)
	if g.names.dir(p) == g.names.dir(g.prog) {
		return name
	}
	return g.useProgram(p) + "." + name
}

// useProgram imports the package of an included file. Its name may be that of a package which generated code
// uses anyway, or of another included one.
func (g *generator) useProgram(p *ast.Program) string {
	importPath := path.Join(g.importBase, g.names.dir(p))
	name := g.names.pkg(p)
	for goWords[name] || isLocal(name) || g.included[name] != "" && g.included[name] != importPath {
		name += "_"
	}
	g.included[name] = importPath
	return name
}

// hashable reports whether values of t can be keys of a Go map by value: what holds a slice, a map or
// a pointer cannot.
func hashable(t *ast.Type) bool {
	switch t = t.True(); t.Kind {
	case ast.KindBinary, ast.KindList, ast.KindSet, ast.KindMap:
		return false
	case ast.KindStruct:
		for _, f := range t.Struct.Fields {
			if f.Recursive || f.Requiredness == ast.Optional && optionalForm(f.Type) != opt || !hashable(f.Type) {
				return false
			}
		}
	}
	return true
}

// base returns expr converted to the Go type of what is on the wire, when its own type is a named one.
func (g *generator) base(t *ast.Type, expr string) string {
	k := t.True().Kind
	switch {
	case k == ast.KindEnum:
		return "int32(" + expr + ")"
	case t.Kind != ast.KindTypedef || k == ast.KindBinary || k == ast.KindUUID:
		return expr // a slice or an array is assignable as it is
	}
	return g.goType(t.True()) + "(" + expr + ")"
}

// typed returns expr, whose type is that of what is on the wire, converted to the Go type for t.
func (g *generator) typed(t *ast.Type, expr string) string {
	k := t.True().Kind
	if t.Kind == ast.KindTypedef || k == ast.KindEnum {
		return g.goType(t) + "(" + expr + ")"
	}
	return expr
}

// comment turns an IDL comment into a Go one; first is its first sentence when the IDL has none.
func comment(first, doc string) string {
	text := strings.TrimSpace(doc)
	if text == "" {
		text = first
	} else if strings.HasPrefix(first, "Package ") {
		text = first + "\n\n" + text
	}
	if text == "" {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight("// "+quoteBuild(strings.TrimRight(line, "\r\n")), " ") + "\n")
	}
	return b.String()
}

// quoteBuild keeps a line of an IDL comment from being a build constraint, which gofmt makes of it.
func quoteBuild(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "+build") {
		return "`+build`" + strings.TrimPrefix(strings.TrimSpace(line), "+build")
	}
	return line
}

// typedefView is one type definition.
type typedefView struct{ Doc, Go, Sign, Type string }

func (g *generator) typedefViews() []typedefView {
	var vs []typedefView
	for _, d := range g.prog.Typedefs {
		v := typedefView{Go: g.names.def(g.prog, d), Type: g.goType(d.Type)}
		v.Doc = comment(v.Go+" is "+v.Type+".", d.Doc)
		switch d.Type.True().Kind {
		case ast.KindStruct, ast.KindEnum, ast.KindList, ast.KindSet, ast.KindMap, ast.KindUUID:
			v.Sign = "= " // the same type, with its methods
		}
		vs = append(vs, v)
	}
	return vs
}

// enumView is one enum.
type enumView struct {
	Doc, Go string
	Values  []enumValueView
	Named   []enumValueView // for String: the first name of each number
}

type enumValueView struct {
	Doc, Go, IDL string
	Number       int32
}

func (g *generator) enumViews() []enumView {
	var vs []enumView
	for _, e := range g.prog.Enums {
		v := enumView{Go: g.names.def(g.prog, e)}
		v.Doc = comment(v.Go+" is an enum of "+path.Base(g.prog.Path)+".", e.Doc)
		seen := map[int32]bool{}
		for _, x := range e.Values {
			xv := enumValueView{comment("", x.Doc), g.names.def(g.prog, x), x.Name, x.Number}
			v.Values = append(v.Values, xv)
			if !seen[x.Number] {
				v.Named = append(v.Named, xv)
				seen[x.Number] = true
			}
		}
		g.use("strconv")
		vs = append(vs, v)
	}
	return vs
}
