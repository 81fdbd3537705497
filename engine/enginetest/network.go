package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// Network connects real hosts of one process, and does to their messages what networks do.
// It stands in for TCP with all that the engine's transport does: frames, handshakes,
// codecs, reconnects.
//
//	net := enginetest.NewNetwork(1)
//	host, err := engine.Open(ctx, engine.Config{Listen: "a", Network: net.Listen, ...})
//	net.SetLinks(enginetest.Link{Latency: 5 * time.Millisecond, Duplicate: 0.1, Reorder: 0.1})
//	net.Partition([]engine.NodeID{1}, []engine.NodeID{2, 3})
//	net.Heal()
//
// Faults are those that a stream may have. Bytes are never lost from its middle: what is
// cut off waits in the stream, what is lost takes its connection with it. Whole messages are repeated
// and overtaken, those between members only, whose protocol must bear it: a client's command that is sent twice would
// be two commands.
//
// It works in a bubble of testing/synctest, with its time.
//
// The seed decides what is drawn; goroutines decide who draws first. So a run cannot be
// replayed from its seed: worlds that can are those of Simulate. All methods are safe for concurrent use.
type Network struct {
	memory *transport.Memory

	mu    sync.Mutex
	rng   *rand.Rand
	nodes []engine.NodeID // that have listened, ascending
	all   Link            // of links that were not set one by one
	links map[[2]engine.NodeID]Link
	cut   map[[2]engine.NodeID]bool

	repeated, held int
}

// Link is one direction between two nodes. The zero value is a fast and faultless one.
type Link struct {
	// Latency is how long every message takes, and Jitter the most that is added to it.
	// Neither changes the order.
	Latency, Jitter time.Duration
	// Loss is the probability, 0 to 1, that a write to the connection, of one or more messages, is
	// lost, and the connection with it: both sides see it break, and dial again.
	Loss float64
	// Duplicate is the probability that a message between members arrives a second time, up to
	// Hold later.
	Duplicate float64
	// Reorder is the probability that a message between members is held back for up to Hold, while
	// later ones pass.
	Reorder float64
	// Hold is for how long at most. Default: 10 ms and five times Latency and Jitter.
	Hold time.Duration
}

func (l *Link) hold() time.Duration {
	if l.Hold > 0 {
		return l.Hold
	}
	return 10*time.Millisecond + 5*(l.Latency+l.Jitter)
}

// NewNetwork returns a network without nodes, whose links are fast and faultless.
func NewNetwork(seed uint64) *Network {
	return &Network{
		memory: transport.NewMemory(seed), rng: rand.New(rand.NewPCG(seed, 1)),
		links: map[[2]engine.NodeID]Link{}, cut: map[[2]engine.NodeID]bool{},
	}
}

// Listen starts a node's part of the network: it is made for engine.Config.Network. An
// address to listen on is any name that no other node uses at the time.
func (n *Network) Listen(cfg transport.Config) (transport.Network, error) {
	inner, err := n.memory.Listen(cfg)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.nodes, cfg.Node) {
		n.nodes = append(n.nodes, cfg.Node)
		slices.Sort(n.nodes)
		for _, other := range n.nodes {
			n.apply(cfg.Node, other)
			n.apply(other, cfg.Node)
		}
	}
	return &faultyNetwork{Network: inner, net: n, self: cfg.Node}, nil
}

// Dial opens a stream to a node, as a client does: transport.ClientConfig.Dial.
func (n *Network) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return n.memory.Dial(ctx, addr)
}

// SetLink changes one direction between two nodes.
func (n *Network) SetLink(from, to engine.NodeID, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[[2]engine.NodeID{from, to}] = l
	n.apply(from, to)
}

// SetLinks changes all directions between all nodes, those that come later included.
func (n *Network) SetLinks(l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = l
	clear(n.links)
	n.applyAll()
}

// Link returns what is set for one direction.
func (n *Network) Link(from, to engine.NodeID) Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(from, to)
}

// Cut stops delivery in one direction until Heal. Connections stay up, and what is
// written waits in them; none can be made anew.
func (n *Network) Cut(from, to engine.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]engine.NodeID{from, to}] = true
	n.apply(from, to)
}

// Partition cuts every link between nodes of different sides, in both directions. Nodes
// that are on no side are together on one more. Cuts that there are already stay.
func (n *Network) Partition(sides ...[]engine.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	side := func(id engine.NodeID) int {
		return slices.IndexFunc(sides, func(s []engine.NodeID) bool { return slices.Contains(s, id) })
	}
	for _, a := range n.nodes {
		for _, b := range n.nodes {
			if side(a) != side(b) {
				n.cut[[2]engine.NodeID{a, b}] = true
				n.apply(a, b)
			}
		}
	}
}

