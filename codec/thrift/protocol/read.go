package protocol

import (
	"context"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
)

// Reader reads one struct. After the first error every method returns a zero value.
type Reader struct {
	ctx  context.Context //nolint:containedctx // lives for one call of Read, whose context it is
	p    thrift.TProtocol
	path string // of the error, inside the struct
	err  error

	budget Budget // nil when the protocol bounds no memory
}

// Budget is implemented by protocols that bound the memory which a message may take, such as those of
// codec.FromProtocol. Spend is asked before n bytes are allocated.
type Budget interface {
	Spend(n int) error
}

// NewReader begins a struct.
func NewReader(ctx context.Context, p thrift.TProtocol) Reader {
	_, err := p.ReadStructBegin(ctx)
	r := Reader{ctx: ctx, p: p, err: err}
	r.budget, _ = p.(Budget)
	return r
}

// Spend takes n bytes from the memory budget, if there is one; it is called before they are allocated.
func (r *Reader) Spend(n int) {
	if r.budget != nil && r.err == nil {
		r.err = r.budget.Spend(n)
	}
}

// Field reads the header of the field that follows prev (0 at a struct's start) and returns its key,
// or Stop at the struct's end and after an error.
func (r *Reader) Field(prev uint32, info *codec.StructInfo) uint32 {
	if prev != 0 && r.err == nil {
		r.err = r.p.ReadFieldEnd(r.ctx)
	}
	if r.err != nil {
		if prev != 0 {
			r.path = "." + info.FieldName(int16(prev)) + r.path
		}
		return Stop
	}
	_, t, id, err := r.p.ReadFieldBegin(r.ctx)
	if r.err = err; err != nil || t == thrift.STOP {
		return Stop
	}
	return uint32(t)<<16 | uint32(uint16(id))
}

// Close ends the struct and returns the first error.
func (r *Reader) Close(info *codec.StructInfo) error {
	if r.err == nil {
		r.err = r.p.ReadStructEnd(r.ctx)
	}
	if r.err == nil {
		return nil
	}
	if e, ok := errors.AsType[*codec.Error](r.err); ok {
		if e.Path != "" {
			// The path of the inner struct begins with its name, which the field's name replaces.
			e.Path = info.Name + r.path + inner(e.Path)
			return e
		}
		e.Path = info.Name + r.path
		return e
	}
	return &codec.Error{Codec: "protocol", Kind: codec.Failed, Path: info.Name + r.path, Offset: -1, Err: r.err}
}

// inner returns path without the name it begins with.
func inner(path string) string {
	for i := range len(path) {
		if path[i] == '.' || path[i] == '[' {
			return path[i:]
		}
	}
	return ""
}

// Fail records an error, unless there is one.
func (r *Reader) Fail(k codec.Kind) {
	if r.err == nil {
		r.err = &codec.Error{Codec: "protocol", Kind: k, Offset: -1}
	}
}

// FailField is Fail for what is wrong with one field of the struct.
func (r *Reader) FailField(id int16, k codec.Kind, info *codec.StructInfo) {
	if r.err == nil {
		r.Fail(k)
		r.path = "." + info.FieldName(id)
	}
}

// Failed reports whether reading element i failed; loops over elements end then.
func (r *Reader) Failed(i int) bool {
	if r.err == nil {
		return false
	}
	r.path = "[" + strconv.Itoa(i) + "]" + r.path
	return true
}

// CheckMax fails when n, a length or count, is over the IDL's (max = "...").
func (r *Reader) CheckMax(n, limit int) {
	if n > limit {
		r.Fail(codec.TooLarge)
	}
}

// read calls f unless something failed before.
func read[T any](r *Reader, f func(context.Context) (T, error)) (v T) {
	if r.err == nil {
		v, r.err = f(r.ctx)
	}
	return v
}

// FieldBool reads the value of a field of type bool.
func (r *Reader) FieldBool(uint32) bool { return r.Bool() }

// Bool reads a bool.
func (r *Reader) Bool() bool { return read(r, r.p.ReadBool) }

// I8 reads an i8.
func (r *Reader) I8() int8 { return read(r, r.p.ReadByte) }

// I16 reads an i16.
func (r *Reader) I16() int16 { return read(r, r.p.ReadI16) }

// I32 reads an i32.
func (r *Reader) I32() int32 { return read(r, r.p.ReadI32) }

// I64 reads an i64.
func (r *Reader) I64() int64 { return read(r, r.p.ReadI64) }

