package engine_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// cluster is a few hosts on loopback with one group, whose machine is a ledger.
type cluster struct {
	t       testing.TB
	dir     string
	addrs   map[engine.NodeID]string
	hosts   map[engine.NodeID]*engine.Host
	ledgers map[engine.NodeID]*ledger
	adjust  func(*engine.Config)
	machine func() engine.StateMachine
	heard   recorder // of what the observers of all nodes were told
}

const groupID engine.GroupID = 7

func newCluster(t testing.TB, nodes int, adjust func(*engine.Config)) *cluster {
	t.Helper()
	return newClusterOf(t, nodes, adjust, nil)
}

// newClusterOf runs another machine than a ledger, when machine is not nil.
func newClusterOf(t testing.TB, nodes int, adjust func(*engine.Config), machine func() engine.StateMachine) *cluster {
	t.Helper()
	c := &cluster{
		t: t, dir: t.TempDir(), addrs: map[engine.NodeID]string{}, hosts: map[engine.NodeID]*engine.Host{},
		ledgers: map[engine.NodeID]*ledger{}, adjust: adjust, machine: machine,
	}
	for id := engine.NodeID(1); id <= engine.NodeID(nodes); id++ {
		c.addrs[id] = freeAddress(t)
	}
	for id := range c.addrs {
		c.start(id)
	}
	t.Cleanup(func() {
		for id := range c.hosts {
			c.stop(id)
		}
	})
	return c
}

// freeAddress is an address that nobody else takes before it is listened on: on Linux all of 127/8 is this machine, and each
// call has a part of it for itself.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(250), rand.IntN(256), 1+rand.IntN(250)))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (c *cluster) config(id engine.NodeID) engine.Config {
	cfg := engine.Config{
		Cluster: "test", Node: id, Dir: filepath.Join(c.dir, fmt.Sprint(id)), Listen: c.addrs[id],
		Durability: engine.NoSync, ElectionTimeout: 300 * time.Millisecond, SegmentBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	}
	if os.Getenv("RAFTWIRE_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	cfg.Observer = func(e engine.Event) { c.heard.add(id, e) }
	if c.adjust != nil {
		c.adjust(&cfg)
	}
	return cfg
}

func (c *cluster) members() []engine.Member {
	var ms []engine.Member
	for id := engine.NodeID(1); id <= engine.NodeID(len(c.addrs)); id++ {
		ms = append(ms, engine.Member{ID: id, Address: c.addrs[id]})
	}
	return ms
}

func (c *cluster) start(id engine.NodeID) {
	c.t.Helper()
	h, err := engine.Open(c.t.Context(), c.config(id))
	if err != nil {
		c.t.Fatalf("open node %d: %v", id, err)
	}
	c.hosts[id] = h
	c.ledgers[id] = &ledger{}
	var machine engine.StateMachine = c.ledgers[id]
	if c.machine != nil {
		machine = c.machine()
	}
	_, err = h.Start(c.t.Context(), engine.GroupConfig{ID: groupID, Members: c.members(), Machine: machine})
	if err != nil {
		c.t.Fatalf("start group on node %d: %v", id, err)
	}
}

func (c *cluster) stop(id engine.NodeID) {
	c.t.Helper()
	if err := c.hosts[id].Close(); err != nil {
		c.t.Errorf("close node %d: %v", id, err)
	}
	delete(c.hosts, id)
}

func (c *cluster) group(id engine.NodeID) *engine.Group { return c.hosts[id].Group(groupID) }

// leader waits until a running node leads and has committed in its term.
func (c *cluster) leader() engine.NodeID {
	c.t.Helper()
	var found engine.NodeID
	c.eventually("a leader", func() bool {
		for id := range c.hosts {
			ok := false
			err := c.group(id).Read(c.t.Context(), engine.Linearizable, func() error { ok = true; return nil })
			if err == nil && ok {
				found = id
				return true
			}
		}
		return false
	})
	return found
}

// handOver has a leader hand over to the node after it. On a busy machine leaders come and go by themselves: whoever leads then
// is asked again.
func (c *cluster) handOver() (from, to engine.NodeID) {
	c.t.Helper()
	c.eventually("a hand-over", func() bool {
		from = c.leader()
		to = from%engine.NodeID(len(c.hosts)) + 1
		return c.group(from).Transfer(c.t.Context(), to) == nil
	})
	return from, to
}

// handOverTo waits until node to leads.
func (c *cluster) handOverTo(to engine.NodeID) {
	c.t.Helper()
	c.eventually("that one to lead", func() bool {
		from := c.leader()
		if from != to {
			_ = c.group(from).Transfer(c.t.Context(), to)
		}
		return from == to
	})
}

// propose proposes at the leader, wherever it is, until one says yes.
func (c *cluster) propose(cmd string) engine.Result {
	c.t.Helper()
	for {
		r, err := c.group(c.leader()).Propose(c.t.Context(), []byte(cmd))
		if err == nil {
			return r
		}
		if errors.Is(err, engine.ErrIndeterminate) {
			c.t.Fatalf("propose %q: %v", cmd, err)
		}
	}
}

// eventually polls cond until it holds or the test's patience ends.
func (c *cluster) eventually(what string, cond func() bool) {
	c.t.Helper()
	eventually(c.t, what, cond)
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// ledger is a state machine that remembers every command, in order.
type ledger struct {
	lines []string
	sum   [sha256.Size]byte
	fail  string // this command fails the machine
}

func (l *ledger) Apply(b engine.Batch, results []engine.Result) error {
	for i, cmd := range b.Commands {
		if l.fail != "" && string(cmd.Data) == l.fail {
			return errors.New("ledger: told to fail")
		}
		l.lines = append(l.lines, string(cmd.Data))
		l.sum = sha256.Sum256(append(l.sum[:], cmd.Data...))
		results[i].Data = binary.BigEndian.AppendUint64(nil, uint64(len(l.lines)))
	}
	return nil
}

func (l *ledger) Query(q []byte) ([]byte, error) {
	if string(q) != "count" {
		return nil, fmt.Errorf("ledger: unknown query %q", q)
	}
	return []byte(fmt.Sprint(len(l.lines))), nil
}

// Snapshot writes every line with its length.
func (l *ledger) Snapshot() (engine.Snapshot, error) {
	var b []byte
	for _, line := range l.lines {
		b = binary.AppendUvarint(b, uint64(len(line)))
		b = append(b, line...)
	}
	return engine.BytesSnapshot(b), nil
}

func (l *ledger) Restore(r io.Reader) error {
	l.lines, l.sum = nil, [sha256.Size]byte{}
	in := bufio.NewReader(r)
	for {
		n, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line := make([]byte, n)
		if _, err := io.ReadFull(in, line); err != nil {
			return err
		}
		l.lines = append(l.lines, string(line))
		l.sum = sha256.Sum256(append(l.sum[:], line...))
	}
}

// lines reads a node's ledger at a moment when nothing is being applied.
func (c *cluster) lines(id engine.NodeID) []string {
	c.t.Helper()
	var lines []string
	err := c.group(id).Read(c.t.Context(), engine.Stale, func() error {
		lines = append(lines, c.ledgers[id].lines...)
		return nil
	})
	if err != nil {
		c.t.Fatalf("stale read on node %d: %v", id, err)
	}
	return lines
}
