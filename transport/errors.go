package transport

import (
	"errors"
	"fmt"
)

// What a call can end with besides the method's own exceptions.
var (
	// ErrUnreachable: there is no connection to the peer; nothing was sent.
	ErrUnreachable = errors.New("transport: call: peer is not connected")
	// ErrDisconnected: the connection ended before the answer; the request may have arrived.
	ErrDisconnected = errors.New("transport: call: connection ended before the answer")
	// ErrQueueFull: the peer's queue or its window of unanswered calls is full; nothing was sent.
	ErrQueueFull = errors.New("transport: call: queue is full")
	// ErrTooLarge: the message does not fit a frame that the other side accepts; nothing was sent.
	ErrTooLarge = errors.New("transport: call: message is larger than a frame")
	// ErrClosed: this side was closed; nothing was sent.
	ErrClosed = errors.New("transport: closed")
)

// Types of a RemoteError. Those below 64 are Thrift's TApplicationException types.
const (
	RemoteUnknown       int32 = 0
	RemoteUnknownMethod int32 = 1
	RemoteBadType       int32 = 2
	RemoteMissingResult int32 = 5
	RemoteInternal      int32 = 6
	RemoteProtocol      int32 = 7
	RemoteBusy          int32 = 64 // not carried out: too many calls in flight; retry later
)

// RemoteError is a failure told by the other side that the method does not declare: an
// error frame, or a TApplicationException. RemoteUnknownMethod, RemoteProtocol and
// RemoteBusy say that the call was not carried out; the others leave it open.
type RemoteError struct {
	Type    int32
	Message string
}

// Error implements the error interface.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("transport: call: remote error %d: %s", e.Type, e.Message)
}

// Reason names why a frame or a connection was refused. Metrics count by it.
type Reason string

// The reasons.
const (
	ReasonUnknownProtocol Reason = "unknown-protocol"  // first bytes are none of ours
	ReasonTLS             Reason = "tls-on-plain-port" // a TLS greeting
	ReasonTooLong         Reason = "frame-too-long"    // length over the cap
	ReasonTooShort        Reason = "frame-too-short"   // length below the smallest header
	ReasonBadHeader       Reason = "bad-header"        // native header or Thrift envelope does not parse
	ReasonChecksum        Reason = "bad-checksum"      // crc32c does not match
	ReasonBadBody         Reason = "bad-body"          // the struct does not decode; the connection stays
	ReasonUnknownMethod   Reason = "unknown-method"    // not served here, or not before the handshake; the connection stays
	ReasonUnknownCodec    Reason = "unknown-codec"     // a native frame in a codec this side cannot decode
	ReasonBadKind         Reason = "bad-kind"          // a reply where calls flow, or the reverse
	ReasonUnknownSeq      Reason = "unknown-seq"       // an answer that nobody waits for
	ReasonNoHandshake     Reason = "no-handshake"      // a native frame before the handshake
	ReasonTruncated       Reason = "truncated"         // the connection ended inside a frame
	ReasonBusy            Reason = "busy"              // too many calls in flight; the connection stays
	ReasonWrongCluster    Reason = "wrong-cluster"
	ReasonWrongNode       Reason = "wrong-node"
	ReasonWrongVersion    Reason = "wrong-version"
	ReasonSmallFrames     Reason = "small-frame-cap" // its frame cap is below this node's
	ReasonNotAdmitted     Reason = "not-admitted"    // Config.Admit refused it
	ReasonTimeout         Reason = "handshake-timeout"
	ReasonSlowFrame       Reason = "slow-frame" // a frame took longer than FrameTimeout
	ReasonStalled         Reason = "stalled"    // answers are due and nothing arrives
	ReasonTooMany         Reason = "too-many-connections"
	// What TLS adds.
	ReasonPlain            Reason = "plain-on-tls-port" // what arrived is not TLS
	ReasonWrongCertificate Reason = "wrong-certificate" // none, not believed, expired, or not this node's or cluster's
	ReasonTLSFailed        Reason = "tls-failed"        // its handshake failed otherwise, as when the other side refuses our certificate
)

// ProtocolError is a violation of the wire format, found on this side.
type ProtocolError struct {
	Reason Reason
	Err    error // the cause, may be nil
}

// Error implements the error interface.
func (e *ProtocolError) Error() string {
	if e.Err == nil {
		return "transport: receive: " + string(e.Reason)
	}
	return "transport: receive: " + string(e.Reason) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ProtocolError) Unwrap() error { return e.Err }

// reasonOf returns the reason inside err, or "" when err is not a protocol violation.
func reasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	var p *ProtocolError
	if errors.As(err, &p) {
		return p.Reason
	}
	return ""
}

func refuse(r Reason, format string, args ...any) error {
	return &ProtocolError{Reason: r, Err: fmt.Errorf(format, args...)}
}
