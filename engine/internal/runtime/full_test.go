package runtime

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// narrowDisk is a disk that gives out no new block and no new name while it is full.
type narrowDisk struct{ full bool }

func newNarrowDisk() (*narrowDisk, wal.FS) {
	d, fs := new(narrowDisk), crashfs.New()
	fs.OnOp = func(o crashfs.Op) error {
		st, err := fs.Stat(o.Path)
		grows := err != nil || o.Kind == crashfs.Create ||
			o.Kind == crashfs.Write && o.Off+int64(o.Len) > st.Size()
		switch o.Kind {
		case crashfs.Create, crashfs.Link, crashfs.Mkdir, crashfs.Write:
			if d.full && grows {
				return syscall.ENOSPC
			}
		}
		return nil
	}
	return d, fs
}

// narrow makes three members whose disks can be filled; the first leads.
func narrow(t *testing.T) (h *hands, disks map[raft.NodeID]*narrowDisk) {
	disks = map[raft.NodeID]*narrowDisk{}
	h = newHands(t, 0, false, func(id raft.NodeID) wal.FS {
		d, fs := newNarrowDisk()
		disks[id] = d
		return fs
	})
	h.restartAll(func() { h.spares, h.stallAfter, h.policy = 1, 5e8, SnapshotPolicy{} })
	h.campaign(1)
	h.propose(1, "there is room")
	return h, disks
}

// offer proposes a command of a kilobyte, and notes how that ends.
func (h *hands) offer(id raft.NodeID, text string) *reader {
	h.t.Helper()
	e := raft.Entry{Kind: raftpb.EntryKindCommand, Body: []byte(text + strings.Repeat(".", 1000))}
	e.Crc32c = wal.EntryChecksum(e.Kind, e.Body)
	end := new(reader)
	if err := h.members[id-1].group.Propose(e, end); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
	return end
}

// fill proposes at a member until it takes nothing more, and returns what it took.
func (h *hands) fill(id raft.NodeID) (taken []string) {
	h.t.Helper()
	for i := range 300 {
		text := fmt.Sprintf("command %d at %d", i, id)
		end := h.offer(id, text).end
		if end.Reason == 0 {
			taken = append(taken, text)
			continue
		}
		if end.Reason != Busy && end.Reason != NotLeader || end.MayHappen {
			h.t.Fatalf("a full disk ends a proposal with %v", end)
		}
		return taken
	}
	h.t.Fatal("300 KiB fit on a full disk")
	return nil
}

// agree waits until all members have applied the same, which begins with what was taken.
func (h *hands) agree(want []string) {
	h.t.Helper()
	h.pass(40)
	for _, m := range h.members {
		if end := m.group.End(); end != nil {
			h.t.Fatalf("member %d: its group ended: %v", m.id, end)
		}
		var got []string
		for _, l := range m.machine.lines {
			got = append(got, strings.TrimRight(l.text, "."))
		}
		if !slices.Equal(got, want) {
			h.t.Errorf("member %d applied %q, want %q", m.id, got, want)
		}
		if m.host.disk.isFull() || m.group.node.Status().DiskStalled || m.group.held.is {
			h.t.Errorf("member %d: its disk has room, and still counts as full", m.id)
		}
	}
}

// The leader's disk is full: what it took goes through with the disks of the others, it takes
// nothing more and hands over, and when there is room again it lacks nothing.
func TestALeaderWhoseDiskIsFullHandsOver(t *testing.T) {
	h, disks := narrow(t)
	defer h.close()
	term := h.members[0].group.role.term
	disks[1].full = true
	want := append([]string{"there is room"}, h.fill(1)...)
	h.elected(1, term, 3*electionBeats)
	leader := h.leader()
	for i := range 5 {
		text := fmt.Sprint("on another disk ", i)
		if end := h.offer(leader, text).end; end.Reason != 0 {
			t.Fatalf("the new leader, whose disk has room: %v", end)
		}
		want = append(want, text)
	}
	h.pass(30)
	if first := h.members[0].group; !first.held.is || !h.members[0].host.disk.isFull() {
		t.Error("the disk is full, and nothing is held")
	} else if d := first.node.Status().Durable; d >= first.node.Status().Last {
		t.Error("the core believes that what was refused is durable")
	}
	disks[1].full = false
	h.agree(want)
}

// All disks are full: everything is refused with a reason, nobody ends, and what was taken
// before is carried out when there is room.
func TestAllDisksAreFull(t *testing.T) {
	h, disks := narrow(t)
	defer h.close()
	for _, d := range disks {
		d.full = true
	}
	want := append([]string{"there is room"}, h.fill(1)...)
	if end := h.offer(1, "too much").end; end.Reason != Busy || end.Full != FullDisk && end.Full != HandingOver {
		t.Errorf("a proposal on a full disk ended with %v, want busy", end)
	}
	h.pass(50)
	for _, d := range disks {
		d.full = false
	}
	h.agree(want)
	h.offer(h.leader(), "room again")
	h.agree(append(want, "room again"))
}

// A member that starts anew while its disk is full has what it acknowledged, and gets the
// rest when there is room.
func TestARestartOnAFullDiskLosesNothing(t *testing.T) {
	h, disks := narrow(t)
	defer h.close()
	disks[3].full = true
	want := []string{"there is room"}
	for i := range 200 {
		text := fmt.Sprint("command ", i)
		if end := h.offer(1, text).end; end.Reason != 0 {
			t.Fatalf("two disks have room: %v", end)
		}
		want = append(want, text)
	}
	h.pass(3)
	third := h.members[2]
	if !third.group.held.is && !third.host.disk.isFull() {
		t.Fatal("200 KiB fit on a full disk")
	}
	promised := third.promised
	third.manual.w.shutdown()
	_ = third.log.Close() // its catalog finds no room; the next start makes it anew
	disks[3].full = false // a log needs a file to start
	h.members[2] = h.reopen(third)
	if last := h.members[2].log.Group(handGroup).LastIndex(); last < promised {
		t.Fatalf("the log ends at %d, %d was promised", last, promised)
	}
	h.agree(want)
}

// A snapshot taken on a full disk makes room: the compaction is written although entries are
// refused.
func TestACompactionPassesWhatIsHeld(t *testing.T) {
	h, disks := narrow(t)
	defer h.close()
	disks[1].full = true
	h.fill(1)
	m := h.members[0]
	if !m.group.held.is {
		t.Fatal("nothing is held")
	}
	to := m.log.Group(handGroup).LastIndex() - 1
	m.manual.w.now = h.clock.now
	m.manual.w.stageCompact(m.group, to)
	m.manual.w.submit()
	h.settle()
	if first := m.log.Group(handGroup).FirstIndex(); first != to {
		t.Errorf("the log begins at %d, want %d", first, to)
	}
	m.manual.w.shutdown()
	_ = m.log.Close() // its catalog found no room; the next start would make it anew
	h.members = h.members[1:]
}
