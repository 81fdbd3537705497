package raft

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// TestNewLeadershipOutlivesOldHandOver: a leader whose disk stalls has to leave, loses
// its leadership before anybody took over, and is elected again while the old hand-over
// is still open. That one ends; the new leadership does not.
func TestNewLeadershipOutlivesOldHandOver(t *testing.T) {
	b := newBench(t, 1, plain)
	b.lead()
	b.out.Reset()
	b.step(Event{Kind: EventDiskStalled})
	if !b.node.transfer.leaving {
		t.Fatal("a leader with a stalled disk does not leave")
	}
	b.message(Message{Kind: MessageAppendAnswer, From: 3, Term: 5, Status: raftpb.AppendStatusStaleTerm})
	b.persist()
	b.out.Reset()
	b.step(Event{Kind: EventDiskOK})
	b.step(Event{Kind: EventCampaign})
	b.persist()
	b.message(Message{Kind: MessageVoteAnswer, From: 2, Term: 6, AskedTerm: 6, Granted: true})
	if b.node.role != raftpb.RoleLeader || b.node.transfer.target != 0 {
		t.Errorf("it is %v in term %d, handing over to %d", b.node.role, b.node.term, b.node.transfer.target)
	}
}
