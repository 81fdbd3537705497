package transport_test

import (
	"context"
	"io"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// FuzzConnection sends arbitrary bytes to a node, with or without a good handshake before
// them: the node answers or closes, and goes on serving.
func FuzzConnection(f *testing.F) {
	f.Add(proposeFrame(f, 1, "x"), false)
	f.Add(append(voteFrame(1), proposeFrame(f, 0, "y")...), true)
	f.Add(nativeFrame(1, codec.IDMsgpack, raftpb.RaftPeerAppend.ID, 1, 9, appendBatch(2, 5).AppendMsgpack(nil)), true)
	f.Add(helloFrame(func(h *raftpb.Hello) { h.Version = 3 }), false)
	m := transport.NewMemory(1)
	cfg := config(1, func(c *transport.Call) { c.Fail(&raftpb.NoSuchGroup{Group: 7}) })
	cfg.Listen = "node"
	n, err := m.Listen(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { n.Close() })
	f.Fuzz(func(t *testing.T, b []byte, hello bool) {
		if err := exchange(m, b, hello); err != nil {
			t.Fatal(err)
		}
		if m := n.Metrics(); m.DoubleReplies != 0 {
			t.Fatalf("metrics: %+v", m)
		}
		var resp raftpb.ProposeResponse
		c, err := transport.Dial(context.Background(), "node", transport.ClientConfig{Dial: m.Dial})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, ok := c.Call(context.Background(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{}, &resp).(*raftpb.NoSuchGroup); !ok {
			t.Fatal("the node serves no more")
		}
	})
}

// exchange sends b on a connection of its own and reads until the node closes.
func exchange(m *transport.Memory, b []byte, hello bool) error {
	c, err := m.Dial(context.Background(), "node")
	if err != nil {
		return err
	}
	defer c.Close()
	if hello {
		b = append(helloFrame(nil), b...)
	}
	_, _ = c.Write(b) // the node may close before it has all
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	_, _ = io.Copy(io.Discard, c) // its end may be a reset
	return nil
}
