package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// progress is what a node keeps for each member; most of it means something on a
// leader only.
//
//	      refused, unreachable
//	  +---------------------------+
//	  v                           |
//	Probe ------ answered ---> Replicate
//	  |                           |
//	  +-- entries are compacted --+--> Snapshot ---- installed, or failed ---> Probe
//
// Probe: nobody knows where the follower's log ends, so one append goes at a time
// (paused: it is under way) and the heartbeat timer repeats it. Replicate: appends
// stream ahead of their answers, within the window. Snapshot: the log no longer
// holds what the follower needs next.
//
// match < next always. match moves up only, within a leadership.
type progress struct {
	id          NodeID
	suffrage    raftpb.Suffrage
	priority    int32
	incarnation int64 // another one is another store: nothing is known of it

	state  raftpb.ProgressState
	match  Index // durable there and equal to ours up to here
	next   Index // what to send next
	paused bool  // Probe: an append is under way
	lost   bool  // Probe: what was sent may be lost; a sign of life is waited for
	heard  bool  // an append was answered since the last beat

	contact Time  // last word from it in this leadership
	round   int64 // highest round it echoed

	matchRound  int64 // the newest round when match was last raised
	doubtBefore int64 // acknowledgements of rounds before this one are of a former life
	doubt       bool  // it said that it is in doubt
	pin         Index // Snapshot: the log stays from here on
	streamHeard Time  // Snapshot: the last sign that the stream lives
	lacks       Index // it has the log, and needs a snapshot of so much for its state; 0: it does not
	inflight    inflight
	window      window
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
	at    Time
}

func (f *inflight) reset() { f.head, f.count, f.bytes = 0, 0, 0 }

// full reports whether nothing more may be sent. An empty window takes anything.
func (f *inflight) full(maxAppends, maxBytes int) bool {
	return f.count >= maxAppends || (f.count > 0 && f.bytes >= maxBytes)
}

func (f *inflight) add(last Index, bytes int, at Time) {
	if f.count == len(f.ring) {
		bigger := make([]sent, max(8, 2*len(f.ring)))
		for i := range f.count {
			bigger[i] = f.ring[(f.head+i)&(len(f.ring)-1)]
		}
		f.ring, f.head = bigger, 0
	}
	f.ring[(f.head+f.count)&(len(f.ring)-1)] = sent{last, bytes, at}
	f.count++
	f.bytes += bytes
}

// free takes out every append that ends at or before match. It returns when the newest of
// them was sent, longAgo if there was none.
func (f *inflight) free(match Index) Time {
	at := longAgo
	for f.count > 0 && f.ring[f.head].last <= match {
		at = f.ring[f.head].at
		f.bytes -= f.ring[f.head].bytes
		f.head = (f.head + 1) & (len(f.ring) - 1)
		f.count--
	}
	return at
}
