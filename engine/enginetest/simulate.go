package enginetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/world"
)

// Machine is a state machine of yours, to be tried.
type Machine struct {
	// New returns one in its first state. It is called for every node, and again after
	// every crash: what a machine in memory knew is gone then, and its snapshot and the
	// log bring it back.
	New func() engine.StateMachine
	// Command returns a command that a client might propose. Its randomness is r alone.
	Command func(r *rand.Rand) []byte
	// Check looks at the machines of all members, by node, when all of them have applied
	// the same. nil: nothing beyond what Run checks.
	Check func(members map[int64]engine.StateMachine) error
}

// Run lives through one world with the machine on every node, and demands that
//
//   - Apply gives the same results for the same commands on every node, in whatever
//     batches they come, also behind a snapshot that was restored (else the failure's
//     check is "I16");
//   - equal states are written as equal bytes by Snapshot ("snapshot");
//   - neither it nor Restore fails or panics ("group", "recovery", "panic");
//   - Check is content ("check").
//
// The same seed gives the same run as long as the machine is deterministic, which is
// what Run is for. Safe for concurrent use if New and Command are.
func (m Machine) Run(o Options) Report {
	o.Custom = &sim.Custom{
		New:     func() sim.Machine { return adapter{m.New()} },
		Command: m.Command,
	}
	if m.Check != nil {
		o.Custom.Check = func(all map[int64]sim.Machine) error {
			members := make(map[int64]engine.StateMachine, len(all))
			for id, one := range all {
				members[id] = one.(adapter).sm
			}
			return m.Check(members)
		}
	}
	return world.Run(o)
}

// Simulate is Run of one seed in a test, which fails if the run does.
func Simulate(t testing.TB, seed uint64, m Machine) {
	t.Helper()
	r := m.Run(Options{Seed: seed})
	if r.Failure == nil {
		return
	}
	small := Shrink(Profile{Run: m.Run}, Options{Seed: seed}, shrinkTime)
	t.Errorf("seed %d: %v\nsmaller: Options{Seed: %d, Events: %d, Without: %q, Skip: %v}: %v",
		seed, r.Failure, seed, small.Options.Events, small.Options.Without, small.Options.Skip, small.Report.Failure)
}

// adapter makes a StateMachine one of the simulator's.
type adapter struct{ sm engine.StateMachine }

// Apply implements sim.Machine.
func (a adapter) Apply(commands []sim.Command) ([][]byte, error) {
	b := engine.Batch{Commands: make([]engine.Command, len(commands))}
	for i := range commands {
		c := &commands[i]
		b.Commands[i] = engine.Command{Index: engine.Index(c.Index), Term: engine.Term(c.Term), Data: c.Data}
		b.Last = engine.Index(c.Index)
	}
	results := make([]engine.Result, len(commands))
	if err := a.sm.Apply(b, results); err != nil {
		return nil, err
	}
	out := make([][]byte, len(results))
	for i := range results {
		out[i] = results[i].Data
	}
	return out, nil
}

// Snapshot implements sim.Machine.
func (a adapter) Snapshot() ([]byte, error) {
	s, err := a.sm.Snapshot()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = s.WriteTo(&b)
	if e := s.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("write snapshot: %w", err)
	}
	return b.Bytes(), nil
}

// Restore implements sim.Machine.
func (a adapter) Restore(state []byte) error { return a.sm.Restore(bytes.NewReader(state)) }
