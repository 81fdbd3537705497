package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sum is a state machine: it adds up the lengths of commands.
type sum struct{ n int }

func (s *sum) Apply(b engine.Batch, _ []engine.Result) error {
	for _, c := range b.Commands {
		s.n += len(c.Data)
	}
	return nil
}

func (s *sum) Query([]byte) ([]byte, error) { return fmt.Append(nil, s.n), nil }

func (s *sum) Snapshot() (engine.Snapshot, error) {
	return engine.BytesSnapshot(fmt.Append(nil, s.n)), nil
}

func (s *sum) Restore(r io.Reader) error {
	_, err := fmt.Fscan(r, &s.n)
	return err
}

// hosts are the nodes of a cluster, in this process.
type hosts struct {
	t     *testing.T
	dir   string
	addrs []string
	open  []*engine.Host // nil: closed
}

// newHosts starts a cluster of three, and with more that have yet to be added.
func newHosts(t *testing.T, count int) *hosts {
	t.Helper()
	h := &hosts{t: t, dir: t.TempDir(), open: make([]*engine.Host, count)}
	var members []engine.Member
	for i := range count {
		// All of 127/8 is this machine on Linux: nobody else takes a port of these addresses.
		l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(250), rand.IntN(256), 1+rand.IntN(250)))
		if err != nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			t.Fatal(err)
		}
		h.addrs = append(h.addrs, l.Addr().String())
		l.Close()
		if i < 3 {
			members = append(members, engine.Member{ID: engine.NodeID(i + 1), Address: h.addrs[i]})
		}
	}
	for i := range count {
		host, err := engine.Open(t.Context(), engine.Config{
			Cluster: "test", Node: engine.NodeID(i + 1), Dir: filepath.Join(h.dir, fmt.Sprint(i+1)), Listen: h.addrs[i],
			Durability: engine.NoSync, ElectionTimeout: 300 * time.Millisecond, SegmentBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		h.open[i] = host
		t.Cleanup(func() { host.Close() })
		g := engine.GroupConfig{ID: 1, Machine: &sum{}, Members: members, Join: i >= 3}
		if g.Join {
			g.Members = nil
		}
		if _, err := host.Start(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// raftctl runs the command against the cluster's first three nodes, and fails the test when its exit status is not the one
// expected.
func (h *hosts) raftctl(status int, args ...string) string {
	h.t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"raftctl"}, append(args, "--endpoints", strings.Join(h.addrs[:3], ","), "--timeout", "30s")...)
	if got := run(h.t.Context(), args, &out, &errs); got != status {
		h.t.Fatalf("%q: status %d, want %d\n%s%s", args, got, status, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func (h *hosts) node(i int) *engine.Group { return h.open[i].Group(1) }

// leader waits until a node leads and returns its place.
func (h *hosts) leader() int {
	h.t.Helper()
	for {
		for i, host := range h.open {
			if host != nil && h.node(i).Leader() == engine.NodeID(i+1) {
				return i
			}
		}
		select {
		case <-h.t.Context().Done():
			h.t.Fatal("no leader")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// expect fails the test unless all texts are in out.
func expect(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%q is not in\n%s", text, out)
		}
	}
}

// An operator looks at a cluster: who leads, who has what, whether all have the same.
func TestLookingAtACluster(t *testing.T) {
	t.Parallel()
	h := newHosts(t, 3)
	leader := h.leader()
	for range 5 {
		if _, err := h.node(leader).Propose(t.Context(), []byte("command")); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, h.raftctl(0, "status"), "NODE", "leader", "follower", "ok", "none", "replicate", fmt.Sprintf("members, as node %d sees them", leader+1))
	var status struct {
		Nodes []map[string]any
	}
	if err := json.Unmarshal([]byte(h.raftctl(0, "status", "--json")), &status); err != nil || len(status.Nodes) != 3 {
		t.Fatalf("%v, %v", status, err)
	}
	n := status.Nodes[leader]
	for _, key := range []string{
		"group", "node", "role", "term", "vote", "leader", "firstIndex", "lastIndex", "commit", "applied", "snapshotIndex", "config",
		"progress", "health", "counters", "durability",
	} {
		if _, ok := n[key]; !ok {
			t.Errorf("%q is not in the status", key)
		}
	}
	if n["role"] != "leader" || n["leader"] != float64(leader+1) || len(n["progress"].([]any)) != 2 {
		t.Errorf("the leader's status: %v", n)
	}
	counters := n["counters"].(map[string]any)
	for _, key := range []string{
		"elections", "prevotes", "entries_damaged", "entries_repaired", "log_damages", "refused", "sync_errors", "snapshots_sent", "snapshots_resumed",
		"snapshots_aborted",
	} {
		if _, ok := counters[key]; !ok {
			t.Errorf("%q is not among the counters", key)
		}
	}
	documented, err := os.ReadFile("../../docs/metrics.md")
	for key := range counters {
		if err != nil || !strings.HasPrefix(key, "refused_") && !strings.Contains(string(documented), "`"+key+"`") {
			t.Errorf("docs/metrics.md does not say what %q is (%v)", key, err)
		}
	}
	if counters["prevotes"].(float64) < 1 || counters["elections"].(float64) < 1 {
		t.Errorf("a leader that was never elected: %v", counters)
	}
	expect(t, h.raftctl(0, "why"), fmt.Sprintf("node %d: ", leader+1))
	expect(t, h.raftctl(0, "hash"), "equal")
	expect(t, h.raftctl(0, "snapshot"), "index ")
	expect(t, h.raftctl(0, "compact", "--json"), `"index":`)
	expect(t, h.raftctl(exitFailed, "status", "--group", "9"), "no endpoint has group 9")
	expect(t, h.raftctl(exitFailed, "hash", "--at", "1"), "no hash at that index", "not all can be compared at 1")
	applied := h.node(leader).Applied()
	expect(t, h.raftctl(0, "hash", "--at", fmt.Sprint(applied)), fmt.Sprintf("index %d state ", applied), "equal")

	if err := h.open[(leader+1)%3].Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, h.raftctl(0, "status"), "does not answer")

	if err := h.open[(leader+2)%3].Close(); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(h.raftctl(0, "status"), "no leader among the endpoints") {
		if t.Context().Err() != nil {
			t.Fatal("it leads alone")
		}
	}
	expect(t, h.raftctl(0, "why"), fmt.Sprintf("node %d: There is no leader", leader+1), "no answer from ", h.addrs[(leader+1)%3], h.addrs[(leader+2)%3])
}

// Nodes are compared while they are written to without a pause: the index is one that is still to come.
func TestHashesAreComparedUnderLoad(t *testing.T) {
	t.Parallel()
	h := newHosts(t, 3)
	leader := h.leader()
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				_, _ = h.node(leader).Propose(ctx, []byte("command"))
			}
		})
	}
	expect(t, h.raftctl(0, "hash"), "\nequal\n")
	cancel()
	load.Wait()
}

// What was not compared is neither equal nor different.
func TestComparisons(t *testing.T) {
	of := func(state, log string) nodeHash {
		return nodeHash{HashResponse: raftpb.HashResponse{Index: 7, State: []byte(state), LogChain: []byte(log)}}
	}
	silent, witness := nodeHash{err: errors.New("silent")}, nodeHash{witness: true}
	for _, c := range []struct {
		all  []nodeHash
		want string
	}{
		{[]nodeHash{of("a", "x"), of("a", "x"), witness}, hashesEqual},
		{[]nodeHash{of("", "x"), of("a", "x"), of("a", "x")}, hashesEqual},
		{[]nodeHash{of("a", "x"), of("b", "x")}, hashesDiffer},
		{[]nodeHash{of("a", "x"), of("a", "y")}, hashesDiffer},
		{[]nodeHash{silent, of("a", "x"), of("", "y")}, hashesDiffer},
		{[]nodeHash{silent, of("a", "x"), of("a", "x")}, hashesUnknown},
		{[]nodeHash{witness}, hashesUnknown},
	} {
		if got := compare(c.all); got != c.want {
			t.Errorf("%v: %s, want %s", c.all, got, c.want)
		}
	}
}

// Refusals by reason stand below the counters.
func TestRefusalsAreShownByReason(t *testing.T) {
	var b bytes.Buffer
	counterTable(&b, []nodeStatus{{StatusResponse: raftpb.StatusResponse{Node: 2, Counters: []raftpb.Counter{
		{Name: "refused", Value: 5}, {Name: "refused_bad_checksum", Value: 3}, {Name: "refused_tls_failed", Value: 2},
	}}}, {err: errors.New("silent")}})
	expect(t, b.String(), "node 2 refused 3: bad-checksum\n", "node 2 refused 2: tls-failed\n")
}

// An operator replaces a node: plans it, does it, and sees what is refused.
func TestReplacingANode(t *testing.T) {
	t.Parallel()
	h := newHosts(t, 4)
	goes := (h.leader() + 1) % 3
	steps := []string{"add", "4=" + h.addrs[3], "remove", fmt.Sprint(goes + 1)}
	plan := h.raftctl(0, append([]string{"member", "plan"}, steps...)...)
	expect(t, plan, "(learner)", "(joint: both halves decide)", "any one voter may fail")
	done := h.raftctl(0, append([]string{"member", "change"}, steps...)...)
	if expect(t, done, "done at index ", "4="+h.addrs[3]); strings.Contains(done, h.addrs[goes]) {
		t.Errorf("node %d is still in the configuration: %s", goes+1, done)
	}
	expect(t, h.raftctl(exitFailed, "member", "remove", "77"), "refused: ", "unknown-member")
	expect(t, h.raftctl(exitFailed, "member", "remove", "4", "--expect", "1"), "refused: ")
	expect(t, h.raftctl(0, "transfer", "4"), "done: node 4 leads in term ")
	expect(t, h.raftctl(0, "transfer"), "done: another node leads in term ")
	for _, bad := range [][]string{
		{"member", "add", "4"},
		{"member", "add", "x=a:1"},
		{"member", "add", "4=nowhere"},
		{"member", "remove", "4=a:1"},
		{"member", "change", "add"},
		{"member", "plan", "add", "4=a:1", "remove"},
		{"member", "plan", "vanish", "4"},
		{"member", "vanish"},
		{"transfer", "four"},
		{"status", "extra"},
		{"hash", "--at", "0"},
		{"vanish"},
	} {
		if out := h.raftctl(exitUsage, bad...); strings.Count(out, "\n") != 1 {
			t.Errorf("%q: in several lines: %s", bad, out)
		}
	}
}

// With nobody there, every command says so in its exit status.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"status"}, {"why"}, {"transfer"}, {"member", "remove", "1"},
	} {
		var out, errs bytes.Buffer
		args = append(append([]string{"raftctl"}, args...), "--endpoints", "127.0.0.1:1", "--timeout", "100ms")
		if got := run(t.Context(), args, &out, &errs); got != exitNoNode {
			t.Errorf("%q: status %d: %s%s", args, got, out.String(), errs.String())
		}
	}
}
