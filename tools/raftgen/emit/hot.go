package emit

import "github.com/seed-814fcd60/raftwire/tools/raftgen/ast"

// What (hot = "1") on a struct asks for: the fields at its start are read in straight line, in all direct formats, and
// Compact writes fields whose ids follow each other with shorter code.

// straight returns the fields at the start of a hot struct that are read in straight line: ids 1, 2, ... of types
// that have functions for it, and always there.
func (r *record) straight() []*field {
	n := 0
	for n < len(r.Sorted) && r.Hot {
		f := r.Sorted[n]
		if int(f.ID) != n+1 || f.Form != plain || f.Required || straightName(f) == "" {
			break
		}
		n++
	}
	return r.Sorted[:n]
}

// Straight returns the lines that read the fields at the start of a hot struct.
func (r *record) Straight() string {
	var l lines
	for _, f := range r.straight() {
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
	return l.String()
}

// LastStraight returns the id of the last field that is read in straight line.
func (r *record) LastStraight() int { return len(r.straight()) }

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
