package msgpack

import (
	"math"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/internal/cursor"
)

// Decoder reads one message. It is used by generated code:
//
//	for f := d.Struct(&info); f != msgpack.Stop; f = d.Field(f, &info) {
//		switch msgpack.ID(f) {
//		case 1:
//			m.Term = d.I64()
//		default:
//			d.Skip()
//		}
//	}
//	d.Leave(&info)
//
// A struct may come as an array, as a map by field id, or as a map by field name. A value of another type
// than the field's is an error; extra elements are skipped, and nil counts as absent. After the first error
// every method returns a zero value at once. Done returns the error.
type Decoder struct {
	cursor.Cursor
}

// Done returns the number of bytes read, or the first error. info is that of the message.
func (d *Decoder) Done(info *codec.StructInfo) (int, error) { return d.Finish("msgpack", info) }

// A Place is where in a struct a decoder is.
//
//	┌ 63 .. 32 ────────┬ 17 ┬ 16 ─┬ 15 .. 0 ┐
//	│ fields not read  │ 1  │ map │   id    │
//	└──────────────────┴────┴─────┴─────────┘
type Place uint64

const (
	// Stop is the place behind the last field, or after an error.
	Stop Place = 0

	here      Place = 1 << 17
	inMap     Place = 1 << 16
	oneField  Place = 1 << 32
	unknownID       = 1 << 15 // an id that no field has
)

// ID returns the id of the field at p.
func ID(p Place) int16 { return int16(p) }

// Struct reads a struct's header and goes to its first field.
func (d *Decoder) Struct(info *codec.StructInfo) Place { return d.Field(d.Open(), info) }

// Open reads a struct's header and returns the place before its first field.
func (d *Decoder) Open() Place {
	d.Enter()
	c := d.code()
	switch {
	case c&0xf0 == fixArray:
		return here | Place(c&15)*oneField
	case c&0xf0 == fixMap:
		return here | inMap | Place(c&15)*oneField
	case c == array16 || c == array32:
		return here | Place(d.Count(d.long(c-array16), 1, 0))*oneField
	case c == map16 || c == map32:
		return here | inMap | Place(d.Count(d.long(c-map16), 2, 0))*oneField
	}
	d.Fail(codec.BadType)
	return Stop
}

// Resume goes on at position pos, behind the field at p, as Field does.
func (d *Decoder) Resume(pos int, p Place, info *codec.StructInfo) Place {
	d.Pos = pos
	if p < oneField {
		return Stop
	}
	return d.Field(p, info)
}

// Field goes to the field after p that has a value.
func (d *Decoder) Field(p Place, info *codec.StructInfo) Place {
	if !d.OK() {
		d.End(ID(p))
		return Stop
	}
	for p >= oneField {
		p -= oneField
		if p&inMap != 0 {
			p = p&^0xffff | Place(d.key(info))
		} else if p&0xffff != unknownID {
			p++
		}
		at := uint(d.Pos)
		if at >= uint(len(d.Buf)) {
			d.Fail(codec.Truncated)
			return Stop
		}
		if d.Buf[at] != codeNil {
			return p
		}
		d.Pos++
	}
	return Stop
}

// key reads a map's key and returns the id it stands for.
func (d *Decoder) key(info *codec.StructInfo) uint16 {
	c := d.peek()
	switch {
	case isInt(c):
		if v := d.I64(); v == int64(int16(v)) {
			return uint16(v)
		}
	case isStr(c):
		if id, ok := info.FieldID(d.OptBytes()); ok {
			return uint16(id)
		}
	default:
		d.Skip()
	}
	return unknownID
}

// peek returns the next byte, or the one that stands for nothing.
func (d *Decoder) peek() byte {
	if d.Pos >= len(d.Buf) {
		d.Fail(codec.Truncated)
		return unused
	}
	return d.Buf[d.Pos]
}

// code reads the first byte of a value.
func (d *Decoder) code() byte {
	c := d.peek()
	if d.Pos < len(d.Buf) {
		d.Pos++
	}
	return c
}

