package raft

import (
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// The core speaks the vocabulary of raft.thrift.
type (
	NodeID        = raftpb.NodeID
	Term          = raftpb.Term
	Index         = raftpb.Index
	Entry         = raftpb.Entry
	Configuration = raftpb.Configuration
	Member        = raftpb.Member
)

// Time is a point on the driver's monotonic clock, in nanoseconds. Only
// differences mean something. Never means that no timer is wanted.
type Time int64

// Never is the NextTimer of a node that waits for messages only.
const Never Time = 1<<63 - 1

// Span is the half-open range [Lo, Hi) of log positions. Lo == Hi is empty.
type Span struct{ Lo, Hi Index }

// Empty reports whether the span holds nothing.
func (s Span) Empty() bool { return s.Lo >= s.Hi }

// HardState is what a node must never forget. Term and Vote are one record:
// there is no moment at which one is durable without the other. A commit that
// moved alone never forces a sync.
type HardState struct {
	Term   Term
	Vote   NodeID
	Commit Index
}

// Log is what the core reads of the store: entries that were handed over in
// Effects.Append earlier and that the node no longer keeps in memory. The node
// itself keeps a tail: all that is not yet persisted, and within limits (Config)
// what is not applied and what followers may want soon. What was handed over must be readable; an error is a failure of the
// store and fails the node, but for a DamagedError of Entries.
type Log interface {
	// FirstIndex is the lowest position that can be read; 1 in a fresh log.
	FirstIndex() Index
	// LastIndex is the highest; FirstIndex()-1 when the log is empty.
	LastIndex() Index
	// Term returns the term of position i for FirstIndex()-1 <= i <= LastIndex().
	Term(i Index) (Term, error)
	// Entries appends the entries of [lo, hi) to dst until their bodies would pass
	// maxBytes, but at least one.
	Entries(dst []Entry, lo, hi Index, maxBytes int) ([]Entry, error)
}

// EventKind says what happened.
type EventKind uint8

// The inputs of a node.
const (
	EventTimer          EventKind = iota + 1 // Now has reached the NextTimer asked for (earlier is harmless)
	EventMessage                             // Message arrived
	EventPropose                             // a client proposes Proposals (Kind, Body and Crc32c set)
	EventRead                                // a client wants to read; ReadID names the request
	EventPersisted                           // the write {WriteID, Epoch} is durable, and all before it
	EventApplied                             // the state machine has applied everything up to Applied
	EventUnreachable                         // what was sent to Peer since its last answer may be lost
	EventCampaign                            // start an election now (tests, operators)
	EventChange                              // an operator wants Change; RequestID names the request
	EventTransfer                            // Peer shall lead instead (0: whoever is best); RequestID names the request
	EventSnapshotTaken                       // a snapshot of this node's own state machine, Snapshot, is durable; the log before Keep may go
	EventSnapshotFailed                      // the stream that Effects.Snapshots asked for, to Peer, ended without an INSTALLED
	EventWake                                // Peer was started anew, or somebody wants this node awake: a sleeping group wakes
	EventDiskStalled                         // the node's writes hang for longer than the driver's bound
	EventDiskOK                              // they complete again
	EventReadable                            // entries that Effects.Damaged named can be read again
	EventTune                                // the driver has measured anew: Election, Sync
	EventStateLost                           // what follows Applied cannot be applied: only a snapshot of more helps
)

// Event is one input. Which fields count depends on Kind. The node keeps nothing
// of it but entry bodies: Message.Entries and Proposals are copied. It sets Term in
// Proposals.
type Event struct {
	Kind      EventKind
	Now       Time // always set, never falls
	Message   *Message
	Proposals []Entry
	ReadID    uint64
	WriteID   uint64
	Epoch     uint64
	Applied   Index
	Peer      NodeID
	Change    *ChangeRequest // read only during the Step
	RequestID uint64         // of EventChange and EventTransfer: comes back in the answer
	Snapshot  *Snapshot
	Keep      Index
	Election  Time // the time-out that fits; the node moves it into its bounds
	Sync      Time // how long the node's own writes take until they are durable
}

// MessageKind names the RPC and its direction.
type MessageKind uint8

// The messages between nodes: each answer follows its request in the list.
const (
	MessageVote MessageKind = iota + 1 // VoteRequest; PreVote tells the two kinds apart
	MessageVoteAnswer
	MessageAppend // AppendRequest
	MessageAppendAnswer
	MessageBeat // one Beat of a HeartbeatRequest
	MessageBeatAck
	MessageReadIndex // a follower asks the leader for a read index
	MessageReadIndexAnswer
	MessageTimeoutNow       // the leader hands over: campaign at once
	MessageTimeoutNowAnswer // Granted: the receiver campaigns, in Term
	MessageSnapshot         // what a leader's snapshot stream says of itself: see Message.Done
	MessageSnapshotAnswer
)

// messageKinds is one more than the last of them.
const messageKinds = MessageSnapshotAnswer + 1

// Message is a request or an answer. Its fields carry the names of raft.thrift;
// those that do not belong to Kind are zero. It is a value: no allocation but
// that of Entries.
//
// Every request is answered exactly once, with the request's Call in the
// answer, at once or gated by a write.
type Message struct {
	Kind     MessageKind
	From, To NodeID
	Call     uint64 // opaque to the core: ties an answer to its request at the answering side
	Term     Term

	// Vote and its answer.
	LastIndex Index
	LastTerm  Term
	PreVote   bool
	Transfer  bool
	Granted   bool
	Reason    raftpb.RejectReason
	AskedTerm Term

	// Append, its answer, Beat and BeatAck.
	PrevIndex     Index
	PrevTerm      Term
	Commit        Index
	Entries       []Entry
	Round         int64
	Status        raftpb.AppendStatus
	Matched       Index
	ConflictTerm  Term  // the term of ConflictIndex
	ConflictIndex Index // with a refusal: the highest position that can match, by its term; 0: none
	LogLast       Index // the follower's last index, with a refusal

	// ReadIndex and its answer.
	Context   int64
	ReadIndex Index // 0 in an answer: refused, this node does not lead
	Busy      bool  // in a refusal: this node leads, and too many reads wait

	// Beat and its acknowledgement.
	Quiesce bool // the leader has nothing to do: sleep, if you have neither
	Wake    bool // in the acknowledgement: this node does not sleep

	// Snapshot and its answer. The driver gives the core one MessageSnapshot, From the
	// leader, when a stream begins and whenever it likes while it goes on: they are a
	// sign of life, and the answer tells whether the stream is still wanted. The last
	// one has Done: the image is complete, verified and durable here, and if the core
	// answers by Effects.Install it becomes this node's state. The leader's driver gives
	// its core each answer that the follower's sends it.
	//
	//	OK         go on; Matched is 0
	//	INSTALLED  over: the follower matches up to Matched (0: it does not say how far, see Config.DoubtFrom)
	//	REJECTED   over: Term is newer, or the snapshot cannot be
	Snapshot       *Snapshot // of a request: index and term always, the rest with Done
	Done           bool
	SnapshotStatus raftpb.SnapshotStatus
}

// Snapshot says what a snapshot holds: the state after the entry at Index, whose
// term is Term, and the configuration in force there, of the entry
// ConfigurationIndex. It is a description; the image is the driver's. The core does
// not change it, and keeps its Configuration.
//
// An image of this node's own may be durable before the last entries that it covers.
// A restart that finds it ahead of the log begins the log anew behind it, before New.
type Snapshot struct {
	Index              Index
	Term               Term
	Configuration      Configuration
	ConfigurationIndex Index // <= Index; 0: the initial configuration
}

// SnapshotAsk is a leader's wish about the snapshot stream to Peer. Ask again means
// nothing new: a stream that runs goes on, one that broke off resumes.
type SnapshotAsk struct {
	Peer  NodeID
	Stop  bool  // Peer needs none any more, or this node leads no more
	Term  Term  // of the leader: what its stream says
	Index Index // the least that is of use: a snapshot up to here or further, of what is applied
	// Witness: Peer keeps no state. The stream's meta is all it needs; its data is empty.
	Witness bool
}

// Gated is a message that promises something about the write WriteID: it leaves
// when that write is durable, never before.
type Gated struct {
	WriteID uint64
	Message Message
}

// ReadGrant tells that the read ReadID is linearizable once everything up to
// Index is applied; or, with Refused, that this node cannot serve it.
type ReadGrant struct {
	ReadID  uint64
	Index   Index
	Refused bool
	Why     Refusal // with Refused
	Round   int64   // that confirmed it, on a leader; reads with the same one share it
}

// FactKind names something that happened, for logs, metrics, scripts and traces.
type FactKind uint8

// Fact is something that happened, as data. It decides nothing.
type Fact struct {
	Kind   FactKind
	Term   Term
	Index  Index
	Peer   NodeID
	Role   raftpb.Role
	Reason raftpb.RejectReason

	Message MessageKind
	Refusal Refusal
}

// Effects is what the driver must do after a Step, in the order of the fields.
// The driver owns it and passes it in; Step appends, Reset empties it. Several
// Steps of one node may share an Effects before it is carried out: their entries
// are then one write.
//
// Append and every Message.Entries lie in the Effects and are good until its Reset:
// the driver must have encoded or copied them before. Messages for different
// followers may share their entries (same first element, same length).
//
// Commit may name entries that are not durable HERE yet; a quorum has them. See
// Config.ApplyDurable.
//
// A Gated message may name this write or an earlier one; if that has completed
// by the time the driver carries the Effects out, the message leaves at once.
//
// The write is done in the order of its fields: Install before TruncateFrom before
// Append. With Install, what the log has up to Install.Index goes; what it has
// behind stays if its entry at Install.Index is of Install.Term, otherwise all goes.
// What was handed out of entries behind Install.Index stays to be applied, after it.
// The state machine is restored from the image after everything committed that was
// handed out earlier is applied, and before anything of later Effects; then
// EventApplied tells Install.Index. A restart that finds Install in the log restores
// the image before New.
//
//	driver                                          disk             network
//	  | WriteID{HardState, TruncateFrom, Append} --> |                  |
//	  | SendNow ---------------------------------------------------->   |
//	  |   ... Persisted{WriteID} <------------------ |                  |
//	  | SendAfter of that WriteID ---------------------------------->   |
type Effects struct {
	WriteID      uint64     // names the write below; 0: nothing to write
	Epoch        uint64     // raised by every truncation; comes back in EventPersisted
	HardState    *HardState // points into the Effects; nil: unchanged
	MustSync     bool       // false: only the commit moved, no sync is owed for it
	Install      *Snapshot  // this node's state is from now on that of the received snapshot; nil: no change
	TruncateFrom Index      // entries from here on are replaced by Append; 0: none
	Append       []Entry    // contiguous, from AppendFrom
	AppendFrom   Index

	SendNow   []Message // safe before the write: a leader's appends, pre-votes, refusals
	SendAfter []Gated   // votes, vote requests, append answers

	Commit    Span             // newly committed: apply these, in order
	Reads     []ReadGrant      // serve once applied
	Accepted  Span             // the positions the last EventPropose got; empty: refused
	Refused   Refusal          // why it was
	Changes   []ChangeAnswer   // what became of EventChange, each answered once
	Transfers []TransferAnswer // what became of EventTransfer, each answered once
	Facts     []Fact
	NextTimer Time

	// CompactTo allows the log before it to be dropped, lazily and without a sync; 0:
	// nothing new. The core does not read it any more. It is never above what
	// EventSnapshotTaken offered, and stays below while a follower installs a snapshot.
	CompactTo Index
	Snapshots []SnapshotAsk // to start or stop streams; in order
	// Repaired says that this node's doubts are over, and everything that makes it so is
	// durable: the driver may clear the store's mark (see Config.DoubtFrom).
	Repaired bool
	// Damaged names entries that this node wanted to read and whose bytes are damaged
	// (DamagedError). The driver fetches them from other members; EventReadable tells.
	Damaged Span
	// LeaseUntil is until when reads may be served without a round, from what is applied
	// at the moment of the read; 0: not at all. It is the state after the step, not a
	// change. The caller compares it with the driver's clock before and after the read.
	LeaseUntil Time

	hardState HardState
	arena     []Entry       // entries of messages that are not in Append
	shared    sharedEntries // the last ones put there
	round     int64         // the round whose beats are in SendNow; 0: none
}

// sharedEntries lets two followers that stand at the same place share entries.
type sharedEntries struct {
	lo, last Index
	maxBytes int
	epoch    uint64
	entries  []Entry
}

// maxKept bounds what Reset keeps of a slice's memory, in elements.
const maxKept = 1 << 14

// Reset empties out and keeps its memory, within bounds. It lets go of every body.
func (out *Effects) Reset() {
	*out = Effects{
		Append:    emptied(out.Append),
		SendNow:   emptied(out.SendNow),
		SendAfter: emptied(out.SendAfter),
		Reads:     emptied(out.Reads),
		Changes:   emptied(out.Changes),
		Transfers: emptied(out.Transfers),
		Snapshots: emptied(out.Snapshots),
		Facts:     emptied(out.Facts),
		arena:     emptied(out.arena),
	}
}

func emptied[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s)
	return s[:0]
}
