package invariant

import (
	"sort"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Image is what a node finds on its disk when it starts.
type Image struct {
	Term        raftpb.Term
	Vote        raftpb.NodeID
	Incarnation int64
	Snapshot    Mark    // what the log begins behind
	Entries     []Entry // of the log, from Snapshot.Index+1
	// Damaged says that the disk lost, or may have lost, what had been written. From
	// DoubtFrom on entries are in doubt, votes always.
	Damaged   bool
	DoubtFrom raftpb.Index
	// Finished says that a snapshot that had arrived before the crash became the log.
	Finished bool
}

// lost is what a damaged disk had held.
type lost struct {
	term raftpb.Term // that others may have heard of as one in which it voted for them
	log  chain
}

// Crashed takes note that the node's memory is gone. Writes under way may be on the
// disk or not; Restarted will tell.
func (n *Node) Crashed() {
	n.tick()
	n.lease = 0
}

// Restarted compares what a node found on its disk with what must be there. It is
// also how a node begins that does not start with an empty log. A node whose disk is
// empty and that joins anew, as another member, is another node: give it another id.
func (n *Node) Restarted(d *Image) {
	n.tick()
	log := n.recovered(d)
	switch {
	case d.Damaged:
		if !n.doubt {
			n.lost = lost{n.disk.term, n.disk.log}
			if n.disk.vote == n.id {
				n.lost.term = 0 // its own candidacy: nobody else can count that vote
			}
			n.owed = n.committedOf(&n.lost.log)
		}
		n.doubt, n.doubtFrom = true, d.DoubtFrom
		n.losses++
	case n.started:
		n.survives(d, &log)
	}
	if d.Incarnation < n.incarnation && !d.Damaged {
		n.report(I7, 0, d.Term, "its incarnation goes from %d to %d", n.incarnation, d.Incarnation)
	}
	if d.Damaged {
		n.snapshotted = 0
	}
	n.snapshotted = max(n.snapshotted, d.Snapshot.Index)
	n.started, n.incarnation = true, d.Incarnation
	n.role, n.term, n.vote = raftpb.RoleFollower, d.Term, d.Vote
	n.commit, n.applied, n.machine, n.snapshot, n.durable = 0, 0, 0, 0, 0
	n.lease, n.created, n.changes = 0, 0, n.changes[:0]
	n.ballots, n.heard = 0, [MaxNodes]heard{}
	n.spare = append(n.spare, n.writes...)
	n.writes = n.writes[:0]
	n.disk.term, n.disk.vote = d.Term, d.Vote
	n.voted(d.Term, d.Vote)
	n.disk.log = log
	n.log = chain{log.base, log.behind, append(n.log.links[:0], log.links...)}
	n.inForce = n.config().config
	n.before = n.inForce
}

// recovered turns the image into a chain, every entry of which must be one that was
// written, and finds its configurations.
func (n *Node) recovered(d *Image) chain {
	g := n.group
	log := chain{base: d.Snapshot.Index, behind: link{term: d.Snapshot.Term}, links: make([]link, 0, len(d.Entries))}
	if i := d.Snapshot.Index; i <= g.end() && g.committed[i].term == d.Snapshot.Term {
		log.behind = g.committed[i]
	} else {
		n.report(I20, i, d.Snapshot.Term, "its disk returns a snapshot up to %d of term %d, which was never committed", i, d.Snapshot.Term)
	}
	n.configs = append(n.configs[:0], g.configAtCommitted(log.base))
	at := log.behind
	for k := range d.Entries {
		e := &d.Entries[k]
		at = at.next(e)
		p := place{log.base + 1 + raftpb.Index(k), e.Term}
		if hash, ok := g.known(p); !ok && !n.started {
			g.note(p, at.hash)
		} else if hash != at.hash {
			n.report(I20, p.index, p.term, "its disk returns an entry %d of term %d that nobody wrote", p.index, p.term)
		}
		if e.Config != nil {
			n.adopts(p, e.Config)
		}
		log.links = append(log.links, at)
	}
	return log
}

// survives: everything that was on the disk is still there, but for what a write
// under way replaces.
func (n *Node) survives(d *Image, log *chain) {
	g := n.group
	fits := d.Term == n.disk.term && d.Vote == n.disk.vote
	upto := n.disk.log.last()
	for _, w := range n.writes {
		fits = fits || d.Term == w.term && d.Vote == w.vote
		if w.truncate > 0 {
			upto = min(upto, w.truncate-1)
		}
	}
	if d.Finished { // it is of a later term, perhaps, and what it conflicts with is void
		fits, upto = fits || d.Term > n.disk.term, min(upto, n.committedOf(&n.disk.log))
	}
	if !fits {
		n.report(I9, 0, d.Term, "it comes back in term %d with a vote for %d; its disk held term %d, vote %d", d.Term, d.Vote, n.disk.term, n.disk.vote)
	}
	if was, _ := n.disk.log.at(g, upto); log.base < upto && !log.holds(g, upto, was) {
		n.report(I9, log.last()+1, d.Term, "it comes back with a log up to %d and had %d on its disk", log.last(), upto)
	}
}

// committedOf is how far a log agrees with the committed one.
func (n *Node) committedOf(log *chain) raftpb.Index {
	g := n.group
	return raftpb.Index(sort.Search(int(min(log.last(), g.end())), func(k int) bool { // hashes differ for ever from the first that does
		i := raftpb.Index(k + 1)
		return !log.holds(g, i, g.committed[i])
	}))
}

// trusts: a node in doubt says that it is sure again. Then its disk holds what it
// had held of what was committed, or was committed since by counting it, and its term has not fallen.
func (n *Node) trusts() {
	g, owed := n.group, n.owed
	n.doubt = false
	if n.disk.term < n.lost.term {
		n.report(I21, 0, n.disk.term, "it trusts its disk in term %d and had been in term %d", n.disk.term, n.lost.term)
	}
	if !n.disk.log.holds(g, owed, g.committed[owed]) {
		n.report(I21, owed, n.disk.term, "it trusts its disk without the committed entries up to %d that were on it", owed)
	}
	n.lost = lost{}
}

// ReadBack takes note that the node's store returned e for position i as good.
func (n *Node) ReadBack(i raftpb.Index, e *Entry) {
	n.tick()
	for _, c := range [...]*chain{&n.disk.log, &n.log} {
		if before, ok := c.at(n.group, i-1); ok && c.holds(n.group, i, before.next(e)) {
			return
		}
	}
	n.report(I20, i, e.Term, "its store returns an entry %d that is not the one written there", i)
}
