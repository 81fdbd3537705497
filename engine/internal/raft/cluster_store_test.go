package raft

import (
	"math/rand/v2"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// What a world adds to the network and the crashes: snapshots and their streams,
// stores that lose what they held, clocks that run apart, leases, groups that
// sleep, disks that hang.

// extras are more knobs.
type extras struct {
	snapshots  float64 // how often a machine that applied something takes a snapshot
	keep       Index   // how much of the log it keeps
	streamFail float64
	damage     float64 // a crash damages the store
	transfers  float64 // an operator asks for a transfer
	stalls     float64 // a disk hangs for a while
	idle       Time    // clients are silent for so long between two requests
	drift      float64 // how far a clock may run from the true one
}

func (k *knobs) drawExtras(rnd *rand.Rand) {
	maybe := func(least, most float64) float64 {
		if rnd.IntN(2) == 0 {
			return 0
		}
		return least + rnd.Float64()*(most-least)
	}
	x := &k.extras
	x.snapshots, x.keep, x.streamFail = maybe(0.05, 0.8), Index(rnd.IntN(8)), maybe(0.05, 0.5)
	x.damage, x.transfers, x.stalls = maybe(0.2, 0.8), maybe(0.05, 0.4), maybe(0.05, 0.4)
	x.idle = 100
	if rnd.IntN(3) == 0 {
		k.cfg.MaxPinnedEntries = 1 + rnd.IntN(30)
	}
	if rnd.IntN(3) == 0 {
		k.cfg.QuiesceAfter, x.idle = Time(1+rnd.IntN(400)), Time(200+rnd.IntN(2000))
	}
	if rnd.IntN(2) == 0 && !k.cfg.DisableCheckQuorum {
		// Two clocks may drift apart by 2 x drift within half an election time-out.
		k.cfg.ClockBound = Time(20 + rnd.IntN(100))
		x.drift = float64(k.cfg.ClockBound) / float64(simElection+20)
		x.drift *= 0.99
	}
}

// clock is what a server's own clock shows.
func (c *cluster) clock(s *server) Time {
	return Time(float64(c.now)*s.rate) + s.offset
}

// trueTime is when a server's clock will show t.
func (c *cluster) trueTime(s *server, t Time) Time {
	at := Time(float64(t-s.offset) / s.rate)
	for c.shows(s, at) < t {
		at++
	}
	return at
}

func (c *cluster) shows(s *server, at Time) Time { return Time(float64(at)*s.rate) + s.offset }

// stream is one snapshot on its way.
type stream struct {
	peer  NodeID
	image *Snapshot
	boot  uint64
	term  Term
}

// asked carries out what the effects say about snapshot streams.
func (c *cluster) asked(s *server, ask SnapshotAsk) {
	if ask.Stop {
		delete(s.streams, ask.Peer)
		return
	}
	if s.image == nil || s.image.Index < ask.Index {
		c.failf("node %d is to send %d a snapshot up to %d, and has %+v", s.id, ask.Peer, ask.Index, s.image)
		return
	}
	x := &stream{ask.Peer, s.image, s.boot, ask.Term}
	s.streams[ask.Peer] = x
	c.sendStream(s, x, false)
	c.push(event{at: c.now + Time(c.rnd.Int64N(int64(3*simElection))), kind: eventStream, node: s.id, gen: s.boot, stream: x})
}

// sendStream sends the first or the last message of a stream.
func (c *cluster) sendStream(s *server, x *stream, done bool) {
	c.send(s, Message{Kind: MessageSnapshot, From: s.id, To: x.peer, Term: x.term, Snapshot: x.image, Done: done})
}

// streamAnswered goes on with a stream that is wanted.
func (c *cluster) streamAnswered(s *server, m *Message) {
	x := s.streams[m.From]
	if x == nil {
		return
	}
	if m.SnapshotStatus != raftpb.SnapshotStatusOk {
		delete(s.streams, m.From)
		return
	}
	if c.calm || c.rnd.Float64() >= c.knobs.streamFail {
		c.sendStream(s, x, true)
	}
}

// streamLate ends a stream that took too long.
func (c *cluster) streamLate(s *server, x *stream) {
	if s.streams[x.peer] == x && (c.calm || c.rnd.IntN(3) > 0) {
		delete(s.streams, x.peer)
		c.step(s, Event{Kind: EventSnapshotFailed, Peer: x.peer})
	}
}

// takeSnapshot lets the machine keep its state, and offers the log before it.
func (c *cluster) takeSnapshot(s *server) {
	if s.applied == 0 || (s.image != nil && s.image.Index >= s.applied) || c.rnd.Float64() >= c.knobs.snapshots {
		return
	}
	k := len(s.configs) - 1
	for s.configs[k].Index > s.applied {
		k--
	}
	s.image = &Snapshot{
		Index: s.applied, Term: c.watch.committed[s.applied].term,
		Configuration: s.configs[k].Configuration, ConfigurationIndex: s.configs[k].Index,
	}
	keep := max(1, s.applied+1-c.knobs.keep)
	c.step(s, Event{Kind: EventSnapshotTaken, Snapshot: s.image, Keep: keep})
}

// checkInstall: an installed snapshot is of what is committed.
func (c *cluster) checkInstall(s *server, i *Snapshot) {
	if mark, ok := c.watch.committed[i.Index]; !ok || mark.term != i.Term {
		c.failf("node %d installs %d of term %d, committed is %+v", s.id, i.Index, i.Term, mark)
		return
	}
	if i.Index <= s.commit {
		c.failf("I7: node %d installs %d, committed was %d", s.id, i.Index, s.commit)
	}
	s.shadow = c.committedChain(i.Index)
	s.configs = append(s.configs[:0], Change{i.ConfigurationIndex, i.Configuration})
	s.commit, s.installing = i.Index, i.Index
	c.installs++
}

// committedChain is the hash of the committed log up to each index.
func (c *cluster) committedChain(to Index) []uint64 {
	chain := make([]uint64, to+1)
	for i := range chain {
		chain[i] = c.watch.committed[Index(i)].chain
	}
	return chain
}

// damage makes a store lose something while its node is down: all, its newest
// part, or everything since an earlier moment. As many stores as could be lost for
// good are damaged at a time, and no more.
func (c *cluster) damage(s *server) {
	doubts := 0
	for _, other := range c.nodes {
		if other.doubtFrom > 0 {
			doubts++
		}
	}
	if c.knobs.admin.rate > 0 || s.doubtFrom > 0 || doubts >= (len(c.nodes)-1)/2 || c.rnd.Float64() >= c.knobs.damage {
		return
	}
	s.ghost = slices.Clone(s.disk.chain)
	d := &s.disk
	switch last := d.log.LastIndex(); c.rnd.IntN(3) {
	case 0:
		s.doubtFrom, s.voteDoubt, s.image, s.applied = 1, true, nil, 0
		*d = disk{log: newMemoryLog(), chain: []uint64{0}}
		c.tracef("store %d is wiped", s.id)
	case 1:
		if s.backup == nil {
			return
		}
		s.doubtFrom, s.voteDoubt = s.backup.log.LastIndex()+1, true
		s.image, s.applied = s.backupImage, 0
		*d = s.backup.clone()
		c.tracef("store %d goes back to %d", s.id, s.doubtFrom-1)
	case 2:
		least := d.log.first
		if c.knobs.applyDurable {
			least = max(least, s.applied+1)
		}
		if least > last {
			return
		}
		s.doubtFrom, s.voteDoubt = least+Index(c.rnd.Int64N(int64(last-least+1))), c.rnd.IntN(2) == 0
		d.log.store(s.doubtFrom, 0, nil)
		d.chain = d.chain[:s.doubtFrom]
		c.tracef("store %d loses %d and later", s.id, s.doubtFrom)
	}
	c.damages++
	if s.image != nil && !c.knobs.applyDurable || s.applied < d.log.first-1 {
		s.applied = 0
	}
}

// imageBeyondLog: an image may become durable before this node's own write of the
// last entries that it covers. A driver that finds it so begins the log behind it.
func (c *cluster) imageBeyondLog(s *server) {
	if i := s.image; i != nil && i.Index > s.disk.log.LastIndex() {
		s.disk.log.install(i)
		s.disk.chain = c.committedChain(i.Index)
	}
}

func (d *disk) clone() disk {
	log := *d.log
	log.entries = slices.Clone(log.entries)
	return disk{log: &log, hs: d.hs, chain: slices.Clone(d.chain)}
}

// backUp keeps a copy of a store, for a later day.
func (c *cluster) backUp(s *server) {
	if c.knobs.extras.damage > 0 && s.doubtFrom == 0 && c.rnd.IntN(4) == 0 {
		d := s.disk.clone()
		s.backup, s.backupImage = &d, s.image
	}
}

// repaired clears the store's mark.
func (c *cluster) repaired(s *server) {
	c.repairs++
	c.tracef("node %d is repaired", s.id)
	s.doubtFrom, s.voteDoubt = 0, false
}

// checkDoubt: a node in doubt promises nothing.
func (c *cluster) checkDoubt(s *server, m *Message) {
	switch {
	case s.doubtFrom == 0:
	case m.Kind == MessageVote, m.Kind == MessageVoteAnswer && m.Granted:
		c.failf("I21: node %d sends %v in doubt", s.id, m.Kind)
	case m.Kind == MessageAppendAnswer && m.Status == raftpb.AppendStatusOk, m.Kind == MessageSnapshotAnswer && m.Matched > 0:
		c.failf("I21: node %d acknowledges %d in doubt", s.id, m.Matched)
	}
}

// holdsLease reports whether a node believes now that it may serve reads.
func (c *cluster) holdsLease(s *server) bool {
	return s.node != nil && s.lease > c.clock(s)
}

// checkLease: while one node believes in a lease, nobody else does, and nobody
// commits but it.
func (c *cluster) checkLease(s *server, i Index) {
	for _, other := range c.nodes {
		if other == s || !c.holdsLease(other) {
			continue
		}
		if i > 0 && other.node.log.commit < i {
			c.failf("I14: node %d commits %d, while %d has a lease until %d and knows of %d", s.id, i, other.id, other.lease, other.node.log.commit)
		}
		if c.holdsLease(s) {
			c.failf("I14: nodes %d and %d have leases", s.id, other.id)
		}
	}
	if c.holdsLease(s) {
		c.leases++
		if s.handed == s.node.term {
			c.failf("I14: node %d has a lease after it told another to campaign", s.id)
		}
	}
}

// moreFaults are those of operators and disks.
func (c *cluster) moreFaults() {
	s := c.nodes[c.rnd.IntN(len(c.nodes))]
	if s.node == nil {
		return
	}
	c.backUp(s)
	if c.rnd.Float64() < c.knobs.transfers {
		c.calls++
		s.asked[c.calls] = true
		c.step(s, Event{Kind: EventTransfer, RequestID: c.calls})
	}
	if s.node != nil && c.rnd.Float64() < c.knobs.stalls {
		c.stall(s)
	}
}

// stall hangs a disk; the driver tells so, and that it is over.
func (c *cluster) stall(s *server) {
	if s.stalledUntil > c.now {
		return
	}
	s.stalledUntil = c.now + Time(c.rnd.Int64N(int64(3*simElection)))
	c.step(s, Event{Kind: EventDiskStalled})
	c.push(event{at: s.stalledUntil, kind: eventDiskOK, node: s.id, gen: s.boot})
}

// hostsLost tells every node, as its driver does, whose hosts cannot be reached.
func (c *cluster) hostsLost() {
	for _, s := range c.nodes {
		for _, other := range c.nodes {
			gone := other.node == nil || c.cut[[2]NodeID{s.id, other.id}] || c.cut[[2]NodeID{other.id, s.id}]
			if s.node != nil && s != other && gone {
				c.step(s, Event{Kind: EventUnreachable, Peer: other.id})
			}
		}
	}
}
