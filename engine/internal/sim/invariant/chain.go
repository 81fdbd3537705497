package invariant

import (
	"math/bits"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Entry is one slot of a log. Sum stands for the body: equal sums, equal bodies.
// Config is set in configuration entries only.
type Entry struct {
	Term   raftpb.Term
	Kind   raftpb.EntryKind
	Sum    uint64
	Config *Config
}

// Mark is a position and the term of the entry there.
type Mark struct {
	Index raftpb.Index
	Term  raftpb.Term
}

// link is an entry and, by its hash, all before it.
type link struct {
	term raftpb.Term
	hash uint64
}

// next is the link of e behind l.
func (l link) next(e *Entry) link {
	h := mix(l.hash+0x9E3779B97F4A7C15, uint64(e.Term)^0xA0761D6478BD642F)
	return link{e.Term, mix(h^e.Sum, uint64(e.Kind)^0xE7037ED1A0B428DB)}
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// chain is a log as links: those of (base, base+len(links)], behind a snapshot up
// to base, which is committed.
type chain struct {
	base   raftpb.Index
	behind link // the one at base
	links  []link
}

func (c *chain) last() raftpb.Index { return c.base + raftpb.Index(len(c.links)) }

// at returns the link at i; ok is false if i lies beyond the end. Below base the
// committed log is the answer.
func (c *chain) at(g *Group, i raftpb.Index) (l link, ok bool) {
	switch {
	case i > c.base && i <= c.last():
		return c.links[i-c.base-1], true
	case i == c.base:
		return c.behind, true
	case i >= 0 && i < c.base && int(i) < len(g.committed):
		return g.committed[i], true
	}
	return link{}, false
}

// holds reports whether the chain has l at position i.
func (c *chain) holds(g *Group, i raftpb.Index, l link) bool {
	have, ok := c.at(g, i)
	return ok && have == l
}

// cut drops what stands at i and behind.
func (c *chain) cut(i raftpb.Index) {
	if i <= c.base {
		c.links = c.links[:0] // a truncation below the snapshot is reported elsewhere
	} else if i <= c.last() {
		c.links = c.links[:i-c.base-1]
	}
}

// restart makes the chain begin behind a snapshot. It keeps the tail if asked to.
func (c *chain) restart(i raftpb.Index, at link, tail bool) {
	switch {
	case tail && i > c.base:
		c.links = append(c.links[:0], c.links[min(i-c.base, raftpb.Index(len(c.links))):]...)
	case !tail:
		c.links = c.links[:0]
	case i <= c.base:
		return
	}
	c.base, c.behind = i, at
}

// known finds the entry that was seen at a place.
func (g *Group) known(p place) (hash uint64, ok bool) {
	if int(p.index) < len(g.first) && g.first[p.index].term == p.term {
		return g.first[p.index].hash, true
	}
	hash, ok = g.others[p]
	return hash, ok
}

// note remembers an entry that is new.
func (g *Group) note(p place, hash uint64) {
	if int(p.index) == len(g.first) {
		g.first = append(g.first, link{p.term, hash})
		return
	}
	g.others[p] = hash
}

// commitBy notes that the leader of term committed up to index; what it committed
// counts for every later term too.
func (g *Group) commitBy(term raftpb.Term, index raftpb.Index) {
	i := len(g.marks)
	for i > 0 && g.marks[i-1].term > term {
		i--
		g.marks[i].index = max(g.marks[i].index, index)
	}
	switch {
	case i > 0 && g.marks[i-1].index >= index:
	case i > 0 && g.marks[i-1].term == term:
		g.marks[i-1].index = index
	default:
		g.marks = append(g.marks, mark{})
		copy(g.marks[i+1:], g.marks[i:])
		g.marks[i] = mark{term, index}
	}
}

// committedBefore is how far leaders of terms below term had committed. The votes
// of a slow candidate can arrive when a leader of a later term has gone further.
func (g *Group) committedBefore(term raftpb.Term) raftpb.Index {
	for i := len(g.marks) - 1; i >= 0; i-- {
		if g.marks[i].term < term {
			return g.marks[i].index
		}
	}
	return 0
}

// end is the highest committed position.
func (g *Group) end() raftpb.Index { return raftpb.Index(len(g.committed) - 1) }
