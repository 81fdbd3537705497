package main

import (
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// print writes the table of one shape. Ratios are of p50 within a round.
func (ct *contest) print() {
	fmt.Printf("\n### %v\n\n", ct.shape)
	fmt.Println("| log | p50 µs | appends/s | µs CPU | allocations | flushes | write amplification, lowest | p50 / ours |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|")
	us := ct.find(ours)
	for _, x := range ct.list {
		p50 := column(x.turns, func(t turn) float64 { return t.p50 })
		ratio := "–"
		if us != nil {
			ratio = fmt.Sprintf("%.2f", meter.Median(ratios(x.turns, us.turns)))
		}
		fmt.Printf("| %s | %.0f (%.0f–%.0f) | %.0f | %.0f | %.1f | %.2f | %.2f | %s |\n", x.name,
			meter.Median(p50), slices.Min(p50), slices.Max(p50),
			1e6/meter.Median(column(x.turns, func(t turn) float64 { return t.mean })),
			meter.Median(column(x.turns, func(t turn) float64 { return t.cpu })),
			meter.Median(column(x.turns, func(t turn) float64 { return t.allocs })),
			meter.Median(column(x.turns, func(t turn) float64 { return t.flushes })),
			slices.Min(column(x.turns, func(t turn) float64 { return t.amplify })), ratio)
	}
}

func (ct *contest) find(name string) *contestant {
	for _, x := range ct.list {
		if x.name == name {
			return x
		}
	}
	return nil
}

func column(turns []turn, f func(turn) float64) []float64 {
	v := make([]float64, len(turns))
	for i, t := range turns {
		v[i] = f(t)
	}
	return v
}

// ratios divides the p50 of a by that of b, round by round. Rounds in which either
// caused a quarter more flushes per append than it mostly does were disturbed by
// somebody else and are left out, unless nothing would remain.
func ratios(a, b []turn) []float64 {
	var kept, all []float64
	for i := range a {
		r := a[i].p50 / b[i].p50
		all = append(all, r)
		if !disturbed(a, i) && !disturbed(b, i) {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		return all
	}
	return kept
}

func disturbed(turns []turn, i int) bool {
	usual := meter.Median(column(turns, func(t turn) float64 { return t.flushes }))
	return turns[i].flushes > 1.25*usual
}

// goal bounds a ratio of p50 for each shape, in the order of shapes.
type goal struct {
	what   string
	other  string
	atMost bool // ours / other is at most the bound; otherwise other / ours is at least
	bounds [4]float64
}

func goals() []goal {
	return []goal{
		{"over raw write and fdatasync on written blocks, at most", raw, true, [4]float64{1.10, 1.10, 1.10, 1.10}},
		{"faster than hashicorp/raft-wal, at least", raftWAL, false, [4]float64{0.95, 1.4, 2.5, 1.7}},
		{"faster than etcd's wal, at least", etcdWAL, false, [4]float64{0.95, 1.4, 2.2, 1.7}},
		{"faster than pebble (entries as keys, Sync), at least", pebbleDB, false, [4]float64{1.6, 1.8, 2.6, 2.3}},
		{"faster than raft-boltdb, at least", boltDB, false, [4]float64{2.5, 3.5, 9, 4}},
	}
}

// printGoals writes what was reached, and behind the slash what is the goal.
func printGoals(all []*contest) {
	fmt.Print("\n### Ratios of p50, reached / goal\n\n|")
	for _, ct := range all {
		fmt.Printf(" | %v", ct.shape)
	}
	fmt.Print(" |\n|---")
	for range all {
		fmt.Print("|---")
	}
	fmt.Println("|")
	for _, g := range goals() {
		fmt.Printf("| %s", g.what)
		for i, ct := range all {
			fmt.Printf(" | %s", g.cell(ct, g.bounds[i]))
		}
		fmt.Println(" |")
	}
}

func (g goal) cell(ct *contest, bound float64) string {
	us, other := ct.find(ours), ct.find(g.other)
	if us == nil || other == nil {
		return "–"
	}
	a, b := other.turns, us.turns
	if g.atMost {
		a, b = b, a
	}
	v := ratios(a, b)
	r := meter.Median(v)
	mark := ""
	if g.atMost && r > bound || !g.atMost && r < bound {
		mark = " missed"
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f) / %.2f%s", r, slices.Min(v), slices.Max(v), bound, mark)
}
