// Package session keeps the sessions of a group: which commands of which client
// were applied, and what they returned. A command that is proposed again, by a
// client that does not know what became of it, is answered from the table instead
// of being applied a second time (Ongaro's dissertation, section 6.3).
//
// The table is part of the replicated state: a pure function of the log. What it
// holds and whom it expires follows from entries alone, in their order: no clock,
// no map order, and not how entries are cut into batches.
//
//	serials of one session
//	1   2   3 | 4   5   6   7   8 | 9 ...
//	----------+--------------------+------
//	answers   | window: any order, | refused
//	received  | each applied once  |
//	          ^ackedBelow          ^ackedBelow + window
package session

import (
	"sort"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Index and Term are the vocabulary of raft.thrift.
type (
	Index = raftpb.Index
	Term  = raftpb.Term
)

// Bounds of what SessionLimits may ask for; what is outside is moved inside.
const (
	MaxSessions    = 1 << 16
	MaxWindow      = 1 << 14
	MaxTableBytes  = 1 << 30
	MinTableBytes  = 4 << 20 // above twice what the records of one session take without their results
	MaxResultBytes = 16 << 20
)

// What a session and a record count for in the table's bytes, beside the result.
const (
	sessionBytes = 128
	recordBytes  = 64
)

// Table is the sessions of one group. It belongs to one goroutine.
type Table struct {
	limits   raftpb.SessionLimits
	sessions map[int64]*state // looked into, never ranged over
	// The sessions in order of their last use, a ring through root: root.next is the
	// oldest. A use has the index of its entry, so the order is the same everywhere.
	root  state
	bytes int64
	dirty changes
}

type state struct {
	id         int64 // the index of the entry that opened it
	window     int64
	acked      int64 // serials below have been answered, and are forgotten
	used       Index
	records    []record // by rising serial
	bytes      int64
	prev, next *state
}

type record struct {
	serial  int64
	index   Index
	term    Term
	result  []byte
	pending bool // applied in the batch under way: the result is not known yet
	dropped bool // the result was too long to keep
}

// New returns an empty table. Its limits come with the first session.
func New() *Table {
	t := &Table{sessions: map[int64]*state{}}
	t.root.prev, t.root.next = &t.root, &t.root
	return t
}

// Len returns how many sessions are open.
func (t *Table) Len() int { return len(t.sessions) }

// Bytes returns what the table holds, as its limit counts it.
func (t *Table) Bytes() int64 { return t.bytes }

// Room returns how many commands may be judged before their results must be stored,
// at least 1. So many results, however long, expire nobody: what is judged then does
// not depend on them, and so not on where a batch ends.
func (t *Table) Room() int {
	each := int64(t.limits.ResultBytes) + recordBytes
	return int(max(1, (t.limits.Bytes-t.bytes)/each))
}

// Open opens the session that the entry at index asks for, within limits, which
// count from now on for all. The least recently used sessions go when there is no
// room for it. The results of all commands judged before must be stored.
func (t *Table) Open(index Index, limits raftpb.SessionLimits) (id int64, window int) {
	t.limits = bounded(limits)
	for len(t.sessions) >= int(t.limits.Sessions) {
		t.expire(t.root.next)
	}
	t.shrink(t.limits.Bytes-sessionBytes, nil)
	s := &state{id: int64(index), window: int64(t.limits.Window), acked: 1, used: index, bytes: sessionBytes}
	t.bytes += sessionBytes
	t.insert(s)
	t.dirty.limits()
	t.dirty.session(s)
	return s.id, int(s.window)
}

// Close ends a session. It reports whether it was open.
func (t *Table) Close(id int64) bool {
	s := t.sessions[id]
	if s != nil {
		t.expire(s)
	}
	return s != nil
}

// Outcome says what to do with a command of a session.
type Outcome uint8

// The outcomes of Judge.
const (
	Apply   Outcome = iota + 1 // it is new: apply it, then Store its result
	Again                      // it was applied: answer with what is known of that
	Pending                    // it stands at Verdict.Index in the batch under way
	Expired                    // there is no such session any more: nothing is applied
	Outside                    // the serial is outside of the window: nothing is applied
)

// Verdict is what Judge decides.
type Verdict struct {
	Outcome Outcome
	Index   Index  // Again, Pending: where the command was applied
	Term    Term   // Again: and in which term
	Result  []byte // Again: what it returned; read only
	Dropped bool   // Again: what it returned was too long to keep
	// Outside: the serials accepted, First to Last.
	First, Last int64
}

// Judge decides about the command at index. serial counts from 1; ackedBelow says
// that the client has the answers of all serials below it, 0 says nothing.
func (t *Table) Judge(index Index, term Term, id, serial, ackedBelow int64) Verdict {
	s := t.sessions[id]
	if s == nil {
		return Verdict{Outcome: Expired}
	}
	t.use(s, index)
	if ackedBelow <= serial {
		t.acknowledge(s, ackedBelow)
	}
	if serial < s.acked || serial-s.acked >= s.window {
		return Verdict{Outcome: Outside, First: s.acked, Last: s.acked + s.window - 1}
	}
	at, found := s.find(serial)
	if found {
		r := &s.records[at]
		if r.pending {
			return Verdict{Outcome: Pending, Index: r.index, Term: r.term}
		}
		return Verdict{Outcome: Again, Index: r.index, Term: r.term, Result: r.result, Dropped: r.dropped}
	}
	s.records = append(s.records, record{})
	copy(s.records[at+1:], s.records[at:])
	s.records[at] = record{serial: serial, index: index, term: term, pending: true}
	s.bytes += recordBytes
	t.bytes += recordBytes
	return Verdict{Outcome: Apply}
}

// Store keeps what a command returned that was judged Apply. result is copied. It
// does nothing when the session has gone meanwhile, or the client has the answer.
func (t *Table) Store(id, serial int64, result []byte) {
	s := t.sessions[id]
	if s == nil {
		return
	}
	at, found := s.find(serial)
	if !found || !s.records[at].pending {
		return
	}
	r := &s.records[at]
	r.pending = false
	if r.dropped = len(result) > int(t.limits.ResultBytes); !r.dropped {
		r.result = append(make([]byte, 0, len(result)), result...)
		s.bytes += int64(len(result))
		t.bytes += int64(len(result))
	}
	t.dirty.record(s, serial)
	if t.bytes <= t.limits.Bytes {
		return
	}
	// A little more than needed: else every command from here on ends its batch.
	t.shrink(t.limits.Bytes-t.limits.Bytes/8, s)
	for i := 0; t.bytes > t.limits.Bytes; i++ { // this session alone fills the table: its oldest results go
		t.drop(s, &s.records[i])
	}
}

// Drop is Store for a command whose result cannot be told.
func (t *Table) Drop(id, serial int64) {
	if s := t.sessions[id]; s != nil {
		if at, found := s.find(serial); found && s.records[at].pending {
			s.records[at].pending = false
			t.drop(s, &s.records[at])
		}
	}
}

// drop lets go of a result.
func (t *Table) drop(s *state, r *record) {
	t.bytes -= int64(len(r.result))
	s.bytes -= int64(len(r.result))
	r.result, r.dropped = nil, true
	t.dirty.record(s, r.serial)
}

// acknowledge forgets what the client has the answers of.
func (t *Table) acknowledge(s *state, below int64) {
	if below <= s.acked {
		return
	}
	s.acked = below
	n := 0
	for n < len(s.records) && s.records[n].serial < below {
		gone := int64(recordBytes + len(s.records[n].result))
		s.bytes -= gone
		t.bytes -= gone
		t.dirty.record(s, s.records[n].serial)
		n++
	}
	if n > 0 {
		kept := copy(s.records, s.records[n:])
		clear(s.records[kept:])
		s.records = s.records[:kept]
	}
}

// shrink expires the least recently used sessions, but for one, until the table
// holds at most that many bytes.
func (t *Table) shrink(most int64, but *state) {
	for s := t.root.next; t.bytes > most && s != &t.root; {
		next := s.next
		if s != but {
			t.expire(s)
		}
		s = next
	}
}

func (t *Table) expire(s *state) {
	t.dirty.gone(s)
	s.prev.next, s.next.prev = s.next, s.prev
	delete(t.sessions, s.id)
	t.bytes -= s.bytes
}

// use makes s the most recently used.
func (t *Table) use(s *state, index Index) {
	s.used = index
	t.dirty.session(s)
	s.prev.next, s.next.prev = s.next, s.prev
	t.link(s)
}

func (t *Table) insert(s *state) {
	t.sessions[s.id] = s
	t.link(s)
}

func (t *Table) link(s *state) {
	s.prev, s.next = t.root.prev, &t.root
	s.prev.next, s.next.prev = s, s
}

// find returns where the record of serial is, or would be.
func (s *state) find(serial int64) (at int, found bool) {
	n := len(s.records)
	if n == 0 || s.records[n-1].serial < serial { // nearly always
		return n, false
	}
	at = sort.Search(n, func(i int) bool { return s.records[i].serial >= serial })
	return at, at < n && s.records[at].serial == serial
}

// bounded moves limits into their bounds: they come from an entry.
func bounded(l raftpb.SessionLimits) raftpb.SessionLimits {
	l.Sessions = min(max(l.Sessions, 1), MaxSessions)
	l.Window = min(max(l.Window, 1), MaxWindow)
	l.Bytes = min(max(l.Bytes, MinTableBytes), MaxTableBytes)
	l.ResultBytes = min(max(l.ResultBytes, 0), MaxResultBytes)
	return l
}