// Double reads a double.
func (r *Reader) Double() float64 { return read(r, r.p.ReadDouble) }

// UUID reads a uuid.
func (r *Reader) UUID() codec.UUID { return read(r, r.p.ReadUUID) }

// OptBytes reads a binary of an optional field: not nil.
func (r *Reader) OptBytes() []byte {
	b := read(r, r.p.ReadBinary)
	if b == nil {
		return []byte{}
	}
	return b
}

// Bytes reads a binary; nil when empty.
func (r *Reader) Bytes() []byte {
	if b := read(r, r.p.ReadBinary); len(b) > 0 {
		return b
	}
	return nil
}

// Text reads a string, which must be UTF-8.
func (r *Reader) Text() string {
	s := read(r, r.p.ReadString)
	if !utf8.ValidString(s) {
		r.Fail(codec.BadText)
		return ""
	}
	return s
}

// Struct reads a struct.
func (r *Reader) Struct(m interface {
	Read(ctx context.Context, p thrift.TProtocol) error
}) {
	if r.err == nil {
		r.err = m.Read(r.ctx, r.p)
	}
}

// Skip skips the value of a field that the message does not have, or has with another type.
func (r *Reader) Skip(key uint32) {
	if r.err == nil {
		r.err = r.p.Skip(r.ctx, kind(key))
	}
}

// List begins a list whose elements have the type elem and returns how many there are.
// limit, unless 0, is the IDL's (max = "...").
func (r *Reader) List(elem uint32, limit int) int {
	if r.err != nil {
		return 0
	}
	t, n, err := r.p.ReadListBegin(r.ctx)
	return r.begun(t, n, err, elem, limit)
}

// ListEnd ends a list.
func (r *Reader) ListEnd() {
	if r.err == nil {
		r.err = r.p.ReadListEnd(r.ctx)
	}
}

// Set begins a set.
func (r *Reader) Set(elem uint32, limit int) int {
	if r.err != nil {
		return 0
	}
	t, n, err := r.p.ReadSetBegin(r.ctx)
	return r.begun(t, n, err, elem, limit)
}

// SetEnd ends a set.
func (r *Reader) SetEnd() {
	if r.err == nil {
		r.err = r.p.ReadSetEnd(r.ctx)
	}
}

func (r *Reader) begun(t thrift.TType, n int, err error, elem uint32, limit int) int {
	switch {
	case err != nil:
		r.err = err
	case n == 0: // an empty list may name any type
	case n < 0 || limit > 0 && n > limit:
		r.Fail(codec.TooLarge)
	case t != kind(elem):
		r.Fail(codec.BadType)
	default:
		return n
	}
	return 0
}

// Map begins a map and returns its number of entries.
func (r *Reader) Map(key, value uint32, limit int) int {
	if r.err != nil {
		return 0
	}
	kt, vt, n, err := r.p.ReadMapBegin(r.ctx)
	n = r.begun(kt, n, err, key, limit)
	if n > 0 && vt != kind(value) {
		r.Fail(codec.BadType)
		return 0
	}
	return n
}

// MapEnd ends a map.
func (r *Reader) MapEnd() {
	if r.err == nil {
		r.err = r.p.ReadMapEnd(r.ctx)
	}
}

// Room makes room in s for n elements at once if there is a budget to take it from, and returns n. Without one s grows
// as elements arrive, not on the word of a count.
func Room[S ~[]T, T any](r *Reader, s *S, n int) int {
	if r.budget == nil || n <= cap(*s) {
		return n
	}
	var zero T
	size := max(1, int(unsafe.Sizeof(zero)))
	if r.Spend(min(n, math.MaxInt/size) * size); r.err != nil {
		return 0
	}
	*s = make(S, 0, n)
	return n
}

// Grow returns s with one more element, whose content is old or zero.
func Grow[S ~[]T, T any](s S) S {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}

// MakeMap returns a map, with room for n entries if there is a budget to take it from.
func MakeMap[K comparable, V any](r *Reader, n int) map[K]V {
	var k K
	var v V
	if r.Spend(codec.MapBytes(n, int(unsafe.Sizeof(k)+unsafe.Sizeof(v)))); r.budget == nil || r.err != nil {
		n = 0
	}
	return make(map[K]V, n)
}

// New returns a new T, for an optional struct.
func New[T any](r *Reader) *T {
	var zero T
	r.Spend(int(unsafe.Sizeof(zero)))
	return new(T)
}
