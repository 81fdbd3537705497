// Package sim has what all simulated worlds share: what a run is asked for and what it
// tells. The worlds are packages of their own: sim/bare runs cores alone, sim/world the
// driver and the log too.
package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// Options of one run.
type Options struct {
	Seed uint64
	// Events ends the phase of faults after so many. 0: as the seed has it.
	Events uint64
	// Without names kinds of trouble that are left out, for shrinking: see Report.Faults.
	Without []string
	// Skip leaves out single troubles, by their number: half-open ranges, ascending.
	Skip []Range
	// Trace is told of everything. nil: nobody listens, which is much faster.
	Trace func(Line)
	// Mutant is a seeded bug to switch on, by its number; 0: none. Builds with the tag
	// mutants only.
	Mutant int
	// Custom adds a state machine of somebody else's to every node. nil: none.
	Custom *Custom
}

// Custom is a state machine that is tried in a world.
type Custom struct {
	New     func() Machine                // in its first state
	Command func(*rand.Rand) []byte       // one that a client might propose
	Check   func(map[int64]Machine) error // at the end, when all members are equal; nil: nothing
}

// Machine is a state machine of bytes.
type Machine interface {
	Apply(commands []Command) (results [][]byte, err error)
	Snapshot() ([]byte, error)
	Restore(state []byte) error
}

// Command is a committed command of a Machine.
type Command struct {
	Index int64
	Term  int64
	Data  []byte
}

// Range is [From, To).
type Range struct{ From, To uint64 }

// Line is one thing that happened.
type Line struct {
	At   int64  `json:"at_ns"` // true time since the start
	Node int64  `json:"node,omitempty"`
	Kind string `json:"kind"`
	Text string `json:"text,omitempty"`
}

// String is the line as one reads it.
func (l Line) String() string {
	who := "      "
	if l.Node != 0 {
		who = fmt.Sprintf("node %d", l.Node)
	}
	return fmt.Sprintf("%14.6f ms  %s  %-14s %s", float64(l.At)/1e6, who, l.Kind, l.Text)
}

// Undecided is the Check of a failure that is none of the cluster: an oracle could not tell
// within its limit whether the clients saw what they may see. Such a run is red, too.
const Undecided = "undecided"

// Failure is why a run is red.
type Failure struct {
	Check    string `json:"check"` // "I6", "model", "liveness", "oracle", "panic", ...
	Sentence string `json:"sentence"`
	At       int64  `json:"at_ns"`
	Event    uint64 `json:"event"`
}

// Error makes a failure an error.
func (f *Failure) Error() string {
	return fmt.Sprintf("sim: %s: %s (event %d, %.3f ms)", f.Check, f.Sentence, f.Event, float64(f.At)/1e6)
}

// Counts are how often what happened, by name.
type Counts map[string]uint64

// Add adds n to a name.
func (c Counts) Add(name string, n uint64) {
	if n != 0 {
		c[name] += n
	}
}

// Sum adds other.
func (c Counts) Sum(other Counts) {
	for name, n := range other {
		c[name] += n
	}
}

// Names are the names, sorted.
func (c Counts) Names() []string { return slices.Sorted(maps.Keys(c)) }

// Report is what a run tells. An event is one input that a node handles.
type Report struct {
	Seed       uint64   `json:"seed"`
	Hash       uint64   `json:"hash"`
	Events     uint64   `json:"events"`
	Deliveries uint64   `json:"deliveries"` // of them, messages
	Simulated  int64    `json:"simulated_ns"`
	Troubles   uint64   `json:"troubles"` // how many there were that Options.Skip can leave out
	Faults     Counts   `json:"faults,omitempty"`
	Did        Counts   `json:"did,omitempty"` // elections, crashes, client operations, ...
	Marks      Counts   `json:"marks,omitempty"`
	Failure    *Failure `json:"failure,omitempty"`
}
