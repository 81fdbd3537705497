//go:build mutants

package enginetest

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/bare"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/world"
)

// seeded is a bug and the worlds that it is hidden in.
type seeded struct {
	id, name, where string
	hunt            func(MutantHunt) MutantVerdict
}

// Mutants hides the seeded bugs in worlds until one of them notices. It uses all
// processors. The verdicts come in the order of the table.
func Mutants(h MutantHunt) ([]MutantVerdict, error) {
	table := slices.DeleteFunc(seededBugs(), func(s seeded) bool { return !strings.HasPrefix(s.id, h.Only) })
	if h.Parts > 1 {
		var part []seeded
		for i := h.Part; i < len(table); i += h.Parts {
			part = append(part, table[i])
		}
		table = part
	}
	verdicts := make([]MutantVerdict, len(table))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(table); i = next.Add(1) - 1 {
				s := &table[i]
				v := s.hunt(h)
				v.ID, v.Name, v.Where = s.id, s.name, s.where
				verdicts[i] = v
			}
		})
	}
	wait.Wait()
	return verdicts, nil
}

// seededBugs is the table, by id. Those that share one are told apart by a letter.
func seededBugs() []seeded {
	var table []seeded
	add := func(name, where string, hunt func(MutantHunt) MutantVerdict) {
		table = append(table, seeded{name[:3], name[4:], where, hunt})
	}
	for _, which := range bare.Mutants() {
		add(bare.MutantName(which), bare.Where(which), func(h MutantHunt) MutantVerdict {
			v := bare.Hunt(which, 1, h.Seeds, h.Budget)
			return MutantVerdict{Killed: v.Killed, By: v.By, Seeds: v.Seeds, Seconds: v.Seconds}
		})
	}
	for _, which := range world.Mutants() {
		add(world.MutantName(which), world.Where(which), func(h MutantHunt) MutantVerdict { return huntInWorlds(which, h) })
	}
	slices.SortStableFunc(table, func(a, b seeded) int { return cmp.Compare(a.id, b.id) })
	for i := 0; i < len(table); {
		k := i + 1
		for k < len(table) && table[k].id == table[i].id {
			k++
		}
		for variant := range table[i:k] {
			if k > i+1 {
				table[i+variant].id = fmt.Sprintf("%s%c", table[i+variant].id[:3], 'a'+variant)
			}
		}
		i = k
	}
	return table
}

// huntInWorlds runs worlds of the driver and the log with a seeded bug until one is red.
func huntInWorlds(which int, h MutantHunt) (v MutantVerdict) {
	start := time.Now()
	for seed := uint64(1); v.Seeds < h.Seeds && !v.Killed && time.Since(start) < h.Budget; seed++ {
		if !world.Concerns(which, seed) {
			continue
		}
		v.Seeds++
		if f := world.Run(Options{Seed: seed, Mutant: which}).Failure; f != nil {
			v.Killed, v.By = true, f.Check
		}
	}
	v.Seconds = time.Since(start).Seconds()
	return v
}
