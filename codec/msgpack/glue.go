package msgpack

import (
	"errors"
	"io"

	v5 "github.com/vmihailenco/msgpack/v5"

	"github.com/seed-814fcd60/raftwire/codec"
)

// V5Encoder and V5Decoder are the ends of vmihailenco's library, for which generated messages
// implement CustomEncoder and CustomDecoder.
type (
	V5Encoder = v5.Encoder
	V5Decoder = v5.Decoder
)

// EncodeV5 writes m with e. It fails, and writes nothing, when m holds a union that has not exactly one field.
func EncodeV5(e *V5Encoder, m codec.Message) error {
	if v, ok := m.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	_, err := e.Writer().Write(m.AppendMsgpack(nil))
	return err
}

// DecodeV5 reads m from d: one value, within the default limits, held in memory as its bytes arrive.
func DecodeV5(d *V5Decoder, m codec.Message) error {
	var l codec.Limits
	r := rawReader{d: d, max: l.Bytes()}
	if err := r.value(l.Depth()); err != nil {
		return err
	}
	_, err := m.ParseMsgpack(r.buf, &l)
	return err
}

// rawReader copies one value from a stream, without trust in the lengths that it announces.
type rawReader struct {
	d   *V5Decoder
	buf []byte
	max int // bytes
}

func (r *rawReader) fail(k codec.Kind) error {
	return &codec.Error{Codec: "msgpack", Kind: k, Offset: len(r.buf)}
}

// take copies n bytes, some at a time.
func (r *rawReader) take(n int) error {
	if n < 0 || n > r.max-len(r.buf) {
		return r.fail(codec.TooLarge)
	}
	for n > 0 {
		old, step := len(r.buf), min(n, 64<<10)
		r.buf = append(r.buf, make([]byte, step)...)
		if err := r.d.ReadFull(r.buf[old:]); err != nil {
			r.buf = r.buf[:old]
			if errors.Is(err, io.EOF) && old > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		n -= step
	}
	return nil
}

// number copies a length of size bytes and returns it.
func (r *rawReader) number(size int) (int, error) {
	if err := r.take(size); err != nil {
		return 0, err
	}
	var v uint64
	for _, c := range r.buf[len(r.buf)-size:] {
		v = v<<8 | uint64(c)
	}
	return int(min(v, maxLength)), nil
}

func (r *rawReader) value(depth int) error {
	if depth < 0 {
		return r.fail(codec.TooDeep)
	}
	if err := r.take(1); err != nil {
		return err
	}
	s := shapeOf(r.buf[len(r.buf)-1])
	if s.bad {
		return r.fail(codec.BadType)
	}
	n := s.fixed
	if s.lengthSize > 0 {
		length, err := r.number(s.lengthSize)
		if err != nil {
			return err
		}
		n += length
	}
	if s.values == 0 {
		return r.take(n)
	}
	for ; n > 0; n-- {
		for range s.values {
			if err := r.value(depth - 1); err != nil {
				return err
			}
		}
	}
	return nil
}
