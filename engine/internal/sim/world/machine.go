package world

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
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
}

// result is a machine's answer.
type result struct {
	index   raft.Index
	swapped bool
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
type command struct {
	kind     commandKind
	key      uint32
	value    uint64
	expected uint64
}

const commandBytes = 21

func (c *command) encode(b []byte) {
	binary.LittleEndian.PutUint64(b, c.value)
	binary.LittleEndian.PutUint64(b[8:], c.expected)
	binary.LittleEndian.PutUint32(b[16:], c.key)
	b[20] = byte(c.kind)
}

func (c *command) decode(b []byte) bool {
	if len(b) < commandBytes {
		return false
	}
	c.value, c.expected = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	c.key, c.kind = binary.LittleEndian.Uint32(b[16:]), commandKind(b[20])
	return true
}

func newMachine(of *member) *machine {
	m := &machine{of: of}
	m.custom.init(of.g.w.o.Custom)
	return m
}

// Apply implements runtime.Machine.
func (m *machine) Apply(entries []raft.Entry, first raft.Index, done []runtime.Completion) error {
	m.of.judge.Applied(first, entries)
	m.of.g.w.did.applied += uint64(len(entries))
	m.applied = first + raft.Index(len(entries)) - 1
	m.waiting, m.results = m.waiting[:0], m.results[:0]
	if err := m.custom.apply(entries, first); err != nil {
		return err
	}
	for i := range entries {
		index := first + raft.Index(i)
		m.hash.Add(uint64(uint32(entries[i].Crc32c)) ^ uint64(entries[i].Term)<<32)
		if entries[i].Kind != raftpb.EntryKindCommand {
			continue
		}
		var c command
		if !c.decode(entries[i].Body) {
			return fmt.Errorf("entry %d is no command", index)
		}
		r := result{index: index}
		if c.kind == other {
			m.hash.Add(m.custom.next())
		} else {
			r.swapped = m.do(&c)
		}
		if op, ok := done[i].(*operation); ok {
			m.waiting, m.results = append(m.waiting, op), append(m.results, r)
		}
		if index&63 == 0 {
			m.of.judge.Watched.State(index, uint64(m.hash))
		}
	}
	return nil
}

// do changes the state.
func (m *machine) do(c *command) (swapped bool) {
	if c.kind == extend {
		for int(c.key) >= len(m.lists) {
			m.lists = append(m.lists, nil)
		}
		m.lists[c.key] = append(m.lists[c.key], c.value)
		m.hash.Add(uint64(len(m.lists[c.key])) ^ c.value<<8)
		return true
	}
	for int(c.key) >= len(m.regs) {
		m.regs = append(m.regs, 0)
	}
	if c.kind == swap && m.regs[c.key] != c.expected {
		return false
	}
	m.hash.Add(m.regs[c.key] ^ c.value<<8)
	m.regs[c.key] = c.value
	return true
}

// Complete implements runtime.Machine.
func (m *machine) Complete() {
	for i, op := range m.waiting {
		op.complete(m.results[i])
	}
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
	return capture(b), nil
}

// capture is a state, written.
type capture []byte

// Facts implements runtime.Capture.
func (capture) Facts() []snapshot.KeyValue { return nil }

// Write implements runtime.Capture.
func (c capture) Write(w *snapshot.Writer) error {
	_, err := w.Write(c)
	return err
}

// Close implements runtime.Capture.
func (capture) Close() error { return nil }

// Restore implements runtime.SnapshotMachine.
func (m *machine) Restore(image *snapshot.Image) error {
	var b []byte
	err := image.Read(nil, func(r io.Reader) (err error) {
		b, err = io.ReadAll(r)
		return err
	}, nil)
	if err != nil {
		return err
	}
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
