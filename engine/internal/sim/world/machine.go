package world

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// machine is the state machine of every node: keys that hold a number, and keys that
// hold a list of numbers. It keeps a hash of all that it did.
type machine struct {
	of      *member
	regs    []uint64
	lists   [][]uint64
	hash    schedule.Hash
	applied raft.Index
	waiting []*operation
	results []result
	custom  custom
	table   table
	used    map[int64]int64 // when each session was, by a machine that goes by the clock
}

// result is a machine's answer.
type result struct {
	index   raft.Index
	swapped bool
	number  uint64 // what the key held, or how long its list is
}

// commandKind is what a command does.
type commandKind uint8

const (
	put commandKind = iota + 1
	swap
	extend
	get   // never in the log
	other // for a machine of somebody else's
)

// command is the body of an entry:
//
//	0 u64 value, unique   8 u64 expected   16 u32 key   20 u8 kind   21 filler
//
// With sessionFlag in the kind it belongs to a session:
//
//	21 i64 session   29 i64 serial   37 i64 acked   45 filler
type command struct {
	kind     commandKind
	key      uint32
	value    uint64
	expected uint64

	session, serial, acked int64 // session 0: it belongs to none
}

const (
	commandBytes = 21
	sessionBytes = 24
	sessionFlag  = 0x80
)

// size is how long the command is without filler.
func (c *command) size() int {
	if c.session != 0 {
		return commandBytes + sessionBytes
	}
	return commandBytes
}

func (c *command) encode(b []byte) {
	binary.LittleEndian.PutUint64(b, c.value)
	binary.LittleEndian.PutUint64(b[8:], c.expected)
	binary.LittleEndian.PutUint32(b[16:], c.key)
	b[20] = byte(c.kind)
	if c.session != 0 {
		b[20] |= sessionFlag
		binary.LittleEndian.PutUint64(b[21:], uint64(c.session))
		binary.LittleEndian.PutUint64(b[29:], uint64(c.serial))
		binary.LittleEndian.PutUint64(b[37:], uint64(c.acked))
	}
}

func (c *command) decode(b []byte) bool {
	if len(b) < commandBytes {
		return false
	}
	c.value, c.expected = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	c.key, c.kind = binary.LittleEndian.Uint32(b[16:]), commandKind(b[20]&^sessionFlag)
	c.session, c.serial, c.acked = 0, 0, 0
	if b[20]&sessionFlag == 0 {
		return true
	}
	if len(b) < commandBytes+sessionBytes {
		return false
	}
	c.session, c.serial = int64(binary.LittleEndian.Uint64(b[21:])), int64(binary.LittleEndian.Uint64(b[29:]))
	c.acked = int64(binary.LittleEndian.Uint64(b[37:]))
	return true
}

func newMachine(of *member) *machine {
	m := &machine{of: of}
	m.custom.init(of.g.w.o.Custom)
	m.table.init()
	return m
}

// Apply implements runtime.Machine.
func (m *machine) Apply(entries []raft.Entry, first raft.Index, done []runtime.Completion) error {
	if err := m.of.n.understands(entries); err != nil {
		return err
	}
	m.of.judge.Applied(first, entries)
	m.of.g.w.did.applied += uint64(len(entries))
	m.applied = first + raft.Index(len(entries)) - 1
	m.waiting, m.results = m.waiting[:0], m.results[:0]
	if err := m.custom.apply(entries, first); err != nil {
		return err
	}
	m.table.begin()
	for i := range entries {
		index := first + raft.Index(i)
		m.hash.Add(uint64(uint32(entries[i].Crc32c)) ^ uint64(entries[i].Term)<<32)
		if err := m.take(&entries[i], index, done[i]); err != nil {
			return err
		}
		if index&63 == 0 {
			m.of.judge.Watched.State(index, uint64(m.hash))
		}
	}
	m.table.flush()
	return nil
}

// take takes one entry in.
func (m *machine) take(e *raft.Entry, index raft.Index, done runtime.Completion) error {
	waits, _ := done.(*attempt)
	switch e.Kind {
	case raftpb.EntryKindCommand, newerKind:
		var c command
		if !c.decode(e.Body) {
			return fmt.Errorf("entry %d is no command", index)
		}
		if c.session != 0 {
			v := m.session(&c, e, index)
			if waits != nil {
				m.table.answers = append(m.table.answers, answer{waits, v})
			}
			return nil
		}
		r := result{}
		if c.kind == other {
			m.hash.Add(m.custom.next())
		} else {
			r = m.do(&c)
		}
		r.index = index
		if op, ok := done.(*operation); ok {
			m.waiting, m.results = append(m.waiting, op), append(m.results, r)
		}
	case raftpb.EntryKindSession:
		v, err := m.change(e, index)
		if err == nil && waits != nil {
			m.table.answers = append(m.table.answers, answer{waits, v})
		}
		return err
	default:
	}
	return nil
}

