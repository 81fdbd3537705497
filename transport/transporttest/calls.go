package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// codecs are those that every node decodes.
func codecs() (list []codec.Codec) {
	for _, id := range []uint8{codec.IDMsgpack, codec.IDBinary, codec.IDCompact} {
		c, _ := codec.ByID(id)
		list = append(list, c)
	}
	return list
}

func appendOf(group raftpb.GroupID, bodies ...string) *raftpb.AppendRequest {
	r := &raftpb.AppendRequest{Group: group, Term: 7}
	for _, b := range bodies {
		r.Entries = append(r.Entries, raftpb.Entry{Term: 7, Kind: raftpb.EntryKindCommand, Body: []byte(b)})
	}
	return r
}

// A call on every lane in every codec arrives as it was sent and its answer comes back.
func everyLaneAndCodec(t *testing.T, w World) {
	for _, k := range codecs() {
		t.Run(k.Name(), func(t *testing.T) {
			lanes := make(chan transport.Lane, 1)
			a, _ := pair(t, w, func(c *transport.Call) {
				if c.From != 1 {
					t.Errorf("call from %d, want 1", c.From)
				}
				lanes <- c.Lane
				echo(c)
			}, func(cfg *transport.Config) { cfg.Codec = k })
			for lane := transport.LaneControl; lane <= transport.LaneBulk; lane++ {
				o := a.askReady(2, lane, raftpb.RaftPeerAppend, appendOf(3, "abc", "", "de"))
				if o.err != nil || o.append.Matched != 5 || o.append.Group != 3 || o.append.Term != 7 {
					t.Fatalf("%v: got %+v", lane, o)
				}
				if got := <-lanes; got != lane {
					t.Errorf("arrived on lane %v, sent on %v", got, lane)
				}
			}
			o := a.ask(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{Group: 1, Term: 9})
			if o.err != nil || !o.vote.Granted || o.vote.Term != 9 {
				t.Fatalf("vote: got %+v", o)
			}
		})
	}
}

