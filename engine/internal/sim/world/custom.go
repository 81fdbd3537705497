package world

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// custom is a machine of somebody else's beside that of the world. What it answers
// goes into the hash of the state, so that two nodes of which one answers otherwise
// are found out.
type custom struct {
	machine  sim.Machine // nil: none
	make     func() sim.Machine
	commands []sim.Command
	results  [][]byte
}

func (c *custom) init(o *sim.Custom) {
	if o != nil {
		c.make = o.New
		c.machine = o.New()
	}
}

// apply gives the machine its commands of some entries, all at once.
func (c *custom) apply(entries []raft.Entry, first raft.Index) (err error) {
	if c.machine == nil {
		return nil
	}
	c.commands = c.commands[:0]
	for i := range entries {
		var cmd command
		e := &entries[i]
		if e.Kind == raftpb.EntryKindCommand && cmd.decode(e.Body) && cmd.kind == other {
			c.commands = append(c.commands, sim.Command{
				Index: int64(first) + int64(i), Term: int64(e.Term), Data: e.Body[commandBytes:],
			})
		}
	}
	if len(c.commands) == 0 {
		return nil
	}
	if c.results, err = c.machine.Apply(c.commands); err == nil && len(c.results) != len(c.commands) {
		err = fmt.Errorf("%d results of %d commands", len(c.results), len(c.commands))
	}
	return err
}

// next is the hash of the next result.
func (c *custom) next() uint64 {
	if len(c.results) == 0 {
		return 0
	}
	h := hashOf(c.results[0])
	c.results = c.results[1:]
	return h
}

func hashOf(b []byte) uint64 {
	var h schedule.Hash
	h.Add(uint64(len(b)))
	for _, x := range b {
		h.Add(uint64(x))
	}
	return uint64(h)
}

// snapshot is the machine's state after the entry at i. Equal states are equal bytes.
func (c *custom) snapshot(m *member, i raft.Index) ([]byte, error) {
	if c.machine == nil {
		return nil, nil
	}
	state, err := c.machine.Snapshot()
	if err != nil {
		return nil, err
	}
	h := hashOf(state)
	if was, ok := m.g.images[i]; ok && was != h {
		m.g.w.fail("snapshot", "node %d: the state after entry %d is written as other bytes than elsewhere", m.n.id, i)
	}
	m.g.images[i] = h
	return state, nil
}

func (c *custom) restore(state []byte) error {
	if c.machine == nil {
		return nil
	}
	c.machine = c.make()
	return c.machine.Restore(state)
}

// checkCustom asks whoever wrote the machine, at the end, when all members are equal.
func (g *group) checkCustom() {
	w := g.w
	if w.o.Custom == nil {
		return
	}
	machines := make(map[int64]sim.Machine)
	for _, m := range g.settled {
		c := &m.machine.custom
		machines[int64(m.n.id)] = c.machine
		if _, err := c.snapshot(m, m.machine.applied); err != nil {
			w.fail("snapshot", "node %d: %v", m.n.id, err)
		}
	}
	if w.o.Custom.Check != nil && w.failure == nil {
		if err := w.o.Custom.Check(machines); err != nil {
			w.fail("check", "%v", err)
		}
	}
}
