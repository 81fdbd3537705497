package engine

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// StateMachine is what a group replicates. The engine calls its methods from one
// goroutine, never two at a time, on every member in the same order; what Apply
// does must follow from the commands alone (no clock, no random number, no map
// order), or the members drift apart.
//
// A machine lives in memory: after a restart the engine applies the log again.
type StateMachine interface {
	// Apply applies b.Commands in order and stores the answer to b.Commands[i] in
	// results[i].Data. The bytes of b are valid until Apply returns. An error stops
	// the group on this member: it is for damage, not for commands that are refused
	// (a refusal is a result).
	Apply(b Batch, results []Result) error
	// Query answers q, in a format of your own, for clients in other languages
	// (RaftClient.Read). It changes nothing.
	Query(q []byte) ([]byte, error)
}

// Batch is a run of commands to apply.
type Batch struct {
	Commands []Command
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

// machine feeds a StateMachine from the runtime.
type machine struct {
	sm       StateMachine
	commands []Command
	results  []Result
	waiting  []runtime.Completion
	payload  raftpb.Payload
	limits   codec.Limits
}

// Apply implements runtime.Machine.
func (m *machine) Apply(entries []raft.Entry, first raft.Index, done []runtime.Completion) error {
	m.commands, m.waiting = m.commands[:0], m.waiting[:0]
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case raftpb.EntryKindCommand:
			if _, err := m.payload.ParseCompact(e.Body, &m.limits); err != nil {
				return fmt.Errorf("entry %d: payload: %w", first+raft.Index(i), err)
			}
			m.commands = append(m.commands, Command{first + raft.Index(i), e.Term, m.payload.Command})
			m.waiting = append(m.waiting, done[i])
		case raftpb.EntryKindNoop, raftpb.EntryKindConfig:
		default:
			// A newer version wrote it. Skipping would make this member differ.
			return fmt.Errorf("entry %d: unknown kind %d: this version cannot apply it", first+raft.Index(i), e.Kind)
		}
	}
	if len(m.commands) == 0 {
		return nil
	}
	for len(m.results) < len(m.commands) {
		m.results = append(m.results, Result{})
	}
	results := m.results[:len(m.commands)]
	clear(results)
	if err := m.sm.Apply(Batch{m.commands}, results); err != nil {
		return fmt.Errorf("state machine: apply %d..%d: %w", first, first+raft.Index(len(entries))-1, err)
	}
	return nil
}

// Complete implements runtime.Machine.
func (m *machine) Complete() {
	for i, c := range m.waiting {
		if c != nil {
			r := m.results[i]
			r.Index, r.Term = m.commands[i].Index, m.commands[i].Term
			c.(*proposal).complete(r, nil)
		}
	}
	clear(m.waiting)
	m.waiting = m.waiting[:0]
}
