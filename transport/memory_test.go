package transport_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// bubble runs a story of nodes 1 and 2 in virtual time. Both know each other and are
// connected when it begins.
func bubble(t *testing.T, serve handler, change func(*transport.Config), story func(t *testing.T, m *transport.Memory, one, two transport.Network)) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory(7)
		var nets []transport.Network
		for id := raftpb.NodeID(1); id <= 2; id++ {
			cfg := config(id, serve)
			cfg.BackoffMin, cfg.BackoffMax = 0, 0
			cfg.Listen = map[raftpb.NodeID]string{1: "one", 2: "two"}[id]
			cfg.Peers = map[raftpb.NodeID]string{1: "one", 2: "two"}
			if change != nil {
				change(&cfg)
			}
			n, err := m.Listen(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			nets = append(nets, n)
		}
		elapse(transport.DefaultBackoffMax) // virtual: node 1 was there before node 2
		story(t, m, nets[0], nets[1])
	})
}

// elapse lets virtual time go by. It is for bubbles only.
func elapse(d time.Duration) { <-time.NewTimer(d).C }

func grantVote(c *transport.Call) {
	if r, ok := c.Request.(*raftpb.VoteRequest); ok {
		c.Reply(&raftpb.VoteResponse{Group: r.Group, Granted: true})
	}
}

// askVote makes a call and returns how it ended and how long that took.
func askVote(t *testing.T, n transport.Network, to raftpb.NodeID) (time.Duration, error) {
	t.Helper()
	ended := make(chan error, 2)
	start := time.Now()
	err := n.Call(to, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{Group: 1}, func(_ codec.Message, err error) { ended <- err })
	if err != nil {
		return 0, err
	}
	err = <-ended
	return time.Since(start), err
}

// Each direction has its own delay; a call pays both.
func TestMemoryDelay(t *testing.T) {
	bubble(t, grantVote, nil, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		m.Delay(1, 2, 30*time.Millisecond, 0)
		m.Delay(2, 1, 12*time.Millisecond, 0)
		if took, err := askVote(t, one, 2); err != nil || took != 42*time.Millisecond {
			t.Errorf("took %v, %v; want 42ms", took, err)
		}
		m.Delay(1, 2, 0, 10*time.Millisecond)
		if took, err := askVote(t, one, 2); err != nil || took < 12*time.Millisecond || took >= 22*time.Millisecond {
			t.Errorf("with jitter: took %v, %v", took, err)
		}
	})
}

// What a cut holds is delivered when it heals in time.
func TestMemoryCutHealed(t *testing.T) {
	bubble(t, grantVote, nil, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		m.Cut(2, 1)
		time.AfterFunc(5*time.Second, func() { m.Heal(2, 1) })
		if took, err := askVote(t, one, 2); err != nil || took != 5*time.Second {
			t.Errorf("took %v, %v; want 5s", took, err)
		}
	})
}

// A connection over which nothing arrives although answers are due is taken for dead, and
// made again once that is possible.
func TestHalfOpenConnectionIsGivenUp(t *testing.T) {
	bubble(t, grantVote, nil, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		m.Cut(1, 2)
		took, err := askVote(t, one, 2)
		if err != transport.ErrDisconnected || took < transport.DefaultStallTimeout || took > transport.DefaultStallTimeout+time.Second {
			t.Errorf("ended after %v with %v", took, err)
		}
		if n := one.Metrics().Refused[transport.ReasonStalled]; n != 1 {
			t.Errorf("%d stalled connections counted, want 1", n)
		}
		elapse(time.Minute)
		if _, err := askVote(t, one, 2); err != transport.ErrUnreachable {
			t.Errorf("while cut: got %v", err)
		}
		m.Heal(1, 2)
		elapse(transport.DefaultBackoffMax)
		if took, err := askVote(t, one, 2); err != nil || took != 0 {
			t.Errorf("healed: took %v, %v", took, err)
		}
	})
}

