package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// retrier is a client that sends every command at least twice, to whoever may lead.
type retrier struct {
	c       *cluster
	w       *transport.Memory
	clients map[engine.NodeID]*transport.Client
	to      engine.NodeID
	sent    *atomic.Int64
}

func (r *retrier) close() {
	for _, c := range r.clients {
		c.Close()
	}
}

// send makes one attempt, and goes to another node after a failure.
func (r *retrier) send(ctx context.Context, session, serial int64, cmd string) (raftpb.ProposeResponse, error) {
	var resp raftpb.ProposeResponse
	client := r.clients[r.to]
	if client == nil {
		var err error
		if client, err = transport.Dial(ctx, r.c.addrs[r.to], transport.ClientConfig{Dial: r.w.Dial}); err != nil {
			r.to = r.to%3 + 1
			return resp, err
		}
		r.clients[r.to] = client
	}
	req := &raftpb.ProposeRequest{
		Group: groupID, Command: []byte(cmd), Session: opt(session), Serial: opt(serial), AckedBelow: opt(serial), TimeoutMs: 500,
	}
	r.sent.Add(1)
	attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := client.Call(attempt, raftpb.RaftClientPropose, req, &resp)
	var notLeader *raftpb.NotLeader
	switch {
	case err == nil:
	case errors.As(err, &notLeader) && notLeader.Leader.Set && notLeader.Leader.Value != r.to:
		r.to = notLeader.Leader.Value
	default:
		client.Close()
		delete(r.clients, r.to)
		r.to = r.to%3 + 1
	}
	return resp, err
}

// propose sends until there is an answer.
func (r *retrier) propose(ctx context.Context, session, serial int64, cmd string) (raftpb.ProposeResponse, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		resp, err := r.send(ctx, session, serial, cmd)
		var rejected *raftpb.Rejected
		if err == nil || errors.As(err, &rejected) && rejected.Code != raftpb.RejectCodeBusy || ctx.Err() != nil {
			return resp, err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// soakSize is how many commands are sent, each twice or more: RAFTWIRE_SOAK, or few.
func soakSize() (commands, changes int) {
	if n, err := strconv.Atoi(os.Getenv("RAFTWIRE_SOAK")); err == nil {
		return n, max(10, n/1000)
	}
	return 2000, 10
}

// Clients send every command again though it was answered, and as often as it takes while
// leaders hand over, are cut off and restarted, and members come back so late that they get a
// snapshot. Every answer to a command is the same, and it is applied once.
func TestEveryRetryGetsTheFirstAnswer(t *testing.T) {
	commands, changes := soakSize()
	const clients = 8
	w, inMemory := world()
	c := newCluster(t, 3, func(cfg *engine.Config) {
		inMemory(cfg)
		cfg.Snapshots = engine.SnapshotConfig{Entries: 200, KeepEntries: 50}
	})
	var sent, answered atomic.Int64
	var running sync.WaitGroup
	for client := range clients {
		s, err := c.group(c.leader()).Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			r := &retrier{c: c, w: w, clients: map[engine.NodeID]*transport.Client{}, to: 1, sent: &sent}
			defer r.close()
			for serial := int64(1); serial <= int64(commands/clients); serial++ {
				cmd := fmt.Sprintf("client %d line %d", client, serial)
				first, err := r.propose(t.Context(), s.ID(), serial, cmd)
				again, err2 := r.propose(t.Context(), s.ID(), serial, cmd)
				if err != nil || err2 != nil || first.Index != again.Index || string(first.Result) != string(again.Result) {
					t.Errorf("%s: %d %x %v, and again %d %x %v", cmd, first.Index, first.Result, err, again.Index, again.Result, err2)
					return
				}
				answered.Add(1)
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for change := 1; change <= changes && !t.Failed(); change++ {
		c.eventually("the clients to get on", func() bool {
			return answered.Load() >= int64(change)*int64(commands)/int64(changes+1) || t.Failed()
		})
		leader := c.leader()
		switch rng.IntN(4) {
		case 0:
			heal := isolate(w, leader, 3)
			c.eventually("another leader", func() bool { now := c.group(leader%3 + 1).Leader(); return now != 0 && now != leader })
			heal()
		case 1: // a follower misses more than the log keeps
			follower := leader%3 + 1
			heal := isolate(w, follower, 3)
			before := answered.Load()
			c.eventually("the others to get on", func() bool { return answered.Load() > before+120 || answered.Load() == int64(commands) })
			heal()
		case 2:
			c.stop(leader)
			c.start(leader)
		default:
			_ = c.group(leader).Transfer(t.Context(), 0) // another one may lead by now
		}
	}
	running.Wait()
	lines := map[string]int{}
	for _, line := range c.lines(c.leader()) {
		if lines[line]++; lines[line] > 1 {
			t.Errorf("%q was applied %d times", line, lines[line])
		}
	}
	if want := commands / clients * clients; len(lines) != want {
		t.Errorf("%d commands applied, want %d", len(lines), want)
	}
	var installed, leaderships uint64
	for _, h := range c.hosts {
		installed += h.Metrics().Snapshots.Installed
		leaderships += h.Metrics().Leaderships
	}
	t.Logf("%d commands sent %d times; on the hosts that run now %d leaderships, %d snapshots installed", commands, sent.Load(), leaderships, installed)
}
