package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// network is a node's network over any stream: TCP and Memory differ only in how they
// dial and listen.
type network struct {
	cfg      Config
	log      *slog.Logger
	dial     func(ctx context.Context, addr string) (net.Conn, error)
	ln       net.Listener
	methods  methodTable
	codecs   *codecTable
	limits   codec.Limits
	counters counters
	frames   framePools
	sendIn   atomic.Pointer[codec.Codec]
	identity atomic.Pointer[Identity] // nil: no TLS
	outgoing sync.Map                 // *codec.Method -> *method, of calls that left as Thrift messages

	ctx    context.Context // ends once Close has ended the connections
	cancel context.CancelFunc
	// dialing ends when Close begins.
	dialing     context.Context
	stopDialing context.CancelFunc
	wg          sync.WaitGroup

	mu       sync.RWMutex
	closed   bool
	peers    map[raftpb.NodeID]*peer
	accepted map[*accepted]struct{}
	clients  int // of accepted, without a handshake
	late     int // of accepted, over MaxConns: may only handshake

	telling sync.Mutex // keeps the calls of PeerState in order

	clientBytes atomic.Int64 // in frames of unanswered calls of connections without a handshake

	closeOnce sync.Once
}

// newNetwork makes what connections need. cfg is complete.
func newNetwork(cfg Config) *network {
	n := &network{
		cfg:      cfg,
		log:      cfg.Logger,
		methods:  newMethodTable(cfg.Methods, cfg.ClientMethods),
		codecs:   newCodecTable(cfg.Codecs),
		limits:   codec.Limits{MaxBytes: cfg.MaxFrame},
		peers:    map[raftpb.NodeID]*peer{},
		accepted: map[*accepted]struct{}{},
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.dialing, n.stopDialing = context.WithCancel(n.ctx)
	n.setCodec(cfg.Codec)
	n.identity.Store(cfg.Identity)
	return n
}

// start begins to listen on ln and to dial the peers.
func start(cfg Config, ln net.Listener, dial func(context.Context, string) (net.Conn, error)) *network {
	n := newNetwork(cfg)
	n.log = cfg.Logger.With("node", int64(cfg.Node))
	n.ln, n.dial = ln, dial
	n.spawn(n.acceptLoop)
	n.spawn(n.watch)
	for id, addr := range cfg.Peers {
		n.setPeer(id, addr)
	}
	return n
}

func (n *network) spawn(f func()) {
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		f()
	}()
}

func (n *network) setCodec(c codec.Codec) { n.sendIn.Store(&c) }

// setIdentity is TCP.SetIdentity.
func (n *network) setIdentity(id *Identity) error {
	if n.cfg.Identity == nil {
		return errors.New("transport: identity: this network has no TLS")
	}
	if id == nil {
		return errors.New("transport: identity: nil")
	}
	if err := id.check(n.cfg.Cluster, n.cfg.Node); err != nil {
		return fmt.Errorf("transport: identity: %w", err)
	}
	n.identity.Store(id)
	return nil
}

// method returns what is known of a method that this side calls.
func (n *network) method(m *codec.Method) *method {
	if v, ok := n.outgoing.Load(m); ok {
		return v.(*method)
	}
	v, _ := n.outgoing.LoadOrStore(m, newMethod(m, false))
	return v.(*method)
}

func (n *network) call(to raftpb.NodeID, lane Lane, m *codec.Method, req codec.Message, done func(codec.Message, error)) error {
	n.mu.RLock()
	p, closed := n.peers[to], n.closed
	n.mu.RUnlock()
	switch {
	case closed:
		return ErrClosed
	case p == nil:
		return ErrUnreachable
	}
	return p.call(lane, m, req, done)
}

func (n *network) setPeer(id raftpb.NodeID, addr string) {
	if id == n.cfg.Node || id <= 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	if p := n.peers[id]; p != nil {
		p.move(addr)
		return
	}
	n.peers[id] = newPeer(n, id, addr)
}

func (n *network) removePeer(id raftpb.NodeID) {
	n.mu.Lock()
	p := n.peers[id]
	delete(n.peers, id)
	n.mu.Unlock()
	if p != nil {
		p.stop(errors.New("peer was removed"))
	}
}

func (n *network) isClosed() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.closed
}

// acceptLoop accepts until the listener is closed. A passing failure, such as too many
// open files, is retried after a pause.
func (n *network) acceptLoop() {
	for {
		nc, err := n.ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			n.log.Warn("accept failed", "err", err)
			if !sleep(n.dialing, acceptPause) {
				return
			}
			continue
		}
		n.counters.accepted.Add(1)
		n.accept(nc)
	}
}

const acceptPause = 100 * time.Millisecond

// sleep waits for d, or returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (n *network) metrics() Metrics {
	m := n.counters.snapshot()
	n.mu.RLock()
	defer n.mu.RUnlock()
	m.ConnsIn, m.ClientConns = len(n.accepted), n.clients
	m.QueueBytes = make(map[raftpb.NodeID]int, len(n.peers))
	m.Peers = make(map[raftpb.NodeID]PeerMetrics, len(n.peers))
	for id, p := range n.peers {
		m.Peers[id] = p.reach.read()
		queued, connected := p.queued()
		m.QueueBytes[id] = queued
		if connected {
			m.PeersConnected++
		}
	}
	return m
}

// close is Network.Close. A socket that is closed while bytes wait in it to be read makes
// the kernel throw away what it has not yet delivered. So the sending halves are closed
// first, and then both sides read to the end.
func (n *network) close() error {
	n.closeOnce.Do(func() {
		n.mu.Lock()
		n.closed = true
		n.mu.Unlock()
		n.ln.Close()
		n.stopDialing()
		for _, c := range n.conns() {
			c.mu.Lock()
			c.room.Broadcast() // readers that wait for answers see that nobody has time for these
			c.mu.Unlock()
		}
		ctx, cancel := context.WithTimeout(context.Background(), n.cfg.CloseTimeout)
		defer cancel()
		poll(ctx, func() bool { return n.queuedBytes() == 0 })
		for _, c := range n.conns() {
			if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // a connection that has ended already needs none
			}
		}
		poll(ctx, func() bool { return len(n.conns()) == 0 })
		for _, c := range n.conns() {
			c.fail(ErrClosed)
		}
		n.cancel()
	})
	n.wg.Wait()
	return nil
}

// poll waits until cond holds or ctx ends.
func poll(ctx context.Context, cond func() bool) {
	for !cond() && sleep(ctx, closePoll) {
	}
}

const closePoll = time.Millisecond

func (n *network) queuedBytes() (sum int) {
	for _, c := range n.conns() {
		c.mu.Lock()
		sum += c.queued
		c.mu.Unlock()
	}
	return sum
}

// watch ends connections that make no progress. It compares counters between rounds, so
// that the paths of frames need not read a clock.
func (n *network) watch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
		for _, w := range n.conns() {
			if err := w.stuck(); err != nil {
				w.fail(err)
			}
		}
	}
}

const watchInterval = 250 * time.Millisecond

// conns are the connections in use.
func (n *network) conns() []*conn {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var list []*conn
	for a := range n.accepted {
		list = append(list, &a.conn)
	}
	for _, p := range n.peers {
		list = p.conns(list)
	}
	return list
}
