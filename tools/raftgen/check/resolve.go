package check

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
	"github.com/seed-814fcd60/raftwire/tools/raftgen/parse"
)

// scope is what one program defines. A type and a constant may have the same name, two types may not.
type scope struct {
	types  map[string]ast.Def // typedefs, enums, records and services
	consts map[string]*ast.Const
	index  map[ast.Def]int // place in the order of the file
	// prefixes are the included files, each by the name that stands before the dot.
	prefixes map[string]*scope
}

// resolver resolves one program after the other, included ones first.
type resolver struct {
	tables
	config  Config
	scopes  map[*ast.Program]*scope
	errs    parse.Errors
	program *ast.Program // the current one
	scope   *scope
	current int // index of the definition whose values or throws are being resolved
}

func (r *resolver) fail(pos ast.Pos, found, expected string) {
	r.errs.Add(r.program.Path, pos, found, expected)
}

func (r *resolver) warn(pos ast.Pos, text string) {
	if len(r.program.Warnings) < parse.MaxWarnings {
		r.program.Warnings = append(r.program.Warnings, ast.Warning{Pos: pos, Text: text})
	}
}

func (r *resolver) resolve(p *ast.Program) {
	r.program = p
	r.scope = &scope{types: map[string]ast.Def{}, consts: map[string]*ast.Const{}, index: map[ast.Def]int{},
		prefixes: map[string]*scope{}}
	r.scopes[p] = r.scope
	r.includes()
	for i, def := range p.Defs {
		r.define(i, def)
	}
	r.namesOfIncludes()
	for _, def := range p.Defs {
		r.typesOf(def)
	}
	r.typedefDepths()
	for i, def := range p.Defs {
		r.current = i
		r.definition(def)
	}
	markRecursive(p)
}

// includes enters the prefixes under which this program sees others.
func (r *resolver) includes() {
	seen := map[string]*ast.Program{}
	for _, include := range r.program.Includes {
		other := seen[include.Program.Name]
		if other != nil && other != include.Program {
			r.fail(include.Pos, "a second file that is called "+include.Program.Name+" here (the first is "+other.Path+")",
				"included files of different names")
		}
		seen[include.Program.Name] = include.Program
		r.scope.prefixes[include.Program.Name] = r.scopes[include.Program]
	}
}

// define enters a definition into the scope.
func (r *resolver) define(i int, def ast.Def) {
	r.scope.index[def] = i
	name := def.DefName()
	r.checkName(name, def.DefPos())
	if c, ok := def.(*ast.Const); ok {
		if first := r.scope.consts[name]; first != nil {
			r.again(c.Pos, "constant "+name, first.Pos)
			return
		}
		r.scope.consts[name] = c
		return
	}
	if first := r.scope.types[name]; first != nil {
		r.again(def.DefPos(), word(def)+" "+name, first.DefPos())
		return
	}
	r.scope.types[name] = def
}

func word(def ast.Def) string {
	switch d := def.(type) {
	case *ast.Typedef:
		return "typedef"
	case *ast.Enum:
		return "enum"
	case *ast.Service:
		return "service"
	case *ast.Struct:
		return d.Kind.String()
	}
	return "constant"
}

func lineCol(pos ast.Pos) string { return strconv.Itoa(pos.Line) + ":" + strconv.Itoa(pos.Col) }

func (r *resolver) again(pos ast.Pos, what string, first ast.Pos) {
	r.fail(pos, what+", a name taken at "+lineCol(first), "another name")
}

func (r *resolver) checkName(name string, pos ast.Pos) {
	if !r.config.AllowReserved && isReserved(name) {
		r.fail(pos, "the name "+name+", which official compilers reserve", "another name")
	}
}

// namesOfIncludes refuses a type that an included program also defines if both are in the same namespace of every
// language that either mentions: no generated code could tell them apart.
func (r *resolver) namesOfIncludes() {
	seen := map[*ast.Program]bool{}
	for _, include := range r.program.Includes {
		other := r.scopes[include.Program]
		if seen[include.Program] || !sameNamespaces(r.program, include.Program) {
			continue
		}
		seen[include.Program] = true
		for _, def := range r.program.Defs {
			_, isConst := def.(*ast.Const)
			if _, taken := other.types[def.DefName()]; taken && !isConst {
				r.fail(def.DefPos(), word(def)+" "+def.DefName()+", which "+include.Program.Path+
					" defines in the same namespace", "another name or namespace")
			}
		}
	}
}

func sameNamespaces(a, b *ast.Program) bool {
	differs := func(n *ast.Namespace) bool { return a.Namespace(n.Lang) != b.Namespace(n.Lang) }
	return !slices.ContainsFunc(a.Namespaces, differs) && !slices.ContainsFunc(b.Namespaces, differs)
}

