// Package lock writes down what an IDL file promises on the wire, and tells whether a later version keeps it.
//
// A lock is text, one line for each fact, sorted, so that a change of the IDL shows up as a readable difference:
//
//	enum CODEC
//	enum CODEC 0 NAME
//	enum CODEC reserved 4
//	struct ENTRY
//	struct ENTRY 1 TYPE NAME REQUIREDNESS [max N] [= DEFAULT]
//	struct ENTRY reserved 7
//	service PEER [extends BASE]
//	service PEER 3 NAME RESULT(ID:TYPE NAME) [oneway]
//	service PEER 3 throws 1 TYPE NAME
//	service PEER reserved 5
//	service PEER reserved NAME
//
// union and exception lines look like struct lines. The number after a service is the method's native id. Typedefs are
// followed, because the wire does not know them; names of an included file have its name and a dot in front. The bound of
// an element stands behind its type: list<string(max 8)>.
package lock

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// fact is one line of a lock: a key that says what it is about, and what holds for it.
type fact struct {
	key  string // "struct Entry 1", "enum Codec reserved 4", "service Peer 3 throws 1"
	rest string // "i64 term default", "", ...
	path string // the IDL file, and the place in it
	pos  ast.Pos
}

func (f fact) line() string { return strings.TrimSpace(f.key + " " + f.rest) }

// words splits a key: the word for the kind, the name, and what follows, in which numbers are compared as numbers.
func (f fact) words() []string { return strings.Fields(f.key) }

func compareFacts(a, b fact) int {
	return slices.CompareFunc(a.words(), b.words(), func(x, y string) int {
		n, errX := strconv.Atoi(x)
		m, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return cmp.Compare(n, m)
		}
		return strings.Compare(x, y)
	})
}

// collector gathers the facts of a set of programs.
type collector struct {
	root    *ast.Program
	program *ast.Program
	facts   []fact
	faults  *faults
}

func (c *collector) add(pos ast.Pos, rest, format string, args ...any) {
	c.facts = append(c.facts, fact{key: fmt.Sprintf(format, args...), rest: rest, path: c.program.Path, pos: pos})
}

// collect returns every fact of the set, sorted; what breaks a rule by itself goes to faults.
func collect(set *ast.Set, faults *faults) []fact {
	c := &collector{root: set.Roots[0], faults: faults}
	for _, c.program = range set.All {
		for _, def := range c.program.Defs {
			switch d := def.(type) {
			case *ast.Enum:
				c.enum(d)
			case *ast.Struct:
				c.record(d)
			case *ast.Service:
				c.service(d)
			}
		}
	}
	slices.SortFunc(c.facts, compareFacts)
	return c.facts
}

// name is how a definition is called in the lock.
func (c *collector) name(p *ast.Program, name string) string {
	if p == c.root {
		return name
	}
	return p.Name + "." + name
}

// typeText writes a type as the wire sees it.
func (c *collector) typeText(t *ast.Type) string {
	t = t.True()
	switch t.Kind {
	case ast.KindList, ast.KindSet:
		return t.Kind.String() + "<" + c.boundedText(t.Elem) + ">"
	case ast.KindMap:
		return "map<" + c.boundedText(t.Key) + "," + c.boundedText(t.Elem) + ">"
	case ast.KindEnum:
		return c.name(t.Enum.Program, t.Enum.Name)
	case ast.KindStruct:
		return c.name(t.Struct.Program, t.Struct.Name)
	}
	return t.Kind.String()
}

// boundedText is typeText with the most bytes or elements that a decoder accepts.
func (c *collector) boundedText(t *ast.Type) string {
	if t.Max > 0 {
		return c.typeText(t) + "(max " + strconv.FormatInt(t.Max, 10) + ")"
	}
	return c.typeText(t)
}

