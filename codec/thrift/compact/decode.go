package compact

import (
	"encoding/binary"
	"math"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/internal/cursor"
)

// Decoder reads one message. It is used by generated code:
//
//	d.Enter()
//	for f := d.Field(0); f != compact.Stop; f = d.Field(f) {
//		switch f {
//		case compact.I64 | 1:
//			m.Term = d.I64()
//		default:
//			d.Skip(f)
//		}
//	}
//	d.Leave(&info)
//
// After the first error every method returns a zero value at once. Done returns the error.
//
// For a struct that the IDL calls hot, the fields that are always there are first read in straight line, by the
// Next functions, from registers: twice as fast. When one of them is not as expected, the loop reads them all.
//
//	b, p := d.Buf, d.Pos
//	p = compact.NextI64(b, p, (*int64)(&m.Term))
//	if !d.Ends(b, p) {
//		for f := d.Resume(p, 0, 1); f != compact.Stop; f = d.Field(f) {
type Decoder struct {
	cursor.Cursor
}

// Done returns the number of bytes read, or the first error. info is that of the message.
func (d *Decoder) Done(info *codec.StructInfo) (int, error) { return d.Finish("thrift-compact", info) }

// Field reads the header of the field that follows prev (0 at a struct's start) and returns its key,
// or Stop at the struct's end and after an error.
func (d *Decoder) Field(prev uint32) uint32 {
	if p := uint(d.Pos); p < uint(len(d.Buf)) {
		h := uint32(d.Buf[p])
		if h > 15 && h&15 != 0 {
			d.Pos++
			return h<<16&0xf0000 | (prev+h>>4)&0xffff
		}
		if h == 0 {
			d.Pos++
			return Stop
		}
	}
	return d.fieldSlow(prev)
}

// fieldSlow handles everything but a short header: the end, and headers that spell the id out.
func (d *Decoder) fieldSlow(prev uint32) uint32 {
	p := d.Pos
	if p >= len(d.Buf) {
		d.End(int16(prev))
		return Stop
	}
	h := uint32(d.Buf[p])
	d.Pos++
	if h&15 == 0 { // like the official library, with whatever delta
		return Stop
	}
	return h<<16 | uint32(uint16(d.I16()))
}

// FieldBool returns the value of a field of type bool, which its key holds.
func (d *Decoder) FieldBool(key uint32) bool { return key>>16 == typeTrue }

// Bool reads a bool that is an element.
func (d *Decoder) Bool() bool { return d.I8() == typeTrue }

// I8 reads an i8.
func (d *Decoder) I8() int8 {
	if d.Pos >= len(d.Buf) {
		d.Fail(codec.Truncated)
		return 0
	}
	d.Pos++
	return int8(d.Buf[d.Pos-1])
}

// I16 reads an i16. Like the official library it takes the low bits of a longer integer.
func (d *Decoder) I16() int16 { return int16(d.I32()) }

// I32 reads an i32. Like the official library it takes the low bits of a longer integer.
func (d *Decoder) I32() int32 {
	v := uint32(d.varint())
	return int32(v>>1) ^ -int32(v&1)
}

// I64 reads an i64.
func (d *Decoder) I64() int64 {
	v := d.varint()
	return int64(v>>1) ^ -int64(v&1)
}

