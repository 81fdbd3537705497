// Package deflate is a codec of one's own: Thrift Compact, compressed. It shows all that codec.Codec asks
// for; deflate_test.go checks it with the suite that every codec can use.
package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"

	"github.com/seed-814fcd60/raftwire/codec"
)

// New returns the codec "deflate", number 65. Both ends of a connection must know it.
func New() codec.Codec {
	compact, _ := codec.ByID(codec.IDCompact)
	return &deflate{inner: compact}
}

// deflate keeps nothing between calls but writers to be used again: each has a megabyte of tables.
type deflate struct {
	inner   codec.Codec
	writers sync.Pool
}

// Name implements codec.Codec.
func (*deflate) Name() string { return "deflate" }

// ID implements codec.Codec.
func (*deflate) ID() uint8 { return 65 }

// Append implements codec.Codec.
func (d *deflate) Append(b []byte, m codec.Message) ([]byte, error) {
	plain, err := d.inner.Append(nil, m)
	if err != nil {
		return b, err
	}
	out := bytes.NewBuffer(b)
	w, ok := d.writers.Get().(*flate.Writer)
	if ok {
		w.Reset(out)
	} else if w, err = flate.NewWriter(out, flate.BestSpeed); err != nil {
		return b, err
	}
	defer d.writers.Put(w)
	if _, err := w.Write(plain); err != nil {
		return b, err
	}
	if err := w.Close(); err != nil {
		return b, err
	}
	return out.Bytes(), nil
}

// Decode implements codec.Codec. A few bytes can unpack to gigabytes: the limits hold for what comes out, too.
func (d *deflate) Decode(b []byte, m codec.Message, l *codec.Limits) error {
	if len(b) > l.Bytes() {
		return d.fault(codec.TooLarge, nil)
	}
	in := bytes.NewReader(b)
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(in), int64(l.Bytes())+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return d.fault(codec.Truncated, err)
	case err != nil:
		return d.fault(codec.Failed, err)
	case len(plain) > l.Bytes():
		return d.fault(codec.TooLarge, nil)
	case in.Len() > 0:
		return d.fault(codec.Trailing, nil)
	}
	return d.inner.Decode(plain, m, l)
}

func (d *deflate) fault(k codec.Kind, err error) error {
	return &codec.Error{Codec: d.Name(), Kind: k, Offset: -1, Err: err}
}
