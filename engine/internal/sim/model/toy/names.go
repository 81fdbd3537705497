package toy

// String names the single bug b.
func (b Bug) String() string {
	for _, n := range Bugs() {
		if n.Bug == b {
			return n.Name
		}
	}
	return "several bugs"
}

// NamedBug is one mistake and its name.
type NamedBug struct {
	Bug  Bug
	Name string
}

// Bugs lists all single bugs.
func Bugs() []NamedBug {
	return []NamedBug{
		{CommitOldTerm, "commit an entry of an older term by counting"},
		{VoteBeforeDurable, "vote before it is durable"},
		{ForgetVote, "forget the vote in a crash"},
		{KeepVote, "vote twice in a term"},
		{IndexBeforeTerm, "compare lengths of logs only"},
		{CompareCommit, "compare with the committed part of the log"},
		{TruncateMatching, "truncate what matches"},
		{KeepConflict, "keep a tail behind a conflict"},
		{AckLast, "acknowledge the whole log"},
		{CommitUnclamped, "commit what was not compared"},
		{AckAnyWrite, "acknowledge when any write completes"},
		{CountSelfEarly, "count oneself before the write"},
		{CountRefusals, "take the end of a log that was refused for a match"},
		{QuorumHalf, "take half for a majority"},
		{JointNewOnly, "count only the new half while joint"},
		{LeaveEarly, "leave the joint phase early"},
		{NoJoint, "skip the joint phase"},
		{SecondChange, "change before the last change is committed"},
		{DropTail, "drop a matching tail with a snapshot"},
		{KeepTail, "keep a conflicting tail with a snapshot"},
		{CountLearners, "count learners"},
		{AppendDuringTransfer, "accept commands during a transfer"},
		{HandOverEarly, "hand over to a node that lags"},
		{CountAnyVote, "count votes of older terms"},
		{VoteWhileUncertain, "vote with a damaged disk"},
		{RepairedEarly, "trust a damaged disk too early"},
	}
}
