package engine_test

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// count reads how many lines a node has.
func (c *cluster) count(ctx context.Context, id engine.NodeID, mode engine.Consistency, b engine.ReadBound) (n int, err error) {
	err = c.group(id).ReadWithin(ctx, mode, b, func() error { n = len(c.ledgers[id].lines); return nil })
	return n, err
}

// A leader that is cut off goes on serving reads by its lease, without a word to anyone, and
// stops before another can lead: from the moment at which a new leader has acknowledged a
// write, the old one serves none that lacks it.
func TestALeaseEndsBeforeAnotherLeads(t *testing.T) {
	w, adjust := world()
	c := newCluster(t, 3, func(cfg *engine.Config) {
		adjust(cfg)
		cfg.ElectionTimeout, cfg.ClockBound = time.Second, 20*time.Millisecond
	})
	served := 0
	for round := range 3 {
		old := c.leader()
		before := len(c.lines(old))
		c.eventually("a lease", func() bool {
			n, err := c.count(t.Context(), old, engine.Lease, engine.ReadBound{})
			return err == nil && n == before
		})
		heal := isolate(w, old, 3)
		acknowledged := make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() {
			defer close(acknowledged)
			next := old%3 + 1
			for {
				for _, id := range []engine.NodeID{next, next%3 + 1} {
					if id == old {
						continue
					}
					if _, err := c.group(id).Propose(t.Context(), []byte("by the new leader")); err == nil {
						return
					}
				}
				if t.Context().Err() != nil {
					return
				}
				goruntime.Gosched()
			}
		})
		for late := false; !late; {
			select {
			case <-acknowledged:
				late = true
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			n, err := c.count(ctx, old, engine.Lease, engine.ReadBound{})
			cancel()
			switch {
			case err == nil && late:
				t.Fatalf("round %d: a read of %d lines after another leader's write", round, n)
			case err == nil:
				served++
			}
		}
		writer.Wait()
		heal()
	}
	if served == 0 {
		t.Error("no read was served by lease")
	}
}

// The place of a write makes a read of any member see it, in the library and over the
// wire. A place that is not reached makes the read wait, as long as the caller does.
func TestReadYourWritesOnAnyMember(t *testing.T) {
	c := newCluster(t, 3, nil)
	for i := range 50 {
		r := c.propose(fmt.Sprint(i))
		for id := range c.hosts {
			n, err := c.count(t.Context(), id, engine.Stale, engine.ReadBound{MinIndex: r.Index})
			if err != nil || n <= i {
				t.Fatalf("node %d, after write %d: %d lines, %v", id, i, n, err)
			}
			req := &raftpb.ReadRequest{Group: groupID, Query: []byte("count"), Consistency: raftpb.ConsistencyStale, MinIndex: codec.Some(r.Index)}
			var resp raftpb.ReadResponse
			if i%10 > 0 {
				continue
			}
			if err := caller(t, c.addrs[id]).Call(t.Context(), raftpb.RaftClientRead, req, &resp); err != nil || resp.Index < r.Index {
				t.Fatalf("node %d over the wire: %+v, %v; want index %d or more", id, resp, err, r.Index)
			}
		}
	}
	leader := c.leader()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.count(ctx, leader, engine.Linearizable, engine.ReadBound{MinIndex: 1 << 40})
		ended <- err
	}()
	c.propose("not enough")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a read of what is to come: %v, want the context's error", err)
	}
	var resp raftpb.ReadResponse
	future := &raftpb.ReadRequest{Group: groupID, Query: []byte("count"), Consistency: raftpb.ConsistencyStale, MinIndex: codec.Some(engine.Index(1 << 40)), TimeoutMs: 10}
	var unavailable *raftpb.Unavailable
	if err := caller(t, c.addrs[leader]).Call(t.Context(), raftpb.RaftClientRead, future, &resp); !errors.As(err, &unavailable) {
		t.Errorf("over the wire: %v, want Unavailable", err)
	}
	g := c.group(leader)
	go func() {
		ended <- g.ReadWithin(t.Context(), engine.Stale, engine.ReadBound{MinIndex: 1 << 40}, func() error { return nil })
	}()
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a read that waits when the group stops: %v, want ErrClosed", err)
	}
}

