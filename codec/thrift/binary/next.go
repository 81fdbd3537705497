package binary

import "encoding/binary"

// The Next functions read the field id if it is what stands at position p of b, right behind the field last,
// which is id-1. They return the position behind it, and id. Else they change nothing, and so do all later calls,
// since last is not the field before theirs.

// follows reports whether field id of wire type t is at p, with a value of at least size bytes.
func follows(b []byte, p, last, id, size int, t byte) bool {
	return last == id-1 && len(b)-p >= 3+size && b[p] == t && binary.BigEndian.Uint16(b[p+1:]) == uint16(id)
}

// NextI64 reads a field of type i64.
func NextI64(b []byte, p, last, id int, v *int64) (pos, now int) {
	if !follows(b, p, last, id, 8, typeI64) {
		return p, last
	}
	*v = int64(binary.BigEndian.Uint64(b[p+3:]))
	return p + 11, id
}

// NextI32 reads a field of type i32, which enums are too.
func NextI32(b []byte, p, last, id int, v *int32) (pos, now int) {
	if !follows(b, p, last, id, 4, typeI32) {
		return p, last
	}
	*v = int32(binary.BigEndian.Uint32(b[p+3:]))
	return p + 7, id
}

// NextBool reads a field of type bool.
func NextBool(b []byte, p, last, id int, v *bool) (pos, now int) {
	if !follows(b, p, last, id, 1, typeBool) {
		return p, last
	}
	*v = b[p+3] == 1
	return p + 4, id
}

// NextBytes reads a field of type binary as Bytes does.
func NextBytes(b []byte, p, last, id int, v *[]byte) (pos, now int) {
	if !follows(b, p, last, id, 4, typeBinary) {
		return p, last
	}
	n := int(int32(binary.BigEndian.Uint32(b[p+3:])))
	if p += 7; uint(n-1) >= uint(len(b)-p) { // an empty one is left to the loop: nil there
		return p - 7, last
	}
	*v = b[p : p+n : p+n]
	return p + n, id
}
