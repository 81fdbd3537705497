package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// damage flips a byte of the frames in the newest segment of a closed log, far before the
// log's end: what was acknowledged can no longer be told.
func (c *cluster) damage(id engine.NodeID) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, fmt.Sprint(id), "seg", "*.rwal"))
	if err != nil || len(files) == 0 {
		c.t.Fatalf("no segments: %v", err)
	}
	for i := len(files) - 1; i >= 0; i-- {
		b, err := os.ReadFile(files[i])
		if err != nil {
			c.t.Fatal(err)
		}
		// The first frame stands behind a header of 4 KiB; its own header is damaged.
		const at = 4096
		if len(b) > at+64 && b[at+4] != 0 {
			b[at] ^= 0x40
			if err := os.WriteFile(files[i], b, 0o600); err != nil {
				c.t.Fatal(err)
			}
			return
		}
	}
	c.t.Fatal("no segment with a frame")
}

// insist proposes until it is acknowledged, be it twice.
func (c *cluster) insist(cmd string) {
	c.t.Helper()
	c.eventually(cmd, func() bool {
		_, err := c.group(c.leader()).Propose(c.t.Context(), []byte(cmd))
		return err == nil
	})
}

// A member whose log is damaged in its structure starts all the same, as an older state
// of itself: it neither votes nor acknowledges until the leader has repaired it, and says so.
func TestDamagedLogIsRepairedByTheLeader(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) { cfg.Durability = engine.Fsync })
	for i := range 50 {
		c.insist(fmt.Sprint("before ", i))
	}
	victim := c.leader()%3 + 1
	c.stop(victim)
	for i := range 50 {
		c.insist(fmt.Sprint("meanwhile ", i))
	}
	c.damage(victim)
	c.start(victim)
	if s, err := c.group(victim).Status(); err != nil || s.Applied > 100 {
		t.Fatalf("%+v, %v", s, err)
	}
	c.insist("after")
	c.eventually("the repair", func() bool {
		l, errLeader := c.group(c.leader()).Status()
		s, err := c.group(victim).Status()
		return errLeader == nil && err == nil && !s.Uncertain && s.Applied == l.Applied
	})
	want, got := c.lines(c.leader()), c.lines(victim)
	if len(want) != len(got) || got[len(got)-1] != "after" {
		t.Fatalf("%d lines here, %d at the leader", len(got), len(want))
	}

	// The trust is durable: it counts as a member again, so the other follower can go.
	c.stop(victim)
	c.start(victim)
	if s, err := c.group(victim).Status(); err != nil || s.Uncertain {
		t.Fatalf("in doubt again: %+v, %v", s, err)
	}
	for id := range c.hosts {
		if id != victim && id != c.leader() {
			c.stop(id)
		}
	}
	c.insist("with the repaired one")
}

// With a majority in doubt nobody can say what was committed: no leader arises, whatever time
// passes, and nothing is served. This is for an operator to decide.
func TestMajorityInDoubtServesNothing(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) { cfg.Durability = engine.Fsync })
	for i := range 50 {
		c.insist(fmt.Sprint(i))
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
	}
	c.damage(1)
	c.damage(2)
	for id := engine.NodeID(1); id <= 3; id++ {
		c.start(id)
	}
	elections := func() uint64 { return c.hosts[3].Metrics().Elections }
	asked := 0
	c.eventually("the sound member to hear refusals", func() bool {
		for id := engine.NodeID(1); id <= 2; id++ {
			s, err := c.group(id).Status()
			if err != nil || !s.Uncertain || s.Role == raftpb.RoleLeader {
				t.Fatalf("node %d: %+v, %v", id, s, err)
			}
		}
		asked++
		return asked > 500
	})
	if n := elections(); n != 0 {
		t.Errorf("%d campaigns went past their pre-vote", n)
	}
	if err := c.group(3).Read(t.Context(), engine.Linearizable, func() error { return nil }); err == nil {
		t.Error("a read was served")
	}
}
