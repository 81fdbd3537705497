package raft

import (
	"strings"
)

// compact lets a node take a snapshot of what it has applied, and drop the log that
// it covers: compact 1 upto=5, with keep=3 all but what stands before 3.
func (s *stage) compact(a *actor) {
	upto := Index(s.value("upto", int64(a.applied)))
	t, _ := a.log.Term(upto)
	a.image = &Snapshot{Index: upto, Term: t, Configuration: a.node.conf, ConfigurationIndex: a.node.inForce().Index}
	s.step(a, Event{Kind: EventSnapshotTaken, Snapshot: a.image, Keep: Index(s.value("keep", 0))})
}

// stream hands over what a snapshot stream says: stream 1 to=3, at its begin, and
// with done at its end. The image is the sender's newest, or that of index and term.
func (s *stage) stream(a *actor) {
	m := Message{
		Kind: MessageSnapshot, From: a.id, To: NodeID(s.value("to", 0)), Term: Term(s.value("term", int64(a.node.term))),
		Snapshot: a.image, Done: s.flag("done"),
	}
	if index := s.value("index", 0); index != 0 {
		image := Snapshot{Index: Index(index), Term: Term(s.value("of", 0)), Configuration: a.node.conf}
		if in := strings.TrimSpace(s.d.Input); in != "" {
			image.Configuration, _ = parseConfiguration(s.configuration(in))
			image.ConfigurationIndex = image.Index
		}
		m.Snapshot = &image
	}
	s.handOver(m, false)
}

// wipe takes a crashed node's store away: all of it, or with from=5 what stands at 5
// and later. The store remembers that it did, unless it is silent.
func (s *stage) wipe(a *actor) {
	from := Index(s.value("from", 1))
	if from == 1 {
		a.log, a.hs, a.image, a.applied = newMemoryLog(), HardState{}, nil, 0
	} else {
		a.log.store(from, 0, nil)
	}
	if !s.flag("silent") {
		a.cfg.DoubtFrom, a.cfg.VoteDoubt = from, from == 1
	}
}

// showMore prints what snapshots, leases and doubts add to the effects.
func (s *stage) showMore(a *actor, say func(string, ...any)) {
	out := &a.eff
	if out.CompactTo > 0 {
		say("compact to %d", out.CompactTo)
	}
	for _, ask := range out.Snapshots {
		if ask.Stop {
			say("stop the snapshot to %d", ask.Peer)
		} else {
			say("send %d a snapshot up to %d or later", ask.Peer, ask.Index)
		}
	}
	if out.Repaired {
		say("trusts its store again")
		a.cfg.DoubtFrom, a.cfg.VoteDoubt = 0, false
	}
	if out.LeaseUntil != a.lease {
		a.lease = out.LeaseUntil
		say("lease until %d", a.lease)
	}
}

// install does what a write with a snapshot says.
func (l *memoryLog) install(s *Snapshot) {
	if t, err := l.Term(s.Index); err == nil && t == s.Term && s.Index >= l.first-1 {
		l.compact(s.Index + 1)
		return
	}
	l.first, l.floor, l.entries = s.Index+1, s.Term, nil
}

// compact drops what stands before to.
func (l *memoryLog) compact(to Index) {
	if to <= l.first {
		return
	}
	l.floor, _ = l.Term(to - 1)
	l.entries = append([]Entry(nil), l.entries[to-l.first:]...)
	l.first = to
}
