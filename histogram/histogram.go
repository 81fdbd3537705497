// Package histogram counts durations in buckets that double: cheap enough for every call
// and every sync, and the same everywhere, so that histograms of hosts can be added up.
//
//	bucket    0      1      2     ...   22        23
//	up to     16 µs  32 µs  64 µs ...   67.1 s    more
package histogram

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets is how many there are. The last one has what is longer than all bounds.
const Buckets = 24

const smallest = 16 * time.Microsecond

// Bound returns the longest duration that bucket i counts. The last bucket has none; it
// gets that of the one before.
func Bound(i int) time.Duration { return smallest << min(max(i, 0), Buckets-2) }

// Histogram is how often which durations were seen. The zero value has seen none. It is
// a value: copy it freely.
type Histogram struct {
	Counts [Buckets]uint64 // Counts[i]: longer than Bound(i-1), up to Bound(i)
	Sum    time.Duration   // of all
}

// Count returns how many durations there are.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Mean returns the mean duration, 0 when there is none.
func (h *Histogram) Mean() time.Duration {
	if n := h.Count(); n > 0 {
		return time.Duration(uint64(h.Sum) / n)
	}
	return 0
}

// Quantile returns a bound that at least the share q of the durations keeps (0.99: the
// 99th percentile): at most twice the true value, if that is above 16 µs and below 67 s.
// It is 0 when there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	left := min(max(q, 0), 1) * float64(n)
	for i, c := range h.Counts {
		left -= float64(c)
		if left <= 0 && c > 0 {
			return Bound(i)
		}
	}
	return Bound(Buckets)
}

// Count1 counts one duration. A negative d counts as 0.
func (h *Histogram) Count1(d time.Duration) {
	d = max(d, 0)
	h.Counts[bucket(d)]++
	h.Sum += d
}

// Add adds what other has seen.
func (h *Histogram) Add(other *Histogram) {
	for i, c := range other.Counts {
		h.Counts[i] += c
	}
	h.Sum += other.Sum
}

// Sub takes away what an earlier state of h had seen: the rest is what came since.
func (h *Histogram) Sub(earlier *Histogram) {
	for i, c := range earlier.Counts {
		h.Counts[i] -= c
	}
	h.Sum -= earlier.Sum
}

// Recorder is the live form of a Histogram. The zero value is ready. Its methods are safe
// for concurrent use; a record is two atomic additions.
type Recorder struct {
	counts [Buckets]atomic.Uint64
	sum    atomic.Int64
}

// Record counts d. A negative d, of a clock that was set back, counts as 0.
func (r *Recorder) Record(d time.Duration) {
	d = max(d, 0)
	r.counts[bucket(d)].Add(1)
	r.sum.Add(int64(d))
}

// Read returns what was recorded. What is recorded meanwhile may be in it in part.
func (r *Recorder) Read() (h Histogram) {
	for i := range r.counts {
		h.Counts[i] = r.counts[i].Load()
	}
	h.Sum = time.Duration(r.sum.Load())
	return h
}

// bucket is the first whose bound is not below d.
func bucket(d time.Duration) int {
	if d <= smallest {
		return 0
	}
	return min(bits.Len64(uint64((d-1)/smallest)), Buckets-1)
}
