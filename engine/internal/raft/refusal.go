package raft

import "strconv"

// Refusal says why a node did not do what it was asked to do. Nothing of the
// request has happened, unless the comment says that its outcome is open.
type Refusal uint8

// The reasons. "Later" means that the same request may succeed after a while.
const (
	RefusalNone               Refusal = iota
	RefusalNotLeader                  // ask the node that leads
	RefusalBusy                       // a limit is reached: the backlog, or the reads that wait; later
	RefusalNotProposable              // nothing, or of a kind that clients do not propose
	RefusalTransferring               // this leader hands over; soon
	RefusalTooEarly                   // this leader has not committed an entry of its term; soon
	RefusalChangeInProgress           // one change at a time; later
	RefusalOtherConfiguration         // the configuration in force is not the one expected
	RefusalBadStep                    // a step that says nothing, or what cannot be
	RefusalUnknownMember              // no such member
	RefusalAlreadyMember              // it is a member of another kind
	RefusalTooManyMembers             // both halves together would pass MaxMembers
	RefusalNobodyLeads                // no voter that holds state would be left, or nobody to hand over to is alive
	RefusalQuorum                     // too few of the new voters are alive: the quorum would be lost
	RefusalWitness                    // a witness stays one, and witnesses alone never decide
	RefusalIncarnation                // a voter's store cannot be exchanged while it votes
	RefusalLagging                    // it did not catch up in time; later
	RefusalTimeout                    // a transfer led to nothing within the election time-out; its outcome is open
	RefusalTarget                     // it will not lead: it said so, or it is not a voter that holds state
	RefusalTargetRemoved              // a change took its vote meanwhile
	RefusalOtherLeader                // another node leads now
	RefusalLeadershipLost             // this node leads no more; the outcome is open
)

// refusals is one more than the last of them.
const refusals = RefusalLeadershipLost + 1

// String returns the reason's name in logs and metrics.
func (r Refusal) String() string {
	names := [refusals]string{
		RefusalNone:               "none",
		RefusalNotLeader:          "not-leader",
		RefusalBusy:               "busy",
		RefusalNotProposable:      "not-proposable",
		RefusalTransferring:       "transferring",
		RefusalTooEarly:           "too-early",
		RefusalChangeInProgress:   "change-in-progress",
		RefusalOtherConfiguration: "other-configuration",
		RefusalBadStep:            "bad-step",
		RefusalUnknownMember:      "unknown-member",
		RefusalAlreadyMember:      "already-member",
		RefusalTooManyMembers:     "too-many-members",
		RefusalNobodyLeads:        "nobody-leads",
		RefusalQuorum:             "quorum",
		RefusalWitness:            "witness",
		RefusalIncarnation:        "incarnation",
		RefusalLagging:            "lagging",
		RefusalTimeout:            "timeout",
		RefusalTarget:             "target",
		RefusalTargetRemoved:      "target-removed",
		RefusalOtherLeader:        "other-leader",
		RefusalLeadershipLost:     "leadership-lost",
	}
	if r >= refusals {
		return "refusal-" + strconv.Itoa(int(r))
	}
	return names[r]
}
