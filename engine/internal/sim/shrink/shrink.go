// Package shrink makes a failing run small: fewer kinds of trouble, fewer events, fewer
// single troubles. What it returns fails by the same check, and replays bit for bit.
package shrink

import (
	"slices"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
)

// Result is the smallest failing run that was found.
type Result struct {
	Options sim.Options
	Report  sim.Report
	Runs    int // that it took
}

// Shrink makes o smaller, which must fail, until nothing more can be left out or the
// time is over. The order is that of how much each step saves: whole kinds of trouble,
// the end of the run, then halves, quarters, ... of the single troubles (delta
// debugging).
func Shrink(run func(sim.Options) sim.Report, o sim.Options, budget time.Duration) Result {
	o.Trace = nil
	s := &shrinker{run: run, until: time.Now().Add(budget)}
	s.best = Result{o, run(o), 1}
	if s.best.Report.Failure == nil {
		return s.best
	}
	s.check = s.best.Report.Failure.Check
	s.kinds()
	s.end()
	s.singles()
	s.kinds()
	s.best.Runs = s.runs + 1
	return s.best
}

type shrinker struct {
	run   func(sim.Options) sim.Report
	until time.Time
	check string
	best  Result
	runs  int
}

// try keeps o if it fails as the first run did.
func (s *shrinker) try(o sim.Options) bool {
	if time.Now().After(s.until) {
		return false
	}
	s.runs++
	r := s.run(o)
	if r.Failure == nil || r.Failure.Check != s.check {
		return false
	}
	s.best.Options, s.best.Report = o, r
	return true
}

// kinds leaves out each kind of trouble that is not needed.
func (s *shrinker) kinds() {
	for _, name := range s.best.Report.Faults.Names() {
		o := s.best.Options
		if slices.Contains(o.Without, name) {
			continue
		}
		o.Without = append(slices.Clone(o.Without), name)
		s.try(o)
	}
}

// end ends the faults early, where liveness is at stake; other failures end a run by
// themselves.
func (s *shrinker) end() {
	if s.check != "liveness" {
		return
	}
	high := s.best.Report.Events
	for low := uint64(1); low < high; {
		mid := low + (high-low)/2
		o := s.best.Options
		o.Events = mid
		if s.try(o) {
			high = mid
		} else {
			low = mid + 1
		}
		if time.Now().After(s.until) {
			return
		}
	}
}

// singles leaves out ranges of single troubles, large ones first.
func (s *shrinker) singles() {
	for size := max(1, s.best.Report.Troubles/2); size >= 1; size /= 2 {
		for from := uint64(0); from < s.best.Report.Troubles; from += size {
			if time.Now().After(s.until) {
				return
			}
			o := s.best.Options
			o.Skip = with(o.Skip, sim.Range{From: from, To: min(from+size, s.best.Report.Troubles)})
			if len(o.Skip) > 0 && !slices.Equal(o.Skip, s.best.Options.Skip) {
				s.try(o)
			}
		}
	}
}

// with adds a range to ascending ranges that do not overlap.
func with(ranges []sim.Range, r sim.Range) []sim.Range {
	all := append(slices.Clone(ranges), r)
	slices.SortFunc(all, func(a, b sim.Range) int { return int(int64(a.From) - int64(b.From)) })
	out := all[:1]
	for _, next := range all[1:] {
		if last := &out[len(out)-1]; next.From <= last.To {
			last.To = max(last.To, next.To)
		} else {
			out = append(out, next)
		}
	}
	return out
}
