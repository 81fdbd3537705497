// Package msgpack is the msgpack mapping of IDL structs as functions over byte slices.
// docs/spec/msgpack.md describes it.
//
//	struct    array; element k-1 is field k; nil where there is no field or no value, absent
//	          fields at the end left out. Where ids are sparse: map from id to value.
//	integer   the shortest form; enums likewise
//	double    float64
//	binary    bin
//	string    str
//	uuid      bin of 16 bytes
//	list,set  array; a set's elements ascend
//	map       map; keys ascend
package msgpack

import (
	"encoding/binary"
	"math"
)

// The first byte of each kind of value, as the msgpack specification names them.
const (
	fixMap   = 0x80 // 80..8f
	fixArray = 0x90 // 90..9f
	fixStr   = 0xa0 // a0..bf
	codeNil  = 0xc0
	unused   = 0xc1
	codeNo   = 0xc2
	codeYes  = 0xc3
	bin8     = 0xc4
	bin16    = 0xc5
	bin32    = 0xc6
	ext8     = 0xc7
	ext16    = 0xc8
	ext32    = 0xc9
	float32c = 0xca
	float64c = 0xcb
	uint8c   = 0xcc
	uint16c  = 0xcd
	uint32c  = 0xce
	uint64c  = 0xcf
	int8c    = 0xd0
	int16c   = 0xd1
	int32c   = 0xd2
	int64c   = 0xd3
	fixExt1  = 0xd4
	fixExt16 = 0xd8
	str8     = 0xd9
	str16    = 0xda
	str32    = 0xdb
	array16  = 0xdc
	array32  = 0xdd
	map16    = 0xde
	map32    = 0xdf
	negative = 0xe0 // e0..ff
)

// AppendNil appends nil: no field, or no value.
func AppendNil(b []byte) []byte { return append(b, codeNil) }

// AppendBool appends a bool.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, codeYes)
	}
	return append(b, codeNo)
}

// AppendI8 appends an i8.
func AppendI8(b []byte, v int8) []byte { return AppendI64(b, int64(v)) }

// AppendI16 appends an i16.
func AppendI16(b []byte, v int16) []byte { return AppendI64(b, int64(v)) }

// AppendI32 appends an i32, which enums are too.
func AppendI32(b []byte, v int32) []byte { return AppendI64(b, int64(v)) }

// AppendI64 appends an integer in the shortest form.
func AppendI64(b []byte, v int64) []byte {
	switch {
	case v >= -32 && v < 0x80:
		return append(b, byte(v))
	case v < 0:
		return appendNegative(b, v)
	case v <= math.MaxUint8:
		return append(b, uint8c, byte(v))
	case v <= math.MaxUint16:
		return append(b, uint16c, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return append(b, uint32c, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return binary.BigEndian.AppendUint64(append(b, uint64c), uint64(v))
}

func appendNegative(b []byte, v int64) []byte {
	switch {
	case v >= math.MinInt8:
		return append(b, int8c, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, int16c), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, int32c), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, int64c), uint64(v))
}

// AppendDouble appends a double.
func AppendDouble(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, float64c), math.Float64bits(v))
}

// AppendUUID appends a uuid.
func AppendUUID(b []byte, v [16]byte) []byte { return AppendBinary(b, v[:]) }

// AppendBinary appends a binary.
func AppendBinary(b, v []byte) []byte {
	switch n := len(v); {
	case n <= math.MaxUint8:
		b = append(b, bin8, byte(n))
	case n <= math.MaxUint16:
		b = append(b, bin16, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, bin32), uint32(n))
	}
	return append(b, v...)
}

// AppendText appends a string.
func AppendText(b []byte, v string) []byte {
	switch n := len(v); {
	case n < 32:
		b = append(b, fixStr|byte(n))
	case n <= math.MaxUint8:
		b = append(b, str8, byte(n))
	case n <= math.MaxUint16:
		b = append(b, str16, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, str32), uint32(n))
	}
	return append(b, v...)
}

// AppendArray appends the header of an array of n elements: a struct, list or set.
func AppendArray(b []byte, n int) []byte {
	if n < 16 {
		return append(b, fixArray|byte(n))
	}
	return appendLong(b, array16, n)
}

// AppendMap appends the header of a map of n entries.
func AppendMap(b []byte, n int) []byte {
	if n < 16 {
		return append(b, fixMap|byte(n))
	}
	return appendLong(b, map16, n)
}

// appendLong appends a count of 16 or more; the code of the form with 32 bits follows that with 16.
func appendLong(b []byte, code16 byte, n int) []byte {
	if n <= math.MaxUint16 {
		return append(b, code16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, code16+1), uint32(n))
}
