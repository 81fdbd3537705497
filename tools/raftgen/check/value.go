package check

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// value evaluates e as a value of type t. It reports at most one fault per part of e and returns nil where one is.
func (r *resolver) value(e *ast.Expr, t *ast.Type) *ast.Value {
	v := &ast.Value{Pos: e.Pos, Type: t}
	base := t.True()
	if def := namedDef(base); def != nil && !r.above(def) {
		r.fail(e.Pos, "a value of "+base.Name+", defined only at "+lineCol(def.DefPos()), "its type to be defined above")
		return nil
	}
	var ok bool
	switch base.Kind {
	case ast.KindInvalid:
		return nil
	case ast.KindEnum:
		ok = r.enumValue(v, e, base.Enum)
	case ast.KindList, ast.KindSet:
		ok = r.listValue(v, e, base)
	case ast.KindMap:
		ok = r.mapValue(v, e, base)
	case ast.KindStruct:
		ok = r.structValue(v, e, base.Struct)
	default:
		ok = r.scalarValue(v, e, base.Kind)
	}
	if !ok {
		return nil
	}
	return v
}

func namedDef(t *ast.Type) ast.Def {
	switch t.Kind {
	case ast.KindEnum:
		return t.Enum
	case ast.KindStruct:
		return t.Struct
	}
	return nil
}

// describe says what e is, for an error message.
func describe(e *ast.Expr) string {
	switch e.Kind {
	case ast.ExprInt:
		if e.Bool {
			return strconv.FormatBool(e.Int != 0)
		}
		return "the number " + strconv.FormatInt(e.Int, 10)
	case ast.ExprDouble:
		text := strconv.FormatFloat(e.Double, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return "the number " + text
	case ast.ExprString:
		return "the text " + quote(e.Text)
	case ast.ExprName:
		return "the name " + e.Text
	case ast.ExprList:
		return "a list"
	}
	return "a map"
}

// quote quotes a text, at most its first 40 bytes.
func quote(text string) string {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "..."
	}
	return strconv.Quote(text)
}

func (r *resolver) mismatch(e *ast.Expr, expected string) bool {
	r.fail(e.Pos, describe(e), expected)
	return false
}

// scalarValue evaluates a bool, a number, a text or a uuid, written out or as the name of a constant or enum value.
func (r *resolver) scalarValue(v *ast.Value, e *ast.Expr, kind ast.Kind) bool {
	if e.Kind == ast.ExprName {
		return r.named(v, e, kind)
	}
	switch {
	case kind == ast.KindBool && e.Kind == ast.ExprInt && (e.Int == 0 || e.Int == 1):
		v.Bool = e.Int == 1
	case kind.IsInteger() && e.Kind == ast.ExprInt && !e.Bool:
		v.Int = e.Int
		return r.inRange(e, kind, v.Int)
	case kind == ast.KindDouble && e.Kind == ast.ExprInt && !e.Bool:
		v.Double = float64(e.Int)
	case kind == ast.KindDouble && e.Kind == ast.ExprDouble:
		v.Double = e.Double
	case (kind == ast.KindString || kind == ast.KindBinary) && e.Kind == ast.ExprString:
		return r.text(v, e, kind, e.Text)
	case kind == ast.KindUUID && e.Kind == ast.ExprString:
		return r.uuid(v, e, e.Text)
	default:
		return r.mismatch(e, expectedOf(kind))
	}
	return true
}

func expectedOf(kind ast.Kind) string {
	switch kind {
	case ast.KindBool:
		return "true or false"
	case ast.KindDouble:
		return "a number"
	case ast.KindString, ast.KindBinary:
		return "a text in quotes"
	case ast.KindUUID:
		return "a uuid in quotes"
	}
	return "a whole number"
}

func (r *resolver) inRange(e *ast.Expr, kind ast.Kind, n int64) bool {
	bits := 8 << (kind - ast.KindI8)
	least, most := int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits)
	if n < least || n > most {
		r.fail(e.Pos, "the number "+strconv.FormatInt(n, 10), "an "+kind.String()+", "+strconv.FormatInt(least, 10)+" to "+
			strconv.FormatInt(most, 10))
		return false
	}
	return true
}

func (r *resolver) text(v *ast.Value, e *ast.Expr, kind ast.Kind, text string) bool {
	if kind == ast.KindString && !utf8.ValidString(text) {
		r.fail(e.Pos, "a string with bytes that are not UTF-8", "UTF-8, or the type binary")
		return false
	}
	v.Text = text
	return true
}

