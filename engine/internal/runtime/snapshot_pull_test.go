package runtime

import (
	"fmt"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// borrowing are members whose leaders let others send their snapshots.
func borrowing(t *testing.T) *hands {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	for _, m := range h.members {
		m.host.cfg.Snapshots.FromFollowers = true
	}
	return h
}

// equal fails unless all members have applied the same, and member 3 by a snapshot.
func (h *hands) equal() {
	h.t.Helper()
	for _, m := range h.members {
		if got, want := fmt.Sprint(m.machine.lines), fmt.Sprint(h.members[0].machine.lines); got != want {
			h.t.Errorf("member %d has %v, want %v", m.id, got, want)
		}
	}
	if n := h.members[2].host.SnapshotCounts().Installed; n != 1 {
		h.t.Errorf("%d snapshots were installed, want 1", n)
	}
}

// The leader sends not a byte of its snapshot, when another member has the same one.
func TestASnapshotComesFromAFollower(t *testing.T) {
	h := borrowing(t)
	defer h.close()
	h.story()
	h.equal()
	leader := h.members[h.leader()-1].host.SnapshotCounts()
	lender := h.members[2-h.leader()].host.SnapshotCounts() // 1 or 2, the one that does not lead
	here := h.members[2].host.SnapshotCounts()
	if leader.BytesOut != 0 || lender.BytesLent == 0 || lender.BytesOut != lender.BytesLent || here.BytesIn != lender.BytesLent || here.Pulled != 1 {
		t.Errorf("leader %+v, lender %+v, receiver %+v", leader, lender, here)
	}
}

// lenders stands between a member and the network, and does to what others lend as a test says.
type lenders struct {
	transport.Network
	dead  func(n int) bool                            // before the n-th question, from 1
	spoil func(n int, r *raftpb.ReadSnapshotResponse) // the n-th answer
	n     int
}

func (l *lenders) Call(to raftpb.NodeID, lane transport.Lane, m *codec.Method, req codec.Message, done func(codec.Message, error)) error {
	if m != raftpb.RaftPeerReadSnapshot {
		return l.Network.Call(to, lane, m, req, done)
	}
	l.n++
	n := l.n
	if l.dead != nil && l.dead(n) {
		return transport.ErrUnreachable
	}
	return l.Network.Call(to, lane, m, req, func(resp codec.Message, err error) {
		if r, ok := resp.(*raftpb.ReadSnapshotResponse); ok && err == nil && l.spoil != nil {
			l.spoil(n, r)
		}
		done(resp, err)
	})
}

// Whatever is wrong with what a member lends, the leader goes on with what has not come,
// and nothing is installed but the image that it described.
func TestTheLeaderGoesOnWhereAFollowerFails(t *testing.T) {
	for name, c := range map[string]struct {
		dead  func(n int) bool
		spoil func(n int, r *raftpb.ReadSnapshotResponse)
		again bool // all of it is sent once more
	}{
		"dead from the start":   {dead: func(int) bool { return true }},
		"dies in the middle":    {dead: func(n int) bool { return n > 2 }},
		"a flipped bit":         {spoil: func(n int, r *raftpb.ReadSnapshotResponse) { r.Data[n%len(r.Data)] ^= 1 }},
		"of another place":      {spoil: func(_ int, r *raftpb.ReadSnapshotResponse) { r.Offset++ }},
		"too short":             {spoil: func(_ int, r *raftpb.ReadSnapshotResponse) { r.Data = r.Data[1:] }},
		"another image, framed": {spoil: func(_ int, r *raftpb.ReadSnapshotResponse) { reframe(r) }, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := borrowing(t)
			defer h.close()
			w := h.members[2].host
			w.network = &lenders{Network: w.network, dead: c.dead, spoil: c.spoil}
			h.story()
			h.equal()
			leader, here := h.members[h.leader()-1].host.SnapshotCounts(), w.SnapshotCounts()
			if leader.BytesOut == 0 || here.Pulled != 0 {
				t.Errorf("leader %+v, receiver %+v", leader, here)
			}
			image, err := h.members[2].group.snaps.openNewest()
			if err != nil {
				t.Fatal(err)
			}
			most := image.Meta().SizeBytes + int64(h.limits.WindowBytes) // what was under way is lost
			if err := image.Close(); err != nil {
				t.Fatal(err)
			}
			if sent := int64(leader.BytesOut + lentTo(h)); !c.again && sent > most {
				t.Errorf("%d bytes were sent, of which %d by the leader; want at most %d", sent, leader.BytesOut, most)
			}
		})
	}
}

func reframe(r *raftpb.ReadSnapshotResponse) {
	for i := range r.Data {
		r.Data[i] ^= 0x55
	}
	r.ChunkCrc32c = int64(snapshot.Checksum(r.Data))
}

func lentTo(h *hands) (n uint64) {
	for _, m := range h.members {
		n += m.host.SnapshotCounts().BytesLent
	}
	return n
}

// A member lends no more than it may at a time, and only what it has.
func TestLendsAreBounded(t *testing.T) {
	h := borrowing(t)
	defer h.close()
	h.campaign(1)
	for i := range 12 {
		h.propose(1, fmt.Sprint("line ", i))
	}
	m := h.members[0]
	image, err := m.group.snaps.openNewest()
	if err != nil {
		t.Fatal(err)
	}
	meta := image.Meta()
	if err := image.Close(); err != nil {
		t.Fatal(err)
	}
	good := raftpb.ReadSnapshotRequest{Group: handGroup, Index: meta.Index, Term: meta.Term, SnapshotID: meta.SnapshotID, Count: 64}
	failed, answered := 0, 0
	ask := func(change func(r *raftpb.ReadSnapshotRequest)) {
		r := good
		change(&r)
		err := handNetwork{h, h.members[1]}.Call(1, transport.LaneSnapshot, raftpb.RaftPeerReadSnapshot, &r, func(_ codec.Message, err error) {
			if err != nil {
				failed++
			} else {
				answered++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []func(r *raftpb.ReadSnapshotRequest){
		func(r *raftpb.ReadSnapshotRequest) { r.Group = 99 },
		func(r *raftpb.ReadSnapshotRequest) { r.Index++ },
		func(r *raftpb.ReadSnapshotRequest) { r.SnapshotID = []byte("another") },
		func(r *raftpb.ReadSnapshotRequest) { r.Offset = -1 },
		func(r *raftpb.ReadSnapshotRequest) { r.Offset = meta.SizeBytes },
		func(r *raftpb.ReadSnapshotRequest) { r.Count = 0 },
		func(r *raftpb.ReadSnapshotRequest) { r.Count = maxLendBytes + 1 },
	} {
		ask(change)
	}
	h.settle()
	if failed != 7 || answered != 0 {
		t.Fatalf("%d nonsensical questions failed and %d were answered, want 7 and 0", failed, answered)
	}
	failed = 0
	for range maxLends + 5 {
		ask(func(*raftpb.ReadSnapshotRequest) {})
	}
	for h.next() { // all have come before the first is read
	}
	h.settle()
	if failed != 5 || answered != maxLends {
		t.Errorf("%d failed and %d were answered, want 5 and %d", failed, answered, maxLends)
	}
	m.host.pace.perSecond = 640 // ten a second
	answered = 0
	for range 3 {
		ask(func(*raftpb.ReadSnapshotRequest) {})
	}
	h.settle()
	if answered != 1 {
		t.Fatalf("%d answered at once, want 1", answered)
	}
	h.pass(3)
	if answered != 3 || m.host.lends.free != maxLends {
		t.Errorf("%d answered in the end, %d places free", answered, m.host.lends.free)
	}
}
