package transport_test

import (
	"testing"
	"testing/synctest"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// A control call that is queued behind many appends arrives before those that had not left
// yet; each lane keeps its own order.
func TestControlOvertakesAppends(t *testing.T) {
	const appends = 60
	came := make(chan raftpb.Index, appends+1)
	record := handler(func(c *transport.Call) {
		if r, ok := c.Request.(*raftpb.AppendRequest); ok {
			came <- r.PrevIndex
			appendOK(c)
			return
		}
		came <- 0
		grantVote(c)
	})
	bubble(t, record, nil, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		m.Cut(1, 2) // the stream fills up, and then the queue
		req := appendBatch(800, 128)
		for i := range appends {
			req.PrevIndex = raftpb.Index(i + 1)
			if err := one.Call(2, transport.LaneAppend, raftpb.RaftPeerAppend, req, nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := one.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, nil); err != nil {
			t.Fatal(err)
		}
		m.Heal(1, 2)
		synctest.Wait()
		before, next := 0, raftpb.Index(1)
		for range appends + 1 {
			index := <-came
			if index == 0 {
				before = int(next) - 1
				continue
			}
			if index != next {
				t.Fatalf("append %d came where %d was due", index, next)
			}
			next++
		}
		// What fits the stream and one write had left: about 0.25 and 0.5 MB of 100 KB each.
		if before > 12 {
			t.Errorf("the control call came after %d of %d appends", before, appends)
		}
	})
}

// Snapshots and bulk have a connection of their own, made when it is first needed; a stream
// that is full of them does not touch the other lanes.
func TestSnapshotsHaveTheirOwnConnection(t *testing.T) {
	never := handler(func(c *transport.Call) {
		if c.Lane < transport.LaneSnapshot {
			grantVote(c)
		}
	})
	bubble(t, never, nil, func(t *testing.T, _ *transport.Memory, one, two transport.Network) {
		before := two.Metrics().ConnsIn
		chunk := &raftpb.SnapshotChunk{Data: make([]byte, 1<<20)}
		send := func() error {
			return one.Call(2, transport.LaneSnapshot, raftpb.RaftPeerInstallSnapshot, chunk, func(codec.Message, error) {})
		}
		if err := send(); err != transport.ErrUnreachable {
			t.Fatalf("first call: got %v, want ErrUnreachable while it connects", err)
		}
		synctest.Wait()
		for range 20 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		if got := two.Metrics().ConnsIn - before; got != 1 {
			t.Errorf("%d connections more, want 1", got)
		}
		if took, err := askVote(t, one, 2); err != nil || took != 0 {
			t.Errorf("a vote beside snapshots: %v, %v", took, err)
		}
	})
}

// PeerState tells connects and disconnects, in order, also of a peer that is removed and
// added again at once.
func TestPeerState(t *testing.T) {
	type state struct {
		id        raftpb.NodeID
		connected bool
	}
	states := make(chan state, 100)
	watch := func(c *transport.Config) {
		if c.Node == 1 {
			c.PeerState = func(id raftpb.NodeID, connected bool) { states <- state{id, connected} }
		}
	}
	bubble(t, grantVote, watch, func(t *testing.T, m *transport.Memory, one, _ transport.Network) {
		expect := func(want ...bool) {
			t.Helper()
			elapse(transport.DefaultBackoffMax)
			synctest.Wait()
			for _, connected := range want {
				if got := <-states; got != (state{2, connected}) {
					t.Errorf("got %+v, want connected = %v", got, connected)
				}
			}
			if len(states) != 0 {
				t.Errorf("%d more states", len(states))
			}
		}
		expect(true)
		m.Break(1, 2)
		expect(false, true)
		one.RemovePeer(2)
		expect(false)
		one.SetPeer(2, "two")
		expect(true)
		for range 10 {
			one.RemovePeer(2)
			one.SetPeer(2, "two")
		}
		elapse(transport.DefaultBackoffMax)
		synctest.Wait()
		last := false
		for len(states) > 0 {
			last = (<-states).connected
		}
		if !last {
			t.Error("the last state is not connected")
		}
	})
}
