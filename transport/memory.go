package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Memory is a world of networks inside one process. They do all that TCP does (frames,
// handshakes, codecs, reconnects), over streams that tests can cut, delay and break, per
// pair and direction. It waits on channels, condition variables and timers only, so
// it works in a bubble of testing/synctest, with its time.
//
// Streams lose bytes as TCP's do: never from the middle. What is cut off waits for Heal;
// what is dropped takes its connection with it.
type Memory struct {
	mu        sync.Mutex
	rng       *rand.Rand
	listeners map[string]*memoryListener
	routes    map[[2]raftpb.NodeID]*route
}

// NewMemory returns an empty world. seed decides what Drop drops and how Delay jitters.
func NewMemory(seed uint64) *Memory {
	return &Memory{
		rng:       rand.New(rand.NewPCG(seed, seed)),
		listeners: map[string]*memoryListener{},
		routes:    map[[2]raftpb.NodeID]*route{},
	}
}

// Listen starts a node's network. cfg.Listen is any name that no other network of this
// world has at the time.
func (m *Memory) Listen(cfg Config) (Network, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &memoryListener{world: m, node: cfg.Node, addr: memoryAddr(cfg.Listen), queue: make(chan net.Conn, memoryBacklog), done: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listeners[cfg.Listen] != nil {
		return nil, fmt.Errorf("transport: listen %s: address is in use", cfg.Listen)
	}
	m.listeners[cfg.Listen] = l
	dial := func(ctx context.Context, addr string) (net.Conn, error) { return m.dial(ctx, cfg.Node, addr) }
	return &memoryNetwork{start(cfg, l, dial)}, nil
}

const memoryBacklog = 128

// Dial opens a stream to a network, as a client does: the id of its side is 0.
func (m *Memory) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return m.dial(ctx, 0, addr)
}

// Cut stops delivery from one node to another until Heal. Connections stay up, and
// new ones cannot be made.
func (m *Memory) Cut(from, to raftpb.NodeID) {
	m.route(from, to).change(func(r *route) { r.cut = true })
}

// Heal ends Cut, and delivers what was held.
func (m *Memory) Heal(from, to raftpb.NodeID) {
	m.route(from, to).change(func(r *route) { r.cut = false })
}

// Delay delivers what is written from now on d later, plus up to jitter. Order is kept.
func (m *Memory) Delay(from, to raftpb.NodeID, d, jitter time.Duration) {
	m.route(from, to).change(func(r *route) { r.delay, r.jitter = d, jitter })
}

// Drop loses a write from one node to the other with the given probability, and with it
// the connection. Writes are of one or more frames.
func (m *Memory) Drop(from, to raftpb.NodeID, probability float64) {
	m.route(from, to).change(func(r *route) { r.drop = probability })
}

// Break ends all connections between two nodes, whichever dialed, at once and in both directions.
func (m *Memory) Break(a, b raftpb.NodeID) {
	var all []*memoryConn
	for _, r := range []*route{m.route(a, b), m.route(b, a)} {
		r.mu.Lock()
		for s := range r.streams {
			all = append(all, s.writer)
		}
		r.mu.Unlock()
	}
	for _, c := range all {
		c.reset()
	}
}

func (m *Memory) route(from, to raftpb.NodeID) *route {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [2]raftpb.NodeID{from, to}
	r := m.routes[key]
	if r == nil {
		r = &route{world: m, streams: map[*stream]struct{}{}, changed: make(chan struct{})}
		m.routes[key] = r
	}
	return r
}

func (m *Memory) dial(ctx context.Context, from raftpb.NodeID, addr string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[addr]
	m.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("transport: dial %s: nobody listens", addr)
	}
	out, back := m.route(from, l.node), m.route(l.node, from)
	if err := errors.Join(out.open(ctx), back.open(ctx)); err != nil {
		return nil, fmt.Errorf("transport: dial %s: %w", addr, err)
	}
	mine := &memoryConn{local: memoryAddr(fmt.Sprintf("node %d", from)), remote: l.addr}
	theirs := &memoryConn{local: l.addr, remote: mine.local}
	mine.out, theirs.out = newStream(out, mine), newStream(back, theirs)
	mine.in, theirs.in = theirs.out, mine.out
	mine.out.register()
	theirs.out.register()
	select {
	case l.queue <- theirs:
		return mine, nil
	case <-l.done:
		mine.reset()
		return nil, fmt.Errorf("transport: dial %s: nobody listens", addr)
	case <-ctx.Done():
		mine.reset()
		return nil, fmt.Errorf("transport: dial %s: %w", addr, ctx.Err())
	}
}

// route is one direction between two nodes.
type route struct {
	world *Memory

	mu            sync.Mutex
	cut           bool
	delay, jitter time.Duration
	drop          float64
	streams       map[*stream]struct{}
	changed       chan struct{} // closed at the next change
}

func (r *route) change(f func(r *route)) {
	r.mu.Lock()
	f(r)
	close(r.changed)
	r.changed = make(chan struct{})
	var all []*stream
	for s := range r.streams {
		all = append(all, s)
	}
	r.mu.Unlock()
	for _, s := range all {
		s.wake()
	}
}

// open waits until the route is not cut.
func (r *route) open(ctx context.Context) error {
	for {
		r.mu.Lock()
		cut, changed := r.cut, r.changed
		r.mu.Unlock()
		if !cut {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *route) isCut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// draw decides the fate of one write.
func (r *route) draw() (dropped bool, delay time.Duration) {
	r.mu.Lock()
	drop, delay, jitter := r.drop, r.delay, r.jitter
	r.mu.Unlock()
	if drop == 0 && jitter == 0 {
		return false, delay
	}
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	dropped = r.world.rng.Float64() < drop
	if jitter > 0 {
		delay += time.Duration(r.world.rng.Int64N(int64(jitter)))
	}
	return dropped, delay
}

type memoryAddr string

// Network implements net.Addr.
func (memoryAddr) Network() string { return "memory" }

// String implements net.Addr.
func (a memoryAddr) String() string { return string(a) }

type memoryListener struct {
	world *Memory
	node  raftpb.NodeID
	addr  memoryAddr
	queue chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// Accept implements net.Listener.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *memoryListener) Close() error {
	l.once.Do(func() {
		l.world.mu.Lock()
		delete(l.world.listeners, string(l.addr))
		l.world.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				c.(*memoryConn).reset()
			default:
				return
			}
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *memoryListener) Addr() net.Addr { return l.addr }

// memoryNetwork is a Network of a Memory.
type memoryNetwork struct{ net *network }

func (n *memoryNetwork) Call(to raftpb.NodeID, lane Lane, m *codec.Method, req codec.Message, done func(codec.Message, error)) error {
	return n.net.call(to, lane, m, req, done)
}
func (n *memoryNetwork) SetPeer(id raftpb.NodeID, addr string) { n.net.setPeer(id, addr) }
func (n *memoryNetwork) RemovePeer(id raftpb.NodeID)           { n.net.removePeer(id) }
func (n *memoryNetwork) SetCodec(c codec.Codec)                { n.net.setCodec(c) }
func (n *memoryNetwork) Addr() string                          { return n.net.ln.Addr().String() }
func (n *memoryNetwork) Metrics() Metrics                      { return n.net.metrics() }

// Peer returns what is known of a peer, as Metrics does, and whether it is one.
func (n *memoryNetwork) Peer(id raftpb.NodeID) (m PeerMetrics, known bool) { return n.net.peer(id) }

func (n *memoryNetwork) Close() error { return n.net.close() }