// uuid reads 8-4-4-4-12 hex digits, in braces or not.
func (r *resolver) uuid(v *ast.Value, e *ast.Expr, text string) bool {
	bare := text
	if len(bare) == 38 && bare[0] == '{' && bare[37] == '}' {
		bare = bare[1:37]
	}
	groups := strings.Split(bare, "-")
	id, err := hex.DecodeString(strings.Join(groups, ""))
	fits := err == nil && len(bare) == 36 && len(groups) == 5
	for i, n := range []int{8, 4, 4, 4, 12} {
		fits = fits && len(groups[i]) == n
	}
	if !fits {
		r.fail(e.Pos, "the text "+quote(text), "a uuid such as 00112233-4455-6677-8899-aabbccddeeff")
		return false
	}
	copy(v.UUID[:], id)
	return true
}

// named evaluates the name of a constant or of an enum value as a scalar of the given kind.
func (r *resolver) named(v *ast.Value, e *ast.Expr, kind ast.Kind) bool {
	if c := r.constant(e.Text); c != nil {
		return r.fromConst(v, e, kind, c)
	}
	member := r.member(e.Text)
	if member == nil {
		return r.mismatch(e, expectedOf(kind)+", or the name of a constant")
	}
	if !r.above(member.Enum) {
		r.fail(e.Pos, "the name "+e.Text+", defined only at "+lineCol(member.Pos), "an enum defined above")
		return false
	}
	switch {
	case kind.IsInteger():
		v.Int = int64(member.Number)
		return r.inRange(e, kind, v.Int)
	case kind == ast.KindDouble:
		v.Double = float64(member.Number)
		return true
	}
	r.fail(e.Pos, "the enum value "+e.Text, expectedOf(kind))
	return false
}

// fromConst takes the value of c, which must be of a type that has the same values as kind or fewer.
func (r *resolver) fromConst(v *ast.Value, e *ast.Expr, kind ast.Kind, c *ast.Const) bool {
	if !r.above(c) {
		r.fail(e.Pos, "constant "+c.Name+", defined only at "+lineCol(c.Pos), "a constant defined above")
		return false
	}
	if c.Value == nil {
		return false // reported where it is defined
	}
	v.Const = c
	switch from := c.Type.True().Kind; {
	case kind.IsInteger() && from.IsInteger():
		v.Int = c.Value.Int
		return r.inRange(e, kind, v.Int)
	case kind == ast.KindDouble && from.IsInteger():
		v.Double = float64(c.Value.Int)
	case isText(kind) && isText(from):
		return r.text(v, e, kind, c.Value.Text)
	case kind == from:
		v.Bool, v.Double, v.UUID = c.Value.Bool, c.Value.Double, c.Value.UUID
	default:
		r.fail(e.Pos, "constant "+c.Name+" of type "+c.Type.String(), expectedOf(kind))
		return false
	}
	return true
}

func isText(k ast.Kind) bool { return k == ast.KindString || k == ast.KindBinary }

// constant finds NAME or prefix.NAME.
func (r *resolver) constant(name string) *ast.Const {
	if c := r.scope.consts[name]; c != nil {
		return c
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		if s := r.scope.prefixes[name[:dot]]; s != nil {
			return s.consts[name[dot+1:]]
		}
	}
	return nil
}

// member finds Enum.NAME or prefix.Enum.NAME.
func (r *resolver) member(name string) *ast.EnumValue {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return nil
	}
	e, _ := r.lookup(name[:dot]).(*ast.Enum)
	if t, ok := r.lookup(name[:dot]).(*ast.Typedef); ok {
		e = t.Type.True().Enum
	}
	if e == nil {
		return nil
	}
	return r.members(e).named[name[dot+1:]]
}

// enumValue evaluates Enum.NAME, or a number that has a name. The official compiler looks at the last part of the name
// only, and files exist that rely on it: another qualifier gets a warning.
func (r *resolver) enumValue(v *ast.Value, e *ast.Expr, enum *ast.Enum) bool {
	switch {
	case e.Kind == ast.ExprName:
		if dot := strings.LastIndexByte(e.Text, '.'); dot >= 0 {
			v.Member = r.members(enum).named[e.Text[dot+1:]]
		}
		if v.Member != nil && r.member(e.Text) != v.Member {
			r.warn(e.Pos, e.Text+" is taken as "+enum.Name+"."+v.Member.Name)
		}
	case e.Kind == ast.ExprInt && !e.Bool:
		v.Member = r.members(enum).numbered[e.Int]
	}
	if v.Member == nil {
		expected := "a value of enum " + enum.Name
		if len(enum.Values) > 0 {
			expected += ", such as " + enum.Name + "." + enum.Values[0].Name
		}
		return r.mismatch(e, expected)
	}
	v.Int = int64(v.Member.Number)
	return true
}