// uint reads size bytes, big-endian.
func (d *Decoder) uint(size int) uint64 {
	b := d.Take(size)
	if b == nil {
		return 0
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// long reads a count of 2 bytes (form 0) or 4 (form 1).
func (d *Decoder) long(form byte) int { return int(d.uint(2 << form)) }

func isInt(c byte) bool {
	return c < 0x80 || c >= negative || c >= uint8c && c <= int64c
}

func isStr(c byte) bool { return c&0xe0 == fixStr || c >= str8 && c <= str32 }

// Bool reads a bool.
func (d *Decoder) Bool() bool {
	c := d.code()
	if c != codeYes && c != codeNo {
		d.Fail(codec.BadType)
	}
	return c == codeYes
}

// I64 reads an integer of any form.
func (d *Decoder) I64() int64 {
	b := d.Buf[d.Pos:]
	if len(b) == 0 {
		d.Fail(codec.Truncated)
		return 0
	}
	if c := b[0]; c < fixMap || c >= negative {
		d.Pos++
		return int64(int8(c))
	}
	v, n := longInt(b)
	if n == 0 {
		d.notInt(b)
	}
	d.Pos += n
	return v
}

// notInt says why there is no integer at the start of b.
func (d *Decoder) notInt(b []byte) {
	switch {
	case !isInt(b[0]):
		d.Fail(codec.BadType)
	case b[0] == uint64c && len(b) > 8:
		d.Fail(codec.OutOfRange)
	default:
		d.Fail(codec.Truncated)
	}
}

// I32 reads an integer that fits 32 bits.
func (d *Decoder) I32() int32 {
	v := d.I64()
	if v != int64(int32(v)) {
		d.Fail(codec.OutOfRange)
		return 0
	}
	return int32(v)
}

// I16 reads an integer that fits 16 bits.
func (d *Decoder) I16() int16 {
	v := d.I64()
	if v != int64(int16(v)) {
		d.Fail(codec.OutOfRange)
		return 0
	}
	return int16(v)
}

// I8 reads an integer that fits 8 bits.
func (d *Decoder) I8() int8 {
	v := d.I64()
	if v != int64(int8(v)) {
		d.Fail(codec.OutOfRange)
		return 0
	}
	return int8(v)
}

// Double reads a floating-point number of either size, or an integer: languages with one kind
// of number write 1 for 1.0.
func (d *Decoder) Double() float64 {
	switch c := d.peek(); {
	case c == float64c:
		d.Pos++
		return math.Float64frombits(d.uint(8))
	case c == float32c:
		d.Pos++
		return float64(math.Float32frombits(uint32(d.uint(4))))
	case c == uint64c:
		d.Pos++
		return float64(d.uint(8))
	}
	return float64(d.I64())
}

// UUID reads a uuid: a binary of 16 bytes.
func (d *Decoder) UUID() (u codec.UUID) {
	if b := d.OptBytes(); len(b) == len(u) {
		copy(u[:], b)
		return u
	}
	d.Fail(codec.OutOfRange)
	return u
}

// Bytes reads a binary or a string; it aliases the input and is nil when empty.
func (d *Decoder) Bytes() []byte {
	if b := d.OptBytes(); len(b) > 0 {
		return b
	}
	return nil
}

// OptBytes is Bytes for an optional field: an empty binary is not nil.
func (d *Decoder) OptBytes() []byte {
	c := d.code()
	switch {
	case c == bin8 && d.Pos < len(d.Buf):
		d.Pos++
		return d.Take(int(d.Buf[d.Pos-1]))
	case c&0xe0 == fixStr:
		return d.Take(int(c & 31))
	case c >= bin8 && c <= bin32:
		return d.Take(int(d.uint(1 << (c - bin8))))
	case c >= str8 && c <= str32:
		return d.Take(int(d.uint(1 << (c - str8))))
	}
	d.Fail(codec.BadType)
	return nil
}

// Text reads a string or a binary, which must be UTF-8.
func (d *Decoder) Text() string { return d.Cursor.Text(d.OptBytes()) }

// List reads the header of an array and returns how many elements it has.
// limit, unless 0, is the IDL's (max = "...").
func (d *Decoder) List(limit int) int {
	c := d.code()
	switch {
	case c&0xf0 == fixArray:
		return d.Count(int(c&15), 1, limit)
	case c == array16 || c == array32:
		return d.Count(d.long(c-array16), 1, limit)
	}
	d.Fail(codec.BadType)
	return 0
}

// Map reads the header of a map and returns its number of entries.
func (d *Decoder) Map(limit int) int {
	c := d.code()
	switch {
	case c&0xf0 == fixMap:
		return d.Count(int(c&15), 2, limit)
	case c == map16 || c == map32:
		return d.Count(d.long(c-map16), 2, limit)
	}
	d.Fail(codec.BadType)
	return 0
}

// Skip skips one value of any type.
func (d *Decoder) Skip() {
	s := shapeOf(d.code())
	if s.bad {
		d.Fail(codec.BadType)
		return
	}
	n := s.fixed
	if s.lengthSize > 0 {
		n += int(min(d.uint(s.lengthSize), maxLength))
	}
	if s.values == 0 {
		d.Take(n)
		return
	}
	d.skipMany(n, s.values)
}

// skipMany skips n elements of one value each, or n entries of two.
func (d *Decoder) skipMany(n, values int) {
	d.Enter()
	for range d.Count(n, values, 0) * values {
		if d.Skip(); !d.OK() {
			return
		}
	}
	d.Exit()
}

// Validate checks that b begins with one well-formed value within the limits and returns its length.
// Untyped decoders of other libraries may then be pointed at it: some of them allocate what a length
// announces, or recurse as deep as the input nests.
func Validate(b []byte, l *codec.Limits) (n int, err error) {
	var d Decoder
	d.Init(b, l)
	d.Skip()
	return d.Done(&codec.StructInfo{Name: "value"})
}
