package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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

// histogram collects the latencies of several clients.
type histogram struct {
	mu  sync.Mutex
	hdr *hdrhistogram.Histogram
}

func newHistogram() *histogram {
	return &histogram{hdr: hdrhistogram.New(int64(lowestLatency), int64(highestLatency), latencyDigits)}
}

// record adds latencies.
func (h *histogram) record(list []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range list {
		// The value is in range, which is the only thing RecordValue objects to.
		_ = h.hdr.RecordValue(int64(min(max(d, 0), highestLatency)))
	}
}

// recorder is one client's way into a histogram. It belongs to one goroutine.
type recorder struct {
	into    *histogram
	pending []time.Duration
}

func newRecorder(h *histogram) recorder {
	return recorder{into: h, pending: make([]time.Duration, 0, pendingLatencies)}
}

func (r *recorder) add(d time.Duration) {
	r.pending = append(r.pending, d)
	if len(r.pending) == cap(r.pending) {
		r.flush()
	}
}

// flush hands over what is pending.
func (r *recorder) flush() {
	r.into.record(r.pending)
	r.pending = r.pending[:0]
}

// latencies is what a report tells about them, in microseconds.
type latencies struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// summarise merges histograms. All clients must have flushed.
func summarise(list []*histogram) (l latencies, count uint64) {
	all := newHistogram().hdr
	for _, h := range list {
		h.mu.Lock()
		all.Merge(h.hdr)
		h.mu.Unlock()
	}
	if all.TotalCount() == 0 {
		return latencies{}, 0
	}
	us := func(ns float64) float64 { return ns / 1e3 }
	at := func(percentile float64) float64 { return us(float64(all.ValueAtPercentile(percentile))) }
	return latencies{
		Mean: us(all.Mean()), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: us(float64(all.Max())),
	}, uint64(all.TotalCount())
}
