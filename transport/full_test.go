package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// What a connection costs that has not sent a whole frame: less than 64 KiB, whether it
// says nothing or has announced a large frame and sent the beginning.
func TestSilentConnectionsAreSmall(t *testing.T) {
	const conns, most = 200, 64 << 10
	m := transport.NewMemory(1)
	cfg := config(2, propose)
	cfg.Listen = "two"
	n, err := m.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	large, sent := proposeFrame(t, 1, strings.Repeat("x", 1<<20)), 0
	for name, b := range map[string][]byte{"nothing": nil, "part of a large frame": large[:16<<10]} {
		before := heapInUse()
		var open []net.Conn
		for range conns {
			c, err := m.Dial(context.Background(), "two")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			sent += len(b)
		}
		eventually(t, func() bool { return n.Metrics().ClientConns == conns && n.Metrics().BytesIn == uint64(sent) })
		after := heapInUse()
		if each := (int64(after) - int64(before)) / conns; each > most {
			t.Errorf("%s: %d bytes for each connection, want at most %d", name, each, most)
		}
		for _, c := range open {
			c.Close()
		}
		eventually(t, func() bool { return n.Metrics().ConnsIn == 0 })
	}
}

// Over MaxConns a bounded number of connections is given the time to handshake; one more
// is closed at once.
func TestConnectionsThatMayOnlyHandshakeAreBounded(t *testing.T) {
	const late = 256
	n := listen(t, 1, propose, func(c *transport.Config) { c.MaxConns = 1 })
	for range 1 + late {
		rawDial(t, n.Addr())
	}
	eventually(t, func() bool { return n.Metrics().ConnsIn == 1+late })
	over := rawDial(t, n.Addr())
	over.wantEOF()
	if m := n.Metrics(); m.Refused[transport.ReasonTooMany] != 1 || m.ConnsIn != 1+late {
		t.Errorf("%d refused, %d connections; want 1 and %d", m.Refused[transport.ReasonTooMany], m.ConnsIn, 1+late)
	}
}

// A client that asks and never reads is not served beyond MaxQueueBytes, and closed once
// nothing can be written to it for FrameTimeout.
func TestClientThatReadsNothingIsClosed(t *testing.T) {
	answer := handler(func(c *transport.Call) {
		c.Reply(&raftpb.ProposeResponse{Result: make([]byte, 60<<10)})
	})
	const queue = 200 << 10
	limit := func(c *transport.Config) { c.MaxFrame, c.MaxQueueBytes = 64<<10, queue }
	bubble(t, answer, limit, func(t *testing.T, m *transport.Memory, _, two transport.Network) {
		c := memoryClient(t, m)
		frame := proposeFrame(t, 1, "x")
		for range 100 {
			if _, err := c.Write(frame); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		// The queue, the frame that goes over it, the write under way, what the stream holds.
		if n := two.Metrics().CallsIn; n > (queue+64<<10+queue+512<<10)/(60<<10) {
			t.Errorf("%d calls of 60 KiB served through a queue of 200 KiB", n)
		}
		elapse(transport.DefaultFrameTimeout + time.Second)
		if got := two.Metrics().Refused[transport.ReasonSlowFrame]; got != 1 {
			t.Errorf("%d slow writes counted, want 1", got)
		}
	})
}

// The text of an error is cut before it travels.
func TestErrorTextIsCut(t *testing.T) {
	n := listen(t, 1, func(c *transport.Call) { c.Fail(errors.New(strings.Repeat("x", 10<<10))) })
	c := dial(t, n.Addr(), transport.ClientConfig{})
	var resp raftpb.ProposeResponse
	err := c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1}, &resp)
	var remote *transport.RemoteError
	if !errors.As(err, &remote) || len(remote.Message) != 4<<10 {
		t.Errorf("got %T of %d bytes, want a RemoteError of 4 KiB", err, len(err.Error()))
	}
}

// A node announces its own frame cap, and holds what it is sent to it: one byte more ends
// the connection before anything is allocated for it.
func TestFrameCapIsExact(t *testing.T) {
	const limit = 64 << 10
	n := listen(t, 1, propose, func(c *transport.Config) { c.MaxFrame = limit })
	overhead := len(proposeFrame(t, 1, strings.Repeat("x", 60<<10))) - 4 - 60<<10
	fits := rawDial(t, n.Addr())
	fits.send(proposeFrame(t, 1, strings.Repeat("x", limit-overhead)))
	fits.readFrame()
	over := rawDial(t, n.Addr())
	over.send(proposeFrame(t, 1, strings.Repeat("x", limit-overhead+1))[:6])
	_, _ = io.Copy(io.Discard, over)
	eventually(t, func() bool { return n.Metrics().Refused[transport.ReasonTooLong] == 1 })
}
