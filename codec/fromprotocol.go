package codec

import (
	"context"
	"errors"

	"github.com/apache/thrift/lib/go/thrift"
)

// FromProtocol makes a Codec of any protocol of the Apache Thrift library. It is slower than the direct codecs by
// a factor of ten or more: it is for protocols that have none. What it decodes does not alias the input.
// White space behind a message counts as part of it where the protocol ignores it. The factory is used from many
// goroutines at once.
func FromProtocol(name string, id uint8, factory thrift.TProtocolFactory) Codec {
	c := &protocolCodec{name: name, id: id, factory: factory}
	c.end, c.err = c.encode(endMark{})
	return c
}

// JSON returns the codec "json": Thrift's JSON, with field ids as keys, for people who look at messages.
func JSON() Codec { return FromProtocol("json", IDJSON, thrift.NewTJSONProtocolFactory()) }

type protocolCodec struct {
	name    string
	id      uint8
	factory thrift.TProtocolFactory
	end     []byte // an encoded endMark
	err     error  // of its encoding
}

// Name implements Codec.
func (c *protocolCodec) Name() string { return c.name }

// ID implements Codec.
func (c *protocolCodec) ID() uint8 { return c.id }

// Append implements Codec.
func (c *protocolCodec) Append(b []byte, m Message) ([]byte, error) {
	encoded, err := c.encode(m)
	return append(b, encoded...), err
}

func (c *protocolCodec) encode(m thrift.TStruct) ([]byte, error) {
	ctx := context.Background() // memory only: there is nothing to cancel
	buf := thrift.NewTMemoryBuffer()
	p := c.factory.GetProtocol(buf)
	if err := m.Write(ctx, p); err != nil {
		return nil, err
	}
	if err := p.Flush(ctx); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Decode implements Codec. Some protocols read ahead, so that what is left in the transport does not tell where the
// message ended. Therefore a mark is put behind it: the message was all of b if the mark comes next, and nothing after it.
func (c *protocolCodec) Decode(b []byte, m Message, l *Limits) error {
	if len(b) > l.Bytes() {
		return &Error{Codec: c.name, Kind: TooLarge, Offset: 0}
	}
	if c.err != nil {
		return &Error{Codec: c.name, Kind: Failed, Offset: -1, Err: c.err}
	}
	ctx := context.Background()
	t := thrift.NewTMemoryBufferLen(len(b) + len(c.end))
	t.Buffer.Write(b)
	t.Buffer.Write(c.end)
	p := &limitedProtocol{TProtocol: c.factory.GetProtocol(t), depth: l.Depth(), alloc: l.Alloc(len(b)), max: len(b)}
	err := m.Read(ctx, p)
	read := len(b) + len(c.end) - t.Len()
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Codec = c.name; t.Len() > 0 {
			e.Offset = min(read, len(b))
		}
		return e
	}
	if read == len(b) || read > len(b) && ended(ctx, p) {
		return nil
	}
	if read > len(b) {
		read = -1
	}
	return &Error{Codec: c.name, Kind: Trailing, Offset: read}
}

// ended reports whether p stands before one endMark and no other.
func ended(ctx context.Context, p thrift.TProtocol) bool {
	first := (endMark{}).Read(ctx, p)
	second := (endMark{}).Read(ctx, p)
	return first == nil && second != nil
}

// endMark is a struct that says where a message ended.
type endMark struct{}

const endNumber = 0x7261667477697265

// Write implements thrift.TStruct.
func (endMark) Write(ctx context.Context, p thrift.TProtocol) error {
	return errors.Join(
		p.WriteStructBegin(ctx, "end"), p.WriteFieldBegin(ctx, "end", thrift.I64, 1), p.WriteI64(ctx, endNumber),
		p.WriteFieldEnd(ctx), p.WriteFieldStop(ctx), p.WriteStructEnd(ctx))
}

