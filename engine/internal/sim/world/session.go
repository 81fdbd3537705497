package world

import (
	"encoding/binary"
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// table is what the commands of sessions pass on their way into a machine: the session
// table of the engine, used as the engine's machine uses it.
type table struct {
	sessions *session.Table
	stores   []stored // executed in the batch under way: their results are not in sessions yet
	room     int      // how many more of them
	answers  []answer // for who waits
}

// stored is a command of a session and its result.
type stored struct {
	index      raft.Index
	id, serial int64
	result     result
}

// answer is what an attempt at something will be told.
type answer struct {
	to *attempt
	verdict
}

// verdict is what became of a command of a session, or of a session.
type verdict struct {
	outcome session.Outcome
	at      raft.Index // Again, Pending: where it was executed; Apply: here
	result  result
	dropped bool // Again: the result was too long to keep
	open    int  // sessions, after one was opened or closed
}

func (t *table) init() { t.sessions = session.New() }

// begin begins a batch.
func (t *table) begin() { t.answers, t.room = t.answers[:0], t.sessions.Room() }

// flush ends a batch: the results go into the table.
func (t *table) flush() {
	for i := range t.stores {
		s := &t.stores[i]
		t.sessions.Store(s.id, s.serial, s.result.encode())
	}
	t.stores, t.room = t.stores[:0], t.sessions.Room()
}

// encode is a result as the table keeps it. Some are longer than others: there are
// tables that do not keep those.
func (r *result) encode() []byte {
	b := make([]byte, 9+r.number%16)
	binary.LittleEndian.PutUint64(b, r.number)
	if r.swapped {
		b[8] = 1
	}
	return b
}

func (r *result) decode(b []byte) {
	r.number, r.swapped = binary.LittleEndian.Uint64(b), b[8] == 1
}

// inSession executes a command of a session, unless it was before.
func (m *machine) inSession(c *command, e *raft.Entry, index raft.Index) verdict {
	t := &m.table
	if t.room <= 0 {
		t.flush()
	}
	m.expireByClock(c.session)
	j := t.sessions.Judge(index, e.Term, c.session, c.serial, c.acked)
	v := verdict{outcome: j.Outcome, at: j.Index, dropped: j.Dropped}
	switch v.outcome {
	case session.Apply:
		v.at, v.result = index, m.do(c)
		t.stores = append(t.stores, stored{index, c.session, c.serial, v.result})
		t.room--
	case session.Pending:
		for i := range t.stores {
			if t.stores[i].index == j.Index {
				v.result = t.stores[i].result
			}
		}
	case session.Again:
		if !v.dropped {
			v.result.decode(j.Result)
		}
	default:
	}
	return v
}

// change opens or closes a session.
func (m *machine) change(e *raft.Entry, index raft.Index) (v verdict, err error) {
	var c raftpb.SessionChange
	if _, err := c.ParseCompact(e.Body, nil); err != nil {
		return v, fmt.Errorf("entry %d: session change: %w", index, err)
	}
	t := &m.table
	t.flush()
	v.outcome, v.at = session.Apply, index
	if c.Kind == raftpb.SessionChangeKindOpen {
		_, window := t.sessions.Open(index, *c.Limits)
		v.result.number = uint64(window)
	} else if !t.sessions.Close(c.Session.Value) {
		v.outcome = session.Expired
	}
	t.room, v.open = t.sessions.Room(), t.sessions.Len()
	m.of.g.twin.change(m.of, &c, index, &v)
	return v, nil
}

// session passes a command of a session through the table and holds it against the twin.
func (m *machine) session(c *command, e *raft.Entry, index raft.Index) verdict {
	v := m.inSession(c, e, index)
	g, j := m.of.g, m.of.judge.Watched
	g.twin.command(m.of, c, index, &v)
	switch v.outcome {
	case session.Apply:
		j.Effect(c.session, c.serial, index, v.result.number, true)
	case session.Again, session.Pending:
		if !v.dropped {
			j.Effect(c.session, c.serial, index, v.result.number, false)
		}
	default:
	}
	m.hash.Add(uint64(v.at)) // that it was Pending or Again depends on the batch
	return v
}
