package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// counting is a client that appends a byte to a key of its own again and again, and notes what the store told it.
type counting struct {
	t       *testing.T
	k       *cluster.Client
	key     []byte
	acked   int // appends that were acknowledged
	unknown int // appends that may have happened
}

func newCounting(t *testing.T, nodes []*processNode, key string) *counting {
	t.Helper()
	k, err := cluster.New(strings.Split(endpoints(nodes), ","), transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return &counting{t: t, k: k, key: []byte(key)}
}

// append reports whether it was acknowledged.
func (c *counting) append(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req := &kvpb.AppendRequest{Group: kvpb.DefaultGroup, Key: c.key, Value: []byte("."), TimeoutMs: 2000}
	err := c.k.Call(ctx, cluster.Once, kvpb.KVAppendValue, req, &kvpb.AppendResponse{})
	switch {
	case err == nil:
		c.acked++
	case errors.Is(err, cluster.ErrUnknown):
		c.unknown++
	}
	return err == nil
}

func (c *counting) leads(n *processNode) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var s raftpb.StatusResponse
	err := c.k.At(ctx, n.addr, raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: kvpb.DefaultGroup}, &s)
	return err == nil && s.Role == raftpb.RoleLeader
}

// check fails the test unless the store has all that was acknowledged and nothing that nobody sent.
func (c *counting) check() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var resp kvpb.GetResponse
	if err := c.k.Call(ctx, cluster.Read, kvpb.KVGet, &kvpb.GetRequest{Group: kvpb.DefaultGroup, Key: c.key}, &resp); err != nil {
		c.t.Fatal(err)
	}
	if n := len(resp.Value); n < c.acked || n > c.acked+c.unknown {
		c.t.Errorf("%s: the store has %d, %d were acknowledged and %d may have happened", c.key, n, c.acked, c.unknown)
	}
}

// SIGTERM under load: the leader hands over first, another one is elected because of that, the process ends with status 0, and
// nothing that was acknowledged is missing.
func TestSIGTERMHandsOver(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3, nil)
	clients := []*counting{newCounting(t, nodes, "a"), newCounting(t, nodes, "b"), newCounting(t, nodes, "c"), newCounting(t, nodes, "d")}
	for _, c := range clients {
		eventually(t, "a first write", func() bool { return c.append(time.Second) })
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for _, c := range clients {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					c.append(10 * time.Second)
				}
			}
		})
	}
	var leader *processNode
	eventually(t, "a leader", func() bool {
		for _, n := range nodes {
			if clients[0].leads(n) {
				leader = n
			}
		}
		return leader != nil
	})
	others := slices.DeleteFunc(slices.Clone(nodes), func(n *processNode) bool { return n == leader })
	begun := time.Now()
	if status := leader.signal(syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM under load: status %d\n%s", status, leader.out)
	}
	t.Logf("the process ended %v after SIGTERM", time.Since(begun).Round(time.Millisecond))
	eventually(t, "another one to lead because it was told to", func() bool {
		for _, n := range others {
			if _, after, ok := strings.Cut(n.out.String(), "reason=transfer"); ok && strings.Contains(after, "role=LEADER") {
				return true
			}
		}
		return false
	})
	close(stop)
	load.Wait()
	for _, c := range clients {
		c.check()
	}
}

// All nodes are killed at once, again and again, also while they read their logs: the group serves again, and nothing that was
// acknowledged is lost. How long it takes from the moment a quorum listens is logged, in election time-outs.
func TestAllKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const rounds, timeout = 6, 500 * time.Millisecond // of startNodes
	nodes := startNodes(t, 3, nil)
	c := newCounting(t, nodes, "count")
	var waits []float64
	for range rounds {
		for range 50 {
			eventually(t, "a write", func() bool { return c.append(5 * time.Second) })
		}
		kill := func() {
			for _, n := range nodes {
				_ = n.cmd.Process.Kill()
			}
			for _, n := range nodes {
				<-n.exited
			}
		}
		kill()
		for range 3 { // and while they start
			for _, n := range nodes {
				n.begin()
			}
			pause := time.NewTimer(time.Duration(rand.IntN(150)) * time.Millisecond)
			<-pause.C
			kill()
		}
		for _, n := range nodes[:2] {
			n.start()
		}
		quorum := time.Now()
		eventually(t, "a write after all were killed", func() bool { return c.append(5 * time.Second) })
		waits = append(waits, time.Since(quorum).Seconds()/timeout.Seconds())
		nodes[2].start()
	}
	c.check()
	t.Logf("served again after %.2f election time-outs from the quorum on; %d acknowledged, %d unknown", waits, c.acked, c.unknown)
}