// Read implements thrift.TStruct.
func (endMark) Read(ctx context.Context, p thrift.TProtocol) error {
	if _, err := p.ReadStructBegin(ctx); err != nil {
		return err
	}
	_, t, id, err := p.ReadFieldBegin(ctx)
	if err != nil || t != thrift.I64 || id != 1 {
		return errors.Join(err, Trailing)
	}
	if v, err := p.ReadI64(ctx); err != nil || v != endNumber {
		return errors.Join(err, Trailing)
	}
	if err := p.ReadFieldEnd(ctx); err != nil {
		return err
	}
	if _, t, _, err = p.ReadFieldBegin(ctx); err != nil || t != thrift.STOP {
		return errors.Join(err, Trailing)
	}
	return p.ReadStructEnd(ctx)
}

// limitedProtocol holds a protocol to the limits: how deep it nests, how many elements it announces, how
// much memory all of them may take.
type limitedProtocol struct {
	thrift.TProtocol
	depth, alloc, max int
}

func (p *limitedProtocol) enter() error {
	if p.depth--; p.depth < 0 {
		return &Error{Kind: TooDeep, Offset: -1}
	}
	return nil
}

// begin checks what a container's header said. An element takes at least a byte, in every protocol.
func (p *limitedProtocol) begin(n int, err error) error {
	if err == nil && (n < 0 || n > p.max) {
		err = &Error{Kind: TooLarge, Offset: -1}
	}
	return err
}

// ReadStructBegin implements thrift.TProtocol.
func (p *limitedProtocol) ReadStructBegin(ctx context.Context) (string, error) {
	if err := p.enter(); err != nil {
		return "", err
	}
	return p.TProtocol.ReadStructBegin(ctx)
}

// ReadStructEnd implements thrift.TProtocol.
func (p *limitedProtocol) ReadStructEnd(ctx context.Context) error {
	p.depth++
	return p.TProtocol.ReadStructEnd(ctx)
}

// ReadListBegin implements thrift.TProtocol.
func (p *limitedProtocol) ReadListBegin(ctx context.Context) (thrift.TType, int, error) {
	t, n, err := p.TProtocol.ReadListBegin(ctx)
	return t, n, p.begin(n, err)
}

// ReadSetBegin implements thrift.TProtocol.
func (p *limitedProtocol) ReadSetBegin(ctx context.Context) (thrift.TType, int, error) {
	t, n, err := p.TProtocol.ReadSetBegin(ctx)
	return t, n, p.begin(n, err)
}

// ReadMapBegin implements thrift.TProtocol.
func (p *limitedProtocol) ReadMapBegin(ctx context.Context) (thrift.TType, thrift.TType, int, error) {
	kt, vt, n, err := p.TProtocol.ReadMapBegin(ctx)
	return kt, vt, n, p.begin(n, err)
}

// ReadString implements thrift.TProtocol.
func (p *limitedProtocol) ReadString(ctx context.Context) (string, error) {
	s, err := p.TProtocol.ReadString(ctx)
	return s, p.spend(len(s), err)
}

// ReadBinary implements thrift.TProtocol.
func (p *limitedProtocol) ReadBinary(ctx context.Context) ([]byte, error) {
	b, err := p.TProtocol.ReadBinary(ctx)
	return b, p.spend(len(b), err)
}

func (p *limitedProtocol) spend(n int, err error) error {
	if err == nil {
		err = p.Spend(n)
	}
	return err
}

// Spend implements protocol.Budget.
func (p *limitedProtocol) Spend(n int) error {
	if n < 0 || n > p.alloc { // below 0: more than an int holds
		return &Error{Kind: TooMuch, Offset: -1}
	}
	p.alloc -= n
	return nil
}

// Skip implements thrift.TProtocol, with the depth that is left.
func (p *limitedProtocol) Skip(ctx context.Context, t thrift.TType) error {
	return thrift.Skip(ctx, p, t, p.depth+1)
}
