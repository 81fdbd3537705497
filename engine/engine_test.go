package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

func TestWhatOneNodeAcknowledgesEveryNodeApplies(t *testing.T) {
	for _, codec := range []string{"thrift-compact", "thrift-binary", "msgpack"} {
		t.Run(codec, func(t *testing.T) {
			c := newCluster(t, 3, func(cfg *engine.Config) { cfg.Codec = codec })
			leader := c.leader()
			var clients sync.WaitGroup
			for client := range 8 {
				clients.Go(func() {
					for i := range 50 {
						cmd := fmt.Sprintf("client %d line %d", client, i)
						if _, err := c.group(leader).Propose(t.Context(), []byte(cmd)); err != nil {
							t.Errorf("propose: %v", err)
						}
					}
				})
			}
			clients.Wait()
			want := c.lines(leader)
			if len(want) != 8*50 {
				t.Fatalf("%d lines on the leader, want %d", len(want), 8*50)
			}
			for id := range c.hosts {
				c.eventually("all lines on every node", func() bool { return len(c.lines(id)) >= len(want) })
				if got := c.lines(id); !slices.Equal(got, want) {
					t.Errorf("node %d has other lines than the leader", id)
				}
			}
		})
	}
}

func TestAResultTellsWhereTheCommandStandsAndWhatTheMachineSaid(t *testing.T) {
	c := newCluster(t, 1, nil)
	first, second := c.propose("a"), c.propose("b")
	if second.Index <= first.Index || second.Term < first.Term {
		t.Errorf("places %d@%d then %d@%d, want them to grow", first.Index, first.Term, second.Index, second.Term)
	}
	if first.Data[7] != 1 || second.Data[7] != 2 {
		t.Errorf("results %v and %v, want the counts 1 and 2", first.Data, second.Data)
	}
}

func TestAFollowerNamesTheLeaderAndAppendsNothing(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	for id := range c.hosts {
		if id == leader {
			continue
		}
		c.eventually("the follower to know the leader", func() bool { return c.group(id).Leader() == leader })
		_, err := c.group(id).Propose(t.Context(), []byte("x"))
		var notLeader *engine.NotLeaderError
		if !errors.As(err, &notLeader) || notLeader.Leader != leader || notLeader.Addr != c.addrs[leader] {
			t.Errorf("node %d: %v, want NotLeaderError naming node %d at %s", id, err, leader, c.addrs[leader])
		}
		if errors.Is(err, engine.ErrIndeterminate) {
			t.Errorf("node %d: a refused command must not be called indeterminate: %v", id, err)
		}
	}
	if n := len(c.lines(leader)); n != 0 {
		t.Errorf("%d lines applied, want none", n)
	}
}

func TestTheClusterOutlivesItsLeaderAndTheOldOneCatchesUp(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.propose("one")
	old := c.leader()
	c.stop(old)
	c.propose("two")
	if next := c.leader(); next == old {
		t.Fatalf("node %d is stopped and leads", old)
	}
	c.start(old)
	c.eventually("the old leader to have both lines", func() bool {
		return slices.Equal(c.lines(old), []string{"one", "two"})
	})
}

func TestARestartOfAllNodesLosesNothing(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) { cfg.Durability = engine.Fsync })
	var want []string
	for round := range 3 {
		for i := range 20 {
			line := fmt.Sprintf("round %d line %d", round, i)
			c.propose(line)
			want = append(want, line)
		}
		for id := range c.addrs {
			c.stop(id)
		}
		for id := range c.addrs {
			c.start(id)
		}
		c.leader()
		for id := range c.addrs {
			c.eventually("all lines after the restart", func() bool { return slices.Equal(c.lines(id), want) })
		}
	}
}

func TestReadsSeeTheWritesBeforeThem(t *testing.T) {
	c := newCluster(t, 3, nil)
	for i := range 50 {
		c.propose(fmt.Sprint(i))
		for id := range c.hosts {
			seen := -1
			c.eventually("a follower read, with a leader to ask", func() bool {
				err := c.group(id).Read(t.Context(), engine.Follower, func() error { seen = len(c.ledgers[id].lines); return nil })
				var notLeader *engine.NotLeaderError
				if err != nil && !errors.As(err, &notLeader) {
					t.Fatalf("follower read on node %d: %v", id, err)
				}
				return err == nil
			})
			if seen < i+1 {
				t.Fatalf("node %d: a read after write %d saw %d lines", id, i+1, seen)
			}
		}
	}
}

func TestAReadReturnsTheErrorOfItsFunction(t *testing.T) {
	c := newCluster(t, 1, nil)
	want := errors.New("mine")
	if err := c.group(c.leader()).Read(t.Context(), engine.Linearizable, func() error { return want }); !errors.Is(err, want) {
		t.Errorf("read: %v, want %v", err, want)
	}
}

func TestALeaderWithoutAMajorityAcknowledgesNothing(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.propose("before")
	leader := c.leader()
	for id := range c.addrs {
		if id != leader {
			c.stop(id)
		}
	}
	_, err := c.group(leader).Propose(t.Context(), []byte("alone"))
	if err == nil {
		t.Fatal("a write was acknowledged without a majority")
	}
	// It was appended, so it may happen; or the leader had stepped down before and refused it.
	var notLeader *engine.NotLeaderError
	var lost *engine.LeadershipLostError
	switch {
	case errors.As(err, &notLeader) && !errors.Is(err, engine.ErrIndeterminate):
	case errors.As(err, &lost) && errors.Is(err, engine.ErrIndeterminate) && !errors.As(err, &notLeader):
	default:
		t.Errorf("propose: %v, want a refusal, or leadership lost with an open outcome", err)
	}
	if got := c.lines(leader); !slices.Equal(got, []string{"before"}) {
		t.Errorf("lines %v, want only the first", got)
	}
}

