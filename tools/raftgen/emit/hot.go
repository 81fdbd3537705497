package emit

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// What (hot = "1") on a struct asks for: the fields at its start are read in straight line, in all direct formats, and
// Compact writes fields whose ids follow each other with shorter code.

// straight returns the fields at the start of a hot struct that are read in straight line: ids 1, 2, ... of types
// that have functions for it, and always there.
func (r *record) straight() []*field { return r.following(0) }

// following returns the fields that are read in straight line behind the first n.
func (r *record) following(n int) []*field {
	first := n
	for n < len(r.Sorted) && r.isNext(n) && straightName(r.Sorted[n]) != "" {
		n++
	}
	return r.Sorted[first:n]
}

// isNext reports whether the field at place n has the id n+1 and is always there, in a hot struct. Required fields
// are none of those: the loop keeps account of them.
func (r *record) isNext(n int) bool {
	f := r.Sorted[n]
	return r.Hot && int(f.ID) == n+1 && f.Form == plain && !f.Required
}

// straightList returns the list of structs behind the straight fields, which is read in straight line too, or nil.
func (r *record) straightList() *field {
	n := len(r.straight())
	if n == 0 || n == len(r.Sorted) || !r.isNext(n) || r.Sorted[n].Max > 0 {
		return nil
	}
	if t := r.Sorted[n].T.True(); t.Kind != ast.KindList || t.Elem.True().Kind != ast.KindStruct {
		return nil
	}
	return r.Sorted[n]
}

// Straight returns the lines that read the fields at the start of a hot struct.
func (r *record) Straight() string {
	var l lines
	for _, f := range r.straight() {
		r.getNext(&l, f)
	}
	if list := r.straightList(); list != nil && r.g.format.typed {
		r.getNextList(&l, list)
	}
	return l.String()
}

// Resume returns the arguments of the call that goes on behind what was read in straight line: behind which field the
// loop begins when the last field expected was not there, and when it was.
func (r *record) Resume() string {
	if r.straightList() != nil {
		return "from, last"
	}
	return fmt.Sprintf("0, %d", len(r.straight()))
}

func (r *record) getNext(l *lines, f *field) {
	name, to := straightName(f), "&m."+f.Go
	base := map[string]string{"Bool": "bool", "I32": "int32", "I64": "int64", "Binary": "[]byte"}[name]
	if name == "Binary" {
		name = "Bytes"
	}
	if r.g.goType(f.T) != base {
		to = "(*" + base + ")(" + to + ")"
	}
	switch r.g.format {
	case compactFormat:
		l.add("p = compact.Next%s(b, p, %s)", name, to)
	case binaryFormat:
		l.add("p = binary.Next%s(b, p, %d, %s)", name, f.ID, to)
	default:
		l.add("p, f = msgpack.Next%s(b, p, f, %d, %s)", name, f.ID, to)
	}
}

// getNextList writes the lines that read a list and what follows it. Once the elements are read, the loop never
// begins in front of them: reading them twice at each level of nesting would take for ever.
func (r *record) getNextList(l *lines, list *field) {
	pkg, x, args := r.g.format.Pkg, list.value(), ""
	if r.g.format == binaryFormat {
		args = fmt.Sprintf("%d, ", list.ID)
	}
	l.add("from, last := uint32(0), uint32(%d)", list.ID-1)
	l.add("if n, at := %s.NextList(b, p, %s%s); at > 0 {", pkg, args, r.g.format.key(list.T.True().Elem))
	l.add("d.Pos = at")
	l.add("%s = %s.Resize(d, %s, n)", x, pkg, x)
	l.add("for i := range %s {", x)
	r.g.getValue(l, list.T.True().Elem, x+"[i]", nest{}.value(), plain, 0)
	r.g.failed(l, nest{})
	behind := r.following(int(list.ID))
	l.add("}\nb, p, from, last = d.Buf, d.Pos, %d, %d", list.ID, int(list.ID)+len(behind))
	for _, f := range behind {
		r.getNext(l, f)
	}
	l.add("}")
}

// straightName returns the runtime's name for the type of a field that can be read in straight line, or "".
func straightName(f *field) string {
	switch name := scalar(f.T); name {
	case "Bool", "I32", "I64", "Binary":
		if f.Max == 0 {
			return name
		}
	}
	return ""
}

// putNext writes a field whose id follows that of the field before, if the runtime has a short function for it.
func (r *record) putNext(l *lines, f *field) bool {
	if list := f.T.True(); list.Kind == ast.KindList && f.Form == plain {
		l.add("b = compact.PutList(b, %s, len(%s))", r.g.format.key(list.Elem), f.value())
		r.g.putElements(l, list, f.value(), nest{field: f.Go})
		return true
	}
	switch name := scalar(f.T); name {
	case "Bool", "I32", "I64", "Binary":
		l.add("b = compact.Put%s(b, %s)", name, r.g.base(f.T, f.value()))
		return true
	}
	return false
}

// Pkg returns the name of the format's runtime package.
func (r *record) Pkg() string { return r.g.format.Pkg }
