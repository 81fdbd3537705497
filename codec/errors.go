package codec

import "strconv"

// Kind says what was wrong with bytes. A Kind is an error, so that callers can ask
// errors.Is(err, codec.Truncated).
type Kind string

// What a decoder can find.
const (
	Truncated  Kind = "bytes end inside a value"
	Overlong   Kind = "integer longer than its type allows"
	BadType    Kind = "wrong or unknown type"
	TooDeep    Kind = "nested too deep"
	TooLarge   Kind = "length or count over the limit"
	TooMuch    Kind = "needs more memory than allowed"
	BadText    Kind = "text is not UTF-8"
	Trailing   Kind = "bytes left over"
	BadUnion   Kind = "a union holds exactly one field"
	Missing    Kind = "a required field is missing"
	OutOfRange Kind = "number out of range"
	Failed     Kind = "protocol failed" // Err has the cause
)

// Error implements the error interface.
func (k Kind) Error() string { return string(k) }

// Error is what every codec returns for bytes it refuses. The path names the place in
// the message, such as "AppendRequest.entries[3].body"; Offset is the byte where the
// decoder stopped, -1 when the codec cannot tell.
type Error struct {
	Codec  string // "thrift-compact"
	Kind   Kind
	Path   string
	Offset int
	Err    error // the cause, when another library found it
}

// Error implements the error interface.
func (e *Error) Error() string {
	s := e.Codec + ": decode"
	if e.Path != "" {
		s += " " + e.Path
	}
	if e.Offset >= 0 {
		s += " at byte " + strconv.Itoa(e.Offset)
	}
	s += ": " + string(e.Kind)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
