package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// callMember makes one call of the client service to another member, and waits for its
// end. take copies what is wanted of the answer; bytes need no copy.
func callMember[T any](ctx context.Context, h *Host, to NodeID, m *codec.Method, req codec.Message, take func(codec.Message) T) (T, error) {
	type end struct {
		got T
		err error
	}
	ended := make(chan end, 1)
	err := h.network.Call(to, transport.LaneAppend, m, req, func(resp codec.Message, err error) {
		if err != nil {
			ended <- end{err: callError(err)}
			return
		}
		ended <- end{got: take(resp)}
	})
	var none T
	if err != nil {
		return none, callError(err)
	}
	select {
	case e := <-ended:
		return e.got, e.err
	case <-ctx.Done():
		return none, &indeterminate{ctx.Err()}
	}
}

// errElsewhere marks the end of a call to another member that had no effect and may be
// tried again.
var errElsewhere = errors.New("engine: member not reached")

// callError turns the end of a call to another member into an error of this package.
func callError(err error) error {
	var notLeader *raftpb.NotLeader
	var unavailable *raftpb.Unavailable
	var rejected *raftpb.Rejected
	var noGroup *raftpb.NoSuchGroup
	var remote *transport.RemoteError
	switch {
	case errors.As(err, &notLeader):
		return &NotLeaderError{Group: notLeader.Group, Leader: notLeader.Leader.Value, Addr: notLeader.LeaderAddress.Value}
	case errors.As(err, &unavailable) && unavailable.Applied.Set:
		return &AppliedError{Index: unavailable.Applied.Value, Cause: errors.New(unavailable.Reason)}
	case errors.As(err, &unavailable) && unavailable.MaybeApplied:
		return &indeterminate{fmt.Errorf("%w: %s", errElsewhere, unavailable.Reason)}
	case errors.As(err, &rejected):
		return rejectedError(rejected)
	case errors.Is(err, transport.ErrQueueFull), errors.As(err, &remote) && remote.Type == transport.RemoteBusy:
		return ErrBusy
	case errors.Is(err, transport.ErrTooLarge):
		return ErrTooLarge
	case errors.Is(err, transport.ErrClosed):
		return ErrClosed
	case errors.As(err, &noGroup), errors.As(err, &unavailable), errors.Is(err, transport.ErrUnreachable):
		return fmt.Errorf("%w: %w", errElsewhere, err)
	}
	return &indeterminate{fmt.Errorf("%w: %w", errElsewhere, err)}
}

// rejectedError turns a refusal by another member into the error that it stands for.
func rejectedError(r *raftpb.Rejected) error {
	switch r.Code {
	case raftpb.RejectCodeBusy:
		return ErrBusy
	case raftpb.RejectCodeTooLarge:
		return ErrTooLarge
	case raftpb.RejectCodeSessionExpired:
		return ErrSessionExpired
	case raftpb.RejectCodeSerialOutOfWindow:
		return &SerialError{First: r.ExpectedSerial.Value}
	}
	return fmt.Errorf("engine: refused: %w", r)
}
