package main

import (
	"math"
	"sync"
	"testing"
	"time"
)

// Percentiles of a known distribution come out within the 3 digits that are kept,
// however many clients recorded it and at whatever moment they flushed.
func TestLatencies(t *testing.T) {
	hists := []*histogram{newHistogram(), newHistogram(), newHistogram()}
	var wg sync.WaitGroup
	const clients, each = 10, 1000
	for c := range clients {
		wg.Go(func() {
			r := newRecorder(hists[c%len(hists)])
			for i := range each { // together: 1 us, 2 us, ... 10,000 us
				r.add(time.Duration(i*clients+c+1) * time.Microsecond)
			}
			r.flush()
		})
	}
	wg.Wait()
	l, count := summarise(hists)
	if count != clients*each {
		t.Errorf("%d latencies, want %d", count, clients*each)
	}
	for _, test := range []struct {
		name      string
		got, want float64
	}{
		{"mean", l.Mean, 5000.5}, {"p50", l.P50, 5000}, {"p90", l.P90, 9000}, {"p99", l.P99, 9900},
		{"p999", l.P999, 9990}, {"max", l.Max, 10000},
	} {
		if math.Abs(test.got-test.want) > test.want/500 {
			t.Errorf("%s = %.1f us, want %.1f", test.name, test.got, test.want)
		}
	}
}

func TestLatenciesOutOfRangeAreKept(t *testing.T) {
	h := newHistogram()
	h.record([]time.Duration{-time.Second, 0, time.Hour})
	l, count := summarise([]*histogram{h})
	if count != 3 || math.Abs(l.Max-600e6) > 1e6 {
		t.Errorf("%d latencies up to %.0f us, want 3 up to 10 minutes", count, l.Max)
	}
}

func TestNoLatencies(t *testing.T) {
	if l, count := summarise([]*histogram{newHistogram()}); l != (latencies{}) || count != 0 {
		t.Errorf("%+v of %d", l, count)
	}
}
