package engine

import (
	"fmt"
	"io"

	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
)

// StateMachine is what a group replicates. The engine never calls two of its methods
// at a time, and calls them on every member in the same order; what Apply
// does must follow from the commands alone (no clock, no random number, no map
// order), or the members drift apart.
//
// A machine lives in memory: after a restart the engine restores its newest snapshot
// and applies the log behind it again. One that keeps its state on disk implements
// [DiskStateMachine] too.
type StateMachine interface {
	// Apply applies b.Commands in order and stores the answer to b.Commands[i] in
	// results[i].Data. The bytes of b are valid until Apply returns. An error is for
	// damage, not for commands that are refused (a refusal is a result); what the
	// engine does about it GroupConfig.OnApplyError says, by default it stops the
	// group on this member.
	Apply(b Batch, results []Result) error
	// Query answers q, in a format of your own, for clients in other languages
	// (RaftClient.Read). It changes nothing.
	Query(q []byte) ([]byte, error)
	// Snapshot returns the state after the commands applied so far. It must be cheap:
	// nothing is applied meanwhile. What it returns is written while Apply goes on.
	Snapshot() (Snapshot, error)
	// Restore replaces the whole state by the one that WriteTo wrote to a snapshot, on
	// this or another member. Every byte of r was checked. After an error the group
	// stops on this member, and the state may be anything.
	Restore(r io.Reader) error
}

// DiskStateMachine keeps its own state, across restarts. The engine applies the log
// from behind what the state covers, and keeps what it needs itself with the state: the
// key-values of [Batch.Meta], which Apply must store in the same atomic write as
// the effects of the commands and b.Last.
//
// Commands reach it only when they are durable in the log here: its state is never
// ahead of the log.
//
// Its snapshots hold all of that: after Restore, Applied and LoadMeta tell what they told
// when the snapshot was taken.
type DiskStateMachine interface {
	StateMachine
	// Applied returns Last of the newest batch that the state holds, 0 for none. It is
	// asked before the first Apply.
	Applied() (Index, error)
	// LoadMeta calls fn for every key stored from Batch.Meta and not removed since, in
	// any order. fn keeps neither key nor value.
	LoadMeta(fn func(key, value []byte)) error
	// Sync returns when all that Apply has taken is durable. The engine asks before it
	// drops log that the state covers. An error stops the group on this member.
	Sync() error
}

// Batch is a run of commands to apply.
type Batch struct {
	Commands []Command
	// Last is the index that the state covers once the batch is applied: that of the
	// last command, or of an entry behind it that is none.
	Last Index

	machine *machine
}

// KeyValue is a key to store; Value nil says to remove it.
type KeyValue struct{ Key, Value []byte }

// Meta returns what a [DiskStateMachine] stores together with the batch: what the
// engine knows of sessions once the commands have these results. Call it in Apply, when
// results are filled in. Keys begin with a zero byte; they are at most 32 bytes.
func (b Batch) Meta(results []Result) []KeyValue {
	if b.machine == nil {
		return nil
	}
	return b.machine.storeMeta(results)
}

// Command is one proposed command and its place in the log.
type Command struct {
	Index Index
	Term  Term
	Data  []byte
}

// Result is the outcome of a command.
type Result struct {
	Index Index // where in the log the command stands
	Term  Term
	Data  []byte // the state machine's answer
}

// ApplyPolicy says what becomes of a group whose state machine returns an error from
// Apply. All members must have the same one.
type ApplyPolicy uint8

const (
	// Halt stops the group on this member: nothing is applied any more. What was
	// being applied has an open outcome.
	Halt ApplyPolicy = iota
	// Retry calls Apply again with the same batch, after a pause that doubles from
	// 10 ms to 1 s, until it succeeds or the group is stopped. Meanwhile the group
	// applies nothing, and reads that need what is to be applied wait; other groups go
	// on. Apply must have changed nothing when it returns an error.
	Retry
	// Skip applies the commands of a batch that failed one at a time, and leaves out
	// those that fail alone; their proposers get an ApplyError. Apply must have changed
	// nothing when it returns an error, and must fail for the same commands on every
	// member. Not for a DiskStateMachine.
	Skip
)

func (p ApplyPolicy) String() string {
	if p <= Skip {
		return [...]string{"halt", "retry", "skip"}[p]
	}
	return fmt.Sprintf("ApplyPolicy(%d)", uint8(p))
}

// newMachine returns the feeder of a machine, and the index that the machine's state
// covers already.
func newMachine(c *GroupConfig, count *counters) (*machine, Index, error) {
	m := &machine{sm: c.Machine, policy: c.OnApplyError, hashEvery: c.HashEvery, count: count, sessions: session.New()}
	disk, ok := c.Machine.(DiskStateMachine)
	if !ok {
		return m, 0, nil
	}
	m.disk = disk
	applied, err := disk.Applied()
	if err != nil {
		return nil, 0, fmt.Errorf("state machine: applied: %w", err)
	}
	loader := session.NewLoader()
	var unknown []byte
	err = disk.LoadMeta(func(key, value []byte) {
		if len(key) == 0 || key[0] != metaPrefix || !loader.Add(key[1:], value) {
			unknown = append([]byte{}, key...)
		}
	})
	if err != nil {
		return nil, 0, fmt.Errorf("state machine: load meta: %w", err)
	}
	if unknown != nil {
		return nil, 0, fmt.Errorf("state machine: load meta: unknown key %x", unknown)
	}
	if m.sessions, err = loader.Table(); err != nil {
		return nil, 0, fmt.Errorf("state machine: load meta: %w", err)
	}
	m.sessions.Track()
	return m, applied, nil
}

// metaPrefix begins every key of Batch.Meta.
const metaPrefix = 0

var _ runtime.Machine = (*machine)(nil)
