package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
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
	want := "ada acquires: true\ngrace acquires at attempt 5, and writes: true\nada renews: false, and writes all the same: false\n"
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestRules(t *testing.T) {
	m := new(mutex)
	for i, c := range []struct {
		at   engine.Index
		r    request
		ok   bool
		then hold
	}{
		{10, request{Do: "acquire", Owner: "a", Lasts: 5}, true, hold{"a", 10, 15}},
		{11, request{Do: "acquire", Owner: "a", Lasts: 5}, false, hold{"a", 10, 15}},
		{12, request{Do: "renew", Owner: "a", Token: 9, Lasts: 5}, false, hold{"a", 10, 15}},
		{13, request{Do: "renew", Owner: "b", Token: 10, Lasts: 5}, false, hold{"a", 10, 15}},
		{14, request{Do: "renew", Owner: "a", Token: 10, Lasts: 5}, true, hold{"a", 10, 19}},
		{15, request{Do: "renew", Owner: "a", Token: 10, Lasts: 1}, true, hold{"a", 10, 19}},
		{19, request{Do: "acquire", Owner: "b", Lasts: 5}, false, hold{"a", 10, 19}},
		{20, request{Do: "renew", Owner: "a", Token: 10, Lasts: 5}, false, hold{}},
		{21, request{Do: "acquire", Owner: "b", Lasts: 5}, true, hold{"b", 21, 26}},
		{22, request{Do: "release", Owner: "a", Token: 10}, false, hold{"b", 21, 26}},
		{23, request{Do: "release", Owner: "b", Token: 21}, true, hold{}},
		{24, request{Do: "acquire", Owner: "", Lasts: 5}, false, hold{}},
		{25, request{Do: "acquire", Owner: "c"}, false, hold{}},
		{26, request{Do: "dance", Owner: "c"}, false, hold{}},
	} {
		if ok := m.apply(&c.r, c.at); ok != c.ok || m.hold != c.then {
			t.Errorf("step %d: %v %+v, want %v %+v", i, ok, m.hold, c.ok, c.then)
		}
	}
}

// Clients at all nodes take the lock in turn, while the leader is stopped: never do two have it with the same token, and tokens
// rise in the order in which the lock was had.
func TestOneHolderAtATime(t *testing.T) {
	c, err := trio.Start(t.Context(), t.TempDir(), func(string) (engine.StateMachine, error) { return new(mutex), nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var inside atomic.Int64
	var last engine.Index // of who is inside
	var running sync.WaitGroup
	for i := range 4 {
		node := c.Node((leader+engine.NodeID(i%2))%3 + 1) // not the one that is stopped
		running.Go(func() {
			s, err := node.Session(t.Context())
			k := client{s, fmt.Sprint("client ", i)}
			for held := 0; held < 5 && err == nil; {
				var r reply
				// For longer than the others can write entries while this one waits for the processor.
				if r, err = k.send(t.Context(), request{Do: "acquire", Lasts: 1 << 40}); err != nil || !r.OK {
					continue
				}
				if inside.Add(1) != 1 || r.Token <= last {
					t.Errorf("token %d is inside with another one, or after token %d", r.Token, last)
				}
				last = r.Token
				held++
				inside.Add(-1)
				_, err = k.send(t.Context(), request{Do: "release", Token: r.Token})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.StopNode(leader); err != nil {
		t.Fatal(err)
	}
	running.Wait()
}

func TestInTheSimulator(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		enginetest.Simulate(t, seed, enginetest.Machine{
			New: func() engine.StateMachine { return new(mutex) },
			Command: func(r *rand.Rand) []byte {
				b, _ := json.Marshal(request{
					Do:    []string{"acquire", "acquire", "renew", "release"}[r.IntN(4)],
					Owner: fmt.Sprint(r.IntN(3)), Token: engine.Index(r.IntN(50)), Lasts: engine.Index(r.IntN(8)),
				})
				return b
			},
		})
	}
}
