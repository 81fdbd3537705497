package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// How long the trouble lasts, its seed, and where the histories stay: RAFTKV_CHAOS=3m RAFTKV_CHAOS_SEED=7 RAFTKV_CHAOS_DIR=/tmp/x.
const (
	chaosEnv     = "RAFTKV_CHAOS"
	chaosSeedEnv = "RAFTKV_CHAOS_SEED"
	chaosDirEnv  = "RAFTKV_CHAOS_DIR"
)

// Real processes are killed, paused, cut off, replaced and restarted while clients write and read. What the clients saw has to be
// linearizable, and in the end all nodes have the same state and the same log.
func TestChaosThreeNodes(t *testing.T) { t.Parallel(); testChaos(t, 3) }

// The same with five.
func TestChaosFiveNodes(t *testing.T) { t.Parallel(); testChaos(t, 5) }

func testChaos(t *testing.T, nodes int) {
	lasts, err := time.ParseDuration(cmp.Or(os.Getenv(chaosEnv), "5s"))
	if err != nil {
		t.Fatalf("%s: %v", chaosEnv, err)
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(chaosSeedEnv); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatalf("%s: %v", chaosSeedEnv, err)
		}
	}
	dir := t.TempDir()
	if d := os.Getenv(chaosDirEnv); d != "" {
		dir = d
	}
	t.Logf("seed %d for %v", seed, lasts)
	c := newChaos(t, nodes, rand.New(rand.NewPCG(seed, uint64(nodes))))
	path := filepath.Join(dir, fmt.Sprintf("history-%d.ndjson", nodes))
	if c.history, err = newHistory(path); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for id := range 8 {
		clients.Go(func() { c.client(id) })
	}
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		c.trouble()
	}
	c.heal()
	c.done.Store(true)
	clients.Wait()
	if err := c.history.close(); err != nil {
		t.Error(err)
	}
	c.compare()
	c.check(path)
	t.Logf("%d nodes: %d operations %v, troubles %v", nodes, len(c.history.events), c.history.count, c.troubles)
	if c.history.count[happened] < 50 {
		t.Errorf("only %v: the cluster hardly worked", c.history.count)
	}
}

// mostNodes is how many nodes a run may have, one after another: each is reached through links made ahead of time.
const mostNodes = 16

// chaos is a cluster of processes and what is done to it. One goroutine makes trouble; clients only call.
type chaos struct {
	t       *testing.T
	random  *rand.Rand
	dir     string
	addrs   []string           // of node i+1
	links   map[[2]int]*link   // from, to
	nodes   map[int]*chaosNode // members, running or not
	next    int                // id of the next new node
	history *history
	done    atomic.Bool
	begun   atomic.Int64 // processes of the history so far

	troubles map[string]int
}

type chaosNode struct {
	*processNode
	id     int
	paused bool
	down   bool
}

func newChaos(t *testing.T, count int, random *rand.Rand) *chaos {
	t.Helper()
	c := &chaos{
		t: t, random: random, dir: t.TempDir(), links: map[[2]int]*link{}, nodes: map[int]*chaosNode{}, next: count + 1, troubles: map[string]int{},
	}
	// All of 127/8 is this machine: nobody else listens there, whatever ports the links get.
	net := fmt.Sprintf("127.%d.%d", 1+random.IntN(250), random.IntN(256))
	for id := range mostNodes {
		c.addrs = append(c.addrs, fmt.Sprintf("%s.%d:7001", net, id+1))
	}
	for from := 1; from <= mostNodes; from++ {
		for to := 1; to <= mostNodes; to++ {
			if from != to {
				c.links[[2]int{from, to}] = newLink(t, c.addrs[to-1])
			}
		}
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			if !n.down && n.cmd != nil && n.cmd.Process != nil {
				_ = n.cmd.Process.Kill()
				<-n.exited
			}
			if t.Failed() {
				t.Logf("node %d:\n%s", n.id, lastLines(n.out.String(), 60))
			}
		}
	})
	var peers []string
	for id := 1; id <= count; id++ {
		peers = append(peers, "--peer", fmt.Sprintf("%d=%s", id, c.addrs[id-1]))
	}
	for id := 1; id <= count; id++ {
		c.add(id, peers...)
	}
	return c
}

