package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/wal"
)

// The power fails everywhere while clients write: all that was never synced is
// gone on every node. What had been acknowledged before must be there afterwards,
// once, and the nodes must agree. A runtime that sends what is gated at once
// loses here.
func TestAPowerLossOfAllNodesLosesNothingAcknowledged(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { powerLoss(t, seed) })
	}
}

func powerLoss(t *testing.T, seed uint64) {
	disks := map[engine.NodeID]*wal.CrashFS{}
	for id := engine.NodeID(1); id <= 3; id++ {
		disks[id] = wal.NewCrashFS()
	}
	onDisk := func(cfg *engine.Config) {
		cfg.Durability = engine.Fsync
		cfg.Dir = "data"
		cfg.OnFS(disks[cfg.Node])
	}
	c := newCluster(t, 3, onDisk)
	for round := range 3 {
		acknowledged := writeUntilCrash(c, round)
		cutPower(disks, int(seed)*25%100, seed)
		for id := range c.addrs {
			c.stop(id)
		}
		for id := range c.addrs {
			c.start(id)
		}
		agreed := c.lines(c.leader())
		for _, line := range acknowledged {
			n := 0
			for _, l := range agreed {
				if l == line {
					n++
				}
			}
			if n != 1 {
				t.Errorf("round %d: acknowledged line %q is there %d times", round, line, n)
			}
		}
		for id := range c.addrs {
			c.eventually("the nodes to agree", func() bool { return slices.Equal(c.lines(id), agreed) })
		}
	}
}

// cutPower replaces every disk by what a power loss at one moment leaves of it.
func cutPower(disks map[engine.NodeID]*wal.CrashFS, unsyncedPercent int, seed uint64) {
	for _, disk := range disks {
		defer disk.Freeze()()
	}
	for id, disk := range disks {
		disks[id] = disk.Crash(unsyncedPercent, seed<<8|uint64(id))
	}
}

// writeUntilCrash runs clients until enough lines are acknowledged, and returns
// those while the clients still write.
func writeUntilCrash(c *cluster, round int) []string {
	const enough = 300
	g := c.group(c.leader()) // of this life: after the crash it refuses
	var mu sync.Mutex
	var acknowledged []string
	reached := make(chan struct{})
	for client := range 16 {
		go func() {
			for i := 0; ; i++ {
				line := fmt.Sprintf("round %d client %d line %d", round, client, i)
				if _, err := g.Propose(c.t.Context(), []byte(line)); err != nil {
					return // the crash
				}
				mu.Lock()
				acknowledged = append(acknowledged, line)
				if len(acknowledged) == enough {
					close(reached)
				}
				mu.Unlock()
			}
		}()
	}
	<-reached
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(acknowledged)
}
