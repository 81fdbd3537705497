// Package snapshot keeps the snapshots of Raft groups on disk: it writes, checks,
// reads, receives and removes them. It decides nothing about Raft.
//
//	<dir>/%016x/                       a group, by its id
//	    %016x-%016x.snap               an image: index and term
//	    %016x-%016x-<id>.part          a prefix of an image that is being received
//	    *.tmp                          an image that is being written
//
// An image is one file in the format of docs/spec/snapshot.md. It stands under its
// final name only when all of it is on disk: written under another name, synced,
// renamed, the folder synced. Every byte of it is covered by a checksum. It holds no
// time, no node and nothing random, so that two members that snapshot the same state
// at the same index write the same bytes; the hash over them is the image's identity,
// and a transfer goes on at its offset wherever the same identity is offered.
//
// Nothing here starts a goroutine. The methods of a Store and its groups are safe for
// concurrent use; those of a Writer, Reader or Partial belong to one goroutine at a time.
package snapshot

import (
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Meta describes an image: what it is of, how long it is and its identity.
type Meta = raftpb.SnapshotMeta

// ErrNoImage says that a group has no such image.
var ErrNoImage = errors.New("snapshot: no such image")

// ErrExists says that a group has an image of that index and term already. Nothing
// was written, and nothing needs to be.
var ErrExists = errors.New("snapshot: image exists")

// ErrMeta says that a description cannot be that of an image.
var ErrMeta = errors.New("snapshot: impossible description")

// DamageError says that the bytes of an image are not those that were written.
type DamageError struct {
	Path   string
	Offset int64 // of the piece that is damaged
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("snapshot: %s: damaged at %d: %s", e.Path, e.Offset, e.Reason)
}

// WriteError says that a piece of an image could not be written: the disk is full, or
// fails. What was written before it is whole.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return "snapshot: receive: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// OffsetError says that a piece of an image does not continue what is there.
type OffsetError struct {
	Have int64 // the offset wanted next
	Got  int64
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("snapshot: receive: piece at %d, want %d", e.Got, e.Have)
}
