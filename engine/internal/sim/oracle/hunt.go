package oracle

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Mode is how a read is made linearizable.
type Mode uint8

// The modes.
const (
	LeaderRead   Mode = iota // by a read index, at the leader
	FollowerRead             // by a read index, at a follower
	LeaseRead                // by the leader's lease
	modes
)

// String names the mode.
func (m Mode) String() string {
	switch m {
	case LeaderRead:
		return "leader read"
	case FollowerRead:
		return "follower read"
	case LeaseRead:
		return "lease read"
	default:
		return fmt.Sprintf("mode %d", uint8(m))
	}
}

// Hunt looks for stale reads in one group: a read must not be served at an index
// below that of a command that some client knew to be applied before the read began.
// It also counts what the hunt went through, for a hunt in calm weather finds
// nothing. One goroutine at a time may use it; the zero value is ready.
type Hunt struct {
	Lease time.Duration // pauses up to this length do not count

	acked   raftpb.Index
	changes int // of the leader
	pauses  int // longer than the lease
	counts  [modes]Count
	counted [modes]struct{ changes, pauses int } // up to which they are in counts
}

// Count is what the reads of one mode went through. A change or pause counts once,
// if at least one read was under way.
type Count struct {
	Reads, Stale, Changes, Pauses int
}

// Read is a read under way.
type Read struct {
	mode            Mode
	floor           raftpb.Index
	changes, pauses int
}

// Acked takes note that a client was told that its command at index i is applied.
func (h *Hunt) Acked(i raftpb.Index) { h.acked = max(h.acked, i) }

// LeaderChanged takes note of an election won.
func (h *Hunt) LeaderChanged() { h.changes++ }

// Paused takes note that a node stood still for d.
func (h *Hunt) Paused(d time.Duration) {
	if d > h.Lease {
		h.pauses++
	}
}

// Begin takes note that a client asks for a read.
func (h *Hunt) Begin(m Mode) Read { return Read{m, h.acked, h.changes, h.pauses} }

// End takes note that the read was served at index i. It returns a *Violation if it
// was stale.
func (h *Hunt) End(r Read, i raftpb.Index) error {
	c, counted := &h.counts[r.mode], &h.counted[r.mode]
	c.Reads++
	c.Changes += h.changes - max(r.changes, counted.changes)
	c.Pauses += h.pauses - max(r.pauses, counted.pauses)
	counted.changes, counted.pauses = h.changes, h.pauses
	if i >= r.floor {
		return nil
	}
	c.Stale++
	return &Violation{
		Check: "stale", Op: -1, Other: -1,
		Sentence: fmt.Sprintf("a %v was served at index %d; a client knew of %d before it began", r.mode, i, r.floor),
	}
}

// Count returns what the reads of mode m went through.
func (h *Hunt) Count(m Mode) Count { return h.counts[m] }

// Enough says what each mode still lacks of so many reads, changes of the leader and
// pauses during reads, nil if nothing.
func (h *Hunt) Enough(reads, changes, pauses int) error {
	var lacks []error
	for m := range modes {
		if c := h.counts[m]; c.Reads < reads || c.Changes < changes || c.Pauses < pauses {
			lacks = append(lacks, fmt.Errorf("oracle: hunt: %v: %d of %d reads, during %d of %d changes of the leader and %d of %d pauses",
				m, c.Reads, reads, c.Changes, changes, c.Pauses, pauses))
		}
	}
	return errors.Join(lacks...)
}
