package bare

import (
	"encoding/binary"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// machine is a state machine with sessions: its state is a hash of the commands it
// executed and, for each client, the last one and its result.
type machine struct {
	state
	handed  raft.Index // committed entries up to here are to be applied
	under   bool       // an apply event is on its way
	writing *image     // a snapshot on its way to the disk
	buf     []raft.Entry
}

// state is what a snapshot holds, and the configuration that goes with it.
type state struct {
	applied   raft.Index
	term      raft.Term // of the entry there
	hash      schedule.Hash
	sessions  [maxClients]session
	conf      raft.Configuration
	confIndex raft.Index
}

type session struct {
	serial int64
	result uint64
}

const maxClients = 16

// forget makes it the machine of a process that kept nothing.
func (m *machine) forget() { *m = machine{buf: m.buf} }

// execute applies one command, once.
func (m *machine) execute(i raft.Index, client int, serial int64) (result uint64, fresh bool) {
	t := &m.sessions[client]
	if serial <= t.serial {
		return t.result, false
	}
	m.hash.Add(uint64(client)<<48 ^ uint64(serial))
	*t = session{serial, uint64(m.hash) ^ uint64(i)}
	return t.result, true
}

// wakeMachine plans the next application of entries.
func (w *World) wakeMachine(s *server) {
	waits := s.machine.applied < s.machine.handed
	if s.restoring != nil {
		waits = s.mayRestore
	}
	if s.machine.under || !waits || s.stateless && s.restoring == nil {
		return
	}
	s.machine.under = true
	w.push(w.now+Time(w.clients.N(int64(w.knobs.ApplyDelay))), event{kind: eventApply, node: s.index, gen: s.boot})
}

// apply lets the state machine take in some of what is committed.
func (w *World) apply(s *server) {
	m := &s.machine
	m.under = false
	if s.restoring != nil {
		if s.mayRestore {
			w.restore(s)
		}
		return
	}
	if m.applied >= m.handed || s.stateless {
		return
	}
	entries, err := s.node.Entries(m.buf[:0], m.applied+1, m.handed+1, w.knobs.ApplyBytes)
	m.buf = entries
	if isDamage(err) {
		w.repairs(s)
		return
	}
	if err != nil && s.failed {
		w.died(s, err)
		return
	}
	if err != nil || len(entries) == 0 {
		w.failf("node %d: entries [%d, %d): %d of them, %w", s.id, m.applied+1, m.handed+1, len(entries), err)
		return
	}
	s.seen.Applied(m.applied+1, w.observed(entries))
	for k := range entries {
		w.applyOne(s, &entries[k])
	}
	s.seen.State(m.applied, uint64(m.hash))
	w.serveReads(s)
	w.Counts.Applies++
	w.step(s, &raft.Event{Kind: raft.EventApplied, Applied: m.applied})
	if s.node != nil {
		w.wakeMachine(s)
		w.takeSnapshot(s)
	}
}

func (w *World) applyOne(s *server, e *raft.Entry) {
	m := &s.machine
	m.applied++
	m.term = e.Term
	if w.applied != nil {
		w.applied(m.applied, e)
	}
	switch {
	case e.Kind == raftpb.EntryKindConfig:
		m.conf, m.confIndex = raft.Configuration{}, m.applied
		if _, err := m.conf.ParseCompact(e.Body, nil); err != nil {
			w.failf("node %d: entry %d: %w", s.id, m.applied, err)
		}
	case isCommand(e) && sumOf(e.Body) != e.Crc32c:
		w.failf("I20: node %d applies an entry %d whose body is not the one proposed", s.id, m.applied)
	}
	client, serial := -1, int64(0)
	if isCommand(e) && len(e.Body) >= 8 {
		v := binary.LittleEndian.Uint64(e.Body)
		client, serial = int(v>>40&0xff), int64(v&(1<<40-1))
		if result, fresh := m.execute(m.applied, client, serial); fresh || m.sessions[client].serial == serial {
			s.seen.Effect(int64(client), serial, m.applied, result, fresh)
		}
	}
	for len(s.claims) > 0 && s.claims[0].index <= m.applied {
		c := s.claims[0]
		s.claims = append(s.claims[:0], s.claims[1:]...)
		if c.index != m.applied || c.term != e.Term {
			continue
		}
		w.Counts.Acked++
		w.group.ClientAcked(m.applied)
		if client != int(c.client) || serial != c.serial {
			w.failf("I15: node %d took command %d of client %d at %d, and applies command %d of client %d there", s.id, c.serial, c.client, m.applied, serial, client)
		}
		if own := &w.clientele[c.client]; own.serial == c.serial {
			own.open = false
		}
	}
}
