package emit

import (
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// names gives every definition its Go name. Two definitions of one package never get the same one: in the order
// types, services, constants, enum values, methods, and within each in the order of the file, the
// first keeps its name and later ones get "_" appended. Of two files in one package, the included one comes first.
type names struct {
	programs map[*ast.Program]*programNames
	methods  map[*ast.Function]string // Go names of methods
}

type programNames struct {
	dir, pkg string
	of       map[any]string // *ast.Typedef, *ast.Enum, ... -> Go name
	derived  map[derivedKey]string
}

// derivedKey names what is derived from a service or a method: "Client", "Args" ...
type derivedKey struct {
	node any
	what string
}

func newNames(set *ast.Set) *names {
	n := &names{map[*ast.Program]*programNames{}, map[*ast.Function]string{}}
	packages := map[string]scope{}
	for _, p := range set.All {
		dir, pkg := packageOf(p)
		if packages[dir] == nil {
			packages[dir] = scope{}
		}
		pn := &programNames{dir: dir, pkg: pkg, of: map[any]string{}, derived: map[derivedKey]string{}}
		pn.define(p, packages[dir])
		n.programs[p] = pn
		for _, s := range p.Services {
			n.methodsOf(s)
		}
	}
	return n
}

// methodsOf names the methods of s, and returns the names of all that it has: those of the services that it extends, too.
func (n *names) methodsOf(s *ast.Service) scope {
	sc := scope{}
	if s.Base != nil {
		sc = n.methodsOf(s.Base)
	}
	for _, f := range s.Functions {
		n.methods[f] = sc.name(exported(f.Name))
	}
	return sc
}

// define names what p defines; s has the names in use in its package.
func (pn *programNames) define(p *ast.Program, s scope) {
	for _, d := range p.Defs {
		switch d.(type) {
		case *ast.Typedef, *ast.Enum, *ast.Struct:
			pn.of[d] = s.name(exported(d.DefName()))
		}
	}
	for _, v := range p.Services {
		pn.of[v] = s.name(exported(v.Name))
		for _, what := range []string{"Client", "Methods"} {
			pn.derived[derivedKey{v, what}] = s.name(pn.of[v] + what)
		}
		for _, what := range []string{"Client", "Handler"} {
			pn.derived[derivedKey{v, "New" + what}] = s.name("New" + pn.of[v] + what)
		}
	}
	for _, c := range p.Consts {
		pn.of[c] = s.name(constName(c.Name))
	}
	for _, e := range p.Enums {
		for _, v := range e.Values {
			pn.of[v] = s.name(pn.of[e] + camel(v.Name))
		}
	}
	for _, v := range p.Services {
		for _, f := range v.Functions {
			pn.of[f] = s.name(pn.of[v] + exported(f.Name))
			for _, what := range []string{"Args", "Result"} {
				pn.derived[derivedKey{f, what}] = s.name(pn.of[v] + exported(f.Name) + what)
			}
		}
	}
}

// packageOf returns the folder and the name of the Go package for a program: the parts of its namespace, or
// the file's name.
func packageOf(p *ast.Program) (dir, pkg string) {
	ns := p.Namespace("go")
	if ns == "" {
		ns = p.Name
	}
	parts := strings.FieldsFunc(ns, func(r rune) bool { return r == '.' || r == '/' })
	for i, part := range parts {
		parts[i] = folder(part)
	}
	dir = path.Join(parts...)
	pkg = path.Base(dir)
	if goWords[pkg] || pkg == "main" {
		pkg += "_"
	}
	return dir, pkg
}

// folder turns a part of a namespace, or the name of a file, into the name of a Go package that the go command builds: of
// lower-case letters, digits and "_", beginning with a letter.
func folder(part string) string {
	part = strings.TrimLeft(strings.Map(func(r rune) rune {
		if r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToLower(r)
		}
		return '_'
	}, part), "_")
	switch {
	case part == "" || part[0] >= '0' && part[0] <= '9':
		return "x" + part
	case part == "vendor" || part == "testdata": // folders that mean something to the go command
		return part + "_"
	}
	return part
}

