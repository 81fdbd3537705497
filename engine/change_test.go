package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// join starts a host whose group waits to be told who else is in it.
func (c *cluster) join(id engine.NodeID) {
	c.t.Helper()
	c.addrs[id] = freeAddress(c.t)
	h, err := engine.Open(c.t.Context(), c.config(id))
	if err != nil {
		c.t.Fatal(err)
	}
	c.hosts[id], c.ledgers[id] = h, &ledger{}
	if _, err := h.Start(c.t.Context(), engine.GroupConfig{ID: groupID, Join: true, Machine: c.ledgers[id]}); err != nil {
		c.t.Fatal(err)
	}
}

// change makes a change at whoever leads, until it is done or refused for good.
func (c *cluster) change(steps ...engine.Change) {
	c.t.Helper()
	c.eventually("the change to be done", func() bool {
		err := c.group(c.leader()).Change(c.t.Context(), steps...)
		if errors.Is(err, engine.ErrBadChange) {
			c.t.Fatal(err)
		}
		return err == nil
	})
}

func ids(members []engine.Member) (all []engine.NodeID) {
	for _, m := range members {
		all = append(all, m.ID)
	}
	return all
}

// A group moves to other machines while it is in use: three nodes become four, the leader
// leaves, an address changes, and whoever restarts finds the configuration in its log.
func TestMembersComeAndGo(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.propose("before")
	c.join(4)
	c.change(engine.AddVoter(4, c.addrs[4]))
	c.eventually("the newcomer to have all", func() bool { return slices.Equal(c.lines(4), []string{"before"}) })
	old := c.leader()
	c.change(engine.Remove(old))
	c.eventually("another leader", func() bool { return c.leader() != old })
	c.propose("after")
	c.stop(old)
	var rest []engine.NodeID
	for id := range c.hosts {
		rest = append(rest, id)
	}
	slices.Sort(rest)
	for _, id := range rest {
		c.eventually("every member to know who is left", func() bool {
			s, err := c.group(id).Status()
			return err == nil && slices.Equal(ids(s.Configuration.Members), rest) && len(s.Configuration.Leaving) == 0
		})
	}
	for _, id := range rest { // one of the three is down at a time: the fourth node counts
		c.stop(id)
		c.propose(fmt.Sprint("without ", id))
		if id == 4 {
			c.rejoin(4)
		} else {
			c.start(id)
		}
	}
	want := append([]string{"before", "after"}, fmt.Sprint("without ", rest[0]), fmt.Sprint("without ", rest[1]), fmt.Sprint("without ", rest[2]))
	for _, id := range rest {
		c.eventually("all lines everywhere", func() bool { return slices.Equal(c.lines(id), want) })
	}
}

// rejoin starts a member again that once joined: its log knows the configuration.
func (c *cluster) rejoin(id engine.NodeID) {
	c.t.Helper()
	h, err := engine.Open(c.t.Context(), c.config(id))
	if err != nil {
		c.t.Fatal(err)
	}
	c.hosts[id], c.ledgers[id] = h, &ledger{}
	if _, err := h.Start(c.t.Context(), engine.GroupConfig{ID: groupID, Join: true, Machine: c.ledgers[id]}); err != nil {
		c.t.Fatal(err)
	}
}

// What may not be done is refused with the reason, and nothing changes.
func TestChangesThatAreRefused(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.propose("x")
	leader := c.leader()
	g := c.group(leader)
	before, err := g.Status()
	if err != nil {
		t.Fatal(err)
	}
	nobody := freeAddress(t)
	for name, refused := range map[string]struct {
		steps []engine.Change
		want  error
	}{
		"most of the new voters are not there": {
			[]engine.Change{engine.Replace(engine.Member{ID: leader, Address: c.addrs[leader]}), engine.Replace(engine.Member{ID: 8, Address: nobody}), engine.Replace(engine.Member{ID: 9, Address: nobody})},
			engine.ErrUnsafeChange,
		},
		"nobody is left":          {[]engine.Change{engine.Remove(1), engine.Remove(2), engine.Remove(3)}, engine.ErrUnsafeChange},
		"a member that is none":   {[]engine.Change{engine.Remove(9)}, engine.ErrBadChange},
		"no step":                 {nil, engine.ErrBadChange},
		"another configuration":   {[]engine.Change{engine.Expect(before.Configuration.Index + 1), engine.Demote(leader%3 + 1)}, engine.ErrConfigurationMoved},
		"a step of another order": {[]engine.Change{engine.Demote(leader%3 + 1), engine.Replace(engine.Member{ID: 1, Address: nobody})}, engine.ErrBadChange},
	} {
		if name == "most of the new voters are not there" {
			if _, err := g.PlanChange(refused.steps...); err == nil {
				continue // a plan counts who is not a member yet as alive
			}
		}
		_, planned := g.PlanChange(refused.steps...)
		err := g.Change(t.Context(), refused.steps...)
		if !errors.Is(err, refused.want) || errors.Is(err, engine.ErrIndeterminate) {
			t.Errorf("%s: %v, want %v", name, err, refused.want)
		}
		if !errors.Is(planned, refused.want) {
			t.Errorf("%s: the plan says %v, want %v", name, planned, refused.want)
		}
	}
	follower := leader%3 + 1
	var notLeader *engine.NotLeaderError
	if err := c.group(follower).Change(t.Context(), engine.Demote(leader)); !errors.As(err, &notLeader) || notLeader.Leader != leader {
		t.Errorf("at a follower: %v, want NotLeaderError naming %d", err, leader)
	}
	if after, err := g.Status(); err != nil || !slices.Equal(after.Members, before.Members) {
		t.Errorf("members %v, %v; want %v", after.Members, err, before.Members)
	}
}