// process is the number of a new process of the history: a client goes on as another one when the outcome of an operation
// is unknown.
func (c *chaos) process() int { return int(c.begun.Add(1)) }

func lastLines(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// add starts node id for the first time.
func (c *chaos) add(id int, args ...string) *chaosNode {
	n := &chaosNode{id: id, processNode: &processNode{t: c.t, dir: c.dir, addr: c.addrs[id-1]}}
	n.args = append([]string{
		"--id", fmt.Sprint(id), "--listen", n.addr, "--dir", filepath.Join(c.dir, fmt.Sprint(id)), "--admin", "off",
		"--election-timeout", "600ms", "--snapshot-entries", "300", "--keep-entries", "50", "--segment-bytes", "1MiB",
	}, args...)
	for to := 1; to <= mostNodes; to++ {
		if to != id {
			n.args = append(n.args, "--dial", fmt.Sprintf("%d=%s", to, c.links[[2]int{id, to}].addr()))
		}
	}
	c.nodes[id] = n
	n.start()
	return n
}

// pick returns a random member for which ok holds; nil: there is none.
func (c *chaos) pick(ok func(*chaosNode) bool) *chaosNode {
	var ids []int
	for id, n := range c.nodes {
		if ok(n) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	return c.nodes[ids[c.random.IntN(len(ids))]]
}

func running(n *chaosNode) bool { return !n.down && !n.paused }

// trouble does one thing to the cluster and lets some time pass.
func (c *chaos) trouble() {
	kinds := []struct {
		name string
		do   func() bool
	}{
		{"kill", c.kill}, {"kill", c.kill}, {"restart", c.restart}, {"restart", c.restart}, {"restart", c.restart},
		{"pause", c.pause}, {"continue", c.resume}, {"continue", c.resume},
		{"cut", c.cut}, {"cut", c.cut}, {"isolate", c.isolate}, {"heal", c.healLinks}, {"heal", c.healLinks},
		{"snapshot", c.snapshot}, {"transfer", c.transfer}, {"replace", c.replace}, {"kill all", c.killAll}, {"stop", c.stop},
	}
	k := kinds[c.random.IntN(len(kinds))]
	if k.do() {
		c.troubles[k.name]++
		pause := time.NewTimer(time.Duration(50+c.random.IntN(700)) * time.Millisecond)
		<-pause.C
	}
}

func (c *chaos) kill() bool {
	n := c.pick(running)
	if n == nil {
		return false
	}
	n.processNode.signal(syscall.SIGKILL)
	n.down = true
	return true
}

// stop ends a node as an operator does.
func (c *chaos) stop() bool {
	n := c.pick(running)
	if n == nil {
		return false
	}
	if status := n.processNode.signal(syscall.SIGTERM); status != 0 {
		c.t.Errorf("node %d: SIGTERM: status %d", n.id, status)
	}
	n.down = true
	return true
}

func (c *chaos) restart() bool {
	n := c.pick(func(n *chaosNode) bool { return n.down })
	if n == nil {
		return false
	}
	n.down = false
	if c.random.IntN(4) == 0 { // killed again while it starts
		n.begin()
		pause := time.NewTimer(time.Duration(c.random.IntN(60)) * time.Millisecond)
		<-pause.C
		n.processNode.signal(syscall.SIGKILL)
	}
	n.start()
	return true
}

func (c *chaos) pause() bool {
	n := c.pick(running)
	if n == nil {
		return false
	}
	n.paused = true
	return n.cmd.Process.Signal(syscall.SIGSTOP) == nil
}

func (c *chaos) resume() bool {
	n := c.pick(func(n *chaosNode) bool { return n.paused })
	if n == nil {
		return false
	}
	n.paused = false
	return n.cmd.Process.Signal(syscall.SIGCONT) == nil
}

// cut cuts one direction between two nodes.
func (c *chaos) cut() bool {
	a, b := c.pick(running), c.pick(running)
	if a == nil || a == b {
		return false
	}
	c.links[[2]int{a.id, b.id}].setCut(true)
	return true
}

// isolate cuts a node off from all others: the leader as likely as the others.
func (c *chaos) isolate() bool {
	n := c.pick(running)
	if n == nil {
		return false
	}
	for pair, l := range c.links {
		if pair[0] == n.id || pair[1] == n.id {
			l.setCut(true)
		}
	}
	return true
}

func (c *chaos) healLinks() bool {
	for _, l := range c.links {
		l.setCut(false)
	}
	return true
}

func (c *chaos) killAll() bool {
	for _, n := range c.nodes {
		if !n.down {
			n.processNode.signal(syscall.SIGKILL)
			n.down, n.paused = true, false
		}
	}
	for _, n := range c.nodes {
		n.start()
		n.down = false
	}
	return true
}

// heal ends all trouble.
func (c *chaos) heal() {
	c.healLinks()
	for _, n := range c.nodes {
		if n.paused {
			_ = n.cmd.Process.Signal(syscall.SIGCONT)
			n.paused = false
		}
		if n.down {
			n.start()
			n.down = false
		}
	}
}

// admin calls the cluster as an operator does, for at most limit.
func (c *chaos) admin(limit time.Duration, call func(ctx context.Context, k *cluster.Client) error) error {
	k, err := cluster.New(c.addrs, transport.ClientConfig{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return errors.Join(call(ctx, k), k.Close())
}

func (c *chaos) snapshot() bool {
	n := c.pick(running)
	if n == nil {
		return false
	}
	return c.admin(2*time.Second, func(ctx context.Context, k *cluster.Client) error {
		return k.At(ctx, n.addr, raftpb.RaftAdminSnapshot, &raftpb.SnapshotRequest{Group: kvpb.DefaultGroup, Compact: true}, &raftpb.SnapshotResponse{})
	}) == nil
}

func (c *chaos) transfer() bool {
	return c.admin(2*time.Second, func(ctx context.Context, k *cluster.Client) error {
		return k.Call(ctx, cluster.Once, raftpb.RaftAdminTransferLeadership, &raftpb.TransferRequest{Group: kvpb.DefaultGroup}, &raftpb.TransferResponse{})
	}) == nil
}

// replace adds a new node and takes an old one out, in one change. Both go on if the change fails: what became of it is found out.
func (c *chaos) replace() bool {
	if c.next > mostNodes {
		return false
	}
	old := c.pick(func(*chaosNode) bool { return true })
	id := c.next
	c.next++
	c.add(id, "--join")
	request := &raftpb.ChangeRequest{Group: kvpb.DefaultGroup, TimeoutMs: 10_000, Changes: []raftpb.Change{
		{Kind: raftpb.ChangeKindAddVoter, Member: raftpb.Member{ID: raftpb.NodeID(id), Address: c.addrs[id-1]}},
		{Kind: raftpb.ChangeKindRemove, Member: raftpb.Member{ID: raftpb.NodeID(old.id)}},
	}}
	err := c.admin(10*time.Second, func(ctx context.Context, k *cluster.Client) error {
		return k.Call(ctx, cluster.Once, raftpb.RaftAdminChangeMembership, request, &raftpb.ChangeResponse{})
	})
	if err != nil {
		c.settleMembers()
		return true
	}
	c.discard(old)
	return true
}

// settleMembers finds out who is in the cluster once it works again, and ends the processes of those who are not.
func (c *chaos) settleMembers() {
	c.heal()
	var status, last raftpb.StatusResponse
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("the last status of a leader: %+v", last)
		}
	})
	eventually(c.t, "a leader with a configuration in force", func() bool {
		for _, n := range c.nodes {
			var s raftpb.StatusResponse
			err := c.admin(time.Second, func(ctx context.Context, k *cluster.Client) error {
				return k.At(ctx, n.addr, raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: kvpb.DefaultGroup}, &s)
			})
			if err != nil || s.Role != raftpb.RoleLeader {
				continue
			}
			if i := slices.IndexFunc(s.Config.Incoming, isLearner); i >= 0 {
				c.takeBack(s.Config.Incoming[i].ID)
				continue
			}
			// In force is what does not differ from what the same leadership said before, once all that it had then is committed:
			// with clients at work there may never be a moment when nothing is under way.
			same := s.Node == last.Node && s.Term == last.Term && reflect.DeepEqual(s.Config, last.Config)
			if same && s.Commit >= last.LastIndex && len(s.Config.Outgoing) == 0 {
				status = s
				return true
			}
			if !same {
				last = s
			}
		}
		return false
	})
	for id, n := range c.nodes {
		if !slices.ContainsFunc(status.Config.Incoming, func(m raftpb.Member) bool { return int(m.ID) == id }) {
			c.discard(n)
		}
	}
}

