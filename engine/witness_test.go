package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// A witness makes a majority with one voter, keeps no command and applies none; also
// after a restart.
func TestWitnessMakesAMajority(t *testing.T) {
	const id = engine.GroupID(9)
	c := newCluster(t, 3, nil)
	members := c.members()
	members[2].Suffrage = engine.Witness
	ledgers := map[engine.NodeID]*ledger{}
	join := func(node engine.NodeID) {
		ledgers[node] = &ledger{}
		if _, err := c.hosts[node].Start(t.Context(), engine.GroupConfig{ID: id, Machine: ledgers[node], Members: members}); err != nil {
			t.Fatal(err)
		}
	}
	for node := engine.NodeID(1); node <= 3; node++ {
		join(node)
	}
	proposed := 0
	propose := func(count int) {
		for range count {
			proposed++
			c.eventually("a proposal", func() bool {
				for node := engine.NodeID(1); node <= 2; node++ {
					if h := c.hosts[node]; h != nil && h.Group(id) != nil {
						if _, err := h.Group(id).Propose(t.Context(), fmt.Appendf(nil, "command %d", proposed)); err == nil {
							return true
						}
					}
				}
				return false
			})
		}
	}
	propose(20)
	down := c.hosts[1].Group(id).Leader()%2 + 1 // the voter that does not lead
	c.stop(down)
	propose(20)
	c.stop(3)
	c.start(3)
	join(3)
	propose(20)
	up := 3 - down
	c.eventually("the witness to have the log", func() bool {
		w, err := c.hosts[3].Group(id).Status()
		v, err2 := c.hosts[up].Group(id).Status()
		return err == nil && err2 == nil && w.Last == v.Last && w.Last > 60
	})
	if _, err := c.hosts[3].Group(id).Hash(t.Context(), 1); !errors.Is(err, engine.ErrNoHash) {
		t.Errorf("the hash of what a witness has not: %v", err)
	}
	if n := len(ledgers[3].lines); n != 0 {
		t.Errorf("the witness applied %d commands", n)
	}
}

// A witness joins a running group: what was proposed before comes to it without the
// commands, and without it one voter of two decides nothing.
func TestWitnessJoins(t *testing.T) {
	const id = engine.GroupID(9)
	c := newCluster(t, 3, nil)
	for node := engine.NodeID(1); node <= 2; node++ {
		_, err := c.hosts[node].Start(t.Context(), engine.GroupConfig{ID: id, Machine: &ledger{}, Members: c.members()[:2]})
		if err != nil {
			t.Fatal(err)
		}
	}
	leader := func() *engine.Group {
		for node := engine.NodeID(1); node <= 2; node++ {
			if h := c.hosts[node]; h != nil && h.Group(id).Leader() == node {
				return h.Group(id)
			}
		}
		return nil
	}
	try := func(what string, do func(*engine.Group) error) {
		c.eventually(what, func() bool {
			g := leader()
			return g != nil && do(g) == nil
		})
	}
	propose := func(g *engine.Group) error {
		_, err := g.Propose(t.Context(), []byte("command"))
		return err
	}
	try("a proposal", propose)
	machine := &ledger{}
	w, err := c.hosts[3].Start(t.Context(), engine.GroupConfig{ID: id, Machine: machine, Join: true, Witness: true})
	if err != nil {
		t.Fatal(err)
	}
	try("the change", func(g *engine.Group) error { return g.Change(t.Context(), engine.AddWitness(3, c.addrs[3])) })
	c.stop(leader().Leader()%2 + 1)
	try("a proposal with the witness", propose)
	c.eventually("the witness to have the log", func() bool {
		s, err := w.Status()
		return err == nil && s.Last >= 4
	})
	if len(machine.lines) != 0 {
		t.Errorf("the witness applied %q", machine.lines)
	}
	_, err = c.hosts[3].Start(t.Context(), engine.GroupConfig{ID: 10, Machine: machine, Members: c.members(), Witness: true})
	if err == nil {
		t.Error("a witness without Join, although the Members say what it is")
	}
}
