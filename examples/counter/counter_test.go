package main

import (
	"bytes"
	"math/rand/v2"
	"strconv"
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
	if want := "add 1: 1\nadd 20: 21\nadd 300: 321\nanother node says 321\n"; out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// Commands in a session count once each, though the leader stops in the middle and another one takes over.
func TestTheLeaderStops(t *testing.T) {
	c, err := trio.Start(t.Context(), t.TempDir(), func(string) (engine.StateMachine, error) { return new(counter), nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Node(leader%3 + 1).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := int64(1); i <= 20; i++ {
		if i == 10 {
			if err := c.StopNode(leader); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.Propose(t.Context(), []byte("1"))
		if err != nil || string(r.Data) != strconv.FormatInt(i, 10) {
			t.Fatalf("after %d additions of 1 the sum is %q, %v", i, r.Data, err)
		}
	}
}

// The same machine in the simulator: crashes, lost messages, snapshots, in worlds that follow from their seeds.
func TestInTheSimulator(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		enginetest.Simulate(t, seed, enginetest.Machine{
			New:     func() engine.StateMachine { return new(counter) },
			Command: func(r *rand.Rand) []byte { return strconv.AppendInt(nil, r.Int64N(1000)-500, 10) },
		})
	}
}