// do changes the state.
func (m *machine) do(c *command) (r result) {
	if c.kind == extend {
		for int(c.key) >= len(m.lists) {
			m.lists = append(m.lists, nil)
		}
		m.lists[c.key] = append(m.lists[c.key], c.value)
		r.number = uint64(len(m.lists[c.key]))
		m.hash.Add(r.number ^ c.value<<8)
		return r
	}
	for int(c.key) >= len(m.regs) {
		m.regs = append(m.regs, 0)
	}
	r.number = m.regs[c.key]
	if c.kind == swap && r.number != c.expected {
		return r
	}
	m.hash.Add(r.number ^ c.value<<8)
	m.regs[c.key], r.swapped = c.value+m.byClock(c.value), c.kind == swap
	return r
}

// Complete implements runtime.Machine.
func (m *machine) Complete() {
	for i, op := range m.waiting {
		op.complete(m.results[i])
	}
	for i := range m.table.answers {
		a := &m.table.answers[i]
		a.to.complete(&a.verdict)
	}
	m.table.answers = m.table.answers[:0]
}

func (m *machine) register(key uint32) uint64 {
	if int(key) >= len(m.regs) {
		return 0
	}
	return m.regs[key]
}

func (m *machine) list(key uint32) []uint64 {
	if int(key) >= len(m.lists) {
		return nil
	}
	return m.lists[key]
}

// Capture implements runtime.SnapshotMachine.
func (m *machine) Capture(raft.Index) (runtime.Capture, error) {
	b := binary.LittleEndian.AppendUint64(nil, uint64(m.hash))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.applied))
	state, err := m.custom.snapshot(m.of, m.applied)
	if err != nil {
		return nil, err
	}
	b = append(binary.AppendUvarint(b, uint64(len(state))), state...)
	b = binary.AppendUvarint(b, uint64(len(m.regs)))
	for _, v := range m.regs {
		b = binary.AppendUvarint(b, v)
	}
	for _, l := range m.lists {
		b = binary.AppendUvarint(b, uint64(len(l)))
		for _, v := range l {
			b = binary.AppendUvarint(b, v)
		}
	}
	out := capture{state: b}
	if !m.of.g.w.mutated(mutSessionsForgotten) {
		out.facts = []snapshot.KeyValue{{Key: []byte(sessionsKey), Value: m.table.sessions.Append(nil)}}
	}
	return out, nil
}

// sessionsKey is the fact of an image that holds the session table.
const sessionsKey = "sessions"

// capture is a state, written.
type capture struct {
	state []byte
	facts []snapshot.KeyValue
}

// Facts implements runtime.Capture.
func (c capture) Facts() []snapshot.KeyValue { return c.facts }

// Write implements runtime.Capture.
func (c capture) Write(w *snapshot.Writer) error {
	_, err := w.Write(c.state)
	return err
}

// Close implements runtime.Capture.
func (capture) Close() error { return nil }

// Restore implements runtime.SnapshotMachine.
func (m *machine) Restore(image *snapshot.Image) error {
	var b []byte
	table := session.New()
	fact := func(kv snapshot.KeyValue) (err error) {
		if string(kv.Key) == sessionsKey {
			table, err = session.Decode(kv.Value)
		}
		return err
	}
	err := image.Read(fact, func(r io.Reader) (err error) {
		b, err = io.ReadAll(r)
		return err
	}, nil)
	if err != nil {
		return err
	}
	m.table.sessions = table
	number := func() uint64 {
		v, k := binary.Uvarint(b)
		b = b[k:]
		return v
	}
	m.hash, m.applied = schedule.Hash(binary.LittleEndian.Uint64(b)), raft.Index(binary.LittleEndian.Uint64(b[8:]))
	b = b[16:]
	size := number()
	if err := m.custom.restore(b[:size]); err != nil {
		return err
	}
	b = b[size:]
	m.regs, m.lists = make([]uint64, number()), nil
	for i := range m.regs {
		m.regs[i] = number()
	}
	for len(b) > 0 {
		l := make([]uint64, number())
		for i := range l {
			l[i] = number()
		}
		m.lists = append(m.lists, l)
	}
	if j := m.of.judge; !j.Down() {
		j.Watched.Restored(m.applied)
		j.Watched.State(m.applied, uint64(m.hash))
	}
	return nil
}
