package runtime

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// heldUp is a leader whose disk does only what the test says, with a large batch under way.
type heldUp struct {
	*hands
	t        *testing.T
	leader   *member
	outcomes []*reader
}

func newHeldUp(t *testing.T) *heldUp {
	h := &heldUp{hands: newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() }), t: t}
	h.campaign(1)
	h.leader = h.members[0]
	h.leader.host.cfg.HoldFrom = 10
	h.propose(10, 10)
	h.leader.manual.Step()
	return h
}

// propose queues n proposals of a size.
func (h *heldUp) propose(n, size int) {
	h.t.Helper()
	e := raft.Entry{Kind: raftpb.EntryKindCommand, Body: make([]byte, size)}
	e.Crc32c = wal.EntryChecksum(e.Kind, e.Body)
	for range n {
		h.outcomes = append(h.outcomes, new(reader))
		if err := h.leader.group.Propose(e, h.outcomes[len(h.outcomes)-1]); err != nil {
			h.t.Fatal(err)
		}
	}
}

// last is the end of the leader's log.
func (h *heldUp) last() int { return int(h.leader.group.Node().Status().Last) }

// Under load, proposals wait for the write that is under way, whatever else the worker has
// to do, and go together with its end.
func TestProposalsWaitForALargeWrite(t *testing.T) {
	h := newHeldUp(t)
	defer h.close()
	was := h.last()
	h.propose(3, 10)
	if h.leader.manual.Ready() {
		t.Fatal("proposals woke the worker while a large batch is being written")
	}
	for h.next() { // the followers hear, and answer
	}
	h.leader.manual.Step()
	if h.last() != was {
		t.Fatal("a message took proposals along that wait for the disk")
	}
	for h.leader.log.Step() {
	}
	if !h.leader.manual.Ready() {
		t.Fatal("the end of the write did not wake the worker")
	}
	h.leader.manual.Step()
	if h.last() != was+3 {
		t.Fatalf("%d proposals came in with the end of the write, want 3", h.last()-was)
	}
	h.propose(1, 10) // the batch of three was small
	if !h.leader.manual.Ready() {
		t.Fatal("a proposal waits for a small write")
	}
}

// A disk that is slow holds nothing up for long, and many bytes do not wait at all.
func TestProposalsWaitWithinBounds(t *testing.T) {
	t.Run("time", func(t *testing.T) {
		h := newHeldUp(t)
		defer h.close()
		was := h.last()
		h.propose(3, 10)
		if next := h.leader.manual.Next(); next > h.clock.now+holdFor {
			t.Fatalf("the worker looks again after %d, want %d", next-h.clock.now, holdFor)
		}
		h.clock.now += holdFor
		h.leader.manual.Step()
		if h.last() != was+3 {
			t.Fatal("proposals still wait for a slow disk")
		}
		h.propose(1, 10)
		if !h.leader.manual.Ready() {
			t.Fatal("and later ones wait, though few came")
		}
	})
	t.Run("bytes", func(t *testing.T) {
		h := newHeldUp(t)
		defer h.close()
		was := h.last()
		h.propose(1, holdBytes/2)
		if h.leader.manual.Ready() {
			t.Fatal("half of the bytes do not wait")
		}
		h.propose(1, holdBytes/2)
		if !h.leader.manual.Ready() {
			t.Fatal("many bytes wait")
		}
		h.leader.manual.Step()
		if h.last() != was+2 {
			t.Fatal("many bytes woke the worker, and it left them")
		}
	})
}

// What waits is not forgotten when the host stops, nor when the leader is no longer one.
func TestProposalsThatWaitAreAnswered(t *testing.T) {
	t.Run("stopped", func(t *testing.T) {
		h := newHeldUp(t)
		h.propose(1, 10)
		held := h.outcomes[len(h.outcomes)-1]
		h.leader.hung = true
		h.leader.manual.w.shutdown()
		if held.end.Reason != Stopped {
			t.Errorf("it ended with %v", held.end)
		}
	})
	t.Run("deposed", func(t *testing.T) {
		h := newHeldUp(t)
		defer h.close()
		h.propose(1, 10)
		held := h.outcomes[len(h.outcomes)-1]
		h.leader.hung, h.leader.cut = true, true
		h.pass(30)
		if held.end.Reason != NotLeader && held.end.Reason != LeadershipLost {
			t.Errorf("it ended with %v", held.end)
		}
	})
}
