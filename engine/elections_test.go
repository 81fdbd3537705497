package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// The story of a member, from what its core tells: every campaign and every end of a
// leadership has its reason.
func TestElectionsHaveReasons(t *testing.T) {
	role := func(r Role, term Term) raft.Fact { return raft.Fact{Kind: raft.FactRole, Role: r, Term: term} }
	only := func(k raft.FactKind, term Term, peer NodeID) raft.Fact {
		return raft.Fact{Kind: k, Term: term, Peer: peer}
	}
	const pre, candidate, leader, follower = raftpb.RolePrecandidate, raftpb.RoleCandidate, raftpb.RoleLeader, raftpb.RoleFollower
	var e elections
	at := time.Unix(1, 0)
	changes := 0
	for _, step := range []struct {
		what  string
		facts []raft.Fact
		want  []ElectionReason // of the changes of role
	}{
		{"it starts alone", []raft.Fact{role(pre, 0), role(candidate, 1)}, []ElectionReason{NoLeader, NoLeader}},
		{"nobody answers", []raft.Fact{role(pre, 1), role(candidate, 2), role(leader, 2)}, []ElectionReason{Undecided, Undecided, ""}},
		{"the others are gone", []raft.Fact{only(raft.FactQuorumLost, 2, 0), role(follower, 2)}, []ElectionReason{QuorumLost}},
		{"another leads and falls silent", []raft.Fact{only(raft.FactTerm, 3, 0), only(raft.FactLeader, 3, 2), role(pre, 3)}, []ElectionReason{LeaderSilent}},
		{"it was only late", []raft.Fact{role(follower, 3)}, []ElectionReason{""}},
		{"it is handed over to", []raft.Fact{role(candidate, 4), role(leader, 4)}, []ElectionReason{Transferred, ""}},
		{"a stranger has a higher term", []raft.Fact{only(raft.FactTerm, 6, 0), role(follower, 6)}, []ElectionReason{HigherTerm}},
		{"it leads again", []raft.Fact{role(pre, 6), role(candidate, 7), role(leader, 7)}, []ElectionReason{NoLeader, NoLeader, ""}},
		{"and hands over", []raft.Fact{only(raft.FactTransferSent, 7, 2), only(raft.FactTerm, 8, 0), role(follower, 8)}, []ElectionReason{Transferred}},
		{"it leads once more", []raft.Fact{role(pre, 8), role(candidate, 9), role(leader, 9)}, []ElectionReason{NoLeader, NoLeader, ""}},
		{"and is removed", []raft.Fact{role(follower, 9)}, []ElectionReason{StoodDown}},
	} {
		var got []ElectionReason
		for _, f := range step.facts {
			if c, changed := e.follow(f, func() time.Time { return at }); changed {
				got = append(got, c.Reason)
				changes++
			}
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
	recent := e.recent()
	if changes <= maxHistory || len(recent) != maxHistory || recent[maxHistory-1] != (RoleChange{At: at, Role: follower, Term: 9, Reason: StoodDown}) {
		t.Errorf("of %d changes, %d are remembered, the last as %+v", changes, len(recent), recent[len(recent)-1])
	}
}
