package world

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// Mistakes that state machines and clients make, for worlds with a seeded bug. In all
// others nothing here does anything.

// expireByClock ends a session that was not used for a while, by the clock of this node.
func (m *machine) expireByClock(session int64) {
	n := m.of.n
	if !n.w.mutated(mutExpiryByClock) {
		return
	}
	if m.used == nil {
		m.used = map[int64]int64{}
	}
	if last, ok := m.used[session]; ok && n.local() > last+2*election {
		m.table.sessions.Close(session)
	}
	m.used[session] = n.local()
}

// byClock is what a machine adds to a value that looks at the clock.
func (m *machine) byClock(value uint64) uint64 {
	if n := m.of.n; n.w.mutated(mutApplyByClock) && value%64 == 0 {
		return uint64(n.local())
	}
	return 0
}

// forget is a machine on disk that lost its state and kept what it had applied.
func (m *machine) forget() {
	m.regs, m.lists, m.hash = nil, nil, 0
}

// proposeAgain sends a command once more, of which nobody knows what became of it.
func (c *clients) proposeAgain(op *operation) {
	w, m := c.w, c.someone()
	if op.cmd.kind == get || m.group == nil || !w.mutated(mutProposedAgain) {
		return
	}
	e := c.entry(&op.cmd)
	c.g.judge.Watched.Proposed(c.g.judge.Sum(&e))
	_ = m.group.Propose(e, &operation{c: c, at: m, cmd: op.cmd}) // nobody waits for this one
	w.poke(m.n)
}

// flags is the configuration that a node was first started with, if that is what it
// goes by.
func (m *member) flags(conf *raft.Config) {
	if m.g.w.mutated(mutFlagsDecide) && m.g.begins(m.n) {
		conf.Configuration, conf.ConfigurationIndex, conf.Changes = m.g.config, 0, []raft.Change{}
	}
}
