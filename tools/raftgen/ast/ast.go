// Package ast holds a Thrift program: what package parse reads from one file, and what package check adds when it
// resolves a file together with everything it includes.
//
// How to get one:
//
//	set, err := check.Load(paths, includeDirs, os.ReadFile)
//
// err, when not nil, is a parse.Errors: a sorted list of `file:line:col: what was found, what was expected`. When it is
// nil, everything in set is resolved: no pointer documented as "set by check" is nil where it applies, every name
// refers to its definition, every constant has a typed value. parse.File reads one file without resolving it.
//
// Nodes are shared, never copied: the *Struct that a Type names is the same pointer as in its Program's Structs. A
// loaded set is read-only and may be used from many goroutines.
package ast

// Set is what one call of check.Load resolved.
type Set struct {
	Roots []*Program // the paths asked for, in that order
	All   []*Program // every program once, included ones before those that include them
}

// Pos is a place in a file: line and column start at 1, the column counts bytes. The zero Pos means "nowhere".
type Pos struct{ Line, Col int }

// Before reports whether p stands before q in the same file.
func (p Pos) Before(q Pos) bool { return p.Line < q.Line || p.Line == q.Line && p.Col < q.Col }

// Program is one IDL file. Every list is in the order of the file.
type Program struct {
	Path        string // as opened
	Name        string // the file's base name without .thrift: the prefix under which includers see it
	Doc         string // the file's own comment: a /** */ before the first header
	Namespaces  []*Namespace
	CppIncludes []string
	Includes    []*Include

	Consts   []*Const
	Typedefs []*Typedef
	Enums    []*Enum
	Structs  []*Struct // structs, unions and exceptions
	Services []*Service
	Defs     []Def // all five lists above, in the order of the file

	Warnings []Warning // set by parse and check: accepted, but a sign of a mistake
}

// Warning is a remark on a file that was accepted.
type Warning struct {
	Pos
	Text string
}

// Namespace returns the namespace for lang, else the one for "*", else "".
func (p *Program) Namespace(lang string) string {
	star := ""
	for i := len(p.Namespaces) - 1; i >= 0; i-- {
		switch n := p.Namespaces[i]; {
		case n.Lang == lang:
			return n.Name
		case n.Lang == "*" && star == "":
			star = n.Name
		}
	}
	return star
}

// Namespace is one `namespace lang name` line; Lang is "*" for all languages.
type Namespace struct {
	Pos
	Lang, Name  string
	Annotations Annotations
}

// Include is one `include "path"` line.
type Include struct {
	Pos
	Path    string   // as written
	Program *Program // set by check
}

// Def is a definition: *Const, *Typedef, *Enum, *Struct or *Service.
type Def interface {
	DefName() string
	DefPos() Pos
}

// Const is `const Type Name = Value`.
type Const struct {
	Pos     // of the name
	Program *Program
	Doc     string
	Name    string
	Type    *Type
	Expr    *Expr  // as written
	Value   *Value // set by check: evaluated, of type Type
}

// Typedef is `typedef Type Name`.
type Typedef struct {
	Pos
	Program     *Program
	Doc         string
	Name        string
	Type        *Type
	Annotations Annotations
}

// Enum is `enum Name { Values }`.
type Enum struct {
	Pos
	Program     *Program
	Doc         string
	Name        string
	Values      []*EnumValue
	Annotations Annotations
}

// EnumValue is one name of an enum. Number is what was written, or the previous one plus 1, starting from 0.
type EnumValue struct {
	Pos
	Enum        *Enum
	Doc         string
	Name        string
	Number      int32
	Implicit    bool // the number was not written
	Annotations Annotations
}

// StructKind tells apart the three kinds of record.
type StructKind uint8

// The kinds of record.
const (
	PlainStruct StructKind = iota
	Union
	Exception
)

// String returns the keyword.
func (k StructKind) String() string { return [...]string{"struct", "union", "exception"}[k] }

// Struct is a struct, a union or an exception.
type Struct struct {
	Pos
	Program     *Program
	Doc         string
	Kind        StructKind
	Name        string
	Fields      []*Field // in the order of the file, not of the ids
	XsdAll      bool
	Annotations Annotations
}

// Requiredness is how a field was declared.
type Requiredness uint8

// The three kinds of requiredness. The fields of a union are always Optional here, arguments and throws never.
const (
	Default  Requiredness = iota // neither word: written always, may be absent when read
	Required                     // written always, its absence is an error
	Optional                     // written only when set
)

// String returns the keyword, or "default".
func (r Requiredness) String() string { return [...]string{"default", "required", "optional"}[r] }

// Field is a field of a record, an argument, or an exception in a throws list.
type Field struct {
	Pos          // of the name
	Doc          string
	ID           int16 // unique in its list; negative when assigned because none was written
	Implicit     bool  // ID was assigned: -1, -2, ...
	Requiredness Requiredness
	Type         *Type
	Reference    bool // the & of C++
	Name         string
	Expr         *Expr  // the default as written, or nil
	Value        *Value // set by check when Expr is not nil
	XsdOptional  bool
	XsdNillable  bool
	XsdAttrs     []*Field
	Annotations  Annotations
	// Recursive is set by check: the field is not Optional and its type is a record (through typedefs, not through
	// containers) that holds, by fields of the same sort, the record this field is in. Held by value it would have no
	// finite size.
	Recursive bool
	// Max is set by check from (max = "n") on the field, else from its type (Type.Max): the most bytes of a string or
	// binary, the most elements of a container. 0 when there is none, and for every other type.
	Max int64
}

// Service is `service Name extends Base { Functions }`.
type Service struct {
	Pos
	Program     *Program
	Doc         string
	Name        string
	Extends     string // as written, or ""
	ExtendsPos  Pos
	Base        *Service // set by check when Extends is not ""
	Functions   []*Function
	Annotations Annotations
}

// Function is one method. Result.Kind is Void when it returns nothing.
type Function struct {
	Pos
	Doc         string
	Oneway      bool
	Result      *Type
	Name        string
	Args        []*Field
	Throws      []*Field // each of a type that is an exception (through typedefs)
	Annotations Annotations
	// NativeID is set by check from the annotation (id = "n"), 1..65535; 0 when there is none.
	NativeID int
}

// DefName returns the name defined.
func (d *Const) DefName() string { return d.Name }

// DefName returns the name defined.
func (d *Typedef) DefName() string { return d.Name }

// DefName returns the name defined.
func (d *Enum) DefName() string { return d.Name }

// DefName returns the name defined.
func (d *Struct) DefName() string { return d.Name }

// DefName returns the name defined.
func (d *Service) DefName() string { return d.Name }

// DefPos returns where the name stands.
func (d *Const) DefPos() Pos { return d.Pos }

// DefPos returns where the name stands.
func (d *Typedef) DefPos() Pos { return d.Pos }

// DefPos returns where the name stands.
func (d *Enum) DefPos() Pos { return d.Pos }

// DefPos returns where the name stands.
func (d *Struct) DefPos() Pos { return d.Pos }

// DefPos returns where the name stands.
func (d *Service) DefPos() Pos { return d.Pos }

// Annotation is one `key = "value"` in parentheses; a key without a value has the value "1".
type Annotation struct {
	Pos
	Key, Value string
}

// Annotations are in the order written; a key may come more than once.
type Annotations []Annotation

// Get returns the last value of key.
func (a Annotations) Get(key string) (string, bool) {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i].Key == key {
			return a[i].Value, true
		}
	}
	return "", false
}
