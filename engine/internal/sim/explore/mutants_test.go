//go:build mutants

package explore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/explore"
)

// TestSearchFindsSeededBugs: what can go wrong in a small scope is found there.
//
//	go test -tags mutants -run TestSearchFindsSeededBugs -v ./engine/internal/sim/explore
func TestSearchFindsSeededBugs(t *testing.T) {
	scopes := []explore.Scope{
		{Nodes: 3, Terms: 1, Commands: 1},
		{Nodes: 3, Terms: 1, Crashes: 1},
		{Nodes: 2, Terms: 3, Commands: 2, Crashes: 1, Losses: 1, Doubles: 1},
		{Nodes: 3, Terms: 2, Commands: 1, Beats: 1},
		{Nodes: 3, Terms: 3, Commands: 2, Beats: 1, Crashes: 1, Losses: 1, Doubles: 1},
	}
	found := []string{"M02", "M09", "M14", "M16", "M18"}
	for which, name := range raft.Mutants() {
		id, _, _ := strings.Cut(name, "-")
		if which == 0 || id > "M18" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, scope := range scopes {
				scope.Mutant = which
				s := explore.New(scope)
				s.Run(40_000)
				if s.Err() != nil {
					t.Logf("%s: scope %d, %d states: %s", name, i, s.States, strings.SplitN(s.Err().Error(), "\n", 2)[0])
					return
				}
			}
			if slices.Contains(found, id) {
				t.Error("survived")
			}
			t.Logf("%s survived", name)
		})
	}
}
