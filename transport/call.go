package transport

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Call is one inbound call. A handler answers it exactly once with Reply or Fail, from
// any goroutine; of a second answer only the attempt is counted. A call that is never
// answered holds its place in the connection's window.
type Call struct {
	Method *codec.Method
	// Request is the request. It is reused once the call is answered (and is then nil
	// here): the message and its lists are valid until Reply or Fail is called. Its byte
	// slices alias a frame that is never recycled and may be kept for ever.
	//
	// It is what Method.NewRequest makes.
	Request codec.Message
	// From is the peer that calls, or 0: a client that has not handshaken.
	From raftpb.NodeID
	// Lane is the urgency the caller gave; LaneAppend for calls that carry none.
	Lane Lane

	conn     *accepted
	method   *method
	proto    protocol
	codec    codec.Codec // of native frames; nil when this side does not decode it
	codecID  uint8       // the codec's number, as the frame has it
	seq      uint32
	size     int // bytes of its frame that count against MaxClientBytes
	answered atomic.Bool
	direct   Answerer // of a call that no connection brought

	// Under conn.mu: answers to calls of the same seqid leave in the order of the calls.
	next    *Call
	blocked bool   // an earlier call of this seqid is unanswered
	answer  *frame // encoded, waits for blocked to end
}

// Answerer takes the answer to a call that no connection brought, once: one of its
// methods is called, before Reply or Fail returns.
type Answerer interface {
	// Reply gets what Call.Reply got, valid until it returns.
	Reply(resp codec.Message)
	// Fail gets what Call.Fail got.
	Fail(err error)
}

// Direct makes c a call that no connection brought: a network made of function calls,
// as simulations have, hands it to a handler. The request belongs to whoever made it.
// c may be made one again once it is answered.
func (c *Call) Direct(m *codec.Method, from raftpb.NodeID, lane Lane, req codec.Message, to Answerer) {
	c.Method, c.Request, c.From, c.Lane, c.direct = m, req, from, lane, to
	c.answered.Store(false)
}

// Oneway reports whether nobody waits for an answer: Reply and Fail do nothing then.
func (c *Call) Oneway() bool { return c.Method.Oneway }

// RemoteAddr is the network address the call came from.
func (c *Call) RemoteAddr() string {
	if c.direct != nil {
		return "direct"
	}
	return c.conn.nc.RemoteAddr().String()
}

// Holder is who the certificate of the caller says it is. ok is false without TLS.
func (c *Call) Holder() (h Holder, ok bool) {
	if c.direct != nil || c.conn.net.cfg.Identity == nil {
		return Holder{}, false
	}
	return c.conn.holder, true
}

// Reply answers with resp, which is of the method's response type, or nil for a void
// method. It is encoded before Reply returns. If the connection is gone, nothing happens.
func (c *Call) Reply(resp codec.Message) {
	if c.direct != nil {
		if c.answered.CompareAndSwap(false, true) {
			c.direct.Reply(resp)
		}
		return
	}
	c.finish(func(f *frame) error { return c.encodeReply(f, resp) })
}

// Fail answers with err. An exception that the method declares travels as such; of any
// other error its text does, as a failure inside this node (RemoteInternal), unless it
// is a *RemoteError, whose type is kept.
func (c *Call) Fail(err error) {
	if c.direct != nil {
		if c.answered.CompareAndSwap(false, true) {
			c.direct.Fail(err)
		}
		return
	}
	c.finish(func(f *frame) error { return c.encodeFailure(f, err) })
}

func (c *Call) finish(encode func(*frame) error) {
	if !c.answered.CompareAndSwap(false, true) {
		c.conn.net.counters.doubleReplies.Add(1)
		return
	}
	var f *frame
	if !c.Oneway() {
		f = c.conn.net.frames.answer()
		if err := encode(f); err != nil {
			f.b = f.b[:0]
			c.encodeError(f, &RemoteError{Type: RemoteInternal, Message: err.Error()})
		}
	}
	if c.Request != nil {
		c.method.requests.Put(c.Request)
		c.Request = nil
	}
	c.conn.answer(c, f)
}

func (c *Call) encodeReply(f *frame, resp codec.Message) (err error) {
	if c.proto == protoNative {
		f.head = c.head(kindReply)
		f.b = append(f.b, make([]byte, headerBytes)...)
		if resp != nil {
			f.b, err = c.codec.Append(f.b, resp)
		}
	} else {
		f.b = appendEnvelope(append(f.b, make([]byte, lengthBytes)...), c.proto, messageReply, c.Method.Name, c.seq)
		f.b, err = c.method.appendResult(f.b, c.proto, resp)
	}
	return c.fits(f, err)
}

// fits refuses an answer that no frame holds.
func (c *Call) fits(f *frame, err error) error {
	if err == nil && int64(len(f.b)-lengthBytes) > c.conn.maxFrame.Load() {
		return ErrTooLarge
	}
	return err
}

func (c *Call) encodeFailure(f *frame, err error) error {
	var exc codec.Exception
	if errors.As(err, &exc) && c.Method.NewResult != nil {
		if result := c.Method.NewResult(); result.SetException(exc) {
			return c.encodeException(f, result)
		}
	}
	var remote *RemoteError
	if !errors.As(err, &remote) {
		remote = &RemoteError{Type: RemoteInternal, Message: err.Error()}
	}
	c.encodeError(f, remote)
	return nil
}

func (c *Call) encodeException(f *frame, result codec.Result) (err error) {
	if c.proto == protoNative {
		f.head = c.head(kindException)
		f.b, err = c.codec.Append(append(f.b, make([]byte, headerBytes)...), result)
	} else {
		f.b = appendEnvelope(append(f.b, make([]byte, lengthBytes)...), c.proto, messageReply, c.Method.Name, c.seq)
		f.b, err = c.proto.codec().Append(f.b, result)
	}
	return c.fits(f, err)
}

// maxErrorText bounds the text of an error that travels, in bytes.
const maxErrorText = 4 << 10

// encodeError puts an error frame or a TApplicationException into f.
func (c *Call) encodeError(f *frame, e *RemoteError) {
	if len(e.Message) > maxErrorText {
		e = &RemoteError{Type: e.Type, Message: strings.ToValidUTF8(e.Message[:maxErrorText], "")}
	}
	if c.proto == protoNative {
		f.head = c.head(kindError)
		f.b = append(f.b, make([]byte, headerBytes)...)
		f.b = binary.BigEndian.AppendUint32(f.b, uint32(e.Type))
		f.b = append(f.b, e.Message...)
		return
	}
	f.b = appendEnvelope(append(f.b, make([]byte, lengthBytes)...), c.proto, messageException, c.Method.Name, c.seq)
	f.b = appendRemoteError(f.b, c.proto, e)
}

// parseErrorBody reads the body of a native error frame.
func parseErrorBody(b []byte) error {
	if len(b) < 4 {
		return &RemoteError{Type: RemoteUnknown, Message: "an error frame without a type"}
	}
	return &RemoteError{Type: int32(binary.BigEndian.Uint32(b)), Message: string(b[4:])}
}

func (c *Call) head(k frameKind) header {
	return header{kind: k, codec: c.codecID, lane: c.Lane, method: c.Method.ID, seq: c.seq}
}
