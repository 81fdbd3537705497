package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// Conformance holds a state machine to what engine.StateMachine asks of it, without a
// cluster. See TestStateMachine.
type Conformance struct {
	// New makes an empty machine. A machine on disk gets a place of its own each time.
	New func() engine.StateMachine
	// Command makes a command from a generator that follows from the seed.
	Command func(*rand.Rand) []byte
	// Queries are asked between batches, and their answers compared. May be empty.
	Queries [][]byte
	// Commands is how many are applied to each machine. Default 200.
	Commands int
}

// Violation is a rule that a machine breaks.
type Violation struct {
	Rule string // "determinism", "batches", "restore", "capture", "reads", "write-error", "applied"
	Seed uint64
	Err  error
}

// Error implements the error interface.
func (v *Violation) Error() string {
	return fmt.Sprintf("enginetest: %s: seed %d: %v", v.Rule, v.Seed, v.Err)
}

// Unwrap returns what was found.
func (v *Violation) Unwrap() error { return v.Err }

// TestStateMachine runs the suite with some seeds, one subtest per rule. Run it with
// -race: a snapshot is written while commands are applied.
//
//	determinism  equal commands give equal results, answers and snapshots
//	batches      so do the same commands in batches of any size
//	restore      a machine restored, empty or used before, goes on as the one that wrote
//	capture      what is applied while a snapshot is written is not in it
//	reads        a query changes nothing
//	write-error  a snapshot that cannot be written says so
//	applied      a machine on disk tells the last index that it holds
//
// No rule asks that commands be kept: they are overwritten after every Apply.
func TestStateMachine(t *testing.T, c Conformance) {
	t.Helper()
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for seed := uint64(1); seed <= 5; seed++ {
				if err := c.run(rule, seed); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Check runs every rule with one seed and returns the violations, joined; each is a
// *Violation.
func (c Conformance) Check(seed uint64) error {
	var all []error
	for _, rule := range rules {
		if err := c.run(rule, seed); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

type rule struct {
	name  string
	check func(c *Conformance, random *rand.Rand) error
}

var rules = []rule{
	{"determinism", (*Conformance).determinism},
	{"batches", (*Conformance).batches},
	{"restore", (*Conformance).restore},
	{"capture", (*Conformance).capture},
	{"reads", (*Conformance).reads},
	{"write-error", (*Conformance).writeError},
	{"applied", (*Conformance).applied},
}

func (c Conformance) run(r rule, seed uint64) error {
	if c.Commands == 0 {
		c.Commands = 200
	}
	if err := r.check(&c, rand.New(rand.NewPCG(seed, seed))); err != nil {
		return &Violation{Rule: r.name, Seed: seed, Err: err}
	}
	return nil
}

// subject is a machine under test, and how far its log is.
type subject struct {
	engine.StateMachine
	last engine.Index
}

func (c *Conformance) subject() *subject { return &subject{StateMachine: c.New()} }

func (c *Conformance) commands(random *rand.Rand) [][]byte {
	all := make([][]byte, c.Commands)
	for i := range all {
		all[i] = c.Command(random)
	}
	return all
}

// apply gives the commands to the machine in batches of up to most, and returns the results.
func (s *subject) apply(commands [][]byte, most int) (all [][]byte, err error) {
	for len(commands) > 0 {
		n := min(most, len(commands))
		b := engine.Batch{}
		for _, cmd := range commands[:n] {
			s.last++
			b.Commands = append(b.Commands, engine.Command{Index: s.last, Term: 1, Data: bytes.Clone(cmd)})
		}
		b.Last = s.last
		results := make([]engine.Result, n)
		if err := s.Apply(b, results); err != nil {
			return nil, fmt.Errorf("apply up to %d: %w", b.Last, err)
		}
		for i := range results {
			all = append(all, bytes.Clone(results[i].Data))
		}
		for i := range b.Commands {
			for k := range b.Commands[i].Data {
				b.Commands[i].Data[k] = 0xAA // they were valid until Apply returned
			}
		}
		commands = commands[n:]
	}
	return all, nil
}

// image is the machine's snapshot, written at once.
func (s *subject) image() ([]byte, error) {
	snapshot, err := s.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	var b bytes.Buffer
	_, err = snapshot.WriteTo(&b)
	if err = errors.Join(err, snapshot.Close()); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return b.Bytes(), nil
}

// alike tells how the states of two machines differ.
func (c *Conformance) alike(a, b *subject) error {
	for _, q := range c.Queries {
		x, errX := a.Query(q)
		y, errY := b.Query(q)
		if !bytes.Equal(x, y) || (errX == nil) != (errY == nil) {
			return fmt.Errorf("query %q: %q, %v and %q, %v", q, x, errX, y, errY)
		}
	}
	x, errX := a.image()
	y, errY := b.image()
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	if !bytes.Equal(x, y) {
		return fmt.Errorf("after index %d two snapshots of equal states differ: %d and %d bytes", a.last, len(x), len(y))
	}
	return nil
}

// together applies the same commands to both, in batches of up to m and n.
func (c *Conformance) together(a, b *subject, commands [][]byte, m, n int) error {
	x, errX := a.apply(commands, m)
	y, errY := b.apply(commands, n)
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	for i := range x {
		if !bytes.Equal(x[i], y[i]) {
			return fmt.Errorf("command %d, %q: results %q and %q", i+1, commands[i], x[i], y[i])
		}
	}
	return c.alike(a, b)
}

func (c *Conformance) determinism(random *rand.Rand) error {
	return c.together(c.subject(), c.subject(), c.commands(random), 7, 7)
}

func (c *Conformance) batches(random *rand.Rand) error {
	return c.together(c.subject(), c.subject(), c.commands(random), 1, 2+random.IntN(64))
}

func (c *Conformance) restore(random *rand.Rand) error {
	commands := c.commands(random)
	at := random.IntN(len(commands))
	for _, used := range []bool{false, true} {
		origin, copied := c.subject(), c.subject()
		if _, err := origin.apply(commands[:at], 9); err != nil {
			return err
		}
		if used {
			if _, err := copied.apply(c.commands(random)[:at/2], 9); err != nil {
				return err
			}
		}
		image, err := origin.image()
		if err != nil {
			return err
		}
		if err := copied.Restore(bytes.NewReader(image)); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		copied.last = origin.last
		if err := c.together(origin, copied, commands[at:], 9, 9); err != nil {
			return fmt.Errorf("restored after %d commands, in a machine used before: %v: %w", at, used, err)
		}
	}
	return nil
}

func (c *Conformance) capture(random *rand.Rand) error {
	commands := c.commands(random)
	half := len(commands) / 2
	s := c.subject()
	if _, err := s.apply(commands[:half], 9); err != nil {
		return err
	}
	want, err := s.image()
	if err != nil {
		return err
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		return err
	}
	some, err := s.apply(commands[half:half+half/2], 9) // before it is written
	if err != nil {
		return err
	}
	var got bytes.Buffer
	written := make(chan error, 1)
	go func() {
		_, err := snapshot.WriteTo(&got)
		written <- err
	}()
	more, err := s.apply(commands[half+len(some):], 1) // while it is written
	if err = errors.Join(err, <-written, snapshot.Close()); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), want) {
		return fmt.Errorf("the snapshot after index %d changed while %d commands were applied", half, len(some)+len(more))
	}
	return nil
}

func (c *Conformance) reads(random *rand.Rand) error {
	commands := c.commands(random)
	asked, left := c.subject(), c.subject()
	for part := range slices.Chunk(commands, 10) {
		for _, q := range c.Queries {
			_, _ = asked.Query(q) // a refusal is an answer too
		}
		if _, err := asked.image(); err != nil { // to look is to read
			return err
		}
		x, errX := asked.apply(part, 5)
		y, errY := left.apply(part, 5)
		if err := errors.Join(errX, errY); err != nil {
			return err
		}
		for i := range x {
			if !bytes.Equal(x[i], y[i]) {
				return fmt.Errorf("result of %q is %q in a machine that was read and %q in one that was not", part[i], x[i], y[i])
			}
		}
	}
	return c.alike(asked, left)
}

var errFull = errors.New("enginetest: this writer takes no more")

// shortWriter takes so many bytes and then fails.
type shortWriter struct{ left int }

func (w *shortWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.left)
	w.left -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func (c *Conformance) writeError(random *rand.Rand) error {
	s := c.subject()
	if _, err := s.apply(c.commands(random), 9); err != nil {
		return err
	}
	image, err := s.image()
	if err != nil || len(image) == 0 {
		return err
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		return err
	}
	_, err = snapshot.WriteTo(&shortWriter{random.IntN(len(image))})
	_ = snapshot.Close()
	if err == nil {
		return errors.New("WriteTo returned no error, though the writer failed: half a snapshot counts as whole")
	}
	return nil
}

func (c *Conformance) applied(random *rand.Rand) error {
	s := c.subject()
	disk, ok := s.StateMachine.(engine.DiskStateMachine)
	if !ok {
		return nil
	}
	commands := c.commands(random)
	for _, n := range []int{0, 1, len(commands) - 1} {
		if _, err := s.apply(commands[:n], 4); err != nil {
			return err
		}
		if at, err := disk.Applied(); err != nil || at != s.last {
			return fmt.Errorf("after index %d it tells %d, %v", s.last, at, err)
		}
	}
	image, err := s.image()
	if err != nil {
		return err
	}
	copied := c.New()
	if err := copied.Restore(io.MultiReader(bytes.NewReader(image))); err != nil {
		return err
	}
	if at, err := copied.(engine.DiskStateMachine).Applied(); err != nil || at != s.last {
		return fmt.Errorf("restored at index %d it tells %d, %v", s.last, at, err)
	}
	return nil
}
