package raft

import (
	"flag"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "replay this world of TestRandomWorlds and print it")
	seedsFlag = flag.Uint64("seeds", 1000, "how many worlds TestRandomWorlds runs")
)

// world runs one seed to its end and returns what happened.
func world(seed uint64, m mutant, trace *strings.Builder) *cluster {
	c := newCluster(seed, m)
	c.trace = trace
	c.run(c.knobs.span)
	c.settle()
	return c
}

// TestRandomWorlds runs many small hostile worlds and holds every step of every
// node against the invariants. Replay a failure with
//
//	go test ./engine/internal/raft -run TestRandomWorlds -seed N
func TestRandomWorlds(t *testing.T) {
	if *seedFlag != 0 {
		var trace strings.Builder
		c := world(*seedFlag, 0, &trace)
		t.Logf("%+v\n%s", c.knobs, trace.String())
		if c.failed != "" {
			t.Error(c.failed)
		}
		return
	}
	seeds := *seedsFlag
	if testing.Short() {
		seeds /= 10
	}
	var next, events atomic.Uint64
	var mu sync.Mutex
	var facts [factKinds]int
	var ends [refusals]int
	reads, commits := 0, 0
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed := next.Add(1); seed <= seeds && !t.Failed(); seed = next.Add(1) {
				c := world(seed, 0, nil)
				events.Add(uint64(c.events))
				if c.failed != "" {
					t.Error(c.failed)
				}
				mu.Lock()
				for i := range facts {
					facts[i] += c.facts[i]
				}
				for i := range ends {
					ends[i] += c.refusals[i]
				}
				reads += c.watch.granted
				commits += int(c.watch.highest)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	t.Logf("%d worlds, %d events, %d commits, %d reads, facts %v", seeds, events.Load(), commits, reads, facts)
	t.Logf("operators' requests ended with %v", ends)
	if t.Failed() || testing.Short() {
		return
	}
	// A run in which nothing happened proves nothing.
	for k := FactRole; k <= FactTransferEnded; k++ {
		switch k {
		case FactInvalidMessage, FactUnknownMember, FactSnapshotNeeded:
		default:
			if facts[k] == 0 {
				t.Errorf("%s never happened", k)
			}
		}
	}
	if reads < int(seeds) || commits < 10*int(seeds) {
		t.Errorf("%d worlds with %d commits and %d reads", seeds, commits, reads)
	}
}

// TestSameSeedSameWorld: everything comes from the seed.
func TestSameSeedSameWorld(t *testing.T) {
	for seed := range uint64(20) {
		var one, two strings.Builder
		world(seed, 0, &one)
		world(seed, 0, &two)
		if one.String() != two.String() {
			t.Fatalf("seed %d: two different worlds", seed)
		}
	}
}
