package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// order is a command that is found again on disk.
func order(i int) string { return fmt.Sprintf("order %04d %s", i, strings.Repeat("x", 1000)) }

// flip flips a bit of the n-th order in the log of a node, running or not, and returns what
// flips it back.
func (c *cluster) flip(id engine.NodeID, n int) (undo func()) {
	c.t.Helper()
	return c.flipIn(id, order(n), 500)
}

// flipIn flips a bit behind the beginning of text, where that stands first.
func (c *cluster) flipIn(id engine.NodeID, text string, behind int) (undo func()) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, fmt.Sprint(id), "seg", "*.rwal"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		at := bytes.Index(b, []byte(text))
		if at < 0 {
			continue
		}
		at += behind
		flip := func() {
			f, err := os.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				c.t.Fatal(err)
			}
			defer f.Close()
			b[at] ^= 0x10
			if _, err := f.WriteAt(b[at:at+1], int64(at)); err != nil {
				c.t.Fatal(err)
			}
		}
		flip()
		return flip
	}
	c.t.Fatalf("%.20q is not on the disk of node %d", text, id)
	return nil
}

// small makes the log of many files, and reads it all the time.
func small(cfg *engine.Config) {
	cfg.Durability, cfg.SegmentBytes = engine.Fsync, 64<<10
	cfg.Scrub = engine.ScrubConfig{Every: 20 * time.Millisecond, MaxBytesPerSecond: -1}
}

// unread is small without that.
func unread(cfg *engine.Config) {
	small(cfg)
	cfg.Scrub.Every = -1
}

func (c *cluster) orders(from, to int) {
	c.t.Helper()
	for i := from; i < to; i++ {
		c.insist(order(i))
	}
}

// same waits until every running node has applied the same lines, at least n.
func (c *cluster) same(n int) {
	c.t.Helper()
	c.eventually("equal ledgers", func() bool {
		var want []string
		for id := range c.hosts {
			got := c.lines(id)
			if want == nil {
				want = got
			}
			if len(got) < n || !slices.Equal(got, want) {
				return false
			}
		}
		return true
	})
}

// wireStatus is what clients in other languages are told.
func (c *cluster) wireStatus(id engine.NodeID) *raftpb.StatusResponse {
	c.t.Helper()
	var r raftpb.StatusResponse
	req := &raftpb.StatusRequest{Group: groupID}
	if err := caller(c.t, c.addrs[id]).Call(c.t.Context(), raftpb.RaftClientStatus, req, &r); err != nil {
		c.t.Fatal(err)
	}
	return &r
}

// A byte of a closed segment flips on each of the nodes while they run, the leader among
// them: the scrub finds it, another member gives the entry, and the next scrubs find nothing.
// Meanwhile the group works.
func TestFlippedByteIsRepairedWhileRunning(t *testing.T) {
	c := newCluster(t, 3, small)
	c.orders(0, 150)
	for id := engine.NodeID(1); id <= 3; id++ {
		c.flip(id, 10*int(id))
	}
	repaired := func(id engine.NodeID) uint64 { return c.hosts[id].Metrics().Repairs.Repaired }
	next := 150
	c.eventually("the repairs", func() bool {
		if _, err := c.group(c.leader()).Propose(t.Context(), []byte(order(next))); err != nil {
			t.Errorf("a client sees %v", err)
		}
		next++
		return repaired(1) == 1 && repaired(2) == 1 && repaired(3) == 1
	})
	for id, h := range c.hosts {
		before := h.Metrics().Repairs.Scrubs
		eventually(t, "two more scrubs", func() bool { return h.Metrics().Repairs.Scrubs > before+1 })
		m := h.Metrics().Repairs
		if m.Damaged != 1 || m.Repaired != 1 || c.status(id).Repair != (engine.RepairStatus{}) {
			t.Errorf("node %d: %+v, %+v", id, m, c.status(id).Repair)
		}
	}
	c.same(next)
}

// Different entries are damaged on all nodes of a group, so that no disk has the whole log
// any more, and all of them start again: each gets what it lacks from the others.
func TestDifferentDamageOnEveryNodeIsRepairedAtTheStart(t *testing.T) {
	c := newCluster(t, 3, unread)
	c.orders(0, 100)
	c.same(100)
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
		for k := range 5 {
			c.flip(id, 3*k+int(id))
		}
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		c.start(id)
	}
	c.insist("after")
	c.same(101)
	for id, h := range c.hosts {
		eventually(t, "the repairs", func() bool { return h.Metrics().Repairs.Repaired == 5 })
		if s := c.status(id); s.Repair != (engine.RepairStatus{}) || s.Uncertain {
			t.Errorf("node %d: %+v", id, s)
		}
	}
	// It is for good: nothing is damaged after another start.
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
		c.start(id)
		if s := c.status(id); s.Repair.Entries != 0 {
			t.Errorf("node %d: %+v after another start", id, s.Repair)
		}
	}
	c.same(101)
}

