package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
)

// explained tries every order: the obvious definition, for small histories.
func explained(history []oracle.Op) bool {
	var ops []oracle.Op
	for _, o := range history {
		if o.Status != oracle.Fail && (o.Status != oracle.Info || o.Kind != oracle.Get) {
			ops = append(ops, o)
		}
	}
	return place(ops, make([]bool, len(ops)), map[string]string{})
}

// place puts one of the operations that are not used yet next.
func place(ops []oracle.Op, used []bool, store map[string]string) bool {
	done := true
	for i := range ops {
		done = done && (used[i] || ops[i].Status == oracle.Info)
	}
	if done {
		return true // what has no answer need not happen
	}
	for i := range ops {
		if used[i] || slices.ContainsFunc(ops, func(o oracle.Op) bool {
			return !used[slices.Index(ops, o)] && o.Status == oracle.OK && o.End < ops[i].Start
		}) {
			continue
		}
		next := map[string]string{}
		for k, v := range store {
			next[k] = v
		}
		if !happens(&ops[i], next) {
			continue
		}
		used[i] = true
		if place(ops, used, next) {
			return true
		}
		used[i] = false
	}
	return false
}

// happens lets o happen to the store and reports whether its answer fits.
func happens(o *oracle.Op, store map[string]string) bool {
	was, found := store[o.Key]
	switch o.Kind {
	case oracle.Get:
		return found == o.Found && was == o.Result
	case oracle.Put:
		store[o.Key] = o.Value
	case oracle.Append:
		store[o.Key] = was + o.Value
	case oracle.CAS:
		equal := found && !o.ExpectAbsent && was == o.Expect || !found && o.ExpectAbsent
		if equal {
			store[o.Key] = o.Value
		}
		return o.Status == oracle.Info || o.Swapped == equal
	}
	return true
}

// invent makes a small history by letting processes work on a real store, then
// perhaps spoils an answer or a time.
func invent(r *rand.Rand, kinds []oracle.Kind, keys int) []oracle.Op {
	store := map[string]string{}
	free := map[int64]int64{} // when a process may begin again
	now := int64(0)
	var history []oracle.Op
	for n := range 2 + r.IntN(6) {
		p := int64(1 + r.IntN(3))
		now += 2 + r.Int64N(6)
		o := oracle.Op{
			Process: p, Kind: kinds[r.IntN(len(kinds))], Key: fmt.Sprint("k", r.IntN(keys)), Status: oracle.OK,
			Start: max(now-r.Int64N(20), free[p]), End: now + r.Int64N(20),
		}
		now = max(now, o.Start)
		o.End = max(o.End, now)
		free[p] = o.End + 1
		if o.Kind != oracle.Get {
			o.Value = fmt.Sprintf("%d%s", n, oracle.Mark)
		}
		if o.Kind == oracle.CAS {
			o.Expect, o.ExpectAbsent = fmt.Sprintf("%d%s", r.IntN(4), oracle.Mark), r.IntN(2) == 0
		}
		was, found := store[o.Key]
		switch fate := r.IntN(10); {
		case fate == 0: // nobody knows, and it did not happen
			o.Status = oracle.Info
		case fate == 1:
			o.Status = oracle.Fail
		default:
			switch o.Kind {
			case oracle.Get:
				o.Found, o.Result = found, was
			case oracle.CAS:
				o.Swapped = found && !o.ExpectAbsent && was == o.Expect || !found && o.ExpectAbsent
				happens(&o, store)
			case oracle.Put, oracle.Append:
				happens(&o, store)
			}
			if fate == 2 {
				o.Status, o.Found, o.Result, o.Swapped = oracle.Info, false, "", false
			}
		}
		history = append(history, o)
	}
	spoil(r, history)
	return history
}

func spoil(r *rand.Rand, history []oracle.Op) {
	for range r.IntN(6) {
		o := &history[r.IntN(len(history))]
		if o.Status != oracle.OK {
			continue
		}
		switch {
		case r.IntN(4) == 0:
			shift := r.Int64N(21) - 10
			o.Start, o.End = o.Start+shift, o.End+shift
		case o.Kind == oracle.CAS:
			o.Swapped = !o.Swapped
		case o.Kind == oracle.Get:
			values := strings.SplitAfter(o.Result, oracle.Mark)
			values = values[:len(values)-1]
			switch r.IntN(3) {
			case 0:
				values = append(values, fmt.Sprintf("%d%s", r.IntN(8), oracle.Mark))
			case 1:
				values = values[:max(0, len(values)-1)]
			case 2:
				r.Shuffle(len(values), func(a, b int) { values[a], values[b] = values[b], values[a] })
			}
			o.Result = strings.Join(values, "")
			o.Found = o.Result != ""
		}
	}
}

// TestLinearizableAgainstEveryOrder compares the verdict with the definition.
func TestLinearizableAgainstEveryOrder(t *testing.T) {
	mixes := map[string][]oracle.Kind{
		"registers": {oracle.Get, oracle.Put},
		"swaps":     {oracle.Get, oracle.Put, oracle.CAS},
		"all":       {oracle.Get, oracle.Put, oracle.CAS, oracle.Append},
	}
	for name, kinds := range mixes {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(len(name))))
			legal := 0
			const runs = 1500
			for range runs {
				history := invent(r, kinds, 1+r.IntN(2))
				report := oracle.Linearizable(history, oracle.Options{})
				want := oracle.Illegal
				if explained(history) {
					want = oracle.Legal
					legal++
				}
				if report.Verdict != want {
					t.Fatalf("%s, want %s (%v):\n%s", report.Verdict, want, report.Violation, show(history))
				}
			}
			if legal < runs/10 || legal > runs*9/10 {
				t.Errorf("%d of %d histories are legal: one side is not tested", legal, runs)
			}
		})
	}
}

// TestListsAgainstEveryOrder: the list checks together are as strict as
// linearizability, and no stricter.
func TestListsAgainstEveryOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	legal := 0
	const runs = 8000
	for range runs {
		history := invent(r, []oracle.Kind{oracle.Get, oracle.Append}, 1+r.IntN(2))
		found := oracle.Lists(history)
		want := explained(history)
		if want {
			legal++
		}
		if (len(found) == 0) != want {
			t.Fatalf("linearizable: %v, found: %v\n%s", want, found, show(history))
		}
	}
	if legal < runs/10 || legal > runs*9/10 {
		t.Errorf("%d of %d histories are legal: one side is not tested", legal, runs)
	}
}

func show(history []oracle.Op) string {
	var b strings.Builder
	for i := range history {
		fmt.Fprintln(&b, &history[i])
	}
	return b.String()
}
