package workload

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

func generator() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestSizes(t *testing.T) {
	tests := map[string]struct {
		text      string
		mean, max int
	}{
		"fixed":   {"128", 128, 128},
		"uniform": {"uniform:16-1024", 520, 1024},
		"one":     {"zipf:64-64", 64, 64},
		"zipf":    {"zipf:16-65536", 7877, 65536},
		"list":    {"64:90,4096:10", 467, 4096},
		"equal":   {"100,200", 150, 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSizes(test.text, 12, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if s.Mean() != test.mean || s.Max() != test.max || s.String() != test.text {
				t.Errorf("mean %d, max %d, %q", s.Mean(), s.Max(), s)
			}
			r, sum, largest := generator(), 0, 0
			const draws = 200_000
			for range draws {
				n := s.Next(r)
				if n < 16 || n > test.max {
					t.Fatalf("size %d", n)
				}
				sum, largest = sum+n, max(largest, n)
			}
			if got := float64(sum) / draws; math.Abs(got/float64(test.mean)-1) > 0.03 {
				t.Errorf("the mean of %d draws is %.1f, want %d", draws, got, test.mean)
			}
			if float64(largest) < 0.99*float64(test.max) {
				t.Errorf("the largest of %d draws is %d", draws, largest)
			}
		})
	}
}

// As many sizes from 16 to 32 as from 4096 to 8192: what 1/size means.
func TestZipfHasEqualRatiosEquallyOften(t *testing.T) {
	s, err := ParseSizes("zipf:16-65535", 12, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var octaves [12]int
	const draws = 120_000
	for r := generator(); s.total < draws; s.total++ {
		octaves[int(math.Log2(float64(s.Next(r))/16))]++
	}
	for i, n := range octaves {
		if math.Abs(float64(n)*float64(len(octaves))/draws-1) > 0.05 {
			t.Errorf("octave %d has %d of %d", i, n, draws)
		}
	}
}

func TestBadSizesAndMixes(t *testing.T) {
	for _, text := range []string{"", "x", "11", "2000000", "uniform:16", "uniform:100-50", "zipf:a-b", "64:0", "64:x", "64:-1", "uniform:11-64", "64:1,"} {
		if s, err := ParseSizes(text, 12, 1<<20); err == nil {
			t.Errorf("%q gave %v", text, s)
		}
	}
	for _, text := range []string{"", "weak", "stale:0", "stale:x", "stale,,lease"} {
		if m, err := ParseMix(50, text); err == nil {
			t.Errorf("%q gave %v", text, m)
		}
	}
}

func TestMix(t *testing.T) {
	m, err := ParseMix(40, "linearizable:3,stale:1")
	if err != nil {
		t.Fatal(err)
	}
	reads := map[engine.Consistency]int{}
	const draws = 100_000
	r := generator()
	for range draws {
		if read, c := m.Next(r); read {
			reads[c]++
		}
	}
	for c, want := range map[engine.Consistency]float64{engine.Linearizable: 0.3, engine.Stale: 0.1, engine.Follower: 0, engine.Lease: 0} {
		if got := float64(reads[c]) / draws; math.Abs(got-want) > 0.01 {
			t.Errorf("%s: %.3f of all, want %.1f", ConsistencyName(c), got, want)
		}
		if m.Uses(c) != (want > 0) {
			t.Errorf("%s: Uses says %t", ConsistencyName(c), m.Uses(c))
		}
	}
	if none := (Mix{text: "stale"}); none.Consistency() != "" || !strings.Contains(m.Consistency(), "stale") {
		t.Errorf("%q, %q", none.Consistency(), m.Consistency())
	}
	if read, _ := new(Mix).Next(r); read {
		t.Error("the zero mix reads")
	}
}

// All clients together send what was asked for, whatever they do meanwhile.
func TestArrivals(t *testing.T) {
	for _, poisson := range []bool{false, true} {
		const rate, clients = 1000, 7
		r, sent := generator(), 0
		for range clients {
			a := NewArrivals(rate, clients, poisson, r)
			last := time.Duration(-1)
			for at := a.Next(); at < 100*time.Second; at = a.Next() {
				if at < last {
					t.Fatalf("%v after %v", at, last)
				}
				last = at
				sent++
			}
		}
		if math.Abs(float64(sent)/(100*rate)-1) > 0.02 {
			t.Errorf("poisson %t: %d in 100 s", poisson, sent)
		}
	}
}
