package model_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model/toy"
)

// run lets a world live for some events under the eye of the model.
func run(o toy.Options, events int) (w *toy.World, m *model.Model, steps int, err error) {
	w = toy.New(o)
	m = model.New(w.Initial)
	w.Watch.Step = func(s model.Step) {
		steps++
		if err == nil {
			err = m.Check(s)
		}
	}
	for i := 0; i < events && err == nil; i++ {
		w.Next()
	}
	return w, m, steps, err
}

// options makes worlds of 1 to 5 nodes, each with some kinds of trouble left out.
func options(seed uint64) toy.Options {
	return toy.Options{Seed: seed, Nodes: 1 + int(seed%5), Spare: int(seed / 5 % 3), Quiet: toy.Fault(seed * 0x9E3779B97F4A7C15 >> 59)}
}

// TestEverythingTheToyDoesIsRaft: what a correct cluster does in any order of
// messages, writes and crashes is accepted.
func TestEverythingTheToyDoesIsRaft(t *testing.T) {
	var steps, elected, committed int
	for seed := range uint64(400) {
		w, _, n, err := run(options(seed), 6000)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		steps, elected, committed = steps+n, elected+w.Elected, committed+int(w.Commit)
	}
	t.Logf("%d steps, %d leaders, %d entries committed", steps, elected, committed)
	if elected < 2000 || committed < 8000 {
		t.Errorf("%d leaders and %d committed entries: nothing was tested", elected, committed)
	}
}

// TestEveryBugIsNoticed: each mistake that the toy can make leads, in some world, to
// a step that the model rejects.
func TestEveryBugIsNoticed(t *testing.T) {
	for _, bug := range toy.Bugs() {
		t.Run(bug.Name, func(t *testing.T) {
			for seed := range uint64(3000) {
				o := options(seed)
				o.Bugs = bug.Bug
				if _, _, steps, err := run(o, 6000); err != nil {
					t.Logf("seed %d, step %d: %v", seed, steps, err)
					return
				}
			}
			t.Error("no world of 3000 showed it")
		})
	}
}