func (n *names) dir(p *ast.Program) string { return n.programs[p].dir }
func (n *names) pkg(p *ast.Program) string { return n.programs[p].pkg }

// def returns the Go name of a definition or of a value of an enum, without its package.
func (n *names) def(p *ast.Program, node any) string {
	name, ok := n.programs[p].of[node]
	if !ok {
		panic(fmt.Sprintf("emit: no name for %T", node))
	}
	return name
}

// more returns the Go name of something derived from a service or method.
func (n *names) more(p *ast.Program, node any, what string) string {
	return n.programs[p].derived[derivedKey{node, what}]
}

// scope is a set of names in use.
type scope map[string]bool

// name returns want, with as many "_" as it needs to be new.
func (s scope) name(want string) string {
	for s[want] {
		want += "_"
	}
	s[want] = true
	return want
}

// exported turns an IDL name into an exported Go name: first letter upper, letters behind an underscore upper,
// a trailing "id" word "ID".
func exported(name string) string {
	parts := strings.Split(name, "_")
	var b strings.Builder
	for i, part := range parts {
		if part == "" {
			continue
		}
		if i == len(parts)-1 && strings.EqualFold(part, "id") {
			b.WriteString("ID")
			continue
		}
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	s := b.String()
	if rest, ok := strings.CutSuffix(s, "Id"); ok {
		s = rest + "ID"
	}
	return leading(s)
}

// camel turns the name of an enum's value, THRIFT_COMPACT, into ThriftCompact.
func camel(name string) string {
	if strings.ToUpper(name) != name {
		return exported(name)
	}
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		if part != "" {
			b.WriteString(part[:1] + strings.ToLower(part[1:]))
		}
	}
	return strings.TrimLeft(b.String(), "_")
}

func constName(name string) string { return leading(camel(name)) }

// leading makes sure that a name begins with a letter.
func leading(s string) string {
	if s == "" || !unicode.IsLetter(rune(s[0])) {
		return "X" + s
	}
	return s
}

// parameter turns the name of an argument into a Go parameter.
func parameter(s scope, name string) string {
	e := exported(name)
	i := 1
	for i < len(e) && unicode.IsUpper(rune(e[i])) && (i+1 == len(e) || unicode.IsUpper(rune(e[i+1]))) {
		i++
	}
	p := strings.ToLower(e[:i]) + e[i:]
	if goWords[p] {
		p += "_"
	}
	return s.name(p)
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// goWords are Go's keywords, the predeclared names and the packages that generated code uses.
var goWords = words(`break case chan const continue default defer else fallthrough for func go goto if import
	interface map package range return select struct switch type var
	any append bool byte cap clear close complex complex128 complex64 copy delete error false float32 float64 imag
	int int16 int32 int64 int8 iota len make max min new nil panic print println real recover rune string true
	uint uint16 uint32 uint64 uint8 uintptr
	codec thrift compact binary msgpack protocol context errors fmt math strconv`)

// locals are the longer names of receivers, parameters and variables in generated code.
var locals = words(`seen id set err ctx req resp args server caller from last at fields key value`)

// isLocal reports whether generated code may have a variable of that name: i, v, k and so on, with the number that a
// nested loop appends, and a k inside the keys of a map.
func isLocal(name string) bool {
	return locals[name] || strings.Trim(strings.TrimSuffix(name[1:], "k"), "0123456789") == ""
}

// methods are the names that a record's fields cannot have, since its methods have them.
var methods = words(`Reset Read Write AppendCompact ScanCompact ParseCompact AppendBinary ScanBinary ParseBinary
	AppendMsgpack ScanMsgpack ParseMsgpack EncodeMsgpack DecodeMsgpack Error Which Validate
	Request SetRequest Success SetSuccess Exception SetException`)
