package emit

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// Put returns the body of the method that writes the record: a line per field, as far as that goes.
func (r *record) Put() string {
	var l lines
	switch f := r.g.format; {
	case f == msgpackFormat:
		r.putMsgpack(&l)
	case f == compactFormat:
		r.putCompact(&l)
	default:
		for _, fd := range r.Sorted {
			r.guarded(&l, fd, func() { r.putField(&l, fd, "") })
		}
	}
	return l.String()
}

// guarded writes a field's lines, inside an if unless the field is always there.
func (r *record) guarded(l *lines, f *field, body func()) {
	if f.Presence() == "" {
		body()
		return
	}
	l.add("if %s {", f.Presence())
	body()
	l.add("}")
}

// putCompact keeps track of the id of the field before: a constant as long as only fields that are always there
// were written, a variable from the first optional field to the next field that is always there.
func (r *record) putCompact(l *lines) {
	last, declared := "0", false
	for i, f := range r.Sorted {
		if f.Presence() == "" {
			if !r.Hot || last != fmt.Sprint(f.ID-1) || !r.putNext(l, f) {
				r.putField(l, f, last)
			}
			last = fmt.Sprint(f.ID)
			continue
		}
		needed := i+1 < len(r.Sorted) // somebody asks for the id before
		if needed && last != "last" {
			if declared {
				l.add("last = %s", last)
			} else {
				l.add("last := int16(%s)", last)
			}
			declared, last = true, "last"
		}
		l.add("if %s {", f.Presence())
		r.putField(l, f, last)
		if needed {
			l.add("last = %d", f.ID)
		}
		l.add("}")
	}
}

// putField writes a field's header and value.
func (r *record) putField(l *lines, f *field, last string) {
	fm, t := r.g.format, f.T.True()
	var head []string
	switch {
	case fm == compactFormat:
		head = []string{last, fmt.Sprint(f.ID)}
	case fm == binaryFormat:
		head = []string{fmt.Sprint(f.ID)}
	case fm.writer:
		head = []string{fmt.Sprintf("%q", f.Name), fmt.Sprint(f.ID)}
	}
	if s := scalar(t); s != "" {
		l.add("%s", fm.put(s+"Field", append(head, r.g.base(f.T, f.value()))...))
		return
	}
	if fm.writer || t.Kind == ast.KindStruct {
		l.add("%s", fm.put("Field", append(head, fm.key(t))...))
		r.g.putValue(l, f.T, f.value(), nest{field: f.Go}, nil, f.Form == pointer)
		if fm.writer {
			l.add("w.FieldEnd()")
		}
		return
	}
	r.g.putValue(l, f.T, f.value(), nest{field: f.Go}, head, false)
}

// putValue writes the lines for a value x of type t. With head, they write the header of the field too, which the
// direct Thrift formats do together with the container's.
func (g *generator) putValue(l *lines, t *ast.Type, x string, n nest, head []string, isPointer bool) {
	fm, tt := g.format, t.True()
	if s := scalar(tt); s != "" {
		l.add("%s", fm.put(s, g.base(t, x)))
		return
	}
	kind := map[ast.Kind]string{ast.KindList: "List", ast.KindSet: "Set", ast.KindMap: "Map"}[tt.Kind]
	begin := kind
	switch {
	case tt.Kind == ast.KindStruct:
		g.putStruct(l, x, isPointer)
		return
	case head != nil:
		begin += "Field"
	case fm == msgpackFormat && kind != "Map":
		begin = "Array"
	case !fm.writer && kind == "Set":
		begin = "List"
	}
	args := append(head, fm.elementKeys(tt)...)
	if tt.Kind == ast.KindMap {
		g.putMap(l, tt, x, n, begin, args)
	} else {
		g.putList(l, tt, x, n, begin, args)
	}
	if fm.writer {
		l.add("w.%sEnd()", kind)
	}
}

func (g *generator) putStruct(l *lines, x string, isPointer bool) {
	switch {
	case !g.format.writer:
		l.add("b = %s.Append%s(b)", x, g.format.Name)
	case isPointer:
		l.add("w.Struct(%s)", x)
	default:
		l.add("w.Struct(&%s)", x)
	}
}

func (g *generator) putList(l *lines, t *ast.Type, x string, n nest, begin string, args []string) {
	if t.Kind == ast.KindSet {
		l.add("%s := %s", n.name("set"), g.sorted(t.Elem, "Sorted", x))
		x = n.name("set")
	}
	l.add("%s", g.format.put(begin, append(args, "len("+x+")")...))
	g.putElements(l, t, x, n)
}

func (g *generator) putElements(l *lines, t *ast.Type, x string, n nest) {
	if scalar(t.Elem) != "" {
		l.add("for _, v%s := range %s {", n.suffix, x)
		g.putValue(l, t.Elem, "v"+n.suffix, n.value(), nil, false)
	} else {
		l.add("for i%s := range %s {", n.suffix, x)
		g.putValue(l, t.Elem, fmt.Sprintf("%s[i%s]", x, n.suffix), n.value(), nil, false)
	}
	l.add("}")
}

