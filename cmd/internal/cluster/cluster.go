// Package cluster calls the nodes of a cluster on behalf of a command-line tool: it finds out who serves a call, and
// keeps apart what did not happen from what may have happened.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// Kind says what may be done about an attempt that went wrong.
type Kind uint8

const (
	// Once is a call that must not be carried out twice: it is not sent again once it may have arrived.
	Once Kind = iota
	// Again is a call that may be carried out any number of times with the same effect, such as a command in a session.
	Again
	// Read is Again, and nobody is harmed if its answer is lost.
	Read
)

// ErrUnknown says that a call may have been carried out, or may still be: nobody here can tell.
var ErrUnknown = errors.New("outcome unknown: it may have happened")

// ErrNoNode says that no endpoint could be reached, or that none served the call.
var ErrNoNode = errors.New("no node answers")

// Bounds of a call.
const (
	dialTimeout    = 3 * time.Second
	attemptTimeout = 10 * time.Second
	pauseMin       = 20 * time.Millisecond
	pauseMax       = 500 * time.Millisecond
)

// Client calls a cluster. It is safe for concurrent use.
type Client struct {
	endpoints []string
	cfg       transport.ClientConfig

	mu    sync.Mutex
	conns map[string]*transport.Client
	best  string // who served the last call
}

// New returns a client of the cluster whose nodes are at the endpoints, host:port. Nothing is dialed yet.
func New(endpoints []string, cfg transport.ClientConfig) (*Client, error) {
	if len(endpoints) == 0 {
		return nil, errors.New("no endpoint is given")
	}
	return &Client{endpoints: endpoints, cfg: cfg, conns: map[string]*transport.Client{}, best: endpoints[0]}, nil
}

// Close closes all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	clear(c.conns)
	return errors.Join(errs...)
}

// Endpoints returns the addresses given to New.
func (c *Client) Endpoints() []string { return c.endpoints }

// At calls one node, once.
func (c *Client) At(ctx context.Context, addr string, m *codec.Method, req, resp codec.Message) error {
	conn, err := c.connect(ctx, addr)
	if err != nil {
		return err
	}
	err = spoken(conn.Call(ctx, m, req, resp))
	if errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrDisconnected) || errors.Is(err, transport.ErrClosed) {
		c.drop(addr, conn)
	}
	return err
}

// Call calls whoever serves the call: it follows redirects and goes from endpoint to endpoint until ctx ends. Errors: a
// *raftpb.Rejected; a *raftpb.Unavailable that says where a command was applied; ErrUnknown; or, with no effect, ErrNoNode,
// *raftpb.NoSuchGroup and what else a node says.
func (c *Client) Call(ctx context.Context, kind Kind, m *codec.Method, req, resp codec.Message) error {
	call := attempts{client: c, kind: kind, next: c.first()}
	for {
		addr := call.next
		err := c.attempt(ctx, kind, addr, m, req, resp)
		if err == nil {
			c.prefer(addr)
			return nil
		}
		if done, err := call.judge(addr, err); done {
			return err
		}
		if err := call.pause(ctx); err != nil {
			return err
		}
	}
}

// attempt calls one node. What was certainly not sent matches transport.ErrUnreachable. What will not be sent again has all
// the time there is.
func (c *Client) attempt(ctx context.Context, kind Kind, addr string, m *codec.Method, req, resp codec.Message) error {
	conn, err := c.connect(ctx, addr)
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrUnreachable, err)
	}
	limited := ctx
	if kind != Once {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
	}
	err = spoken(conn.Call(limited, m, req, resp))
	if errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrDisconnected) ||
		errors.Is(err, transport.ErrClosed) || limited.Err() != nil {
		c.drop(addr, conn)
	}
	return err
}

// attempts is what a call has seen so far.
type attempts struct {
	client  *Client
	kind    Kind
	next    string
	tried   int  // attempts
	absent  int  // endpoints in a row that do not have the group
	unclear bool // an attempt may have been carried out
	last    error
	at      bool // the next attempt follows a redirect: at once
}

// judge decides what becomes of the call after an attempt at addr that ended with err.
func (a *attempts) judge(addr string, err error) (done bool, result error) {
	a.last, a.tried, a.at = fmt.Errorf("%s: %w", addr, err), a.tried+1, false
	var notLeader *raftpb.NotLeader
	var rejected *raftpb.Rejected
	var unavailable *raftpb.Unavailable
	var noGroup *raftpb.NoSuchGroup
	var remote *transport.RemoteError
	if !errors.As(err, &noGroup) {
		a.absent = 0
	}
	switch {
	case errors.As(err, &notLeader):
		if at := notLeader.LeaderAddress.Value; at != "" && at != addr {
			a.next, a.at = at, a.tried%2 == 1 // two that name each other are asked with pauses
			return false, nil
		}
	case errors.As(err, &rejected):
		if rejected.Code == raftpb.RejectCodeBusy {
			return false, nil
		}
		return true, a.end(err)
	case errors.As(err, &unavailable):
		if unavailable.Applied.Set {
			return true, err
		}
		a.unclear = a.unclear || unavailable.MaybeApplied
	case errors.As(err, &noGroup):
		if a.absent++; a.absent >= len(a.client.endpoints) {
			return true, a.end(err)
		}
	case errors.As(err, &remote) && remote.Type == transport.RemoteBusy:
		return false, nil
	case errors.As(err, &remote) && (remote.Type == transport.RemoteUnknownMethod || remote.Type == transport.RemoteProtocol):
		return true, a.end(err)
	case errors.Is(err, transport.ErrTooLarge):
		return true, a.end(err)
	case errors.Is(err, transport.ErrUnreachable), errors.Is(err, transport.ErrClosed), errors.Is(err, transport.ErrQueueFull):
	default: // it was sent
		a.unclear = true
	}
	if a.unclear && a.kind == Once {
		return true, a.end(err)
	}
	a.next = a.client.after(addr)
	return false, nil
}

// end is the error that ends the call: with what an earlier attempt has left open.
func (a *attempts) end(err error) error {
	if a.unclear && a.kind != Read {
		return fmt.Errorf("%w (%w)", ErrUnknown, err)
	}
	return err
}

// pause waits before the next attempt.
func (a *attempts) pause(ctx context.Context) error {
	if a.at && ctx.Err() == nil {
		return nil
	}
	most := min(pauseMax, pauseMin<<min(a.tried/len(a.client.endpoints), 6))
	timer := time.NewTimer(most/2 + rand.N(most/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return a.end(fmt.Errorf("%w: %w; the last one: %w", ErrNoNode, ctx.Err(), a.last))
	}
}

func (c *Client) first() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.best
}

func (c *Client) prefer(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.best = addr
}

// after is the endpoint to try after addr.
func (c *Client) after(addr string) string {
	for i, e := range c.endpoints {
		if e == addr {
			return c.endpoints[(i+1)%len(c.endpoints)]
		}
	}
	return c.endpoints[0]
}

// connect returns the connection to addr.
func (c *Client) connect(ctx context.Context, addr string) (*transport.Client, error) {
	c.mu.Lock()
	conn := c.conns[addr]
	c.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	limited, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := transport.Dial(limited, addr, c.cfg)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.conns[addr]; other != nil {
		_ = conn.Close()
		return other, nil
	}
	c.conns[addr] = conn
	return conn, nil
}

// drop forgets a connection that is of no use any more.
func (c *Client) drop(addr string, conn *transport.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns[addr] == conn {
		delete(c.conns, addr)
		_ = conn.Close()
	}
}
