package schedule_test

import (
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// TestEventsComeInOrder: by time, and those of one time as they were pushed.
func TestEventsComeInOrder(t *testing.T) {
	s := schedule.NewStream(1, 1)
	for range 200 {
		var q schedule.Queue[int]
		type timed struct {
			at int64
			id int
		}
		var want, got []timed
		take := func() {
			slices.SortStableFunc(want, func(a, b timed) int { return int(a.at - b.at) })
			next, ok := q.NextAt()
			at, id := q.Pop()
			if !ok || next != at || want[0] != (timed{at, id}) {
				t.Fatalf("got %d at %d, announced for %d, want %v", id, at, next, want[0])
			}
			got, want = append(got, want[0]), want[1:]
		}
		for id := range 60 {
			at := s.N(20)
			q.Push(at, id)
			want = append(want, timed{at, id})
			if s.Chance(0.3) {
				take()
			}
		}
		for q.Len() > 0 {
			take()
		}
		if _, ok := q.NextAt(); ok || len(got) != 60 {
			t.Fatalf("%d of 60 events came, or more are announced", len(got))
		}
	}
}

// TestConcernsAreApart: each has its own numbers, the same ones for the same seed.
func TestConcernsAreApart(t *testing.T) {
	draw := func(seed, concern uint64) (out [4]uint64) {
		s := schedule.NewStream(seed, concern)
		for i := range out {
			out[i] = s.Uint64()
		}
		return out
	}
	once, again := draw(1, 2), draw(1, 2)
	if once != again || once == draw(1, 3) || once == draw(2, 2) {
		t.Error("streams depend on more, or on less, than seed and concern")
	}
}

func TestDraws(t *testing.T) {
	s := schedule.NewStream(7, 0)
	var seen [5]int
	var small int
	for range 5000 {
		seen[s.Between(0, 4)]++
		if f := s.Float(); f < 0 || f >= 1 {
			t.Fatalf("Float: %v", f)
		}
		x := s.LogUniform(0.01, 0.5)
		if x < 0.01 || x > 0.5 {
			t.Fatalf("LogUniform: %v", x)
		}
		if x < 0.1 {
			small++
		}
	}
	if slices.Min(seen[:]) < 800 || small < 1500 || small > 4500 {
		t.Errorf("uneven: %v, %d of 5000 below 0.1", seen, small)
	}
	before := s
	if s.Chance(0) || s.N(0) != 0 || s.Intn(-1) != 0 || s != before {
		t.Error("an impossible draw uses up a number, or is not 0")
	}
	hits := 0
	for range 5000 {
		if s.Chance(0.2) {
			hits++
		}
	}
	if hits < 800 || hits > 1200 {
		t.Errorf("Chance(0.2) was true %d times of 5000", hits)
	}
}

// TestHashSeesOrder: what happened earlier and later is told apart.
func TestHashSeesOrder(t *testing.T) {
	sum := func(v ...uint64) (h schedule.Hash) {
		for _, x := range v {
			h.Add(x)
		}
		return h
	}
	seen := map[schedule.Hash][]uint64{}
	for a := range uint64(40) {
		for b := range uint64(40) {
			v := []uint64{a, b}
			if other, ok := seen[sum(v...)]; ok {
				t.Fatalf("%v and %v have the same hash", v, other)
			}
			seen[sum(v...)] = v
		}
	}
}

func BenchmarkQueue(b *testing.B) {
	var q schedule.Queue[[2]int64]
	s := schedule.NewStream(1, 1)
	for i := range int64(100) {
		q.Push(s.N(1000), [2]int64{i, i})
	}
	b.ReportAllocs()
	for b.Loop() {
		at, v := q.Pop()
		q.Push(at+s.N(1000), v)
	}
}
