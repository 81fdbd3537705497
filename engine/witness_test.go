package engine_test

import (
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
	if n := len(ledgers[3].lines); n != 0 {
		t.Errorf("the witness applied %d commands", n)
	}
}
