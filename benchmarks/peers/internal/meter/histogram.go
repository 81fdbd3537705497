package meter

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

// 128 steps per power of two: a value is known to better than one percent.
const (
	stepBits  = 7
	slotCount = (64 - stepBits) << stepBits
)

// Histogram collects durations from several goroutines. A few of them, merged by
// Summarise, keep many goroutines from contending. The zero Histogram is empty.
type Histogram struct {
	counts [slotCount]atomic.Uint32
	sum    atomic.Uint64
}

func slotOf(ns uint64) int {
	if ns < 1<<stepBits {
		return int(ns)
	}
	exp := bits.Len64(ns) - 1 - stepBits // >= 0
	return exp<<stepBits + int(ns>>exp)
}

// valueOf is the middle of a slot.
func valueOf(slot int) uint64 {
	if slot < 1<<(stepBits+1) {
		return uint64(slot)
	}
	exp := slot>>stepBits - 1
	m := uint64(slot - exp<<stepBits)
	return m<<exp + 1<<exp/2
}

// Add counts one duration; below zero counts as zero.
func (h *Histogram) Add(d time.Duration) {
	ns := uint64(max(d, 0))
	h.counts[slotOf(ns)].Add(1)
	h.sum.Add(ns)
}

// Summary describes a distribution, in microseconds.
type Summary struct {
	Count uint64  `json:"-"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

// Summarise merges histograms.
func Summarise(hs ...*Histogram) Summary {
	var total, sum uint64
	merged := make([]uint64, slotCount)
	for _, h := range hs {
		for i := range h.counts {
			n := uint64(h.counts[i].Load())
			merged[i] += n
			total += n
		}
		sum += h.sum.Load()
	}
	out := Summary{Count: total}
	if total == 0 {
		return out
	}
	quantile := func(q float64) float64 {
		want := uint64(q * float64(total))
		var seen uint64
		for i, n := range merged {
			seen += n
			if seen > want {
				return microseconds(valueOf(i))
			}
		}
		return 0
	}
	out.Mean = microseconds(sum / total)
	out.P50, out.P99, out.P999 = quantile(0.5), quantile(0.99), quantile(0.999)
	for i := slotCount - 1; i >= 0; i-- {
		if merged[i] > 0 {
			out.Max = microseconds(valueOf(i))
			break
		}
	}
	return out
}

func microseconds(ns uint64) float64 { return float64(ns) / 1e3 }

// Median returns the middle of v, which is not empty.
func Median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
