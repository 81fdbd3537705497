package raft

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Clone returns a node that goes on as this one would, on a log of its own. Only its
// random generator begins anew. For searches that try every order of events.
func (n *Node) Clone(log Log) *Node {
	c := *n
	c.rnd = rand.New(rand.NewPCG(n.cfg.Seed, n.cfg.Boot))
	c.log.store = log
	c.log.tail = n.log.tail.clone()
	c.writes.pending = slices.Clone(n.writes.pending)
	c.changes = slices.Clone(n.changes)
	c.members = slices.Clone(n.members)
	for i := range c.members {
		f := &c.members[i].inflight
		f.ring = slices.Clone(f.ring)
	}
	c.reads.waiting = slices.Clone(n.reads.waiting)
	c.reads.forwards = slices.Clone(n.reads.forwards)
	c.doubt.heard = slices.Clone(n.doubt.heard)
	c.doubt.asks = slices.Clone(n.doubt.asks)
	c.change.rounds = slices.Clone(n.change.rounds)
	return &c
}

// clone copies what the tail holds, into no more room than that needs.
func (t *tail) clone() tail {
	c := tail{lo: t.lo, hi: t.hi, base: t.base}
	if t.lo == t.hi {
		return c
	}
	size := 1 << bits.Len(uint(t.hi-t.lo))
	c.buf, c.sum = make([]Entry, size), make([]uint64, size)
	for i := t.lo; i < t.hi; i++ {
		at := int(i) & (size - 1)
		c.buf[at], c.sum[at] = *t.at(i), t.sum[int(i)&(len(t.sum)-1)]
	}
	return c
}

// Fingerprint returns a number that two nodes share if they will do the same, times
// and the numbers of writes aside. Bodies of entries are told apart by their checksums.
//
// Windows are to be fixed. It covers elections and replication, which is what searches search: reads, changes,
// transfers, doubts, leases and sleep must not be under way.
func (n *Node) Fingerprint() uint64 {
	h := print64(0x243F6A8885A308D3)
	h.add(uint64(n.term), uint64(n.vote), uint64(n.role), uint64(n.leader))
	h.add(uint64(n.saved.Term), uint64(n.saved.Vote), uint64(n.saved.Commit))
	l := &n.log
	h.add(uint64(l.last), uint64(l.lastTerm), uint64(l.commit), uint64(l.applied), uint64(l.durable), uint64(n.handed), uint64(n.verified))
	for i := l.tail.lo; i < l.tail.hi; i++ {
		e := l.tail.at(i)
		h.add(uint64(e.Term), uint64(e.Kind), uint64(e.Crc32c))
	}
	w := &n.writes
	h.add(w.last-w.done, max(w.hard, w.done)-w.done, uint64(len(w.pending)))
	for _, p := range w.pending {
		h.add(p.id-w.done, uint64(p.last))
	}
	h.add(n.votes.yes, n.votes.no, max(n.votes.own, w.done)-w.done, uint64(n.termStart), uint64(n.reads.round), uint64(n.beatRound))
	for i := range n.members {
		p := &n.members[i]
		h.add(uint64(p.id), uint64(p.state), uint64(p.match), uint64(p.next), uint64(p.round), uint64(p.matchRound))
		h.add(bit(p.paused), bit(p.lost), bit(p.heard), uint64(p.inflight.count), uint64(p.inflight.bytes))
	}
	return uint64(h)
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// print64 mixes numbers into one.
type print64 uint64

func (h *print64) add(values ...uint64) {
	for _, v := range values {
		hi, lo := bits.Mul64(uint64(*h)^0x9E3779B97F4A7C15, v^0xA0761D6478BD642F)
		*h = print64(hi ^ lo ^ bits.RotateLeft64(uint64(*h), 29))
	}
}
