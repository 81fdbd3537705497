// Package runtime drives the cores of engine/internal/raft: it gives them time,
// messages, a log and a network, and carries out their effects.
//
//	clients --propose--> inbox --> worker --> core.Step --> effects
//	network --message-->   ^         |                       |  |  |
//	                       |         |   one batch for all   |  |  +--> applier --> state machines
//	        durable -------+<-- wal <+-- groups of a drain <-+  |            |
//	        applied -------+                                    +--> network |
//	                       +<-----------------------------------------------+
//
// Four kinds of goroutines, no shared lock between them: a worker owns the cores
// of its groups, the log's writer owns the disk, an applier owns the state
// machines of its worker's groups, the transport owns the sockets. Values cross
// through queues that are bounded in bytes.
//
// The worker without its goroutine is the function Worker.step: the simulator
// calls it from one thread.
package runtime

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// GroupID names a Raft group.
type GroupID = raftpb.GroupID

// LogStore is what the runtime needs of the log. *wal.Log implements it.
type LogStore interface {
	// Submit hands b over: readers see it at once, done runs when it is durable,
	// in order of submission. b may be reused when Submit returns.
	Submit(b *wal.Batch, done func(error))
	Group(id GroupID) *wal.Group
}

// Machine is a state machine as the runtime sees it: it gets entries of all
// kinds, in order, each exactly once per life of the process.
type Machine interface {
	// Apply applies entries; done[i], where it is not nil, waits for the result of
	// entries[i]. What it returns stops the group, but for a RetryError. Bodies are valid until Apply
	// returns; they alias the log's memory and must not be written.
	Apply(entries []raft.Entry, first raft.Index, done []Completion) error
	// Complete completes what waited for the entries just applied.
	Complete()
}

// ChainMachine is a Machine that wants to know the hash over the entries before those that
// it is given.
type ChainMachine interface {
	Machine
	// Before is called before each Apply: see Chain.
	Before(chain uint64)
}

// Clock tells the time.
type Clock interface {
	// Now returns nanoseconds on a monotonic clock.
	Now() raft.Time
}

// Reason says why a proposal or a read was not served.
type Reason uint8

// The reasons of a Rejection.
const (
	NotLeader      Reason = iota + 1 // this node does not lead; nothing was appended
	LeadershipLost                   // leadership was lost after it was appended, which MayHappen says, or while a read waited
	Busy                             // a queue is full; nothing was appended
	Stopped                          // the group or host stopped
	Failed                           // the group died of Err
	Damaged                          // an entry that must be applied first is lost: Err, a LostEntryError
)

// Full says which limit makes a group busy.
type Full uint8

// The limits.
const (
	FullInbox     Full = iota + 1 // what waits for the worker
	FullBacklog                   // what is not committed, or not durable on the leader
	FullUnapplied                 // what was proposed and is not applied
	FullReads                     // the reads that wait
	FullDisk                      // the disk; nothing is taken until there is room
	HandingOver                   // no limit: the leader hands over, and takes nothing meanwhile
)

// String returns the limit's name in errors and logs.
func (f Full) String() string {
	switch f {
	case FullInbox:
		return "inbox full"
	case FullBacklog:
		return "too much is not committed"
	case FullUnapplied:
		return "too much is not applied"
	case FullReads:
		return "too many reads wait"
	case FullDisk:
		return "disk is full"
	case HandingOver:
		return "leadership is being handed over"
	}
	return "full"
}

// Rejection is the end of a proposal or read without a result.
type Rejection struct {
	Reason     Reason
	Leader     raft.NodeID // whom to ask instead; 0: unknown
	MayHappen  bool        // the command may have been or may still be applied
	Err        error       // the cause, for Failed and Damaged
	Full       Full        // what, for Busy
	appendedAt raft.Index
}

func (r Rejection) String() string {
	return fmt.Sprintf("reason %d, leader %d, may happen %t, cause %v, appended at %d",
		r.Reason, r.Leader, r.MayHappen, r.Err, r.appendedAt)
}
