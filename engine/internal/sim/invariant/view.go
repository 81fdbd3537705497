package invariant

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// View is what a node looks like after an event.
type View struct {
	Role     raftpb.Role
	Term     raftpb.Term
	Vote     raftpb.NodeID
	Commit   raftpb.Index
	Applied  raftpb.Index
	Snapshot raftpb.Index // the newest one's end
	First    raftpb.Index // of the log
	Last     raftpb.Index
	LastTerm raftpb.Term
	Durable  raftpb.Index // what the node believes to be on its disk
	Config   raftpb.Index // where the configuration in force stands; 0: the first one
	// Restoring says that the state machine has not taken in the snapshot yet: Applied
	// may lie below it.
	Restoring bool
	// Uncertain says that the node knows its disk to be damaged and holds back.
	Uncertain bool
}

// Observe compares the node with what it was before the event and with what all
// others have ever been. The observer keeps nothing of v.
func (n *Node) Observe(v *View) {
	n.tick()
	if n.doubt && !v.Uncertain {
		n.trusts()
	}
	if v.Term != n.term || v.Vote != n.vote {
		n.checkTerm(v)
	}
	if v.Role == raftpb.RoleLeader && (n.role != raftpb.RoleLeader || n.term != v.Term) {
		n.checkElected(v)
	}
	n.checkLog(v)
	if v.Commit != n.commit {
		n.checkCommit(v)
	}
	n.checkOrder(v)
	if len(n.changes) > 0 || n.created != 0 {
		n.checkCreated(v)
	}
	if v.Role != raftpb.RoleLeader {
		n.lease = 0
	}
	n.started = true
	n.led = n.role == raftpb.RoleLeader && n.term == v.Term
	n.role, n.term, n.vote = v.Role, v.Term, v.Vote
	n.commit, n.applied, n.snapshot, n.durable = v.Commit, v.Applied, v.Snapshot, v.Durable
	n.before, n.inForce, n.truncated = n.inForce, n.config().config, false
}

// checkTerm: I7 and I12.
func (n *Node) checkTerm(v *View) {
	g := n.group
	began := v.Term > n.term && (v.Role == raftpb.RoleCandidate || v.Role == raftpb.RoleLeader)
	switch {
	case v.Term < n.term:
		n.report(I7, 0, v.Term, "its term falls from %d to %d", n.term, v.Term)
	case v.Term == n.term && n.vote != 0:
		n.report(I7, 0, v.Term, "its vote in term %d changes from node %d to node %d", v.Term, n.vote, v.Vote)
	case began && g.healthy && n.outcast:
		n.report(I12, 0, v.Term, "it begins term %d while it is cut off, paused or no member and the others are well", v.Term)
	case !began && v.Term > max(g.maxTerm, n.term):
		n.report(I12, 0, v.Term, "it is in term %d, which no candidate began", v.Term)
	}
	if began {
		g.maxTerm = max(g.maxTerm, v.Term)
	}
}

// checkElected: I1, I4 and I11.
func (n *Node) checkElected(v *View) {
	g := n.group
	if other := g.leaders[v.Term]; other != nil {
		n.report(I1, 0, v.Term, "it leads term %d, which node %d leads or led", v.Term, other.id)
	} else {
		g.leaders[v.Term] = n
	}
	votes := uint64(0)
	if n.ballotsOf == v.Term {
		votes = n.ballots
	}
	if g.votes[ballot{v.Term, n.slot}] == n.id {
		votes |= 1 << n.slot
	} else {
		n.report(I9, 0, v.Term, "it leads term %d before its own vote is on its disk", v.Term)
	}
	c := g.configs[n.inForce]
	if !c.quorum(votes) {
		n.report(I1, 0, v.Term, "it leads term %d without the votes of a quorum: %b of voters %b, outgoing %b", v.Term, votes, c.voters, c.outgoing)
	}
	self := uint64(1) << n.slot
	switch {
	case (c.voters|c.outgoing)&self == 0 && c.learners&self != 0 && !n.votedBefore(v.Commit):
		n.report(I11, 0, v.Term, "it leads term %d and is a learner", v.Term)
	case c.witnesses&self != 0:
		n.report(I11, 0, v.Term, "it leads term %d and is a witness", v.Term)
	case !c.voter(n.slot) && n.config().index <= v.Commit:
		n.report(I11, n.config().index, v.Term, "it leads term %d and is no voter of the configuration at %d, which it knows to be committed", v.Term, n.config().index)
	}
	if i := g.committedBefore(v.Term); !n.log.holds(g, i, g.committed[i]) {
		n.report(I4, i, v.Term, "it leads term %d without the entries up to %d that were committed before", v.Term, i)
	}
}

// votedBefore reports whether a configuration that may still come back, because what
// replaced it is not known to be committed, has the node as a voter.
func (n *Node) votedBefore(commit raftpb.Index) bool {
	for k := len(n.configs) - 1; k > 0 && n.configs[k].index > commit; k-- {
		if n.group.configs[n.configs[k-1].config].voter(n.slot) {
			return true
		}
	}
	return false
}