// The request may be changed as soon as Call has returned, the answer after Reply.
func nothingIsKept(t *testing.T, w World) {
	a, _ := pair(t, w, func(c *transport.Call) {
		req := c.Request.(*raftpb.AppendRequest)
		resp := &raftpb.AppendResponse{Matched: bodyBytes(req), PrevIndex: raftpb.Index(req.Entries[0].Body[0])}
		c.Reply(resp)
		*resp = raftpb.AppendResponse{Matched: -1}
	}, nil)
	ended := make(chan outcome, 100)
	req := appendOf(1, "x")
	for i := range 100 {
		req.Entries[0].Body[0] = byte(i)
		err := a.Call(2, transport.LaneAppend, raftpb.RaftPeerAppend, req, func(resp codec.Message, err error) { ended <- record(resp, err) })
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[raftpb.Index]bool{}
	for range 100 {
		o := receive(t, ended)
		if o.err != nil || o.append.Matched != 1 {
			t.Fatalf("got %+v", o)
		}
		seen[o.append.PrevIndex] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different requests arrived, want 100", len(seen))
	}
}

// Bodies of inbound entries stay what they were, however many calls follow.
func bodiesMayBeKept(t *testing.T, w World) {
	var mu sync.Mutex
	var kept [][]byte
	a, _ := pair(t, w, func(c *transport.Call) {
		mu.Lock()
		kept = append(kept, c.Request.(*raftpb.AppendRequest).Entries[0].Body)
		mu.Unlock()
		echo(c)
	}, nil)
	for i := range 200 {
		body := fmt.Sprintf("%d:%s", i, bytes.Repeat([]byte{byte('a' + i%26)}, i*50))
		if o := a.ask(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendOf(1, body)); o.err != nil {
			t.Fatal(o.err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for i, b := range kept {
		want := fmt.Sprintf("%d:%s", i, bytes.Repeat([]byte{byte('a' + i%26)}, i*50))
		if string(b) != want {
			t.Fatalf("body %d changed after its call", i)
		}
	}
}

// A call that is answered late does not hold back the ones after it.
func answersInAnyOrder(t *testing.T, w World) {
	held := make(chan *transport.Call, 1)
	a, _ := pair(t, w, func(c *transport.Call) {
		if c.Request.(*raftpb.VoteRequest).Group == 1 {
			held <- c
			return
		}
		echo(c)
	}, nil)
	first := make(chan outcome, 2)
	err := a.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{Group: 1}, func(resp codec.Message, err error) { first <- record(resp, err) })
	if err != nil {
		t.Fatal(err)
	}
	for g := raftpb.GroupID(2); g < 10; g++ {
		if o := a.ask(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{Group: g}); o.err != nil || o.vote.Group != g {
			t.Fatalf("got %+v", o)
		}
	}
	if len(first) != 0 {
		t.Fatal("the held call ended early")
	}
	echo(receive(t, held))
	if o := receive(t, first); o.err != nil || o.vote.Group != 1 {
		t.Fatalf("got %+v", o)
	}
}

// Declared exceptions arrive as such; others as a RemoteError with their text. A call
// that failed leaves the connection as it was.
func exceptions(t *testing.T, w World) {
	a, _ := pair(t, w, func(c *transport.Call) {
		switch c.Request.(*raftpb.VoteRequest).Group {
		case 1:
			c.Fail(&raftpb.NoSuchGroup{Group: 1})
		case 2:
			c.Fail(errors.New("disk on fire"))
		case 3:
			c.Fail(&transport.RemoteError{Type: transport.RemoteBusy, Message: "later"})
		case 4:
			c.Fail(&raftpb.NotLeader{Group: 4}) // Vote does not declare it
		}
	}, nil)
	vote := func(g raftpb.GroupID) error {
		return a.ask(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{Group: g}).err
	}
	var none *raftpb.NoSuchGroup
	if err := vote(1); !errors.As(err, &none) || none.Group != 1 {
		t.Errorf("declared exception: got %v", err)
	}
	for group, want := range map[raftpb.GroupID]transport.RemoteError{
		2: {Type: transport.RemoteInternal, Message: "disk on fire"},
		3: {Type: transport.RemoteBusy, Message: "later"},
		4: {Type: transport.RemoteInternal, Message: (&raftpb.NotLeader{Group: 4}).Error()},
	} {
		var got *transport.RemoteError
		if err := vote(group); !errors.As(err, &got) || *got != want {
			t.Errorf("group %d: got %v, want %v", group, err, &want)
		}
	}
}

// A oneway call ends when it was written.
func oneway(t *testing.T, w World) {
	came := make(chan bool, 1)
	a, _ := pair(t, w, func(c *transport.Call) {
		came <- c.Oneway()
		c.Reply(nil) // does nothing
	}, nil)
	if o := a.ask(2, transport.LaneControl, raftpb.RaftPeerGoodbye, &raftpb.GoodbyeRequest{Reason: "test"}); o.err != nil {
		t.Fatal(o.err)
	}
	if !receive(t, came) {
		t.Error("the call does not know that it is oneway")
	}
}

// A message that no frame holds is refused before anything is sent.
func tooLarge(t *testing.T, w World) {
	a, b := pair(t, w, nil, func(cfg *transport.Config) { cfg.MaxFrame = 64 << 10 })
	o := a.ask(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendOf(1, string(make([]byte, 64<<10))))
	if o.err != transport.ErrTooLarge {
		t.Errorf("got %v, want ErrTooLarge", o.err)
	}
	if o := a.ask(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendOf(1, string(make([]byte, 63<<10)))); o.err != nil {
		t.Errorf("the next call: %v", o.err)
	}
	if n := b.Metrics().CallsIn; n != 1 {
		t.Errorf("%d calls arrived, want 1", n)
	}
}

// The window of unanswered calls is bounded, and opens again as answers come.
func windowFull(t *testing.T, w World) {
	const window = 8
	held := make(chan *transport.Call, window)
	a, _ := pair(t, w, func(c *transport.Call) { held <- c }, func(cfg *transport.Config) { cfg.MaxInflight = window })
	ended := make(chan outcome, 2*window)
	call := func() error {
		return a.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, func(resp codec.Message, err error) { ended <- record(resp, err) })
	}
	for range window {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if err := call(); err != transport.ErrQueueFull {
		t.Fatalf("call over the window: got %v, want ErrQueueFull", err)
	}
	for range window {
		echo(receive(t, held))
		if o := receive(t, ended); o.err != nil {
			t.Fatal(o.err)
		}
	}
	if err := call(); err != nil {
		t.Fatalf("call after the answers: %v", err)
	}
	echo(receive(t, held))
	receive(t, ended)
}

// Many callers in both directions: every call ends exactly once, with its own answer.
func manyCallers(t *testing.T, w World) {
	a, b := pair(t, w, nil, nil)
	b.SetPeer(1, a.Addr())
	b.await(1, true)
	const callers, calls = 8, 200
	var ends atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		from, to := a, raftpb.NodeID(2)
		if i%2 == 1 {
			from, to = b, 1
		}
		wg.Go(func() {
			for k := range calls {
				group := raftpb.GroupID(i*calls + k + 1)
				ended := make(chan outcome, 2)
				err := from.Call(to, transport.LaneAppend, raftpb.RaftPeerAppend, appendOf(group, "0123456789"), func(resp codec.Message, err error) {
					ends.Add(1)
					ended <- record(resp, err)
				})
				if err != nil {
					t.Error(err)
					return
				}
				if o := <-ended; o.err != nil || o.append.Group != group {
					t.Errorf("got %+v, want group %d", o, group)
				}
			}
		})
	}
	wg.Wait()
	if n := ends.Load(); n != callers*calls {
		t.Errorf("%d ends of %d calls", n, callers*calls)
	}
	for _, n := range []*node{a, b} {
		if m := n.Metrics(); m.CallsOut != callers*calls/2 || m.CallsIn != callers*calls/2 || m.CallsNow != 0 || m.DoubleReplies != 0 {
			t.Errorf("metrics: %+v", m)
		}
	}
}

// The codec changes while calls are under way; no call fails and no connection ends.
func codecChange(t *testing.T, w World) {
	a, _ := pair(t, w, nil, nil)
	setter, ok := a.Network.(interface{ SetCodec(codec.Codec) })
	if !ok {
		t.Fatal("the network has no SetCodec")
	}
	for i := range 60 {
		setter.SetCodec(codecs()[i%3])
		if o := a.ask(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendOf(1, "abc")); o.err != nil || o.append.Matched != 3 {
			t.Fatalf("got %+v", o)
		}
	}
	if n := a.Metrics().Dials; n != 1 {
		t.Errorf("%d dials, want 1", n)
	}
}
