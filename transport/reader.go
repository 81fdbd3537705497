package transport

import (
	"errors"
	"io"
	"sync/atomic"
)

// Sizes of a connection's read-ahead buffer, and how far a frame's own buffer is
// allocated on the word of its header alone.
const (
	firstReadAhead  = 512       // a connection that has said nothing yet
	clientReadAhead = 16 << 10  // one that has sent a good frame
	answerReadAhead = 64 << 10  // a dialed connection: answers are small
	peerReadAhead   = 256 << 10 // a peer that calls: several appends to one system call
	clientEager     = 32 << 10
	peerEager       = 1 << 20
	headLook        = sniffBytes + maxNameBytes + 16 // enough for any envelope
)

// frameReader cuts frames out of a stream. Each frame gets memory of its own, which is
// never reused, so that a decoded message may alias it for ever.
//
// A frame longer than eager gets its memory by doubling, as its bytes arrive: a header
// alone makes nobody allocate.
type frameReader struct {
	src   io.Reader
	buf   []byte // read ahead: buf[r:w] is not yet consumed
	r, w  int
	max   int // longest length accepted
	eager int

	bytesIn  *atomic.Uint64 // of the whole network
	received atomic.Uint64  // of this connection
	partial  atomic.Uint64  // odd from the first wait inside a frame to its end
	inside   bool           // partial is odd
}

func newFrameReader(src io.Reader, maxFrame int, bytesIn *atomic.Uint64) *frameReader {
	return &frameReader{src: src, buf: make([]byte, firstReadAhead), max: maxFrame, eager: clientEager, bytesIn: bytesIn}
}

// trust sets the size of the read-ahead buffer and the eager limit once more is known
// of the other side.
func (r *frameReader) trust(readAhead, eager int) {
	r.eager = eager
	if len(r.buf) >= readAhead {
		return
	}
	buf := make([]byte, readAhead)
	r.w = copy(buf, r.buf[r.r:r.w])
	r.r, r.buf = 0, buf
}

// errSkipped comes from next with the first bytes of a frame whose rest was read and dropped.
var errSkipped = errors.New("transport: receive: frame was skipped")

// next returns the next frame, with its length in front. check, when not nil, judges a
// frame longer than the eager limit by its first bytes before more is allocated: with
// errSkipped it has the frame dropped, with another error next fails.
//
// At the end of the stream it returns io.EOF, inside a frame a ProtocolError.
func (r *frameReader) next(check func(p protocol, size int, head []byte) error) (protocol, []byte, error) {
	defer r.leave()
	if err := r.ahead(lengthBytes); err != nil {
		return 0, nil, err
	}
	if err := sniffLength(r.buf[r.r:r.w], r.max); err != nil {
		return 0, nil, err
	}
	if err := r.ahead(sniffBytes); err != nil {
		return 0, nil, err
	}
	p, size, err := sniff(r.buf[r.r:r.w], r.max)
	if err != nil {
		return 0, nil, err
	}
	if size <= r.w-r.r {
		f := append([]byte(nil), r.buf[r.r:r.r+size]...)
		r.r += size
		return p, f, nil
	}
	if check != nil && size > r.eager {
		if p != protoNative { // these have names to look at
			if err := r.ahead(min(size, headLook)); err != nil {
				return 0, nil, err
			}
		}
		err := check(p, size, r.buf[r.r:r.w])
		if errors.Is(err, errSkipped) {
			head := append([]byte(nil), r.buf[r.r:min(r.w, r.r+headLook)]...)
			if err := r.skip(size); err != nil {
				return 0, nil, err
			}
			return p, head, errSkipped
		}
		if err != nil {
			return 0, nil, err
		}
	}
	f, err := r.body(size)
	return p, f, err
}

// ahead reads until n bytes are buffered.
func (r *frameReader) ahead(n int) error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if n > len(r.buf)-r.r {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	for r.w-r.r < n {
		if r.w > r.r {
			r.enter()
		}
		m, err := r.read(r.buf[r.w:])
		r.w += m
		if err != nil && r.w-r.r < n {
			return cutShort(err, r.w > r.r)
		}
	}
	return nil
}

// body returns the frame of the given size that begins in the read-ahead buffer and
// continues beyond it.
func (r *frameReader) body(size int) ([]byte, error) {
	f := make([]byte, min(size, max(r.eager, r.w-r.r)))
	n := copy(f, r.buf[r.r:r.w])
	r.r, r.w = 0, 0
	r.enter()
	for {
		for n < len(f) {
			m, err := r.read(f[n:])
			n += m
			if err != nil && n < len(f) {
				return nil, cutShort(err, true)
			}
		}
		if n == size {
			return f, nil
		}
		grown := make([]byte, min(size, 2*n))
		copy(grown, f)
		f = grown
	}
}

// skip reads n bytes, of which some are buffered, and drops them.
func (r *frameReader) skip(n int) error {
	r.enter()
	for n > r.w-r.r {
		n -= r.w - r.r
		r.r, r.w = 0, 0
		m, err := r.read(r.buf)
		r.w = m
		if err != nil && n > m {
			return cutShort(err, true)
		}
	}
	r.r += n
	return nil
}

func (r *frameReader) read(b []byte) (int, error) {
	n, err := r.src.Read(b)
	r.bytesIn.Add(uint64(n))
	r.received.Add(uint64(n))
	return n, err
}

func (r *frameReader) enter() {
	if !r.inside {
		r.inside = true
		r.partial.Add(1)
	}
}

func (r *frameReader) leave() {
	if r.inside {
		r.inside = false
		r.partial.Add(1)
	}
}

func cutShort(err error, inside bool) error {
	if inside {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // io.EOF is the end between two frames, and only that
		}
		return &ProtocolError{Reason: ReasonTruncated, Err: err}
	}
	return err
}
