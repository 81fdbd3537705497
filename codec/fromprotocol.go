package codec

import (
	"context"
	"errors"
	"io"

	"github.com/apache/thrift/lib/go/thrift"
)

// FromProtocol makes a Codec of any protocol of the Apache Thrift library. It is slower than the direct codecs by
// a factor of ten or more: it is for protocols that have none. What it decodes does not alias the input.
// The factory is used from many goroutines at once.
func FromProtocol(name string, id uint8, factory thrift.TProtocolFactory) Codec {
	return &protocolCodec{name, id, factory}
}

// JSON returns the codec "json": Thrift's JSON, with field ids as keys, for people who look at messages.
func JSON() Codec { return FromProtocol("json", IDJSON, thrift.NewTJSONProtocolFactory()) }

type protocolCodec struct {
	name    string
	id      uint8
	factory thrift.TProtocolFactory
}

// Name implements Codec.
func (c *protocolCodec) Name() string { return c.name }

// ID implements Codec.
func (c *protocolCodec) ID() uint8 { return c.id }

// Append implements Codec.
func (c *protocolCodec) Append(b []byte, m Message) ([]byte, error) {
	ctx := context.Background() // memory only: there is nothing to cancel
	buf := thrift.NewTMemoryBuffer()
	p := c.factory.GetProtocol(buf)
	if err := m.Write(ctx, p); err != nil {
		return b, err
	}
	if err := p.Flush(ctx); err != nil {
		return b, err
	}
	return append(b, buf.Bytes()...), nil
}

// Decode implements Codec.
func (c *protocolCodec) Decode(b []byte, m Message, l *Limits) error {
	if len(b) > l.Bytes() {
		return &Error{Codec: c.name, Kind: TooLarge, Offset: 0}
	}
	t := &byteTransport{b: b}
	p := &limitedProtocol{TProtocol: c.factory.GetProtocol(t), depth: l.Depth(), alloc: l.Alloc(len(b)), max: len(b)}
	err := m.Read(context.Background(), p)
	if e, ok := errors.AsType[*Error](err); ok {
		e.Codec, e.Offset = c.name, len(b)-len(t.b)
	}
	if err == nil && len(t.b) > 0 {
		return &Error{Codec: c.name, Kind: Trailing, Offset: len(b) - len(t.b)}
	}
	return err
}

// byteTransport hands out one byte at a time, so that a protocol which reads through a buffer of its own cannot
// take more than it needs: what is left over stays visible.
type byteTransport struct{ b []byte }

// Read implements io.Reader.
func (t *byteTransport) Read(p []byte) (int, error) {
	if len(t.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(1, len(p))], t.b)
	t.b = t.b[n:]
	return n, nil
}

// Write implements thrift.TTransport: nothing is written while decoding.
func (t *byteTransport) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Close implements thrift.TTransport.
func (t *byteTransport) Close() error { return nil }

// Flush implements thrift.TTransport.
func (t *byteTransport) Flush(context.Context) error { return nil }

// RemainingBytes implements thrift.TTransport.
func (t *byteTransport) RemainingBytes() uint64 { return uint64(len(t.b)) }

// Open implements thrift.TTransport.
func (t *byteTransport) Open() error { return nil }

// IsOpen implements thrift.TTransport.
func (t *byteTransport) IsOpen() bool { return true }

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
	if p.alloc -= n; err == nil && p.alloc < 0 {
		err = &Error{Kind: TooMuch, Offset: -1}
	}
	return err
}

// Skip implements thrift.TProtocol, with the depth that is left.
func (p *limitedProtocol) Skip(ctx context.Context, t thrift.TType) error {
	return thrift.Skip(ctx, p, t, p.depth+1)
}
