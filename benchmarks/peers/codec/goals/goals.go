package main

import (
	"fmt"
	"slices"

	peers "github.com/seed-814fcd60/raftwire/benchmarks/peers/codec"
	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// The messages of the goals.
const (
	small     = "append64x128"
	large     = "append64x1024"
	heartbeat = "heartbeat"
	entries   = 64
)

// goal is a bound on one figure. Nanoseconds are those of the machine on which the
// goals were set, so each comes with a ratio to another codec there: the ratio is
// what other machines are held to. Both are measured once per round.
type goal struct {
	what    string
	unit    string
	figure  func(r results) ([]float64, error) // in unit
	atMost  float64
	ratio   func(r results) ([]float64, error)
	to      string // what ratio is to
	ratioTo float64
}

// results are measured tasks by what they did.
type results map[key]*task

// goals are those of the codec layer's table. The ratios follow from the same
// table: gogo took 2,650 and 6,800 ns for the small append, 2,800 ns for the large
// one, 40 and 31 ns for the heartbeat; memcpy took 320 ns for the small one.
func goals() []goal {
	var list []goal
	for _, ours := range []string{peers.Compact, peers.Binary} {
		list = append(list,
			goal{
				"encode " + small + ", " + ours, "ns per entry above memcpy", aboveCopy(ours), 12,
				against(small, ours, peers.Gogo, false), "gogo", (320 + 12*entries) / 2650.0,
			},
			goal{
				"decode " + small + ", " + ours, "ns per entry", perEntry(small, ours, true), 25,
				against(small, ours, peers.Gogo, true), "gogo", 25 * entries / 6800.0,
			},
			goal{
				"encode " + large + ", " + ours, "ns per entry (25 GB/s)", perEntry(large, ours, false), 1041 / 25.0,
				against(large, ours, peers.Gogo, false), "gogo", 1041 * entries / 25.0 / 2800,
			},
			goal{
				"encode heartbeat, " + ours, "ns", perCall(heartbeat, ours, false, 1), 30,
				against(heartbeat, ours, peers.Gogo, false), "gogo", 30 / 40.0,
			},
			goal{
				"decode heartbeat, " + ours, "ns", perCall(heartbeat, ours, true, 1), 40,
				against(heartbeat, ours, peers.Gogo, true), "gogo", 40 / 31.0,
			},
		)
	}
	for _, decode := range []bool{false, true} {
		k := key{small, peers.Msgpack, decode}
		list = append(list, goal{
			what: fmt.Sprintf("%v, %s", k, k.subject), ratio: against(small, peers.Msgpack, peers.Tinylib, decode), to: "tinylib", ratioTo: 1,
		})
	}
	return list
}

func aboveCopy(ours string) func(results) ([]float64, error) {
	return func(r results) ([]float64, error) {
		a, err := r.find(small, ours, false)
		if err != nil {
			return nil, err
		}
		b, err := r.find(small, peers.Copy, false)
		if err != nil {
			return nil, err
		}
		v := make([]float64, len(a.perRun))
		for i := range v {
			v[i] = (a.perRun[i] - b.perRun[i]) / entries
		}
		return v, nil
	}
}

func perEntry(shape, subject string, decode bool) func(results) ([]float64, error) {
	return perCall(shape, subject, decode, entries)
}

// perCall divides the time of a call, which is for so many things.
func perCall(shape, subject string, decode bool, things float64) func(results) ([]float64, error) {
	return func(r results) ([]float64, error) {
		t, err := r.find(shape, subject, decode)
		if err != nil {
			return nil, err
		}
		v := make([]float64, len(t.perRun))
		for i := range v {
			v[i] = t.perRun[i] / things
		}
		return v, nil
	}
}

func against(shape, ours, other string, decode bool) func(results) ([]float64, error) {
	return func(r results) ([]float64, error) {
		a, err := r.find(shape, ours, decode)
		if err != nil {
			return nil, err
		}
		b, err := r.find(shape, other, decode)
		if err != nil {
			return nil, err
		}
		return ratios(a, b), nil
	}
}

func (r results) find(shape, subject string, decode bool) (*task, error) {
	t := r[key{shape, subject, decode}]
	if t == nil {
		return nil, fmt.Errorf("nothing was measured for %s with %s", shape, subject)
	}
	return t, nil
}

// printGoals prints medians over the rounds, with the lowest and the highest round.
func printGoals(r results) error {
	fmt.Println("\n| goal | here | at most | ratio to | here | at most | met |")
	fmt.Println("|---|--:|--:|---|--:|--:|---|")
	for _, g := range goals() {
		ratio, err := g.ratio(r)
		if err != nil {
			return err
		}
		here, most := "–", "–"
		met := meter.Median(ratio) <= g.ratioTo
		if g.figure != nil {
			v, err := g.figure(r)
			if err != nil {
				return err
			}
			here, most = spread("%.1f", v)+" "+g.unit, fmt.Sprintf("%.0f", g.atMost)
			met = met || meter.Median(v) <= g.atMost // either: a ratio on a slower machine, nanoseconds on a faster one
		}
		fmt.Printf("| %s | %s | %s | %s | %s | %.2f | %s |\n", g.what, here, most, g.to, spread("%.2f", ratio), g.ratioTo, yesNo(met))
	}
	allocs := 0.0
	for _, t := range r {
		if t.subject == peers.Compact || t.subject == peers.Binary || t.subject == peers.Msgpack {
			allocs = max(allocs, t.allocs)
		}
	}
	fmt.Printf("| allocations per call, all messages and codecs of ours | %.0f | 0 | | | | %s |\n", allocs, yesNo(allocs == 0))
	return nil
}

// spread formats a median and, in brackets, the lowest and the highest.
func spread(format string, v []float64) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", meter.Median(v), slices.Min(v), slices.Max(v))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