// valueText writes a value on one line: texts quoted, maps sorted by key.
func valueText(v *ast.Value) string {
	var parts []string
	switch t := v.Type.True(); t.Kind {
	case ast.KindBool:
		return strconv.FormatBool(v.Bool)
	case ast.KindDouble:
		return strconv.FormatFloat(v.Double, 'g', -1, 64)
	case ast.KindString, ast.KindBinary:
		return strconv.QuoteToASCII(v.Text)
	case ast.KindUUID:
		return fmt.Sprintf("%x", v.UUID)
	case ast.KindList, ast.KindSet:
		for _, item := range v.List {
			parts = append(parts, valueText(item))
		}
		if t.Kind == ast.KindSet {
			sort.Strings(parts)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case ast.KindMap:
		for _, pair := range v.Map {
			parts = append(parts, valueText(pair.Key)+": "+valueText(pair.Value))
		}
		sort.Strings(parts)
	case ast.KindStruct:
		for _, f := range v.Fields {
			parts = append(parts, f.Field.Name+": "+valueText(f.Value))
		}
	default:
		return strconv.FormatInt(v.Int, 10)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (c *collector) enum(e *ast.Enum) {
	name := c.name(e.Program, e.Name)
	c.add(e.Pos, "", "enum %s", name)
	reserved := c.reserved(e.Annotations, e.Pos, "enum "+name)
	first := map[int32]*ast.EnumValue{}
	for _, v := range e.Values {
		if other := first[v.Number]; other != nil {
			c.fail(v.Pos, fmt.Sprintf("the number %d of %s a second time, for %s", v.Number, other.Name, v.Name), "another number")
			continue
		}
		first[v.Number] = v
		c.notReserved(reserved, v.Pos, "value", v.Name, int(v.Number))
		c.add(v.Pos, v.Name, "enum %s %d", name, v.Number)
	}
	if first[0] == nil {
		c.fail(e.Pos, "enum "+e.Name+" without a value 0", "0 to say that nothing is stated")
	}
}

func (c *collector) record(s *ast.Struct) {
	head := s.Kind.String() + " " + c.name(s.Program, s.Name)
	c.add(s.Pos, "", "%s", head)
	reserved := c.reserved(s.Annotations, s.Pos, head)
	for _, f := range s.Fields {
		switch {
		case f.Implicit:
			c.fail(f.Pos, "field "+f.Name+" without an id", "an id from 1")
			continue
		case f.Requiredness == ast.Required:
			c.fail(f.Pos, "the required field "+f.Name, "optional, or neither word: required can never be taken back")
		}
		c.notReserved(reserved, f.Pos, "field", f.Name, int(f.ID))
		rest := c.typeText(f.Type) + " " + f.Name + " " + f.Requiredness.String()
		if f.Max > 0 {
			rest += " max " + strconv.FormatInt(f.Max, 10)
		}
		if f.Value != nil {
			rest += " = " + valueText(f.Value)
		}
		c.add(f.Pos, rest, "%s %d", head, f.ID)
	}
}

func (c *collector) service(s *ast.Service) {
	head := "service " + c.name(s.Program, s.Name)
	extends := ""
	if s.Base != nil {
		extends = "extends " + c.name(s.Base.Program, s.Base.Name)
	}
	c.add(s.Pos, extends, "%s", head)
	reserved := c.reserved(s.Annotations, s.Pos, head)
	for _, f := range s.Functions {
		if f.NativeID == 0 {
			c.fail(f.Pos, "method "+f.Name+" without a native id", `(id = "n") after it`)
			continue
		}
		c.notReserved(reserved, f.Pos, "method", f.Name, f.NativeID)
		c.add(f.Pos, c.signature(f), "%s %d", head, f.NativeID)
		for _, e := range f.Throws {
			c.add(e.Pos, c.typeText(e.Type)+" "+e.Name, "%s %d throws %d", head, f.NativeID, e.ID)
		}
	}
}

func (c *collector) signature(f *ast.Function) string {
	if len(f.Args) != 1 || f.Args[0].Type.True().Kind != ast.KindStruct || f.Args[0].ID != 1 {
		c.fail(f.Pos, "the arguments of method "+f.Name, "exactly one struct with the id 1: it can grow, a list of arguments cannot")
	}
	var args []string
	for _, a := range f.Args {
		args = append(args, fmt.Sprintf("%d:%s %s", a.ID, c.typeText(a.Type), a.Name))
	}
	text := f.Name + " " + c.typeText(f.Result) + "(" + strings.Join(args, ", ") + ")"
	if f.Oneway {
		text += " oneway"
	}
	return text
}

// reserved reads (reserved = "3, 5, name"): ids, numbers and names that something removed has had.
func (c *collector) reserved(list ast.Annotations, pos ast.Pos, head string) map[string]bool {
	reserved := map[string]bool{}
	for _, a := range list {
		if a.Key != "reserved" {
			continue
		}
		for _, word := range strings.Split(a.Value, ",") {
			word = strings.TrimSpace(word)
			if n, err := strconv.Atoi(word); err == nil {
				word = strconv.Itoa(n)
			} else if !isName(word) {
				c.fail(a.Pos, "reserved = "+strconv.Quote(a.Value), "numbers and names with commas between them")
				break
			}
			if !reserved[word] {
				c.add(pos, "", "%s reserved %s", head, word)
			}
			reserved[word] = true
		}
	}
	return reserved
}

func isName(word string) bool {
	for i, r := range word {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return word != ""
}

// notReserved refuses a field, value or method whose number or name is reserved.
func (c *collector) notReserved(reserved map[string]bool, pos ast.Pos, what, name string, number int) {
	if reserved[strconv.Itoa(number)] {
		c.fail(pos, fmt.Sprintf("%s %s with the reserved number %d", what, name, number), "another number")
	}
	if reserved[name] {
		c.fail(pos, what+" "+name+", a reserved name", "another name")
	}
}

func (c *collector) fail(pos ast.Pos, found, expected string) {
	c.faults.add(c.program.Path, pos, found, expected)
}
