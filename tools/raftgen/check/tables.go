package check

import "github.com/seed-814fcd60/raftwire/tools/raftgen/ast"

// tables find the parts of a definition by name. They are made once for each definition that a value mentions: a file
// full of values takes time in proportion to its length.
type tables struct {
	enums   map[*ast.Enum]memberTable
	structs map[*ast.Struct]map[string]int
}

type memberTable struct {
	named    map[string]*ast.EnumValue
	numbered map[int64]*ast.EnumValue // the first name of each number
}

func (t *tables) members(e *ast.Enum) memberTable {
	if table, ok := t.enums[e]; ok {
		return table
	}
	table := memberTable{named: map[string]*ast.EnumValue{}, numbered: map[int64]*ast.EnumValue{}}
	for _, v := range e.Values {
		if table.named[v.Name] == nil {
			table.named[v.Name] = v
		}
		if n := int64(v.Number); table.numbered[n] == nil {
			table.numbered[n] = v
		}
	}
	t.enums[e] = table
	return table
}

// fieldPlaces returns the place of each field in s.Fields.
func (t *tables) fieldPlaces(s *ast.Struct) map[string]int {
	if places, ok := t.structs[s]; ok {
		return places
	}
	places := map[string]int{}
	for i, f := range s.Fields {
		places[f.Name] = i
	}
	t.structs[s] = places
	return places
}
