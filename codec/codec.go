// Package codec is the runtime of the code that raftgen writes: messages, the
// codecs that put them on a wire, the limits that guard every decoder, and the
// service descriptions that a transport serves.
//
// # Ownership
//
// What a decoder returns aliases the bytes it was given: binary fields of a
// decoded message are slices of the frame. They stay valid as long as the owner
// of the frame keeps it unchanged; who wants to keep a field longer clones it.
// An encoder never keeps a message: Append has copied everything when it returns.
package codec

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"
)

// Runtime1 names the contract between generated code and this package. Generated
// files refer to it, so that a mismatch is a compile error with a clear name.
const Runtime1 = true

// Message is what raftgen generates for a struct, union or exception.
//
// The Parse methods decode one value from the front of b, return the number of
// bytes it took, and alias b (see the package comment). They reset the receiver
// first, and use the capacity of its slices again. After an error, which is an *Error, the
// message's content is not defined. A message is not safe for concurrent use while it is written.
type Message interface {
	// Reset restores the defaults of the IDL, keeping the capacity of slices.
	Reset()

	// Write and Read work with every protocol of the Apache Thrift library.
	Write(ctx context.Context, p thrift.TProtocol) error
	Read(ctx context.Context, p thrift.TProtocol) error

	AppendCompact(b []byte) []byte
	ParseCompact(b []byte, l *Limits) (n int, err error)

	AppendBinary(b []byte) []byte
	ParseBinary(b []byte, l *Limits) (n int, err error)

	AppendMsgpack(b []byte) []byte
	ParseMsgpack(b []byte, l *Limits) (n int, err error)
}

// Codec turns messages into bytes and back. Implementations are safe for
// concurrent use and keep nothing between calls.
type Codec interface {
	// Name is the codec's name in settings and reports, such as "thrift-compact".
	Name() string
	// ID is the codec's number in native frames and in the handshake
	// (the values of raft.thrift's enum Codec; 64..127 are free for private ones).
	ID() uint8
	// Append appends the encoding of m to b. It fails when m cannot be encoded: when it holds a union that
	// has not exactly one field; messages that can hold one have a method Validate() error.
	Append(b []byte, m Message) ([]byte, error)
	// Decode fills m from b, all of b: bytes left over are an error. m aliases b.
	// A nil l means DefaultLimits.
	Decode(b []byte, m Message, l *Limits) error
}

// Method describes one method of a service.
type Method struct {
	Service string // as in the IDL, "RaftPeer"
	Name    string // as in the IDL, "Vote"
	ID      uint16 // from the annotation (id = "n"); 0 when there is none
	Oneway  bool

	// NewArgs and NewResult make the structs of Thrift's own calling convention:
	// arguments by position; 0: success, then the declared exceptions. What generated
	// methods return from NewArgs implements Args.
	NewArgs   func() Message
	NewResult func() Result // nil for a oneway method

	// NewRequest and NewResponse make the bare structs of native frames, which are also what
	// Caller and Handler see: the method's only argument if that is a struct, else the struct
	// of all arguments; the struct returned, or the result struct if something else is
	// returned. NewResponse is nil for void and oneway methods.
	NewRequest  func() Message
	NewResponse func() Message
}

// Args is implemented by the argument structs of methods.
type Args interface {
	Message
	// Request returns the request, in place: what NewRequest makes.
	Request() Message
	// SetRequest makes the arguments refer to or hold req, which must be of the type that NewRequest makes.
	SetRequest(req Message)
}

// Result is implemented by the result struct of every method.
type Result interface {
	Message
	// Success returns the response, what NewResponse makes, or nil.
	Success() Message
	// SetSuccess stores the response, which must be of the type that NewResponse makes. It does nothing for a void method.
	SetSuccess(m Message)
	// Exception returns the declared exception that was thrown, or nil.
	Exception() Exception
	// SetException stores err if the method declares an exception of its type and reports whether it does.
	SetException(err error) bool
}

// Exception is implemented by exceptions of the IDL: a message that is a Go error.
type Exception interface {
	Message
	error
}

// Caller is the client half of a transport as generated clients see it. Call
// sends req and fills resp (nil for oneway and void methods). A declared
// exception comes back as the error. It is safe for concurrent use.
type Caller interface {
	Call(ctx context.Context, m *Method, req, resp Message) error
}

// Handler is the server half: it serves one call and returns the response or an
// error; an error that the method declares as an exception travels as such.
type Handler interface {
	Handle(ctx context.Context, m *Method, req Message) (resp Message, err error)
}
