package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// ElectionReason says why a campaign began, or why a leadership ended.
type ElectionReason string

const (
	// LeaderSilent begins a campaign: the leader was not heard for an election time-out.
	LeaderSilent ElectionReason = "leader-silent"
	// NoLeader begins a campaign: no leader was known for an election time-out.
	NoLeader ElectionReason = "no-leader"
	// Undecided begins a campaign: the one before won no majority in its time.
	Undecided ElectionReason = "undecided"
	// Transferred begins a campaign that the leader asked for, and ends that leader's term.
	Transferred ElectionReason = "transfer"
	// QuorumLost ends a leadership: no majority answered for an election time-out.
	QuorumLost ElectionReason = "quorum-lost"
	// HigherTerm ends a leadership: another member is in a later term.
	HigherTerm ElectionReason = "higher-term"
	// StoodDown ends a leadership within its term: the leader may lead no longer, as when it
	// was removed.
	StoodDown ElectionReason = "stood-down"
)

// reasons are in the order in which they are counted.
func reasons() [7]ElectionReason {
	return [7]ElectionReason{LeaderSilent, NoLeader, Undecided, Transferred, QuorumLost, HigherTerm, StoodDown}
}

// RoleChange is one that a member went through.
type RoleChange struct {
	At   time.Time // on the member's clock
	Role Role      // that it took
	Term Term
	// Leader is who leads in Term, as far as it was known then; 0: unknown.
	Leader NodeID
	// Reason is why it campaigns (RolePrecandidate and RoleCandidate), or why it leads no longer.
	// "" for what follows from another member's doing, as winning or following does.
	Reason ElectionReason
}

// maxHistory is how many changes of role a member remembers of a group.
const maxHistory = 16

// elections follows the roles of one group: the worker tells, anybody asks.
type elections struct {
	mu      sync.Mutex
	history []RoleChange

	// The worker's.
	role       Role
	leader     NodeID
	reason     ElectionReason // of the campaign under way
	quorumLost bool           // said right before the role ends
	termRaised bool           // likewise
	asked      Term           // in which this leader told another to campaign
}

// follow takes what happened and returns the change of role, if it was one.
func (e *elections) follow(f raft.Fact, now func() time.Time) (c RoleChange, changed bool) {
	switch f.Kind {
	case raft.FactLeader:
		e.leader = f.Peer
	case raft.FactQuorumLost:
		e.quorumLost = true
	case raft.FactTerm:
		e.termRaised = true
		if e.role != raftpb.RoleLeader {
			e.leader = 0
		}
	case raft.FactTransferSent:
		e.asked = f.Term
	case raft.FactRole:
		c = RoleChange{At: now(), Role: f.Role, Term: f.Term, Leader: f.Peer, Reason: e.why(f)}
		e.role, e.leader, e.quorumLost, e.termRaised = f.Role, f.Peer, false, false
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.history) == maxHistory {
			e.history = append(e.history[:0], e.history[1:]...)
		}
		e.history = append(e.history, c)
		return c, true
	}
	return c, false
}

func (e *elections) why(f raft.Fact) ElectionReason {
	switch {
	case e.role == raftpb.RoleLeader && e.quorumLost:
		return QuorumLost
	case e.role == raftpb.RoleLeader && e.asked != 0 && f.Term == e.asked+1:
		return Transferred
	case e.role == raftpb.RoleLeader && e.termRaised:
		return HigherTerm
	case e.role == raftpb.RoleLeader:
		return StoodDown
	case f.Role == raftpb.RolePrecandidate:
		switch {
		case e.role == raftpb.RolePrecandidate || e.role == raftpb.RoleCandidate:
			e.reason = Undecided
		case e.leader == 0:
			e.reason = NoLeader
		default:
			e.reason = LeaderSilent
		}
		return e.reason
	case f.Role == raftpb.RoleCandidate && e.role == raftpb.RolePrecandidate:
		return e.reason
	case f.Role == raftpb.RoleCandidate: // without a pre-vote
		return Transferred
	}
	return ""
}

// recent returns the last changes of role, oldest first.
func (e *elections) recent() []RoleChange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.history)
}

// byReason counts by ElectionReason.
type byReason [7]atomic.Uint64

func (b *byReason) add(r ElectionReason) {
	all := reasons()
	if i := slices.Index(all[:], r); i >= 0 {
		b[i].Add(1)
	}
}

// read returns the counts of the reasons that occurred.
func (b *byReason) read() map[ElectionReason]uint64 {
	out := map[ElectionReason]uint64{}
	for i, r := range reasons() {
		if n := b[i].Load(); n > 0 {
			out[r] = n
		}
	}
	return out
}

// refusedVotes counts by raftpb.RejectReason.
type refusedVotes [raftpb.RejectReasonLeasePromised + 1]atomic.Uint64

func (v *refusedVotes) add(r raftpb.RejectReason) {
	if 0 <= int(r) && int(r) < len(v) {
		v[r].Add(1)
	}
}

func (v *refusedVotes) read() map[raftpb.RejectReason]uint64 {
	out := map[raftpb.RejectReason]uint64{}
	for i := range v {
		if n := v[i].Load(); n > 0 {
			out[raftpb.RejectReason(i)] = n
		}
	}
	return out
}
