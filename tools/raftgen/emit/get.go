package emit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// Cases returns the cases of the switch that reads the record: one per field.
func (r *record) Cases() string {
	var l lines
	for _, f := range r.Sorted {
		l.add("case %s:", r.g.caseLabel(f))
		if f.Required {
			l.add("seen[%d] = true", r.requiredIndex(f))
		}
		r.getField(&l, f)
	}
	return l.String()
}

// caseLabel returns what the format's decoder says when it stands at the field.
func (g *generator) caseLabel(f *field) string {
	id := strconv.Itoa(int(f.ID))
	if f.ID < 0 && g.format.typed {
		id = fmt.Sprintf("%#x", uint16(f.ID)) // a key holds the id's 16 bits
	}
	switch {
	case !g.format.typed:
		return id
	case g.format == compactFormat && f.T.True().Kind == ast.KindBool:
		return "compact.True | " + id + ", compact.False | " + id
	}
	return g.format.key(f.T) + " | " + id
}

func (r *record) getField(l *lines, f *field) {
	g := r.g
	x := "m." + f.Go
	if e := g.scalarExpr(f); e != "" {
		switch {
		case f.Form == opt:
			l.add("%s = %s.Some(%s)", x, g.use(codecPath), e)
		default:
			l.add("%s = %s", x, e)
		}
		if f.Max > 0 {
			l.add("%s.CheckMax(len(%s), %d)", g.format.decoder, f.value(), f.Max)
		}
		return
	}
	g.getValue(l, f.T, x, nest{}, f.Form, f.Max)
}

// scalarExpr returns the expression that reads a field which is no container and no struct, or "".
func (g *generator) scalarExpr(f *field) string {
	k := f.T.True().Kind
	switch {
	case k == ast.KindBool && g.format.typed:
		return g.typed(f.T, g.format.decoder+".FieldBool(f)")
	case k == ast.KindBinary && f.Form == nilable:
		return g.format.decoder + ".OptBytes()"
	}
	return g.elementExpr(f.T)
}

// elementExpr returns the expression that reads an element which is no container and no struct, or "".
func (g *generator) elementExpr(t *ast.Type) string {
	s := scalar(t)
	switch s {
	case "":
		return ""
	case "Binary":
		return g.format.decoder + ".Bytes()"
	}
	return g.typed(t, g.format.decoder+"."+s+"()")
}

// getValue writes the lines that read a value of type t into x.
func (g *generator) getValue(l *lines, t *ast.Type, x string, n nest, f form, limit int64) {
	if e := g.elementExpr(t); e != "" {
		l.add("%s = %s", x, e)
		if limit > 0 {
			l.add("%s.CheckMax(len(%s), %d)", g.format.decoder, x, limit)
		}
		return
	}
	switch tt := t.True(); {
	case tt.Kind == ast.KindStruct:
		g.getStruct(l, t, x, f)
	case tt.Kind == ast.KindMap && hashable(tt.Key):
		g.getMap(l, tt, x, n, limit)
	case tt.Kind == ast.KindMap:
		g.getPairs(l, tt, x, n, f, limit)
	case g.format.writer:
		g.getProtocolList(l, tt, x, n, f, limit)
	default:
		g.getList(l, tt, x, n, f, limit)
	}
}

func (g *generator) getStruct(l *lines, t *ast.Type, x string, f form) {
	switch {
	case g.format.writer && f == pointer:
		l.add("%s = protocol.New[%s](&r)", x, g.goType(t))
		l.add("r.Struct(%s)", x)
	case g.format.writer:
		l.add("r.Struct(&%s)", x)
	case f == pointer:
		l.add("%s = %s.New[%s](d)", x, g.format.Pkg, g.goType(t))
		l.add("%s.Scan%s(d)", x, g.format.Name)
	default:
		l.add("%s.Scan%s(d)", x, g.format.Name)
	}
}

// headerArgs returns the arguments of the call that reads a container's header.
func (g *generator) headerArgs(t *ast.Type, limit int64) string {
	return strings.Join(append(g.format.elementKeys(t), strconv.FormatInt(limit, 10)), ", ")
}

// failed ends a loop after an error. Loops over scalars need no such line: they are short of work then.
func (g *generator) failed(l *lines, n nest) {
	l.add("if %s.Failed(i%s) {\nbreak\n}", g.format.decoder, n.suffix)
}