// takeBack removes a node that was to become a voter when its leader was lost: the next leader leaves it as it is, a learner. A
// change that is still under way refuses this, and goes on.
func (c *chaos) takeBack(id raftpb.NodeID) {
	request := &raftpb.ChangeRequest{Group: kvpb.DefaultGroup, TimeoutMs: 2000, Changes: []raftpb.Change{
		{Kind: raftpb.ChangeKindRemove, Member: raftpb.Member{ID: id}},
	}}
	_ = c.admin(2*time.Second, func(ctx context.Context, k *cluster.Client) error {
		return k.Call(ctx, cluster.Once, raftpb.RaftAdminChangeMembership, request, &raftpb.ChangeResponse{})
	})
}

func isLearner(m raftpb.Member) bool { return m.Suffrage == raftpb.SuffrageLearner }

// discard ends a node that is not a member any more.
func (c *chaos) discard(n *chaosNode) {
	if !n.down {
		n.processNode.signal(syscall.SIGKILL)
	}
	delete(c.nodes, n.id)
}

// compare waits until all nodes have applied the same, and compares their states.
func (c *chaos) compare() {
	var reports []string
	eventually(c.t, "equal states on all nodes", func() bool {
		var first *raftpb.HashResponse
		reports = reports[:0]
		for _, n := range c.nodes {
			h := new(raftpb.HashResponse)
			err := c.admin(5*time.Second, func(ctx context.Context, k *cluster.Client) error {
				return k.At(ctx, n.addr, raftpb.RaftAdminHash, &raftpb.HashRequest{Group: kvpb.DefaultGroup}, h)
			})
			reports = append(reports, fmt.Sprintf("node %d: %d %x %x %v", n.id, h.Index, h.State, h.LogChain, err))
			if err != nil {
				return false
			}
			if first == nil {
				first = h
			}
			if h.Index == first.Index && (string(h.State) != string(first.State) || string(h.LogChain) != string(first.LogChain)) {
				c.t.Fatalf("nodes differ:\n%s", strings.Join(reports, "\n"))
			}
			if h.Index != first.Index {
				return false
			}
		}
		return true
	})
	c.t.Log(strings.Join(reports, "\n"))
}

// check has porcupine look at the history.
func (c *chaos) check(path string) {
	result, info := porcupine.CheckOperationsVerbose(model(), operations(c.history.events), 5*time.Minute)
	if result == porcupine.Ok {
		return
	}
	picture := filepath.Join(filepath.Dir(path), "history.html")
	c.t.Errorf("history %s: %v (picture in %s: %v)", path, result, picture, porcupine.VisualizePath(model(), info, picture))
}
