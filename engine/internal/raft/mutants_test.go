//go:build mutants

package raft

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestMutantsAreKilled switches every seeded bug on in turn: the random worlds
// or the stories must notice each of them, and neither anything without.
//
//	go test -tags mutants -run TestMutantsAreKilled -v ./engine/internal/raft
func TestMutantsAreKilled(t *testing.T) {
	most := *seedsFlag * 10
	for m := mutCommitOldTerm; int(m) < len(mutantNames()); m++ {
		t.Run(m.String(), func(t *testing.T) {
			story := storyKill(t, m)
			seed, why := firstKill(m, most)
			if seed == 0 && story != "" {
				seed, why = 1, "the story "+story
			}
			if seed == 0 {
				t.Fatalf("survived %d worlds", most)
			}
			t.Logf("killed by %s", strings.SplitN(why, "\n", 2)[0])
		})
	}
}

// firstKill returns a world that notices the mutant, and what it saw.
func firstKill(m mutant, most uint64) (seed uint64, why string) {
	var next atomic.Uint64
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for s := next.Add(1); s <= most; s = next.Add(1) {
				c := world(s, m, nil)
				if c.failed == "" {
					continue
				}
				mu.Lock()
				if seed == 0 || s < seed {
					seed, why = s, c.failed
				}
				mu.Unlock()
				next.Store(most)
			}
		})
	}
	wait.Wait()
	return seed, why
}