// checkLog: what the node says of its log is what became of its writes (I3), its
// configuration is the last one in there (I10), what it believes durable is (I9).
func (n *Node) checkLog(v *View) {
	g := n.group
	last := n.log.last()
	if at, ok := n.log.at(g, v.Last); v.Last != last || !ok || at.term != v.LastTerm {
		at, _ := n.log.at(g, last)
		n.report(I3, v.Last, v.Term, "its log ends at %d of term %d; by its writes it ends at %d of term %d", v.Last, v.LastTerm, last, at.term)
	}
	if c := n.config(); c.index != v.Config {
		n.report(I10, v.Config, v.Term, "the configuration of %d is in force; the last one in its log stands at %d", v.Config, c.index)
	}
	if v.Durable != n.durable || n.truncated {
		at, ok := n.log.at(g, v.Durable)
		if !ok || !n.disk.log.holds(g, v.Durable, at) {
			n.report(I9, v.Durable, v.Term, "it believes its log durable up to %d; its disk holds another one, or less (%d)", v.Durable, n.disk.log.last())
		}
		if v.Durable < n.durable && !n.truncated {
			n.report(I7, v.Durable, v.Term, "its durable position falls from %d to %d without a truncation", n.durable, v.Durable)
		}
	}
}

// checkCommit: I5, I6 and I7.
func (n *Node) checkCommit(v *View) {
	g := n.group
	at, ok := n.log.at(g, v.Commit)
	switch {
	case v.Commit < n.commit:
		n.report(I7, v.Commit, v.Term, "its commit index falls from %d to %d", n.commit, v.Commit)
	case !ok: // checkOrder says what is wrong
	case v.Role == raftpb.RoleLeader, n.role == raftpb.RoleLeader && n.term == v.Term: // it may have removed itself with that
		n.checkLeaderCommit(v, at)
	case v.Commit > g.end():
		n.report(I5, v.Commit, v.Term, "it commits %d and leaders have committed %d", v.Commit, g.end())
	case at != g.committed[v.Commit]:
		n.report(I5, v.Commit, v.Term, "its entry %d, which it commits, is not the one that a leader committed", v.Commit)
	}
}

func (n *Node) checkLeaderCommit(v *View, at link) {
	g := n.group
	if at.term != v.Term {
		n.report(I6, v.Commit, v.Term, "it commits entry %d of term %d by counting in term %d", v.Commit, at.term, v.Term)
	}
	var held uint64
	for _, m := range g.nodes {
		if m.disk.log.holds(g, v.Commit, at) || m.doubt && m.lost.log.holds(g, v.Commit, at) {
			held |= 1 << m.slot
		}
	}
	if c := g.configs[n.inForce]; !c.quorum(held) {
		n.report(I6, v.Commit, v.Term, "it commits entry %d, which is durable at %b of voters %b, outgoing %b", v.Commit, held, c.voters, c.outgoing)
	}
	for _, m := range g.nodes {
		if c := g.configs[n.inForce]; m.doubt && held>>m.slot&1 != 0 && c.quorum(held) && !c.quorum(held&^(1<<m.slot)) {
			m.owed = max(m.owed, v.Commit)
		}
	}
	end := g.end()
	if top := min(end, v.Commit); !n.log.holds(g, top, g.committed[top]) {
		n.report(I6, top, v.Term, "it commits a log up to %d that differs from what was committed at %d or before", v.Commit, top)
		return
	}
	for i := end + 1; i <= v.Commit; i++ {
		l, _ := n.log.at(g, i)
		g.committed = append(g.committed, l)
		if config, ok := g.brought[place{i, l.term}]; ok {
			g.adopted = append(g.adopted, configAt{i, config})
		}
	}
	g.commitBy(v.Term, v.Commit)
}

// checkOrder: I7 and I8.
func (n *Node) checkOrder(v *View) {
	if v.Applied < n.applied || v.Snapshot < n.snapshot {
		n.report(I7, v.Applied, v.Term, "applied goes from %d to %d, the snapshot from %d to %d", n.applied, v.Applied, n.snapshot, v.Snapshot)
	}
	purged := v.First - 1
	if purged < 0 || purged > v.Snapshot || v.Snapshot > v.Applied && !v.Restoring || v.Applied > v.Commit || v.Snapshot > v.Commit || v.Commit > v.Last {
		n.report(I8, v.Commit, v.Term, "out of order: purged %d, snapshot %d, applied %d, commit %d, last %d", purged, v.Snapshot, v.Applied, v.Commit, v.Last)
	}
}

// checkCreated: entries begin with the leader of their term (I3), and a leader
// changes the configuration by the rules (I10, I11).
func (n *Node) checkCreated(v *View) {
	g := n.group
	if n.created != 0 && g.leaders[n.created] != n {
		n.report(I3, v.Last, n.created, "an entry of term %d begins with it, and it did not lead that term", n.created)
	}
	for _, c := range n.changes {
		if text := c.from.fault(c.to); text != "" {
			n.report(I10, c.at, v.Term, "%s", text)
		}
		at, ok := n.log.at(g, v.Commit)
		switch {
		case c.before > v.Commit:
			n.report(I10, c.at, v.Term, "it changes the configuration and the change at %d is not committed", c.before)
		case !ok || at.term != v.Term:
			n.report(I10, c.at, v.Term, "it changes the configuration before it has committed in its own term")
		}
	}
	if n.created == v.Term && !g.configs[n.inForce].voter(n.slot) && n.knewRemoved() {
		n.report(I11, v.Last, v.Term, "it appends entries after its removal was committed")
	}
	n.created, n.changes = 0, n.changes[:0]
}

// knewRemoved reports whether, before the step, the configuration that leaves the
// node out was committed.
func (n *Node) knewRemoved() bool {
	k := slices.IndexFunc(n.configs, func(c configAt) bool { return c.config == n.inForce })
	return k >= 0 && n.configs[k].index <= n.commit
}
