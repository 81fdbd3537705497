package binary

import "encoding/binary"

// The Next functions read the field id if it is what stands at position p of b. They return the position behind it.
// Else they return -1, which all later calls hand on, and the loop over the fields reads the struct from its start, or
// from behind the list.

// follows reports whether field id of wire type t is at p, with a value of at least size bytes.
func follows(b []byte, p, id, size int, t byte) bool {
	return p >= 0 && len(b)-p >= 3+size && b[p] == t && binary.BigEndian.Uint16(b[p+1:]) == uint16(id)
}

// NextI64 reads a field of type i64.
func NextI64(b []byte, p, id int, v *int64) int {
	if !follows(b, p, id, 8, typeI64) {
		return -1
	}
	*v = int64(binary.BigEndian.Uint64(b[p+3:]))
	return p + 11
}

// NextI32 reads a field of type i32, which enums are too.
func NextI32(b []byte, p, id int, v *int32) int {
	if !follows(b, p, id, 4, typeI32) {
		return -1
	}
	*v = int32(binary.BigEndian.Uint32(b[p+3:]))
	return p + 7
}

// NextBool reads a field of type bool.
func NextBool(b []byte, p, id int, v *bool) int {
	if !follows(b, p, id, 1, typeBool) {
		return -1
	}
	*v = b[p+3] == 1
	return p + 4
}

// NextBytes reads a field of type binary as Bytes does.
func NextBytes(b []byte, p, id int, v *[]byte) int {
	if !follows(b, p, id, 4, typeBinary) {
		return -1
	}
	n := int(int32(binary.BigEndian.Uint32(b[p+3:])))
	if p += 7; uint(n) > uint(len(b)-p) {
		return -1
	}
	if n == 0 {
		*v = nil
		return p
	}
	*v = b[p : p+n : p+n]
	return p + n
}

// NextList reads the headers of a field of type list and of its n elements, and returns the position behind them.
// Else at is -1, and p stays good.
func NextList(b []byte, p, id int, elem uint32) (n, at int) {
	if !follows(b, p, id, 5, typeList) || uint32(b[p+3]) != elem>>16 {
		return 0, -1
	}
	n = int(int32(binary.BigEndian.Uint32(b[p+4:])))
	if p += 8; n < 0 || n > (len(b)-p)/minSize(elem>>16) {
		return 0, -1
	}
	return n, p
}
