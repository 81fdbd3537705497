package raft

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// progress is what a node keeps for each member; most of it means something on a
// leader only.
//
//	      refused, unreachable
//	  +---------------------------+
//	  v                           |
//	Probe ------ answered ---> Replicate
//	  |                           |
//	  +-- entries are compacted --+--> Snapshot
//
// Probe: nobody knows where the follower's log ends, so one append goes at a time
// (paused: it is under way) and the heartbeat timer repeats it. Replicate: appends
// stream ahead of their answers, within the window. Snapshot: the log no longer
// holds what the follower needs next.
//
// match < next always. match moves up only, within a leadership.
type progress struct {
	id       NodeID
	suffrage raftpb.Suffrage

	state  raftpb.ProgressState
	match  Index // durable there and equal to ours up to here
	next   Index // what to send next
	paused bool  // Probe: an append is under way
	lost   bool  // Probe: what was sent may be lost; a sign of life is waited for
	heard  bool  // an append was answered since the last beat

	contact  Time  // last word from it in this leadership
	round    int64 // highest round it echoed
	inflight inflight
}

// probe goes back to one append at a time, from next.
func (p *progress) probe(next Index) {
	p.state, p.next, p.paused, p.lost = raftpb.ProgressStateProbe, max(next, p.match+1), false, false
	p.inflight.reset()
}

// replicate starts to stream, from behind what is known to match.
func (p *progress) replicate() {
	p.state, p.next, p.paused, p.lost = raftpb.ProgressStateReplicate, p.match+1, false, false
	p.inflight.reset()
}

// inflight is the window of appends that a follower has not answered: for each
// its last position and its bytes, oldest first.
type inflight struct {
	ring  []sent // length is a power of two, grows up to the window
	head  int
	count int
	bytes int
}

type sent struct {
	last  Index
	bytes int
}

func (f *inflight) reset() { f.head, f.count, f.bytes = 0, 0, 0 }

// full reports whether nothing more may be sent. An empty window takes anything.
func (f *inflight) full(maxAppends, maxBytes int) bool {
	return f.count >= maxAppends || (f.count > 0 && f.bytes >= maxBytes)
}

func (f *inflight) add(last Index, bytes int) {
	if f.count == len(f.ring) {
		bigger := make([]sent, max(8, 2*len(f.ring)))
		for i := range f.count {
			bigger[i] = f.ring[(f.head+i)&(len(f.ring)-1)]
		}
		f.ring, f.head = bigger, 0
	}
	f.ring[(f.head+f.count)&(len(f.ring)-1)] = sent{last, bytes}
	f.count++
	f.bytes += bytes
}

// free takes out every append that ends at or before match.
func (f *inflight) free(match Index) {
	for f.count > 0 && f.ring[f.head].last <= match {
		f.bytes -= f.ring[f.head].bytes
		f.head = (f.head + 1) & (len(f.ring) - 1)
		f.count--
	}
}

// position returns where member id stands in members; -1 if it is none.
func (n *Node) position(id NodeID) int {
	for i := range n.members {
		if n.members[i].id == id {
			return i
		}
	}
	return -1
}

// setConfiguration puts c in force: members by rising id, with what is known of
// those who stay. A member that votes in one half and learns in the other votes.
func (n *Node) setConfiguration(c Configuration) {
	old := n.members
	n.conf = c
	n.members = make([]progress, 0, len(c.Incoming)+len(c.Outgoing))
	add := func(half []Member) {
		for _, m := range half {
			if i := n.position(m.ID); i >= 0 {
				if n.members[i].suffrage == raftpb.SuffrageLearner {
					n.members[i].suffrage = m.Suffrage
				}
				continue
			}
			p := progress{id: m.ID, state: raftpb.ProgressStateProbe, next: n.log.last + 1, contact: n.now}
			for i := range old {
				if old[i].id == m.ID {
					p = old[i]
				}
			}
			p.suffrage = m.Suffrage
			n.members = append(n.members, p)
		}
	}
	add(c.Incoming)
	add(c.Outgoing)
	slices.SortFunc(n.members, func(a, b progress) int { return int(min(max(a.id-b.id, -1), 1)) })
	n.self = n.position(n.cfg.ID)
	n.voters = electorate{mutation: n.mutation, incoming: n.votersOf(c.Incoming), outgoing: n.votersOf(c.Outgoing)}
}

// votersOf is the set of positions that vote in one half of a configuration.
func (n *Node) votersOf(half []Member) uint64 {
	var set uint64
	for _, m := range half {
		if m.Suffrage != raftpb.SuffrageLearner {
			set |= 1 << n.position(m.ID)
		}
	}
	return set
}
