package enginetest_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

// inBubble runs a story about a cluster whose clock costs nothing.
func inBubble(t *testing.T, adjust func(c *engine.Config), story func(t *testing.T, c *enginetest.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := enginetest.NewCluster(t.Context(), enginetest.ClusterConfig{Machine: newBook, ElectionTimeout: time.Second, Adjust: adjust})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { // also after t.Fatal: nothing may be left in the bubble
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		story(t, c)
	})
}

// Answers take two seconds on this network, twice as long as a candidate waits for them at first. Nobody
// could ever be elected; but time-outs may rise, and do.
func TestANetworkSlowerThanTheTimeoutElectsALeaderInTheEnd(t *testing.T) {
	slow := enginetest.Link{Latency: time.Second}
	elects := func(most time.Duration) (leader engine.NodeID, waits time.Duration) {
		inBubble(t, func(c *engine.Config) { c.MaxElectionTimeout = most }, func(t *testing.T, c *enginetest.Cluster) {
			leaderOf(t, c)
			c.Network.Partition([]engine.NodeID{1}, []engine.NodeID{2}, []engine.NodeID{3}) // until nobody leads
			time.Sleep(30 * time.Second)
			c.Network.SetLinks(slow)
			c.Network.Heal()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			for leader == 0 && ctx.Err() == nil {
				time.Sleep(time.Second)
				for id := engine.NodeID(1); id <= 3; id++ {
					if s, err := c.Group(id).Status(); err == nil && s.Leader == id && s.Commit >= s.First && leads(ctx, c, id) {
						leader, waits = id, s.ElectionTimeout
					}
				}
			}
		})
		return leader, waits
	}
	if leader, waits := elects(time.Minute); leader == 0 || waits < 5*time.Second {
		t.Errorf("node %d leads, and waits %v for its quorum", leader, waits)
	}
	if leader, _ := elects(0); leader != 0 {
		t.Errorf("without room to rise node %d leads: the test shows nothing", leader)
	}
}

// leads reports whether a node can still commit something.
func leads(ctx context.Context, c *enginetest.Cluster, id engine.NodeID) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := c.Group(id).Propose(ctx, []byte("k=v"))
	return err == nil
}

// A follower to which the way becomes slow is sent less ahead of its answers. When the way
// stays slow, and its answers come in that time, it is sent more again.
func TestTheWindowOfAFollowerFollowsItsAnswers(t *testing.T) {
	adjust := func(c *engine.Config) { c.MaxInflightAppends, c.MinInflightAppends = 32, 4 }
	inBubble(t, adjust, func(t *testing.T, c *enginetest.Cluster) {
		leader := leaderOf(t, c)
		slow := leader%3 + 1
		window := func() int {
			s, err := c.Group(leader).Status()
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range s.Peers {
				if p.ID == slow {
					return p.WindowAppends
				}
			}
			t.Fatalf("node %d leads no more", leader)
			return 0
		}
		propose := func(n int) (least int) {
			var all sync.WaitGroup
			for least = 32; n > 0; n-- {
				all.Go(func() {
					if _, err := c.Group(leader).Propose(t.Context(), []byte("k=v")); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(10 * time.Millisecond) // one append each
				least = min(least, window())
			}
			all.Wait()
			return least
		}
		if least := propose(100); least != 32 {
			t.Fatalf("on a fast network the window is %d", least)
		}
		c.Network.SetLink(slow, leader, enginetest.Link{Latency: 400 * time.Millisecond})
		if least := propose(300); least != 4 {
			t.Fatalf("the window of a slow follower is at least %d", least)
		}
		if propose(1000); window() <= 4 {
			t.Fatalf("the follower answers in its time, and the window is still %d", window())
		}
	})
}
