package engine_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

func (c *cluster) directory(id engine.NodeID) string { return filepath.Join(c.dir, fmt.Sprint(id)) }

func (c *cluster) inspect(ids ...engine.NodeID) (all []engine.Inspection) {
	c.t.Helper()
	for _, id := range ids {
		i, err := engine.Inspect(c.directory(id))
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, i)
	}
	return all
}

// Three of five nodes are lost. The two that are left say what they have, an operator makes
// them the group, and what they had is all there. A node that was thought lost and comes back
// is not let in.
func TestAGroupGoesOnAfterTheLossOfItsQuorum(t *testing.T) {
	c := newCluster(t, 5, durable)
	for i := range 30 {
		c.insist(fmt.Sprint(i))
	}
	c.same(30)
	c.stop(5)
	c.insist("without 5")
	c.same(31)
	for id := engine.NodeID(1); id <= 4; id++ {
		c.stop(id)
	}
	left := c.inspect(4, 5)
	for _, i := range left {
		g := i.Groups[0]
		if i.Cluster != "test" || g.Group != groupID || g.Term == 0 || g.Committed < 20 || g.Last < 31 || len(g.Configuration.Members) != 5 {
			t.Errorf("%+v", i)
		}
	}
	if left[0].Groups[0].Last <= left[1].Groups[0].Last {
		t.Errorf("node 4 has %d, node 5 has %d", left[0].Groups[0].Last, left[1].Groups[0].Last)
	}
	plan, err := engine.PlanRecovery(groupID, left)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Lead != 4 || plan.Epoch != 1 || len(plan.Members) != 2 || len(plan.Gone) != 3 ||
		plan.Kept != left[0].Groups[0].Last || plan.Committed < left[1].Groups[0].Committed {
		t.Errorf("%+v", plan)
	}
	for _, id := range []engine.NodeID{5, 4, 4} { // the last time for nothing
		if err := plan.Apply(c.directory(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := plan.Apply(c.directory(3)); err == nil {
		t.Error("applied to a node that is left out")
	}
	c.start(4)
	c.start(5)
	c.insist("after")
	c.same(32)
	for _, id := range []engine.NodeID{4, 5} {
		if s := c.status(id); len(s.Members) != 2 || c.hosts[id].Epoch() != 1 {
			t.Errorf("node %d: %+v", id, s.Members)
		}
	}
	c.start(1)
	c.eventually("the refusal", func() bool { return errors.Is(c.hosts[1].NotAdmitted(), engine.ErrOldEpoch) })
	c.insist("and more")
	if s := c.status(1); s.Leader != 0 {
		t.Errorf("node 1 follows node %d", s.Leader)
	}

	// Wiped, and told the epoch, it is a new member like any other.
	c.stop(1)
	c.wipe(1)
	old := c.adjust
	c.adjust = func(cfg *engine.Config) {
		old(cfg)
		cfg.Epoch = 1
	}
	c.join(1)
	c.change(engine.AddVoter(1, c.addrs[1]))
	c.insist("with three")
	c.same(34)
}

// A recovery is refused where it would do harm.
func TestRecoveriesThatAreRefused(t *testing.T) {
	c := newCluster(t, 3, durable)
	for i := range 5 {
		c.insist(fmt.Sprint(i))
	}
	c.same(5)
	if _, err := engine.Inspect(c.directory(1)); err == nil {
		t.Error("the directory of a host that runs was inspected")
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
	}
	if _, err := engine.PlanRecovery(groupID, c.inspect(1, 2)); !errors.Is(err, engine.ErrQuorumLeft) {
		t.Errorf("with a quorum: %v", err)
	}
	if _, err := engine.PlanRecovery(99, c.inspect(1)); err == nil {
		t.Error("a plan for a group that is not there")
	}
	if _, err := engine.Inspect(filepath.Join(c.dir, "nothing")); err == nil {
		t.Error("a directory that is not there was inspected")
	}
	plan, err := engine.PlanRecovery(groupID, c.inspect(1))
	if err != nil {
		t.Fatal(err)
	}
	var none engine.Plan
	if err := none.Apply(c.directory(1)); err == nil {
		t.Error("no plan was applied")
	}
	for id := engine.NodeID(1); id <= 3; id++ { // they go on after all
		c.start(id)
	}
	c.insist("on")
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
	}
	if err := plan.Apply(c.directory(1)); err == nil {
		t.Error("a plan of before was applied")
	}
	for _, i := range c.inspect(1, 2, 3) {
		if i.Epoch != 0 {
			t.Errorf("node %d is of epoch %d by a plan that was refused", i.Node, i.Epoch)
		}
	}
	if err := plan.Apply(c.directory(2)); err == nil {
		t.Error("a plan was applied to a node that is left out")
	}
	c.damage(1)
	if _, err := engine.PlanRecovery(groupID, c.inspect(1)); err == nil {
		t.Error("a log in doubt leads")
	}
}