// While an entry cannot be had, because nobody who has it can be reached, the member says
// so, and serves what it has.
func TestARepairIsShownWhileItLasts(t *testing.T) {
	c := newCluster(t, 3, unread)
	c.orders(0, 50)
	c.same(50)
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
	}
	c.flip(1, 20)
	c.start(1)
	s := c.status(1)
	if s.Repair.Entries != 1 || s.Repair.First == 0 || s.Repair.Lost != nil {
		t.Errorf("%+v", s.Repair)
	}
	c.start(2)
	c.start(3)
	c.same(50)
}

// Without a good copy of an entry nothing behind it can be applied. That is said loudly,
// with the entry's name, to everybody who asks; and it ends when a copy comes back.
func TestAnEntryWithoutAGoodCopyIsRefusedLoudly(t *testing.T) {
	c := newCluster(t, 3, unread)
	c.orders(0, 50)
	c.same(50)
	var undo func()
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
		undo = c.flip(id, 20)
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		c.start(id)
	}
	var lost *engine.DamagedEntryError
	c.eventually("the refusal", func() bool {
		for id := range c.hosts {
			_, err := c.group(id).Propose(t.Context(), []byte("more"))
			if errors.As(err, &lost) {
				return true
			}
		}
		return false
	})
	if lost.Group != groupID || lost.Index < 20 || lost.Index > 30 || lost.Term == 0 {
		t.Errorf("%+v", lost)
	}
	for id := range c.hosts {
		c.eventually("the word", func() bool { return c.status(id).Repair.Lost != nil })
		s := c.status(id)
		if *s.Repair.Lost != *lost || s.Applied != lost.Index-1 {
			t.Errorf("node %d: %+v", id, s)
		}
		why, err := c.group(id).Why()
		if err != nil || !strings.Contains(why.Sentence, fmt.Sprint("Entry ", lost.Index, " is damaged")) {
			t.Errorf("%+v, %v", why, err)
		}
	}
	c.stop(3)
	undo()
	c.start(3)
	c.insist("after")
	for id := engine.NodeID(1); id <= 2; id++ {
		c.eventually("the repair", func() bool { return c.status(id).Repair == (engine.RepairStatus{}) })
	}
	c.same(51)
}

// Nobody has the entry, but the others have applied it and dropped it from their logs: their
// state contains it, and the member is sent that.
func TestAnEntryThatOthersHaveCompactedIsReplacedByASnapshot(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) {
		unread(cfg)
		cfg.Snapshots.KeepEntries = -1
	})
	c.orders(0, 60)
	c.same(60)
	c.stop(3)
	c.flip(3, 20)
	for id := engine.NodeID(1); id <= 2; id++ {
		if _, err := c.group(id).Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.eventually("an empty log", func() bool { return c.status(id).First > 30 })
	}
	c.start(3)
	c.insist("after")
	c.same(61)
	c.eventually("the end of it", func() bool { return c.status(3).Repair == (engine.RepairStatus{}) })
	if m := c.hosts[3].Metrics(); m.Snapshots.Installed != 1 {
		t.Errorf("%+v", m.Snapshots)
	}
	// It votes and acknowledges as before.
	c.stop(1)
	c.insist("with two")
}

// A member that has applied an entry whose bytes are then damaged everywhere takes a
// snapshot: the state contains the entry.
func TestAppliedEntriesAreReplacedByASnapshot(t *testing.T) {
	c := newCluster(t, 1, small)
	c.orders(0, 60)
	c.flip(1, 20)
	c.eventually("the snapshot", func() bool { return c.hosts[1].Metrics().Repairs.Damaged == 1 && c.status(1).First > 30 })
	c.eventually("the end of it", func() bool { return c.status(1).Repair == (engine.RepairStatus{}) })
	c.stop(1)
	c.start(1)
	c.insist("after")
	c.same(61)
}

