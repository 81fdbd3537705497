package transport_test

import (
	"errors"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

type answers struct {
	replies []codec.Message
	errs    []error
}

func (a *answers) Reply(resp codec.Message) { a.replies = append(a.replies, resp) }
func (a *answers) Fail(err error)           { a.errs = append(a.errs, err) }

// A call made by hand is answered once, to whoever made it, and can be made again.
func TestDirectCall(t *testing.T) {
	var c transport.Call
	var got answers
	req, resp := &raftpb.VoteRequest{Term: 3}, &raftpb.VoteResponse{Term: 3}
	c.Direct(raftpb.RaftPeerVote, 2, transport.LaneControl, req, &got)
	if c.Request != codec.Message(req) || c.From != 2 || c.Lane != transport.LaneControl || c.RemoteAddr() != "direct" || c.Oneway() {
		t.Errorf("the call is not the one that was made: %+v", &c)
	}
	c.Reply(resp)
	c.Reply(resp)
	c.Fail(errors.New("too late"))
	if len(got.replies) != 1 || got.replies[0] != codec.Message(resp) || len(got.errs) != 0 {
		t.Fatalf("answers: %+v", got)
	}
	c.Direct(raftpb.RaftPeerVote, 2, transport.LaneControl, req, &got)
	failure := errors.New("no")
	c.Fail(failure)
	if len(got.errs) != 1 || !errors.Is(got.errs[0], failure) {
		t.Errorf("answers: %+v", got)
	}
}
