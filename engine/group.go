package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Group is one Raft group on this host. Its methods are safe for concurrent use.
type Group struct {
	host      *Host
	id        GroupID
	group     *runtime.Group
	observer  *observer
	machine   *machine
	images    *snapshot.Group
	addresses atomic.Pointer[map[NodeID]string]
	fresh     atomic.Pointer[freshness]
	comparing atomic.Bool // hashes, with other members
	diverged  atomic.Pointer[Divergence]
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
	Durable Index // this member's own disk has so much
	Commit  Index
	Applied Index
	// Snapshot is the index of the newest snapshot on this member, 0 if there is none.
	Snapshot Index
	Members  []Member // those of Configuration
	// Configuration is who is in the group, as of the newest entry here that says so.
	Configuration Configuration
	Changing      bool   // this member leads and carries out a change
	TransferTo    NodeID // who is to lead instead; 0: nobody
	// Uncertain says that damage to this member's log may have cost it what it had promised:
	// it neither votes nor acknowledges until a leader has repaired it.
	Uncertain bool
	// Asleep says that the group has nothing to do and sends nothing: see Config.QuiesceAfter.
	Asleep bool
	// ElectionTimeout is how long this member waits for a leader at most, at present: see
	// Config.MaxElectionTimeout.
	ElectionTimeout time.Duration
	// DiskStalled says that this member's disk hangs: it does not lead until it works again.
	DiskStalled bool
	// Repair is what is damaged on this member and being repaired from others.
	Repair RepairStatus
	// Err is why the group has ended on this member; nil while it runs.
	Err error
	// Peers is what the leader knows of the others; empty on other members.
	Peers []PeerStatus
	// Links says of each other member whether this host reaches it.
	Links []Link
	// ProposalBytes is what this member accepted as leader and has not applied yet; ApplyBytes is
	// what is committed and waits for the machine.
	ProposalBytes, ApplyBytes int
	// History is the last 16 changes of this member's role since Start, oldest first.
	History []RoleChange
	// ApplyFault is the last error that the machine returned from Apply; nil: none.
	ApplyFault *ApplyFault
	// Diverged is the last difference to another member that this one found; nil: none.
	Diverged *Divergence
}

// PeerStatus is the leader's view of another member.
type PeerStatus struct {
	ID          NodeID
	State       raftpb.ProgressState
	Match       Index         // known to be durable there
	Next        Index         // sent next
	Lag         Index         // entries behind the leader's log
	LagBytes    int           // of these entries, as far as the leader has them in memory
	LastContact time.Duration // since its last answer
	Suffrage    Suffrage
	// Inflight is what was sent to it and not answered, in messages and bytes.
	InflightAppends, InflightBytes int
	// Window is what may be under way to it at present: see Config.MaxInflightBytes.
	WindowAppends, WindowBytes int
}

// Status returns the state of the group. It waits for the group's worker.
func (g *Group) Status() (Status, error) {
	s, err := g.group.Status()
	if err != nil {
		return Status{}, ErrClosed
	}
	out := Status{
		Group: g.id, Node: g.host.cfg.Node, Role: s.Role, Term: s.Term, Vote: s.Vote, Leader: s.Leader,
		First: s.First, Last: s.Last, Durable: s.Durable, Commit: s.Commit, Applied: g.Applied(), ApplyFault: g.machine.fault.Load(),
		Snapshot: g.newestSnapshot(), ProposalBytes: s.OpenBytes, ApplyBytes: s.FedBytes, History: g.observer.elections.recent(),
	}
	out.Configuration = configurationOf(&s.Configuration, s.ConfigurationIndex)
	out.Members, out.Links = out.Configuration.Members, g.host.links(&out.Configuration)
	out.Uncertain, out.Repair = s.DoubtFrom != 0, repairStatus(&s)
	out.Asleep, out.DiskStalled, out.ElectionTimeout = s.Asleep, s.DiskStalled, time.Duration(s.Election)
	out.Diverged = g.diverged.Load()
	out.Changing, out.TransferTo = s.Changing, s.TransferTo
	if s.End != nil {
		out.Role, out.Leader, out.Err = raftpb.RoleUnknown, 0, g.rejected(*s.End)
	}
	if out.Role != raftpb.RoleLeader {
		return out, nil
	}
	for _, m := range s.Members {
		if m.ID != out.Node {
			out.Peers = append(out.Peers, PeerStatus{
				ID: m.ID, State: m.State, Match: m.Match, Next: m.Next,
				Lag: s.Last - m.Match, LagBytes: m.LagBytes, LastContact: time.Duration(s.Now - m.Contact), Suffrage: m.Suffrage,
				InflightAppends: m.InflightAppends, InflightBytes: m.InflightBytes,
				WindowAppends: m.WindowAppends, WindowBytes: m.WindowBytes,
			})
		}
	}
	return out, nil
}

// Stop ends the group on this host; a leader hands over first, if that takes no longer
// than an election time-out or 3 s. What waits fails with ErrClosed, and once Stop
// has returned nil the machine is left alone. The log keeps its entries: Start
// brings the group back. It waits for an Apply under way, at most until ctx ends; the
// group stops all the same. Do not call it from Apply or from a function that the
// engine runs.
func (g *Group) Stop(ctx context.Context) error {
	if g.Leader() == g.host.cfg.Node {
		handing, cancel := context.WithTimeout(ctx, g.host.handOverTimeout())
		_ = g.Transfer(handing, 0) // nobody may be there to take it
		cancel()
	}
	stopping := g.group.Stop()
	select {
	case <-stopping:
	case <-g.group.Stopped():
	case <-ctx.Done():
		return fmt.Errorf("engine: stop group %d: %w", g.id, ctx.Err())
	}
	g.host.forget(g)
	return nil
}

func (g *Group) address(id NodeID) string { return (*g.addresses.Load())[id] }
