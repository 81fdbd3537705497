package explore_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/explore"
)

// TestSmallScopes searches small scopes completely, and larger ones up to a bound:
// more than a million distinct states together.
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
				if testing.Short() {
					c.most /= 20
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
	if sum < 1_000_000 && !testing.Short() && !t.Failed() {
		t.Errorf("%d states, want a million", sum)
	}
}
