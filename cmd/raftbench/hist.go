package main

import (
	"math/bits"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

const (
	// A latency is kept with 3 significant digits, from 100 ns to 10 minutes; a longer
	// one counts as 10 minutes.
	lowestLatency  = 100 * time.Nanosecond
	highestLatency = 10 * time.Minute
	latencyDigits  = 3

	// pendingLatencies is how many a client collects before it takes the lock of its
	// histogram: 256 operations share one lock, so clients do not meet there.
	pendingLatencies = 256
)

// sample is one operation that was acknowledged.
type sample struct {
	latency time.Duration // from the moment it was due
	service time.Duration // from the moment it was sent: less, when it was sent late
	slot    int32         // of the timeline, by when it ended
	read    bool
}

// latencyShard collects the latencies of several clients.
type latencyShard struct {
	mu                    sync.Mutex
	writes, reads, served *hdrhistogram.Histogram // reads and served: made when there is one
	slots                 []slot
}

func newHDR() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(lowestLatency), int64(highestLatency), latencyDigits)
}

func newShard() *latencyShard { return &latencyShard{writes: newHDR()} }

// record adds samples.
func (h *latencyShard) record(list []sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range list {
		s := &list[i]
		into := &h.writes
		if s.read {
			into = &h.reads
		}
		recordIn(into, s.latency)
		if s.service != s.latency {
			recordIn(&h.served, s.service)
		}
		for int(s.slot) >= len(h.slots) {
			h.slots = append(h.slots, slot{})
		}
		h.slots[s.slot].add(s.latency)
	}
}

func recordIn(h **hdrhistogram.Histogram, d time.Duration) {
	if *h == nil {
		*h = newHDR()
	}
	// The value is in range, which is the only thing RecordValue objects to.
	_ = (*h).RecordValue(int64(min(max(d, 0), highestLatency)))
}

// slotBuckets are eight per doubling, from 1 us to more than highestLatency.
const slotBuckets = 8 * 30

// slot is one interval of the timeline. Its quantiles are at most an eighth too high,
// which is enough to see when something happened.
type slot struct {
	ops     uint64
	buckets [slotBuckets]uint32
}

func (s *slot) add(d time.Duration) {
	us := uint64(max(d/time.Microsecond, 1))
	e := bits.Len64(us) - 1
	s.ops++
	s.buckets[min(8*e+int(us<<3>>e&7), slotBuckets-1)]++
}

func (s *slot) merge(o *slot) {
	s.ops += o.ops
	for i, n := range o.buckets {
		s.buckets[i] += n
	}
}

// quantile returns a bound in microseconds that the share q keeps, 0 when there is nothing.
func (s *slot) quantile(q float64) float64 {
	left := q * float64(s.ops)
	for i, n := range s.buckets {
		left -= float64(n)
		if left <= 0 && n > 0 {
			e, sub := i/8, i%8
			return float64(uint64(9+sub)<<e) / 8
		}
	}
	return 0
}

// recorder is one client's way into a histogram. It belongs to one goroutine.
type recorder struct {
	into    *latencyShard
	pending []sample
}

func newRecorder(h *latencyShard) recorder {
	return recorder{into: h, pending: make([]sample, 0, pendingLatencies)}
}

func (r *recorder) add(s sample) {
	r.pending = append(r.pending, s)
	if len(r.pending) == cap(r.pending) {
		r.flush()
	}
}

// flush hands over what is pending.
func (r *recorder) flush() {
	r.into.record(r.pending)
	r.pending = r.pending[:0]
}

// summary is what all clients have measured together.
type summary struct {
	all, writes, reads, service *hdrhistogram.Histogram // service is empty when nothing was sent late
	slots                       []slot
}

// summarise merges histograms. All clients must have flushed.
func summarise(list []*latencyShard) summary {
	s := summary{all: newHDR(), writes: newHDR(), reads: newHDR(), service: newHDR()}
	for _, h := range list {
		h.mu.Lock()
		s.writes.Merge(h.writes)
		if h.reads != nil {
			s.reads.Merge(h.reads)
		}
		if h.served != nil {
			s.service.Merge(h.served)
		}
		for i := range h.slots {
			if i == len(s.slots) {
				s.slots = append(s.slots, slot{})
			}
			s.slots[i].merge(&h.slots[i])
		}
		h.mu.Unlock()
	}
	s.all.Merge(s.writes)
	s.all.Merge(s.reads)
	return s
}

// latenciesOf reads a report's figures from a histogram.
func latenciesOf(h *hdrhistogram.Histogram) result.Latencies {
	if h.TotalCount() == 0 {
		return result.Latencies{}
	}
	us := func(ns float64) float64 { return ns / 1e3 }
	at := func(percentile float64) float64 { return us(float64(h.ValueAtPercentile(percentile))) }
	return result.Latencies{
		Mean: us(h.Mean()), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: us(float64(h.Max())),
	}
}

// percentilesOf returns the curve that a report draws: ever finer towards the end.
func percentilesOf(h *hdrhistogram.Histogram) (list []result.Percentile) {
	if h.TotalCount() == 0 {
		return nil
	}
	for _, p := range []float64{1, 5, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100} {
		list = append(list, result.Percentile{P: p, Us: float64(h.ValueAtPercentile(p)) / 1e3})
	}
	return list
}

// slotWidth divides a duration into about fifty intervals of a round length.
func slotWidth(d time.Duration) time.Duration {
	width := 10 * time.Millisecond
	for _, w := range []time.Duration{2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 6000, 12_000, 30_000, 60_000, 180_000} {
		if d <= 60*width {
			break
		}
		width = w * 10 * time.Millisecond
	}
	return width
}
