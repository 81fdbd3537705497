// Package transporttest is a conformance suite for implementations of
// transport.Network.
package transporttest

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// World makes networks that can reach each other.
type World interface {
	// Listen starts a node's network. cfg.Listen is an address that the world gave out
	// (NewAddr, or Addr of a network that was closed).
	Listen(cfg transport.Config) (transport.Network, error)
	// NewAddr returns an address to listen on that no other network uses.
	NewAddr() string
}

// SecureWorld is a World whose networks may be under TLS: a node in the wrong place is then
// found out by its certificate, before it says who it is.
type SecureWorld interface {
	World
	UnderTLS() bool
}

// Run tests that networks of the world keep the contract of transport.Network. newWorld is
// called once per subtest.
func Run(t *testing.T, newWorld func(t *testing.T) World) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, newWorld(t)) })
	}
}

var cases = []struct {
	name string
	run  func(t *testing.T, w World)
}{
	{"EveryLaneAndCodec", everyLaneAndCodec},
	{"NothingIsKept", nothingIsKept},
	{"BodiesMayBeKept", bodiesMayBeKept},
	{"AnswersInAnyOrder", answersInAnyOrder},
	{"Exceptions", exceptions},
	{"Oneway", oneway},
	{"Unreachable", unreachable},
	{"TooLarge", tooLarge},
	{"WindowFull", windowFull},
	{"ManyCallers", manyCallers},
	{"CodecChange", codecChange},
	{"CloseEndsCalls", closeEndsCalls},
	{"CloseSendsWhatIsQueued", closeSendsWhatIsQueued},
	{"PeerRestart", peerRestart},
	{"PeerMoves", peerMoves},
	{"PeerRemoved", peerRemoved},
	{"WrongCluster", wrongCluster},
	{"WrongNode", wrongNode},
	{"NotAdmitted", notAdmitted},
}

// node is one network with its handler and a watch on its peers.
type node struct {
	transport.Network
	t     *testing.T
	serve func(c *transport.Call)

	mu    sync.Mutex
	up    map[raftpb.NodeID]bool
	event chan struct{} // closed and replaced at every change of up
}

// ServeCall implements transport.Handler.
func (n *node) ServeCall(c *transport.Call) { n.serve(c) }

func (n *node) peerState(id raftpb.NodeID, connected bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up[id] = connected
	close(n.event)
	n.event = make(chan struct{})
}

// await waits until the peer is connected, or is not.
func (n *node) await(id raftpb.NodeID, connected bool) {
	n.t.Helper()
	for {
		n.mu.Lock()
		ok, event := n.up[id] == connected, n.event
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-event:
		case <-time.After(patience):
			n.t.Fatalf("node %d: connected = %v never came", id, connected)
		}
	}
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// config is a node's configuration in these tests; serve answers its calls.
func (n *node) config(w World, id raftpb.NodeID) transport.Config {
	return transport.Config{
		Cluster: "test", Node: id, Incarnation: 1, Listen: w.NewAddr(),
		Methods: raftpb.RaftPeerMethods, ClientMethods: raftpb.RaftClientMethods,
		Handler: n, PeerState: n.peerState, Logger: quiet(),
		BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}
}

// start starts a node. change, when not nil, edits its configuration first.
func start(t *testing.T, w World, id raftpb.NodeID, serve func(*transport.Call), change func(*transport.Config)) *node {
	t.Helper()
	n := &node{t: t, serve: serve, up: map[raftpb.NodeID]bool{}, event: make(chan struct{})}
	if serve == nil {
		n.serve = echo
	}
	cfg := n.config(w, id)
	if change != nil {
		change(&cfg)
	}
	var err error
	if n.Network, err = w.Listen(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// pair starts nodes 1 and 2; node 1 is connected to node 2, which serves.
func pair(t *testing.T, w World, serve func(*transport.Call), change func(*transport.Config)) (a, b *node) {
	t.Helper()
	b = start(t, w, 2, serve, change)
	a = start(t, w, 1, nil, change)
	a.SetPeer(2, b.Addr())
	a.await(2, true)
	return a, b
}

// echo answers an append with its place and the sum of its body lengths, a vote with
// its term, a snapshot chunk with its offset.
func echo(c *transport.Call) {
	switch req := c.Request.(type) {
	case *raftpb.AppendRequest:
		c.Reply(&raftpb.AppendResponse{Group: req.Group, Term: req.Term, Status: raftpb.AppendStatusOk, Matched: bodyBytes(req)})
	case *raftpb.VoteRequest:
		c.Reply(&raftpb.VoteResponse{Group: req.Group, Term: req.Term, Granted: true})
	case *raftpb.SnapshotChunk:
		c.Reply(&raftpb.SnapshotAck{Group: req.Group, NextOffset: req.Offset + int64(len(req.Data))})
	case *raftpb.GoodbyeRequest:
	default:
		c.Fail(&raftpb.NoSuchGroup{Group: -1})
	}
}

func bodyBytes(r *raftpb.AppendRequest) (sum raftpb.Index) {
	for i := range r.Entries {
		sum += raftpb.Index(len(r.Entries[i].Body))
	}
	return sum
}

// outcome is what a call ended with. Its response is a copy where a test needs one.
type outcome struct {
	append raftpb.AppendResponse
	vote   raftpb.VoteResponse
	ack    raftpb.SnapshotAck
	err    error
}

// ask makes a call and waits for its end.
func (n *node) ask(to raftpb.NodeID, lane transport.Lane, m *codec.Method, req codec.Message) outcome {
	n.t.Helper()
	ended := make(chan outcome, 2)
	if err := n.Call(to, lane, m, req, func(resp codec.Message, err error) { ended <- record(resp, err) }); err != nil {
		return outcome{err: err}
	}
	return receive(n.t, ended)
}

// record copies what a done function was given.
func record(resp codec.Message, err error) outcome {
	o := outcome{err: err}
	switch r := resp.(type) {
	case *raftpb.AppendResponse:
		o.append = *r
	case *raftpb.VoteResponse:
		o.vote = *r
	case *raftpb.SnapshotAck:
		o.ack = *r
	}
	return o
}

// askReady is ask, repeated while the lane's connection is being made.
func (n *node) askReady(to raftpb.NodeID, lane transport.Lane, m *codec.Method, req codec.Message) outcome {
	n.t.Helper()
	var o outcome
	eventually(n.t, func() bool {
		o = n.ask(to, lane, m, req)
		return o.err != transport.ErrUnreachable
	})
	return o
}

// eventually waits until cond holds.
func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !cond(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("what was waited for never came")
		}
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("what was waited for never came")
		panic("unreachable")
	}
}
