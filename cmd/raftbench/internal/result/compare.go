package result

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Ratio compares one figure of two measurements.
type Ratio struct {
	Name      string  `json:"name"`
	A         float64 `json:"a"`
	B         float64 `json:"b"`
	Ratio     float64 `json:"ratio"` // B / A
	Low       float64 `json:"low"`   // 95 % confidence interval of the ratio; both 0 when it cannot be told
	High      float64 `json:"high"`
	Samples   int     `json:"samples"` // of the one that has fewer
	MoreIsBad bool    `json:"more_is_bad"`
	Verdict   string  `json:"verdict"`
}

// Verdicts about a ratio.
const (
	Same       = "same"       // no change beyond the threshold is shown
	Better     = "better"     // the whole interval is beyond the threshold, to the good
	Regression = "REGRESSION" // likewise, to the bad
	NotJudged  = "not judged" // too few samples for an interval
)

// Comparison is what Compare found.
type Comparison struct {
	Threshold float64 `json:"threshold"` // smallest change that counts, 0.05: 5 %
	Unit      string  `json:"unit"`      // what a sample is: interval or round
	Ratios    []Ratio `json:"ratios"`
}

const (
	// minSamples on each side make an interval of confidence.
	minSamples = 5
	resamples  = 4000
	// blockLength of neighbouring intervals are drawn together: what slows one interval
	// of a run down slows the next one too, and as single ones they would look like
	// more evidence than they are.
	blockLength = 8
)

// ErrDifferent says that measurements were not taken in the same way.
var ErrDifferent = errors.New("not the same workload, durability or machine")

// Comparable returns an error that matches ErrDifferent and names the settings in which
// any result differs from the first.
func Comparable(a, b []*Result) error {
	var names []string
	for _, r := range append(slices.Clone(a), b...) {
		for _, d := range Differences(a[0], r) {
			text := fmt.Sprintf("%s: %q and %q", d.Name, d.A, d.B)
			if !slices.Contains(names, text) {
				names = append(names, text)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDifferent, strings.Join(names, "; "))
}

// Compare compares two measurements: the rounds of each when there are enough of them on
// both sides, otherwise the intervals of their runs. The confidence intervals come from
// a bootstrap with a fixed seed: the same files give the same answer.
func Compare(a, b []*Result, threshold float64) Comparison {
	c := Comparison{Threshold: threshold, Unit: "round"}
	rounds := min(len(a), len(b)) >= minSamples
	if !rounds {
		c.Unit = "interval"
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, f := range figures {
		ratio := Ratio{Name: f.name, A: meanOf(a, f.whole), B: meanOf(b, f.whole), MoreIsBad: f.moreIsBad, Verdict: NotJudged}
		if ratio.A <= 0 || ratio.B <= 0 {
			continue // unknown on one side
		}
		ratio.Ratio = ratio.B / ratio.A
		of := f.interval
		if rounds {
			of = func(r *Result) []float64 { return []float64{f.whole(r)} }
		}
		if of != nil {
			as, bs := samples(a, of), samples(b, of)
			ratio.Samples = min(len(as), len(bs))
			if ratio.Samples >= minSamples {
				ratio.Low, ratio.High = bootstrap(r, as, bs, rounds)
				ratio.judge(threshold)
			}
		}
		c.Ratios = append(c.Ratios, ratio)
	}
	return c
}

// Regressions returns the names of what became worse.
func (c *Comparison) Regressions() (names []string) {
	for _, r := range c.Ratios {
		if r.Verdict == Regression {
			names = append(names, r.Name)
		}
	}
	return names
}

func (r *Ratio) judge(threshold float64) {
	up, down := r.Low > 1+threshold, r.High < 1-threshold
	switch {
	case up && r.MoreIsBad, down && !r.MoreIsBad:
		r.Verdict = Regression
	case up, down:
		r.Verdict = Better
	default:
		r.Verdict = Same
	}
}

// figure is something that two measurements are compared by.
type figure struct {
	name      string
	moreIsBad bool
	whole     func(*Result) float64   // of a run
	interval  func(*Result) []float64 // of its intervals; nil: a run has one value only
}

// figures are all of them, the most important first.
var figures = []figure{
	{"throughput", false, func(r *Result) float64 { return r.OpsPerSecond }, intervals(func(i Interval) float64 { return i.OpsPerSecond })},
	{"latency p50", true, func(r *Result) float64 { return r.LatencyUs.P50 }, intervals(func(i Interval) float64 { return i.P50 })},
	{"latency p99", true, func(r *Result) float64 { return r.LatencyUs.P99 }, intervals(func(i Interval) float64 { return i.P99 })},
	{"fsyncs per 1,000 ops", true, func(r *Result) float64 { return r.FsyncsPer1000Ops }, nil},
	{"CPU per op", true, func(r *Result) float64 { return known(r.CPUSecondsPerMop) }, nil},
	{"allocations per op", true, func(r *Result) float64 { return known(r.AllocsPerOp) }, nil},
	{"wire bytes per op", true, func(r *Result) float64 { return r.WireBytesPerOp }, nil},
}

func intervals(of func(Interval) float64) func(*Result) []float64 {
	return func(r *Result) (list []float64) {
		for _, i := range r.Intervals {
			list = append(list, of(i))
		}
		return list
	}
}

func known(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

func meanOf(list []*Result, of func(*Result) float64) (sum float64) {
	for _, r := range list {
		sum += of(r) / float64(len(list))
	}
	return sum
}

func samples(list []*Result, of func(*Result) []float64) (all []float64) {
	for _, r := range list {
		all = append(all, of(r)...)
	}
	return all
}

// bootstrap returns the 95 % interval of mean(b)/mean(a): the middle of the ratios that
// samples drawn anew, with replacement, would have given.
func bootstrap(r *rand.Rand, a, b []float64, independent bool) (low, high float64) {
	block := blockLength
	if independent {
		block = 1
	}
	ratios := make([]float64, resamples)
	for i := range ratios {
		ratios[i] = drawMean(r, b, block) / max(drawMean(r, a, block), math.SmallestNonzeroFloat64)
	}
	slices.Sort(ratios)
	return ratios[resamples*25/1000], ratios[resamples*975/1000]
}

// drawMean returns the mean of as many values, drawn in blocks of neighbours.
func drawMean(r *rand.Rand, list []float64, block int) (mean float64) {
	block = min(block, len(list))
	for left := len(list); left > 0; left -= block {
		at := r.IntN(len(list) - block + 1)
		for _, v := range list[at : at+min(block, left)] {
			mean += v / float64(len(list))
		}
	}
	return mean
}
