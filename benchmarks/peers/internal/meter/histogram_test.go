package meter

import (
	"testing"
	"time"
)

func TestHistogramKeepsAValueWithinOnePercent(t *testing.T) {
	for _, ns := range []uint64{0, 1, 127, 128, 255, 256, 257, 1000, 99_999, 1_000_000, 123_456_789, 1 << 40} {
		got := valueOf(slotOf(ns))
		if diff := float64(got) - float64(ns); diff > float64(ns)/100+1 || -diff > float64(ns)/100+1 {
			t.Errorf("%d came back as %d", ns, got)
		}
	}
}

func TestSummaryOfAKnownDistribution(t *testing.T) {
	h := new(Histogram)
	for i := 1; i <= 1000; i++ {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	s := Summarise(h)
	if s.Count != 1000 || s.P50 < 490 || s.P50 > 510 || s.P99 < 980 || s.P99 > 1000 || s.Mean < 495 || s.Mean > 506 {
		t.Errorf("%+v", s)
	}
}
