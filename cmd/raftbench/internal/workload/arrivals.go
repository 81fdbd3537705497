package workload

import (
	"math/rand/v2"
	"time"
)

// Arrivals is when one client of an open loop has to send: at moments that do not depend
// on when answers come. Latency counts from these moments, also for an operation that
// was sent late because the one before took long; otherwise a stall would hide the
// operations that were not sent during it (coordinated omission).
type Arrivals struct {
	interval float64 // mean, in nanoseconds
	random   bool
	next     float64
	r        *rand.Rand
}

// NewArrivals plans the operations of one client out of clients that together send
// rate operations per second: evenly, or in random intervals (a Poisson process).
func NewArrivals(rate float64, clients int, poisson bool, r *rand.Rand) Arrivals {
	a := Arrivals{interval: float64(time.Second) * float64(clients) / rate, random: poisson, r: r}
	a.next = a.interval * r.Float64() // clients do not start at the same moment
	return a
}

// Next returns the moment of the next operation since the start of the load. It never
// goes back.
func (a *Arrivals) Next() time.Duration {
	at := time.Duration(a.next)
	step := a.interval
	if a.random {
		step *= a.r.ExpFloat64()
	}
	a.next += step
	return at
}
