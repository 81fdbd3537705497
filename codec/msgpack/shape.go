package msgpack

// maxLength is over every limit, and fits an int of 32 bits with room for an addition.
const maxLength = 1<<31 - 2

// shape says what follows the first byte of a value: a length of lengthSize bytes if that is not 0; then
// length+fixed bytes if values is 0, else length+fixed elements of so many values each.
type shape struct {
	lengthSize, fixed, values int
	bad                       bool
}

// shapeOf returns the shape of the values that begin with c.
func shapeOf(c byte) shape {
	switch {
	case c < fixMap || c >= negative || c == codeNil || c == codeNo || c == codeYes:
		return shape{}
	case c < fixArray:
		return shape{fixed: int(c & 15), values: 2}
	case c < fixStr:
		return shape{fixed: int(c & 15), values: 1}
	case c < codeNil:
		return shape{fixed: int(c & 31)}
	case c >= bin8 && c <= bin32:
		return shape{lengthSize: 1 << (c - bin8)}
	case c >= ext8 && c <= ext32:
		return shape{lengthSize: 1 << (c - ext8), fixed: 1}
	case c == float32c || c == float64c:
		return shape{fixed: 4 << (c - float32c)}
	case c >= uint8c && c <= uint64c:
		return shape{fixed: 1 << (c - uint8c)}
	case c >= int8c && c <= int64c:
		return shape{fixed: 1 << (c - int8c)}
	case c >= fixExt1 && c <= fixExt16:
		return shape{fixed: 1<<(c-fixExt1) + 1}
	case c >= str8 && c <= str32:
		return shape{lengthSize: 1 << (c - str8)}
	case c == array16 || c == array32:
		return shape{lengthSize: 2 << (c - array16), values: 1}
	case c == map16 || c == map32:
		return shape{lengthSize: 2 << (c - map16), values: 2}
	}
	return shape{bad: true}
}
