package invariant

import (
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Proposed takes note that a command with this sum was proposed to the group; sums
// are unique over all groups. See Options.Origins (I17).
func (g *Group) Proposed(sum uint64) {
	g.observer.step++
	g.observer.origins[sum] = g
}

// Received takes note that the node handled a message that was meant for group to
// and sent by a node of incarnation from, while the newest of that node is current
// (I17).
func (n *Node) Received(to raftpb.GroupID, from, current int64) {
	n.tick()
	switch {
	case to != n.group.id:
		n.report(I17, 0, n.term, "it handles a message that was meant for group %d", to)
	case from < current:
		n.report(I17, 0, n.term, "it handles a message of incarnation %d of a node that is at %d", from, current)
	}
}

// Healthy says whether the group has a quorum of nodes that can talk both ways and a
// leader among them (I12).
func (g *Group) Healthy(yes bool) { g.healthy = yes }

// Outcast says whether the node is, or until a moment ago was, isolated, paused or no
// member (I12).
func (n *Node) Outcast(yes bool) { n.outcast = yes }

// SnapshotDurable takes note that a snapshot up to i is on the disk and will be found
// there.
func (n *Node) SnapshotDurable(i raftpb.Index) {
	n.tick()
	n.snapshotted = max(n.snapshotted, i)
}

// Compacted takes note that the log on disk was dropped up to i (I18).
func (n *Node) Compacted(i raftpb.Index) {
	n.tick()
	if i > n.snapshotted {
		n.report(I18, i, n.term, "it drops its log up to %d and its newest snapshot on disk ends at %d", i, n.snapshotted)
	}
}

// NameSynced takes note that the folder that holds name was synced: the file will be
// found under it after a crash.
func (n *Node) NameSynced(name string) {
	n.tick()
	if n.names == nil {
		n.names = make(map[string]bool)
	}
	n.names[name] = true
}

// NameChanged takes note that name was created, removed or renamed, and not synced.
func (n *Node) NameChanged(name string) {
	n.tick()
	delete(n.names, name)
}

// NameReferenced takes note that something durable now relies on the file (I18).
func (n *Node) NameReferenced(name string) {
	n.tick()
	if !n.names[name] {
		n.report(I18, 0, n.term, "its disk refers to %q before the folder of that file was synced", name)
	}
}

// Resources are what a node has piled up, in bytes.
type Resources struct {
	Uncommitted int64 // entries accepted as leader and not committed
	Peer        int64 // the longest queue to one peer
	Effects     int64 // what this step handed out
}

// Uses compares what a node has piled up with its limits (I19).
func (n *Node) Uses(r Resources) {
	n.tick()
	l := &n.group.observer.options.Limits
	check := func(what string, have, limit int64) {
		if limit > 0 && have > limit {
			n.report(I19, n.log.last(), n.term, "%s: %d bytes, the limit is %d", what, have, limit)
		}
	}
	check("entries that are not committed", r.Uncommitted, l.UncommittedBytes)
	check("queue of one peer", r.Peer, l.PeerBytes)
	check("effects of one step", r.Effects, l.EffectBytes)
}

// Idle judges a stretch of time in which no client asked for anything: a process
// sends at most 4*(n-1) messages per heartbeat interval, however many groups it has
// (I22). n counts the processes.
func (o *Observer) Idle(process raftpb.NodeID, messages int, lasted, heartbeat time.Duration, n int) {
	o.step++
	intervals := int64(lasted/heartbeat) + 1 // one may have begun before
	if limit := 4 * int64(n-1) * intervals; int64(messages) > limit {
		o.keep(Violation{ID: I22, Node: process, Sentence: "idle, its process sent more messages than 4*(n-1) per heartbeat interval"})
	}
}

// CaughtUp judges how a follower was brought up to date: rejected appends are at most
// one per term in which the logs differed, plus one; accepted ones as many as full
// batches need, plus one (I22).
func (n *Node) CaughtUp(rejected, accepted, terms int, bytes, batch int64) {
	n.tick()
	if rejected > terms+1 || int64(accepted) > bytes/batch+2 {
		n.report(I22, n.log.last(), n.term, "catching up took %d rejected and %d accepted appends, for %d terms and %d bytes in batches of %d",
			rejected, accepted, terms, bytes, batch)
	}
}
