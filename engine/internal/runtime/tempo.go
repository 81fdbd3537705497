package runtime

import (
	"slices"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/histogram"
)

// tempo measures how fast things are for a worker's groups, so that their cores wait as
// long as it takes here (raft.EventTune): the paper asks for an election time-out of an order of magnitude above the
// time in which a node hears from the others and both have written (section 5.6).
//
//	trips   from a heartbeat or a request for votes to its answer, per peer
//	sync    from a batch handed to the log to the news that it is durable
//	late    by how much this worker comes late to its timers
//	gaps    per group that follows: by how much a leader's beat came later than it should
//
// A look takes the 99th percentile of what came since the one before, and of the last 32
// looks the second largest: one hiccup changes nothing, and what has come twice is remembered
// for half a minute with a time-out of one second. Looks happen along with other work:
// a worker that has none has nothing to tune.
type tempo struct {
	at         raft.Time // of the next look
	every      raft.Time // the shortest election time-out of the groups; 0: there is none
	sync, late gauge
	trips      []trip
}

// trip is what answers of one peer take.
type trip struct {
	peer raft.NodeID
	gauge
}

// gauge is a quantity that is measured.
type gauge struct {
	fresh histogram.Histogram // since the last look
	past  [32]raft.Time
	looks int
	value raft.Time
}

func (q *gauge) add(d raft.Time) { q.fresh.Count1(time.Duration(max(d, 0))) }

// look takes in what is fresh.
func (q *gauge) look() {
	q.past[q.looks%len(q.past)] = raft.Time(q.fresh.Quantile(0.99))
	q.looks++
	q.fresh = histogram.Histogram{}
	var largest, second raft.Time
	for _, d := range q.past {
		if d > largest {
			largest, second = d, largest
		} else {
			second = max(second, d)
		}
	}
	q.value = second
}

// pulse is what a group knows of its tempo.
type pulse struct {
	least, most raft.Time // bounds of the election time-out
	beat        raft.Time // the leader's interval
	heardAt     raft.Time // the last beat of the leader; 0: none that counts
	heardTerm   raft.Term
	gaps        *gauge // nil: no beat was ever late
	told        raft.Time
}

// joins takes a group in.
func (t *tempo) joins(g *Group, c *raft.Config) {
	g.pulse = pulse{least: c.ElectionTimeout, most: max(c.ElectionTimeout, c.MaxElectionTimeout), beat: c.Heartbeat}
	if t.every == 0 || c.ElectionTimeout < t.every {
		t.every = c.ElectionTimeout
	}
}

// answered notes how long a peer took.
func (t *tempo) answered(peer raft.NodeID, took raft.Time) {
	for i := range t.trips {
		if t.trips[i].peer == peer {
			t.trips[i].add(took)
			return
		}
	}
	t.trips = append(t.trips, trip{peer: peer})
	t.trips[len(t.trips)-1].add(took)
}

// beats notes a beat that came for a group that is awake.
func (p *pulse) beats(m *raft.Message, now raft.Time) {
	if p.most == p.least {
		return
	}
	if gap := now - p.heardAt - p.beat - p.beat/4; p.heardAt > 0 && p.heardTerm == m.Term && gap > 0 {
		if p.gaps == nil {
			p.gaps = &gauge{}
		}
		p.gaps.add(gap)
	}
	p.heardAt, p.heardTerm = now, m.Term
}

// tune looks at everything and tells the cores what has changed.
func (w *worker) tune(now raft.Time) {
	t := &w.tempo
	t.at = now + t.every
	t.sync.look()
	t.late.look()
	for i := range t.trips {
		t.trips[i].look()
	}
	for i := 0; i < len(w.groups); i++ {
		g := w.groups[i]
		if g.pulse.gaps != nil {
			g.pulse.gaps.look()
		}
		election, sync := t.fits(g), t.sync.value
		if !apart(election, g.node.Election()) && !apart(sync, g.pulse.told) {
			continue
		}
		g.pulse.told = sync
		w.stepCore(g, raft.Event{Kind: raft.EventTune, Election: election, Sync: sync})
		if g.dead { // it left the list
			i--
		}
	}
}

// apart reports whether two times differ by more than an eighth: smaller changes are not
// worth a step.
func apart(a, b raft.Time) bool { return max(a, b)-min(a, b) > max(a, b)/8 }

// fits is the election time-out that fits a group. What is measured is up to twice as
// large as it was, for so coarse are the buckets: five times of it are five to ten times.
func (t *tempo) fits(g *Group) raft.Time {
	p := &g.pulse
	if p.most == p.least {
		return p.least
	}
	e := max(p.least, 5*(t.quorum(g)+t.sync.value+t.late.value))
	if p.gaps != nil {
		e = max(e, p.least+2*p.gaps.value)
	}
	return min(e, p.most)
}

// quorum is how long a quorum of g takes to answer. The halves of a joint configuration
// are not told apart.
func (t *tempo) quorum(g *Group) raft.Time {
	var all [raft.MaxMembers]raft.Time
	times := all[:0]
	for i := range g.node.Members() {
		m := g.node.Member(i)
		if m.Suffrage == raftpb.SuffrageLearner {
			continue
		}
		var takes raft.Time
		for k := range t.trips {
			if t.trips[k].peer == m.ID {
				takes = t.trips[k].value
			}
		}
		times = append(times, takes)
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)/2]
}
