package raft

// Mark names a branch that is taken rarely. A test that never takes it proves
// nothing about what stands there: the simulator counts them all and demands that
// each is reached.
type Mark uint8

// Marks counts how often each marked branch was taken. It belongs to whoever
// steps the nodes that share it; production has none (Config.Marks is nil).
type Marks [MarkCount]uint64

// The marked branches.
const (
	// Steps and roles.

	MarkAnswerFromStranger Mark = iota // an answer came from somebody who is no member
	MarkAnswerOfHigherTerm             // an answer showed a higher term
	MarkAnswerLate                     // an answer was about a leadership that is over
	MarkLeaderDeposed                  // a leader met a higher term
	MarkCandidateStoodDown             // a candidate or precandidate went back to follow
	MarkApplyHeldBack                  // committed entries waited for this node's own write
	MarkTimerForNothing                // the timer came and nothing was due

	// Elections.

	MarkCampaignRepeated     // a campaign ended undecided and began anew
	MarkVoteOfOldTerm        // a vote was asked for in a term that is over
	MarkVoteWhileLeaderLives // a vote was refused for a leader that is alive
	MarkVoteAtLeader         // a leader refused a vote because it hears a quorum
	MarkVoteForStranger      // a vote was refused to somebody who is no member
	MarkVoteForNewcomer      // a candidate that this node's log does not know was judged
	MarkVoteForTransfer      // a vote was judged although a leader is alive: it handed over
	MarkVoteLogBehind        // a vote was refused to a log that is behind
	MarkVoteGivenAway        // a second candidate of the term was refused
	MarkVoteRepeated         // a vote was given to the same candidate again
	MarkPreVoteGranted       // a pre-vote was granted
	MarkVoteAnswerLate       // a vote's answer was about another election
	MarkOwnVoteLast          // the own vote became durable after the others' decided
	MarkElectionLost         // a majority refused a vote
	MarkPreElectionLost      // a majority refused a pre-vote

	// Following.

	MarkAppendOfOldTerm       // an append came from a term that is over
	MarkBeatOfOldTerm         // a beat came from a term that is over
	MarkAppendBelowCommit     // an append began below the commit index
	MarkAppendKnown           // an append brought nothing new
	MarkAppendPartlyKnown     // some of an append's entries were there already
	MarkAppendOnShortLog      // an append began behind the end of the log
	MarkAppendOnOtherTerm     // an append began at an entry of another term
	MarkHintSkips             // a refusal's hint was more than one entry lower
	MarkConflictCut           // a conflicting tail was cut off
	MarkAckWaitsForOlderWrite // an answer waited for the write of an earlier append
	MarkCommitBounded         // an append verified less than its commit index

	// Writes.

	MarkAnswerWaitsForTerm // an answer waited for nothing but its term
	MarkCutOfUnwritten     // a truncation took a part of what was not handed out yet
	MarkCutOfAllUnwritten  // a truncation took all that was not handed out yet
	MarkPromiseWithdrawn   // an answer not handed out yet became a refusal
	MarkWriteOvertaken     // a write completed that a truncation had overtaken
	MarkWriteRepeated      // a write was reported twice
	MarkWritesTogether     // several writes completed together
	MarkCommitRodeAlong    // a commit went with a write that was there anyway
	MarkCommitAlone        // a commit alone was written

	// Replication.

	MarkProposalElsewhere   // a proposal came to a node that does not lead
	MarkBacklogFull         // a proposal was refused for the backlog
	MarkProbePaused         // a follower was not sent to: its probe is under way
	MarkWindowFull          // a follower was not sent to: its window is full
	MarkEntriesShared       // two followers were sent the same entries
	MarkEntriesOfThisWrite  // an append carried entries of the write beside it
	MarkFollowerBusy        // a follower could not take entries
	MarkAckLate             // an acknowledgement moved nothing
	MarkRefusalLate         // a refusal was about what is known to match
	MarkRefusalOfOtherProbe // a refusal was not about the probe under way
	MarkRefusalInStream     // a follower that is streamed to refused
	MarkOldTermNotCounted   // a quorum had entries of an older term, and they were not committed
	MarkPeerOfFollowerLost  // a follower was told that another cannot be reached
	MarkStreamLost          // a follower that is streamed to could not be reached
	MarkProbeLost           // a follower that is probed could not be reached
	MarkQuorumLost          // a leader heard no quorum
	MarkQuorumHeardSince    // a leader looked for its quorum, and had heard it since
	MarkStreamAsked         // a silent follower was asked where it stands
	MarkLostFollowerSpoke   // a follower that could not be reached spoke

	// Changes.

	MarkChangeElsewhere         // a change was asked of a node that does not lead
	MarkChangeTooEarly          // a change came before the term's first commit
	MarkChangeInProgress        // a change came while another was under way
	MarkChangeWhileTransferring // a change came while the leader handed over
	MarkChangeCompared          // a change was made for another configuration
	MarkChangeImpossible        // a change was refused for its steps
	MarkChangeLosesQuorum       // a change was refused: too few of its voters are alive
	MarkChangeForNothing        // a change asked for what is so already
	MarkChangeSimple            // a configuration followed another without a joint phase
	MarkChangeJoint             // a joint phase began
	MarkJointLeft               // a leader left the joint phase that it began
	MarkJointInherited          // a leader left a joint phase that another began
	MarkChangeDone              // a change was committed as a whole
	MarkChangeOfDeposed         // a leader ended with a change under way
	MarkCatchUpStarted          // new voters began to catch up
	MarkCatchUpKnown            // a new voter was a learner already
	MarkCatchUpAgain            // a new voter needed another round
	MarkCatchUpDone             // new voters had caught up
	MarkCatchUpGivenUp          // a new voter got nothing new for too long
	MarkCatchUpSnapshot         // a new voter was waited for that installs a snapshot
	MarkCatchUpUnsafe           // new voters had caught up, and too few were alive
	MarkConfigurationUndone     // a truncation took back a configuration
	MarkReadsConfirmedByChange  // a change left nobody to wait for with a read
	MarkRemovedMayLead          // a node that is being removed may still campaign
	MarkRemovedLeaves           // a leader that was removed handed over

	// Transfers.

	MarkTransferElsewhere     // a transfer was asked of a node that does not lead
	MarkTransferTwice         // a transfer was asked for while another was under way
	MarkTransferToItself      // a leader was asked to hand over to itself
	MarkTransferChosen        // a leader chose whom to hand over to
	MarkTransferNobody        // there was nobody to hand over to
	MarkTransferTarget        // a transfer was asked for to somebody who cannot lead
	MarkTransferWaits         // the target lacked entries
	MarkTransferRepeated      // the target was told to campaign again
	MarkTransferDone          // the target leads
	MarkTransferLagging       // the target did not catch up in time
	MarkTransferTimeout       // the target was told to campaign, and nothing came of it
	MarkTransferRefused       // the target said no
	MarkTransferTargetRemoved // the target lost its vote meanwhile
	MarkTransferOtherLeader   // another than the target leads
	MarkTransferExpired       // a transfer ended on a node that leads no more
	MarkTransferProposal      // a proposal came while the leader handed over
	MarkTimeoutNowStale       // the word to campaign came from who does not lead
	MarkTimeoutNowUnelectable // the word to campaign came to a node that may not

	// Priorities and witnesses.

	MarkYield           // a leader handed over to a higher priority
	MarkYieldAgain      // a leader was refused by a higher priority, and waits longer
	MarkWitnessHeldBack // a witness was not sent what no voter has on its disk
	MarkWitnessRead     // a witness was asked for a read

	// Reads.

	MarkReadBeforeFirstCommit // a read came before the term's first commit
	MarkReadJoinedRound       // a read joined a round that had not left yet
	MarkReadWaitedForRound    // a read waited for the next round
	MarkReadsFull             // a read was refused: too many wait
	MarkReadWithoutLeader     // a read was refused: nobody leads
	MarkForwardExpired        // the leader did not answer a read in time
	MarkForwardLeaderChanged  // a read had gone to a leader that leads no more
	MarkForwardUnknown        // a read index came for a read that is over
	MarkReadIndexElsewhere    // a read index was asked of a node that does not lead
	MarkReadsOfDeposed        // a leader ended with reads of its own waiting
	MarkRemoteReadsOfDeposed  // a leader ended with reads of followers waiting

	// The log.

	MarkTermFromStore    // a term was read from the store
	MarkEntriesFromStore // entries were read from the store
	MarkEntriesCutBySize // what the store gave was more than was wanted
	MarkTailTrimmed      // the tail let go of applied entries
	MarkTailOverLimit    // the tail let go of entries that are not applied
	MarkCutBelowTail     // a truncation went below the tail

	// Snapshots.

	MarkSnapshotWanted        // a follower needs what is compacted
	MarkSnapshotWantedAgain   // a follower that was sent a snapshot needs one again
	MarkSnapshotFailed        // a snapshot did not reach its follower
	MarkSnapshotFailedLate    // a snapshot failed that nobody waits for
	MarkSnapshotSilent        // nothing was heard of a snapshot for too long
	MarkSnapshotProgressed    // a follower that receives a snapshot spoke
	MarkSnapshotArrived       // a follower has installed a snapshot
	MarkSnapshotOvertaken     // a follower that is sent a snapshot matched by its log
	MarkSnapshotOfOldTerm     // a snapshot came from a term that is over
	MarkSnapshotKnown         // a snapshot came that covers nothing new
	MarkSnapshotMatched       // a snapshot was not needed: the log holds its last entry
	MarkSnapshotInstalled     // a snapshot replaced a log that ended before it
	MarkSnapshotCutConflict   // a snapshot replaced a tail that conflicts with it
	MarkSnapshotOverUnwritten // a snapshot was installed over entries that were not handed out yet
	MarkSnapshotPinned        // compaction waited for a follower that installs
	MarkPinReleased           // compaction went on when a follower had installed
	MarkSnapshotOld           // a local snapshot came that is older than the log's begin
	MarkTermAtFloor           // the term of the last compacted entry was asked for

	// Doubt.

	MarkDoubtVote          // a node in doubt refused a vote
	MarkDoubtPreVote       // a node in doubt refused a pre-vote
	MarkDoubtCampaign      // a node in doubt did not campaign
	MarkDoubtAck           // a node in doubt stored entries and did not acknowledge them
	MarkDoubtSnapshot      // a node in doubt installed a snapshot and did not acknowledge it
	MarkDoubtAsked         // a node in doubt asked the others where they are
	MarkDoubtBeat          // a node in doubt answered a beat without its round
	MarkDoubtIndex         // a node in doubt learned up to where it must be repaired
	MarkAckOfFormerLife    // an acknowledgement came that its sender has lost since
	MarkDoubtVoterHeard    // a node in doubt learned a voter's term
	MarkDoubtWaitsForVoter // a repaired log waited for the word of a voter
	MarkDoubtEnded         // a node in doubt is repaired
	MarkDoubtMember        // a leader heard that a follower is in doubt
	MarkMemberLost         // a follower lost what it had acknowledged
	MarkCommitUnverified   // a commit index went beyond what was verified

	// Leases.

	MarkLeasePromised       // a vote was refused for a promise that a restart may have forgotten
	MarkLeaseKept           // a vote was refused for a leader that is not known any more
	MarkLeaseExtended       // a quorum's echo extended a lease
	MarkLeaseHandedOver     // a lease ended because leadership was handed over
	MarkLeaseNoCampaign     // a campaign waited for the promise to a leader
	MarkLeaseRoundForgotten // an echo was of a round whose time is forgotten

	// Quiesce.

	MarkQuiesceOffered   // a leader offered to let the group sleep
	MarkQuiesceAgreed    // a follower agreed to sleep
	MarkQuiesceRefused   // a follower had something to do
	MarkQuiesceStale     // an offer to sleep came late
	MarkQuiesced         // a leader's group sleeps
	MarkQuiesceCalledOff // something happened before all had agreed to sleep
	MarkWokenByMessage   // a message woke a node
	MarkWokenByProposal  // a proposal woke a leader
	MarkWokenByRead      // a read woke a node
	MarkWokenByPeerLoss  // the loss of a peer woke a node
	MarkWokenByDriver    // the driver woke a node

	// Stalls.

	MarkDiskStalled       // the disk of a node stalls
	MarkStalledLeader     // a leader with a stalled disk stood down
	MarkStalledAlone      // a leader with a stalled disk has nobody to lead in its place
	MarkStalledNoCampaign // a node with a stalled disk did not campaign

	// Tuning.

	MarkRetuned      // the election time-out changed
	MarkWindowShrunk // a follower's window became smaller
	MarkWindowGrown  // a follower's window became larger again

	MarkCount // how many there are
)