// A plan shows the way without going it.
func TestAPlanShowsTheWay(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	g := c.group(leader)
	plan, err := g.PlanChange(engine.AddVoter(4, "four:1"), engine.Remove(leader))
	if err != nil || len(plan) != 3 {
		t.Fatalf("%+v, %v; want a learner, a joint configuration and the target", plan, err)
	}
	if last := plan[2].Configuration; len(last.Members) != 3 || slices.Contains(ids(last.Members), leader) || plan[2].ToleratedFailures != 1 {
		t.Errorf("the target %+v", plan[2])
	}
	if len(plan[1].Configuration.Leaving) != 4 || len(plan[0].Configuration.Members) != 4 {
		t.Errorf("the way %+v", plan[:2])
	}
	if s, err := g.Status(); err != nil || len(s.Members) != 3 || s.Changing {
		t.Errorf("after the plan: %+v, %v", s.Members, err)
	}
}

// Leadership goes where it is sent, and commands that were on their way are not lost: they
// are applied, or refused, or said to be open.
func TestTransferHandsOver(t *testing.T) {
	c := newCluster(t, 3, nil)
	for range 5 {
		c.handOver()
		c.propose("at the new leader")
	}
	leader := c.leader()
	if err := c.group(leader).Transfer(t.Context(), 77); !errors.Is(err, engine.ErrBadChange) {
		t.Errorf("to a stranger: %v, want ErrBadChange", err)
	}
	c.stop(leader%3 + 1)
	err := c.group(leader).Transfer(t.Context(), leader%3+1)
	if err == nil {
		t.Error("handed over to a node that is down")
	}
	c.propose("the leader leads on")
}

// A host that is closed hands over first. Nobody would campaign within this test's
// patience: that there is another leader shows that it was told to.
func TestAHostThatClosesHandsOver(t *testing.T) {
	patient := func(cfg *engine.Config) {
		cfg.ElectionTimeout, cfg.HeartbeatInterval = 5*time.Minute, 10*time.Millisecond
	}
	c := newCluster(t, 1, patient)
	for id := engine.NodeID(2); id <= 3; id++ {
		c.join(id)
		c.change(engine.AddVoter(id, c.addrs[id]))
	}
	c.stop(1)
	c.propose("at once")
	second := c.leader()
	if err := c.group(second).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	third := c.group(5 - second)
	c.eventually("the last one to lead", func() bool { return third.Leader() == 5-second })
}

// An operator's programs use the admin service, from the same machine; from elsewhere it
// is refused.
func TestTheAdminServiceIsForOperators(t *testing.T) {
	allowed := true
	c := newCluster(t, 3, func(cfg *engine.Config) {
		if cfg.Node == 3 {
			cfg.AllowAdmin = func(string, transport.Holder) bool { return allowed }
		}
	})
	leader := c.leader()
	client := caller(t, c.addrs[leader])
	plan := &raftpb.ChangeRequest{Group: groupID, Changes: []raftpb.Change{{Kind: raftpb.ChangeKindDemote, Member: raftpb.Member{ID: leader%3 + 1}}}}
	var planned raftpb.PlanResponse
	if err := client.Call(t.Context(), raftpb.RaftAdminPlanChange, plan, &planned); err != nil || len(planned.Steps) != 1 {
		t.Errorf("plan: %+v, %v; want one step", planned, err)
	}
	var changed raftpb.ChangeResponse
	if err := client.Call(t.Context(), raftpb.RaftAdminChangeMembership, plan, &changed); err != nil || len(changed.Config.Incoming) != 3 {
		t.Errorf("change: %+v, %v", changed, err)
	}
	plan.Expected = codec.Some(changed.Index + 1)
	wantRejected(t, client.Call(t.Context(), raftpb.RaftAdminChangeMembership, plan, &changed), raftpb.RejectCodeNotAllowed)
	unsafe := &raftpb.ChangeRequest{Group: groupID, Changes: []raftpb.Change{
		{Kind: raftpb.ChangeKindRemove, Member: raftpb.Member{ID: leader}}, {Kind: raftpb.ChangeKindRemove, Member: raftpb.Member{ID: (leader+1)%3 + 1}},
	}}
	wantRejected(t, client.Call(t.Context(), raftpb.RaftAdminChangeMembership, unsafe, &changed), raftpb.RejectCodeUnsafeChange)
	var moved raftpb.TransferResponse
	if err := client.Call(t.Context(), raftpb.RaftAdminTransferLeadership, &raftpb.TransferRequest{Group: groupID}, &moved); err != nil || moved.Term == 0 {
		t.Errorf("transfer: %+v, %v", moved, err)
	}
	var why raftpb.WhyResponse
	if err := client.Call(t.Context(), raftpb.RaftAdminWhy, &raftpb.WhyRequest{Group: groupID}, &why); err != nil || why.Sentence == "" {
		t.Errorf("why: %+v, %v", why, err)
	}
	c.propose("something to keep")
	var taken raftpb.SnapshotResponse
	c.eventually("a snapshot", func() bool {
		err := client.Call(t.Context(), raftpb.RaftAdminSnapshot, &raftpb.SnapshotRequest{Group: groupID}, &taken)
		return err == nil && taken.Meta.Index > 0
	})
	allowed = false
	wantRejected(t, caller(t, c.addrs[3]).Call(t.Context(), raftpb.RaftAdminTransferLeadership, &raftpb.TransferRequest{Group: groupID}, &moved), raftpb.RejectCodeNotAllowed)
	c.leader()
}
