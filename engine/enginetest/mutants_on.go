//go:build mutants

package enginetest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/bare"
)

// Mutants hides every seeded bug in worlds, most of them at most and none after
// budget, until one of them notices. It uses all processors.
func Mutants(most uint64, budget time.Duration) ([]MutantVerdict, error) {
	numbers := bare.Mutants()
	verdicts := make([]MutantVerdict, len(numbers))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(numbers); i = next.Add(1) - 1 {
				v := bare.Hunt(numbers[i], 1, most, budget)
				verdicts[i] = MutantVerdict{v.ID, v.Name, v.Killed, v.By, v.Seeds, v.Seconds}
			}
		})
	}
	wait.Wait()
	return verdicts, nil
}
