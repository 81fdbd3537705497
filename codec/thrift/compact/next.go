package compact

import (
	"encoding/binary"
	"math/bits"
)

// The Next functions read the field id if it is what stands at position p of b: right behind the field last,
// which is id-1, with the header that an encoder writes then. They return the position behind it, and id. Else
// they change nothing, and so do all later calls, since last is not the field before theirs.

// NextI64 reads a field of type i64.
func NextI64(b []byte, p, last, id int, v *int64) (pos, now int) {
	if last != id-1 || uint(p+1) >= uint(len(b)) || b[p] != 1<<4|typeI64 {
		return p, last
	}
	u, n := uint64(b[p+1]), 1
	if u >= 0x80 {
		if u, n = longVarint(b[p+1:]); n == 0 {
			return p, last
		}
	}
	*v = int64(u>>1) ^ -int64(u&1)
	return p + 1 + n, id
}

// NextI32 reads a field of type i32, which enums are too.
func NextI32(b []byte, p, last, id int, v *int32) (pos, now int) {
	if last != id-1 || uint(p+1) >= uint(len(b)) || b[p] != 1<<4|typeI32 {
		return p, last
	}
	u, n := uint64(b[p+1]), 1
	if u >= 0x80 {
		if u, n = longVarint(b[p+1:]); n == 0 {
			return p, last
		}
	}
	*v = int32(uint32(u)>>1) ^ -int32(u&1)
	return p + 1 + n, id
}

// NextBool reads a field of type bool.
func NextBool(b []byte, p, last, id int, v *bool) (pos, now int) {
	if last != id-1 || uint(p) >= uint(len(b)) || b[p] != 1<<4|typeTrue && b[p] != 1<<4|typeFalse {
		return p, last
	}
	*v = b[p] == 1<<4|typeTrue
	return p + 1, id
}

// NextBytes reads a field of type binary as Bytes does.
func NextBytes(b []byte, p, last, id int, v *[]byte) (pos, now int) {
	if last != id-1 || uint(p+1) >= uint(len(b)) || b[p] != 1<<4|typeBinary {
		return p, last
	}
	u, n := uint64(b[p+1]), 1
	if u >= 0x80 {
		if u, n = longVarint(b[p+1:]); n == 0 {
			return p, last
		}
	}
	p1 := p + 1 + n
	if u-1 >= uint64(len(b)-p1) { // an empty one is left to the loop: nil there
		return p, last
	}
	p2 := p1 + int(u)
	*v = b[p1:p2:p2]
	return p2, id
}

// longVarint reads a varint of 2 to 8 bytes. n is 0 when there is none, and when it has more than 2 bytes and is
// near the end of b.
func longVarint(b []byte) (u uint64, n int) {
	if len(b) >= 2 && b[1] < 0x80 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2
	}
	if len(b) < 8 {
		return 0, 0
	}
	w := binary.LittleEndian.Uint64(b)
	// Cut behind the first byte without the top bit, then close the gaps between the groups of 7 bits.
	stop := ^w & 0x8080808080808080
	if stop == 0 {
		return 0, 0
	}
	at := bits.TrailingZeros64(stop)
	w &= 2<<at - 1
	w = w&0x007f007f007f007f | w&0x7f007f007f007f00>>1
	w = w&0x00003fff00003fff | w&0x3fff00003fff0000>>2
	return w&0x000000000fffffff | w&0x0fffffff00000000>>4, at>>3 + 1
}
