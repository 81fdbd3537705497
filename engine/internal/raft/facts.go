package raft

import "strconv"

// What happened. Each comment says which fields count besides Kind and Term.
const (
	FactRole              FactKind = iota + 1 // this node took Role; Peer leads, if known
	FactTerm                                  // a higher term was seen and entered
	FactLeader                                // Peer leads
	FactVoted                                 // this node voted for Peer
	FactVoteRefused                           // Peer asked for a vote or pre-vote; Reason
	FactElectionLost                          // a majority refused; Role tells which kind of election
	FactQuorumLost                            // this leader heard no quorum for the election time-out
	FactTruncated                             // entries from Index on were cut off
	FactAppendRefused                         // Peer's append does not match at Index
	FactProbe                                 // Peer is sent one append at a time again, from Index
	FactReplicate                             // Peer matches up to Index and is streamed to
	FactSnapshotNeeded                        // Peer needs Index, which is compacted
	FactProposalRefused                       // the backlog is at its limit; Index is the last entry
	FactInvalidMessage                        // Peer sent what cannot be; Message
	FactUnknownMember                         // Peer, no member, answered something; Message
	FactStaleWrite                            // a write completed that a truncation has overtaken
	FactConfiguration                         // the configuration of entry Index is in force
	FactChangeStarted                         // a change of the configuration begins; Index is the last one's
	FactChangeEnded                           // it has ended at Index, or Refusal says why it did not
	FactTransferStarted                       // this leader hands over to Peer
	FactTransferSent                          // Peer was told to campaign
	FactTransferEnded                         // Peer leads, or Refusal says why it does not
	FactSnapshotInstalled                     // this node's state is that of a snapshot of Peer's up to Index
	FactSnapshotFailed                        // Peer did not get its snapshot; it is asked where it stands
	FactMemberInDoubt                         // Peer's store may have lost what it promised; it had acknowledged up to Index
	FactMemberLost                            // Peer lost what it had acknowledged, up to Index
	FactRepaired                              // this node's doubts are over; its log was made whole up to Index
	FactQuiesced                              // this node sleeps; Peer leads
	FactWoken                                 // this node is awake again; Peer leads
	FactDiskStalled                           // this node's disk hangs
	FactDiskOK                                // it does not any more
	FactStateLost                             // this node needs a snapshot of Index or more to apply anything
	FactMemberLacksState                      // Peer has the log, and needs a snapshot of Index or more
)

// factKinds is one more than the last of them.
const factKinds = FactMemberLacksState + 1

// String returns the fact's name in logs and metrics.
func (k FactKind) String() string {
	switch k {
	case FactRole:
		return "role"
	case FactTerm:
		return "term"
	case FactLeader:
		return "leader"
	case FactVoted:
		return "voted"
	case FactVoteRefused:
		return "vote-refused"
	case FactElectionLost:
		return "election-lost"
	case FactQuorumLost:
		return "quorum-lost"
	case FactTruncated:
		return "truncated"
	case FactAppendRefused:
		return "append-refused"
	case FactProbe:
		return "probe"
	case FactReplicate:
		return "replicate"
	case FactSnapshotNeeded:
		return "snapshot-needed"
	case FactProposalRefused:
		return "proposal-refused"
	case FactInvalidMessage:
		return "invalid-message"
	case FactUnknownMember:
		return "unknown-member"
	case FactStaleWrite:
		return "stale-write"
	case FactConfiguration:
		return "configuration"
	case FactChangeStarted:
		return "change-started"
	case FactChangeEnded:
		return "change-ended"
	case FactTransferStarted:
		return "transfer-started"
	case FactTransferSent:
		return "transfer-sent"
	case FactTransferEnded:
		return "transfer-ended"
	case FactSnapshotInstalled:
		return "snapshot-installed"
	case FactSnapshotFailed:
		return "snapshot-failed"
	case FactMemberInDoubt:
		return "member-in-doubt"
	case FactMemberLost:
		return "member-lost"
	case FactRepaired:
		return "repaired"
	case FactQuiesced:
		return "quiesced"
	case FactWoken:
		return "woken"
	case FactDiskStalled:
		return "disk-stalled"
	case FactDiskOK:
		return "disk-ok"
	case FactStateLost:
		return "state-lost"
	case FactMemberLacksState:
		return "member-lacks-state"
	}
	return "fact-" + strconv.Itoa(int(k))
}

// String returns the message's name in facts and scripts.
func (k MessageKind) String() string {
	switch k {
	case MessageVote:
		return "vote"
	case MessageVoteAnswer:
		return "vote-answer"
	case MessageAppend:
		return "append"
	case MessageAppendAnswer:
		return "append-answer"
	case MessageBeat:
		return "beat"
	case MessageBeatAck:
		return "beat-ack"
	case MessageReadIndex:
		return "read-index"
	case MessageReadIndexAnswer:
		return "read-index-answer"
	case MessageTimeoutNow:
		return "timeout-now"
	case MessageTimeoutNowAnswer:
		return "timeout-now-answer"
	case MessageSnapshot:
		return "snapshot"
	case MessageSnapshotAnswer:
		return "snapshot-answer"
	}
	return "message-" + strconv.Itoa(int(k))
}

func (out *Effects) fact(f Fact) { out.Facts = append(out.Facts, f) }
