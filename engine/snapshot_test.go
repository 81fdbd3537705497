package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// often takes a snapshot every entries entries and keeps few behind it.
func often(entries, keep int) func(*engine.Config) {
	return func(c *engine.Config) {
		c.Snapshots = engine.SnapshotConfig{Entries: entries, KeepEntries: keep, ChunkBytes: 1 << 10, WindowBytes: 4 << 10}
	}
}

// proposeMany proposes n numbered commands.
func (c *cluster) proposeMany(name string, n int) {
	c.t.Helper()
	g := c.group(c.leader())
	for i := range n {
		if _, err := g.Propose(c.t.Context(), fmt.Appendf(nil, "%s %d", name, i)); err != nil {
			c.propose(fmt.Sprintf("%s %d", name, i))
			g = c.group(c.leader())
		}
	}
}

func (c *cluster) status(id engine.NodeID) engine.Status {
	c.t.Helper()
	s, err := c.group(id).Status()
	if err != nil {
		c.t.Fatalf("status of %d: %v", id, err)
	}
	return s
}

// equal waits until all running members have applied the same and checks that their
// machines are the same.
func (c *cluster) equal() {
	c.t.Helper()
	c.eventually("all members to have applied the same", func() bool {
		var at engine.Index
		for id := range c.hosts {
			s := c.status(id)
			if at == 0 {
				at = s.Applied
			}
			if s.Applied != at || s.Applied != s.Last {
				return false
			}
		}
		return true
	})
	want, from := []string(nil), engine.NodeID(0)
	for id := range c.hosts {
		got := c.lines(id)
		if from != 0 && strings.Join(got, "\n") != strings.Join(want, "\n") {
			c.t.Fatalf("nodes %d and %d have applied different commands", from, id)
		}
		want, from = got, id
	}
	var chain uint64
	for id := range c.hosts {
		_, got := c.group(id).Chain()
		if chain != 0 && chain != got {
			c.t.Fatalf("node %d has another hash over what it applied", id)
		}
		chain = got
	}
}

// Snapshots are taken by themselves, the log before them goes, and a restart begins
// with the newest.
func TestSnapshotsAreTakenAndStartedFrom(t *testing.T) {
	c := newCluster(t, 3, often(50, 5))
	c.proposeMany("first", 180)
	for id := range c.hosts {
		c.eventually("the log to be dropped", func() bool {
			s := c.status(id)
			return s.Snapshot >= 150 && s.First > 140
		})
	}
	c.equal()
	before := c.lines(1)
	for id := range c.addrs {
		c.stop(id)
	}
	for id := range c.addrs {
		c.start(id)
	}
	c.leader()
	c.proposeMany("second", 10)
	c.equal()
	if got := c.lines(1); len(got) != len(before)+10 || got[0] != "first 0" {
		t.Errorf("%d commands after the restart, want %d", len(got), len(before)+10)
	}
}

// Bytes make a snapshot due as well as entries.
func TestSnapshotsByBytes(t *testing.T) {
	c := newCluster(t, 1, func(cfg *engine.Config) {
		cfg.Snapshots = engine.SnapshotConfig{Entries: -1, Bytes: 64 << 10, KeepEntries: -1}
	})
	c.leader()
	if s := c.status(1); s.Snapshot != 0 {
		t.Fatalf("a snapshot at %d of nothing", s.Snapshot)
	}
	c.proposeMany(strings.Repeat("x", 8<<10), 10)
	c.eventually("a snapshot", func() bool { s := c.status(1); return s.Snapshot >= 6 && s.First > s.Snapshot })
}

// A follower that was away while the log it needs was dropped gets a snapshot, and
// what came after it, while others go on proposing.
func TestAFollowerCatchesUpBySnapshot(t *testing.T) {
	c := newCluster(t, 3, often(50, 5))
	leader := c.leader()
	c.proposeMany("before", 20)
	away := leader%3 + 1
	c.stop(away)
	c.proposeMany("away", 200)
	c.eventually("the log to be dropped", func() bool { return c.status(c.leader()).First > 150 })
	c.start(away)
	c.proposeMany("back", 30)
	c.eventually("the snapshot to be installed", func() bool { return c.status(away).First > 100 })
	c.equal()
}

// A snapshot that is asked for covers what was applied.
func TestASnapshotIsTakenWhenAskedFor(t *testing.T) {
	c := newCluster(t, 1, nil)
	g := c.group(c.leader())
	c.proposeMany("some", 7)
	applied := g.Applied()
	s, err := g.Snapshot(t.Context())
	if err != nil || s.Index < applied || s.Bytes == 0 {
		t.Fatalf("%+v, %v, want an index of at least %d", s, err, applied)
	}
	again, err := g.Snapshot(t.Context())
	if err != nil || again != s {
		t.Errorf("with nothing new applied: %+v, %v", again, err)
	}
	if got := c.status(1).Snapshot; got != s.Index {
		t.Errorf("status tells snapshot %d", got)
	}
}

// A damaged snapshot whose log is gone: the group does not start, and says why.
func TestADamagedSnapshotIsNotPassedOver(t *testing.T) {
	c := newCluster(t, 1, often(50, -1))
	c.proposeMany("some", 60)
	c.eventually("the log to be dropped", func() bool { return c.status(1).First > 40 })
	c.stop(1)
	images, err := filepath.Glob(filepath.Join(c.dir, "1", "snapshot", "*", "*.snap"))
	if err != nil || len(images) == 0 {
		t.Fatalf("%q, %v", images, err)
	}
	for _, name := range images {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2]++
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := engine.Open(t.Context(), c.config(1))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, err = h.Start(t.Context(), engine.GroupConfig{ID: groupID, Members: c.members(), Machine: &ledger{}})
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("start: %v", err)
	}
}