// A peer that falls silent while answers are due is not reachable, from the time of its last
// byte on, long before the connection is given up; until then, and when it is dialed in vain,
// the time stays. A byte from it ends that.
func TestSilentPeerIsNotReachable(t *testing.T) {
	const probe = 2 * time.Second
	adjust := func(c *transport.Config) { c.ProbeAfter = probe }
	bubble(t, grantVote, adjust, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		state := func() transport.PeerMetrics { return one.Metrics().Peers[2] }
		ask := func() {
			if err := one.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, func(codec.Message, error) {}); err != nil {
				t.Fatal(err)
			}
		}
		if s := state(); !s.Reachable || s.Since.After(time.Now()) || s.Since.IsZero() {
			t.Fatalf("at first: %+v", s)
		}
		up := state().Since
		m.Cut(2, 1)
		elapse(time.Hour)
		if s := state(); !s.Reachable || s.Since != up {
			t.Errorf("nothing is due: %+v", s)
		}
		began := time.Now()
		ask()
		elapse(probe)
		if s := state(); !s.Reachable {
			t.Errorf("before it was asked for a sign of life: %+v", s)
		}
		elapse(probe + time.Second)
		lost := state()
		if d := lost.Since.Sub(began); lost.Reachable || d < 0 || d > time.Second {
			t.Errorf("silent: %+v, which is %v after the call", lost, d)
		}
		elapse(time.Minute) // the connection is given up, and dialed in vain
		if s := state(); s != lost {
			t.Errorf("given up: %+v, want %+v as before", s, lost)
		}
		m.Heal(2, 1)
		elapse(transport.DefaultDialTimeout + transport.DefaultBackoffMax)
		if s := state(); !s.Reachable || !s.Since.After(lost.Since) {
			t.Errorf("connected again: %+v", s)
		}

		m.Cut(2, 1)
		ask()
		elapse(3 * probe)
		if s := state(); s.Reachable {
			t.Errorf("silent again: %+v", s)
		}
		m.Heal(2, 1) // what was held arrives
		elapse(time.Second)
		if s := state(); !s.Reachable {
			t.Errorf("it speaks again: %+v", s)
		}
		one.RemovePeer(2)
		if s, there := one.Metrics().Peers[2]; there {
			t.Errorf("removed: %+v", s)
		}
	})
}

// A handler that takes its time is no stall: the other side's transport answers for it.
func TestSlowHandlerIsNoStall(t *testing.T) {
	held := make(chan *transport.Call, 1)
	hold := handler(func(c *transport.Call) { held <- c })
	bubble(t, hold, nil, func(t *testing.T, _ *transport.Memory, one, _ transport.Network) {
		time.AfterFunc(time.Hour, func() { grantVote(<-held) })
		if took, err := askVote(t, one, 2); err != nil || took != time.Hour {
			t.Errorf("ended after %v with %v", took, err)
		}
		if n := one.Metrics().FramesOut; n > 2*3600/5 {
			t.Errorf("%d frames in an hour of waiting", n)
		}
	})
}

// A connection without calls is not given up, however long nothing arrives.
func TestIdleConnectionStays(t *testing.T) {
	bubble(t, grantVote, nil, func(t *testing.T, _ *transport.Memory, one, _ transport.Network) {
		elapse(time.Hour)
		if _, err := askVote(t, one, 2); err != nil {
			t.Error(err)
		}
		if n := one.Metrics().Dials; n > 2 {
			t.Errorf("%d dials in an idle hour", n)
		}
	})
}

// A dropped write takes the connection with it; the call ends as ambiguous.
func TestMemoryDropAndBreak(t *testing.T) {
	bubble(t, grantVote, nil, func(t *testing.T, m *transport.Memory, one, two transport.Network) {
		m.Drop(1, 2, 1)
		if _, err := askVote(t, one, 2); err != transport.ErrDisconnected {
			t.Errorf("dropped: got %v", err)
		}
		m.Drop(1, 2, 0)
		elapse(transport.DefaultBackoffMax)
		if _, err := askVote(t, one, 2); err != nil {
			t.Errorf("after the loss: %v", err)
		}
		dials := one.Metrics().Dials + two.Metrics().Dials
		m.Break(1, 2)
		elapse(transport.DefaultBackoffMax)
		if _, err := askVote(t, one, 2); err != nil {
			t.Errorf("after Break: %v", err)
		}
		if n := one.Metrics().Dials + two.Metrics().Dials - dials; n != 2 {
			t.Errorf("%d dials after Break, want one each way", n)
		}
	})
}

