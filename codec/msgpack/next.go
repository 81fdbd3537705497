package msgpack

import (
	"encoding/binary"
	"math"
)

// The Next functions read the field id, if the struct is an array and the field behind place f, by their value at
// position pos of b. They return the position behind it and the field's place. Else they change nothing, and so do
// all later calls, since f is not the place of the field before theirs.

// follows reports whether field id comes behind place f, and a value is at pos.
func follows(b []byte, pos int, f Place, id int) bool {
	return f&(inMap|0xffff) == Place(id-1) && f >= oneField && uint(pos) < uint(len(b))
}

// after returns the place of the field behind f in an array.
func after(f Place) Place { return f + 1 - oneField }

// NextI64 reads a field of type i64.
func NextI64(b []byte, pos int, f Place, id int, v *int64) (int, Place) {
	if !follows(b, pos, f, id) {
		return pos, f
	}
	if c := b[pos]; c < fixMap || c >= negative {
		*v = int64(int8(c))
		return pos + 1, after(f)
	}
	i, n := longInt(b[pos:])
	if n == 0 {
		return pos, f
	}
	*v = i
	return pos + n, after(f)
}

// NextI32 reads a field of type i32, which enums are too.
func NextI32(b []byte, pos int, f Place, id int, v *int32) (int, Place) {
	if !follows(b, pos, f, id) {
		return pos, f
	}
	if c := b[pos]; c < fixMap || c >= negative {
		*v = int32(int8(c))
		return pos + 1, after(f)
	}
	i, n := longInt(b[pos:])
	if n == 0 || i != int64(int32(i)) {
		return pos, f
	}
	*v = int32(i)
	return pos + n, after(f)
}

// NextBool reads a field of type bool.
func NextBool(b []byte, pos int, f Place, id int, v *bool) (int, Place) {
	if !follows(b, pos, f, id) || b[pos] != codeYes && b[pos] != codeNo {
		return pos, f
	}
	*v = b[pos] == codeYes
	return pos + 1, after(f)
}

// NextBytes reads a field of type binary as Bytes does.
func NextBytes(b []byte, pos int, f Place, id int, v *[]byte) (int, Place) {
	if !follows(b, pos, f, id) {
		return pos, f
	}
	n, start := 0, pos
	switch s := b[pos:]; {
	case s[0] == bin8 && len(s) > 2:
		n, start = int(s[1]), pos+2
	case s[0] == bin16 && len(s) > 3:
		n, start = int(s[1])<<8|int(s[2]), pos+3
	}
	if uint(n-1) >= uint(len(b)-start) { // an empty one is left to the loop: nil there
		return pos, f
	}
	*v = b[start : start+n : start+n]
	return start + n, after(f)
}

// longInt reads an integer that has more than one byte; n is 0 when there is none.
func longInt(b []byte) (v int64, n int) {
	switch c := b[0]; {
	case c == uint8c && len(b) > 1:
		return int64(b[1]), 2
	case c == uint16c && len(b) > 2:
		return int64(binary.BigEndian.Uint16(b[1:])), 3
	case c == uint32c && len(b) > 4:
		return int64(binary.BigEndian.Uint32(b[1:])), 5
	case c == uint64c && len(b) > 8:
		u := binary.BigEndian.Uint64(b[1:])
		if u > math.MaxInt64 {
			return 0, 0
		}
		return int64(u), 9
	case c == int8c && len(b) > 1:
		return int64(int8(b[1])), 2
	case c == int16c && len(b) > 2:
		return int64(int16(binary.BigEndian.Uint16(b[1:]))), 3
	case c == int32c && len(b) > 4:
		return int64(int32(binary.BigEndian.Uint32(b[1:]))), 5
	case c == int64c && len(b) > 8:
		return int64(binary.BigEndian.Uint64(b[1:])), 9
	}
	return 0, 0
}
