package world

import (
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// When all is well again, some worlds are watched for a while: nobody asks for
// anything, so hardly a message may be sent (I22), and a node that is cut off, or
// sleeps, and comes back must disturb nobody (I12).
//
//	settled --lateness--> nothing old is under way --idleFor--> I22 --cut, heal--> I12
const (
	lateness = 14 * election // about the longest that a message takes, or a pause
	idleFor  = 4 * election
	cutFor   = 3 * election
)

// reign is a leadership that must outlast what befalls somebody else.
type reign struct {
	leader *member
	term   raftpb.Term
}

// aftermath has numbers of its own: what comes before does not depend on it.
func (w *World) aftermath() {
	own := schedule.NewStream(w.o.Seed, 320)
	if w.failure != nil || w.o.Custom != nil || !own.Chance(0.25) {
		return
	}
	w.pass(lateness)
	w.idles()
	w.disturb(&own)
}

// pass lets time pass.
func (w *World) pass(span int64) {
	for until := w.now + span; w.failure == nil; w.next() {
		if at, ok := w.queue.NextAt(); !ok || at > until {
			w.now = until
			return
		}
	}
}

// idles counts what the processes send while nobody wants anything.
func (w *World) idles() {
	for _, n := range w.nodes {
		n.sent = 0
	}
	w.pass(idleFor)
	if w.failure != nil {
		return
	}
	w.did.idled++
	observer := w.groups[0].judge.Observer
	for _, n := range w.nodes {
		observer.Idle(n.id, n.sent, time.Duration(idleFor), time.Duration(w.k.heartbeat), len(w.nodes))
	}
	w.judge()
}

// disturb parts one node from all others, in one direction or both, or pauses it. It
// comes back. Groups that it leads itself look for another leader; no other may.
func (w *World) disturb(own *schedule.Stream) {
	if w.failure != nil || w.k.disablePre || w.k.disableQuorum {
		return
	}
	victim := w.nodes[own.Intn(len(w.nodes))]
	var reigns []reign
	for _, g := range w.groups {
		if leader := g.leader(); leader != nil && leader.n != victim && g.bears(leader, victim) {
			reigns = append(reigns, reign{leader, leader.judge.Term()})
			g.judge.Watched.Healthy(true)
			g.members[victim.place].judge.Watched.Outcast(true)
		}
	}
	w.trace(victim, "disturb", "%d groups must not notice", len(reigns))
	if way := own.Intn(4); way == 3 {
		victim.pausedUntil = w.now + cutFor
	} else {
		w.cut([2]uint64{1 << victim.place}, way, cutFor)
	}
	w.pass(cutFor + 2*election)
	for _, r := range reigns {
		g := r.leader.g
		g.judge.Watched.Healthy(false)
		g.members[victim.place].judge.Watched.Outcast(false)
		if r.leader.judge.Role() != raftpb.RoleLeader || r.leader.judge.Term() != r.term {
			w.fail("I12", "%snode %d was away for a while, and node %d, which led term %d, does not any more: %s",
				g.name(), victim.id, r.leader.n.id, r.term, g.situation())
		}
		w.did.disturbed++
	}
}

// bears reports whether the voters without n are a quorum.
func (g *group) bears(leader *member, n *node) bool {
	voters, others := 0, 0
	conf := leader.group.Node().Status().Configuration
	for i := range conf.Incoming {
		if conf.Incoming[i].Suffrage == raftpb.SuffrageLearner {
			continue
		}
		voters++
		if conf.Incoming[i].ID != n.id {
			others++
		}
	}
	return len(conf.Outgoing) == 0 && others > voters/2
}