func (g *generator) getList(l *lines, t *ast.Type, x string, n nest, f form, limit int64) {
	fn := "Slice"
	if f == nilable {
		fn = "OptSlice"
	}
	l.add("%s = %s.%s(d, %s, %s)", x, g.format.Pkg, fn, x, g.headerArgs(t, limit))
	l.add("for i%s := range %s {", n.suffix, x)
	g.getValue(l, t.Elem, fmt.Sprintf("%s[i%s]", x, n.suffix), n.value(), plain, t.Elem.Max)
	if scalar(t.Elem) == "" {
		g.failed(l, n)
	}
	l.add("}")
}

// getProtocolList grows the slice as elements arrive, unless the protocol has a memory budget: its counts are not
// checked against the bytes left.
func (g *generator) getProtocolList(l *lines, t *ast.Type, x string, n nest, f form, limit int64) {
	kind := map[ast.Kind]string{ast.KindList: "List", ast.KindSet: "Set"}[t.Kind]
	if f == nilable {
		l.add("%s = %s{}", x, g.goType(t))
	} else {
		l.add("%s = %s[:0]", x, x)
	}
	l.add("for i%s := range protocol.Room(&r, &%s, r.%s(%s)) {", n.suffix, x, kind, g.headerArgs(t, limit))
	l.add("%s = protocol.Grow(%s)", x, x)
	g.getValue(l, t.Elem, fmt.Sprintf("%s[i%s]", x, n.suffix), n.value(), plain, t.Elem.Max)
	g.failed(l, n)
	l.add("}\nr.%sEnd()", kind)
}

// count returns the expression for the number of a map's entries.
func (g *generator) count(t *ast.Type, limit int64) string {
	return fmt.Sprintf("%s.Map(%s)", g.format.decoder, g.headerArgs(t, limit))
}

func (g *generator) getMap(l *lines, t *ast.Type, x string, n nest, limit int64) {
	l.add("n%s := %s", n.suffix, g.count(t, limit))
	d := g.format.decoder
	if g.format.writer {
		d = "&r"
	}
	l.add("%s = %s.MakeMap[%s, %s](%s, n%s)", x, g.format.Pkg, g.goType(t.Key), g.goType(t.Elem), d, n.suffix)
	l.add("for i%s := range n%s {", n.suffix, n.suffix)
	g.getVar(l, t.Key, "k"+n.suffix, n.key())
	g.getVar(l, t.Elem, "v"+n.suffix, n.value())
	g.failed(l, n)
	l.add("%s[k%s] = v%s", x, n.suffix, n.suffix)
	l.add("}")
	if g.format.writer {
		l.add("r.MapEnd()")
	}
}

// getVar declares a variable of type t and reads it.
func (g *generator) getVar(l *lines, t *ast.Type, x string, n nest) {
	if e := g.elementExpr(t); e != "" && t.Max == 0 {
		l.add("%s := %s", x, e)
		return
	}
	l.add("var %s %s", x, g.goType(t))
	g.getValue(l, t, x, n, plain, t.Max)
}

// getPairs reads a map whose keys Go cannot compare.
func (g *generator) getPairs(l *lines, t *ast.Type, x string, n nest, f form, limit int64) {
	if g.format.writer {
		l.add("%s = %s{}", x, g.goType(t))
		l.add("for i%s := range protocol.Room(&r, &%s, %s) {", n.suffix, x, g.count(t, limit))
		l.add("%s = protocol.Grow(%s)", x, x)
	} else {
		fn := "Resize"
		if f == nilable {
			fn = "OptResize"
		}
		l.add("%s = %s.%s(d, %s, %s)", x, g.format.Pkg, fn, x, g.count(t, limit))
		l.add("for i%s := range %s {", n.suffix, x)
	}
	g.getValue(l, t.Key, fmt.Sprintf("%s[i%s].Key", x, n.suffix), n.key(), plain, t.Key.Max)
	g.getValue(l, t.Elem, fmt.Sprintf("%s[i%s].Value", x, n.suffix), n.value(), plain, t.Elem.Max)
	g.failed(l, n)
	l.add("}")
	if g.format.writer {
		l.add("r.MapEnd()")
	}
}

// Required returns the ids of the required fields, by which reading checks that all were there.
func (r *record) Required() []int16 {
	var ids []int16
	for _, f := range r.Sorted {
		if f.Required {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

func (r *record) requiredIndex(f *field) int {
	for i, id := range r.Required() {
		if id == f.ID {
			return i
		}
	}
	return -1
}

// Union reports whether exactly one field must be set.
func (r *record) Union() bool { return r.Kind == ast.Union }

// Exception reports whether the record is a Go error.
func (r *record) Exception() bool { return r.Kind == ast.Exception }
