//go:build mutants

package enginetest

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/bare"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/world"
)

// Mutants hides every seeded bug in worlds, most of them at most and none after
// budget, until one of them notices. It uses all processors.
func Mutants(most uint64, budget time.Duration) ([]MutantVerdict, error) {
	numbers := append(bare.Mutants(), world.Mutants()...)
	verdicts := make([]MutantVerdict, len(numbers))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(numbers); i = next.Add(1) - 1 {
				if i >= int64(len(numbers)-len(world.Mutants())) {
					verdicts[i] = hunt(numbers[i], most, budget)
					continue
				}
				v := bare.Hunt(numbers[i], 1, most, budget)
				verdicts[i] = MutantVerdict{v.ID, v.Name, v.Killed, v.By, v.Seeds, v.Seconds}
			}
		})
	}
	wait.Wait()
	return verdicts, nil
}

// hunt runs worlds of the driver and the log with a seeded bug until one is red.
func hunt(which int, most uint64, budget time.Duration) MutantVerdict {
	id, name, _ := strings.Cut(world.MutantName(which), "-")
	v := MutantVerdict{ID: id, Name: name}
	start := time.Now()
	for ; v.Seeds < most && !v.Killed && time.Since(start) < budget; v.Seeds++ {
		if f := world.Run(Options{Seed: 1 + v.Seeds, Mutant: which}).Failure; f != nil {
			v.Killed, v.By = true, f.Check
		}
	}
	v.Seconds = time.Since(start).Seconds()
	return v
}
