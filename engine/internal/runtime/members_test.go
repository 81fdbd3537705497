package runtime

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// What operators may have open in one group is bounded; what waits in a group that ends
// is told that its outcome is open.
func TestRequestsOfOperatorsAreBounded(t *testing.T) {
	w := newWorker(&Host{cfg: Config{MaxInboxBytes: 1 << 20}})
	g := &Group{w: w}
	for range maxRequests {
		g.requests.last++
		g.requests.waiting = append(g.requests.waiting, request{id: g.requests.last, change: func(raft.ChangeAnswer) {}})
	}
	var change, transfer raft.Refusal
	if err := g.Change(raft.ChangeRequest{}, func(a raft.ChangeAnswer) { change = a.Refused }); err != nil {
		t.Fatal(err)
	}
	if err := g.Transfer(0, func(a raft.TransferAnswer) { transfer = a.Refused }); err != nil {
		t.Fatal(err)
	}
	w.inbox.take(&w.work, false)
	for _, f := range w.work.control {
		f()
	}
	if change != raft.RefusalBusy || transfer != raft.RefusalBusy {
		t.Errorf("over the bound: %v and %v, want busy", change, transfer)
	}
	ended := raft.RefusalNone
	g.requests.waiting = []request{{id: 1, transfer: func(a raft.TransferAnswer) { ended = a.Refused }}}
	g.dropRequests()
	if ended != raft.RefusalLeadershipLost || len(g.requests.waiting) != 0 {
		t.Errorf("at the end of the group: %v, want leadership lost", ended)
	}
}
