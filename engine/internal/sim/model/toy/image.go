package toy

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Entry is a slot of a log.
type Entry = model.Entry

// Mark is a position and the term of the entry there.
type Mark struct {
	Index raftpb.Index
	Term  raftpb.Term
}

// Log is a snapshot, of which only its end and configuration matter, and the
// entries behind it. It is a value: nothing changes a log in place.
type Log struct {
	Base    Mark
	Config  *model.Config // in force at Base
	Entries []Entry
}

// Image is what a node must not forget.
type Image struct {
	Term raftpb.Term
	Vote raftpb.NodeID
	Log  Log
}

// Last is the position of the last entry.
func (l Log) Last() raftpb.Index { return l.Base.Index + raftpb.Index(len(l.Entries)) }

// Term is the term of entry i, -1 if the log does not know.
func (l Log) Term(i raftpb.Index) raftpb.Term {
	switch {
	case i == l.Base.Index:
		return l.Base.Term
	case i < l.Base.Index || i > l.Last():
		return -1
	}
	return l.Entries[i-l.Base.Index-1].Term
}

// Span returns the entries [lo, hi).
func (l Log) Span(lo, hi raftpb.Index) []Entry {
	return l.Entries[lo-l.Base.Index-1 : hi-l.Base.Index-1]
}

// Cut drops the entries behind i.
func (l Log) Cut(i raftpb.Index) Log {
	l.Entries = slices.Clip(l.Entries[:i-l.Base.Index])
	return l
}

// With appends entries.
func (l Log) With(e ...Entry) Log {
	l.Entries = append(slices.Clip(l.Entries), e...)
	return l
}

// From replaces everything up to i by a snapshot.
func (l Log) From(i raftpb.Index) Log {
	c, _ := l.Cut(i).Configuration()
	return Log{Base: Mark{i, l.Term(i)}, Config: c, Entries: slices.Clone(l.Entries[i-l.Base.Index:])}
}

// Configuration returns the newest one and where it stands.
func (l Log) Configuration() (*model.Config, raftpb.Index) {
	for i := len(l.Entries) - 1; i >= 0; i-- {
		if c := l.Entries[i].Config; c != nil {
			return c, l.Base.Index + raftpb.Index(i) + 1
		}
	}
	return l.Config, l.Base.Index
}

// quorum reports whether the nodes for which ok holds are a majority, of both
// halves while joint.
func (w *World) quorum(c *model.Config, ok func(raftpb.NodeID) bool) bool {
	half := func(ids []raftpb.NodeID) bool {
		k := 0
		for _, id := range ids {
			if ok(id) {
				k++
			}
		}
		if w.has(QuorumHalf) {
			return k >= (len(ids)+1)/2
		}
		return k > len(ids)/2
	}
	voters := c.Voters
	if w.has(CountLearners) {
		voters = slices.Concat(voters, c.Learners)
	}
	return half(voters) && (len(c.Outgoing) == 0 || w.has(JointNewOnly) || half(c.Outgoing))
}

// Bug is a set of mistakes that a world makes.
type Bug uint64

// The mistakes, with their numbers in the table of mutants where they have one.
const (
	CommitOldTerm        Bug = 1 << iota // M01
	VoteBeforeDurable                    // M02
	ForgetVote                           // M03: the vote is lost by a crash
	KeepVote                             // M05 turned round: a second vote in the same term
	IndexBeforeTerm                      // M06
	CompareCommit                        // M07
	TruncateMatching                     // M09
	KeepConflict                         // M10
	AckLast                              // M11
	CommitUnclamped                      // M12
	AckAnyWrite                          // M14
	CountSelfEarly                       // M16
	CountRefusals                        // M17: match moved too far, by a refusal
	QuorumHalf                           // M18
	JointNewOnly                         // M19
	LeaveEarly                           // M20
	NoJoint                              // M20: skipped
	SecondChange                         // M22
	DropTail                             // M25: a matching tail goes with a snapshot
	KeepTail                             // M25: a conflicting one stays
	CountLearners                        // M34
	AppendDuringTransfer                 // M38
	HandOverEarly                        // M38: to a node that lags
	CountAnyVote                         // M33: votes of older terms count
	VoteWhileUncertain                   // I21
	RepairedEarly                        // I21
)