// Double reads a double.
func (d *Decoder) Double() float64 {
	b := d.Take(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// UUID reads a uuid.
func (d *Decoder) UUID() (u codec.UUID) {
	copy(u[:], d.Take(len(u)))
	return u
}

// Bytes reads a binary; it aliases the input and is nil when empty.
func (d *Decoder) Bytes() []byte {
	if b := d.OptBytes(); len(b) > 0 {
		return b
	}
	return nil
}

// OptBytes is Bytes for an optional field: an empty binary is not nil.
func (d *Decoder) OptBytes() []byte {
	return d.Take(int(int32(d.varint())))
}

// Text reads a string, which must be UTF-8.
func (d *Decoder) Text() string { return d.Cursor.Text(d.OptBytes()) }

// Ends reads the struct's end if that is what stands at position p of b, which is d.Buf, and reports whether it is.
func (d *Decoder) Ends(b []byte, p int) bool {
	if uint(p) < uint(len(b)) && b[p] == 0 {
		d.Pos = p + 1
		return true
	}
	return false
}

// Resume goes on as Field does: at position p behind the field last; or, if p is -1, where d is, behind the field from.
func (d *Decoder) Resume(p int, from, last uint32) uint32 {
	if p < 0 {
		return d.Field(from)
	}
	d.Pos = p
	return d.Field(last)
}

// varint reads up to 10 bytes, 7 bits from each, lowest first.
func (d *Decoder) varint() uint64 {
	b := d.Buf[d.Pos:]
	if len(b) > 0 && b[0] < 0x80 {
		d.Pos++
		return uint64(b[0])
	}
	if u, n := longVarint(b); n > 0 {
		d.Pos += n
		return u
	}
	return d.varintSlow()
}

func (d *Decoder) varintSlow() uint64 {
	var v uint64
	b := d.Buf[d.Pos:]
	for i := range 10 {
		if i >= len(b) {
			d.Fail(codec.Truncated)
			return 0
		}
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			d.Pos += i + 1
			return v
		}
	}
	d.Fail(codec.Overlong)
	return 0
}

// List reads the header of a list or set whose elements have the type elem and returns how many there are.
// limit, unless 0, is the IDL's (max = "...").
func (d *Decoder) List(elem uint32, limit int) int {
	if p := d.Pos; p < len(d.Buf) && elem == Struct && limit == 0 { // a short list of structs, the usual case
		if h := d.Buf[p]; h&15 == typeStruct && h < 0xf0 && int(h>>4) < len(d.Buf)-p {
			d.Pos++
			return int(h >> 4)
		}
	}
	return d.longList(elem, limit)
}

func (d *Decoder) longList(elem uint32, limit int) int {
	t, n := d.list()
	if n == 0 {
		return 0 // an empty list may name any type
	}
	if !sameType(t, elem>>16) {
		d.Fail(codec.BadType)
		return 0
	}
	return d.Count(n, minSize(t), limit)
}

func (d *Decoder) list() (elem uint32, n int) {
	h := uint32(uint8(d.I8()))
	if n = int(h >> 4); n == 15 {
		n = int(int32(d.varint()))
	}
	if h&15 > typeUUID {
		d.Fail(codec.BadType)
		return 0, 0
	}
	return h & 15, n
}

// Map reads the header of a map and returns its number of entries.
func (d *Decoder) Map(key, value uint32, limit int) int {
	kt, vt, n := d.mapHeader()
	if n == 0 {
		return 0
	}
	if !sameType(kt, key>>16) || !sameType(vt, value>>16) {
		d.Fail(codec.BadType)
		return 0
	}
	return d.Count(n, minSize(kt)+minSize(vt), limit)
}

func (d *Decoder) mapHeader() (key, value uint32, n int) {
	if n = int(int32(d.varint())); n == 0 {
		return 0, 0, 0
	}
	t := uint32(uint8(d.I8()))
	return t >> 4, t & 15, n
}

// sameType compares element types: both numbers of bool are in use for elements.
func sameType(got, want uint32) bool {
	return got == want || want == typeTrue && got == typeFalse
}

// minSize returns the fewest bytes a value of a type takes.
func minSize(t uint32) int {
	switch t {
	case typeDouble:
		return 8
	case typeUUID:
		return 16
	}
	return 1
}

// Skip skips the value of a field that the message does not have, or has with another type.
func (d *Decoder) Skip(key uint32) {
	if t := key >> 16; t != typeTrue && t != typeFalse {
		d.skip(t)
	}
}

func (d *Decoder) skip(t uint32) {
	switch t {
	case typeTrue, typeFalse, typeI8:
		d.Take(1)
	case typeI16, typeI32, typeI64:
		d.varint()
	case typeDouble:
		d.Take(8)
	case typeUUID:
		d.Take(16)
	case typeBinary:
		d.OptBytes()
	case typeList, typeSet, typeMap, typeStruct:
		d.Enter()
		d.skipNested(t)
		d.Exit()
	default:
		d.Fail(codec.BadType)
	}
}

func (d *Decoder) skipNested(t uint32) {
	switch t {
	case typeStruct:
		for f := d.Field(0); f != Stop; f = d.Field(f) {
			d.Skip(f)
		}
	case typeMap:
		kt, vt, n := d.mapHeader()
		for range d.Count(n, minSize(kt)+minSize(vt), 0) {
			d.skip(kt)
			if d.skip(vt); !d.OK() {
				return
			}
		}
	default:
		et, n := d.list()
		for range d.Count(n, minSize(et), 0) {
			if d.skip(et); !d.OK() {
				return
			}
		}
	}
}
