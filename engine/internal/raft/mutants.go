package raft

// mutant names a seeded bug: a rule of the algorithm left out. The M number is
// that of the list in the project's test plan.
type mutant uint8

const (
	mutCommitOldTerm   mutant = iota + 1 // M01: a leader commits an older term's entry by counting
	mutVoteBeforeWrite                   // M02: votes leave before they are durable
	mutVoteKept                          // M04: a higher term does not clear the vote
	mutVoteCleared                       // M05: standing down within a term clears the vote
	mutIndexBeforeTerm                   // M06: the up-to-date check looks at the length first
	mutCommitForLast                     // M07: the up-to-date check looks at the commit index
	mutPreVoteCounts                     // M08: granting a pre-vote enters its term
	mutTruncateAlways                    // M09: an append cuts off what follows it even if it matches
	mutKeepConflict                      // M10: a conflicting suffix stays
	mutAckLast                           // M11: an answer acknowledges the follower's last index
	mutCommitUnbounded                   // M12: an append's commit is not bounded by what it verified
	mutBeatUnclamped                     // M13: a beat's commit is not bounded by the match index
	mutAckAnyWrite                       // M14: any completed write releases an answer
	mutDurableStays                      // M15: a truncation lowers no watermark
	mutSelfBeforeWrite                   // M16: a leader counts itself before its own write
	mutMatchMovesBack                    // M17: a late answer sets match as it says
	mutHalfIsQuorum                      // M18: half of an even number is a majority
	mutReadBeforeNoop                    // M23: reads are served before the term's first commit
	mutReadStaleRound                    // M24: a read is confirmed by a round that began before it
	mutEchoOldRound                      // M24: a late beat of an older term is echoed in this one
	mutProbeOnce                         // M47: a lost probe is never repeated
)

// String returns the mutant's number and name.
func (m mutant) String() string {
	switch m {
	case mutCommitOldTerm:
		return "M01-commit-old-term"
	case mutVoteBeforeWrite:
		return "M02-vote-before-write"
	case mutVoteKept:
		return "M04-vote-kept"
	case mutVoteCleared:
		return "M05-vote-cleared"
	case mutIndexBeforeTerm:
		return "M06-index-before-term"
	case mutCommitForLast:
		return "M07-commit-for-last"
	case mutPreVoteCounts:
		return "M08-pre-vote-counts"
	case mutTruncateAlways:
		return "M09-truncate-always"
	case mutKeepConflict:
		return "M10-keep-conflict"
	case mutAckLast:
		return "M11-ack-last"
	case mutCommitUnbounded:
		return "M12-commit-unbounded"
	case mutBeatUnclamped:
		return "M13-beat-unclamped"
	case mutAckAnyWrite:
		return "M14-ack-any-write"
	case mutDurableStays:
		return "M15-durable-stays"
	case mutSelfBeforeWrite:
		return "M16-self-before-write"
	case mutMatchMovesBack:
		return "M17-match-moves-back"
	case mutHalfIsQuorum:
		return "M18-half-is-quorum"
	case mutReadBeforeNoop:
		return "M23-read-before-noop"
	case mutReadStaleRound:
		return "M24-read-stale-round"
	case mutEchoOldRound:
		return "M24-echo-old-round"
	case mutProbeOnce:
		return "M47-probe-once"
	default:
		return "none"
	}
}
