package histogram_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/histogram"
)

// A duration is counted by the first bucket whose bound it keeps, bounds included.
func TestBounds(t *testing.T) {
	for i := range histogram.Buckets {
		var r histogram.Recorder
		d := histogram.Bound(i)
		if i == histogram.Buckets-1 {
			d++
		}
		r.Record(d)
		if h := r.Read(); h.Counts[i] != 1 || h.Count() != 1 {
			t.Errorf("%v: %v, want it in bucket %d", d, h.Counts, i)
		}
	}
	var r histogram.Recorder
	r.Record(-time.Second)
	r.Record(0)
	r.Record(math.MaxInt64)
	if h := r.Read(); h.Counts[0] != 2 || h.Counts[histogram.Buckets-1] != 1 || h.Sum != math.MaxInt64 {
		t.Errorf("%+v", h)
	}
}

// A quantile is never below the true one, and less than twice as long.
func TestQuantilesAgainstSortedDurations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var r histogram.Recorder
		var all []time.Duration
		for range 1 + random.IntN(200) {
			d := time.Duration(random.Int64N(int64(time.Second))) >> random.IntN(14)
			r.Record(d)
			all = append(all, d)
		}
		h := r.Read()
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			at, kept := h.Quantile(q), 0
			for _, d := range all {
				if d <= at {
					kept++
				}
			}
			if float64(kept) < q*float64(len(all)) {
				t.Fatalf("quantile %v of %d is %v: only %d keep it", q, len(all), at, kept)
			}
			below := 0
			for _, d := range all {
				if d <= at/2 {
					below++
				}
			}
			if at > histogram.Bound(0) && float64(below) >= q*float64(len(all)) {
				t.Fatalf("quantile %v of %d is %v: half of it would do", q, len(all), at)
			}
		}
	}
	if h := (histogram.Histogram{}); h.Quantile(0.5) != 0 || h.Mean() != 0 {
		t.Error("nothing was seen, and has a quantile")
	}
}

// Nothing gets lost between goroutines, and sums and differences agree.
func TestConcurrentRecords(t *testing.T) {
	var r histogram.Recorder
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 1000 {
				r.Record(time.Duration(i) * time.Millisecond)
			}
		})
	}
	all.Wait()
	h := r.Read()
	if h.Count() != 8000 || h.Sum != 28*time.Second {
		t.Errorf("%d, %v", h.Count(), h.Sum)
	}
	twice := h
	twice.Add(&h)
	if twice.Count() != 16000 || twice.Mean() != h.Mean() {
		t.Errorf("%+v", twice)
	}
	twice.Sub(&h)
	if twice != h {
		t.Errorf("%+v, want %+v", twice, h)
	}
}

func ExampleRecorder() {
	var calls histogram.Recorder
	for i := range 100 {
		calls.Record(time.Duration(i) * time.Millisecond)
	}
	h := calls.Read()
	fmt.Println(h.Count(), h.Mean(), h.Quantile(0.5))
	// Output: 100 49.5ms 65.536ms
}

// What two hosts have seen together, and what came since an earlier look.
func ExampleHistogram() {
	var one, other histogram.Histogram
	one.Count1(20 * time.Microsecond)
	other.Count1(time.Millisecond)
	earlier := one // a value
	one.Add(&other)
	fmt.Println(one.Count(), "of them up to", histogram.Bound(1), ":", one.Counts[1])
	one.Sub(&earlier)
	fmt.Println(one.Count(), "since:", one.Mean())
	// Output:
	// 2 of them up to 32µs : 1
	// 1 since: 1ms
}
