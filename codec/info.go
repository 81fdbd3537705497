package codec

import "strconv"

// StructInfo is what generated code knows of a struct's names: decoders need it to read
// fields by name and to say where an error is. It is never changed.
type StructInfo struct {
	Name   string
	Fields []FieldInfo // by id
}

// FieldInfo is the id and the IDL name of a field.
type FieldInfo struct {
	ID   int16
	Name string
}

// FieldName returns the name of the field with the given id, or its number.
func (s *StructInfo) FieldName(id int16) string {
	for _, f := range s.Fields {
		if f.ID == id {
			return f.Name
		}
	}
	return "field " + strconv.Itoa(int(id))
}

// FieldID returns the id of the field with the given name.
func (s *StructInfo) FieldID(name []byte) (id int16, ok bool) {
	for i := range s.Fields {
		if s.Fields[i].Name == string(name) {
			return s.Fields[i].ID, true
		}
	}
	return 0, false
}
