package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// forgetful is a ledger that leaves a line out: a machine that drifts apart.
type forgetful struct {
	ledger
	without string
}

func (f *forgetful) Apply(b engine.Batch, results []engine.Result) error {
	kept := b
	kept.Commands = nil
	for _, cmd := range b.Commands {
		if f.without == "" || string(cmd.Data) != f.without {
			kept.Commands = append(kept.Commands, cmd)
		}
	}
	return f.ledger.Apply(kept, results[:len(kept.Commands)])
}

func hashing(t *testing.T, without string) (*cluster, map[engine.NodeID]*engine.Group) {
	t.Helper()
	c := newCluster(t, 3, nil)
	groups := map[engine.NodeID]*engine.Group{}
	for id, h := range c.hosts {
		m := &forgetful{}
		if id == 2 {
			m.without = without
		}
		g, err := h.Start(t.Context(), engine.GroupConfig{ID: 60, Members: c.members(), Machine: m, HashEvery: 10})
		if err != nil {
			t.Fatal(err)
		}
		groups[id] = g
	}
	return c, groups
}

// proposeAnywhere proposes at whichever of groups leads.
func proposeAnywhere(c *cluster, groups map[engine.NodeID]*engine.Group, cmd string) {
	c.eventually("a leader to take "+cmd, func() bool {
		for _, g := range groups {
			if _, err := g.Propose(c.t.Context(), []byte(cmd)); err == nil {
				return true
			}
		}
		return false
	})
}

// Members with the same state have the same hash at the same index, asked for now or
// later, in the library or by an operator; the comparison finds nothing.
func TestMembersHashAlike(t *testing.T) {
	c, groups := hashing(t, "")
	for i := range 95 {
		proposeAnywhere(c, groups, fmt.Sprint(i))
	}
	for _, index := range []engine.Index{20, 50, 90} {
		first, err := groups[1].Hash(t.Context(), index)
		if err != nil || first.Index != index || first.Log == 0 {
			t.Fatalf("at %d: %+v, %v", index, first, err)
		}
		for id, g := range groups {
			if s, err := g.Hash(t.Context(), index); err != nil || s != first {
				t.Errorf("node %d at %d: %+v, %v; want %+v", id, index, s, err, first)
			}
		}
		var r raftpb.HashResponse
		err = caller(t, c.addrs[3]).Call(t.Context(), raftpb.RaftAdminHash, &raftpb.HashRequest{Group: 60, Index: index}, &r)
		if err != nil || string(r.State) != string(first.Sum[:]) || string(r.LogChain) != string(binary.LittleEndian.AppendUint64(nil, first.Log)) {
			t.Errorf("an operator is told %x at %d, %v; want %x", r.State, r.Index, err, first.Sum)
		}
	}
	if _, err := groups[1].Hash(t.Context(), 33); !errors.Is(err, engine.ErrNoHash) {
		t.Errorf("at an index that was not hashed: %v, want ErrNoHash", err)
	}
	for i := range 200 {
		proposeAnywhere(c, groups, fmt.Sprint("more ", i))
	}
	if _, err := groups[1].Hash(t.Context(), 20); !errors.Is(err, engine.ErrNoHash) {
		t.Errorf("at an index of long ago: %v, want ErrNoHash", err)
	}
	now, err := groups[1].Hash(t.Context(), 0)
	if at, log := groups[1].Chain(); err != nil || now.Index != at || now.Log != log {
		t.Errorf("now: %+v, %v", now, err)
	}
	for id, h := range c.hosts {
		if n := h.Metrics().Divergences; n != 0 {
			t.Errorf("node %d found %d differences between equal members", id, n)
		}
	}
}

