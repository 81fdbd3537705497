package invariant

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// Write is what a node hands to its disk in one piece, and with it what happens to
// its log.
//
//	           1 2 3 4 5 6        the log
//	TruncateFrom 5   4            drops 5 and 6
//	From 5, Entries      5' 6' 7'
type Write struct {
	ID           uint64 // rises with every write of a node, also over restarts
	Term         raftpb.Term
	Vote         raftpb.NodeID
	TruncateFrom raftpb.Index // 0: nothing is dropped
	From         raftpb.Index // of the first of Entries
	Entries      []Entry
	Snapshot     Mark // installed from a leader; Index 0: none. A tail is dropped by TruncateFrom
}

// write is a Write under way. Its memory is used again.
type write struct {
	id       uint64
	term     raftpb.Term
	vote     raftpb.NodeID
	truncate raftpb.Index
	links    []link
	snapshot raftpb.Index
	behind   link
}

// written is a write that completed: up to where the log reached with it.
type written struct {
	id   uint64
	term raftpb.Term
	last raftpb.Index
}

// image is what a disk holds.
type image struct {
	term  raftpb.Term
	vote  raftpb.NodeID
	log   chain
	wrote uint64 // the last write that completed
}

// Wrote takes note of a write handed to the disk. The observer keeps nothing of w.
func (n *Node) Wrote(w *Write) {
	n.tick()
	g := n.group
	last := n.log.last()
	if w.TruncateFrom > 0 && w.TruncateFrom <= last && n.role == raftpb.RoleLeader && w.Term == n.term {
		n.report(I2, w.TruncateFrom, w.Term, "it leads term %d and drops its own entries from %d on", w.Term, w.TruncateFrom)
	}
	if w.TruncateFrom > 0 && w.TruncateFrom <= n.log.base {
		n.report(I6, w.TruncateFrom, w.Term, "it truncates from %d on, which its snapshot covers up to %d", w.TruncateFrom, n.log.base)
	}
	if k := len(n.writes); k > 0 && w.Term < n.writes[k-1].term || w.Term < n.disk.term {
		n.report(I7, 0, w.Term, "it writes term %d behind a higher one", w.Term)
	}
	if w.Vote == n.id { // a candidacy; it may crash before anybody sees it in that role
		g.maxTerm = max(g.maxTerm, w.Term)
	}
	top, first := min(last, g.end()), w.TruncateFrom
	hadTop := n.log.holds(g, top, g.committed[top])
	hadFirst := first > 0 && first <= top && n.log.holds(g, first, g.committed[first])
	promise, promised := n.log.at(g, n.promised.index)
	promised = promised && n.promised.term == w.Term

	wr := n.newWrite(w)
	if w.Snapshot.Index > 0 {
		n.installs(w, wr)
	}
	if w.TruncateFrom > 0 {
		n.log.cut(w.TruncateFrom)
		n.dropConfigs(w.TruncateFrom)
		n.truncated = true
	}
	n.appends(w, wr)
	n.writes = append(n.writes, wr)

	if hadTop && !n.log.holds(g, top, g.committed[top]) || hadFirst && !n.log.holds(g, first, g.committed[first]) {
		n.report(I6, first, w.Term, "it drops committed entries: it truncates from %d on and %d is committed", first, g.end())
	}
	if promised && !n.log.holds(g, n.promised.index, promise) {
		n.report(I9, n.promised.index, w.Term, "it drops entry %d, which it acknowledged in this term", n.promised.index)
	}
}

func (n *Node) newWrite(w *Write) *write {
	k := len(n.spare)
	if k == 0 {
		n.spare, k = append(n.spare, new(write)), 1
	}
	wr := n.spare[k-1]
	n.spare = n.spare[:k-1]
	*wr = write{id: w.ID, term: w.Term, vote: w.Vote, truncate: w.TruncateFrom, links: wr.links[:0]}
	return wr
}

