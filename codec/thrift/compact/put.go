package compact

import (
	"encoding/binary"
	"math/bits"
)

// The Put functions append a field whose id follows that of the field before, for structs that the IDL calls hot.
// They are small enough to become part of the encoder: a short value costs no call.

// PutI64 appends a field of type i64.
func PutI64(b []byte, v int64) []byte {
	if uint64(v) < 0x40 {
		return append(b, 1<<4|typeI64, byte(v)<<1)
	}
	return putLong(b, 1<<4|typeI64, v)
}

// PutI32 appends a field of type i32, which enums are too.
func PutI32(b []byte, v int32) []byte {
	if uint32(v) < 0x40 {
		return append(b, 1<<4|typeI32, byte(v)<<1)
	}
	return putLong(b, 1<<4|typeI32, int64(v)) // the same bytes: zigzag keeps small what is small
}

// PutBool appends a field of type bool.
func PutBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1<<4|typeTrue)
	}
	return append(b, 1<<4|typeFalse)
}

// PutBinary appends a field of type binary.
func PutBinary(b, v []byte) []byte {
	switch {
	case len(v) < 0x80:
		b = append(b, 1<<4|typeBinary, byte(len(v)))
	case len(v) < 1<<14:
		b = append(b, 1<<4|typeBinary, byte(len(v))|0x80, byte(len(v)>>7))
	default:
		b = appendVarint(append(b, 1<<4|typeBinary), uint64(uint32(len(v))))
	}
	return append(b, v...)
}

// PutList appends the headers of a field of type list and of its n elements.
func PutList(b []byte, elem uint32, n int) []byte {
	if n < 15 {
		return append(b, 1<<4|typeList, byte(n)<<4|byte(elem>>16))
	}
	return AppendList(append(b, 1<<4|typeList), elem, n)
}

// putLong appends a header and a varint, mostly of more than one byte. Checksums take 5. Which other lengths occur
// depends on the values, so that a branch for each would often be guessed wrong: they are made without, by writing
// eight bytes into the capacity, of which the last ones do not count.
func putLong(b []byte, head byte, i int64) []byte {
	n, v := len(b), zigzag64(i)
	if cap(b)-n < 9 || v >= 1<<56 {
		return appendVarint(append(b, head), v)
	}
	b = b[:n+9]
	s := b[n:]
	s[0] = head
	if v>>28 < 0x80 && v>>28 > 0 {
		w := v&0x7f | v<<1&0x7f00 | v<<2&0x7f0000 | v<<3&0x7f000000 | 0x80808080
		binary.LittleEndian.PutUint32(s[1:], uint32(w))
		s[5] = byte(v >> 28)
		return b[:n+6]
	}
	// Open gaps between the groups of 7 bits, then set the top bit of all bytes but the last.
	w := v&0x000000000fffffff | v<<4&0x0fffffff00000000
	w = w&0x00003fff00003fff | w<<2&0x3fff00003fff0000
	w = w&0x007f007f007f007f | w<<1&0x7f007f007f007f00
	size := (bits.Len64(v|1)*9 + 64) >> 6
	w |= 0x8080808080808080 & (1<<((8*uint(size)-8)&63) - 1)
	binary.LittleEndian.PutUint64(s[1:], w)
	return b[:n+1+size]
}
