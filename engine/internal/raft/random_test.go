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
	var next atomic.Uint64
	var sum totals
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed := next.Add(1); seed <= seeds && !t.Failed(); seed = next.Add(1) {
				c := world(seed, 0, nil)
				if c.failed != "" {
					t.Error(c.failed)
				}
				sum.add(c)
			}
		})
	}
	wait.Wait()
	t.Logf("%d worlds, %d events, %d commits, %d reads, facts %v", seeds, sum.events, sum.commits, sum.reads, sum.facts)
	t.Logf("operators' requests ended with %v", sum.ends)
	if !t.Failed() && !testing.Short() {
		sum.demand(t, int(seeds))
	}
}

// totals is what happened in all worlds together.
type totals struct {
	mu                     sync.Mutex
	events, reads, commits int
	facts                  [factKinds]int
	ends                   [refusals]int
	marks                  Marks
}

func (s *totals) add(c *cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.facts {
		s.facts[i] += c.facts[i]
	}
	for i := range s.ends {
		s.ends[i] += c.refusals[i]
	}
	for i := range s.marks {
		s.marks[i] += c.marks[i]
	}
	s.events += c.events
	s.reads += c.watch.granted
	s.commits += int(c.watch.highest)
}

// demand: a run in which nothing happened proves nothing.
func (s *totals) demand(t *testing.T, seeds int) {
	for k := FactRole; k <= FactTransferEnded; k++ {
		switch k {
		case FactInvalidMessage, FactUnknownMember, FactSnapshotNeeded:
		default:
			if s.facts[k] == 0 {
				t.Errorf("%s never happened", k)
			}
		}
	}
	for m := MarkChangeElsewhere; m <= MarkWitnessRead; m++ {
		switch m {
		case MarkCatchUpSnapshot, MarkCatchUpUnsafe, MarkTimeoutNowUnelectable, MarkTransferRefused,
			MarkTransferTargetRemoved: // scripts show these
		default:
			if s.marks[m] == 0 {
				t.Errorf("the branch %s was never taken", m)
			}
		}
	}
	if s.reads < seeds || s.commits < 10*seeds {
		t.Errorf("%d worlds with %d commits and %d reads", seeds, s.commits, s.reads)
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
