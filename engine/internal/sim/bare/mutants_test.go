//go:build mutants

package bare_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/bare"
)

var worldsFlag = flag.Uint64("worlds", 3000, "how many worlds each mutant must hide in to survive")

// TestMutantsAreKilled: each bug that was planted in the core breaks a world.
//
//	go test -tags mutants -run TestMutantsAreKilled -v ./engine/internal/sim/bare
func TestMutantsAreKilled(t *testing.T) {
	for _, which := range bare.Mutants() {
		t.Run(bare.MutantName(which), func(t *testing.T) {
			t.Parallel()
			v := bare.Hunt(which, 1, *worldsFlag, time.Minute)
			if !v.Killed {
				t.Fatalf("survived %d worlds, %.1f s", v.Seeds, v.Seconds)
			}
			t.Logf("%s killed by %s in world %d, %.2f s: %s", v.ID, v.By, v.Seeds, v.Seconds, strings.SplitN(v.Detail, "\n", 2)[0])
		})
	}
}
