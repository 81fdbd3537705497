package model

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Kind says what a Step is; the fields that count stand behind it. Node, the one
// who acts, always counts.
type Kind uint8

// The steps.
const (
	ObserveTerm     Kind = iota + 1 // Term: learnt from a message, higher than its own
	BecomeCandidate                 // Term
	Grant                           // Peer asked with last entry Index, LastTerm in Term and gets the vote
	BecomeLeader                    // Term, Votes: those it counted
	StepDown                        // a leader or candidate becomes follower within its term
	Append                          // Index of the first, Entries: a leader extends its log
	Accept                          // Peer's entries of Term behind Index, LastTerm; Last: the log's end afterwards
	InstallSnapshot                 // Peer's snapshot of Term up to Index, LastTerm; Last as above
	AdvanceCommit                   // Index
	Durable                         // the disk holds Term, Vote and the log that ends at Index, LastTerm
	Crash                           // memory is gone
	Restart                         // with what the disk gave: fields of Durable, Commit, Uncertain
	Repaired                        // an uncertain node has all it ever promised again
	Transfer                        // a leader begins to hand over to Peer
	TimeoutNow                      // and tells Peer to start
	AbortTransfer                   // or gives up
)

// Step is one abstract step. The model keeps nothing of it.
type Step struct {
	Kind                Kind
	Node, Peer, Vote    raftpb.NodeID
	Term, LastTerm      raftpb.Term
	Index, Last, Commit raftpb.Index
	Uncertain, Finished bool // the disk lost, or may have lost, what it held; a snapshot that had arrived became the log
	Votes               []raftpb.NodeID
	Entries             []Entry
}

// Entry is one slot of a log. Hash stands for the body. Config is set in
// configuration entries only.
type Entry struct {
	Term   raftpb.Term
	Kind   raftpb.EntryKind
	Hash   uint64
	Config *Config
}

// Config is a configuration: joint while Outgoing is not empty (4.3). Witnesses
// are voters here.
type Config struct{ Voters, Outgoing, Learners []raftpb.NodeID }

// Rejection is the error of Check: the step, where it stood in the trace (from 0),
// the section of the dissertation and a sentence.
type Rejection struct {
	Seq      int
	Step     Step
	Rule     string
	Sentence string
}

// Error gives all of it but the step's fields.
func (r *Rejection) Error() string {
	return fmt.Sprintf("model: check: step %d of node %d: %s (%s)", r.Seq, r.Step.Node, r.Sentence, r.Rule)
}

// MaxNodes is how many nodes a group may have over a trace. Memory grows by about
// 100 bytes for each distinct entry.
const MaxNodes = 64

func reject(rule, format string, args ...any) *Rejection {
	return &Rejection{Rule: rule, Sentence: fmt.Sprintf(format, args...)}
}
