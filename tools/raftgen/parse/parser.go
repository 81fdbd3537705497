// Package parse reads the text of one Thrift IDL file into an ast.Program. It knows the whole language of the official
// compiler 0.25 and nothing about what the names mean: that is package check.
//
// A file is at most MaxFileBytes, its types and values nest at most MaxDepth deep. Reading takes time and memory in
// proportion to the file: at most about 150 bytes of memory for a byte of text.
package parse

import (
	"path"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// Limits of what is read.
const (
	MaxFileBytes = 1 << 20 // bytes of one file
	MaxDepth     = 64      // of types in types, values in values, xsd_attrs in xsd_attrs
	MaxErrors    = 20      // faults that are kept
	MaxWarnings  = 100     // warnings that are kept of one file
)

// keywords are the words of the grammar. Only a field may bear one as its name.
var keywords = wordSet("namespace cpp_include include cpp_type xsd_all xsd_optional xsd_nillable xsd_attrs void bool " +
	"byte i8 i16 i32 i64 double string binary uuid map list set oneway async typedef struct union exception extends " +
	"throws service enum const required optional")

// notFieldNames are the keywords that may follow a field's name and therefore cannot be one.
var notFieldNames = wordSet("cpp_type xsd_all xsd_optional xsd_nillable xsd_attrs")

var baseTypes = map[string]ast.Kind{
	"bool": ast.KindBool, "byte": ast.KindI8, "i8": ast.KindI8, "i16": ast.KindI16, "i32": ast.KindI32,
	"i64": ast.KindI64, "double": ast.KindDouble, "string": ast.KindString, "binary": ast.KindBinary,
	"uuid": ast.KindUUID, "list": ast.KindList, "set": ast.KindSet, "map": ast.KindMap,
}

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// File reads the program in src; name is used in error messages and to derive the program's name. The error, when not
// nil, is Errors. A program is returned in any case: what could be read.
func File(name string, src []byte) (*ast.Program, error) {
	p := &parser{prog: &ast.Program{Path: name, Name: ProgramName(name)}}
	if len(src) > MaxFileBytes {
		p.errs.Add(name, ast.Pos{}, "a file of "+strconv.Itoa(len(src))+" bytes", "at most "+strconv.Itoa(MaxFileBytes))
		return p.prog, p.errs.Err()
	}
	p.lex = newLexer(src)
	p.next()
	p.headers()
	for p.tok.kind != tokEOF || p.stopped {
		if p.stopped {
			p.recover()
			continue
		}
		p.start = p.tok.pos
		p.definition()
	}
	if first := p.lex.firstDoc; !p.firstTaken && (p.firstHeader.Line == 0 || first.pos.Before(p.firstHeader)) {
		p.prog.Doc = first.text
	}
	return p.prog, p.errs.Err()
}

// ProgramName is the name under which an includer sees the file: its base name up to the last dot.
func ProgramName(name string) string {
	base := path.Base(name)
	if dot := strings.LastIndexByte(base, '.'); dot >= 0 {
		base = base[:dot]
	}
	return base
}

// parser reads with one token of lookahead. After a fault every token is tokEOF (stopped), so that each loop ends by
// itself and nothing more is reported; recover then goes on with the next definition.
type parser struct {
	lex         *lexer
	tok         token
	prog        *ast.Program
	errs        Errors
	stopped     bool
	failed      token // the token at the fault
	depth       int
	start       ast.Pos // of the definition being read
	firstHeader ast.Pos
	firstTaken  bool // the file's first doc comment belongs to a definition
}

func (p *parser) next() {
	if !p.stopped {
		p.tok = p.lex.next()
	}
}

// fail reports what was found instead of expected, unless this definition has failed already.
func (p *parser) fail(pos ast.Pos, found, expected string) {
	if p.stopped {
		return
	}
	p.errs.Add(p.prog.Path, pos, found, expected)
	p.stopped, p.failed = true, p.tok
	p.tok = token{kind: tokEOF, pos: pos}
}

// unexpected reports the current token; a token that is wrong in itself says so itself.
func (p *parser) unexpected(expected string) {
	if p.tok.kind == tokBad {
		expected = p.tok.want
	}
	p.fail(p.tok.pos, p.tok.String(), expected)
}

// recover skips to the next word that begins a definition, stands first on its line, and is not further to the right
// than the definition that failed.
func (p *parser) recover() {
	p.stopped, p.depth = false, 0
	limit := max(p.start.Col, 1)
	for p.tok = p.failed; p.tok.kind != tokEOF; p.next() {
		begins := p.tok.kind == tokKeyword && definitions[p.tok.text] != nil && p.start.Before(p.tok.pos)
		if begins && p.tok.firstWord && p.tok.pos.Col <= limit {
			return
		}
	}
}

func (p *parser) isSymbol(s string) bool  { return p.tok.kind == tokSymbol && p.tok.text == s }
func (p *parser) isKeyword(w string) bool { return p.tok.kind == tokKeyword && p.tok.text == w }

func (p *parser) acceptSymbol(s string) bool {
	if !p.isSymbol(s) {
		return false
	}
	p.next()
	return true
}

func (p *parser) acceptKeyword(w string) bool {
	if !p.isKeyword(w) {
		return false
	}
	p.next()
	return true
}

// symbol reads s; after says what it follows or belongs to.
func (p *parser) symbol(s, where string) {
	if !p.acceptSymbol(s) {
		p.unexpected(strconv.Quote(s) + " " + where)
	}
}

// literal reads a text.
func (p *parser) literal(what string) string {
	text := p.tok.text
	if p.tok.kind != tokString {
		p.unexpected(what + " in quotes")
		return ""
	}
	p.next()
	return text
}

// name reads a name without dots.
func (p *parser) name(what string) string {
	text := p.tok.text
	switch {
	case p.tok.kind == tokKeyword:
		p.fail(p.tok.pos, "the keyword "+text, "the name of "+what)
	case p.tok.kind != tokName:
		p.unexpected("the name of " + what)
	case strings.Contains(text, "."):
		p.fail(p.tok.pos, p.tok.String(), "a name without a dot for "+what)
	}
	p.next()
	return text
}

// dottedName reads a name that may have dots.
func (p *parser) dottedName(what string) string {
	text := p.tok.text
	if p.tok.kind != tokName {
		p.unexpected(what)
	}
	p.next()
	return text
}

// takeDoc returns the doc comment that stands before the current token, if no one has taken it.
func (p *parser) takeDoc() string {
	doc := p.lex.doc
	if doc.pos.Line == 0 {
		return ""
	}
	if doc.pos == p.lex.firstDoc.pos {
		p.firstTaken = true
	}
	p.lex.doc = comment{}
	return doc.text
}

// close reads the bracket that ends a list of members; a comment inside it that no member took is dropped.
func (p *parser) close(s, where string) {
	p.lex.doc = comment{}
	p.symbol(s, where)
}

// separator reads a comma, a semicolon or nothing.
func (p *parser) separator() {
	if !p.acceptSymbol(",") {
		p.acceptSymbol(";")
	}
}

// enter counts nesting; it reports false at the limit. Each enter needs a leave.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > MaxDepth {
		p.fail(p.tok.pos, "nesting deeper than "+strconv.Itoa(MaxDepth), "a flatter definition")
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

func (p *parser) headers() {
	for p.tok.kind == tokKeyword {
		word := p.tok.text
		if word != "namespace" && word != "include" && word != "cpp_include" {
			return
		}
		if p.firstHeader.Line == 0 {
			p.firstHeader = p.tok.pos
		}
		p.start = p.tok.pos
		p.lex.doc = comment{}
		p.next()
		pos := p.tok.pos
		switch word {
		case "namespace":
			p.namespace()
		case "include":
			if name := p.literal("the path of a file"); !p.stopped {
				p.prog.Includes = append(p.prog.Includes, &ast.Include{Pos: pos, Path: name})
			}
		case "cpp_include":
			p.prog.CppIncludes = append(p.prog.CppIncludes, p.literal("the path of a C++ header"))
		}
	}
}

func (p *parser) namespace() {
	n := &ast.Namespace{Pos: p.tok.pos}
	if p.acceptSymbol("*") {
		n.Lang, n.Name = "*", p.dottedName("a namespace")
	} else {
		n.Lang, n.Name = p.dottedName("a language or \"*\""), p.dottedName("a namespace")
		n.Annotations = p.annotations()
	}
	p.prog.Namespaces = append(p.prog.Namespaces, n)
}

var definitions = map[string]func(*parser, string){
	"const": (*parser).constant, "typedef": (*parser).typedef, "enum": (*parser).enum, "struct": (*parser).structure,
	"union": (*parser).structure, "exception": (*parser).structure, "service": (*parser).service,
}

func (p *parser) definition() {
	const expected = "const, typedef, enum, struct, union, exception or service"
	if p.tok.kind == tokKeyword {
		if read := definitions[p.tok.text]; read != nil {
			read(p, p.takeDoc())
			return
		}
		switch p.tok.text {
		case "namespace", "include", "cpp_include":
			p.fail(p.tok.pos, strconv.Quote(p.tok.text)+" after a definition", expected)
			return
		}
	}
	p.unexpected(expected)
}

// define adds a definition that was read to its end.
func define[T ast.Def](p *parser, list *[]T, def T) {
	if !p.stopped {
		*list = append(*list, def)
		p.prog.Defs = append(p.prog.Defs, def)
	}
}

func (p *parser) constant(doc string) {
	p.next()
	c := &ast.Const{Program: p.prog, Doc: doc, Type: p.typ(), Pos: p.tok.pos}
	c.Name = p.name("a constant")
	p.symbol("=", "after the name of a constant")
	c.Expr = p.value()
	p.separator()
	define(p, &p.prog.Consts, c)
}

func (p *parser) typedef(doc string) {
	p.next()
	t := &ast.Typedef{Program: p.prog, Doc: doc, Type: p.typ(), Pos: p.tok.pos}
	t.Name = p.name("a typedef")
	t.Annotations = p.annotations()
	p.separator()
	define(p, &p.prog.Typedefs, t)
}

func (p *parser) enum(doc string) {
	p.next()
	e := &ast.Enum{Program: p.prog, Doc: doc, Pos: p.tok.pos, Name: p.name("an enum")}
	p.symbol("{", "after the name of an enum")
	number := int64(-1)
	for p.tok.kind == tokName || p.tok.kind == tokKeyword {
		v := &ast.EnumValue{Enum: e, Doc: p.takeDoc(), Pos: p.tok.pos, Implicit: true, Name: p.name("an enum value")}
		number++
		at, found := v.Pos, "a value after the largest"
		if p.acceptSymbol("=") {
			v.Implicit, number = false, p.tok.num
			at, found = p.tok.pos, p.tok.String()
			if p.tok.kind != tokInt || p.tok.word {
				p.unexpected("a whole number")
			}
			p.next()
		}
		v.Number = int32(number)
		if int64(v.Number) != number {
			p.fail(at, found, "a number from -2147483648 to 2147483647")
		}
		v.Annotations = p.annotations()
		p.separator()
		e.Values = append(e.Values, v)
	}
	p.close("}", "or the name of an enum value")
	e.Annotations = p.annotations()
	define(p, &p.prog.Enums, e)
}

func (p *parser) structure(doc string) {
	word := p.tok.text
	p.next()
	s := &ast.Struct{Program: p.prog, Doc: doc, Pos: p.tok.pos}
	switch word {
	case "union":
		s.Kind = ast.Union
	case "exception":
		s.Kind = ast.Exception
	}
	s.Name = p.name(article(word))
	if s.Kind != ast.Exception {
		s.XsdAll = p.acceptKeyword("xsd_all")
	}
	p.symbol("{", "after the name of "+article(word))
	s.Fields = p.fields("}", inRecord)
	s.Annotations = p.annotations()
	define(p, &p.prog.Structs, s)
}

func article(word string) string {
	if strings.IndexByte("aeio", word[0]) >= 0 {
		return "an " + word
	}
	return "a " + word
}

func (p *parser) service(doc string) {
	p.next()
	s := &ast.Service{Program: p.prog, Doc: doc, Pos: p.tok.pos, Name: p.name("a service")}
	if p.acceptKeyword("extends") {
		s.ExtendsPos = p.tok.pos
		s.Extends = p.dottedName("the name of a service")
	}
	p.symbol("{", "after the name of a service")
	for p.tok.kind == tokName || p.tok.kind == tokKeyword {
		s.Functions = append(s.Functions, p.function())
	}
	p.close("}", "or a function")
	s.Annotations = p.annotations()
	define(p, &p.prog.Services, s)
}

func (p *parser) function() *ast.Function {
	f := &ast.Function{Doc: p.takeDoc()}
	f.Oneway = p.acceptKeyword("oneway")
	if !f.Oneway && p.isKeyword("async") {
		p.warn(p.tok.pos, "async is the old word for oneway")
		f.Oneway = true
		p.next()
	}
	if p.isKeyword("void") {
		f.Result = &ast.Type{Pos: p.tok.pos, Kind: ast.KindVoid}
		p.next()
	} else {
		f.Result = p.typ()
	}
	f.Pos = p.tok.pos
	f.Name = p.name("a function")
	p.symbol("(", "after the name of a function")
	f.Args = p.fields(")", inArguments)
	if p.acceptKeyword("throws") {
		p.symbol("(", "after throws")
		f.Throws = p.fields(")", inThrows)
	}
	f.Annotations = p.annotations()
	p.separator()
	return f
}

func (p *parser) warn(pos ast.Pos, text string) {
	if len(p.prog.Warnings) < MaxWarnings {
		p.prog.Warnings = append(p.prog.Warnings, ast.Warning{Pos: pos, Text: text})
	}
}