func TestCancelEndsTheWaitAndSaysThatTheOutcomeIsOpen(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	ctx, cancel := context.WithCancel(t.Context())
	for id := range c.addrs {
		if id != leader {
			c.stop(id)
		}
	}
	g := c.group(leader)
	before, err := g.Status()
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := g.Propose(ctx, []byte("x"))
		failed <- err
	}()
	c.eventually("the command to be appended, or refused", func() bool {
		s, err := g.Status()
		return err == nil && (s.Last > before.Last || s.Role != before.Role)
	})
	cancel()
	err = <-failed
	if errors.Is(err, context.Canceled) && !errors.Is(err, engine.ErrIndeterminate) {
		t.Errorf("propose: %v, want ErrIndeterminate", err)
	}
	if _, err := g.Propose(ctx, []byte("y")); !errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrIndeterminate) {
		t.Errorf("propose with a context that has ended: %v, want its error alone", err)
	}
}

func TestAMachineThatFailsStopsItsGroupHereAndSaysWhy(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.propose("fine")
	node := c.leader()
	c.ledgers[node].fail = "poison"
	g := c.group(node)
	_, err := g.Propose(t.Context(), []byte("poison"))
	var failed *engine.FailedError
	if !errors.As(err, &failed) || !errors.Is(err, engine.ErrIndeterminate) {
		t.Fatalf("propose: %v, want FailedError and ErrIndeterminate", err)
	}
	c.eventually("the group to refuse what follows", func() bool {
		_, err := g.Propose(t.Context(), []byte("next"))
		return errors.As(err, &failed) && !errors.Is(err, engine.ErrIndeterminate)
	})
	s, err := g.Status()
	if err != nil || !errors.As(s.Err, &failed) || g.Leader() != 0 {
		t.Errorf("status %+v, %v, leader %d: want the failure and no leader", s, err, g.Leader())
	}
}

func TestCloseEndsEveryPendingProposal(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	g := c.group(leader)
	for id := range c.addrs {
		if id != leader {
			c.stop(id)
		}
	}
	const pending = 100
	outcomes := make(chan error, pending)
	for range pending {
		if err := g.ProposeAsync([]byte("x"), func(_ engine.Result, err error) { outcomes <- err }); err != nil {
			outcomes <- err
		}
	}
	c.stop(leader)
	for range pending {
		if err := <-outcomes; err == nil {
			t.Error("a proposal without a majority was acknowledged")
		}
	}
	if _, err := g.Propose(t.Context(), []byte("late")); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("propose after close: %v, want ErrClosed", err)
	}
}

func TestBoundsOfACommand(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) { cfg.MaxCommandBytes = 1 << 20 })
	c.propose("")
	c.propose(strings.Repeat("x", 1<<20))
	_, err := c.group(c.leader()).Propose(t.Context(), make([]byte, 1<<20+1))
	if !errors.Is(err, engine.ErrTooLarge) || errors.Is(err, engine.ErrIndeterminate) {
		t.Errorf("propose: %v, want ErrTooLarge alone", err)
	}
}

func TestManyGroupsShareOneHost(t *testing.T) {
	const groups = 40
	c := newCluster(t, 3, nil)
	machines := map[engine.NodeID][]*ledger{}
	for id, h := range c.hosts {
		for i := range groups {
			l := &ledger{}
			machines[id] = append(machines[id], l)
			_, err := h.Start(t.Context(), engine.GroupConfig{ID: engine.GroupID(100 + i), Members: c.members(), Machine: l})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var clients sync.WaitGroup
	for i := range groups {
		clients.Go(func() {
			line := fmt.Sprintf("group %d", i)
			eventually(t, "a leader in every group", func() bool {
				for _, h := range c.hosts {
					if _, err := h.Group(engine.GroupID(100+i)).Propose(t.Context(), []byte(line)); err == nil {
						return true
					}
				}
				return false
			})
		})
	}
	clients.Wait()
	for id, h := range c.hosts {
		for i := range groups {
			g := h.Group(engine.GroupID(100 + i))
			c.eventually("every group to apply its own line", func() bool {
				var lines []string
				err := g.Read(t.Context(), engine.Stale, func() error { lines = slices.Clone(machines[id][i].lines); return nil })
				return err == nil && len(lines) >= 1 && lines[0] == fmt.Sprintf("group %d", i)
			})
		}
	}
}

// Commands of the largest size, many at a time: what the engine's limits let in,
// the log takes without a wait; what they do not is refused as busy.
func TestLargeCommandsManyAtATime(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) {
		cfg.ElectionTimeout, cfg.SegmentBytes, cfg.MaxInboxBytes, cfg.MaxUncommittedBytes = 0, 0, 16<<20, 16<<20
	})
	var clients sync.WaitGroup
	for client := range 32 {
		clients.Go(func() {
			cmd := make([]byte, 1<<20)
			copy(cmd, fmt.Sprint(client))
			for done := 0; done < 2; {
				_, err := c.group(c.leader()).Propose(t.Context(), cmd)
				var notLeader *engine.NotLeaderError
				switch {
				case err == nil:
					done++
				case errors.Is(err, engine.ErrBusy), errors.As(err, &notLeader), errors.Is(err, engine.ErrIndeterminate):
				default:
					t.Errorf("client %d: %v", client, err)
					return
				}
			}
		})
	}
	clients.Wait()
}
