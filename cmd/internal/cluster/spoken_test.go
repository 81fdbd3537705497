package cluster

import (
	"errors"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Exceptions are said in words, and are still exceptions.
func TestExceptionsInWords(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&raftpb.NotLeader{}, "it does not lead, and knows nobody who does"},
		{&raftpb.NotLeader{Leader: codec.Some(raftpb.NodeID(3))}, "it does not lead: node 3 does"},
		{&raftpb.NoSuchGroup{Group: 7}, "it has no group 7"},
		{&raftpb.Unavailable{Reason: "it rains"}, "unavailable: it rains"},
		{&raftpb.Unavailable{Reason: "it rains", Applied: codec.Some(raftpb.Index(9))}, "applied at index 9, but the result is lost: it rains"},
		{&raftpb.Rejected{Reason: "too large"}, "refused: too large"},
		{errors.New("another"), "another"},
	} {
		if got := spoken(c.err); got.Error() != c.want || !errors.Is(got, c.err) {
			t.Errorf("%v, want %s", got, c.want)
		}
	}
	if spoken(nil) != nil {
		t.Error("an error out of nothing")
	}
}
