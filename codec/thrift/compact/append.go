// Package compact is Thrift's Compact protocol as functions over byte slices. What it
// appends is byte for byte what the Apache library writes.
//
//	field     ┌────────┬──────┐            id = previous id + delta, delta 1..15
//	          │ delta  │ type │
//	          └────────┴──────┘
//	          ┌────────┬──────┬─ zigzag varint ─┐
//	          │   0    │ type │       id        │   any other id
//	          └────────┴──────┴─────────────────┘
//	struct    fields, then 00
//	integer   zigzag varint; i8 one byte, as it is
//	double    8 bytes, little-endian
//	binary    varint length, bytes; text likewise
//	bool      in a field: the type says it (1 true, 2 false); in a container one byte, 1 or 2
//	list,set  size<<4 | type when size <= 14, else F<<4 | type, varint size; elements
//	map       varint size; unless 0: key type<<4 | value type, then key, value, key, value ...
//	uuid      16 bytes
package compact

import (
	"encoding/binary"
	"math"
)

// The wire types. A boolean field carries its value in the type.
const (
	typeTrue   = 1
	typeFalse  = 2
	typeI8     = 3
	typeI16    = 4
	typeI32    = 5
	typeI64    = 6
	typeDouble = 7
	typeBinary = 8
	typeList   = 9
	typeSet    = 10
	typeMap    = 11
	typeStruct = 12
	typeUUID   = 13
)

// A Key is what a decoder finds at a field: type<<16 | id. Generated code writes it as
// compact.I64 | 7. In lists, sets and maps the same constants name the element's type.
const (
	Stop   = 0
	True   = typeTrue << 16
	False  = typeFalse << 16
	I8     = typeI8 << 16
	I16    = typeI16 << 16
	I32    = typeI32 << 16
	I64    = typeI64 << 16
	Double = typeDouble << 16
	Binary = typeBinary << 16
	List   = typeList << 16
	Set    = typeSet << 16
	Map    = typeMap << 16
	Struct = typeStruct << 16
	UUID   = typeUUID << 16
	Bool   = True // as an element
)

// AppendStop ends a struct.
func AppendStop(b []byte) []byte { return append(b, 0) }

// AppendField appends a field's header; last is the id of the field before it, 0 at a struct's start.
func AppendField(b []byte, last, id int16, key uint32) []byte {
	if delta := int(id) - int(last); uint(delta-1) < 15 {
		return append(b, byte(delta)<<4|byte(key>>16))
	}
	return appendVarint(append(b, byte(key>>16)), zigzag32(int32(id)))
}

// AppendBoolField appends a field of type bool.
func AppendBoolField(b []byte, last, id int16, v bool) []byte {
	if v {
		return AppendField(b, last, id, True)
	}
	return AppendField(b, last, id, False)
}

// AppendI8Field appends a field of type i8.
func AppendI8Field(b []byte, last, id int16, v int8) []byte {
	return append(AppendField(b, last, id, I8), byte(v))
}

// AppendI16Field appends a field of type i16.
func AppendI16Field(b []byte, last, id int16, v int16) []byte {
	return appendVarint(AppendField(b, last, id, I16), zigzag32(int32(v)))
}

// AppendI32Field appends a field of type i32, which enums are too.
func AppendI32Field(b []byte, last, id int16, v int32) []byte {
	return appendVarint(AppendField(b, last, id, I32), zigzag32(v))
}

// AppendI64Field appends a field of type i64.
func AppendI64Field(b []byte, last, id int16, v int64) []byte {
	return appendVarint(AppendField(b, last, id, I64), zigzag64(v))
}

// AppendDoubleField appends a field of type double.
func AppendDoubleField(b []byte, last, id int16, v float64) []byte {
	return AppendDouble(AppendField(b, last, id, Double), v)
}

// AppendUUIDField appends a field of type uuid.
func AppendUUIDField(b []byte, last, id int16, v [16]byte) []byte {
	return append(AppendField(b, last, id, UUID), v[:]...)
}

// AppendBinaryField appends a field of type binary.
func AppendBinaryField(b []byte, last, id int16, v []byte) []byte {
	return AppendBinary(AppendField(b, last, id, Binary), v)
}

// AppendTextField appends a field of type string.
func AppendTextField(b []byte, last, id int16, v string) []byte {
	return AppendText(AppendField(b, last, id, Binary), v)
}

// AppendListField appends the headers of a field of type list and of its n elements.
func AppendListField(b []byte, last, id int16, elem uint32, n int) []byte {
	return AppendList(AppendField(b, last, id, List), elem, n)
}

// AppendSetField appends the headers of a field of type set and of its n elements.
func AppendSetField(b []byte, last, id int16, elem uint32, n int) []byte {
	return AppendList(AppendField(b, last, id, Set), elem, n)
}

// AppendMapField appends the headers of a field of type map and of its n entries.
func AppendMapField(b []byte, last, id int16, key, value uint32, n int) []byte {
	return AppendMap(AppendField(b, last, id, Map), key, value, n)
}

// AppendBool appends a bool that is an element.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, typeTrue)
	}
	return append(b, typeFalse)
}

// AppendI8 appends an i8.
func AppendI8(b []byte, v int8) []byte { return append(b, byte(v)) }

// AppendI16 appends an i16.
func AppendI16(b []byte, v int16) []byte { return appendVarint(b, zigzag32(int32(v))) }

// AppendI32 appends an i32.
func AppendI32(b []byte, v int32) []byte { return appendVarint(b, zigzag32(v)) }

// AppendI64 appends an i64.
func AppendI64(b []byte, v int64) []byte { return appendVarint(b, zigzag64(v)) }

// AppendDouble appends a double.
func AppendDouble(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// AppendUUID appends a uuid.
func AppendUUID(b []byte, v [16]byte) []byte { return append(b, v[:]...) }

// AppendBinary appends a length and bytes.
func AppendBinary(b, v []byte) []byte {
	return append(appendVarint(b, uint64(uint32(len(v)))), v...)
}

// AppendText appends a length and bytes.
func AppendText(b []byte, v string) []byte {
	return append(appendVarint(b, uint64(uint32(len(v)))), v...)
}

// AppendList appends the header of a list or set.
func AppendList(b []byte, elem uint32, n int) []byte {
	if n < 15 {
		return append(b, byte(n)<<4|byte(elem>>16))
	}
	return appendVarint(append(b, 0xf0|byte(elem>>16)), uint64(uint32(n)))
}

// AppendMap appends the header of a map.
func AppendMap(b []byte, key, value uint32, n int) []byte {
	if n == 0 {
		return append(b, 0)
	}
	return append(appendVarint(b, uint64(uint32(n))), byte(key>>12)|byte(value>>16))
}

// appendVarint appends v as a varint, 7 bits a byte, lowest first.
func appendVarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func zigzag32(v int32) uint64 { return uint64(uint32(v<<1) ^ uint32(v>>31)) }
func zigzag64(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }
