package cluster

import (
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// spokenError is an exception of raft.thrift in words.
type spokenError struct {
	text  string
	cause error
}

func (e *spokenError) Error() string { return e.text }

func (e *spokenError) Unwrap() error { return e.cause }

// spoken gives an exception words that an operator can read. Other errors have theirs.
func spoken(err error) error {
	var notLeader *raftpb.NotLeader
	var noGroup *raftpb.NoSuchGroup
	var unavailable *raftpb.Unavailable
	var rejected *raftpb.Rejected
	var text string
	switch {
	case errors.As(err, &notLeader):
		text = "it does not lead, and knows nobody who does"
		if notLeader.Leader.Set {
			text = fmt.Sprintf("it does not lead: node %d does", notLeader.Leader.Value)
		}
	case errors.As(err, &noGroup):
		text = fmt.Sprintf("it has no group %d", noGroup.Group)
	case errors.As(err, &unavailable):
		text = "unavailable: " + unavailable.Reason
		if unavailable.Applied.Set {
			text = fmt.Sprintf("applied at index %d, but the result is lost: %s", unavailable.Applied.Value, unavailable.Reason)
		}
	case errors.As(err, &rejected):
		text = "refused: " + rejected.Reason
	default:
		return err
	}
	return &spokenError{text, err}
}
