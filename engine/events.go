package engine

import (
	"fmt"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// EventKind says what an Event is about, and which of its fields count beside Kind and At.
// Group counts in all of them, if it is not 0.
type EventKind uint8

const (
	// EventRole: this member took Role in Term; Peer leads, if that is known; Reason is an
	// ElectionReason or "". As in Status.History.
	EventRole EventKind = iota + 1
	// EventMembership: the configuration of entry Index is in force here, in Term.
	EventMembership
	// EventChangeEnded: a change of members of this leader has ended in Term, at Index if Reason is
	// "none"; else Reason says why it failed.
	EventChangeEnded
	// EventTransferEnded: a hand-over of this leader of Term to Peer has ended. Reason is "none",
	// or why it failed.
	EventTransferEnded
	// EventSnapshotTaken: a snapshot of this member's own state up to Index is durable.
	EventSnapshotTaken
	// EventSnapshotInstalled: the state is now that of a snapshot of Peer's up to Index.
	EventSnapshotInstalled
	// EventDamage: damaged bytes were found in the log or in a snapshot: Err. Index is the first
	// entry in doubt, if it is known. Group 0: no group's entry is.
	EventDamage
	// EventStateLost: the state is lost here; a snapshot of Index or more is awaited.
	EventStateLost
	// EventMemberInDoubt: this leader hears that the log of Peer was damaged, which had acknowledged
	// up to Index.
	EventMemberInDoubt
	// EventMemberLost: this leader hears that Peer lost what it had acknowledged, up to Index.
	EventMemberLost
	// EventRepaired: this member's log is whole again up to Index: it votes and acknowledges.
	EventRepaired
	// EventDiskStalled: this node's disk hangs, or is full; its leaders hand over. Group is 0.
	EventDiskStalled
	// EventDiskOK: it does not any more. Group is 0.
	EventDiskOK
	// EventApplyFault: the machine returned Err from Apply; Index is the first command of the batch.
	EventApplyFault
	// EventDiverged: this leader found that Peer had another state at Index than its own.
	EventDiverged
	// EventGroupEnded: the group has ended on this member, of Err.
	EventGroupEnded
	// EventPeerLost: this host cannot reach Peer (see Link). Group is 0. Told some 250 ms after it
	// is seen; Status.Links and Metrics.Network.Peers have the time.
	EventPeerLost
	// EventPeerReached: it can. Group is 0.
	EventPeerReached
)

// String returns the kind's name.
func (k EventKind) String() string {
	names := [...]string{
		EventRole: "role", EventMembership: "membership", EventChangeEnded: "change-ended", EventTransferEnded: "transfer-ended",
		EventSnapshotTaken: "snapshot-taken", EventSnapshotInstalled: "snapshot-installed",
		EventDamage: "damage", EventStateLost: "state-lost", EventMemberInDoubt: "member-in-doubt", EventMemberLost: "member-lost",
		EventRepaired: "repaired", EventDiskStalled: "disk-stalled", EventDiskOK: "disk-ok",
		EventApplyFault: "apply-fault", EventDiverged: "diverged", EventGroupEnded: "group-ended",
		EventPeerLost: "peer-lost", EventPeerReached: "peer-reached",
	}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("EventKind(%d)", uint8(k))
	}
	return names[k]
}

// Event is something that happened on a host: see Config.Observer. Which fields count, its
// Kind says; the others are zero or mean nothing.
type Event struct {
	Kind   EventKind
	At     time.Time // when the host noticed it
	Group  GroupID   // 0: the whole host
	Peer   NodeID
	Role   Role
	Term   Term
	Index  Index
	Reason string
	Err    error
}

// maxEvents is how many events wait for Config.Observer.
const maxEvents = 4096

// startObserver runs before anything that tells.
func (h *Host) startObserver() {
	if h.cfg.Observer == nil {
		return
	}
	h.events = make(chan Event, maxEvents)
	h.observing.Go(func() {
		for e := range h.events {
			h.cfg.Observer(e)
		}
	})
	h.watcher.Go(h.watchLinks)
}

// endObserver waits until the observer was told of everything. Workers and tasks have
// ended: nobody tells anything any more.
func (h *Host) endObserver() {
	if h.events != nil {
		close(h.events)
		h.observing.Wait()
	}
}

// tell queues e for the observer, and drops it when the observer is too slow. It never
// blocks, so workers call it. Safe for concurrent use until the host's tasks have ended.
func (h *Host) tell(e Event) {
	if h.cfg.Observer == nil {
		return
	}
	e.At = time.Now()
	select {
	case h.events <- e:
	default:
		h.counters.eventsDropped.Add(1)
	}
}

// tellDisk says once for the host what the core of each of its groups hears.
func (h *Host) tellDisk(stalled bool) {
	if h.diskStalled.Swap(stalled) == stalled {
		return
	}
	if stalled {
		h.tell(Event{Kind: EventDiskStalled})
	} else {
		h.tell(Event{Kind: EventDiskOK})
	}
}

// tellFact tells the observer what a core did, roles apart.
func (h *Host) tellFact(group GroupID, f raft.Fact) {
	e := Event{Group: group, Peer: f.Peer, Term: f.Term, Index: f.Index}
	switch f.Kind {
	case raft.FactConfiguration:
		e.Kind = EventMembership
	case raft.FactChangeEnded:
		e.Kind, e.Reason = EventChangeEnded, f.Refusal.String()
	case raft.FactTransferEnded:
		e.Kind, e.Reason = EventTransferEnded, f.Refusal.String()
	case raft.FactSnapshotInstalled:
		e.Kind = EventSnapshotInstalled
	case raft.FactStateLost:
		e.Kind = EventStateLost
	case raft.FactMemberInDoubt:
		e.Kind = EventMemberInDoubt
	case raft.FactMemberLost:
		e.Kind = EventMemberLost
	case raft.FactRepaired:
		e.Kind = EventRepaired
	case raft.FactDiskStalled, raft.FactDiskOK:
		h.tellDisk(f.Kind == raft.FactDiskStalled)
		return
	default:
		return
	}
	h.tell(e)
}
