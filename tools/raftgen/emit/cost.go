package emit

import "github.com/seed-814fcd60/raftwire/tools/raftgen/ast"

// Defaults that are containers or behind pointers are allocated by Reset, for every element of a list of such structs,
// and an element may be one byte on the wire. So decoders take them from the memory budget. These are upper estimates.

// ResetCost returns the bytes that Reset allocates, at most.
func (r *record) ResetCost() int {
	n := 0
	for _, f := range r.Fields {
		switch {
		case f.Default != nil && r.Kind != ast.Union:
			n += fieldCost(f.Form, f.Default)
		case f.Form == plain && f.T.True().Kind == ast.KindStruct:
			n += r.g.other(f.T.True().Struct).ResetCost()
		}
	}
	return n
}

// other returns the record of a struct, which may be of another program.
func (g *generator) other(s *ast.Struct) *record {
	og := &generator{prog: s.Program, names: g.names, importBase: g.importBase, included: map[string]string{}}
	return og.record(s)
}

// fieldCost returns the memory of a field's default outside of the struct.
func fieldCost(f form, v *ast.Value) int {
	n := valueCost(v)
	if f == pointer {
		n += rounded(size(v.Type))
	}
	return n
}

// valueCost returns the memory behind a value: that of its slices, maps and pointers.
func valueCost(v *ast.Value) int {
	t, n := v.Type.True(), 0
	switch t.Kind {
	case ast.KindBinary:
		return rounded(len(v.Text))
	case ast.KindList, ast.KindSet:
		n = rounded(len(v.List) * size(t.Elem))
		for _, e := range v.List {
			n += valueCost(e)
		}
	case ast.KindMap:
		entries := len(v.Map)
		if hashable(t.Key) {
			n, entries = 64, max(8, 2*entries) // its header; room for 8 at least, and at most twice as many as it holds
		}
		n += rounded(entries * (size(t.Key) + size(t.Elem)))
		for _, p := range v.Map {
			n += valueCost(p.Key) + valueCost(p.Value)
		}
	case ast.KindStruct:
		for f, fv := range fieldValues(v, t.Struct) {
			if fv != nil {
				n += fieldCost(formOf(f), fv)
			}
		}
	}
	return n
}

// fieldValues returns what the fields of a struct's literal hold: what v gives them, or their defaults.
func fieldValues(v *ast.Value, s *ast.Struct) map[*ast.Field]*ast.Value {
	set := map[*ast.Field]*ast.Value{}
	for _, f := range s.Fields {
		if s.Kind != ast.Union {
			set[f] = f.Value
		}
	}
	for _, fv := range v.Fields {
		set[fv.Field] = fv.Value
	}
	return set
}

func rounded(n int) int { return (n + 15) / 16 * 16 }

// size returns the bytes of a Go value of type t, at most.
func size(t *ast.Type) int {
	switch t = t.True(); t.Kind {
	case ast.KindString, ast.KindUUID:
		return 16
	case ast.KindBinary, ast.KindList, ast.KindSet, ast.KindMap:
		return 24
	case ast.KindStruct:
		n := 0
		for _, f := range t.Struct.Fields {
			switch formOf(f) {
			case plain:
				n += size(f.Type)
			case opt:
				n += 8 + size(f.Type)
			default:
				n += 24
			}
		}
		return n
	}
	return 8
}