// String returns the mark's name in reports.
func (m Mark) String() string {
	if m < MarkCount {
		return markNames[m]
	}
	return "unknown"
}

// mark counts a rare branch.
func (n *Node) mark(m Mark) {
	if n.cfg.Marks != nil {
		n.cfg.Marks[m]++
	}
}

//nolint:gochecknoglobals // a table that is only read
var markNames = [MarkCount]string{
	MarkAnswerFromStranger:      "answer-from-stranger",
	MarkAnswerOfHigherTerm:      "answer-of-higher-term",
	MarkAnswerLate:              "answer-late",
	MarkLeaderDeposed:           "leader-deposed",
	MarkCandidateStoodDown:      "candidate-stood-down",
	MarkApplyHeldBack:           "apply-held-back",
	MarkTimerForNothing:         "timer-for-nothing",
	MarkCampaignRepeated:        "campaign-repeated",
	MarkVoteOfOldTerm:           "vote-of-old-term",
	MarkVoteWhileLeaderLives:    "vote-while-leader-lives",
	MarkVoteAtLeader:            "vote-at-leader",
	MarkVoteForStranger:         "vote-for-stranger",
	MarkVoteForNewcomer:         "vote-for-newcomer",
	MarkVoteForTransfer:         "vote-for-transfer",
	MarkVoteLogBehind:           "vote-log-behind",
	MarkVoteGivenAway:           "vote-given-away",
	MarkVoteRepeated:            "vote-repeated",
	MarkPreVoteGranted:          "pre-vote-granted",
	MarkVoteAnswerLate:          "vote-answer-late",
	MarkOwnVoteLast:             "own-vote-last",
	MarkElectionLost:            "election-lost",
	MarkPreElectionLost:         "pre-election-lost",
	MarkAppendOfOldTerm:         "append-of-old-term",
	MarkBeatOfOldTerm:           "beat-of-old-term",
	MarkAppendBelowCommit:       "append-below-commit",
	MarkAppendKnown:             "append-known",
	MarkAppendPartlyKnown:       "append-partly-known",
	MarkAppendOnShortLog:        "append-on-short-log",
	MarkAppendOnOtherTerm:       "append-on-other-term",
	MarkHintSkips:               "hint-skips",
	MarkConflictCut:             "conflict-cut",
	MarkAckWaitsForOlderWrite:   "ack-waits-for-older-write",
	MarkCommitBounded:           "commit-bounded",
	MarkAnswerWaitsForTerm:      "answer-waits-for-term",
	MarkCutOfUnwritten:          "cut-of-unwritten",
	MarkCutOfAllUnwritten:       "cut-of-all-unwritten",
	MarkPromiseWithdrawn:        "promise-withdrawn",
	MarkWriteOvertaken:          "write-overtaken",
	MarkWriteRepeated:           "write-repeated",
	MarkWritesTogether:          "writes-together",
	MarkCommitRodeAlong:         "commit-rode-along",
	MarkCommitAlone:             "commit-alone",
	MarkProposalElsewhere:       "proposal-elsewhere",
	MarkBacklogFull:             "backlog-full",
	MarkProbePaused:             "probe-paused",
	MarkWindowFull:              "window-full",
	MarkEntriesShared:           "entries-shared",
	MarkEntriesOfThisWrite:      "entries-of-this-write",
	MarkFollowerBusy:            "follower-busy",
	MarkAckLate:                 "ack-late",
	MarkRefusalLate:             "refusal-late",
	MarkRefusalOfOtherProbe:     "refusal-of-other-probe",
	MarkRefusalInStream:         "refusal-in-stream",
	MarkOldTermNotCounted:       "old-term-not-counted",
	MarkPeerOfFollowerLost:      "peer-of-follower-lost",
	MarkStreamLost:              "stream-lost",
	MarkProbeLost:               "probe-lost",
	MarkQuorumLost:              "quorum-lost",
	MarkQuorumHeardSince:        "quorum-heard-since",
	MarkStreamAsked:             "stream-asked",
	MarkLostFollowerSpoke:       "lost-follower-spoke",
	MarkChangeElsewhere:         "change-elsewhere",
	MarkChangeTooEarly:          "change-too-early",
	MarkChangeInProgress:        "change-in-progress",
	MarkChangeWhileTransferring: "change-while-transferring",
	MarkChangeCompared:          "change-compared",
	MarkChangeImpossible:        "change-impossible",
	MarkChangeLosesQuorum:       "change-loses-quorum",
	MarkChangeForNothing:        "change-for-nothing",
	MarkChangeSimple:            "change-simple",
	MarkChangeJoint:             "change-joint",
	MarkJointLeft:               "joint-left",
	MarkJointInherited:          "joint-inherited",
	MarkChangeDone:              "change-done",
	MarkChangeOfDeposed:         "change-of-deposed",
	MarkCatchUpStarted:          "catch-up-started",
	MarkCatchUpKnown:            "catch-up-known",
	MarkCatchUpAgain:            "catch-up-again",
	MarkCatchUpDone:             "catch-up-done",
	MarkCatchUpGivenUp:          "catch-up-given-up",
	MarkCatchUpSnapshot:         "catch-up-snapshot",
	MarkCatchUpUnsafe:           "catch-up-unsafe",
	MarkConfigurationUndone:     "configuration-undone",
	MarkReadsConfirmedByChange:  "reads-confirmed-by-change",
	MarkRemovedMayLead:          "removed-may-lead",
	MarkRemovedLeaves:           "removed-leaves",
	MarkTransferElsewhere:       "transfer-elsewhere",
	MarkTransferTwice:           "transfer-twice",
	MarkTransferToItself:        "transfer-to-itself",
	MarkTransferChosen:          "transfer-chosen",
	MarkTransferNobody:          "transfer-nobody",
	MarkTransferTarget:          "transfer-target",
	MarkTransferWaits:           "transfer-waits",
	MarkTransferRepeated:        "transfer-repeated",
	MarkTransferDone:            "transfer-done",
	MarkTransferLagging:         "transfer-lagging",
	MarkTransferTimeout:         "transfer-timeout",
	MarkTransferRefused:         "transfer-refused",
	MarkTransferTargetRemoved:   "transfer-target-removed",
	MarkTransferOtherLeader:     "transfer-other-leader",
	MarkTransferExpired:         "transfer-expired",
	MarkTransferProposal:        "transfer-proposal",
	MarkTimeoutNowStale:         "timeout-now-stale",
	MarkTimeoutNowUnelectable:   "timeout-now-unelectable",
	MarkYield:                   "yield",
	MarkYieldAgain:              "yield-again",
	MarkWitnessHeldBack:         "witness-held-back",
	MarkWitnessRead:             "witness-read",
	MarkReadBeforeFirstCommit:   "read-before-first-commit",
	MarkReadJoinedRound:         "read-joined-round",
	MarkReadWaitedForRound:      "read-waited-for-round",
	MarkReadsFull:               "reads-full",
	MarkReadWithoutLeader:       "read-without-leader",
	MarkForwardExpired:          "forward-expired",
	MarkForwardLeaderChanged:    "forward-leader-changed",
	MarkForwardUnknown:          "forward-unknown",
	MarkReadIndexElsewhere:      "read-index-elsewhere",
	MarkReadsOfDeposed:          "reads-of-deposed",
	MarkRemoteReadsOfDeposed:    "remote-reads-of-deposed",
	MarkTermFromStore:           "term-from-store",
	MarkEntriesFromStore:        "entries-from-store",
	MarkEntriesCutBySize:        "entries-cut-by-size",
	MarkTailTrimmed:             "tail-trimmed",
	MarkTailOverLimit:           "tail-over-limit",
	MarkCutBelowTail:            "cut-below-tail",
	MarkSnapshotWanted:          "snapshot-wanted",
	MarkSnapshotWantedAgain:     "snapshot-wanted-again",
	MarkSnapshotFailed:          "snapshot-failed",
	MarkSnapshotFailedLate:      "snapshot-failed-late",
	MarkSnapshotSilent:          "snapshot-silent",
	MarkSnapshotProgressed:      "snapshot-progressed",
	MarkSnapshotArrived:         "snapshot-arrived",
	MarkSnapshotOvertaken:       "snapshot-overtaken",
	MarkSnapshotOfOldTerm:       "snapshot-of-old-term",
	MarkSnapshotKnown:           "snapshot-known",
	MarkSnapshotMatched:         "snapshot-matched",
	MarkSnapshotInstalled:       "snapshot-installed",
	MarkSnapshotCutConflict:     "snapshot-cut-conflict",
	MarkSnapshotOverUnwritten:   "snapshot-over-unwritten",
	MarkSnapshotPinned:          "snapshot-pinned",
	MarkPinReleased:             "pin-released",
	MarkSnapshotOld:             "snapshot-old",
	MarkTermAtFloor:             "term-at-floor",
	MarkDoubtVote:               "doubt-vote",
	MarkDoubtPreVote:            "doubt-pre-vote",
	MarkDoubtCampaign:           "doubt-campaign",
	MarkDoubtAck:                "doubt-ack",
	MarkDoubtSnapshot:           "doubt-snapshot",
	MarkDoubtAsked:              "doubt-asked",
	MarkDoubtBeat:               "doubt-beat",
	MarkDoubtIndex:              "doubt-index",
	MarkAckOfFormerLife:         "ack-of-former-life",
	MarkDoubtVoterHeard:         "doubt-voter-heard",
	MarkDoubtWaitsForVoter:      "doubt-waits-for-voter",
	MarkDoubtEnded:              "doubt-ended",
	MarkDoubtMember:             "doubt-member",
	MarkMemberLost:              "member-lost",
	MarkCommitUnverified:        "commit-unverified",
	MarkLeasePromised:           "lease-promised",
	MarkLeaseKept:               "lease-kept",
	MarkLeaseExtended:           "lease-extended",
	MarkLeaseHandedOver:         "lease-handed-over",
	MarkLeaseNoCampaign:         "lease-no-campaign",
	MarkLeaseRoundForgotten:     "lease-round-forgotten",
	MarkQuiesceOffered:          "quiesce-offered",
	MarkQuiesceAgreed:           "quiesce-agreed",
	MarkQuiesceRefused:          "quiesce-refused",
	MarkQuiesceStale:            "quiesce-stale",
	MarkQuiesced:                "quiesced",
	MarkQuiesceCalledOff:        "quiesce-called-off",
	MarkWokenByMessage:          "woken-by-message",
	MarkWokenByProposal:         "woken-by-proposal",
	MarkWokenByRead:             "woken-by-read",
	MarkWokenByPeerLoss:         "woken-by-peer-loss",
	MarkWokenByDriver:           "woken-by-driver",
	MarkDiskStalled:             "disk-stalled",
	MarkStalledLeader:           "stalled-leader",
	MarkStalledAlone:            "stalled-alone",
	MarkStalledNoCampaign:       "stalled-no-campaign",
	MarkRetuned:                 "retuned",
	MarkWindowShrunk:            "window-shrunk",
	MarkWindowGrown:             "window-grown",
}
