package compact

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The Next functions read a field if it is what stands at position p of b with the header that an encoder writes for
// a field whose id follows that of the field before. They return the position behind it. Else they return -1, which
// all later calls hand on, and the loop over the fields reads the struct from its start, or from behind the list.

// NextI64 reads a field of type i64.
func NextI64(b []byte, p int, v *int64) int {
	if uint(p) >= uint(len(b)) {
		return -1
	}
	s := b[p:]
	if len(s) < 2 || s[0] != 1<<4|typeI64 {
		return -1
	}
	u, n := uint64(s[1]), 1
	if u >= 0x80 {
		if len(s) < 9 {
			u, n = shortVarint(s[1:])
		} else if w := binary.LittleEndian.Uint64(s[1:]); w&0x8080808080 == 0x80808080 {
			// 5 bytes, as checksums have: to know it by a branch lets the next field begin before u is known.
			u, n = w&0x7f|w>>1&0x3f80|w>>2&0x1fc000|w>>3&0xfe00000|w>>4&0x7f0000000, 5
		} else {
			u, n = gather(w)
		}
		if n == 0 {
			return -1
		}
	}
	*v = int64(u>>1) ^ -int64(u&1)
	return p + 1 + n
}

// NextI32 reads a field of type i32, which enums are too.
func NextI32(b []byte, p int, v *int32) int {
	if uint(p) >= uint(len(b)) {
		return -1
	}
	s := b[p:]
	if len(s) < 2 || s[0] != 1<<4|typeI32 {
		return -1
	}
	u, n := uint64(s[1]), 1
	if u >= 0x80 {
		if u, n = longVarint(s[1:]); n == 0 {
			return -1
		}
	}
	*v = int32(uint32(u)>>1) ^ -int32(u&1)
	return p + 1 + n
}

// NextBool reads a field of type bool.
func NextBool(b []byte, p int, v *bool) int {
	if uint(p) >= uint(len(b)) || b[p] != 1<<4|typeTrue && b[p] != 1<<4|typeFalse {
		return -1
	}
	*v = b[p] == 1<<4|typeTrue
	return p + 1
}

// NextBytes reads a field of type binary as Bytes does.
func NextBytes(b []byte, p int, v *[]byte) int {
	if uint(p) >= uint(len(b)) {
		return -1
	}
	s := b[p:]
	if len(s) < 3 || s[0] != 1<<4|typeBinary {
		return -1
	}
	n, at := uint(s[1]), 2
	if n >= 0x80 {
		if s[2] >= 0x80 {
			u, size := longVarint(s[1:])
			if n, at = uint(u), 1+size; size == 0 || u > math.MaxInt32 {
				return -1
			}
		} else {
			n, at = n&0x7f|uint(s[2])<<7, 3
		}
	}
	if s = s[at:]; n > uint(len(s)) {
		return -1
	}
	if n == 0 {
		*v = nil
		return p + at
	}
	*v = s[:n:n]
	return p + at + int(n)
}

// NextList reads the headers of a field of type list, if it is a short one, and of its n elements, and returns the
// position behind them. Else at is -1, and p stays good.
func NextList(b []byte, p int, elem uint32) (n, at int) {
	if p < 0 || p >= len(b)-1 || b[p] != 1<<4|typeList || uint32(b[p+1]&15) != elem>>16 {
		return 0, -1
	}
	if n = int(b[p+1] >> 4); n == 15 || n > len(b)-p-2 {
		return 0, -1
	}
	return n, p + 2
}

// longVarint reads a varint of 2 to 8 bytes. n is 0 when there is none.
func longVarint(b []byte) (u uint64, n int) {
	if len(b) >= 2 && b[1] < 0x80 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2
	}
	if len(b) < 8 {
		return shortVarint(b)
	}
	return gather(binary.LittleEndian.Uint64(b))
}

// shortVarint reads a varint from the last bytes of a message, fewer than 9.
func shortVarint(b []byte) (u uint64, n int) {
	for i, c := range b {
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return u, i + 1
		}
	}
	return 0, 0
}

// gather returns the varint at the start of the 8 bytes of w, lowest first, and its length; 0 when it is longer.
func gather(w uint64) (u uint64, n int) {
	// Cut behind the first byte without the top bit, then close the gaps between the groups of 7 bits.
	stop := ^w & 0x8080808080808080
	if stop == 0 {
		return 0, 0
	}
	w &= stop ^ (stop - 1)
	w = w&0x007f007f007f007f | w&0x7f007f007f007f00>>1
	w = w&0x00003fff00003fff | w&0x3fff00003fff0000>>2
	return w&0x000000000fffffff | w&0x0fffffff00000000>>4, bits.TrailingZeros64(stop)>>3 + 1
}
