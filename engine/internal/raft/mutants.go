package raft

// mutant names a seeded bug: a rule of the algorithm left out. The M number is
// that of the list in the project's test plan.
type mutant uint8

const (
	mutCommitOldTerm        mutant = iota + 1 // M01: a leader commits an older term's entry by counting
	mutVoteBeforeWrite                        // M02: votes leave before they are durable
	mutVoteKept                               // M04: a higher term does not clear the vote
	mutVoteCleared                            // M05: standing down within a term clears the vote
	mutIndexBeforeTerm                        // M06: the up-to-date check looks at the length first
	mutCommitForLast                          // M07: the up-to-date check looks at the commit index
	mutPreVoteCounts                          // M08: granting a pre-vote enters its term
	mutTruncateAlways                         // M09: an append cuts off what follows it even if it matches
	mutKeepConflict                           // M10: a conflicting suffix stays
	mutAckLast                                // M11: an answer acknowledges the follower's last index
	mutCommitUnbounded                        // M12: an append's commit is not bounded by what it verified
	mutBeatUnclamped                          // M13: a beat's commit is not bounded by the match index
	mutAckAnyWrite                            // M14: any completed write releases an answer
	mutDurableStays                           // M15: a truncation lowers no watermark
	mutSelfBeforeWrite                        // M16: a leader counts itself before its own write
	mutMatchMovesBack                         // M17: a late answer sets match as it says
	mutHalfIsQuorum                           // M18: half of an even number is a majority
	mutNewHalfOnly                            // M19: while joint only the new half counts
	mutLeaveEarly                             // M20: the joint phase is left before it is committed
	mutJointSkipped                           // M20: more than one voter changes without a joint phase
	mutAdoptAtCommit                          // M21: a configuration counts when it is committed
	mutChangeStays                            // M21: a truncated configuration stays in force
	mutSecondChange                           // M22: a change begins while another is not committed
	mutChangeTooEarly                         // M22: a change begins before the term's first commit
	mutReadBeforeNoop                         // M23: reads are served before the term's first commit
	mutReadStaleRound                         // M24: a read is confirmed by a round that began before it
	mutEchoOldRound                           // M24: a late beat of an older term is echoed in this one
	mutRemovedCounts                          // M32: a removed leader counts itself
	mutAnyVote                                // M33: whoever grants a vote is counted, each time
	mutLearnerCampaigns                       // M34: a learner campaigns
	mutLearnerCounts                          // M34: a learner's match index counts
	mutLearnerRefuses                         // M34: who holds itself for a learner gives no vote
	mutTermIgnored                            // M37: a higher term is ignored in answers but those to votes
	mutProposeInTransfer                      // M38: a leader that hands over takes proposals
	mutTransferNeverEnds                      // M38: a transfer is never given up
	mutProbeOnce                              // M47: a lost probe is never repeated
	mutInstallKeepsConflict                   // M25: a snapshot leaves a conflicting tail in place
	mutInstallDropsTail                       // M25: a snapshot drops a tail that matches
	mutFloorWithoutTerm                       // M26: the term of the last compacted entry reads as 0
	mutSnapshotGoesBack                       // M30: a late, older snapshot is installed
	mutTimerResetByVote                       // M35: whoever asks for a vote resets the election timer
	mutNotRandom                              // M35: election time-outs are not random
	mutNoCheckQuorum                          // M36: a leader that hears no quorum goes on
	mutNoStickiness                           // M36: votes are given while a leader lives
	mutBacklogUnbounded                       // M50: proposals are taken however much is not committed
	mutPromiseForgotten                       // M51: a restarted voter forgets its promise
	mutLeaseAfterHandOver                     // M52: lease reads go on after TimeoutNow
	mutLeaseFromReceipt                       // M39: a lease counts from when the echo came
	mutDoubtPromises                          // M53: a node in doubt votes and acknowledges
	mutDoubtKeepsMatch                        // M55: a leader counts what a node in doubt had acknowledged
	mutDoubtEndsEarly                         // M54: a node in doubt trusts the first append that fits
	mutLeaseGrows                             // M57: a lease grows with the leader's time-out
	mutSnapshotForEver                        // M48: a failed snapshot is waited for
)
