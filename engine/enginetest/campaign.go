package enginetest

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/shrink"
)

// Campaign is a run of many seeds, each in a world of its own, on all processors.
type Campaign struct {
	Profile     Profile
	First       uint64 // seed
	Seeds       uint64
	Events      uint64 // of the phase of faults of each seed; 0: as the seed has it
	Mutant      int    // a seeded bug to switch on; 0: none
	MaxFailures int    // the campaign ends after so many; 0: 10
}

// Undecided is the Check of a failure that says nothing of the cluster: an oracle reached its
// limit before it could tell. A limit depends on the seed alone.
const Undecided = sim.Undecided

// Summary is what a campaign tells.
type Summary struct {
	Profile    string        `json:"profile"`
	First      uint64        `json:"first_seed"`
	Seeds      uint64        `json:"seeds"` // that were run
	Events     uint64        `json:"events"`
	Deliveries uint64        `json:"deliveries"`
	Simulated  int64         `json:"simulated_ns"`
	Elapsed    time.Duration `json:"elapsed_ns"`
	Processors int           `json:"processors"`
	PerSecond  float64       `json:"events_per_second_per_processor"`
	Hash       uint64        `json:"hash"` // over all seeds, in their order
	Faults     Counts        `json:"faults"`
	Did        Counts        `json:"did"`
	Marks      Counts        `json:"marks"`
	Failures   []Report      `json:"failures,omitempty"`
	Undecided  uint64        `json:"undecided,omitempty"` // of the failures: those of an oracle that reached its limit
	Invalid    string        `json:"invalid,omitempty"`   // why a run without failures proves nothing
}

// Green reports whether nothing failed and enough was tried.
func (s *Summary) Green() bool { return len(s.Failures) == 0 && s.Invalid == "" }

// Run runs the campaign. each, if not nil, is called for every seed as it ends, one at
// a time, in no particular order.
func (c Campaign) Run(each func(Report)) Summary {
	most := c.MaxFailures
	if most == 0 {
		most = 10
	}
	began, workers := time.Now(), runtime.GOMAXPROCS(0)
	var next, failed atomic.Uint64
	var mu sync.Mutex
	var running sync.WaitGroup
	reports := make([]Report, c.Seeds)
	for range workers {
		running.Go(func() {
			run := c.Profile.runner()
			for int(failed.Load()) < most {
				i := next.Add(1) - 1
				if i >= c.Seeds {
					return
				}
				r := run(Options{Seed: c.First + i, Events: c.Events, Mutant: c.Mutant})
				if r.Failure != nil {
					failed.Add(1)
				}
				mu.Lock()
				reports[i] = r
				if each != nil {
					each(r)
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return c.sum(reports, time.Since(began), workers)
}

func (c Campaign) sum(reports []Report, elapsed time.Duration, workers int) Summary {
	s := Summary{
		Profile: c.Profile.Name, First: c.First, Elapsed: elapsed, Processors: workers,
		Faults: Counts{}, Did: Counts{}, Marks: Counts{},
	}
	var hash schedule.Hash
	for i := range reports {
		r := &reports[i]
		if r.Events == 0 && r.Failure == nil {
			continue // the campaign ended before
		}
		s.Seeds++
		s.Events += r.Events
		s.Deliveries += r.Deliveries
		s.Simulated += r.Simulated
		s.Faults.Sum(r.Faults)
		s.Did.Sum(r.Did)
		s.Marks.Sum(r.Marks)
		hash.Add(r.Hash)
		if r.Failure != nil {
			s.Failures = append(s.Failures, *r)
			if r.Failure.Check == Undecided {
				s.Undecided++
			}
		}
	}
	s.Hash = uint64(hash)
	s.PerSecond = float64(s.Events) / elapsed.Seconds() / float64(workers)
	const enough = 100 // worlds: a single one may be cut in pieces for most of its time
	switch {
	case s.Seeds >= enough && c.Events == 0 && s.Events < s.Seeds*c.Profile.EventsPerSeed:
		s.Invalid = "too few events"
	case s.Seeds >= enough && s.Deliveries*10 < s.Events*4:
		s.Invalid = "less than 40 % of the events are deliveries"
	case s.Seeds >= MarksFrom && c.Events == 0:
		missed := slices.DeleteFunc(slices.Clone(c.Profile.Marks), func(name string) bool { return s.Marks[name] > 0 })
		if len(missed) > 0 {
			s.Invalid = "marks that were never reached: " + strings.Join(missed, ", ")
		}
	}
	return s
}

// shrinkTime is what a failing test may spend on making its failure small.
const shrinkTime = 30 * time.Second

// Shrunk is a failing run made small.
type Shrunk struct {
	Options Options
	Report  Report
	Runs    int
}

// Shrink makes a failing run of a profile small, for at most that long.
func Shrink(p Profile, o Options, budget time.Duration) Shrunk {
	r := shrink.Shrink(p.Run, o, budget)
	return Shrunk(r)
}
