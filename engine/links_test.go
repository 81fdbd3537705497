package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// inMemory is a cluster whose links can be cut.
func inMemory(t *testing.T, nodes int) (*cluster, *transport.Memory) {
	world := transport.NewMemory(1)
	return newCluster(t, nodes, func(cfg *engine.Config) { cfg.Network = world.Listen }), world
}

// link is what a node's status says of its link to another one.
func (c *cluster) link(from, to engine.NodeID) (found engine.Link) {
	c.t.Helper()
	for _, l := range c.status(from).Links {
		if l.Peer == to {
			found = l
		}
	}
	if found.Peer == 0 || found.Since.IsZero() {
		c.t.Fatalf("node %d says nothing of its link to node %d: %+v", from, to, c.status(from).Links)
	}
	return found
}

// A link that is cut shows on the leader at one of its ends, with the time, while the
// others are well; the observer is told; and when it is healed that shows too.
func TestALinkThatIsCutShows(t *testing.T) {
	c, world := inMemory(t, 3)
	leader := c.leader()
	away, other := leader%3+1, (leader+1)%3+1
	c.eventually("all links", func() bool { return c.link(leader, away).Reachable && c.link(leader, other).Reachable })
	before := c.link(leader, away).Since
	world.Cut(leader, away)
	world.Cut(away, leader)
	c.eventually("the link to be lost", func() bool { return !c.link(leader, away).Reachable })
	lost := c.link(leader, away)
	if lost.Since.Before(before) {
		t.Errorf("lost since %v, reached since %v", lost.Since, before)
	}
	if m := c.hosts[leader].Metrics().Network.Peers[away]; m.Reachable || !m.Since.Equal(lost.Since) {
		t.Errorf("metrics: %+v, status %+v", m, lost)
	}
	if l := c.link(leader, other); !l.Reachable {
		t.Errorf("the other link: %+v", l)
	}
	var told raftpb.StatusResponse
	err := memoryCaller(t, world, c.addrs[leader]).Call(t.Context(), raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: groupID}, &told)
	if err != nil || !slices.Contains(told.Counters, raftpb.Counter{Name: "peers_lost", Value: 1}) {
		t.Errorf("others are told %+v, %v", told.Counters, err)
	}
	c.hears(leader, engine.EventPeerLost, func(e engine.Event) bool { return e.Peer == away && e.Group == 0 })
	world.Heal(leader, away)
	world.Heal(away, leader)
	c.eventually("the link", func() bool { return c.link(leader, away).Reachable })
	if l := c.link(leader, away); !l.Since.After(lost.Since) {
		t.Errorf("reached since %v, lost since %v", l.Since, lost.Since)
	}
	c.hears(leader, engine.EventPeerReached, func(e engine.Event) bool { return e.Peer == away })
}

// A node that is cut off from all says so when it is asked why nothing happens, and for
// which nodes it waits.
func TestWhyNamesWhoCannotBeReached(t *testing.T) {
	c, world := inMemory(t, 3)
	alone := c.leader()
	for id := range c.hosts {
		if id != alone {
			world.Cut(alone, id)
			world.Cut(id, alone)
			world.Break(alone, id)
		}
	}
	c.eventually("it to say so", func() bool {
		why, err := c.group(alone).Why()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(why.Sentence, "There is no leader") && strings.Count(why.Sentence, " since ") == 2
	})
	c.eventually("the others to say so", func() bool {
		for id := range c.hosts {
			if id != alone && c.link(id, alone).Reachable {
				return false
			}
		}
		return true
	})
}
