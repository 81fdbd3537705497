package session

import (
	"fmt"
	"math"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// version is what Append writes and Decode reads: SessionTable of raft.thrift in
// Thrift Compact.
const version = 1

// Append appends the table to b. Two tables that went through the same entries give
// the same bytes. Results of all commands judged must be stored.
func (t *Table) Append(b []byte) []byte {
	m := raftpb.SessionTable{Version: version, Limits: t.limits}
	for s := t.root.next; s != &t.root; s = s.next {
		m.Sessions = append(m.Sessions, s.message(true))
	}
	return m.AppendCompact(b)
}

// message is the session as raft.thrift has it.
func (s *state) message(records bool) raftpb.SessionState {
	m := raftpb.SessionState{Session: s.id, Window: int32(s.window), AckedBelow: s.acked, Used: s.used}
	for i := range s.records {
		if records {
			m.Records = append(m.Records, s.records[i].message())
		}
	}
	return m
}

func (r *record) message() raftpb.SessionRecord {
	return raftpb.SessionRecord{Serial: r.serial, Index: r.index, Term: r.term, Result: r.result, Dropped: r.dropped}
}

// Decode reads what Append wrote, all of b, and keeps nothing of it. It refuses what
// no Append of a table can have written: another version, a table over its limits,
// sessions or serials out of order.
func Decode(b []byte) (*Table, error) {
	var m raftpb.SessionTable
	size, err := m.ParseCompact(b, &codec.Limits{MaxBytes: math.MaxInt32})
	switch {
	case err != nil:
		return nil, fmt.Errorf("session: decode: %w", err)
	case size != len(b):
		return nil, fmt.Errorf("session: decode: %d bytes after the table", len(b)-size)
	case m.Version != version:
		return nil, fmt.Errorf("session: decode: version %d, this one reads %d", m.Version, version)
	}
	t := New()
	if err := t.setLimits(m.Limits); err != nil {
		return nil, fmt.Errorf("session: decode: %w", err)
	}
	for i := range m.Sessions {
		if err := t.restore(&m.Sessions[i]); err != nil {
			return nil, fmt.Errorf("session: decode: session %d: %w", m.Sessions[i].Session, err)
		}
	}
	return t, t.check()
}

func (t *Table) setLimits(l raftpb.SessionLimits) error {
	if l != (raftpb.SessionLimits{}) && l != bounded(l) {
		return fmt.Errorf("limits %+v are out of bounds", l)
	}
	t.limits = l
	return nil
}

// restore adds a session as the most recently used.
func (t *Table) restore(m *raftpb.SessionState) error {
	s := &state{id: m.Session, window: int64(m.Window), acked: m.AckedBelow, used: m.Used, bytes: sessionBytes}
	switch {
	case m.Session < 1 || m.Used < Index(m.Session) || m.Used <= t.root.prev.used:
		return fmt.Errorf("used at %d, after one used at %d", m.Used, t.root.prev.used)
	case m.Window < 1 || m.Window > MaxWindow || m.AckedBelow < 1 || m.AckedBelow > 1<<62:
		return fmt.Errorf("window %d from %d", m.Window, m.AckedBelow)
	case t.sessions[m.Session] != nil:
		return fmt.Errorf("twice")
	}
	t.insert(s)
	t.bytes += sessionBytes
	for i := range m.Records {
		if err := t.restoreRecord(s, &m.Records[i]); err != nil {
			return err
		}
	}
	return nil
}

// restoreRecord adds a record behind the others of s.
func (t *Table) restoreRecord(s *state, m *raftpb.SessionRecord) error {
	last := s.acked - 1
	if n := len(s.records); n > 0 {
		last = s.records[n-1].serial
	}
	switch {
	case m.Serial <= last || m.Serial-s.acked >= s.window:
		return fmt.Errorf("serial %d after %d, in a window of %d from %d", m.Serial, last, s.window, s.acked)
	case m.Index <= Index(s.id) || m.Index > s.used:
		return fmt.Errorf("serial %d applied at %d, in a session used at %d", m.Serial, m.Index, s.used)
	case len(m.Result) > MaxResultBytes || (m.Dropped && len(m.Result) > 0):
		return fmt.Errorf("serial %d: result of %d bytes, dropped %t", m.Serial, len(m.Result), m.Dropped)
	}
	r := record{serial: m.Serial, index: m.Index, term: m.Term, dropped: m.Dropped}
	if len(m.Result) > 0 {
		r.result = append(make([]byte, 0, len(m.Result)), m.Result...)
	}
	s.records = append(s.records, r)
	s.bytes += recordBytes + int64(len(r.result))
	t.bytes += recordBytes + int64(len(r.result))
	return nil
}

// check holds a table against its limits.
func (t *Table) check() error {
	if len(t.sessions) > int(t.limits.Sessions) || t.bytes > t.limits.Bytes {
		return fmt.Errorf("session: decode: %d sessions of %d bytes are over the limits %+v", len(t.sessions), t.bytes, t.limits)
	}
	return nil
}
