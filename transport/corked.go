package transport

import (
	"crypto/tls"
	"net"
	"sync"
)

// secured is a connection under TLS.
type secured struct {
	*tls.Conn
	inner *corked
}

// Close closes the socket without a word: the notice that TLS sends at the end would wait
// for a send buffer that may never have room. Those who part in peace call CloseWrite before.
func (s *secured) Close() error { return s.inner.Conn.Close() }

// corked joins what TLS writes, a record of at most 16 KiB at a time, so that many frames
// are one system call still.
type corked struct {
	net.Conn
	mu  sync.Mutex // TLS writes on its reader's behalf too
	on  bool
	buf []byte
}

// maxCorked is how much is held back; a batch seldom has more.
const maxCorked = 1 << 20

// Write implements net.Conn.
func (c *corked) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return c.Conn.Write(b)
	}
	if len(c.buf)+len(b) > maxCorked {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	c.buf = append(c.buf, b...)
	return len(b), nil
}

func (c *corked) cork() {
	c.mu.Lock()
	c.on = true
	c.mu.Unlock()
}

// uncork writes what was held back.
func (c *corked) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	return c.flush()
}

func (c *corked) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
