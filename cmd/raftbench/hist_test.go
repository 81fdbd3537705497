package main

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// Percentiles of a known distribution come out within the 3 digits that are kept,
// however many clients recorded it and at whatever moment they flushed.
func TestLatencies(t *testing.T) {
	hists := []*latencyShard{newShard(), newShard(), newShard()}
	var wg sync.WaitGroup
	const clients, each = 10, 1000
	for c := range clients {
		wg.Go(func() {
			r := newRecorder(hists[c%len(hists)])
			for i := range each { // together: 1 us, 2 us, ... 10,000 us; half of them reads
				d := time.Duration(i*clients+c+1) * time.Microsecond
				r.add(sample{latency: d, service: d, slot: int32(i % 2), read: i%2 == 0})
			}
			r.flush()
		})
	}
	wg.Wait()
	s := summarise(hists)
	if s.all.TotalCount() != clients*each || s.reads.TotalCount() != clients*each/2 || s.writes.TotalCount() != clients*each/2 || s.service.TotalCount() != 0 {
		t.Errorf("%d latencies, %d of reads, %d of writes, %d apart from service", s.all.TotalCount(), s.reads.TotalCount(), s.writes.TotalCount(), s.service.TotalCount())
	}
	l := latenciesOf(s.all)
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
	for i := range s.slots {
		if got := s.slots[i].quantile(0.99); s.slots[i].ops != clients*each/2 || got < 9900 || got > 9900*9/8 {
			t.Errorf("slot %d: %d ops, p99 %.0f us", i, s.slots[i].ops, got)
		}
	}
	curve := percentilesOf(s.all)
	for i := 1; i < len(curve); i++ {
		if curve[i].P <= curve[i-1].P || curve[i].Us < curve[i-1].Us {
			t.Errorf("the curve goes back: %v", curve)
		}
	}
}

func TestLatenciesOutOfRangeAreKept(t *testing.T) {
	h := newShard()
	h.record([]sample{{latency: -time.Second}, {}, {latency: time.Hour}})
	s := summarise([]*latencyShard{h})
	if l := latenciesOf(s.all); s.all.TotalCount() != 3 || math.Abs(l.Max-600e6) > 1e6 {
		t.Errorf("%d latencies up to %.0f us, want 3 up to 10 minutes", s.all.TotalCount(), l.Max)
	}
	if s.slots[0].ops != 3 {
		t.Errorf("the timeline has %d", s.slots[0].ops)
	}
}

func TestNoLatencies(t *testing.T) {
	s := summarise([]*latencyShard{newShard()})
	if l := latenciesOf(s.all); l != (result.Latencies{}) || percentilesOf(s.all) != nil || new(slot).quantile(0.5) != 0 {
		t.Errorf("%+v", l)
	}
}

func TestSlotWidth(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		500 * time.Millisecond: 10 * time.Millisecond, 10 * time.Second: 200 * time.Millisecond, time.Minute: time.Second,
		time.Hour: time.Minute, 24 * time.Hour: 30 * time.Minute,
	} {
		if got := slotWidth(d); got != want {
			t.Errorf("%v: %v, want %v", d, got, want)
		}
	}
}
