package engine_test

import (
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// Under load reads share their rounds: those that come while a round is out wait for the
// next one, together, and cost no message of their own.
func TestAHundredReadsShareARound(t *testing.T) {
	const readers, each = 2048, 20
	w, inMemory := world()
	c := newCluster(t, 3, func(cfg *engine.Config) {
		inMemory(cfg)
		cfg.ElectionTimeout = 5 * time.Second // the leader stays, whatever else the machine does
	})
	c.insist("one")
	leader := c.leader()
	for id := range c.hosts {
		if id != leader {
			w.Delay(leader, id, 5*time.Millisecond, 5*time.Millisecond) // a round outlasts the coming of many reads
		}
	}
	before := c.hosts[leader].Metrics().Reads
	var running sync.WaitGroup
	for range readers {
		running.Go(func() {
			for range each {
				if n, err := c.count(t.Context(), leader, engine.Linearizable, engine.ReadBound{}); err != nil || n != 1 {
					t.Errorf("%d lines, %v", n, err)
					return
				}
			}
		})
	}
	running.Wait()
	now := c.hosts[leader].Metrics().Reads
	reads, rounds := now.ByRound-before.ByRound, now.Rounds-before.Rounds
	t.Logf("%d reads, %d rounds: %d reads share one", reads, rounds, reads/max(rounds, 1))
	if reads < readers*each || rounds == 0 || reads/rounds < 100 {
		t.Errorf("%d reads took %d rounds, want 100 of them to share one", reads, rounds)
	}
}
