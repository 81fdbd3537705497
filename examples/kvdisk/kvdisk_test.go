package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
	"github.com/seed-814fcd60/raftwire/examples/internal/trio"
)

func TestProgram(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if want := "greeting is hello\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

// All nodes stop and start again: what was acknowledged is there, and a command of a session that is sent again after the
// restart is answered as before, because the engine's memory of sessions is on disk with the pairs.
func TestEverythingOutlivesARestart(t *testing.T) {
	c, err := trio.Start(t.Context(), t.TempDir(), func(dir string) (engine.StateMachine, error) { return open(dir, vfs.Default) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	serial := engine.Serial{Session: s.ID(), Serial: 1}
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Node(leader).ProposeSerial(t.Context(), serial, []byte("a=1"))
	if err != nil {
		t.Fatal(err)
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		if err := c.StopNode(id); err != nil {
			t.Fatal(err)
		}
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		if err := c.StartNode(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if leader, err = c.Leader(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := c.Node(leader).ProposeSerial(t.Context(), serial, []byte("a=2"))
	if err != nil || again.Index != first.Index {
		t.Errorf("the command stood at %d, and after the restart at %d, %v", first.Index, again.Index, err)
	}
	value, err := c.Node(leader).Machine.Query([]byte("a"))
	if err != nil || string(value) != "1" {
		t.Errorf("a is %q, %v", value, err)
	}
}

func TestInTheSimulator(t *testing.T) {
	var mu sync.Mutex
	var opened []*store
	defer func() {
		for _, s := range opened {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	for seed := uint64(1); seed <= 3; seed++ {
		enginetest.Simulate(t, seed, enginetest.Machine{
			New: func() engine.StateMachine {
				s, err := open("", vfs.NewMem())
				if err != nil {
					panic(err)
				}
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, s)
				return s
			},
			Command: func(r *rand.Rand) []byte { return fmt.Appendf(nil, "%d=%d", r.IntN(10), r.IntN(100)) },
		})
	}
}
