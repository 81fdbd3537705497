package engine_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// noHandler serves nothing: its methods are never called.
type noHandler struct{ t *testing.T }

func (h noHandler) ServeCall(c *transport.Call) { c.Fail(errors.New("nothing is served")) }

// hostileMember is a host, node 1 of a group of three, and a network that claims to be node 2.
func hostileMember(t *testing.T, adjust func(*engine.Config)) (*engine.Host, transport.Network) {
	t.Helper()
	world := transport.NewMemory(1)
	cfg := engine.Config{
		Cluster: "test", Node: 1, Dir: t.TempDir(), Listen: "one", Durability: engine.NoSync, SegmentBytes: 1 << 20,
		ElectionTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler), Network: world.Listen,
		OnFatal: func(err error) { t.Errorf("the host failed: %v", err) },
	}
	if adjust != nil {
		adjust(&cfg)
	}
	h, err := engine.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	members := []engine.Member{{ID: 1, Address: "one"}, {ID: 2, Address: "two"}, {ID: 3, Address: "three"}}
	if _, err := h.Start(t.Context(), engine.GroupConfig{ID: groupID, Members: members, Machine: &ledger{}}); err != nil {
		t.Fatal(err)
	}
	n, err := world.Listen(transport.Config{
		Cluster: "test", Node: 2, Listen: "two", Peers: map[raftpb.NodeID]string{1: "one"}, Handler: noHandler{t},
		Methods: raftpb.RaftPeerMethods, Logger: slog.New(slog.DiscardHandler), CloseTimeout: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return h, n
}

// ask makes one call of node 2 at node 1. resp is given to look at while it is valid.
func ask(t *testing.T, n transport.Network, m *codec.Method, req codec.Message, look func(resp codec.Message)) error {
	t.Helper()
	ended := make(chan error, 1)
	eventually(t, "a connection", func() bool {
		return n.Call(1, transport.LaneControl, m, req, func(resp codec.Message, err error) {
			if err == nil && look != nil {
				look(resp)
			}
			ended <- err
		}) == nil
	})
	return <-ended
}

// A heartbeat for more groups than one may carry is refused; one at the limit is answered,
// and groups that are not here are left out of the answer.
func TestAHeartbeatCarriesABoundedNumberOfGroups(t *testing.T) {
	_, n := hostileMember(t, nil)
	req := &raftpb.HeartbeatRequest{Leader: 2, Beats: make([]raftpb.Beat, raftpb.MaxGroupsPerHeartbeat)}
	for i := range req.Beats {
		req.Beats[i] = raftpb.Beat{Group: groupID + raftpb.GroupID(i), Term: 1}
	}
	acks := -1
	err := ask(t, n, raftpb.RaftPeerHeartbeat, req, func(resp codec.Message) {
		acks = len(resp.(*raftpb.HeartbeatResponse).Acks)
	})
	if err != nil || acks > 1 {
		t.Errorf("at the limit: %d acks, %v", acks, err)
	}
	req.Beats = append(req.Beats, raftpb.Beat{Group: 1, Term: 1})
	var remote *transport.RemoteError
	if err := ask(t, n, raftpb.RaftPeerHeartbeat, req, nil); !errors.As(err, &remote) {
		t.Errorf("over the limit: %v, want a RemoteError", err)
	}
}

// What a member may say and should not: the host refuses it and goes on. An entry whose
// bytes do not match its checksum never reaches the log.
func TestNonsenseOfAMemberStopsNobody(t *testing.T) {
	h, n := hostileMember(t, nil)
	entry := func(change func(e *raftpb.Entry)) *raftpb.AppendRequest {
		e := raftpb.Entry{Term: 5, Kind: raftpb.EntryKindNoop}
		change(&e)
		return &raftpb.AppendRequest{Group: groupID, Term: 5, Leader: 2, Entries: []raftpb.Entry{e}}
	}
	for name, req := range map[string]*raftpb.AppendRequest{
		"checksum":      entry(func(e *raftpb.Entry) { e.Body, e.Crc32c = []byte("x"), 1 }),
		"negative kind": entry(func(e *raftpb.Entry) { e.Kind = -1; e.Crc32c = sum(e) }),
		"term above":    entry(func(e *raftpb.Entry) { e.Term = 6; e.Crc32c = sum(e) }),
		"index":         {Group: groupID, Term: 5, Leader: 2, PrevIndex: -1},
		"other group":   {Group: 99, Term: 5, Leader: 2},
	} {
		status := raftpb.AppendStatusUnspecified
		err := ask(t, n, raftpb.RaftPeerAppend, req, func(resp codec.Message) { status = resp.(*raftpb.AppendResponse).Status })
		if err == nil && status == raftpb.AppendStatusOk {
			t.Errorf("%s: accepted", name)
		}
	}
	s, err := h.Group(groupID).Status()
	if err != nil || s.Last != 0 {
		t.Errorf("afterwards the log ends at %d, %v; want an empty log that works", s.Last, err)
	}
}

func sum(e *raftpb.Entry) int64 { return wal.EntryChecksum(e.Kind, e.Body) }

// A leader that can commit nothing, here because its disk hangs, takes proposals up to
// MaxUncommittedBytes and refuses the rest at once, as busy: nothing of them was appended.
func TestTheBacklogOfALeaderIsBounded(t *testing.T) {
	const limit = 1 << 20
	disks, adjust := onDisks(1)
	c := newCluster(t, 1, func(cfg *engine.Config) {
		adjust(cfg)
		cfg.MaxUncommittedBytes = limit
	})
	g := c.group(c.leader())
	defer disks[1].Freeze()()
	outcomes := make(chan error, 100)
	queued := 0
	for range 64 {
		if g.ProposeAsync(make([]byte, 64<<10), func(_ engine.Result, err error) { outcomes <- err }) == nil {
			queued++
		}
	}
	busy := 0
	for range queued - limit>>16 {
		err := <-outcomes
		if !errors.Is(err, engine.ErrBusy) || errors.Is(err, engine.ErrIndeterminate) {
			t.Fatalf("over the backlog: %v, want ErrBusy alone", err)
		}
		busy++
	}
	if busy < 64-limit>>16 {
		t.Errorf("%d of 64 proposals of 64 KiB refused, with room for 1 MiB", busy)
	}
}
