// Package binary is Thrift's Binary protocol as functions over byte slices. What it appends
// is byte for byte what the Apache library writes. All numbers are big-endian.
//
//	field     type u8 | id i16 | value
//	struct    fields, then 00
//	integer   1, 2, 4 or 8 bytes; bool one byte, 1 or 0
//	double    8 bytes
//	binary    length i32 | bytes; text likewise
//	list,set  type u8 | size i32 | elements
//	map       key type u8 | value type u8 | size i32 | key, value, key, value ...
//	uuid      16 bytes
package binary

import (
	"encoding/binary"
	"math"
)

// The wire types.
const (
	typeBool   = 2
	typeI8     = 3
	typeDouble = 4
	typeI16    = 6
	typeI32    = 8
	typeI64    = 10
	typeBinary = 11
	typeStruct = 12
	typeMap    = 13
	typeSet    = 14
	typeList   = 15
	typeUUID   = 16
)

// A key is what a decoder finds at a field: type<<16 | id. Generated code writes it as
// binary.I64 | 7. In lists, sets and maps the same constants name the element's type.
const (
	Stop   = 0
	Bool   = typeBool << 16
	I8     = typeI8 << 16
	Double = typeDouble << 16
	I16    = typeI16 << 16
	I32    = typeI32 << 16
	I64    = typeI64 << 16
	Binary = typeBinary << 16
	Struct = typeStruct << 16
	Map    = typeMap << 16
	Set    = typeSet << 16
	List   = typeList << 16
	UUID   = typeUUID << 16
)

// AppendStop ends a struct.
func AppendStop(b []byte) []byte { return append(b, 0) }

// AppendField appends a field's header.
func AppendField(b []byte, id int16, key uint32) []byte {
	return append(b, byte(key>>16), byte(uint16(id)>>8), byte(id))
}

// AppendBoolField appends a field of type bool.
func AppendBoolField(b []byte, id int16, v bool) []byte {
	return AppendBool(AppendField(b, id, Bool), v)
}

// AppendI8Field appends a field of type i8.
func AppendI8Field(b []byte, id int16, v int8) []byte { return AppendI8(AppendField(b, id, I8), v) }

// AppendI16Field appends a field of type i16.
func AppendI16Field(b []byte, id int16, v int16) []byte { return AppendI16(AppendField(b, id, I16), v) }

// AppendI32Field appends a field of type i32, which enums are too.
func AppendI32Field(b []byte, id int16, v int32) []byte { return AppendI32(AppendField(b, id, I32), v) }

// AppendI64Field appends a field of type i64.
func AppendI64Field(b []byte, id int16, v int64) []byte { return AppendI64(AppendField(b, id, I64), v) }

// AppendDoubleField appends a field of type double.
func AppendDoubleField(b []byte, id int16, v float64) []byte {
	return AppendDouble(AppendField(b, id, Double), v)
}

// AppendUUIDField appends a field of type uuid.
func AppendUUIDField(b []byte, id int16, v [16]byte) []byte {
	return append(AppendField(b, id, UUID), v[:]...)
}

// AppendBinaryField appends a field of type binary.
func AppendBinaryField(b []byte, id int16, v []byte) []byte {
	return AppendBinary(AppendField(b, id, Binary), v)
}

// AppendTextField appends a field of type string.
func AppendTextField(b []byte, id int16, v string) []byte {
	return AppendText(AppendField(b, id, Binary), v)
}

// AppendListField appends the headers of a field of type list and of its n elements.
func AppendListField(b []byte, id int16, elem uint32, n int) []byte {
	return AppendList(AppendField(b, id, List), elem, n)
}

// AppendSetField appends the headers of a field of type set and of its n elements.
func AppendSetField(b []byte, id int16, elem uint32, n int) []byte {
	return AppendList(AppendField(b, id, Set), elem, n)
}

// AppendMapField appends the headers of a field of type map and of its n entries.
func AppendMapField(b []byte, id int16, key, value uint32, n int) []byte {
	return AppendMap(AppendField(b, id, Map), key, value, n)
}

// AppendBool appends a bool.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendI8 appends an i8.
func AppendI8(b []byte, v int8) []byte { return append(b, byte(v)) }

// AppendI16 appends an i16.
func AppendI16(b []byte, v int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }

// AppendI32 appends an i32.
func AppendI32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// AppendI64 appends an i64.
func AppendI64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// AppendDouble appends a double.
func AppendDouble(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}

// AppendUUID appends a uuid.
func AppendUUID(b []byte, v [16]byte) []byte { return append(b, v[:]...) }

// AppendBinary appends a length and bytes.
func AppendBinary(b, v []byte) []byte {
	return append(AppendI32(b, int32(len(v))), v...)
}

// AppendText appends a length and bytes.
func AppendText(b []byte, v string) []byte {
	return append(AppendI32(b, int32(len(v))), v...)
}

// AppendList appends the header of a list or set.
func AppendList(b []byte, elem uint32, n int) []byte {
	return AppendI32(append(b, byte(elem>>16)), int32(n))
}

// AppendMap appends the header of a map.
func AppendMap(b []byte, key, value uint32, n int) []byte {
	return AppendI32(append(b, byte(key>>16), byte(value>>16)), int32(n))
}
