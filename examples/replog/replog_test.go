package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
	"github.com/seed-814fcd60/raftwire/examples/internal/trio"
)

func TestProgram(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := "\"first\" has offset 0\n\"second\" has offset 1\n\"third\" has offset 2\nfrom offset 1 on: [\"second\" \"third\"]\n"
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// Several producers append at once, and a node is stopped and started meanwhile: every consumer sees the same order, with
// each producer's records in the order in which it appended them, each once.
func TestAllConsumersSeeOneOrder(t *testing.T) {
	c, err := trio.Start(t.Context(), t.TempDir(), func(string) (engine.StateMachine, error) { return new(records), nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const producers, each = 4, 30
	var mu sync.Mutex
	var last engine.Index
	var running sync.WaitGroup
	for p := range producers {
		node := c.Node(engine.NodeID(p%2 + 1)) // node 3 is stopped below
		running.Go(func() {
			s, err := node.Session(t.Context())
			for i := 0; i < each && err == nil; i++ {
				var r engine.Result
				r, err = s.Propose(t.Context(), fmt.Appendf(nil, "%d %d", p, i))
				mu.Lock()
				last = max(last, r.Index)
				mu.Unlock()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.StopNode(3); err != nil {
		t.Fatal(err)
	}
	if err := c.StartNode(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	var first [][]byte
	for id := engine.NodeID(1); id <= 3; id++ {
		all, err := consume(t.Context(), c.Node(id), 0, last)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = all
		}
		if !slices.EqualFunc(first, all, bytes.Equal) {
			t.Fatalf("node %d has %q, another %q", id, all, first)
		}
	}
	next := map[int]int{}
	for _, record := range first {
		var p, i int
		if _, err := fmt.Sscanf(string(record), "%d %d", &p, &i); err != nil || next[p] != i {
			t.Fatalf("%q where %d of producer %d was due", record, next[p], p)
		}
		next[p]++
	}
	if len(first) != producers*each {
		t.Errorf("%d records, want %d", len(first), producers*each)
	}
}

func TestInTheSimulator(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		enginetest.Simulate(t, seed, enginetest.Machine{
			New:     func() engine.StateMachine { return new(records) },
			Command: func(r *rand.Rand) []byte { return make([]byte, r.IntN(100)) },
		})
	}
}
