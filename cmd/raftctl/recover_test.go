package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// Two of three nodes are lost. The third says what it has, an operator lets the group go on with it, and it serves.
func TestRecoveringFromTheLossOfAQuorum(t *testing.T) {
	t.Parallel()
	h := newHosts(t, 3)
	leader := h.leader()
	for range 5 {
		if _, err := h.node(leader).Propose(t.Context(), []byte("command")); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range h.open {
		if err := host.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := func(i int) string { return filepath.Join(h.dir, fmt.Sprint(i+1)) }
	offline := func(status int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(t.Context(), append([]string{"raftctl", "recover"}, args...), &out, &errs); got != status {
			t.Fatalf("%q: status %d, want %d\n%s%s", args, got, status, out.String(), errs.String())
		}
		return out.String() + errs.String()
	}
	expect(t, offline(exitFailed, "plan", dir(0), dir(1)), "quorum")
	expect(t, offline(exitUsage, "plan", filepath.Join(h.dir, "none")), "none")
	expect(t, offline(exitUsage, "apply", "one"), "PLAN DIR")

	plan, carried := filepath.Join(h.dir, "plan.json"), filepath.Join(h.dir, "survivor.json")
	if err := os.WriteFile(carried, []byte(offline(0, "inspect", dir(leader))), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, offline(0, "plan", carried, "--out", plan), "CERTAINLY COMMITTED", "left out for ever", "in epoch 1",
		fmt.Sprintf("node %d has the most", leader+1))
	expect(t, offline(0, "apply", plan, dir(leader)), "nothing was done")
	expect(t, offline(0, "apply", plan, dir(leader), "--yes"), "applied to")

	host, err := engine.Open(t.Context(), engine.Config{
		Cluster: "test", Node: engine.NodeID(leader + 1), Dir: dir(leader), Listen: h.addrs[leader], Durability: engine.NoSync,
		ElectionTimeout: 300 * time.Millisecond, SegmentBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	machine := new(sum)
	members := []engine.Member{{ID: engine.NodeID(leader + 1), Address: h.addrs[leader]}} // the stored configuration counts
	group, err := host.Start(t.Context(), engine.GroupConfig{ID: 1, Machine: machine, Members: members})
	if err != nil {
		t.Fatal(err)
	}
	s, err := group.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Propose(t.Context(), []byte("after")); err != nil {
		t.Fatal(err)
	}
	if want := 5*len("command") + len("after"); machine.n != want {
		t.Errorf("the state is %d, want %d", machine.n, want)
	}
	if st, err := group.Status(); err != nil || len(st.Members) != 1 || strings.Contains(fmt.Sprint(st.Members), h.addrs[(leader+1)%3]) {
		t.Errorf("members %v, %v", st.Members, err)
	}
}