// Heal ends all cuts, and delivers what has waited. Links keep what else is set for them.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.applyAll()
}

// Break ends all connections between two nodes; what is under way on them is lost. They
// dial again.
func (n *Network) Break(a, b engine.NodeID) { n.memory.Break(a, b) }

// Counts tells how many messages were repeated and how many were held back.
func (n *Network) Counts() (repeated, held int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.repeated, n.held
}

func (n *Network) applyAll() {
	for _, a := range n.nodes {
		for _, b := range n.nodes {
			n.apply(a, b)
		}
	}
}

func (n *Network) link(from, to engine.NodeID) Link {
	if l, own := n.links[[2]engine.NodeID{from, to}]; own {
		return l
	}
	return n.all
}

// apply gives a link's faults of streams to the streams.
func (n *Network) apply(from, to engine.NodeID) {
	if from == to {
		return
	}
	l := n.link(from, to)
	n.memory.Delay(from, to, l.Latency, l.Jitter)
	n.memory.Drop(from, to, l.Loss)
	if n.cut[[2]engine.NodeID{from, to}] {
		n.memory.Cut(from, to)
	} else {
		n.memory.Heal(from, to)
	}
}

// draw decides what becomes of one message: how much later it leaves, and how much later
// than that it leaves again; below 0: it does not.
func (n *Network) draw(from, to engine.NodeID) (later, again time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(from, to)
	again = -1
	if l.Reorder > 0 && n.rng.Float64() < l.Reorder {
		n.held++
		later = 1 + time.Duration(n.rng.Int64N(int64(l.hold())))
	}
	if l.Duplicate > 0 && n.rng.Float64() < l.Duplicate {
		n.repeated++
		again = time.Duration(n.rng.Int64N(int64(l.hold())))
	}
	return later, again
}

// maxHeld bounds the messages that a node holds back at a time; more leave at once.
const maxHeld = 1024

// faultyNetwork repeats and holds back messages of one node.
type faultyNetwork struct {
	transport.Network
	net  *Network
	self engine.NodeID

	mu     sync.Mutex
	closed bool
	held   map[*heldCall]struct{}
	firing sync.WaitGroup
}

// heldCall is a message that leaves later.
type heldCall struct {
	timer *time.Timer
	done  func(codec.Message, error)
}

// errHeld is why the copy of a call cannot be made.
var errHeld = errors.New("enginetest: a message that was held back cannot be read")

// Call implements transport.Network.
func (f *faultyNetwork) Call(to raftpb.NodeID, lane transport.Lane, m *codec.Method, req codec.Message, done func(codec.Message, error)) error {
	if !slices.Contains(raftpb.RaftPeerMethods, m) {
		return f.Network.Call(to, lane, m, req, done)
	}
	later, again := f.net.draw(f.self, to)
	if later == 0 && again < 0 {
		return f.Network.Call(to, lane, m, req, done)
	}
	sent := req.AppendCompact(nil) // req is the caller's when this returns
	leave := func(done func(codec.Message, error)) func() {
		return func() {
			copied := m.NewRequest()
			_, err := copied.ParseCompact(sent, nil)
			if err != nil {
				err = fmt.Errorf("%w: %w", errHeld, err)
			} else {
				err = f.Network.Call(to, lane, m, copied, done)
			}
			if err != nil {
				done(nil, err)
			}
		}
	}
	if again >= 0 {
		nobody := func(codec.Message, error) {}
		f.hold(later+again, nobody, leave(nobody))
	}
	if later == 0 || !f.hold(later, done, leave(done)) {
		return f.Network.Call(to, lane, m, req, done)
	}
	return nil
}

// hold lets something leave later; false: there is too much that waits, or Close has begun.
func (f *faultyNetwork) hold(d time.Duration, done func(codec.Message, error), leave func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.held) >= maxHeld {
		return false
	}
	if f.held == nil {
		f.held = map[*heldCall]struct{}{}
	}
	c := &heldCall{done: done}
	f.held[c] = struct{}{}
	c.timer = time.AfterFunc(d, func() {
		f.mu.Lock()
		_, waits := f.held[c]
		delete(f.held, c)
		if waits {
			f.firing.Add(1)
		}
		f.mu.Unlock()
		if waits {
			defer f.firing.Done()
			leave()
		}
	})
	return true
}

// Close implements transport.Network. What is held back ends as what could not be sent.
func (f *faultyNetwork) Close() error {
	f.mu.Lock()
	f.closed = true
	waiting := f.held
	f.held = nil
	f.mu.Unlock()
	for c := range waiting {
		c.timer.Stop()
		c.done(nil, transport.ErrUnreachable)
	}
	f.firing.Wait()
	return f.Network.Close()
}
