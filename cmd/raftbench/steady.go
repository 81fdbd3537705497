package main

import (
	"math"
	"time"
)

const (
	// steadyEvery is how often throughput is looked at while warming up.
	steadyEvery = 200 * time.Millisecond
	// ticksPerLine of them make a line of progress.
	ticksPerLine = 5
	// steadyWindows of them in a row must agree within steadySpread, as the standard
	// deviation by the mean: then the load has settled.
	steadyWindows = 5
	steadySpread  = 0.10
)

// warmupConfig says how long a load runs before it is measured.
type warmupConfig struct {
	atLeast, atMost time.Duration // equal: a fixed time
}

// steadiness finds the end of the warm-up: the moment from which throughput no longer
// moves. Segments are written for the first time, connections grow their windows, and
// the first seconds say little about the rest.
type steadiness struct {
	atLeast time.Duration
	last    uint64
	rates   []float64 // the newest ones
	steady  bool
	fixed   bool
}

func newSteadiness(c warmupConfig) *steadiness {
	return &steadiness{atLeast: c.atLeast, fixed: c.atLeast == c.atMost}
}

// enough takes note of the operations acknowledged so far, every steadyEvery, and says
// whether the warm-up may end. The nil steadiness never says so.
func (s *steadiness) enough(elapsed time.Duration, acked uint64) bool {
	if s == nil {
		return false
	}
	s.rates = append(s.rates, float64(acked-s.last))
	s.last = acked
	if len(s.rates) > steadyWindows {
		s.rates = s.rates[1:]
	}
	s.steady = len(s.rates) == steadyWindows && spread(s.rates) <= steadySpread
	return s.steady && !s.fixed && elapsed >= s.atLeast
}

// spread returns the standard deviation by the mean; infinite when the mean is 0.
func spread(list []float64) float64 {
	var sum, squares float64
	for _, v := range list {
		sum += v
	}
	mean := sum / float64(len(list))
	if mean == 0 {
		return math.Inf(1)
	}
	for _, v := range list {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares/float64(len(list))) / mean
}
