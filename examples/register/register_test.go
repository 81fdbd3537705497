package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
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
	want := "ada writes after version 0: true, the register has \"ada\"\n" +
		"grace writes after version 0: false, the register has \"ada\"\n"
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// Many writers, each reading and writing until it has won a few times: every version is won exactly once.
func TestEveryVersionHasOneWinner(t *testing.T) {
	const writers, wins = 6, 10
	c, err := trio.Start(t.Context(), t.TempDir(), func(string) (engine.StateMachine, error) { return new(register), nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var mu sync.Mutex
	winner := map[uint64]int{}
	var running sync.WaitGroup
	for w := range writers {
		node := c.Node(engine.NodeID(w%3 + 1))
		running.Go(func() {
			s, err := node.Session(t.Context())
			for won := 0; won < wins && err == nil; {
				var seen state
				if seen, err = get(t.Context(), node); err != nil {
					break
				}
				var a answer
				if a, err = set(t.Context(), s, seen.Version, fmt.Sprint(w)); err == nil && a.Written {
					won++
					mu.Lock()
					if other, taken := winner[a.Version]; taken {
						t.Errorf("version %d was won by %d and %d", a.Version, other, w)
					}
					winner[a.Version] = w
					mu.Unlock()
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if len(winner) != writers*wins {
		t.Errorf("%d versions were won, want %d", len(winner), writers*wins)
	}
}

func TestInTheSimulator(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		enginetest.Simulate(t, seed, enginetest.Machine{
			New: func() engine.StateMachine { return new(register) },
			Command: func(r *rand.Rand) []byte {
				b, _ := json.Marshal(write{r.Uint64N(20), fmt.Sprint(r.IntN(9))})
				return b
			},
		})
	}
}
