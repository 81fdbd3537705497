package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync/atomic"
	"testing"
)

// FuzzFrames feeds arbitrary bytes, in pieces of arbitrary size, to the reader that every
// connection has: it must neither panic nor return a frame that is not in the bytes, and
// must not allocate on the word of a header.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 0x82, 0x21, 1, 1, 0, 0, 0, 9, 0x80, 1}, uint8(3))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(255))
	native := append(make([]byte, headerBytes), "body"...)
	header{kind: kindCall, codec: 1, lane: LaneBulk, method: 7, seq: 9}.seal(native)
	f.Add(append(native, native...), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		var in atomic.Uint64
		src := &pieces{b: b, size: int(piece) + 1}
		r := newFrameReader(src, 1<<20, &in)
		r.eager = 64
		rest := b
		for {
			p, frame, err := r.next(nil)
			if err != nil {
				return
			}
			if !bytes.HasPrefix(rest, frame) || len(frame) != lengthBytes+int(binary.BigEndian.Uint32(frame)) {
				t.Fatalf("frame % x is not the next of % x", frame, rest)
			}
			rest = rest[len(frame):]
			fuzzFrame(t, p, frame)
		}
	})
}

// fuzzFrame parses one frame as a connection does, and encodes again what it found.
func fuzzFrame(t *testing.T, p protocol, frame []byte) {
	if p == protoNative {
		h, body, err := openFrame(frame)
		if err != nil {
			return
		}
		again := append(make([]byte, headerBytes), body...)
		h.seal(again)
		if !bytes.Equal(again, frame) {
			t.Fatalf("% x encodes again as % x", frame, again)
		}
		if h.kind == kindError {
			_ = parseErrorBody(body).Error()
		}
		return
	}
	e, rest, err := parseEnvelope(frame[lengthBytes:], p)
	if err != nil {
		return
	}
	if e.typ == messageException {
		_ = parseRemoteError(rest, p).Error()
	}
	again, _, err := parseEnvelope(appendEnvelope(nil, p, e.typ, string(e.name), e.seq), p)
	if err != nil || again.typ != e.typ || again.seq != e.seq || !bytes.Equal(again.name, e.name) {
		t.Fatalf("envelope %+v encodes again as %+v, %v", e, again, err)
	}
}

// pieces is a stream that gives at most size bytes per read.
type pieces struct {
	b    []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.b)
	p.b = p.b[n:]
	return n, nil
}

// FuzzRemoteError decodes TApplicationExceptions from nobody in particular, and finds
// again what it encodes.
func FuzzRemoteError(f *testing.F) {
	e := &RemoteError{Type: RemoteBusy, Message: "later"}
	f.Add(appendRemoteError(nil, protoCompact, e), true, int32(-5), "text")
	f.Add(appendRemoteError(nil, protoBinary, e), false, int32(7), "")
	f.Fuzz(func(t *testing.T, b []byte, compact bool, typ int32, text string) {
		p := protoBinary
		if compact {
			p = protoCompact
		}
		if got := parseRemoteError(b, p); len(got.Message) > len(b) {
			t.Fatalf("%d bytes of text out of %d", len(got.Message), len(b))
		}
		want := RemoteError{Type: typ, Message: text}
		if got := parseRemoteError(appendRemoteError(nil, p, &want), p); *got != want {
			t.Fatalf("got %+v, want %+v", *got, want)
		}
	})
}
