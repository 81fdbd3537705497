//go:build mutants

package world

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/wal"
)

// mutation switches one seeded bug on. A test that does not notice it proves nothing.
type mutation struct{ active int }

// Where the numbers of the seeded bugs begin: those of the core stand first.
const (
	firstOwn     = 2000
	firstRuntime = 2100
	firstLog     = 2200
)

func names() []string {
	return []string{
		mutSessionsForgotten: "M27-sessions-not-in-snapshot",
		mutAppliedApart:      "M29-applied-apart-on-disk",
		mutFlagsDecide:       "M31-flags-decide-at-start",
		mutExpiryByClock:     "M45-expiry-by-clock",
		mutApplyByClock:      "M46-apply-by-clock",
		mutProposedAgain:     "M49-proposed-again",
	}
}

// Mutants returns the numbers of the seeded bugs that only these worlds can hold.
func Mutants() (numbers []int) {
	for first, names := range [][]string{names(), runtime.Mutants(), wal.Mutants()} {
		for i := 1; i < len(names); i++ {
			numbers = append(numbers, firstOwn+100*first+i)
		}
	}
	return numbers
}

// MutantName is a seeded bug's number in the test plan and what it does:
// M07-commit-for-last.
func MutantName(which int) string {
	switch {
	case which < firstOwn:
		return raft.Mutants()[which]
	case which < firstRuntime:
		return names()[which-firstOwn]
	case which < firstLog:
		return runtime.Mutants()[which-firstRuntime]
	default:
		return wal.Mutants()[which-firstLog]
	}
}

func newMutation(which int) mutation { return mutation{which} }

func (m mutation) mutated(which mutant) bool { return m.active == firstOwn+int(which) }

func (m mutation) mutateLog(o *wal.Options) { wal.Mutate(o, max(0, m.active-firstLog)) }

func (m mutation) mutateHost(h *runtime.Host) {
	if m.active > firstRuntime && m.active < firstLog {
		runtime.Mutate(h, m.active-firstRuntime)
	}
}

func (m mutation) mutateCore(n *raft.Node) {
	if m.active < firstOwn {
		raft.Mutate(n, m.active)
	}
}

// Where tells what a seeded bug is a bug of.
func Where(which int) string {
	switch {
	case which < firstOwn:
		return "core"
	case which >= firstLog:
		return "log"
	case which >= firstRuntime:
		return "driver"
	}
	switch mutant(which - firstOwn) {
	case mutSessionsForgotten, mutExpiryByClock:
		return "session"
	case mutAppliedApart, mutApplyByClock:
		return "state machine"
	case mutProposedAgain:
		return "client"
	default:
		return "driver"
	}
}

// Concerns reports whether the world of a seed has what a seeded bug is about: hunting
// for it in others is a waste.
func Concerns(which int, seed uint64) bool {
	k := draw(seed, nil)
	crashes := k.rate[crash] > 0 || k.rate[crashInside] > 0 || k.rate[crashDisk] > 0 || k.rate[crashLoop] > 0
	switch MutantName(which)[:3] {
	case "M40":
		return k.rate[flip] > 0
	case "M41":
		return k.rate[diskError] > 0 && k.survival < 1
	case "M42":
		return crashes && k.survival < 1
	case "M43":
		return crashes && k.rate[newLeader] > 0
	case "M44":
		return k.groups > 1
	default:
		return true
	}
}