// The status that other languages read says it too.
func TestRepairOverTheWire(t *testing.T) {
	c := newCluster(t, 3, unread)
	c.orders(0, 50)
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
	}
	c.flip(1, 20)
	c.start(1)
	s := c.wireStatus(1)
	if s.Health != raftpb.HealthRepairing {
		t.Errorf("health %v", s.Health)
	}
	c.start(2)
	c.start(3)
	c.same(50)
	c.eventually("health", func() bool { return c.wireStatus(1).Health == raftpb.HealthOk })
	counters := map[string]int64{}
	for _, x := range c.wireStatus(1).Counters {
		counters[x.Name] = x.Value
	}
	if counters["entries_damaged"] != 1 || counters["entries_repaired"] != 1 {
		t.Errorf("%v", counters)
	}
}

// spoilImages damages every snapshot of a node that does not run, in the middle.
func (c *cluster) spoilImages(id engine.NodeID) {
	c.t.Helper()
	images, err := filepath.Glob(filepath.Join(c.dir, fmt.Sprint(id), "snapshot", "*", "*.snap"))
	if err != nil || len(images) == 0 {
		c.t.Fatalf("%q, %v", images, err)
	}
	for _, name := range images {
		b, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		b[len(b)/2] ^= 4
		if err := os.WriteFile(name, b, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// The snapshots of two of three members are damaged, and the log before them is gone: they
// have lost their state, not their word. They say so, vote for the third, and get a
// snapshot of it.
func TestLostStateIsFetchedFromTheLeader(t *testing.T) {
	c := newCluster(t, 3, func(cfg *engine.Config) {
		unread(cfg)
		cfg.Snapshots.KeepEntries = -1
	})
	c.orders(0, 60)
	c.same(60)
	for id := engine.NodeID(1); id <= 3; id++ {
		if _, err := c.group(id).Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.eventually("an empty log", func() bool { return c.status(id).First > 60 })
	}
	c.orders(60, 70)
	for id := engine.NodeID(1); id <= 3; id++ {
		c.stop(id)
	}
	c.spoilImages(1)
	c.spoilImages(2)
	c.start(1)
	if s := c.status(1); s.Repair.Snapshot == 0 || s.Uncertain || s.Applied != 0 || s.Last < 70 {
		t.Errorf("%+v", s)
	}
	if s := c.wireStatus(1); s.Health != raftpb.HealthRepairing {
		t.Errorf("health %v", s.Health)
	}
	if why, err := c.group(1).Why(); err != nil || !strings.Contains(why.Sentence, "lost its state") {
		t.Errorf("%+v, %v", why, err)
	}
	c.start(2)
	for _, id := range []engine.NodeID{1, 2} {
		if s := c.status(id); s.Role == raftpb.RoleLeader {
			t.Errorf("node %d leads without a state", id)
		}
	}
	c.start(3)
	c.insist("after")
	c.same(71)
	for id := engine.NodeID(1); id <= 3; id++ {
		if s := c.status(id); s.Repair != (engine.RepairStatus{}) {
			t.Errorf("node %d: %+v", id, s.Repair)
		}
	}
	// What they got is theirs: they start from it, and lead.
	c.stop(3)
	c.stop(1)
	c.start(1)
	c.insist("of the two")
	c.same(72)
}

// The entry that is damaged says who is in the group: nothing is done before it was
// fetched, for who votes depends on it. When nobody can be asked the start waits, as long as
// its context, and names the entry.
func TestADamagedConfigurationIsFetchedBeforeTheStart(t *testing.T) {
	c := newCluster(t, 3, unread)
	c.join(4)
	c.change(engine.AddLearner(4, c.addrs[4]))
	c.orders(0, 80)
	c.same(80)
	for id := engine.NodeID(1); id <= 4; id++ {
		c.stop(id)
	}
	c.flipIn(1, c.addrs[4], 3)
	h, err := engine.Open(t.Context(), c.config(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = h.Start(ctx, engine.GroupConfig{ID: groupID, Members: c.members(), Machine: &ledger{}})
	var damaged *engine.DamagedEntryError
	if !errors.As(err, &damaged) || !errors.Is(err, context.DeadlineExceeded) || damaged.Index == 0 || damaged.Group != groupID {
		t.Errorf("alone: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	c.start(2)
	c.start(3)
	c.insist("without it")
	c.start(1)
	if m := c.hosts[1].Metrics().Repairs; m.Repaired != 1 {
		t.Errorf("%+v", m)
	}
	c.same(81)
	if s := c.status(1); len(s.Members) != 4 {
		t.Errorf("%+v", s.Members)
	}
}
