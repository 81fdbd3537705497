package raft

import (
	"math/rand/v2"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// knobs are drawn once per seed: each fault is absent in half of the worlds.
type knobs struct {
	nodes              int
	loss, dup, slow    float64
	crash, cuts        float64
	doom               float64 // a new leader soon crashes or is cut off
	doomWithin         Time
	half               float64 // a leader falls when a follower has only its predecessors' entries
	lazyFor            Time
	faultEvery, down   Time
	span               Time // how long the faults go on
	reorder            bool
	lazy               float64 // effects of several steps are carried out together
	diskDelay          Time
	applyDurable       bool
	cfg                Config
	admin              adminKnobs
	wantReads, applied float64
	extras
}

func drawKnobs(rnd *rand.Rand) knobs {
	maybe := func(least, most float64) float64 {
		if rnd.IntN(2) == 0 {
			return 0
		}
		return least + rnd.Float64()*(most-least)
	}
	k := knobs{
		nodes: 3, span: 6 * simElection, loss: maybe(0.01, 0.2), dup: maybe(0.01, 0.3), slow: maybe(0.01, 0.1),
		crash: maybe(0.05, 0.4), cuts: maybe(0.2, 0.8), doom: maybe(0.2, 1), reorder: rnd.IntN(2) == 0, lazy: maybe(0.1, 0.7),
		diskDelay: Time(1 + rnd.IntN(60)), applyDurable: rnd.IntN(2) == 0, wantReads: 0.3, applied: 0.7,
	}
	switch rnd.IntN(6) {
	case 0:
		k.nodes = 5
	case 1:
		k.nodes = 4
	}
	k.cfg = Config{ElectionTimeout: simElection, Heartbeat: simHeartbeat, ApplyDurable: k.applyDurable}
	if rnd.IntN(2) == 0 {
		k.cfg.MaxAppendBytes = 1 + rnd.IntN(300)
		k.cfg.MaxInflightAppends = 1 + rnd.IntN(4)
		k.cfg.MaxInflightBytes = 200 + rnd.IntN(1000)
		k.cfg.TailBytes = 1 + rnd.IntN(2000)
		k.cfg.MaxUncommittedBytes = 500 + rnd.IntN(4000)
		k.cfg.MaxPendingReads = 1 + rnd.IntN(8)
	}
	k.doomWithin, k.faultEvery, k.down = Time(1+rnd.IntN(100)), Time(50+rnd.IntN(400)), Time(10+rnd.IntN(1500))
	k.lazyFor = []Time{5, 5, 50, 500}[rnd.IntN(4)]
	if rnd.IntN(8) == 0 {
		k.figure8(rnd)
	}
	k.drawAdmin(rnd)
	k.cfg.DisablePreVote = rnd.IntN(4) == 0
	k.cfg.DisableCheckQuorum = rnd.IntN(6) == 0
	k.drawExtras(rnd)
	return k
}

// figure8 makes a world in which leaders fall again and again while entries of
// older terms are still on their way, one at a time.
func (k *knobs) figure8(rnd *rand.Rand) {
	k.nodes, k.loss, k.dup, k.slow, k.lazy, k.reorder = 3, 0, 0, 0, 0, false
	k.doom, k.doomWithin, k.cuts, k.faultEvery, k.down = 1, Time(5+rnd.IntN(40)), 1, 150, 2000
	k.span, k.half = 24*simElection, 0.5
	k.diskDelay = 5
	k.cfg.MaxAppendBytes = 1
}

// fault crashes a server, cuts or heals links, or reports a peer unreachable.
func (c *cluster) fault() {
	if c.calm {
		return
	}
	if s := c.nodes[c.rnd.IntN(len(c.nodes))]; s.node != nil && c.rnd.Float64() < c.knobs.crash {
		c.crash(s)
	}
	if c.rnd.Float64() >= c.knobs.cuts {
		return
	}
	clear(c.cut)
	switch c.rnd.IntN(4) {
	case 0: // healed
	case 1: // one node alone
		c.isolate(NodeID(1 + c.rnd.IntN(len(c.nodes))))
	default: // any links, one way each
		for range 1 + c.rnd.IntN(2*len(c.nodes)) {
			c.cut[[2]NodeID{NodeID(1 + c.rnd.IntN(len(c.nodes))), NodeID(1 + c.rnd.IntN(len(c.nodes)))}] = true
		}
	}
	c.tracef("cut %v", len(c.cut))
}

func (c *cluster) isolate(alone NodeID) {
	for _, s := range c.nodes {
		c.cut[[2]NodeID{alone, s.id}], c.cut[[2]NodeID{s.id, alone}] = true, true
	}
}

// fallHalfway crashes a leader at the moment of Figure 8: a follower has its
// predecessors' entries, and none of its own.
func (c *cluster) fallHalfway(s *server) {
	n := s.node
	if c.calm || n.role != raftpb.RoleLeader || c.knobs.half == 0 {
		return
	}
	for i := range n.members {
		if p := &n.members[i]; i != n.self && 0 < p.match && p.match < n.termStart && c.rnd.Float64() < c.knobs.half {
			c.crash(s)
			s.muted = s.boot
			return
		}
	}
}

// doom plans the end of a new leader, after a few messages.
func (c *cluster) doom(s *server) {
	if c.rnd.Float64() < c.knobs.doom {
		c.push(event{at: c.now + Time(c.rnd.Int64N(int64(c.knobs.doomWithin))), kind: eventDoom, node: s.id, gen: s.boot})
	}
}

func (c *cluster) push(e event) {
	c.seq++
	e.seq = c.seq
	q := append(c.queue, e)
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if !before(&q[i], &q[up]) {
			break
		}
		q[i], q[up], i = q[up], q[i], up
	}
	c.queue = q
}

func (c *cluster) pop() event {
	q := c.queue
	top := q[0]
	q[0] = q[len(q)-1]
	q = q[:len(q)-1]
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(q) {
			break
		}
		if least+1 < len(q) && before(&q[least+1], &q[least]) {
			least++
		}
		if !before(&q[least], &q[i]) {
			break
		}
		q[i], q[least], i = q[least], q[i], least
	}
	c.queue = q
	return top
}

func before(a, b *event) bool { return a.at < b.at || (a.at == b.at && a.seq < b.seq) }
