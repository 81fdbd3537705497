package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// dialed is a connection that this side opened: calls go out, answers come back.
type dialed struct {
	conn
	native   bool      // the other side takes native frames
	proto    protocol  // of calls that are not native: Compact or Binary
	service  bool      // their names begin with the service's
	decodes  [128]bool // codecs it decodes
	maxFrame int       // longest frame it takes
	target   raftpb.NodeID
	seq      atomic.Uint32

	pending map[uint32]pending // sent or queued, unanswered; under mu
	// responses are reused, one per method. They belong to the reader.
	responses map[*codec.Method]codec.Message
}

// pending is a call that waits for its answer.
type pending struct {
	m    *codec.Method
	done func(codec.Message, error)
	resp codec.Message // to decode into; nil: one of responses

	began time.Time
	stats *callCounters // of its method; nil: not counted, as the transport's own
}

func newDialed(n *network, nc net.Conn) *dialed {
	c := &dialed{proto: protoCompact, pending: map[uint32]pending{}, responses: map[*codec.Method]codec.Message{}}
	c.conn.init(n, nc)
	c.waits = func() bool { return len(c.pending) > 0 }
	return c
}

// ping calls Handshake again: the transport of the other side answers it, however long its
// handler takes for the calls that are due.
func (c *dialed) ping() {
	f := c.net.frames.answer()
	f.seq = c.seq.Add(1)
	f.b = appendEnvelope(append(f.b, make([]byte, lengthBytes)...), protoCompact, messageCall, c.net.methods.handshake.Name, f.seq)
	var err error
	if f.b, err = c.net.methods.handshake.appendArgs(f.b, protoCompact, c.net.hello(c.target)); err == nil {
		c.mu.Lock()
		if c.failed == nil {
			c.pending[f.seq] = pending{m: c.net.methods.handshake.Method}
			c.push(LaneControl, f)
			f = nil
		}
		c.mu.Unlock()
	}
	if f != nil {
		c.net.frames.put(f)
	}
}

// call queues one call and returns its number.
func (c *dialed) call(lane Lane, req codec.Message, p pending) (uint32, error) {
	seq := c.seq.Add(1)
	f := c.net.frames.request(lane)
	p.began, p.stats = time.Now(), c.net.counters.of(p.m)
	if err := c.encode(f, seq, lane, p.m, req); err != nil {
		c.net.frames.put(f)
		return 0, err
	}
	if p.m.Oneway {
		f.sent = func(err error) {
			if err != nil {
				err = ErrDisconnected
			}
			c.end(p, nil, err)
		}
	}
	if err := c.enqueue(lane, f, p); err != nil {
		c.net.frames.put(f)
		return 0, err
	}
	c.net.counters.callsOut.Add(1)
	return seq, nil
}

func (c *dialed) enqueue(lane Lane, f *frame, p pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, taken := c.pending[f.seq]
	switch {
	case c.failed != nil:
		return ErrUnreachable
	case taken, len(c.pending) >= c.net.cfg.MaxInflight, c.queued+len(f.b) > c.net.cfg.MaxQueueBytes:
		return ErrQueueFull
	}
	if !p.m.Oneway {
		c.pending[f.seq] = p
	}
	c.push(lane, f)
	return nil
}

// encode puts a call into f: native when both sides can, else as a Thrift message.
func (c *dialed) encode(f *frame, seq uint32, lane Lane, m *codec.Method, req codec.Message) error {
	var err error
	if f.seq = seq; c.native && m.ID != 0 {
		k := c.codec()
		f.head = header{kind: kindCall, codec: k.ID(), lane: lane, method: m.ID, seq: seq}
		if m.Oneway {
			f.head.kind = kindOneway
		}
		f.b, err = k.Append(append(f.b, make([]byte, headerBytes)...), req)
	} else {
		typ := messageCall
		if m.Oneway {
			typ = messageOneway
		}
		info := c.net.method(m)
		name := m.Name
		if c.service {
			name = info.qualified
		}
		f.b = appendEnvelope(append(f.b, make([]byte, lengthBytes)...), c.proto, typ, name, seq)
		f.b, err = info.appendArgs(f.b, c.proto, req)
	}
	if err == nil && len(f.b)-lengthBytes > c.maxFrame {
		err = ErrTooLarge
	}
	return err
}

// codec is what to send in: the one set, if the other side decodes it, else the best that both know.
func (c *dialed) codec() codec.Codec {
	k := *c.net.sendIn.Load()
	if c.decodes[k.ID()] {
		return k
	}
	for _, k := range c.net.cfg.Codecs {
		if c.decodes[k.ID()] {
			return k
		}
	}
	return mustCodec(codec.IDCompact) // the handshake has made sure of one
}

// serve reads answers until the connection ends, ends what is pending, and returns why.
// gone runs once the connection takes no more calls and before the pending ones end.
func (c *dialed) serve(gone func()) error {
	err := c.read()
	c.fail(err)
	gone()
	c.abandon(func(f *frame) {
		if f.sent != nil {
			f.sent(ErrUnreachable)
			return
		}
		if p, ok := c.take(f.seq, anyMethod); ok {
			c.end(p, nil, ErrUnreachable)
		}
	})
	c.mu.Lock()
	left := c.pending
	c.pending = map[uint32]pending{}
	err = c.failed
	c.mu.Unlock()
	for _, p := range left {
		c.end(p, nil, ErrDisconnected)
	}
	return err
}

