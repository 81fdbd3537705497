// Package cursor is what the direct decoders share: a position in bytes that nobody
// vouches for, the first error, and what is left of the limits.
package cursor

import (
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/seed-814fcd60/raftwire/codec"
)

// Cursor walks over bytes. Its first error stays: Fail empties the buffer, so that every
// later read runs into the end and returns a zero value. Generated code therefore checks
// for an error only where it loops over structs.
type Cursor struct {
	Buf []byte
	Pos int // 0 <= Pos <= len(Buf)

	err   *codec.Error
	depth int // levels of nesting left
	alloc int // bytes of memory left
	field int // id of the field of the innermost struct in which the error is, or noField
}

const noField = 1 << 16

// Init puts c at the start of b. A nil l means the default limits.
func (c *Cursor) Init(b []byte, l *codec.Limits) {
	c.Buf, c.Pos = b, 0
	c.depth, c.alloc = l.Depth(), l.Alloc(len(b))
	if len(b) > l.Bytes() {
		c.Fail(codec.TooLarge)
	}
}

// Fail records the first error and makes every later read fail at once.
//
//go:noinline
func (c *Cursor) Fail(k codec.Kind) {
	if c.err == nil {
		c.err = &codec.Error{Kind: k, Offset: c.Pos}
		c.Buf, c.Pos, c.field = nil, 0, noField
	}
}

// FailField is Fail for what is wrong with the field id of the struct being read.
func (c *Cursor) FailField(id int16, k codec.Kind) {
	if c.err == nil {
		c.Fail(k)
		c.field = int(id)
	}
}

// End says that no field header could be read after the field prev: because reading that field
// failed, or because the bytes end here. A prev of 0 means that there was no field before.
func (c *Cursor) End(prev int16) {
	if c.err == nil {
		c.Fail(codec.Truncated)
	} else if prev != 0 {
		c.field = int(prev)
	}
}

// Left returns the number of bytes not yet read.
func (c *Cursor) Left() int { return len(c.Buf) - c.Pos }

// OK reports whether nothing failed so far.
func (c *Cursor) OK() bool { return c.err == nil }

// Enter begins a struct, or a container that is skipped: one level of nesting.
func (c *Cursor) Enter() {
	if c.depth--; c.depth < 0 {
		c.Fail(codec.TooDeep)
	}
}

// Exit ends what Enter began.
func (c *Cursor) Exit() { c.depth++ }

// Leave ends a struct. After an error it puts the field into the error's path.
func (c *Cursor) Leave(info *codec.StructInfo) {
	c.depth++
	if c.err != nil {
		c.leave(info)
	}
}

//go:noinline
func (c *Cursor) leave(info *codec.StructInfo) {
	if c.field != noField {
		c.err.Path = "." + info.FieldName(int16(c.field)) + c.err.Path
		c.field = noField
	}
}

// Failed reports whether decoding element i failed; loops over elements end then.
func (c *Cursor) Failed(i int) bool { return c.err != nil && c.failed(i) }

//go:noinline
func (c *Cursor) failed(i int) bool {
	c.err.Path = "[" + strconv.Itoa(i) + "]" + c.err.Path
	return true
}

// Finish returns the number of bytes read, or the error, in which it puts the name of the codec and, at the front
// of the path, that of the struct.
func (c *Cursor) Finish(name string, info *codec.StructInfo) (int, error) {
	if c.err == nil {
		return c.Pos, nil
	}
	c.err.Codec, c.err.Path = name, info.Name+c.err.Path
	return 0, c.err
}

// Spend takes n elements of size bytes each from the memory budget; it is called before they are allocated.
func (c *Cursor) Spend(n, size int) bool {
	if size > 0 && n > c.alloc/size {
		c.Fail(codec.TooMuch)
		return false
	}
	c.alloc -= n * size
	return true
}

// Take returns the next n bytes, which alias the input, or nil.
func (c *Cursor) Take(n int) []byte {
	p := c.Pos
	if uint(n) > uint(len(c.Buf)-p) {
		c.Fail(codec.Truncated)
		return nil
	}
	c.Pos = p + n
	return c.Buf[p : p+n : p+n]
}

// Text returns b, which was just read, as a string of its own.
func (c *Cursor) Text(b []byte) string {
	if !utf8.Valid(b) {
		c.Fail(codec.BadText)
		return ""
	}
	if !c.Spend(len(b), 1) {
		return ""
	}
	return string(b)
}

// CheckMax fails when n, a length or count, is over the IDL's (max = "...").
func (c *Cursor) CheckMax(n, limit int) {
	if n > limit {
		c.Fail(codec.TooLarge)
	}
}

// Count checks the count n of a container: each element needs at least size bytes, and limit, unless
// it is 0, is the IDL's (max = "..."). It returns 0 when the check fails.
func (c *Cursor) Count(n, size, limit int) int {
	if n < 0 || n > c.Left()/size || (limit > 0 && n > limit) {
		c.Fail(codec.TooLarge)
		return 0
	}
	return n
}

// Slice returns a slice of n elements and uses the capacity of s if it is enough. The elements have
// old contents: decoders set or reset each.
func Slice[S ~[]T, T any](c *Cursor, s S, n int) S {
	if n <= cap(s) {
		return s[:n]
	}
	return newSlice[S](c, n)
}

//go:noinline
func newSlice[S ~[]T, T any](c *Cursor, n int) S {
	var zero T
	if !c.Spend(n, int(unsafe.Sizeof(zero))) {
		return nil
	}
	return make(S, n)
}

// Filled is Slice for an optional list or set: it never returns nil, since nil means absent.
func Filled[S ~[]T, T any](c *Cursor, n int) S {
	if s := Slice(c, S(nil), n); s != nil {
		return s
	}
	return S{}
}

// Map returns a map for n entries.
func Map[K comparable, V any](c *Cursor, n int) map[K]V {
	var k K
	var v V
	if !c.Spend(1, codec.MapBytes(n, int(unsafe.Sizeof(k)+unsafe.Sizeof(v)))) {
		n = 0
	}
	return make(map[K]V, n)
}

// New returns a new T, for an optional struct.
func New[T any](c *Cursor) *T {
	var zero T
	c.Spend(1, int(unsafe.Sizeof(zero)))
	return new(T)
}
