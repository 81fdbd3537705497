package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/seed-814fcd60/raftwire/codec"
)

// ClientConfig describes a Client. Zero values mean the default given.
type ClientConfig struct {
	// Codec is Thrift Compact or Thrift Binary, by its id. Default: Compact.
	Codec codec.Codec
	// QualifyNames sends "Service:Method" in place of "Method", which a port that serves
	// several services under Thrift's multiplexing needs.
	QualifyNames bool
	// Identity, when set, puts the connection under mutual TLS: the other side must be a node of
	// Cluster. The certificate has the ClientURI, AdminURI or NodeURI of that cluster.
	Identity *Identity
	Cluster  string
	// Dial opens the connection. Default: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// MaxFrame, MaxQueueBytes and MaxInflight are as in Config, but that a Call past
	// MaxInflight waits.
	MaxFrame      int
	MaxQueueBytes int
	MaxInflight   int
}

// Client calls the client services of a node, or any Thrift server that frames its
// messages and answers concurrent calls by their seqid. All calls share one connection;
// a connection that ended is not opened again. It is safe for concurrent use.
type Client struct {
	net  *network
	conn *dialed
	room chan struct{} // a place per call that may be unanswered

	closeOnce sync.Once
	waiters   sync.Pool
}

var _ codec.Caller = (*Client)(nil)

// Dial connects to a node's address.
func Dial(ctx context.Context, addr string, cfg ClientConfig) (*Client, error) {
	if cfg.Codec == nil {
		cfg.Codec = mustCodec(codec.IDCompact)
	}
	proto := protoCompact
	switch cfg.Codec.ID() {
	case codec.IDCompact:
	case codec.IDBinary:
		proto = protoBinary
	default:
		return nil, fmt.Errorf("transport: dial: codec %s is neither Thrift Compact nor Thrift Binary", cfg.Codec.Name())
	}
	if cfg.Dial == nil {
		cfg.Dial = dialTCP
	}
	full := Config{
		Cluster: "-", Node: 1, Listen: "-", // of no meaning here
		MaxFrame: cfg.MaxFrame, MaxQueueBytes: cfg.MaxQueueBytes, MaxInflight: cfg.MaxInflight,
	}.withDefaults()
	if err := full.validate(); err != nil {
		return nil, err
	}
	if cfg.Identity != nil {
		if err := cfg.Identity.check(cfg.Cluster, 0); err != nil {
			return nil, fmt.Errorf("transport: dial: identity: %w", err)
		}
		full.Cluster, full.Identity = cfg.Cluster, cfg.Identity
	}
	c := &Client{net: newNetwork(full), room: make(chan struct{}, full.MaxInflight)}
	nc, err := c.net.dialSecure(ctx, cfg.Dial, addr)
	if err != nil {
		return nil, err
	}
	c.conn = newDialed(c.net, nc)
	c.conn.proto, c.conn.service, c.conn.maxFrame = proto, cfg.QualifyNames, full.MaxFrame
	c.conn.reader.trust(clientReadAhead, peerEager)
	c.net.spawn(func() { _ = c.conn.serve(func() {}) }) // every call is told why it ended
	return c, nil
}

// Go sends req and returns. done runs exactly once unless Go returned an error; it has
// the meaning it has in Network.Call and must not block. Go itself never blocks.
func (c *Client) Go(m *codec.Method, req codec.Message, done func(resp codec.Message, err error)) error {
	_, err := c.conn.call(LaneAppend, req, pending{m: m, done: done})
	return c.closed(err)
}

// Call implements codec.Caller: it sends req, waits for the answer and decodes it into
// resp, which is nil for a void or oneway method. resp aliases memory that is its own.
//
// When ctx ends first, the error matches ctx.Err(); the call may still be carried out.
// ErrUnreachable and ErrClosed say that it was not sent, ErrDisconnected leaves it open.
// A full window of unanswered calls makes Call wait.
func (c *Client) Call(ctx context.Context, m *codec.Method, req, resp codec.Message) error {
	select {
	case c.room <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("transport: call %s: not sent: %w", m.Name, ctx.Err())
	}
	defer func() { <-c.room }()
	w := c.waiter()
	seq, err := c.conn.call(LaneAppend, req, pending{m: m, done: w.end, resp: resp})
	if err != nil {
		c.waiters.Put(w)
		return c.closed(err)
	}
	select {
	case err = <-w.ended:
	case <-ctx.Done():
		outcome := fmt.Errorf("transport: call %s: outcome unknown: %w", m.Name, ctx.Err())
		switch {
		case m.Oneway:
			return outcome // w is not reused: the writer still has its end
		case c.conn.forget(seq):
			err = outcome
		default:
			err = <-w.ended // being decoded at this moment
		}
	}
	c.waiters.Put(w)
	return c.closed(err)
}

// waiter waits for the end of one call.
type waiter struct {
	ended chan error
	end   func(codec.Message, error) // made once, to be reused with the waiter
}

func (c *Client) waiter() *waiter {
	if w, ok := c.waiters.Get().(*waiter); ok {
		return w
	}
	w := &waiter{ended: make(chan error, 1)}
	w.end = func(_ codec.Message, err error) { w.ended <- err }
	return w
}

// closed tells a connection that this side closed from one that was lost.
func (c *Client) closed(err error) error {
	if errors.Is(err, ErrUnreachable) && c.net.isClosed() {
		return ErrClosed
	}
	return err
}

// Metrics returns the counters of this client's connection.
func (c *Client) Metrics() Metrics { return c.net.metrics() }

// Close ends the connection and waits for its goroutines. Calls in flight end with
// ErrDisconnected. It is idempotent.
func (c *Client) Close() error {
	c.closeOnce.Do(func() {
		c.net.mu.Lock()
		c.net.closed = true
		c.net.mu.Unlock()
		c.conn.fail(ErrClosed)
		c.net.cancel()
	})
	c.net.wg.Wait()
	return nil
}

// forget drops what a call would be told, and reports whether it was still pending. Its
// answer is still expected, and ignored.
func (c *dialed) forget(seq uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pending[seq]
	if ok {
		c.pending[seq] = pending{m: p.m}
	}
	return ok
}
