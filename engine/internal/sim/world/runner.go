package world

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/disk"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Runner runs worlds one after the other. Each takes over the memory of the one before
// it, and nothing else: a world is the same whichever was there before. It belongs to one
// goroutine at a time.
type Runner struct{ memory memory }

// memory is what worlds leave to each other.
type memory struct {
	pages disk.Memory
	// bodies is memory for the log that a member reads when it starts; nobody keeps them.
	bodies wal.ReadBuffer
	// histories is memory for what the clients of each group saw.
	histories [][]oracle.Op
}

// history returns memory for the clients of a group.
func (m *memory) history(group int) []oracle.Op {
	if group < len(m.histories) {
		return m.histories[group][:0]
	}
	return nil
}

// keep takes the memory of a world that has ended.
func (m *memory) keep(w *World) {
	for i, g := range w.groups {
		clear(g.clients.history)
		if i == len(m.histories) {
			m.histories = append(m.histories, nil)
		}
		m.histories[i] = g.clients.history[:0]
	}
}

// NewRunner returns a Runner.
func NewRunner() *Runner { return new(Runner) }

// Run makes the world of a seed, lives through it and tells.
func (r *Runner) Run(o sim.Options) sim.Report {
	r.memory.pages.Reset()
	w := newWorld(o, &r.memory)
	w.live()
	r.memory.keep(w)
	return w.report()
}

// Run is the only run of a Runner.
func Run(o sim.Options) sim.Report { return NewRunner().Run(o) }
