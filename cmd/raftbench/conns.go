package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/transport"
)

const (
	// connsPerNode is how many connections carry the load to a node: several readers
	// on both sides share the work.
	connsPerNode = 4
	dialLimit    = 3 * time.Second
	// redialPause is how long a failed attempt to connect stands for all who ask.
	redialPause = 20 * time.Millisecond
)

// nodeConns are the connections to one node. Each is made when first used, and again
// after it broke. It is safe for concurrent use.
type nodeConns struct {
	addr  string
	conns [connsPerNode]nodeConn
}

type nodeConn struct {
	mu      sync.Mutex
	closed  bool
	client  *transport.Client
	failed  error // the last attempt to connect, until retry
	retry   time.Time
	closing sync.WaitGroup // clients that broke
}

func newNodeConns(addr string) *nodeConns { return &nodeConns{addr: addr} }

// call calls the node through its i-th connection. ErrUnreachable says that there is none.
func (n *nodeConns) call(ctx context.Context, i int, m *codec.Method, req, resp codec.Message) error {
	c := &n.conns[i]
	client, err := c.get(ctx, n.addr)
	if err != nil {
		return err
	}
	err = client.Call(ctx, m, req, resp)
	if broken(err) {
		c.drop(client)
	}
	return err
}

// begin calls the node and returns; done runs once, on any goroutine.
func (n *nodeConns) begin(i int, m *codec.Method, req codec.Message, done func(codec.Message, error)) {
	c := &n.conns[i]
	client, err := c.get(context.Background(), n.addr)
	if err != nil {
		done(nil, err)
		return
	}
	err = client.Go(m, req, func(resp codec.Message, err error) {
		if broken(err) {
			go c.drop(client) // a callback must not wait
		}
		done(resp, err)
	})
	if err != nil {
		done(nil, err)
	}
}

// broken says that an error is about the connection.
func broken(err error) bool {
	return errors.Is(err, transport.ErrDisconnected) || errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrClosed)
}

// get returns the connection, making one when there is none.
func (c *nodeConn) get(ctx context.Context, addr string) (*transport.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, transport.ErrClosed
	}
	if c.client != nil {
		return c.client, nil
	}
	if time.Now().Before(c.retry) {
		return nil, c.failed
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	client, err := transport.Dial(ctx, addr, transport.ClientConfig{})
	if err != nil {
		c.failed, c.retry = errors.Join(transport.ErrUnreachable, err), time.Now().Add(redialPause)
		return nil, c.failed
	}
	c.client = client
	return client, nil
}

// drop forgets a connection that broke.
func (c *nodeConn) drop(client *transport.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != client {
		return // another call was here first
	}
	c.client = nil
	c.closing.Go(func() { _ = client.Close() }) // it is of no use whatever Close says
}

// close ends all connections; calls in flight end too.
func (n *nodeConns) close() error {
	var errs []error
	for i := range n.conns {
		c := &n.conns[i]
		c.mu.Lock()
		c.closed = true
		if c.client != nil {
			errs = append(errs, c.client.Close())
			c.client = nil
		}
		c.mu.Unlock()
		c.closing.Wait() // drop adds nothing once client is nil
	}
	return errors.Join(errs...)
}