// installs replaces what a snapshot covers. The tail behind it stays if the log
// agrees with the snapshot.
func (n *Node) installs(w *Write, wr *write) {
	g, i := n.group, w.Snapshot.Index
	if i > g.end() || g.committed[i].term != w.Snapshot.Term {
		n.report(I16, i, w.Snapshot.Term, "it installs a snapshot up to %d of term %d, which is not committed", i, w.Snapshot.Term)
		return
	}
	at := g.committed[i]
	keep := n.log.holds(g, i, at)
	if !keep && n.log.last() > i && (w.TruncateFrom == 0 || w.TruncateFrom > i+1) {
		n.report(I3, i, w.Term, "it keeps a tail up to %d behind a snapshot up to %d with which its log does not agree", n.log.last(), i)
	}
	wr.snapshot, wr.behind = i, at
	n.log.restart(i, at, keep)
	if !keep {
		n.configs = append(n.configs[:0], g.configAtCommitted(i))
		n.truncated = true
	}
}

// appends extends the log in memory.
func (n *Node) appends(w *Write, wr *write) {
	g := n.group
	if len(w.Entries) == 0 {
		return
	}
	last := n.log.last()
	if w.From != last+1 {
		n.report(I8, w.From, w.Term, "it appends at %d and its log ends at %d", w.From, last)
		return
	}
	at, _ := n.log.at(g, last)
	for k := range w.Entries {
		e := &w.Entries[k]
		at = at.next(e)
		p := place{w.From + raftpb.Index(k), e.Term}
		if hash, ok := g.known(p); !ok {
			g.note(p, at.hash)
			n.creates(p, e)
		} else if hash != at.hash {
			n.report(I3, p.index, p.term, "its entry %d of term %d, or one before it, is not the one that others have there", p.index, p.term)
		}
		if e.Config != nil {
			n.adopts(p, e.Config)
		}
		n.log.links = append(n.log.links, at)
		wr.links = append(wr.links, at)
	}
}

// creates: an entry is seen for the first time. It must be its leader's doing, which
// Observe checks, and of this group.
func (n *Node) creates(p place, e *Entry) {
	n.created = max(n.created, p.term)
	o := n.group.observer
	if !o.options.Origins || e.Kind != raftpb.EntryKindCommand {
		return
	}
	if g := o.origins[e.Sum]; g != n.group {
		n.report(I17, p.index, p.term, "its entry %d holds a command that was never proposed to this group", p.index)
	}
}

// adopts puts a configuration into force.
func (n *Node) adopts(p place, c *Config) {
	g := n.group
	id, ok := g.brought[p]
	if !ok {
		g.configs = append(g.configs, g.masks(c))
		id = int32(len(g.configs) - 1)
		g.brought[p] = id
		n.changes = append(n.changes, change{p.index, n.config().index, g.configs[n.config().config], g.configs[id]})
	}
	n.configs = append(n.configs, configAt{p.index, id})
}

// Persisted takes note that the write id, and all before it, are on the disk.
func (n *Node) Persisted(id uint64) {
	n.tick()
	k := 0
	for k < len(n.writes) && n.writes[k].id <= id {
		n.reachesDisk(n.writes[k])
		k++
	}
	if k == 0 && id > n.disk.wrote {
		n.report(I18, 0, n.term, "write %d is said to be durable and was never handed out", id)
	}
	n.spare = append(n.spare, n.writes[:k]...)
	n.writes = append(n.writes[:0], n.writes[k:]...)
}

func (n *Node) reachesDisk(w *write) {
	g, d := n.group, &n.disk
	if w.term == d.term && d.vote != 0 && w.vote == 0 {
		n.report(I7, 0, w.term, "its disk forgets the vote for node %d in term %d", d.vote, w.term)
	}
	d.term, d.vote, d.wrote = w.term, w.vote, w.id
	n.voted(w.term, w.vote)
	if w.snapshot > 0 {
		d.log.restart(w.snapshot, w.behind, d.log.holds(g, w.snapshot, w.behind))
	}
	if w.truncate > 0 {
		d.log.cut(w.truncate)
	}
	d.log.links = append(d.log.links, w.links...)
	n.done[n.doneAt%len(n.done)] = written{w.id, w.term, d.log.last()}
	n.doneAt++
}

// voted remembers a vote on disk for ever.
func (n *Node) voted(term raftpb.Term, vote raftpb.NodeID) {
	if vote == 0 {
		return
	}
	b := ballot{term, n.slot}
	if old := n.group.votes[b]; old != 0 && old != vote {
		n.report(I7, 0, term, "it votes for node %d in term %d and did for node %d", vote, term, old)
		return
	}
	n.group.votes[b] = vote
}
