package transport_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// A configuration's faults are all reported, each with the name of its field.
func TestConfigFaults(t *testing.T) {
	compact := codecNamed(t, "thrift-compact")
	twice := &codec.Method{Service: "Other", Name: "Vote", ID: 3, NewArgs: raftpb.RaftPeerVote.NewArgs, NewRequest: raftpb.RaftPeerVote.NewRequest}
	taken := &codec.Method{Service: "Other", Name: "Handshake", NewArgs: raftpb.RaftPeerVote.NewArgs, NewRequest: raftpb.RaftPeerVote.NewRequest}
	_, err := transport.Listen(transport.Config{
		Node: -1, Peers: map[raftpb.NodeID]string{-2: "", 3: "x"}, Codecs: []codec.Codec{compact, compact},
		Methods: append(slices.Clone(raftpb.RaftPeerMethods), twice, taken), MaxFrame: 1, MaxInflight: -1, MaxConns: -1,
		MaxQueueBytes: -1, MaxClientBytes: -1, HandshakeTimeout: -1, DialTimeout: -1, BackoffMin: 5, BackoffMax: 4,
		FrameTimeout: -1, StallTimeout: -1, CloseTimeout: -1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"Cluster:", "Node:", "Listen:", "Handler:", "Peers: id -2", "Peers: address of -2", "Codecs:", "Methods: Other.Vote has id 3",
		"Methods: name Vote", "Methods: Other.Handshake", "MaxFrame:", "MaxInflight:", "MaxConns:", "MaxQueueBytes:",
		"MaxClientBytes:", "HandshakeTimeout:", "DialTimeout:", "BackoffMax:", "FrameTimeout:", "StallTimeout:", "CloseTimeout:",
	} {
		if !strings.Contains(err.Error(), "transport: config: "+field) {
			t.Errorf("no fault of %s in:\n%v", field, err)
		}
	}
	if _, err := transport.NewMemory(1).Listen(transport.Config{}); err == nil {
		t.Error("Memory accepted nothing at all")
	}
	if _, err := transport.Dial(t.Context(), "x", transport.ClientConfig{Codec: codecNamed(t, "msgpack")}); err == nil {
		t.Error("a client accepted msgpack")
	}
	if _, err := transport.Dial(t.Context(), "x", transport.ClientConfig{MaxFrame: 1}); err == nil {
		t.Error("a client accepted a frame of one byte")
	}
}

// A port in use is an error of Listen, which leaves nothing behind.
func TestPortInUse(t *testing.T) {
	n := listen(t, 1, propose)
	cfg := config(2, propose)
	cfg.Listen = n.Addr()
	if _, err := transport.Listen(cfg); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

// When clients have taken all connections, one more is closed, but a peer gets in.
func TestConnectionsOverTheLimit(t *testing.T) {
	n := listen(t, 1, propose, func(c *transport.Config) { c.MaxConns = 2 })
	for range 2 {
		dial(t, n.Addr(), transport.ClientConfig{})
	}
	eventually(t, func() bool { return n.Metrics().ClientConns == 2 })
	over := rawDial(t, n.Addr())
	over.send(proposeFrame(t, 1, "x"))
	over.wantEOF()
	eventually(t, func() bool { return n.Metrics().Refused[transport.ReasonTooMany] == 1 })
	peer := rawDial(t, n.Addr())
	peer.send(helloFrame(nil))
	peer.readFrame()
	peer.send(voteFrame(5))
	if f := peer.readFrame(); f[1] != 0x15 { // propose answers a vote with an error
		t.Errorf("answer is % x", f)
	}
	if m := n.Metrics(); m.ConnsIn != 3 || m.ClientConns != 2 {
		t.Errorf("%d connections, %d of clients; want 3 and 2", m.ConnsIn, m.ClientConns)
	}
}

// What clients hold in unanswered calls is bounded over all of them: beyond it a call, small
// or large, is answered with busy and the connection stays in step.
func TestClientsMemoryIsBounded(t *testing.T) {
	held := make(chan *transport.Call, 10)
	n := listen(t, 1, func(c *transport.Call) { held <- c }, func(c *transport.Config) {
		c.MaxFrame, c.MaxClientBytes = 200<<10, 200<<10
	})
	clients := [2]*transport.Client{dial(t, n.Addr(), transport.ClientConfig{}), dial(t, n.Addr(), transport.ClientConfig{})}
	ended := make(chan error, 10)
	call := func(i, size int) {
		req := &raftpb.ProposeRequest{Group: 1, Command: make([]byte, size)}
		if err := clients[i].Go(raftpb.RaftClientPropose, req, func(_ codec.Message, err error) { ended <- err }); err != nil {
			t.Fatal(err)
		}
	}
	call(0, 190<<10)
	first := receive(t, held)
	for _, size := range []int{11 << 10, 100 << 10, 150 << 10, 12 << 10} {
		call(1, size)
		var busy *transport.RemoteError
		if err := receive(t, ended); !errors.As(err, &busy) || busy.Type != transport.RemoteBusy {
			t.Fatalf("%d bytes: got %v, want busy", size, err)
		}
	}
	call(1, 100) // fits
	propose(receive(t, held))
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
	propose(first)
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
	call(1, 150<<10) // fits again
	propose(receive(t, held))
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
	if got := n.Metrics().Refused[transport.ReasonBusy]; got != 4 {
		t.Errorf("%d refusals counted, want 4", got)
	}
}

// The header of a huge frame makes nobody allocate: memory follows the bytes that arrive.
func TestMemoryFollowsTheBytes(t *testing.T) {
	n := listen(t, 1, propose)
	frame := proposeFrame(t, 1, string(make([]byte, 15<<20)))
	var conns []*rawConn
	for range 50 {
		c := rawDial(t, n.Addr())
		c.send(frame[:40<<10]) // 15 MiB announced, 40 KiB sent
		conns = append(conns, c)
	}
	eventually(t, func() bool { return n.Metrics().BytesIn >= 50*40<<10 })
	// 50 x 15 MiB are over MaxClientBytes (256 MiB), so some frames are skipped; the others
	// hold 64 KiB each.
	if got := heapInUse(); got > 200<<20 {
		t.Errorf("%d MiB of heap after 2 MiB of bytes", got>>20)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, func() bool { return n.Metrics().ConnsIn == 0 })
	c := rawDial(t, n.Addr())
	c.send(frame)
	if f := c.readFrame(); len(f) < 15<<20 {
		t.Errorf("answer of %d bytes", len(f))
	}
}

// Answering twice is counted and changes nothing.
func TestSecondAnswerIsCounted(t *testing.T) {
	n := listen(t, 1, func(c *transport.Call) {
		propose(c)
		c.Fail(io.ErrUnexpectedEOF)
		c.Reply(&raftpb.ProposeResponse{Index: 99})
	})
	c := dial(t, n.Addr(), transport.ClientConfig{})
	for range 3 {
		var resp raftpb.ProposeResponse
		if err := c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1}, &resp); err != nil || resp.Index != 42 {
			t.Fatalf("got %v, %+v", err, resp)
		}
	}
	if got := n.Metrics().DoubleReplies; got < 4 {
		t.Errorf("%d second answers counted", got)
	}
}