// A stale read with a bound misses nothing older than that, whatever this member has heard:
// cut off from the others it refuses, where one without a bound serves what there is.
func TestAStaleReadMissesNothingOlderThanItsBound(t *testing.T) {
	w, adjust := world()
	c := newCluster(t, 3, adjust)
	c.propose("one")
	follower := c.leader()%3 + 1
	c.eventually("a bounded read", func() bool {
		n, err := c.count(t.Context(), follower, engine.Stale, engine.ReadBound{MaxAge: time.Hour})
		return err == nil && n == 1
	})
	heal := isolate(w, follower, 3)
	c.eventually("another line, which the follower does not get", func() bool {
		for id := range c.hosts {
			if id != follower {
				if _, err := c.group(id).Propose(t.Context(), []byte("two")); err == nil {
					return true
				}
			}
		}
		return false
	})
	if n, err := c.count(t.Context(), follower, engine.Stale, engine.ReadBound{MaxAge: time.Hour}); err != nil || n != 1 {
		t.Errorf("within the bound: %d lines, %v; want the one it has", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if n, err := c.count(ctx, follower, engine.Stale, engine.ReadBound{MaxAge: time.Nanosecond}); err == nil {
		t.Errorf("over the bound: %d lines were served", n)
	}
	if n, err := c.count(t.Context(), follower, engine.Stale, engine.ReadBound{}); err != nil || n != 1 {
		t.Errorf("without a bound: %d lines, %v", n, err)
	}
	heal()
	c.eventually("a fresh read", func() bool {
		n, err := c.count(t.Context(), follower, engine.Stale, engine.ReadBound{MaxAge: time.Nanosecond})
		return err == nil && n >= 2
	})
	client := memoryCaller(t, w, c.addrs[follower])
	c.eventually("a fresh read over the wire", func() bool {
		req := &raftpb.ReadRequest{Group: groupID, Query: []byte("count"), Consistency: raftpb.ConsistencyStale, MaxStaleMs: codec.Some(int64(0))}
		var resp raftpb.ReadResponse
		err := client.Call(t.Context(), raftpb.RaftClientRead, req, &resp)
		return err == nil && string(resp.Result) >= "2"
	})
	bad := &raftpb.ReadRequest{Group: groupID, MaxStaleMs: codec.Some(int64(-1))}
	wantRejected(t, client.Call(t.Context(), raftpb.RaftClientRead, bad, &raftpb.ReadResponse{}), raftpb.RejectCodeBadArgument)
}

// Reads on the callers' goroutines run beside each other, never beside an Apply: under the
// race detector this finds what is not kept apart.
func TestReadsNeverRunBesideApply(t *testing.T) {
	c := newCluster(t, 1, func(cfg *engine.Config) { cfg.ElectionTimeout, cfg.ClockBound = time.Second, time.Millisecond })
	c.leader()
	var clients sync.WaitGroup
	for _, mode := range []engine.Consistency{engine.Stale, engine.Lease, engine.Linearizable, engine.Follower} {
		clients.Go(func() {
			for range 300 {
				if _, err := c.count(t.Context(), 1, mode, engine.ReadBound{}); err != nil {
					t.Errorf("consistency %d: %v", mode, err)
				}
			}
		})
	}
	for i := range 300 {
		c.propose(fmt.Sprint(i))
	}
	clients.Wait()
	if n, err := c.count(t.Context(), 1, engine.Lease, engine.ReadBound{}); err != nil || n != 300 {
		t.Errorf("%d lines, %v", n, err)
	}
	if !slices.Equal(c.lines(1)[:2], []string{"0", "1"}) {
		t.Error("the lines are not those that were proposed")
	}
}
