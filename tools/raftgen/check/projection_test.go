package check

import (
	"strconv"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// projection shows a program as the official compiler's JSON generator does.
type projection struct {
	p          *ast.Program
	enumsAsI32 bool // as compilers up to 0.17 at least do
}

type object = map[string]any

func (j projection) program() object {
	namespaces, includes := object{}, []any{}
	for _, n := range j.p.Namespaces {
		namespaces[n.Lang] = n.Name
	}
	for _, include := range j.p.Includes {
		includes = append(includes, include.Program.Name)
	}
	o := object{"name": j.p.Name, "namespaces": namespaces, "includes": includes}
	setDoc(o, j.p.Doc)
	o["enums"] = list(j.p.Enums, j.enum)
	o["typedefs"] = list(j.p.Typedefs, j.typedef)
	o["structs"] = list(j.p.Structs, j.record)
	o["constants"] = list(j.p.Consts, j.constant)
	o["services"] = list(j.p.Services, j.service)
	return o
}

func list[T any](items []T, show func(T) object) []any {
	out := []any{}
	for _, item := range items {
		out = append(out, show(item))
	}
	return out
}

func setDoc(o object, doc string) {
	if doc != "" {
		o["doc"] = doc
	}
}

func setAnnotations(o object, list ast.Annotations) {
	if len(list) == 0 {
		return
	}
	all := object{}
	for _, a := range list {
		all[a.Key] = a.Value
	}
	o["annotations"] = all
}

func (j projection) qualified(p *ast.Program, name string) string {
	if p == j.p {
		return name
	}
	return p.Name + "." + name
}

func (j projection) enum(e *ast.Enum) object {
	o := object{"name": e.Name, "members": list(e.Values, func(v *ast.EnumValue) object {
		o := object{"name": v.Name, "value": v.Number}
		setDoc(o, v.Doc)
		return o
	})}
	setDoc(o, e.Doc)
	setAnnotations(o, e.Annotations)
	return o
}

func (j projection) typedef(d *ast.Typedef) object {
	o := object{"name": d.Name}
	j.setType(o, "typeId", "type", d.Type)
	setDoc(o, d.Doc)
	setAnnotations(o, d.Annotations)
	return o
}

func (j projection) record(s *ast.Struct) object {
	o := object{"name": s.Name, "isException": s.Kind == ast.Exception, "isUnion": s.Kind == ast.Union,
		"fields": list(s.Fields, j.field)}
	setDoc(o, s.Doc)
	setAnnotations(o, s.Annotations)
	return o
}

func (j projection) field(f *ast.Field) object {
	o := object{"key": f.ID, "name": f.Name,
		"required": map[ast.Requiredness]string{ast.Default: "req_out", ast.Required: "required",
			ast.Optional: "optional"}[f.Requiredness]}
	j.setType(o, "typeId", "type", f.Type)
	setDoc(o, f.Doc)
	setAnnotations(o, f.Annotations)
	if f.Value != nil {
		o["default"] = j.value(f.Value)
	}
	return o
}

func (j projection) constant(c *ast.Const) object {
	o := object{"name": c.Name, "value": j.value(c.Value)}
	j.setType(o, "typeId", "type", c.Type)
	setDoc(o, c.Doc)
	return o
}

func (j projection) service(s *ast.Service) object {
	o := object{"name": s.Name, "functions": list(s.Functions, j.function)}
	if s.Base != nil {
		o["extends"] = j.qualified(s.Base.Program, s.Base.Name)
	}
	setDoc(o, s.Doc)
	setAnnotations(o, s.Annotations)
	return o
}

func (j projection) function(f *ast.Function) object {
	o := object{"name": f.Name, "oneway": f.Oneway, "arguments": list(f.Args, j.field),
		"exceptions": list(f.Throws, j.field)}
	j.setType(o, "returnTypeId", "returnType", f.Result)
	setDoc(o, f.Doc)
	setAnnotations(o, f.Annotations)
	return o
}

func (j projection) typeID(t *ast.Type) string {
	t = t.True()
	if t.Kind == ast.KindEnum && j.enumsAsI32 {
		return "i32"
	}
	if t.Kind == ast.KindStruct {
		return t.Struct.Kind.String()
	}
	return t.Kind.String()
}

func (j projection) setType(o object, id, spec string, t *ast.Type) {
	o[id] = j.typeID(t)
	j.setSpec(o, spec, t)
}

// setSpec describes a type that needs more than its id.
func (j projection) setSpec(o object, key string, t *ast.Type) {
	t = t.True()
	s := object{"typeId": j.typeID(t)}
	setAnnotations(s, t.Annotations)
	switch t.Kind {
	case ast.KindStruct:
		s["class"] = j.qualified(t.Struct.Program, t.Struct.Name)
		setAnnotations(s, t.Struct.Annotations)
	case ast.KindEnum:
		if j.enumsAsI32 {
			return
		}
		s["class"] = j.qualified(t.Enum.Program, t.Enum.Name)
		setAnnotations(s, t.Enum.Annotations)
	case ast.KindMap:
		j.setType(s, "keyTypeId", "keyType", t.Key)
		j.setType(s, "valueTypeId", "valueType", t.Elem)
	case ast.KindList, ast.KindSet:
		j.setType(s, "elemTypeId", "elemType", t.Elem)
	default:
		return
	}
	o[key] = s
}

func (j projection) value(v *ast.Value) any {
	switch v.Type.True().Kind {
	case ast.KindBool:
		if v.Bool {
			return 1
		}
		return 0
	case ast.KindDouble:
		return v.Double
	case ast.KindString, ast.KindBinary:
		return v.Text
	case ast.KindList, ast.KindSet:
		items := []any{}
		for _, item := range v.List {
			items = append(items, j.value(item))
		}
		return items
	case ast.KindMap:
		o := object{}
		for _, pair := range v.Map {
			o[key(j.value(pair.Key))] = j.value(pair.Value)
		}
		return o
	case ast.KindStruct:
		o := object{}
		for _, f := range v.Fields {
			o[f.Field.Name] = j.value(f.Value)
		}
		return o
	}
	return v.Int
}

func key(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', 15, 64)
	}
	return "?"
}
