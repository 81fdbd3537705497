package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

func durable(cfg *engine.Config) { cfg.Durability = engine.Fsync }

// wipe loses a node's data directory.
func (c *cluster) wipe(id engine.NodeID) {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Join(c.dir, fmt.Sprint(id))); err != nil {
		c.t.Fatal(err)
	}
}

// A voter comes back with an empty directory: it has forgotten its votes and what it
// acknowledged. The others know it by another one and do not talk to it, also after they were
// restarted; it is told why. Removed and added again, it is a new member.
func TestANodeThatLostItsDirectoryIsRefused(t *testing.T) {
	c := newCluster(t, 3, durable)
	for i := range 20 {
		c.insist(fmt.Sprint(i))
	}
	c.same(20)
	c.stop(3)
	c.wipe(3)
	for id := engine.NodeID(1); id <= 2; id++ {
		c.stop(id)
		c.start(id)
	}
	c.start(3)
	c.eventually("the refusal", func() bool { return errors.Is(c.hosts[3].NotAdmitted(), engine.ErrAmnesia) })
	var why *engine.AdmissionError
	if err := c.hosts[3].NotAdmitted(); !errors.As(err, &why) || why.By == 0 || !strings.Contains(err.Error(), "lost its data directory") {
		t.Errorf("%v", err)
	}
	c.insist("without it")
	if s := c.status(3); s.Leader != 0 || s.Last != 0 {
		t.Errorf("it takes part: %+v", s)
	}
	c.stop(3)
	c.change(engine.Remove(3))
	c.wipe(3)
	c.join(3)
	c.change(engine.AddVoter(3, c.addrs[3]))
	c.insist("with it")
	c.same(22)
	if err := c.hosts[3].NotAdmitted(); err != nil {
		t.Errorf("still refused: %v", err)
	}
	c.stop(1)
	c.insist("with it as a voter")
}

// An operator who knows better says so.
func TestANodeIsReadmitted(t *testing.T) {
	c := newCluster(t, 3, durable)
	c.insist("one")
	c.same(1)
	c.change(engine.Demote(3)) // it has no vote to forget
	c.stop(3)
	c.wipe(3)
	c.start(3)
	c.eventually("the refusal", func() bool { return c.hosts[3].NotAdmitted() != nil })
	for id := engine.NodeID(1); id <= 2; id++ {
		if err := c.hosts[id].Readmit(3); err != nil {
			t.Fatal(err)
		}
	}
	c.insist("two")
	c.same(2)
}

// Whoever has slept through a recovery from the loss of a quorum is told so.
func TestANodeOfAnOlderEpochIsRefused(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) {
		durable(cfg)
		if cfg.Node != 3 {
			cfg.Epoch = 2
		}
	})
	c.insist("one")
	c.eventually("the refusal", func() bool { return errors.Is(c.hosts[3].NotAdmitted(), engine.ErrOldEpoch) })
	if s := c.status(3); s.Last != 0 || c.hosts[3].Epoch() != 0 || c.hosts[1].Epoch() != 2 {
		t.Errorf("%+v, epochs %d, %d", s, c.hosts[3].Epoch(), c.hosts[1].Epoch())
	}
}

// The program's own rule is asked about every node, and can refuse it.
func TestTheProgramsOwnRuleOfAdmission(t *testing.T) {
	var mu sync.Mutex
	seen := map[engine.NodeID]engine.Peer{}
	c := newCluster(t, 3, func(cfg *engine.Config) {
		durable(cfg)
		if cfg.Node != 1 {
			return
		}
		cfg.Admit = func(p engine.Peer) error {
			mu.Lock()
			defer mu.Unlock()
			seen[p.Node] = p
			if p.Node == 3 {
				return errors.New("not on a Tuesday")
			}
			return nil
		}
	})
	c.insist("one")
	c.eventually("the refusal", func() bool {
		err := c.hosts[3].NotAdmitted()
		return errors.Is(err, engine.ErrNotAdmitted) && strings.Contains(err.Error(), "not on a Tuesday")
	})
	c.eventually("both to be seen", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 2
	})
	mu.Lock()
	defer mu.Unlock()
	for id, p := range seen {
		if p.Cluster != "test" || p.Node != id || p.Incarnation == 0 || p.RemoteAddr == "" {
			t.Errorf("%+v", p)
		}
	}
}

// Without what a host remembers of the others it does not guess.
func TestADamagedListOfMembersIsNotPassedOver(t *testing.T) {
	c := newCluster(t, 3, durable)
	c.insist("one")
	name := filepath.Join(c.dir, "1", "peers")
	c.eventually("the file", func() bool { _, err := os.Stat(name); return err == nil })
	c.stop(1)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := engine.Open(t.Context(), c.config(1)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("open: %v", err)
		if h != nil {
			h.Close()
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	c.start(1)
	c.insist("two")
}
