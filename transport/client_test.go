package transport_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

func dial(t testing.TB, addr string, cfg transport.ClientConfig) *transport.Client {
	t.Helper()
	c, err := transport.Dial(context.Background(), addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func codecNamed(t testing.TB, name string) codec.Codec {
	t.Helper()
	c, ok := codec.ByName(name)
	if !ok {
		t.Fatalf("no codec %s", name)
	}
	return c
}

// The generated client works over a Client, in both protocols, with names of both kinds,
// many calls at a time on one connection.
func TestClient(t *testing.T) {
	n := listen(t, 1, propose)
	for _, name := range []string{"thrift-compact", "thrift-binary"} {
		for _, qualify := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/qualified=%v", name, qualify), func(t *testing.T) {
				c := dial(t, n.Addr(), transport.ClientConfig{Codec: codecNamed(t, name), QualifyNames: qualify})
				var wg sync.WaitGroup
				for i := range 8 {
					wg.Go(func() { proposeMany(t, c, i) })
				}
				wg.Wait()
				var notLeader *raftpb.NotLeader
				err := c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 2}, new(raftpb.ProposeResponse))
				if !errors.As(err, &notLeader) || notLeader.Leader.Value != 3 {
					t.Errorf("declared exception: got %v", err)
				}
				var remote *transport.RemoteError
				err = c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 3}, new(raftpb.ProposeResponse))
				if !errors.As(err, &remote) || remote.Type != transport.RemoteInternal || remote.Message != "no such luck" {
					t.Errorf("undeclared error: got %v", err)
				}
			})
		}
	}
}

func proposeMany(t *testing.T, c *transport.Client, i int) {
	for k := range 50 {
		want := fmt.Sprint(i, "/", k)
		var resp raftpb.ProposeResponse
		err := c.Call(context.Background(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1, Command: []byte(want)}, &resp)
		if err != nil || string(resp.Result) != want {
			t.Errorf("got %v, %q, want %q", err, resp.Result, want)
			return
		}
	}
}

// A call whose ctx ends is not waited for; its late answer disturbs no other call.
func TestClientCallCancelled(t *testing.T) {
	calls := make(chan *transport.Call, 2)
	n := listen(t, 1, func(c *transport.Call) { calls <- c })
	c := dial(t, n.Addr(), transport.ClientConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var resp raftpb.ProposeResponse
	go func() {
		ended <- c.Call(ctx, raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1, Command: []byte("late")}, &resp)
	}()
	late := receive(t, calls)
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the ctx's error", err)
	}
	propose(late)
	go func() {
		ended <- c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1, Command: []byte("next")}, &resp)
	}()
	propose(receive(t, calls))
	if err := receive(t, ended); err != nil || string(resp.Result) != "next" {
		t.Errorf("next call: %v, %q", err, resp.Result)
	}
}

// Go never waits, and its window is bounded.
func TestClientGo(t *testing.T) {
	calls := make(chan *transport.Call, 4)
	n := listen(t, 1, func(c *transport.Call) { calls <- c })
	c := dial(t, n.Addr(), transport.ClientConfig{MaxInflight: 4})
	ended := make(chan string, 8)
	call := func() error {
		return c.Go(raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1, Command: []byte("x")}, func(resp codec.Message, err error) {
			if err != nil {
				ended <- err.Error()
				return
			}
			ended <- string(resp.(*raftpb.ProposeResponse).Result)
		})
	}
	for range 4 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if err := call(); !errors.Is(err, transport.ErrQueueFull) {
		t.Errorf("over the window: got %v", err)
	}
	for range 4 {
		propose(receive(t, calls))
		if got := receive(t, ended); got != "x" {
			t.Errorf("got %q", got)
		}
	}
}

// Whatever ends the connection ends its calls, each with an error that says what may have happened.
func TestClientConnectionEnds(t *testing.T) {
	t.Run("server closes", func(t *testing.T) {
		calls := make(chan *transport.Call, 1)
		n := listen(t, 1, func(c *transport.Call) { calls <- c })
		c := dial(t, n.Addr(), transport.ClientConfig{})
		ended := make(chan error, 1)
		go func() {
			ended <- c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{}, new(raftpb.ProposeResponse))
		}()
		receive(t, calls)
		n.Close()
		if err := receive(t, ended); !errors.Is(err, transport.ErrDisconnected) {
			t.Errorf("got %v, want ErrDisconnected", err)
		}
		err := c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{}, new(raftpb.ProposeResponse))
		if !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("afterwards: got %v, want ErrUnreachable", err)
		}
	})
	t.Run("client closes", func(t *testing.T) {
		calls := make(chan *transport.Call, 1)
		n := listen(t, 1, func(c *transport.Call) { calls <- c })
		c := dial(t, n.Addr(), transport.ClientConfig{})
		ended := make(chan error, 1)
		go func() {
			ended <- c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{}, new(raftpb.ProposeResponse))
		}()
		receive(t, calls)
		c.Close()
		if err := receive(t, ended); !errors.Is(err, transport.ErrDisconnected) {
			t.Errorf("got %v, want ErrDisconnected", err)
		}
		if err := c.Go(raftpb.RaftClientPropose, &raftpb.ProposeRequest{}, nil); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("afterwards: got %v, want ErrClosed", err)
		}
	})
}

// A client that shuts its sending half still gets the answers it waits for.
func TestHalfClosedClientIsAnswered(t *testing.T) {
	calls := make(chan *transport.Call, 1)
	n := listen(t, 1, func(c *transport.Call) { calls <- c })
	conn := rawDial(t, n.Addr())
	conn.send(proposeFrame(t, 5, "bye"))
	held := receive(t, calls)
	conn.closeWrite()
	propose(held)
	if f := conn.readFrame(); len(f) == 0 {
		t.Error("no answer")
	}
	conn.wantEOF()
}