func (c *dialed) read() error {
	for {
		p, f, err := c.reader.next(nil)
		if err != nil {
			return err
		}
		c.net.counters.framesIn.Add(1)
		if p == protoNative {
			err = c.nativeAnswer(f)
		} else {
			err = c.thriftAnswer(p, f[lengthBytes:])
		}
		if err != nil {
			return err
		}
	}
}

// take removes a call from those pending, if it is of the right method.
func (c *dialed) take(seq uint32, right func(*codec.Method) bool) (pending, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pending[seq]
	if !ok || !right(p.m) {
		return pending{}, false
	}
	delete(c.pending, seq)
	if c.serial {
		c.due = false
		c.wake.Signal()
	}
	return p, ok
}

func anyMethod(*codec.Method) bool { return true }

// bareName is the method of "Service:Method": a server may repeat what it was sent.
func bareName(name []byte) []byte { return name[bytes.LastIndexByte(name, ':')+1:] }

// end tells the caller how its call ended.
func (c *dialed) end(p pending, resp codec.Message, err error) {
	failed := false
	if err != nil {
		var exc codec.Exception
		failed = !errors.As(err, &exc)
	}
	if failed {
		c.net.counters.callsFailed.Add(1)
	}
	if p.stats != nil {
		p.stats.ended(p.began, failed)
	}
	if p.done != nil {
		p.done(resp, err)
	}
}

// response returns the message to decode an answer into, nil for a void method.
func (c *dialed) response(p pending) codec.Message {
	m := p.m
	if m.NewResponse == nil || p.resp != nil {
		return p.resp
	}
	r := c.responses[m]
	if r == nil {
		r = m.NewResponse()
		c.responses[m] = r
	}
	return r
}

func (c *dialed) nativeAnswer(f []byte) error {
	h, body, err := openFrame(f)
	if err != nil {
		return err
	}
	if h.kind != kindReply && h.kind != kindException && h.kind != kindError {
		return refuse(ReasonBadKind, "kind %d from the side that was dialed", h.kind)
	}
	p, ok := c.take(h.seq, func(m *codec.Method) bool { return m.ID == h.method })
	if !ok {
		return refuse(ReasonUnknownSeq, "answer to call %d, method %d", h.seq, h.method)
	}
	resp, err := c.decodeNative(h, body, p)
	c.endDecoded(p, resp, err)
	return nil
}

func (c *dialed) decodeNative(h header, body []byte, p pending) (codec.Message, error) {
	m := p.m
	if h.kind == kindError {
		return nil, parseErrorBody(body)
	}
	k := c.net.codecs.find(h.codec)
	if k == nil {
		return nil, refuse(ReasonUnknownCodec, "codec %d", h.codec)
	}
	if h.kind == kindException && m.NewResult != nil {
		result := m.NewResult()
		if err := k.Decode(body, result, &c.net.limits); err != nil {
			return nil, &ProtocolError{Reason: ReasonBadBody, Err: err}
		}
		if exc := result.Exception(); exc != nil {
			return nil, exc
		}
		return nil, &RemoteError{Type: RemoteMissingResult, Message: m.Name + ": an exception without an exception"}
	}
	resp := c.response(p)
	if resp == nil {
		return nil, nil
	}
	if err := k.Decode(body, resp, &c.net.limits); err != nil {
		return nil, &ProtocolError{Reason: ReasonBadBody, Err: err}
	}
	return resp, nil
}

func (c *dialed) thriftAnswer(p protocol, f []byte) error {
	e, body, err := parseEnvelope(f, p)
	if err != nil {
		return err
	}
	if e.typ != messageReply && e.typ != messageException {
		return refuse(ReasonBadKind, "message type %d from the side that was dialed", e.typ)
	}
	call, ok := c.take(e.seq, func(m *codec.Method) bool { return string(bareName(e.name)) == m.Name })
	if !ok {
		return refuse(ReasonUnknownSeq, "answer to call %d, method %q", e.seq, e.name)
	}
	if e.typ == messageException {
		c.end(call, nil, parseRemoteError(body, p))
		return nil
	}
	resp := c.response(call)
	if err = c.net.method(call.m).parseResult(body, p, resp, &c.net.limits); err != nil {
		resp, err = nil, wrapDecode(err)
	}
	c.endDecoded(call, resp, err)
	return nil
}

// endDecoded ends a call whose answer arrived, well-formed or not.
func (c *dialed) endDecoded(p pending, resp codec.Message, err error) {
	c.net.counters.refuseErr(err)
	c.end(p, resp, err)
}

// wrapDecode makes an error of a codec a ProtocolError and leaves others as they are.
func wrapDecode(err error) error {
	var decode *codec.Error
	if errors.As(err, &decode) {
		return &ProtocolError{Reason: ReasonBadBody, Err: err}
	}
	return err
}

// cause makes the end of a connection readable in logs.
func cause(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the other side closed the connection")
	}
	return err
}