// An index that is still to come is hashed just there, on all members, while commands go by without a pause; nobody else pays.
func TestAHashIsTakenOnTheWay(t *testing.T) {
	c, groups := hashing(t, "")
	proposeAnywhere(c, groups, "the first")
	var done atomic.Bool
	var load sync.WaitGroup
	for id, g := range groups {
		load.Go(func() {
			for i := 0; !done.Load(); i++ {
				_, _ = g.Propose(t.Context(), fmt.Append(nil, id, i)) // only one of them leads
			}
		})
	}
	at := groups[1].Applied() + 37
	sums := map[engine.NodeID]engine.StateHash{}
	c.eventually("an index to be waited for by all in time", func() bool {
		at = at/10*10 + 1033 // not one of those that are hashed anyway
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var calls sync.WaitGroup
		var mu sync.Mutex
		clear(sums)
		for id, g := range groups {
			calls.Go(func() {
				if s, err := g.Hash(ctx, at); err == nil {
					mu.Lock()
					defer mu.Unlock()
					sums[id] = s
				}
			})
		}
		calls.Wait()
		return len(sums) == 3
	})
	done.Store(true)
	load.Wait()
	for id, s := range sums {
		if s != sums[1] || s.Index != at || s.Log == 0 {
			t.Errorf("node %d at %d: %+v, node 1: %+v", id, at, s, sums[1])
		}
	}
}

// Members that took the same log in other batches are equal: also where a machine on disk was told of an entry that is no
// command on one of them, and not on the other, because there it came alone.
func TestBatchesDoNotShowInHashes(t *testing.T) {
	c, disks := vaults(t, 3)
	c.propose("one")
	first := c.leader()
	late, second := first%3+1, (first+1)%3+1
	c.stop(late)
	c.propose("two")
	c.handOverTo(second) // an entry without a command
	c.propose("three")
	c.handOverTo(first)
	c.startVault(late, disks)
	var sums map[engine.NodeID]engine.StateHash
	c.eventually("all to have applied the same", func() bool {
		sums = map[engine.NodeID]engine.StateHash{}
		for id := range c.hosts {
			s, err := c.group(id).Hash(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			sums[id] = s
		}
		return sums[1].Index > 5 && sums[1].Index == sums[2].Index && sums[2].Index == sums[3].Index
	})
	if sums[1] != sums[2] || sums[2] != sums[3] {
		t.Errorf("equal members differ: %+v", sums)
	}
}

// So many indexes may be waited for, and no more.
func TestWaitingForHashesIsBounded(t *testing.T) {
	c, groups := hashing(t, "")
	proposeAnywhere(c, groups, "the first")
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	busy := make(chan struct{}, 100)
	for i := range 100 {
		calls.Go(func() {
			if _, err := groups[1].Hash(ctx, engine.Index(1_000_000+i)); errors.Is(err, engine.ErrBusy) {
				busy <- struct{}{}
			}
		})
	}
	for range 84 {
		<-busy
	}
	cancel()
	calls.Wait()
	if len(busy) > 0 {
		t.Errorf("%d more were refused", len(busy))
	}
	if _, err := groups[1].Hash(t.Context(), 0); err != nil {
		t.Error(err)
	}
}

// A member whose machine drifts apart is found by the leader's comparison, whichever of
// them leads, and named with the index.
func TestADriftingMemberIsFound(t *testing.T) {
	c, groups := hashing(t, "the line that node 2 forgets")
	proposeAnywhere(c, groups, "the line that node 2 forgets")
	i := 0
	c.eventually("the difference to be found", func() bool {
		for range 10 {
			i++
			proposeAnywhere(c, groups, fmt.Sprint(i))
		}
		for id, g := range groups {
			s, err := g.Status()
			if err != nil || s.Diverged == nil {
				continue
			}
			if d := s.Diverged; d.Node != id || d.Index%10 != 0 || d.Mine == d.Theirs || (d.Node != 2 && d.Other != 2) || d.LogDiffers {
				t.Errorf("node %d found %+v; want node 2 on one side", id, d)
			}
			return c.hosts[id].Metrics().Divergences > 0
		}
		return false
	})
}

// The hash over the log goes on where it was after a restart, from a snapshot.
func TestTheHashOfTheLogSurvivesRestarts(t *testing.T) {
	c := newCluster(t, 3, often(50, -1))
	c.proposeMany("some", 120)
	c.same(120)
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
		c.start(id)
	}
	c.propose("one more")
	c.same(121)
	c.eventually("equal hashes of the log", func() bool {
		at1, one := c.group(1).Chain()
		at2, two := c.group(2).Chain()
		at3, three := c.group(3).Chain()
		return at1 == at2 && at2 == at3 && one == two && two == three && one != 0
	})
}
