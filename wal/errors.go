package wal

import (
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Decisions a caller can take apart with errors.Is.
var (
	// ErrClosed is the answer of a log after Close: nothing was done.
	ErrClosed = errors.New("wal: closed")
	// ErrCompacted means that the position lies before the first one that is kept.
	ErrCompacted = errors.New("wal: read: compacted")
	// ErrUnavailable means that the position lies behind the last one.
	ErrUnavailable = errors.New("wal: read: beyond the last entry")
	// ErrFatal is matched by every answer after a write or a sync failed. What was
	// not acknowledged before may or may not be on disk; only a new Open can tell.
	ErrFatal = errors.New("wal: failed")
	// ErrTooLarge means that a batch exceeds Options.MaxQueuedBytes: nothing was done.
	ErrTooLarge = errors.New("wal: batch too large")
	// ErrNoSpace means that the disk is full and the batch had entries or a snapshot:
	// nothing was done. What is left is kept for terms, votes and compactions. It can
	// be tried again when something was compacted or space was made.
	ErrNoSpace = errors.New("wal: no space left for entries")
	// ErrLocked means that another Log, maybe of another process, has the directory open.
	ErrLocked = errors.New("wal: directory is locked")
	// ErrBadBatch is matched by answers to batches that break a rule of Batch: nothing was done.
	ErrBadBatch = errors.New("wal: bad batch")
)

// IdentityError says that a directory belongs to another cluster, node or life
// of a node than the one that opens it. Nothing was touched.
type IdentityError struct {
	Dir  string
	Want Identity
	Have Identity
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("wal: open %s: directory belongs to %v, not to %v", e.Dir, e.Have, e.Want)
}

// CorruptError says that bytes which were promised durable do not read back as
// they were written. It is never the answer to a torn write that nobody was told of.
type CorruptError struct {
	Segment uint64         // sequence number of the damaged file; 0: none in particular
	Offset  int64          // where in it, in bytes
	Group   raftpb.GroupID // with Lo < Hi: the entries [Lo, Hi) of Group cannot be read
	Lo, Hi  raftpb.Index
	Reason  string

	// Of a single entry whose record is whole and whose body is damaged: what the record
	// says of the entry. Kind is 0 when no record can say.
	Kind   raftpb.EntryKind
	Crc32c int64 // of the kind and the body as they were

	end uint64 // the LSN behind what is damaged; 0: not known
}

func (e *CorruptError) Error() string {
	s := "wal: corrupt: " + e.Reason
	if e.Segment != 0 {
		s += fmt.Sprintf(" (segment %d, offset %d)", e.Segment, e.Offset)
	}
	if e.Lo < e.Hi {
		s += fmt.Sprintf(" (group %d, entries [%d, %d))", e.Group, e.Lo, e.Hi)
	}
	return s
}

// fatalError wraps the first failure; it matches ErrFatal and its cause.
type fatalError struct{ cause error }

func (e *fatalError) Error() string        { return "wal: failed: " + e.cause.Error() }
func (e *fatalError) Unwrap() error        { return e.cause }
func (e *fatalError) Is(target error) bool { return target == ErrFatal }

func badBatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadBatch, fmt.Sprintf(format, args...))
}
