package engine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/histogram"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Metrics is a snapshot of what a host counts. Counters run from Open on.
type Metrics struct {
	PreVotes    uint64 // times this host asked whether it would get votes
	Elections   uint64 // campaigns this host began, pre-votes not counted
	Leaderships uint64 // terms in which this host became leader of a group
	// ElectionReasons says why the campaigns of Elections began; Lost, why this host ceased to
	// lead a group: reasons that did not occur are not there.
	ElectionReasons, Lost map[ElectionReason]uint64
	// VotesRefused counts the votes and pre-votes that this host refused to others.
	VotesRefused map[raftpb.RejectReason]uint64
	// Proposals are the times from a proposal to its result, on this host as leader: of one
	// in 16, chosen at random, and of those that were applied.
	Proposals histogram.Histogram
	// InboxBytes is what waits for the workers: proposals and reads, and messages. Now.
	InboxBytes int
	// EventsDropped counts events that Config.Observer was too slow to be told of.
	EventsDropped uint64
	Transfers     uint64 // hand-overs that ended with the other one leading
	Changes       uint64 // changes of membership that this host carried through as leader
	Reads         ReadMetrics
	Sessions      SessionMetrics
	ApplyFaults   uint64 // errors of state machines
	Divergences   uint64 // differences between members that this host found as leader
	Log           wal.Metrics
	Network       transport.Metrics
	Repairs       RepairMetrics
	Snapshots     SnapshotMetrics
}

// ReadMetrics counts reads by how they were served.
type ReadMetrics struct {
	ByRound uint64 // with a read index from the leader
	ByLease uint64
	Local   uint64 // stale
	// Rounds is how many rounds to a majority confirmed reads of this host as leader: the
	// reads that waited at the same time share one.
	Rounds uint64
}

// SessionMetrics counts what sessions did, on the members that answered for it.
type SessionMetrics struct {
	Opened   uint64
	Answered uint64 // retries that got what the first attempt returned
	Refused  uint64 // commands of sessions that are gone, or with a serial outside of the window
}

// SnapshotMetrics counts what became of snapshots on a host.
type SnapshotMetrics struct {
	Taken     uint64 // of the state of this host's own machines, and durable
	Failed    uint64 // attempts
	Sent      uint64 // to members that have installed them
	Installed uint64 // received ones
	BytesOut  uint64 // of snapshots sent to other members
	BytesIn   uint64
	Resumed   uint64 // times that a transfer went on in the middle of a snapshot
	Abandoned uint64 // transfers given up
	BytesLent uint64 // of BytesOut, to members that read from this host though it does not lead
	Pulled    uint64 // received ones that were read from other members than the leader
}

// Metrics returns the counters of the host. Safe for concurrent use.
func (h *Host) Metrics() Metrics {
	repairs := h.rt.RepairCounts()
	return Metrics{
		Repairs: RepairMetrics{
			Damaged: repairs.Damaged, Repaired: repairs.Repaired, Served: repairs.Served, Scrubs: h.counters.scrubs.Load(),
		},
		PreVotes:    h.counters.preVotes.Load(),
		Elections:   h.counters.elections.Load(),
		Leaderships: h.counters.leaderships.Load(),

		ElectionReasons: h.counters.electionReasons.read(), Lost: h.counters.lost.read(), VotesRefused: h.counters.votesRefused.read(),
		Proposals: h.counters.proposals.Read(), InboxBytes: h.rt.InboxBytes(), EventsDropped: h.counters.eventsDropped.Load(),

		Transfers:   h.counters.transfers.Load(),
		Changes:     h.counters.changes.Load(),
		ApplyFaults: h.counters.applyFaults.Load(),
		Divergences: h.counters.divergences.Load(),
		Reads: ReadMetrics{
			ByRound: h.counters.roundReads.Load(), ByLease: h.counters.leaseReads.Load(), Local: h.counters.localReads.Load(),
			Rounds: h.rt.ReadRounds(),
		},
		Sessions: SessionMetrics{
			Opened: h.counters.sessionsOpened.Load(), Answered: h.counters.sessionAnswers.Load(), Refused: h.counters.sessionRefusals.Load(),
		},
		Log:       h.log.Metrics(),
		Network:   h.network.Metrics(),
		Snapshots: SnapshotMetrics(h.rt.SnapshotCounts()),
	}
}

type counters struct {
	electionReasons, lost byReason
	votesRefused          refusedVotes
	proposals             histogram.Recorder
	eventsDropped         atomic.Uint64

	scrubs                                                                         atomic.Uint64
	preVotes, elections, leaderships, transfers, changes, applyFaults, divergences atomic.Uint64
	roundReads, leaseReads, localReads                                             atomic.Uint64
	sessionsOpened, sessionAnswers, sessionRefusals                                atomic.Uint64
}

// observer counts and logs what happens in the core of one group.
type observer struct {
	h         *Host
	elections elections
}

