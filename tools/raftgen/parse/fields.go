package parse

import (
	"math"
	"strconv"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// place is where a list of fields stands.
type place uint8

const (
	inRecord place = iota
	inArguments
	inThrows
)

// fields reads fields up to and with the closing bracket.
func (p *parser) fields(bracket string, where place) []*ast.Field {
	var list []*ast.Field
	auto := int64(-1)
	for p.tok.kind == tokInt || p.tok.kind == tokName || p.tok.kind == tokKeyword {
		list = append(list, p.field(&auto, where))
	}
	p.close(bracket, "or a field")
	return list
}

func (p *parser) field(auto *int64, where place) *ast.Field {
	f := &ast.Field{Doc: p.takeDoc()}
	p.fieldID(f, auto)
	f.Requiredness = p.requiredness(where)
	f.Type = p.typ()
	f.Reference = p.acceptSymbol("&")
	f.Pos = p.tok.pos
	if p.tok.kind == tokKeyword && !notFieldNames[p.tok.text] {
		p.tok.kind = tokName
	}
	f.Name = p.name("a field")
	if f.Implicit {
		p.warn(f.Pos, "field "+f.Name+" has no id of its own: its id, "+strconv.Itoa(int(f.ID))+
			", changes when a field is inserted before it")
	}
	if p.acceptSymbol("=") {
		f.Expr = p.value()
	}
	f.XsdOptional = p.acceptKeyword("xsd_optional")
	f.XsdNillable = p.acceptKeyword("xsd_nillable")
	if p.acceptKeyword("xsd_attrs") {
		p.symbol("{", "after xsd_attrs")
		if p.enter() {
			f.XsdAttrs = p.fields("}", inRecord)
		}
		p.leave()
	}
	f.Annotations = p.annotations()
	p.separator()
	return f
}

// fieldID reads `id:` or assigns the next negative id. As in the official compiler an id of 0 or less does not count as
// written: it is replaced by an assigned one.
func (p *parser) fieldID(f *ast.Field, auto *int64) {
	f.Implicit = true
	at := p.tok.pos
	if p.tok.kind == tokInt {
		id, found := p.tok.num, p.tok.String()
		if p.tok.word || id > math.MaxInt16 {
			p.unexpected("a field id from 1 to 32767")
		}
		p.next()
		p.symbol(":", "after a field id")
		if id > 0 {
			f.ID, f.Implicit = int16(id), false
			return
		}
		p.warn(at, found+" is not taken as a field id: ids are 1 to 32767")
	}
	if *auto < math.MinInt16 {
		p.fail(at, "more than 32768 fields without an id", "a field id and a colon")
		return
	}
	f.ID = int16(*auto)
	*auto--
}

// requiredness reads required, optional or nothing. Arguments cannot be optional, what is thrown cannot be either.
func (p *parser) requiredness(where place) ast.Requiredness {
	pos := p.tok.pos
	switch {
	case p.acceptKeyword("required"):
		if where == inThrows {
			p.warn(pos, "required means nothing in a throws list")
			return ast.Default
		}
		return ast.Required
	case p.acceptKeyword("optional"):
		if where != inRecord {
			p.warn(pos, "optional means nothing in an argument or throws list")
			return ast.Default
		}
		return ast.Optional
	}
	return ast.Default
}

// typ reads a type other than void. Annotations may follow a base type or a container, but not a name.
func (p *parser) typ() *ast.Type {
	t := &ast.Type{Pos: p.tok.pos}
	if p.tok.kind == tokName {
		t.Kind, t.Name = ast.KindNamed, p.tok.text
		p.next()
		return t
	}
	kind, ok := baseTypes[p.tok.text]
	if p.tok.kind != tokKeyword || !ok {
		p.unexpected("a type")
		return t
	}
	t.Kind = kind
	p.next()
	if kind == ast.KindList || kind == ast.KindSet || kind == ast.KindMap {
		if p.enter() {
			p.container(t)
		}
		p.leave()
	}
	t.Annotations = p.annotations()
	return t
}

func (p *parser) container(t *ast.Type) {
	t.CppType = p.cppType()
	p.symbol("<", "after "+t.Kind.String())
	if t.Kind == ast.KindMap {
		t.Key = p.typ()
		p.symbol(",", "after the key type of a map")
	}
	t.Elem = p.typ()
	p.symbol(">", "after the element type of a "+t.Kind.String())
	if t.Kind == ast.KindList && p.isKeyword("cpp_type") { // the old place
		t.CppType = p.cppType()
	}
}

func (p *parser) cppType() string {
	if !p.acceptKeyword("cpp_type") {
		return ""
	}
	return p.literal("a C++ type")
}

// annotations reads `(key = "value", ...)` or nothing.
func (p *parser) annotations() ast.Annotations {
	if !p.acceptSymbol("(") {
		return nil
	}
	var list ast.Annotations
	for p.tok.kind == tokName {
		a := ast.Annotation{Pos: p.tok.pos, Key: p.tok.text, Value: "1"}
		p.next()
		if p.acceptSymbol("=") {
			a.Value = p.literal("the value of an annotation")
		}
		p.separator()
		list = append(list, a)
	}
	p.symbol(")", "or the key of an annotation")
	return list
}

// value reads a constant value.
func (p *parser) value() *ast.Expr {
	e := &ast.Expr{Pos: p.tok.pos}
	switch {
	case p.tok.kind == tokInt:
		e.Kind, e.Int, e.Bool = ast.ExprInt, p.tok.num, p.tok.word
	case p.tok.kind == tokDouble:
		e.Kind, e.Double = ast.ExprDouble, p.tok.float
	case p.tok.kind == tokString:
		e.Kind, e.Text = ast.ExprString, p.tok.text
	case p.tok.kind == tokName:
		e.Kind, e.Text = ast.ExprName, p.tok.text
	case p.isSymbol("["), p.isSymbol("{"):
		if p.enter() {
			p.collection(e)
		}
		p.leave()
		return e
	default:
		p.unexpected("a value")
	}
	p.next()
	return e
}

// collection reads [ ... ] or { ... }.
func (p *parser) collection(e *ast.Expr) {
	if p.acceptSymbol("[") {
		e.Kind = ast.ExprList
		for !p.isSymbol("]") && p.tok.kind != tokEOF {
			e.List = append(e.List, p.value())
			p.separator()
		}
		p.symbol("]", "or a value")
		return
	}
	p.symbol("{", "")
	e.Kind = ast.ExprMap
	for !p.isSymbol("}") && p.tok.kind != tokEOF {
		pair := ast.ExprPair{Key: p.value()}
		p.symbol(":", "after a key")
		pair.Value = p.value()
		p.separator()
		e.Map = append(e.Map, pair)
	}
	p.symbol("}", "or a key")
}
