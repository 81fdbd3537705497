package runtime

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/wal"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// story is the life of three members in which snapshots are taken and installed. Member 3
// leads first and is left behind with entries that nobody else has; the others go on until
// the log it needs is gone; it gets a snapshot, is stopped in the middle, and once more,
// and follows.
func (h *hands) story() {
	h.campaign(3)
	for i := range 5 {
		h.propose(3, fmt.Sprint("together ", i))
	}
	h.members[2].cut = true
	for i := range 4 {
		h.propose(3, fmt.Sprint("lost ", i))
	}
	h.pass(12) // one of the others leads
	for i := range 30 {
		h.propose(h.leader(), fmt.Sprint("without 3: ", i))
	}
	h.members[2].cut = false
	h.pass(15) // member 3 hears that it leads no more, and that it lacks the beginning
	for i := range 12 {
		h.propose(h.leader(), fmt.Sprint("again together ", i))
	}
	h.pass(3)
}

// leader is the member that leads in the highest term.
func (h *hands) leader() raft.NodeID {
	h.t.Helper()
	var found *member
	for _, m := range h.members {
		if m.group.role.leader && (found == nil || m.group.role.term > found.group.role.term) {
			found = m
		}
	}
	if found == nil {
		h.t.Fatal("nobody leads")
	}
	return found.id
}

// newHands makes three members on disks of make.
func newHands(t testing.TB, m mutant, unsynced bool, disk func(id raft.NodeID) wal.FS) *hands {
	h := &hands{
		spares: -1,
		t:      t, clock: &stopped{1}, unsynced: unsynced, policy: SnapshotPolicy{Entries: 10, Keep: 2},
		limits: SnapshotLimits{MaxWrites: 1, MaxSends: 1, ChunkBytes: 128, WindowBytes: 256, MaxImageBytes: 1 << 20},
	}
	for id := raft.NodeID(1); id <= 3; id++ {
		member, err := h.open(id, disk(id))
		if err != nil {
			t.Fatal(err)
		}
		setMutant(member.host, m)
		h.members = append(h.members, member)
	}
	h.settle()
	return h
}

func (h *hands) close() {
	for _, m := range h.members {
		m.manual.w.shutdown()
		for m.work() {
		}
		if err := m.log.Close(); err != nil {
			h.t.Error(err)
		}
	}
}

// A follower that has what nobody else has, and lacks what all others have dropped,
// becomes equal to them by a snapshot.
func TestAFollowerInConflictInstallsASnapshot(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	defer h.close()
	h.story()
	want := h.members[0].machine.lines
	if len(want) != 5+30+12 {
		t.Fatalf("%d commands were applied: %v", len(want), want)
	}
	for _, m := range h.members {
		if fmt.Sprint(m.machine.lines) != fmt.Sprint(want) {
			t.Errorf("member %d has %v, want %v", m.id, m.machine.lines, want)
		}
		if first := m.log.Group(handGroup).FirstIndex(); first < 20 {
			t.Errorf("the log of member %d begins at %d", m.id, first)
		}
		if m.group.chain.Load() != h.members[0].group.chain.Load() {
			t.Errorf("member %d has another hash over what it applied", m.id)
		}
	}
	if n := h.members[2].host.SnapshotCounts().Installed; n != 1 {
		t.Errorf("%d snapshots were installed, want 1", n)
	}
}

// crashes runs the story, and before every operation of each member's file system, with
// several choices of what of the unsynced data survives, lets the power fail there: what
// is left must hold all that the member had promised.
func crashes(t *testing.T, m mutant, unsynced bool, every int) error {
	t.Helper()
	tale := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	tale.story()
	truth := tale.members[0].machine.lines
	tale.close()

	var failed error
	ops, images := 0, 0
	rng := rand.New(rand.NewPCG(1, 2))
	disks := map[raft.NodeID]*crashfs.FS{}
	h := newHands(t, m, unsynced, func(id raft.NodeID) wal.FS {
		disks[id] = crashfs.New()
		return disks[id]
	})
	for _, member := range h.members {
		disk := disks[member.id]
		disk.OnOp = func(op crashfs.Op) error {
			ops++
			for i, s := range crashfs.Survivals() {
				if failed != nil || (i+ops)%every != 0 {
					continue
				}
				images++
				if err := h.judge(member, disk.Image(s, rng), truth, s, rng, images%20 == 0); err != nil {
					failed = fmt.Errorf("member %d, operation %d, %+v, surviving %+v: %w", member.id, ops, op, s, err)
				}
			}
			return nil
		}
	}
	h.story()
	if failed == nil && fmt.Sprint(h.members[2].machine.lines) != fmt.Sprint(truth) {
		failed = fmt.Errorf("the story ends with %v", h.members[2].machine.lines)
	}
	for _, disk := range disks {
		disk.OnOp = nil
	}
	h.close()
	t.Logf("%d operations, %d crash images", ops, images)
	if ops < 200 {
		t.Errorf("%d operations: the story is none", ops)
	}
	return failed
}

func TestCrash(t *testing.T) {
	every := 1
	if testing.Short() {
		every = 8
	}
	if err := crashes(t, 0, false, every); err != nil {
		t.Fatal(err)
	}
}

// The crash test finds a store that syncs nothing: it would find one sync that is missing.
func TestCrashFindsSnapshotsThatAreNotSynced(t *testing.T) {
	if err := crashes(t, 0, true, 4); err == nil {
		t.Error("nothing noticed it")
	}
}

// judge starts a member from what a crash left of its disk.
func (h *hands) judge(was *member, disk *crashfs.FS, truth []rollLine, s crashfs.Survival, rng *rand.Rand, again bool) (failed error) {
	if again {
		disk.OnOp = func(op crashfs.Op) error {
			if failed == nil {
				if err := h.judge(was, disk.Image(s, rng), truth, s, rng, false); err != nil {
					failed = fmt.Errorf("again before %+v: %w", op, err)
				}
			}
			return nil
		}
	}
	alone := &hands{spares: -1, t: h.t, unsynced: h.unsynced, clock: &stopped{h.clock.now}, policy: h.policy, limits: h.limits}
	m, err := alone.open(was.id, disk)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	alone.members = []*member{m}
	m.cut = true
	for m.work() {
	}
	defer func() { m.manual.w.shutdown(); _ = m.log.Close() }() // the disk is thrown away
	log := m.log.Group(handGroup)
	if log.LastIndex() < was.promised {
		return fmt.Errorf("the log ends at %d, %d was promised", log.LastIndex(), was.promised)
	}
	if end := m.group.End(); end != nil {
		return fmt.Errorf("the group ended: %v", end)
	}
	for i, line := range m.machine.lines {
		if i >= len(truth) || line != truth[i] {
			return fmt.Errorf("command %d is %v", i, line)
		}
	}
	return h.entries(log, truth, was.promised)
}

// entries checks that the log holds what was promised.
func (h *hands) entries(log *wal.Group, truth []rollLine, promised raft.Index) error {
	for _, line := range truth {
		if line.index < log.FirstIndex() || line.index > promised {
			continue
		}
		got, err := log.Entries(nil, line.index, line.index+1, 1<<20)
		if err != nil {
			return fmt.Errorf("entry %d: %w", line.index, err)
		}
		if string(got[0].Body) != line.text {
			return fmt.Errorf("entry %d is %q, want %q", line.index, got[0].Body, line.text)
		}
	}
	return nil
}
