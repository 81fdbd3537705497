package compact

import (
	"encoding/binary"
	"slices"
)

// The Put functions write fields into room that was made before, at position p, and return the position behind
// them: an encoder of a struct that the IDL calls hot asks for room once and not for each field. delta is how
// far the id is past that of the field before, 1 to 15.

// Room returns b with capacity for so many more fields, whose binaries have so many bytes together, as a
// slice of all its capacity, and the position at which to go on.
func Room(b []byte, fields, bytes int) (room []byte, p int) {
	p = len(b)
	if need := fields*12 + bytes; cap(b)-p < need {
		b = slices.Grow(b, need)
	}
	return b[:cap(b)], p
}

// PutI64 writes a field of type i64.
func PutI64(b []byte, p int, delta byte, v int64) int {
	u := zigzag64(v)
	if u >= 0x80 {
		return putLong(b, p, delta<<4|typeI64, u)
	}
	b[p+1] = byte(u)
	b[p] = delta<<4 | typeI64
	return p + 2
}

// PutI32 writes a field of type i32, which enums are too.
func PutI32(b []byte, p int, delta byte, v int32) int {
	u := zigzag32(v)
	if u >= 0x80 {
		return putLong(b, p, delta<<4|typeI32, u)
	}
	b[p+1] = byte(u)
	b[p] = delta<<4 | typeI32
	return p + 2
}

// PutBool writes a field of type bool.
func PutBool(b []byte, p int, delta byte, v bool) int {
	b[p] = delta<<4 | typeFalse
	if v {
		b[p] = delta<<4 | typeTrue
	}
	return p + 1
}

// PutBinary writes a field of type binary.
func PutBinary(b []byte, p int, delta byte, v []byte) int {
	if len(v) < 0x80 {
		b[p+1] = byte(len(v))
		b[p] = delta<<4 | typeBinary
		p += 2
	} else {
		p = putLong(b, p, delta<<4|typeBinary, uint64(uint32(len(v))))
	}
	return p + copy(b[p:], v)
}

// putLong writes a header and a varint of 2 to 10 bytes; those of lengths and of checksums without a loop.
func putLong(b []byte, p int, head byte, v uint64) int {
	s := b[p : p+6]
	s[0] = head
	s[1] = byte(v) | 0x80
	switch {
	case v < 1<<14:
		s[2] = byte(v >> 7)
		return p + 3
	case v < 1<<35 && v >= 1<<28:
		s[5] = byte(v >> 28)
		s[2] = byte(v>>7) | 0x80
		s[3] = byte(v>>14) | 0x80
		s[4] = byte(v>>21) | 0x80
		return p + 6
	}
	return p + 1 + binary.PutUvarint(b[p+1:], v)
}
