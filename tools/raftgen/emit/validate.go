package emit

import "github.com/seed-814fcd60/raftwire/tools/raftgen/ast"

// holdsUnion reports whether a value of type t can hold a union. seen ends recursion.
func holdsUnion(t *ast.Type, seen map[*ast.Struct]bool) bool {
	switch t = t.True(); t.Kind {
	case ast.KindList, ast.KindSet:
		return holdsUnion(t.Elem, seen)
	case ast.KindMap:
		return holdsUnion(t.Key, seen) || holdsUnion(t.Elem, seen)
	case ast.KindStruct:
		if t.Struct.Kind == ast.Union {
			return true
		}
		if seen[t.Struct] {
			return false
		}
		seen[t.Struct] = true
		for _, f := range t.Struct.Fields {
			if holdsUnion(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

func fieldHoldsUnion(f *field) bool { return holdsUnion(f.T, map[*ast.Struct]bool{}) }

// Validates reports whether the record has a method Validate: it is a union or can hold one.
func (r *record) Validates() bool {
	if r.Union() {
		return true
	}
	for _, f := range r.Fields {
		if fieldHoldsUnion(f) {
			return true
		}
	}
	return false
}

// ValidateFields returns the lines that validate the unions which the fields hold.
func (r *record) ValidateFields() string {
	var l lines
	for _, f := range r.Sorted {
		if fieldHoldsUnion(f) {
			r.guarded(&l, f, func() { r.g.validate(&l, f.T, f.value(), nest{}) })
		}
	}
	return l.String()
}

func (g *generator) validate(l *lines, t *ast.Type, x string, n nest) {
	holds := func(t *ast.Type) bool { return holdsUnion(t, map[*ast.Struct]bool{}) }
	switch t = t.True(); {
	case t.Kind == ast.KindStruct:
		l.add("if err := %s.Validate(); err != nil {\nreturn err\n}", x)
	case t.Kind == ast.KindMap && hashable(t.Key):
		key, value := "_", "v"+n.suffix
		if holds(t.Key) {
			key = "k" + n.suffix
		}
		if !holds(t.Elem) {
			value = "_"
		}
		l.add("for %s, %s := range %s {", key, value, x)
		if key != "_" {
			g.validate(l, t.Key, key, n.key())
		}
		if value != "_" {
			g.validate(l, t.Elem, value, n.value())
		}
		l.add("}")
	default:
		l.add("for i%s := range %s {", n.suffix, x)
		x += "[i" + n.suffix + "]"
		switch {
		case t.Kind != ast.KindMap:
			g.validate(l, t.Elem, x, n.value())
		default:
			if holds(t.Key) {
				g.validate(l, t.Key, x+".Key", n.key())
			}
			if holds(t.Elem) {
				g.validate(l, t.Elem, x+".Value", n.value())
			}
		}
		l.add("}")
	}
}
