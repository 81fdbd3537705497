package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// memoryConn is one end of a connection of a Memory.
type memoryConn struct {
	in, out       *stream
	local, remote memoryAddr
}

var errReset = errors.New("transport: connection reset")

// Read implements net.Conn.
func (c *memoryConn) Read(b []byte) (int, error) { return c.in.read(b) }

// Write implements net.Conn. b is copied.
func (c *memoryConn) Write(b []byte) (int, error) {
	dropped, delay := c.out.route.draw()
	if dropped {
		c.reset()
		return 0, errReset
	}
	return c.out.write(b, delay)
}

// CloseWrite ends the direction away from here: the other side reads to the end.
func (c *memoryConn) CloseWrite() error {
	c.out.end(io.EOF, nil)
	return nil
}

// Close implements net.Conn.
func (c *memoryConn) Close() error {
	c.out.end(io.EOF, net.ErrClosed)
	c.in.end(net.ErrClosed, errReset)
	return nil
}

// reset ends both directions; what is on the way is lost.
func (c *memoryConn) reset() {
	for _, s := range []*stream{c.in, c.out} {
		s.lose()
		s.end(errReset, errReset)
	}
}

// LocalAddr implements net.Conn.
func (c *memoryConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn: there are no deadlines.
func (c *memoryConn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn.
func (c *memoryConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.Conn.
func (c *memoryConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// stream is one direction of a connection: a bounded queue of what was written, each
// piece with the time at which it arrives.
type stream struct {
	route  *route
	writer *memoryConn // the end that writes it

	mu       sync.Mutex
	cond     sync.Cond
	pieces   []piece
	size     int
	readErr  error // once pieces are read; nil while the stream is open
	writeErr error
	alarm    *time.Timer // wakes the reader when the next piece arrives
}

type piece struct {
	b  []byte
	at time.Time
}

// streamBytes bounds what is on its way in one stream, as a socket's buffers do.
const streamBytes = 256 << 10

func newStream(r *route, writer *memoryConn) *stream {
	s := &stream{route: r, writer: writer}
	s.cond.L = &s.mu
	return s
}

// register lets faults of the route reach the stream. Its writer is complete by then:
// a fault may end both directions of it.
func (s *stream) register() {
	s.route.mu.Lock()
	s.route.streams[s] = struct{}{}
	s.route.mu.Unlock()
}

func (s *stream) wake() {
	s.mu.Lock()
	s.cond.Broadcast()
	s.mu.Unlock()
}

// end closes the stream for its reader, who gets readErr after what has been written, and
// for its writer, if writeErr is not nil.
func (s *stream) end(readErr, writeErr error) {
	s.mu.Lock()
	if s.readErr == nil || errors.Is(s.readErr, io.EOF) {
		s.readErr = readErr
	}
	if s.writeErr == nil {
		s.writeErr = writeErr
	}
	over := s.writeErr != nil
	s.cond.Broadcast()
	s.mu.Unlock()
	if over {
		s.route.mu.Lock()
		delete(s.route.streams, s)
		s.route.mu.Unlock()
	}
}

func (s *stream) lose() {
	s.mu.Lock()
	s.pieces, s.size = nil, 0
	s.mu.Unlock()
}

func (s *stream) write(b []byte, delay time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.size >= streamBytes && s.writeErr == nil {
		s.cond.Wait()
	}
	switch {
	case s.writeErr != nil:
		return 0, s.writeErr
	case s.readErr != nil:
		return 0, net.ErrClosed // after CloseWrite
	}
	at := time.Now().Add(delay)
	if n := len(s.pieces); n > 0 && at.Before(s.pieces[n-1].at) {
		at = s.pieces[n-1].at
	}
	s.pieces = append(s.pieces, piece{append([]byte(nil), b...), at})
	s.size += len(b)
	s.cond.Broadcast()
	return len(b), nil
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readErr != nil && !errors.Is(s.readErr, io.EOF):
			return 0, s.readErr
		case s.route.isCut():
		case len(s.pieces) == 0 && s.readErr != nil:
			return 0, s.readErr
		case len(s.pieces) > 0:
			if wait := time.Until(s.pieces[0].at); wait > 0 {
				s.wakeAfter(wait)
			} else {
				return s.take(b), nil
			}
		}
		s.cond.Wait()
	}
}

func (s *stream) take(b []byte) int {
	p := &s.pieces[0]
	n := copy(b, p.b)
	if p.b = p.b[n:]; len(p.b) == 0 {
		s.pieces[0] = piece{}
		s.pieces = s.pieces[1:]
	}
	s.size -= n
	s.cond.Broadcast()
	return n
}

func (s *stream) wakeAfter(d time.Duration) {
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.alarm = time.AfterFunc(d, s.wake)
}
