package transporttest

import (
	"errors"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

var vote = &raftpb.VoteRequest{Group: 1, Term: 5}

func (n *node) vote(to raftpb.NodeID) error {
	n.t.Helper()
	return n.ask(to, transport.LaneControl, raftpb.RaftPeerVote, vote).err
}

// Peers that are unknown, absent or oneself are unreachable, at once.
func unreachable(t *testing.T, w World) {
	a := start(t, w, 1, nil, nil)
	a.SetPeer(2, w.NewAddr())
	a.SetPeer(1, a.Addr())
	for _, id := range []raftpb.NodeID{0, 1, 2, 3} {
		if err := a.vote(id); err != transport.ErrUnreachable {
			t.Errorf("node %d: got %v, want ErrUnreachable", id, err)
		}
	}
}

// Close ends every call once; afterwards there are none.
func closeEndsCalls(t *testing.T, w World) {
	const calls = 50
	held := make(chan *transport.Call, calls)
	a, b := pair(t, w, func(c *transport.Call) { held <- c }, nil)
	ended := make(chan outcome, 2*calls)
	for range calls {
		err := a.Call(2, transport.LaneAppend, raftpb.RaftPeerVote, vote, func(resp codec.Message, err error) { ended <- record(resp, err) })
		if err != nil {
			t.Fatal(err)
		}
	}
	for range calls {
		receive(t, held)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if len(ended) != calls {
		t.Fatalf("%d of %d calls ended with Close", len(ended), calls)
	}
	for range calls {
		if o := <-ended; !errors.Is(o.err, transport.ErrDisconnected) {
			t.Errorf("got %v, want ErrDisconnected", o.err)
		}
	}
	if err := a.vote(2); err != transport.ErrClosed {
		t.Errorf("call after Close: got %v, want ErrClosed", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	a.SetPeer(3, b.Addr()) // does nothing
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// What was accepted before Close is still sent.
func closeSendsWhatIsQueued(t *testing.T, w World) {
	const calls = 100
	came := make(chan int, calls)
	a, _ := pair(t, w, func(c *transport.Call) {
		came <- int(bodyBytes(c.Request.(*raftpb.AppendRequest)))
		echo(c)
	}, nil)
	body := string(make([]byte, 20<<10))
	for range calls {
		if err := a.Call(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendOf(1, body), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range calls {
		if n := receive(t, came); n != len(body) {
			t.Fatalf("%d bytes arrived, want %d", n, len(body))
		}
	}
}

// A peer that goes away ends the calls to it and is found again when it returns.
func peerRestart(t *testing.T, w World) {
	held := make(chan *transport.Call, 1)
	b := start(t, w, 2, func(c *transport.Call) { held <- c }, nil)
	addr := b.Addr()
	a := start(t, w, 1, nil, nil)
	a.SetPeer(2, addr)
	for range 3 {
		a.await(2, true)
		ended := make(chan outcome, 2)
		if err := a.Call(2, transport.LaneControl, raftpb.RaftPeerVote, vote, func(resp codec.Message, err error) { ended <- record(resp, err) }); err != nil {
			t.Fatal(err)
		}
		late := receive(t, held)
		b.Close()
		if o := receive(t, ended); o.err != transport.ErrDisconnected {
			t.Errorf("got %v, want ErrDisconnected", o.err)
		}
		echo(late) // answers nobody, harms nobody
		a.await(2, false)
		if err := a.vote(2); err != transport.ErrUnreachable {
			t.Errorf("while away: got %v, want ErrUnreachable", err)
		}
		b = start(t, w, 2, func(c *transport.Call) { held <- c }, func(cfg *transport.Config) { cfg.Listen = addr })
	}
}

// SetPeer with another address moves the connections there.
func peerMoves(t *testing.T, w World) {
	a, b := pair(t, w, nil, nil)
	other := start(t, w, 2, func(c *transport.Call) { c.Fail(&raftpb.NoSuchGroup{Group: 99}) }, nil)
	a.SetPeer(2, b.Addr()) // the same: nothing happens
	if err := a.vote(2); err != nil {
		t.Fatal(err)
	}
	a.SetPeer(2, other.Addr())
	eventually(t, func() bool {
		var moved *raftpb.NoSuchGroup
		return errors.As(a.vote(2), &moved) && moved.Group == 99
	})
	if n := b.Metrics().CallsIn; n != 1 {
		t.Errorf("%d calls at the old address, want 1", n)
	}
}

func peerRemoved(t *testing.T, w World) {
	a, b := pair(t, w, nil, nil)
	a.RemovePeer(2)
	a.RemovePeer(3)
	a.await(2, false)
	if err := a.vote(2); err != transport.ErrUnreachable {
		t.Errorf("after RemovePeer: got %v, want ErrUnreachable", err)
	}
	a.SetPeer(2, b.Addr())
	a.await(2, true)
	if err := a.vote(2); err != nil {
		t.Errorf("added again: %v", err)
	}
}

// awaitRefused waits until the network has counted a refusal of the dialer for the reason; under
// TLS, one of them may have seen it in the certificate of the other.
func (n *node) awaitRefused(w World, r transport.Reason, dialer *node) {
	n.t.Helper()
	s, ok := w.(SecureWorld)
	secure := ok && s.UnderTLS()
	eventually(n.t, func() bool {
		return n.Metrics().Refused[r] > 0 || secure && dialer.Metrics().Refused[transport.ReasonWrongCertificate] > 0
	})
}

func refused(t *testing.T, w World, r transport.Reason, server, dialer func(*transport.Config)) {
	t.Helper()
	b := start(t, w, 2, nil, server)
	a := start(t, w, 1, nil, dialer)
	a.SetPeer(2, b.Addr())
	b.awaitRefused(w, r, a)
	if err := a.vote(2); err != transport.ErrUnreachable {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
	if n := b.Metrics().CallsIn; n != 0 {
		t.Errorf("%d calls were served", n)
	}
	if server == nil { // the service is unharmed
		good := start(t, w, 3, nil, nil)
		good.SetPeer(2, b.Addr())
		good.await(2, true)
	}
}

func wrongCluster(t *testing.T, w World) {
	refused(t, w, transport.ReasonWrongCluster, nil, func(cfg *transport.Config) { cfg.Cluster = "another" })
}

// A node that reaches another than it means to is refused by both.
func wrongNode(t *testing.T, w World) {
	b := start(t, w, 2, nil, nil)
	a := start(t, w, 1, nil, nil)
	a.SetPeer(3, b.Addr())
	b.awaitRefused(w, transport.ReasonWrongNode, a)
	if err := a.vote(3); err != transport.ErrUnreachable {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
}

// Admit of either side refuses; its Rejected travels.
func notAdmitted(t *testing.T, w World) {
	refused(t, w, transport.ReasonNotAdmitted, func(cfg *transport.Config) {
		cfg.Admit = func(p transport.Peer) error {
			if h := p.Hello; h.Incarnation != 1 || h.Node != 1 || p.Dialed || p.RemoteAddr == "" {
				t.Errorf("peer is %+v, its hello %+v", p, h)
			}
			return &raftpb.Rejected{Code: raftpb.RejectCodeAmnesia, Reason: "wiped"}
		}
	}, nil)
}
