package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
)

// busy is a legal history: clients work on one store, each operation takes effect at
// some moment between its start and its end.
func busy(kinds []oracle.Kind, keys, ops, clients int) []oracle.Op {
	r := rand.New(rand.NewPCG(5, 6))
	store, free := map[string]string{}, make([]int64, clients)
	history := make([]oracle.Op, 0, ops)
	now := int64(0)
	for n := range ops {
		p := r.IntN(clients)
		now = max(now+1+r.Int64N(10), free[p]+1)
		o := oracle.Op{
			Process: int64(p), Kind: kinds[r.IntN(len(kinds))], Key: fmt.Sprint("k", r.IntN(keys)), Status: oracle.OK,
			Start: max(now-r.Int64N(30), free[p]+1), End: now + r.Int64N(30),
		}
		free[p] = o.End
		was, found := store[o.Key]
		switch o.Kind {
		case oracle.Get:
			o.Found, o.Result = found, was
		case oracle.CAS:
			o.Expect, o.ExpectAbsent, o.Value, o.Swapped = was, !found, fmt.Sprint(n), true
			store[o.Key] = o.Value
		case oracle.Put:
			o.Value = fmt.Sprint(n)
			store[o.Key] = o.Value
		case oracle.Append:
			o.Value = fmt.Sprint(n, oracle.Mark)
			store[o.Key] = was + o.Value
		}
		history = append(history, o)
	}
	return history
}

// TestLongHistories: what a store really did is legal, however long.
func TestLongHistories(t *testing.T) {
	history := busy([]oracle.Kind{oracle.Get, oracle.Put, oracle.CAS}, 20, 20_000, 8)
	report := oracle.Linearizable(history, oracle.Options{Steps: 1}) // without a search
	if report.Verdict != oracle.Legal || report.Keys != 20 || report.Ops != len(history) {
		t.Errorf("registers: %+v", report)
	}
	history = busy([]oracle.Kind{oracle.Get, oracle.Append}, 20, 8000, 8)
	if report := oracle.Linearizable(history, oracle.Options{}); report.Verdict != oracle.Legal {
		t.Errorf("lists: %+v", report)
	}
	if found := oracle.Lists(history); found != nil {
		t.Errorf("lists: %v", found)
	}
}

func BenchmarkLinearizable(b *testing.B) {
	for _, kinds := range [][]oracle.Kind{{oracle.Get, oracle.Put, oracle.CAS}, {oracle.Get, oracle.Append}} {
		b.Run(strings.Trim(fmt.Sprint(kinds), "[]"), func(b *testing.B) {
			history := busy(kinds, 100, 100_000, 8)
			b.ReportAllocs()
			for b.Loop() {
				if report := oracle.Linearizable(history, oracle.Options{}); report.Verdict != oracle.Legal {
					b.Fatal(report.Violation)
				}
			}
			b.ReportMetric(float64(b.N*len(history))/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

func BenchmarkLists(b *testing.B) {
	history := busy([]oracle.Kind{oracle.Get, oracle.Append}, 100, 100_000, 8)
	for b.Loop() {
		if found := oracle.Lists(history); found != nil {
			b.Fatal(found)
		}
	}
	b.ReportMetric(float64(b.N*len(history))/b.Elapsed().Seconds(), "ops/s")
}
