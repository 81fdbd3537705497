//go:build mutants

package bare

import (
	"errors"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
)

// Verdict says what became of a seeded bug of the core.
type Verdict struct {
	ID      string  `json:"id"`   // of the test plan's table: "M07"
	Name    string  `json:"name"` // of the switch: "commit-for-last"
	Killed  bool    `json:"killed"`
	By      string  `json:"by"`      // the invariant, or what else noticed
	Seeds   uint64  `json:"seeds"`   // worlds until then
	Seconds float64 `json:"seconds"` // on one processor
	Detail  string  `json:"detail,omitempty"`
}

// Mutants returns the numbers of all seeded bugs: those of the core, then those of a
// driver.
func Mutants() (numbers []int) {
	for which := range raft.Mutants() {
		if which > 0 {
			numbers = append(numbers, which)
		}
	}
	for which := firstDriverMutant; which < driverMutantsEnd; which++ {
		numbers = append(numbers, which)
	}
	return numbers
}

// MutantName is a seeded bug's number in the test plan and what it does: M07-commit-for-last.
func MutantName(which int) string {
	if which >= firstDriverMutant {
		return driverMutants()[which-firstDriverMutant]
	}
	return raft.Mutants()[which]
}

// Where tells where the switch of a seeded bug is.
func Where(which int) string {
	if which >= firstDriverMutant {
		return "driver"
	}
	return "core"
}

// Hunt runs worlds with mutant number which until one of them is broken: at most so
// many, and no new one after so long. Every second one is judged by the model too. Worlds
// that do not have what the bug is about are left out.
func Hunt(which int, first, most uint64, budget time.Duration) Verdict {
	name := MutantName(which)
	v := Verdict{ID: name[:3], Name: name[4:]}
	start := time.Now()
	for seed := first; v.Seeds < most && !v.Killed && time.Since(start) < budget; seed++ {
		k := draw(seed)
		if !concerns(name, &k) {
			continue
		}
		w := New(Options{Seed: seed, Mutant: which, Model: v.Seeds%2 == 1 && !strings.HasPrefix(name, "M5")})
		w.Run()
		v.Seeds++
		if err := w.Err(); err != nil {
			v.Killed, v.By, v.Detail = true, judgeOf(err), err.Error()
		}
	}
	v.Seconds = time.Since(start).Seconds()
	return v
}

// concerns reports whether a world has what the bug is about.
func concerns(name string, k *Knobs) bool {
	switch name[:3] {
	case "M19", "M20", "M21", "M22", "M32", "M34":
		return k.Changes > 0
	case "M25", "M26", "M28", "M30", "M48":
		return k.SnapshotEach > 0
	case "M38":
		return k.Transfers > 0
	case "M39", "M52":
		return k.Core.ClockBound > 0
	case "M57":
		return k.Core.ClockBound > 0 && k.Tune > 0
	case "M51":
		return k.Odd.Plot == amnesia
	case "M53", "M54":
		return k.Damage > 0
	case "M55":
		return k.Odd.Plot == lapse
	}
	return name != "M35-not-random" || k.Odd.Lockstep
}

// judgeOf names who objected.
func judgeOf(err error) string {
	var violation *invariant.Violation
	var rejection *model.Rejection
	var broken *raft.BrokenError
	switch {
	case errors.As(err, &violation):
		return string(violation.ID)
	case errors.As(err, &rejection):
		return "model " + rejection.Rule
	case errors.As(err, &broken):
		return "core"
	}
	_, text, _ := strings.Cut(err.Error(), "us: ")
	by, _, _ := strings.Cut(text, ":")
	if by != "liveness" && (len(by) > 3 || by[0] != 'I') {
		by = "world" // its own bookkeeping
	}
	return by
}

// driverMutants are the names of the constants from firstDriverMutant on.
func driverMutants() []string {
	return []string{
		"M03-term-alone", "M28-compact-early", "M29-applied-apart", "M31-flags-decide", "M41-sync-ignored", "M43-truncation-lost",
	}
}
