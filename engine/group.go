package engine

import (
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Group is one Raft group on this host. Its methods are safe for concurrent use.
type Group struct {
	host      *Host
	id        GroupID
	group     *runtime.Group
	machine   StateMachine
	addresses map[NodeID]string // fixed at Start
}

// ID returns the group's id.
func (g *Group) ID() GroupID { return g.id }

// Leader returns the member that leads as far as this one knows, 0 when unknown.
func (g *Group) Leader() NodeID { return g.group.Leader() }

// Applied returns the highest index applied on this member.
func (g *Group) Applied() Index { return g.group.Applied() }

// Chain returns an index that was applied and a hash over all entries up to it:
// members that return the same index return the same hash, or have diverged.
// Ask while no command is being applied; otherwise index and hash may be apart.
func (g *Group) Chain() (Index, uint64) { return g.group.Chain() }

// Status is the state of a group on this member at one moment.
type Status struct {
	Group   GroupID
	Node    NodeID
	Role    Role
	Term    Term
	Vote    NodeID
	Leader  NodeID
	First   Index // of the log
	Last    Index
	Commit  Index
	Applied Index
	Members []Member
	// Peers is what the leader knows of the others; empty on other members.
	Peers []PeerStatus
}

// PeerStatus is the leader's view of another member.
type PeerStatus struct {
	ID          NodeID
	State       raftpb.ProgressState
	Match       Index         // known to be durable there
	Next        Index         // sent next
	Lag         Index         // entries behind the leader's log
	LastContact time.Duration // since its last answer
}

// Status returns the state of the group. It waits for the group's worker.
func (g *Group) Status() (Status, error) {
	s, now, err := g.group.Status()
	if err != nil {
		return Status{}, ErrClosed
	}
	out := Status{
		Group: g.id, Node: g.host.cfg.Node, Role: s.Role, Term: s.Term, Vote: s.Vote, Leader: s.Leader,
		First: s.First, Last: s.Last, Commit: s.Commit, Applied: g.Applied(),
	}
	for _, m := range s.Configuration.Incoming {
		out.Members = append(out.Members, Member{m.ID, m.Address})
	}
	if s.Role != raftpb.RoleLeader {
		return out, nil
	}
	for _, m := range s.Members {
		if m.ID != out.Node {
			out.Peers = append(out.Peers, PeerStatus{
				ID: m.ID, State: m.State, Match: m.Match, Next: m.Next,
				Lag: s.Last - m.Match, LastContact: time.Duration(now - m.Contact),
			})
		}
	}
	return out, nil
}

// Stop ends the group on this host. The log keeps its entries: Start brings it back.
func (g *Group) Stop() {
	g.group.Stop()
	g.host.mu.Lock()
	defer g.host.mu.Unlock()
	if g.host.groups[g.id] == g {
		delete(g.host.groups, g.id)
	}
}

func (g *Group) address(id NodeID) string { return g.addresses[id] }