// The pauses between attempts double up to the bound: a peer that is away for long costs
// little, one that returns is called within the bound, and at once if it calls first.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory(1)
		cfg := config(1, grantVote)
		cfg.BackoffMin, cfg.BackoffMax = 100*time.Millisecond, 10*time.Second
		cfg.Listen, cfg.Peers = "one", map[raftpb.NodeID]string{2: "two"}
		one, err := m.Listen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close()
		elapse(time.Hour)
		if n := one.Metrics().Dials; n < 360 || n > 740 {
			t.Errorf("%d dials in an hour with a bound of 10s", n)
		}
		cfg.Node, cfg.Listen, cfg.Peers = 2, "two", map[raftpb.NodeID]string{1: "one"}
		two, err := m.Listen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		synctest.Wait()
		if took, err := askVote(t, one, 2); err != nil || took != 0 {
			t.Errorf("a peer that returned: took %v, %v", took, err)
		}
	})
}

// An attempt to dial ends after DialTimeout, and Close does not wait for it.
func TestDialTimeout(t *testing.T) {
	bubble(t, grantVote, func(c *transport.Config) { c.DialTimeout = time.Second }, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		m.Cut(1, 2)
		m.Break(1, 2)
		elapse(time.Minute)
		before := one.Metrics().DialsFailed
		elapse(time.Minute)
		if n := one.Metrics().DialsFailed - before; n < 19 || n > 31 {
			t.Errorf("%d attempts failed in a minute; each takes 1s and a pause of 1s to 2s", n)
		}
	})
}

// memoryClient is a raw stream to node 2.
func memoryClient(t *testing.T, m *transport.Memory) net.Conn {
	t.Helper()
	c, err := m.Dial(context.Background(), "two")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// closedAfter returns how long it takes until the other side closes, reading what it sends.
func closedAfter(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

// dripBytes writes b byte by byte with a pause after each, until the connection ends.
func dripBytes(c net.Conn, b []byte, pause time.Duration) chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range b {
			if _, err := c.Write(b[i : i+1]); err != nil {
				return
			}
			elapse(pause)
		}
	}()
	return done
}

// A connection that says nothing, or not a whole frame, is closed at the handshake's
// deadline, however slowly it drips.
func TestSilentConnectionIsClosed(t *testing.T) {
	bubble(t, grantVote, nil, func(t *testing.T, m *transport.Memory, _, two transport.Network) {
		if took := closedAfter(t, memoryClient(t, m)); took != transport.DefaultHandshakeTimeout {
			t.Errorf("silent: closed after %v", took)
		}
		drip := memoryClient(t, m)
		dripped := dripBytes(drip, proposeFrame(t, 1, "a long command that takes its time to arrive"), time.Second)
		if took := closedAfter(t, drip); took != transport.DefaultHandshakeTimeout {
			t.Errorf("dripping: closed after %v", took)
		}
		<-dripped
		if n := two.Metrics().Refused[transport.ReasonTimeout]; n != 2 {
			t.Errorf("%d timeouts counted, want 2", n)
		}
	})
}

// A client that has sent one good frame may be idle for ever, but not inside a frame.
func TestSlowFrameIsRefused(t *testing.T) {
	answer := handler(func(c *transport.Call) { propose(c) })
	bubble(t, answer, nil, func(t *testing.T, m *transport.Memory, _, two transport.Network) {
		c := memoryClient(t, m)
		frame := proposeFrame(t, 1, "x")
		if _, err := c.Write(frame); err != nil {
			t.Fatal(err)
		}
		elapse(time.Hour)
		dripped := dripBytes(c, frame[:len(frame)-1], 5*time.Second)
		took := closedAfter(t, c)
		<-dripped
		if took < transport.DefaultFrameTimeout || took > transport.DefaultFrameTimeout+time.Second {
			t.Errorf("closed after %v", took)
		}
		if n := two.Metrics().Refused[transport.ReasonSlowFrame]; n != 1 {
			t.Errorf("%d slow frames counted, want 1", n)
		}
	})
}

