package explore_test

import (
	"flag"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/explore"
)

var million = flag.Bool("million", false, "search the scopes up to more than a million states together, as .ci/run sim does; a fifth otherwise")

// TestSmallScopes searches small scopes completely, and larger ones up to a bound.
func TestSmallScopes(t *testing.T) {
	scopes := []struct {
		name     string
		scope    explore.Scope
		most     int
		complete bool
	}{
		{"one leader, one command", explore.Scope{Nodes: 3, Terms: 1, Commands: 1}, 400_000, true},
		{"a crash in an election", explore.Scope{Nodes: 3, Terms: 1, Crashes: 1}, 400_000, true},
		{"elections of two", explore.Scope{Nodes: 2, Terms: 2, Commands: 1, Losses: 1}, 400_000, true},
		{"everything once", explore.Scope{Nodes: 3, Terms: 2, Commands: 2, Beats: 1, Crashes: 1, Losses: 1, Doubles: 1}, 400_000, false},
		{"three terms", explore.Scope{Nodes: 3, Terms: 3, Commands: 2, Crashes: 1}, 300_000, false},
		{"two nodes", explore.Scope{Nodes: 2, Terms: 3, Commands: 2, Crashes: 2, Losses: 1, Doubles: 1}, 300_000, false},
	}
	total := make([]int, len(scopes))
	t.Run("scope", func(t *testing.T) {
		for i, c := range scopes {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s := explore.New(c.scope)
				switch {
				case testing.Short():
					c.most /= 20
				case !*million && !c.complete:
					c.most /= 5
				}
				s.Run(c.most)
				t.Logf("%d states, %d steps, complete: %v", s.States, s.Steps, s.Complete)
				if s.Err() != nil {
					t.Fatal(s.Err())
				}
				if c.complete && !s.Complete && !testing.Short() {
					t.Errorf("not all of the scope was seen")
				}
				total[i] = s.States
			})
		}
	})
	sum := 0
	for _, n := range total {
		sum += n
	}
	least := 200_000
	if *million {
		least = 1_000_000
	}
	if t.Logf("%d states", sum); sum < least && !testing.Short() && !t.Failed() {
		t.Errorf("%d states, want %d", sum, least)
	}
}
