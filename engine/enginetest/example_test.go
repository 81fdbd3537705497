package enginetest_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

// turnstile counts who goes in, and lets at most ten be inside. Its snapshot has a bug:
// it does not hold how many are inside.
type turnstile struct{ passed, inside uint64 }

func (s *turnstile) Apply(b engine.Batch, results []engine.Result) error {
	for i, c := range b.Commands {
		switch {
		case string(c.Data) == "in" && s.inside < 10:
			s.inside++
			s.passed++
			results[i].Data = []byte("come in")
		case string(c.Data) == "out" && s.inside > 0:
			s.inside--
			results[i].Data = []byte("goodbye")
		}
	}
	return nil
}

func (s *turnstile) Query([]byte) ([]byte, error) { return fmt.Append(nil, s.passed), nil }

func (s *turnstile) Snapshot() (engine.Snapshot, error) { return turnstileState(s.passed), nil }

func (s *turnstile) Restore(r io.Reader) error { return binary.Read(r, binary.BigEndian, &s.passed) }

type turnstileState uint64

func (s turnstileState) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(binary.BigEndian.AppendUint64(nil, uint64(s)))
	return int64(n), err
}

func (s turnstileState) Close() error { return nil }

// A test would say enginetest.Simulate(t, seed, m) for some seeds.
func ExampleMachine_Run() {
	m := enginetest.Machine{
		New:     func() engine.StateMachine { return new(turnstile) },
		Command: func(r *rand.Rand) []byte { return []byte([]string{"in", "in", "out"}[r.IntN(3)]) },
	}
	for seed := uint64(1); seed <= 20; seed++ {
		if r := m.Run(enginetest.Options{Seed: seed}); r.Failure != nil {
			fmt.Println("found by", r.Failure.Check)
			return
		}
	}
	// Output:
	// found by I16
}