// A client over its window is not read until answers have left, and is never closed for it.
func TestClientWindowHoldsBackTheReader(t *testing.T) {
	held := make(chan *transport.Call, 10)
	hold := handler(func(c *transport.Call) { held <- c })
	bubble(t, hold, func(c *transport.Config) { c.MaxInflight = 3 }, func(t *testing.T, m *transport.Memory, _, two transport.Network) {
		c := memoryClient(t, m)
		for i := range 5 {
			if _, err := c.Write(proposeFrame(t, uint32(i+1), "x")); err != nil {
				t.Fatal(err)
			}
		}
		elapse(time.Hour)
		if len(held) != 3 || two.Metrics().CallsNow != 3 {
			t.Fatalf("%d calls came through a window of 3", len(held))
		}
		propose(<-held)
		synctest.Wait()
		if len(held) != 3 {
			t.Fatalf("%d calls are held after one answer, want 3", len(held))
		}
		for range 4 {
			propose(<-held)
		}
	})
}

// A peer over its window is told so, and its other calls go on.
func TestPeerOverItsWindowIsBusy(t *testing.T) {
	held := make(chan *transport.Call, 10)
	hold := handler(func(c *transport.Call) { held <- c })
	window := func(c *transport.Config) {
		if c.MaxInflight = 100; c.Node == 2 {
			c.MaxInflight = 3
		}
	}
	bubble(t, hold, window, func(t *testing.T, _ *transport.Memory, one, _ transport.Network) {
		ends := make(chan error, 10)
		for range 5 {
			if err := one.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, func(_ codec.Message, err error) { ends <- err }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(held) != 3 || len(ends) != 2 {
			t.Fatalf("%d calls served, %d refused; want 3 and 2", len(held), len(ends))
		}
		for range 2 {
			var remote *transport.RemoteError
			if err := <-ends; !errors.As(err, &remote) || remote.Type != transport.RemoteBusy {
				t.Errorf("got %v, want busy", err)
			}
		}
		for range 3 {
			grantVote(<-held)
		}
		synctest.Wait()
		if len(ends) != 3 {
			t.Errorf("%d ends of the 3 calls served", len(ends))
		}
	})
}

// Close gives up after CloseTimeout on a peer that takes nothing.
func TestCloseIsBounded(t *testing.T) {
	bubble(t, grantVote, nil, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		m.Cut(1, 2)
		ends := 0
		for range 40 {
			err := one.Call(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendBatch(100, 128), func(_ codec.Message, err error) {
				if err == transport.ErrDisconnected || err == transport.ErrUnreachable {
					ends++
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < transport.DefaultCloseTimeout || took > transport.DefaultCloseTimeout+10*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
		if ends != 40 {
			t.Errorf("%d calls of 40 ended", ends)
		}
	})
}

// A full queue refuses calls and says so; nothing of them is sent.
func TestQueueFull(t *testing.T) {
	limit := func(c *transport.Config) { c.MaxFrame, c.MaxQueueBytes = 64<<10, 200<<10 }
	bubble(t, appendOK, limit, func(t *testing.T, m *transport.Memory, one, two transport.Network) {
		m.Cut(1, 2)
		accepted, refused := 0, 0
		for range 100 {
			switch err := one.Call(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendBatch(100, 128), nil); err {
			case nil:
				accepted++
			case transport.ErrQueueFull:
				refused++
			default:
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if queued := one.Metrics().QueueBytes[2]; refused == 0 || queued > 200<<10 {
			t.Fatalf("%d accepted, %d refused, %d bytes queued", accepted, refused, queued)
		}
		m.Heal(1, 2)
		synctest.Wait()
		if n := two.Metrics().CallsIn; int(n) != accepted {
			t.Errorf("%d calls arrived, %d were accepted", n, accepted)
		}
	})
}

// Addresses are held by one network at a time.
func TestMemoryAddressInUse(t *testing.T) {
	m := transport.NewMemory(1)
	cfg := config(1, grantVote)
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Listen = "here"
	n, err := m.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Listen(cfg); err == nil {
		t.Error("the address was given out twice")
	}
	n.Close()
	again, err := m.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// Connections break at any moment, also while they are being made.
func TestMemoryBreakWhileDialing(t *testing.T) {
	m := transport.NewMemory(1)
	n, err := m.Listen(transport.Config{Cluster: "c", Node: 1, Listen: "one:1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var dialing sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		dialing.Go(func() {
			for range 500 {
				if c, err := m.Dial(t.Context(), "one:1"); err == nil {
					c.Close()
				}
			}
		})
	}
	go func() { dialing.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
			m.Break(0, 1)
		}
	}
}
