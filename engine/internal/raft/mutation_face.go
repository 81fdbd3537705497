//go:build mutants

package raft

// Mutate switches the seeded bug with this number on; 0 switches it off.
func Mutate(n *Node, which int) {
	n.mutation = mutation{active: mutant(which)}
	n.voters.mutation, n.log.mutation = n.mutation, n.mutation
	if n.mutated(mutNotRandom) {
		n.resetElectionTimer() // New has drawn it
	}
}

// Mutants returns the names of the seeded bugs; their numbers are the positions,
// from 1.
func Mutants() []string {
	names := []string{""}
	for m := mutant(1); m.String() != "none"; m++ {
		names = append(names, m.String())
	}
	return names
}

// mutantNames is indexed by mutant.
func mutantNames() []string {
	return []string{
		"none",
		mutCommitOldTerm:        "M01-commit-old-term",
		mutVoteBeforeWrite:      "M02-vote-before-write",
		mutVoteKept:             "M04-vote-kept",
		mutVoteCleared:          "M05-vote-cleared",
		mutIndexBeforeTerm:      "M06-index-before-term",
		mutCommitForLast:        "M07-commit-for-last",
		mutPreVoteCounts:        "M08-pre-vote-counts",
		mutTruncateAlways:       "M09-truncate-always",
		mutKeepConflict:         "M10-keep-conflict",
		mutAckLast:              "M11-ack-last",
		mutCommitUnbounded:      "M12-commit-unbounded",
		mutBeatUnclamped:        "M13-beat-unclamped",
		mutAckAnyWrite:          "M14-ack-any-write",
		mutDurableStays:         "M15-durable-stays",
		mutSelfBeforeWrite:      "M16-self-before-write",
		mutMatchMovesBack:       "M17-match-moves-back",
		mutHalfIsQuorum:         "M18-half-is-quorum",
		mutNewHalfOnly:          "M19-new-half-only",
		mutLeaveEarly:           "M20-leave-early",
		mutJointSkipped:         "M20-joint-skipped",
		mutAdoptAtCommit:        "M21-adopt-at-commit",
		mutChangeStays:          "M21-change-stays",
		mutSecondChange:         "M22-second-change",
		mutChangeTooEarly:       "M22-change-too-early",
		mutReadBeforeNoop:       "M23-read-before-noop",
		mutReadStaleRound:       "M24-read-stale-round",
		mutEchoOldRound:         "M24-echo-old-round",
		mutRemovedCounts:        "M32-removed-counts",
		mutAnyVote:              "M33-any-vote",
		mutLearnerCampaigns:     "M34-learner-campaigns",
		mutLearnerCounts:        "M34-learner-counts",
		mutLearnerRefuses:       "M34-learner-refuses",
		mutTermIgnored:          "M37-term-ignored",
		mutProposeInTransfer:    "M38-propose-in-transfer",
		mutTransferNeverEnds:    "M38-transfer-never-ends",
		mutProbeOnce:            "M47-probe-once",
		mutInstallKeepsConflict: "M25-install-keeps-conflict",
		mutInstallDropsTail:     "M25-install-drops-tail",
		mutFloorWithoutTerm:     "M26-floor-without-term",
		mutSnapshotGoesBack:     "M30-snapshot-goes-back",
		mutTimerResetByVote:     "M35-timer-reset-by-vote",
		mutNotRandom:            "M35-not-random",
		mutNoCheckQuorum:        "M36-no-check-quorum",
		mutNoStickiness:         "M36-no-stickiness",
		mutBacklogUnbounded:     "M50-backlog-unbounded",
		mutPromiseForgotten:     "M51-promise-forgotten",
		mutLeaseAfterHandOver:   "M52-lease-after-hand-over",
		mutLeaseFromReceipt:     "M39-lease-from-receipt",
		mutDoubtPromises:        "M53-doubt-promises",
		mutDoubtKeepsMatch:      "M55-doubt-keeps-match",
		mutDoubtEndsEarly:       "M54-doubt-ends-early",
		mutLeaseGrows:           "M57-lease-grows",
		mutSnapshotForEver:      "M48-snapshot-for-ever",
	}
}

// String returns the mutant's number and name.
func (m mutant) String() string {
	if names := mutantNames(); int(m) < len(names) {
		return names[m]
	}
	return "none"
}