func (g *generator) putMap(l *lines, t *ast.Type, x string, n nest, begin string, args []string) {
	if !hashable(t.Key) {
		l.add("%s := %s.SortedPairs(%s, %s)", n.name("pairs"), g.use(codecPath), x, g.encodeFunc(t.Key))
		x = n.name("pairs")
		l.add("%s", g.format.put(begin, append(args, "len("+x+")")...))
		l.add("for i%s := range %s {", n.suffix, x)
		g.putValue(l, t.Key, fmt.Sprintf("%s[i%s].Key", x, n.suffix), n.key(), nil, false)
		g.putValue(l, t.Elem, fmt.Sprintf("%s[i%s].Value", x, n.suffix), n.value(), nil, false)
		l.add("}")
		return
	}
	l.add("%s", g.format.put(begin, append(args, "len("+x+")")...))
	l.add("for _, k%s := range %s {", n.suffix, g.sorted(t.Key, "SortedKeys", x))
	g.putValue(l, t.Key, "k"+n.suffix, n.key(), nil, false)
	if scalar(t.Elem) != "" {
		g.putValue(l, t.Elem, fmt.Sprintf("%s[k%s]", x, n.suffix), n.value(), nil, false)
	} else {
		l.add("v%s := %s[k%s]", n.suffix, x, n.suffix)
		g.putValue(l, t.Elem, "v"+n.suffix, n.value(), nil, false)
	}
	l.add("}")
}

// sorted returns the call that brings a set or the keys of a map into order.
func (g *generator) sorted(elem *ast.Type, fn, x string) string {
	switch elem.True().Kind {
	case ast.KindI8, ast.KindI16, ast.KindI32, ast.KindI64, ast.KindEnum, ast.KindDouble, ast.KindString:
		return fmt.Sprintf("%s.%s(%s)", g.use(codecPath), fn, x)
	}
	return fmt.Sprintf("%s.%sFunc(%s, %s)", g.use(codecPath), fn, x, g.encodeFunc(elem))
}

// encodeFunc returns a function that encodes a value of type t, for sorting. All formats sort alike: by the bytes
// of a binary, else by the value's encoding in Thrift Binary.
func (g *generator) encodeFunc(t *ast.Type) string {
	if t.True().Kind == ast.KindBinary {
		return g.use(codecPath) + ".BinaryKey[" + g.goType(t) + "]"
	}
	in := *g
	in.format = binaryFormat
	g.use(binaryPath)
	var l lines
	in.putValue(&l, t, "v", nest{}.value(), nil, false)
	return "func(b []byte, v " + g.goType(t) + ") []byte {\n" + l.String() + "return b\n}"
}

// putMsgpack writes an array, or a map where the ids are sparse.
func (r *record) putMsgpack(l *lines) {
	if !r.Positional() {
		r.putMsgpackMap(l)
		return
	}
	byID := map[int]*field{}
	always, most := 0, 0 // the last element that is always there; the last there can be
	for _, f := range r.Sorted {
		byID[int(f.ID)] = f
		if most = int(f.ID); f.Presence() == "" {
			always = most
		}
	}
	if always == most {
		l.add("b = msgpack.AppendArray(b, %d)", most)
	} else {
		l.add("n := %d", always)
		for _, f := range r.Sorted {
			if int(f.ID) > always {
				l.add("if %s {\nn = %d\n}", f.Presence(), f.ID)
			}
		}
		l.add("b = msgpack.AppendArray(b, n)")
	}
	for id := 1; id <= most; id++ {
		r.putElement(l, byID[id], id, id > always, id == most)
	}
}

// putElement writes element id of the array; field is nil in a gap. A tail element is there only when the array
// is that long.
func (r *record) putElement(l *lines, f *field, id int, tail, final bool) {
	const appendNil = "b = msgpack.AppendNil(b)"
	switch {
	case f == nil && tail:
		l.add("if n > %d {\n%s\n}", id, appendNil)
	case f == nil:
		l.add(appendNil)
	case f.Presence() == "":
		r.g.putValue(l, f.T, f.value(), nest{field: f.Go}, nil, false)
	default:
		l.add("if %s {", f.Presence())
		r.g.putValue(l, f.T, f.value(), nest{field: f.Go}, nil, f.Form == pointer)
		switch {
		case final:
			l.add("}")
		case tail:
			l.add("} else if n > %d {\n%s\n}", id, appendNil)
		default:
			l.add("} else {\n%s\n}", appendNil)
		}
	}
}

func (r *record) putMsgpackMap(l *lines) {
	always := 0
	for _, f := range r.Sorted {
		if f.Presence() == "" {
			always++
		}
	}
	if always == len(r.Sorted) {
		l.add("b = msgpack.AppendMap(b, %d)", always)
	} else {
		l.add("n := %d", always)
		for _, f := range r.Sorted {
			if f.Presence() != "" {
				l.add("if %s {\nn++\n}", f.Presence())
			}
		}
		l.add("b = msgpack.AppendMap(b, n)")
	}
	for _, f := range r.Sorted {
		r.guarded(l, f, func() {
			l.add("b = msgpack.AppendI64(b, %d)", f.ID)
			r.g.putValue(l, f.T, f.value(), nest{field: f.Go}, nil, f.Form == pointer)
		})
	}
}

// Positional reports whether the record's msgpack form is an array: all ids at least 1, and not sparse.
func (r *record) Positional() bool {
	for _, f := range r.Sorted {
		if f.ID < 1 || int(f.ID) > 2*len(r.Sorted)+8 {
			return false
		}
	}
	return true
}
