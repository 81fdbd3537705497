package binary

import (
	"encoding/binary"
	"math"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/internal/cursor"
)

// Decoder reads one message. It is used by generated code, which looks like that for Compact.
// After the first error every method returns a zero value at once. Done returns the error.
type Decoder struct {
	cursor.Cursor
}

// Done returns the number of bytes read, or the first error. info is that of the message.
func (d *Decoder) Done(info *codec.StructInfo) (int, error) { return d.Finish("thrift-binary", info) }

// Field reads the header of the field that follows prev (0 at a struct's start) and returns its key,
// or Stop at the struct's end and after an error.
func (d *Decoder) Field(prev uint32) uint32 {
	if b := d.Buf[d.Pos:]; len(b) >= 3 && b[0] != 0 {
		d.Pos += 3
		return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	}
	return d.fieldSlow(prev)
}

func (d *Decoder) fieldSlow(prev uint32) uint32 {
	if d.Pos < len(d.Buf) && d.Buf[d.Pos] == 0 {
		d.Pos++
		return Stop
	}
	d.End(int16(prev))
	return Stop
}

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

// FieldBool reads the value of a field of type bool.
func (d *Decoder) FieldBool(uint32) bool { return d.Bool() }

// Bool reads a bool; like the official library it takes any number but 1 as false.
func (d *Decoder) Bool() bool { return d.I8() == 1 }

// I8 reads an i8.
func (d *Decoder) I8() int8 {
	if d.Pos >= len(d.Buf) {
		d.Fail(codec.Truncated)
		return 0
	}
	d.Pos++
	return int8(d.Buf[d.Pos-1])
}

// I16 reads an i16.
func (d *Decoder) I16() int16 {
	b := d.Buf[d.Pos:]
	if len(b) < 2 {
		d.Fail(codec.Truncated)
		return 0
	}
	d.Pos += 2
	return int16(binary.BigEndian.Uint16(b))
}

// I32 reads an i32.
func (d *Decoder) I32() int32 {
	b := d.Buf[d.Pos:]
	if len(b) < 4 {
		d.Fail(codec.Truncated)
		return 0
	}
	d.Pos += 4
	return int32(binary.BigEndian.Uint32(b))
}

// I64 reads an i64.
func (d *Decoder) I64() int64 {
	b := d.Buf[d.Pos:]
	if len(b) < 8 {
		d.Fail(codec.Truncated)
		return 0
	}
	d.Pos += 8
	return int64(binary.BigEndian.Uint64(b))
}

// Double reads a double.
func (d *Decoder) Double() float64 { return math.Float64frombits(uint64(d.I64())) }

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
func (d *Decoder) OptBytes() []byte { return d.Take(int(d.I32())) }

// Text reads a string, which must be UTF-8.
func (d *Decoder) Text() string { return d.Cursor.Text(d.OptBytes()) }

// List reads the header of a list or set whose elements have the type elem and returns how many there are.
// limit, unless 0, is the IDL's (max = "...").
func (d *Decoder) List(elem uint32, limit int) int {
	t, n := d.list()
	if n == 0 {
		return 0 // an empty list may name any type
	}
	if t != elem>>16 {
		d.Fail(codec.BadType)
		return 0
	}
	return d.Count(n, minSize(t), limit)
}

func (d *Decoder) list() (elem uint32, n int) {
	t := uint32(uint8(d.I8()))
	return t, int(d.I32())
}

// Map reads the header of a map and returns its number of entries.
func (d *Decoder) Map(key, value uint32, limit int) int {
	kt, vt, n := d.mapHeader()
	if n == 0 {
		return 0
	}
	if kt != key>>16 || vt != value>>16 {
		d.Fail(codec.BadType)
		return 0
	}
	return d.Count(n, minSize(kt)+minSize(vt), limit)
}

func (d *Decoder) mapHeader() (key, value uint32, n int) {
	k, v := uint32(uint8(d.I8())), uint32(uint8(d.I8()))
	return k, v, int(d.I32())
}

// minSize returns the fewest bytes a value of a type takes.
func minSize(t uint32) int {
	switch t {
	case typeI16:
		return 2
	case typeI32, typeBinary:
		return 4
	case typeI64, typeDouble:
		return 8
	case typeList, typeSet:
		return 5
	case typeMap:
		return 6
	case typeUUID:
		return 16
	}
	return 1
}

// Skip skips the value of a field that the message does not have, or has with another type.
func (d *Decoder) Skip(key uint32) { d.skip(key >> 16) }

func (d *Decoder) skip(t uint32) {
	switch t {
	case typeBool, typeI8, typeI16, typeI32, typeI64, typeDouble, typeUUID:
		d.Take(minSize(t))
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
