package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// drawTuning chooses how far time-outs and windows may follow what drivers measure.
func (k *Knobs) drawTuning(r *schedule.Stream) {
	c := &k.Core
	if rate := r.LogUniform(0.05, 1); r.Intn(2) == 0 {
		k.Tune, c.MaxElectionTimeout = rate, Election*Time(r.Between(2, 8))/2
	}
	if c.MaxInflightAppends > 0 && r.Intn(2) == 0 {
		c.MinInflightAppends, c.MinInflightBytes = 1+r.Intn(c.MaxInflightAppends), 1+r.Intn(c.MaxInflightBytes)
	}
}

// slowest is the longest election time-out that a node may have.
func (k *Knobs) slowest() Time { return max(k.Core.MaxElectionTimeout, Election) }

// retune tells a node what its driver has measured, which may be anything: the bounds are
// the core's to keep.
func (w *World) retune() {
	s, r := w.servers[w.tuning.Intn(len(w.servers))], &w.tuning
	if !w.alive(s) || !w.strikes(tuned, w.knobs.Tune, r) {
		return
	}
	in := raft.Event{Kind: raft.EventTune, Election: Time(r.N(int64(6 * Election))), Sync: Time(r.N(int64(Election/4))) - Election/100}
	w.step(s, &in)
}

// settleTimes is what drivers measure when all is quiet.
func (w *World) settleTimes(s *server) {
	if w.knobs.Tune > 0 {
		w.step(s, &raft.Event{Kind: raft.EventTune})
	}
}

// checkTuning: what a node has made of it lies within its bounds.
func (w *World) checkTuning(s *server, p *raft.MemberStatus) {
	c := &w.knobs.Core
	if most := w.knobs.slowest(); s.node.Election() < Election || s.node.Election() > most {
		w.failf("node %d waits %d for a leader, the bounds are %d and %d", s.id, s.node.Election(), Election, most)
	}
	if p.WindowAppends < 1 || c.MinInflightAppends > 0 && (p.WindowAppends < c.MinInflightAppends || p.WindowBytes < c.MinInflightBytes) ||
		c.MaxInflightAppends > 0 && (p.WindowAppends > c.MaxInflightAppends || p.WindowBytes > c.MaxInflightBytes) {
		w.failf("I8: node %d has a window of %d appends and %d bytes to node %d", s.id, p.WindowAppends, p.WindowBytes, p.ID)
	}
}