// Fact implements runtime.Observer.
func (o *observer) Fact(group GroupID, f raft.Fact) {
	log, node := o.h.cfg.Logger, o.h.cfg.Node
	if c, changed := o.elections.follow(f, time.Now); changed {
		o.countRole(c)
		o.h.tell(Event{Kind: EventRole, Group: group, Peer: c.Leader, Role: c.Role, Term: c.Term, Reason: string(c.Reason)})
		log.Info("role changed", "node", node, "group", group, "role", f.Role.String(), "term", f.Term, "index", f.Index, "reason", string(c.Reason))
		return
	}
	o.h.tellFact(group, f)
	switch f.Kind {
	case raft.FactVoteRefused:
		o.h.counters.votesRefused.add(f.Reason)
	case raft.FactTransferEnded:
		if f.Refusal == raft.RefusalNone {
			o.h.counters.transfers.Add(1)
		}
		log.Info("hand-over ended", "node", node, "group", group, "peer", f.Peer, "term", f.Term, "reason", f.Refusal.String())
	case raft.FactChangeEnded:
		if f.Refusal == raft.RefusalNone {
			o.h.counters.changes.Add(1)
		}
		log.Info("change of membership ended", "node", node, "group", group, "index", f.Index, "term", f.Term, "reason", f.Refusal.String())
	case raft.FactConfiguration:
		log.Info("configuration in force", "node", node, "group", group, "index", f.Index, "term", f.Term)
	case raft.FactRepaired:
		log.Info("group repaired: it votes and acknowledges again", "node", node, "group", group, "index", f.Index, "term", f.Term)
	case raft.FactStateLost:
		log.Error("state lost: a snapshot is awaited from the leader", "node", node, "group", group, "index", f.Index)
	case raft.FactMemberLacksState:
		log.Warn("member has lost its state and is sent a snapshot", "node", node, "group", group, "peer", f.Peer, "index", f.Index)
	case raft.FactMemberInDoubt:
		log.Warn("member is in doubt: its log was damaged", "node", node, "group", group, "peer", f.Peer, "index", f.Index)
	case raft.FactMemberLost:
		log.Error("member lost what it had acknowledged", "node", node, "group", group, "peer", f.Peer, "index", f.Index)
	case raft.FactInvalidMessage:
		log.Warn("impossible message refused", "node", node, "group", group, "peer", f.Peer, "term", f.Term)
	}
}

// Ended implements runtime.Observer.
func (o *observer) Ended(group GroupID, err error) {
	o.h.tell(Event{Kind: EventGroupEnded, Group: group, Err: err})
}

// SnapshotTaken implements runtime.Observer.
func (o *observer) SnapshotTaken(group GroupID, last Index) {
	o.h.tell(Event{Kind: EventSnapshotTaken, Group: group, Index: last})
}

// faulted hears of the errors of the machine.
func (g *Group) faulted(f *ApplyFault) {
	g.host.tell(Event{Kind: EventApplyFault, Group: g.id, Index: f.Index, Err: f.Err})
}

// countRole counts a change of role.
func (o *observer) countRole(c RoleChange) {
	n := &o.h.counters
	switch {
	case c.Role == raftpb.RoleCandidate:
		n.elections.Add(1)
		n.electionReasons.add(c.Reason)
	case c.Role == raftpb.RoleLeader:
		n.leaderships.Add(1)
	case c.Role == raftpb.RolePrecandidate:
		n.preVotes.Add(1)
	default:
		n.lost.add(c.Reason)
	}
}

// unique returns a number that differs from one start, of a process or a group, to
// the next.
func unique() int64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(fmt.Sprintf("engine: no randomness: %v", err)) // crypto/rand never fails on supported systems
	}
	return int64(binary.LittleEndian.Uint64(b[:]) >> 1)
}

// seed makes the election time-outs of a node differ from those of every other
// node, group and life of the directory.
func seed(node NodeID, group GroupID, incarnation int64) uint64 {
	x := uint64(node)*0x9e3779b97f4a7c15 ^ uint64(group)*0xc2b2ae3d27d4eb4f ^ uint64(incarnation)
	x ^= x >> 31
	return x * 0xff51afd7ed558ccd
}

func walOptions(c Config, onFatal func(error)) wal.Options {
	o := wal.Options{
		Identity:     wal.Identity{Cluster: c.Cluster, Node: c.Node},
		SegmentBytes: c.SegmentBytes,
		Logger:       c.Logger,
		OnFatal:      onFatal,
		Salvage:      true, // a group in doubt neither votes nor acknowledges: see Host.start
	}
	// A worker must never wait for room in the log's queue: it holds all that the
	// engine's own limits let in.
	o.MaxQueuedBytes = int(min(1<<30, 4*int64(c.MaxInboxBytes)+4*int64(c.MaxUncommittedBytes)))
	if o.FS = c.FS; o.FS == nil {
		o.FS = wal.DefaultFS()
	}
	switch c.Durability {
	case Fsync:
	case NoSync:
		o.Sync = wal.SyncNone
	case Memory:
		o.FS = wal.NewMemFS()
	}
	return o
}
