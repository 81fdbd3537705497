package ast

// Kind is the kind of a type.
type Kind uint8

// The kinds. parse gives KindNamed to every name; check replaces it, so that a loaded program has none.
const (
	KindInvalid Kind = iota
	KindNamed
	KindVoid // only as a Function's Result
	KindBool
	KindI8 // also written byte
	KindI16
	KindI32
	KindI64
	KindDouble
	KindString
	KindBinary
	KindUUID
	KindList
	KindSet
	KindMap
	KindTypedef
	KindEnum
	KindStruct // struct, union or exception: see Struct.Kind
)

var kindNames = [...]string{
	"invalid", "named", "void", "bool", "i8", "i16", "i32", "i64", "double", "string", "binary", "uuid",
	"list", "set", "map", "typedef", "enum", "struct",
}

// String returns the keyword of a base type or container, else what sort of definition it is.
func (k Kind) String() string { return kindNames[k] }

// IsInteger reports whether k is i8, i16, i32 or i64.
func (k Kind) IsInteger() bool { return k >= KindI8 && k <= KindI64 }

// Type is one mention of a type. For a name exactly one of Typedef, Enum and Struct is set, as Kind says.
type Type struct {
	Pos
	Kind        Kind
	Name        string // of a name, as written: "Term" or, from an include, "shared.SharedStruct"
	Key         *Type  // of a map
	Elem        *Type  // of a list or set; the value type of a map
	CppType     string // the cpp_type of a container
	Annotations Annotations
	Typedef     *Typedef // set by check
	Enum        *Enum    // set by check
	Struct      *Struct  // set by check
	// Max is set by check from (max = "n") on this mention, else on the typedef named, else along its chain: see Field.
	Max int64
}

// True follows typedefs to what is on the wire: its Kind is never KindTypedef.
func (t *Type) True() *Type {
	for t.Kind == KindTypedef {
		t = t.Typedef.Type
	}
	return t
}

// Program returns the program that defines the typedef, enum or struct named; nil for base types and containers.
func (t *Type) Program() *Program {
	switch t.Kind {
	case KindTypedef:
		return t.Typedef.Program
	case KindEnum:
		return t.Enum.Program
	case KindStruct:
		return t.Struct.Program
	}
	return nil
}

// String returns the type in IDL syntax, names as written, without annotations.
func (t *Type) String() string {
	switch t.Kind {
	case KindList, KindSet:
		return t.Kind.String() + "<" + t.Elem.String() + ">"
	case KindMap:
		return "map<" + t.Key.String() + "," + t.Elem.String() + ">"
	case KindNamed, KindTypedef, KindEnum, KindStruct:
		return t.Name
	}
	return t.Kind.String()
}

// ExprKind is the form of a value as written.
type ExprKind uint8

// The forms.
const (
	ExprInt    ExprKind = iota // 5, -5, 0x1F; true and false are 1 and 0 with Bool set
	ExprDouble                 // 1.5, 1e9
	ExprString                 // "..." or '...'
	ExprName                   // MAX, Color.RED, shared.Color.RED
	ExprList                   // [ ... ]
	ExprMap                    // { k: v, ... }
)

// String names the form.
func (k ExprKind) String() string {
	return [...]string{"number", "number with fraction", "text", "name", "list", "map"}[k]
}

// Expr is a value as written, before its type is known.
type Expr struct {
	Pos
	Kind   ExprKind
	Int    int64
	Bool   bool // written as true or false
	Double float64
	Text   string // of a string: its bytes after escapes; of a name: the name
	List   []*Expr
	Map    []ExprPair // in the order written
}

// ExprPair is one entry of an ExprMap.
type ExprPair struct{ Key, Value *Expr }

// Value is an evaluated constant or default: exactly the members that fit Type.True().Kind are set.
//
//	bool                          Bool
//	i8, i16, i32, i64             Int (checked to be in range)
//	double                        Double
//	string, binary                Text (bytes)
//	uuid                          UUID
//	enum                          Int; Member: the name that was written, or the first with the number written
//	list, set                     List (a set's values are distinct)
//	map                           Map (keys are distinct), in the order written
//	struct, union, exception      Fields, in the order of the IDL's fields; a union has at most one
type Value struct {
	Pos
	Type   *Type // as declared at this place, typedefs not followed
	Bool   bool
	Int    int64
	Double float64
	Text   string
	UUID   [16]byte
	Member *EnumValue
	List   []*Value
	Map    []ValuePair
	Fields []FieldValue
	Const  *Const // the constant this value was written as, or nil: Value then repeats that constant's value
}

// ValuePair is one entry of a map.
type ValuePair struct{ Key, Value *Value }

// FieldValue is one field that a struct literal sets.
type FieldValue struct {
	Field *Field
	Value *Value
}
