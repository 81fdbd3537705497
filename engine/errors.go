package engine

import (
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
)

var (
	// ErrBusy says that a queue is full. Nothing was appended; retry after a pause. A
	// [BusyError] says which.
	ErrBusy = errors.New("engine: busy")
	// ErrClosed says that the group or host is closed. Nothing was appended, unless
	// the error matches ErrIndeterminate too.
	ErrClosed = errors.New("engine: closed")
	// ErrDiskFull says that this member's disk is full. Nothing was appended, and nothing is
	// lost: what was accepted before is carried out, and when there is room again the group
	// goes on by itself. It comes as a [BusyError] and matches ErrBusy too.
	ErrDiskFull = errors.New("engine: disk is full")
	// ErrTooLarge says that a command is over Config.MaxCommandBytes. Do not retry.
	ErrTooLarge = errors.New("engine: command too large")
	// ErrIndeterminate is matched by every error after which the command may or may
	// not take effect. Retry only what is harmless to do twice.
	ErrIndeterminate = errors.New("engine: outcome unknown")
	// ErrSessionExpired says that the session was closed, or that a newer one took its
	// place: the command was not applied by this attempt, and never will be in this
	// session. When it follows an attempt whose outcome is open, the error matches
	// ErrIndeterminate too.
	ErrSessionExpired = errors.New("engine: session expired")
	// ErrExists says that the host runs a group of that id.
	ErrExists = errors.New("engine: group is running")
)

// BusyError is an ErrBusy of this member that names the limit: the inbox of a worker, what
// is not committed, what is not applied, the reads that wait, or a hand-over under way.
type BusyError struct {
	Reason string
}

// Error implements the error interface.
func (e *BusyError) Error() string { return "engine: busy: " + e.Reason }

// Is reports whether target is ErrBusy, or ErrDiskFull and that is the reason.
func (e *BusyError) Is(target error) bool {
	return target == ErrBusy || target == ErrDiskFull && e.Reason == runtime.FullDisk.String()
}

// NotLeaderError says that this member does not lead the group: nothing was
// appended, no error that matches ErrIndeterminate matches it. Retry at Leader; when it is 0, an election is under way.
type NotLeaderError struct {
	Group  GroupID
	Leader NodeID // 0: unknown
	Addr   string // of Leader; "": unknown
}

func (e *NotLeaderError) Error() string {
	if e.Leader == 0 {
		return fmt.Sprintf("engine: group %d: not leader, no leader known", e.Group)
	}
	return fmt.Sprintf("engine: group %d: not leader, node %d at %q leads", e.Group, e.Leader, e.Addr)
}

// LeadershipLostError says that this member stopped leading while a command or a
// read waited. Of a command the outcome is open (the error matches ErrIndeterminate
// too); a read may be asked again, of Leader.
type LeadershipLostError struct {
	Group  GroupID
	Leader NodeID // 0: unknown
	Addr   string // of Leader; "": unknown
}

func (e *LeadershipLostError) Error() string {
	return fmt.Sprintf("engine: group %d: leadership lost, node %d at %q may lead", e.Group, e.Leader, e.Addr)
}

// FailedError says that the group has stopped for good in this process, and why:
// its state machine failed, or its log. Other members may go on.
type FailedError struct {
	Group GroupID
	Cause error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("engine: group %d failed: %v", e.Group, e.Cause)
}

func (e *FailedError) Unwrap() error { return e.Cause }

// SerialError says that a command of a session had a serial outside of the session's
// window: it was not applied by this attempt. A serial below First was applied before, and
// its answer acknowledged; one above Last comes too early.
type SerialError struct {
	Session, Serial int64
	First, Last     int64 // the serials accepted
}

func (e *SerialError) Error() string {
	return fmt.Sprintf("engine: session %d: serial %d is outside of %d to %d", e.Session, e.Serial, e.First, e.Last)
}

// AppliedError says that the command was applied, once, and that its result cannot be
// told: Cause says why. Do not retry.
type AppliedError struct {
	Index Index
	Term  Term
	Cause error
}

func (e *AppliedError) Error() string {
	return fmt.Sprintf("engine: applied at %d, without a result: %v", e.Index, e.Cause)
}

// Unwrap returns the cause.
func (e *AppliedError) Unwrap() error { return e.Cause }

var errResultNotKept = errors.New("the session table did not keep it")

// ApplyError says that the state machine returned an error for the command, which was
// left out: it had no effect (see Skip). Who sends it again in its session gets an
// AppliedError.
type ApplyError struct {
	Index Index
	Term  Term
	Cause error
}

func (e *ApplyError) Error() string {
	return fmt.Sprintf("engine: command %d skipped: %v", e.Index, e.Cause)
}

// Unwrap returns the cause.
func (e *ApplyError) Unwrap() error { return e.Cause }

// indeterminate marks a cause as one that leaves the outcome open.
type indeterminate struct{ cause error }

func (e *indeterminate) Error() string { return ErrIndeterminate.Error() + ": " + e.cause.Error() }

func (e *indeterminate) Unwrap() []error { return []error{ErrIndeterminate, e.cause} }

// rejected turns the runtime's rejection into the error of the public API.
func (g *Group) rejected(r runtime.Rejection) error {
	var err error
	switch r.Reason {
	case runtime.NotLeader:
		err = &NotLeaderError{Group: g.id, Leader: r.Leader, Addr: g.address(r.Leader)}
	case runtime.LeadershipLost:
		err = &LeadershipLostError{Group: g.id, Leader: r.Leader, Addr: g.address(r.Leader)}
	case runtime.Busy:
		err = &BusyError{r.Full.String()}
	case runtime.Damaged:
		err = damagedEntry(r.Err)
	case runtime.Failed:
		err = &FailedError{Group: g.id, Cause: r.Err}
	default:
		err = ErrClosed
	}
	if r.MayHappen {
		return &indeterminate{err}
	}
	return err
}

// refused turns an error of the inbox into the error of the public API.
func refused(err error) error {
	if errors.Is(err, runtime.ErrFull) {
		return &BusyError{runtime.FullInbox.String()}
	}
	return ErrClosed
}