// lookup finds what name means for the type or service position: a name of this program, or prefix.name of an include.
func (r *resolver) lookup(name string) ast.Def {
	if def := r.scope.types[name]; def != nil {
		return def
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return nil
	}
	if s := r.scope.prefixes[name[:dot]]; s != nil {
		return s.types[name[dot+1:]]
	}
	return nil
}

// above reports whether def is defined before the definition that is being resolved: what values, throws and extends
// mention must be, because the official compiler reads a file from top to bottom.
func (r *resolver) above(def ast.Def) bool {
	i, here := r.scope.index[def]
	return !here || i < r.current
}

// typesOf resolves every type that a definition mentions.
func (r *resolver) typesOf(def ast.Def) {
	switch d := def.(type) {
	case *ast.Const:
		r.resolveType(d.Type)
	case *ast.Typedef:
		r.resolveType(d.Type)
	case *ast.Struct:
		r.typesOfFields(d.Fields)
	case *ast.Service:
		for _, f := range d.Functions {
			r.resolveType(f.Result)
			r.typesOfFields(f.Args)
			r.typesOfFields(f.Throws)
		}
	}
}

func (r *resolver) typesOfFields(fields []*ast.Field) {
	for _, f := range fields {
		r.resolveType(f.Type)
		r.typesOfFields(f.XsdAttrs)
	}
}

// resolveType fills in the definition. A type that cannot be resolved becomes KindInvalid: reported once, then ignored.
func (r *resolver) resolveType(t *ast.Type) {
	switch t.Kind {
	case ast.KindMap:
		r.resolveType(t.Key)
		r.resolveType(t.Elem)
	case ast.KindList, ast.KindSet:
		r.resolveType(t.Elem)
	case ast.KindNamed:
		t.Kind = ast.KindInvalid
		switch d := r.lookup(t.Name).(type) {
		case nil:
			r.unknown(t)
		case *ast.Typedef:
			t.Kind, t.Typedef = ast.KindTypedef, d
		case *ast.Enum:
			t.Kind, t.Enum = ast.KindEnum, d
		case *ast.Struct:
			t.Kind, t.Struct = ast.KindStruct, d
		default:
			r.fail(t.Pos, "the "+word(d)+" "+t.Name, "a type")
		}
	}
}

func (r *resolver) unknown(t *ast.Type) {
	expected := "a type defined in this file"
	if dot := strings.LastIndexByte(t.Name, '.'); dot >= 0 {
		expected = "a type defined in " + t.Name[:dot]
		if r.scope.prefixes[t.Name[:dot]] == nil {
			expected = "an include of a file called " + t.Name[:dot]
		}
	}
	r.fail(t.Pos, "the unknown type "+t.Name, expected)
}

// typedefDepths refuses typedefs that contain themselves and types nested too deep, both before anything follows them.
func (r *resolver) typedefDepths() {
	d := &depths{r: r, of: map[*ast.Typedef]int{}}
	for _, def := range r.program.Defs {
		switch def := def.(type) {
		case *ast.Const:
			d.check(def.Type)
		case *ast.Typedef:
			d.typedef(def)
		case *ast.Struct:
			d.fields(def.Fields)
		case *ast.Service:
			for _, f := range def.Functions {
				d.check(f.Result)
				d.fields(f.Args)
			}
		}
	}
}

// depths computes how deep types nest through typedefs; -1 marks a typedef being computed.
type depths struct {
	r  *resolver
	of map[*ast.Typedef]int
}

func (d *depths) fields(fields []*ast.Field) {
	for _, f := range fields {
		d.check(f.Type)
		d.fields(f.XsdAttrs)
	}
}

// check returns the depth of t, at least 1, and makes it invalid if that is too much.
func (d *depths) check(t *ast.Type) int {
	depth := d.depth(t)
	if depth > MaxTypeDepth {
		d.r.fail(t.Pos, "a type nested "+strconv.Itoa(depth)+" deep", "at most "+strconv.Itoa(MaxTypeDepth))
		t.Kind = ast.KindInvalid
		return 1
	}
	return depth
}

func (d *depths) depth(t *ast.Type) int {
	switch t.Kind {
	case ast.KindList, ast.KindSet:
		return 1 + d.depth(t.Elem)
	case ast.KindMap:
		return 1 + max(d.depth(t.Key), d.depth(t.Elem))
	case ast.KindTypedef:
		return 1 + d.typedef(t.Typedef)
	}
	return 1
}

func (d *depths) typedef(t *ast.Typedef) int {
	switch depth := d.of[t]; {
	case depth > 0:
		return depth
	case depth == 0:
		d.of[t] = -1
		d.of[t] = d.check(t.Type)
		return d.of[t]
	case t.Type.Kind != ast.KindInvalid:
		d.r.fail(t.Pos, "the typedef "+t.Name+" that contains itself", "a type that ends somewhere")
		t.Type.Kind = ast.KindInvalid
	}
	return 1
}