// empty reports whether e is [] or {}: either stands for any empty container.
func empty(e *ast.Expr) bool {
	return (e.Kind == ast.ExprList || e.Kind == ast.ExprMap) && len(e.List)+len(e.Map) == 0
}

func (r *resolver) listValue(v *ast.Value, e *ast.Expr, t *ast.Type) bool {
	if e.Kind != ast.ExprList && !empty(e) {
		return r.mismatch(e, "a "+t.Kind.String()+" in [ ]")
	}
	ok := true
	seen := map[string]bool{}
	for _, item := range e.List {
		element := r.value(item, t.Elem)
		if element == nil {
			ok = false
			continue
		}
		if t.Kind == ast.KindSet {
			key := identity(element)
			if seen[key] {
				r.warn(item.Pos, "this value is in the set already")
				continue
			}
			seen[key] = true
		}
		v.List = append(v.List, element)
	}
	return ok
}

func (r *resolver) mapValue(v *ast.Value, e *ast.Expr, t *ast.Type) bool {
	if e.Kind != ast.ExprMap && !empty(e) {
		return r.mismatch(e, "a map in { }")
	}
	ok := true
	seen := map[string]bool{}
	for _, item := range e.Map {
		pair := ast.ValuePair{Key: r.value(item.Key, t.Key), Value: r.value(item.Value, t.Elem)}
		if pair.Key == nil || pair.Value == nil {
			ok = false
			continue
		}
		key := identity(pair.Key)
		if seen[key] {
			r.fail(pair.Key.Pos, "the same key a second time", "each key of a map once")
			ok = false
		}
		seen[key] = true
		v.Map = append(v.Map, pair)
	}
	return ok
}

// identity is a text that two values of one type share exactly if they are equal.
func identity(v *ast.Value) string {
	var b strings.Builder
	writeIdentity(&b, v)
	return b.String()
}

func writeIdentity(b *strings.Builder, v *ast.Value) {
	switch v.Type.True().Kind {
	case ast.KindBool:
		b.WriteString(strconv.FormatBool(v.Bool))
	case ast.KindDouble:
		b.WriteString(strconv.FormatFloat(v.Double+0, 'g', -1, 64)) // + 0 makes -0 equal to 0, as it is in Go
	case ast.KindString, ast.KindBinary:
		b.WriteString(strconv.Quote(v.Text))
	case ast.KindUUID:
		b.WriteString(hex.EncodeToString(v.UUID[:]))
	case ast.KindList, ast.KindSet:
		for _, item := range v.List {
			writeIdentity(b, item)
			b.WriteByte(',')
		}
	case ast.KindMap:
		for _, pair := range v.Map {
			writeIdentity(b, pair.Key)
			b.WriteByte(':')
			writeIdentity(b, pair.Value)
			b.WriteByte(',')
		}
	case ast.KindStruct:
		for _, f := range v.Fields {
			b.WriteString(strconv.Itoa(int(f.Field.ID)))
			b.WriteByte('=')
			writeIdentity(b, f.Value)
			b.WriteByte(',')
		}
	default:
		b.WriteString(strconv.FormatInt(v.Int, 10))
	}
	b.WriteByte(';')
}

// structValue evaluates { "field": value, ... }.
func (r *resolver) structValue(v *ast.Value, e *ast.Expr, s *ast.Struct) bool {
	if e.Kind != ast.ExprMap {
		return r.mismatch(e, "the fields of "+s.Kind.String()+" "+s.Name+" in { }")
	}
	ok := true
	places, set := r.fieldPlaces(s), map[*ast.Field]*ast.Value{}
	for _, item := range e.Map {
		var f *ast.Field
		if i, known := places[item.Key.Text]; known && item.Key.Kind == ast.ExprString {
			f = s.Fields[i]
		}
		switch {
		case f == nil && item.Key.Kind == ast.ExprString:
			r.fail(item.Key.Pos, describe(item.Key), "the name of a field of "+s.Kind.String()+" "+s.Name)
		case f == nil:
			r.mismatch(item.Key, "the name of a field of "+s.Kind.String()+" "+s.Name+" in quotes")
		case set[f] != nil:
			r.fail(item.Key.Pos, "field "+f.Name+" a second time", "each field once")
		case s.Kind == ast.Union && len(set) > 0:
			r.fail(item.Key.Pos, "a second field of union "+s.Name, "exactly one")
		default:
			set[f] = r.value(item.Value, f.Type)
			v.Fields = append(v.Fields, ast.FieldValue{Field: f, Value: set[f]})
		}
		ok = ok && f != nil && set[f] != nil
	}
	slices.SortFunc(v.Fields, func(a, b ast.FieldValue) int { return places[a.Field.Name] - places[b.Field.Name] })
	return ok
}
