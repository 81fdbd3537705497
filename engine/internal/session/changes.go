package session

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// A state machine that keeps its own state on disk stores the table with it, as keys
// and values that change a few at a time:
//
//	's'                                        SessionLimits
//	's' session (8 bytes, big-endian)          SessionState without its records
//	's' session (8)  serial (8)                SessionRecord

// keyPrefix begins every key of a table.
const keyPrefix = 's'

// changes lists the keys to store again. They are noted only when someone asks for
// them, and encoded from the table as it stands at the end of a batch.
type changes struct {
	tracked bool
	keys    []key
}

// key is a session's, or with serial a record's; of session 0 the limits'.
type key struct{ session, serial int64 }

func (k key) append(b []byte) []byte {
	b = append(b, keyPrefix)
	if k.session != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(k.session))
	}
	if k.serial != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(k.serial))
	}
	return b
}

func (c *changes) add(k key) {
	if c.tracked {
		c.keys = append(c.keys, k)
	}
}

func (c *changes) limits()                       { c.add(key{}) }
func (c *changes) session(s *state)              { c.add(key{session: s.id}) }
func (c *changes) record(s *state, serial int64) { c.add(key{s.id, serial}) }
func (c *changes) gone(s *state) {
	c.session(s)
	for i := range s.records {
		c.record(s, s.records[i].serial)
	}
}

// Track makes the table note its changes from now on.
func (t *Table) Track() { t.dirty.tracked = true }

// Changed reports whether Changes has something to tell.
func (t *Table) Changed() bool { return len(t.dirty.keys) > 0 }

// Changes calls put for every key that changed since the last call, in order of the
// keys, once each: value nil says that it is gone. The bytes are new.
func (t *Table) Changes(put func(key, value []byte)) {
	d := &t.dirty
	slices.SortFunc(d.keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.session, b.session), cmp.Compare(a.serial, b.serial))
	})
	for _, k := range slices.Compact(d.keys) {
		put(k.append(nil), t.value(k))
	}
	d.keys = d.keys[:0]
}

func (t *Table) value(k key) []byte {
	if k.session == 0 {
		return t.limits.AppendCompact(nil)
	}
	s := t.sessions[k.session]
	if s == nil {
		return nil
	}
	if k.serial == 0 {
		m := s.message(false)
		return m.AppendCompact(nil)
	}
	at, found := s.find(k.serial)
	if !found || s.records[at].pending {
		return nil
	}
	m := s.records[at].message()
	return m.AppendCompact(nil)
}

// Loader puts a table together from keys and values, in any order.
type Loader struct {
	limits   raftpb.SessionLimits
	sessions map[int64]*raftpb.SessionState
	records  map[int64][]raftpb.SessionRecord
	ids      []int64
	err      error
}

// NewLoader returns an empty loader.
func NewLoader() *Loader {
	return &Loader{sessions: map[int64]*raftpb.SessionState{}, records: map[int64][]raftpb.SessionRecord{}}
}

// Add takes one key and its value. It reports whether the key is of a session table.
func (l *Loader) Add(name, value []byte) bool {
	if len(name) == 0 || name[0] != keyPrefix {
		return false
	}
	fail := func(err error) {
		if err != nil && l.err == nil {
			l.err = fmt.Errorf("session: load: key %x: %w", name, err)
		}
	}
	value = bytes.Clone(value)
	limits := &codec.Limits{MaxBytes: MaxResultBytes + recordBytes}
	switch name = name[1:]; len(name) {
	case 0:
		_, err := l.limits.ParseCompact(value, limits)
		fail(err)
	case 8:
		id, m := int64(binary.BigEndian.Uint64(name)), &raftpb.SessionState{}
		_, err := m.ParseCompact(value, limits)
		if err == nil && (m.Session != id || len(m.Records) > 0) {
			err = errors.New("it holds another session")
		}
		fail(err)
		l.sessions[id] = m
		l.ids = append(l.ids, id)
	case 16:
		id, m := int64(binary.BigEndian.Uint64(name)), raftpb.SessionRecord{}
		_, err := m.ParseCompact(value, limits)
		if err == nil && m.Serial != int64(binary.BigEndian.Uint64(name[8:])) {
			err = errors.New("it holds another serial")
		}
		fail(err)
		l.records[id] = append(l.records[id], m)
	default:
		fail(errors.New("unknown length"))
	}
	return true
}

// Table returns the table, or what is wrong with it: the same refusals as Decode's.
func (l *Loader) Table() (*Table, error) {
	t := New()
	if l.err != nil {
		return nil, l.err
	}
	if err := t.setLimits(l.limits); err != nil {
		return nil, fmt.Errorf("session: load: %w", err)
	}
	slices.SortFunc(l.ids, func(a, b int64) int { return cmp.Compare(l.sessions[a].Used, l.sessions[b].Used) })
	for _, id := range l.ids {
		m := l.sessions[id]
		m.Records = l.records[id]
		slices.SortFunc(m.Records, func(a, b raftpb.SessionRecord) int { return cmp.Compare(a.Serial, b.Serial) })
		if err := t.restore(m); err != nil {
			return nil, fmt.Errorf("session: load: session %d: %w", id, err)
		}
		delete(l.records, id)
	}
	if len(l.records) > 0 {
		return nil, fmt.Errorf("session: load: records of %d sessions that are not there", len(l.records))
	}
	return t, t.check()
}
