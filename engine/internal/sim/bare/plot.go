package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// plot is a chain of troubles that chance would hardly ever bring about. A world has
// at most one kind of them, and everything else may go wrong besides.
type plot uint8

const (
	// overlap: a follower is cut off with a leader that the others replace, and then hears
	// of both within one carrying out of effects.
	overlap plot = iota + 1
	// amnesia: a candidate that a lease keeps from leading asks voters that were restarted
	// a moment ago.
	amnesia
	// lapse: a follower loses what it has acknowledged, just before the leader's own disk
	// would commit it.
	lapse
)

// plan chooses the rest of the world so that the plot can work out.
func (k *Knobs) plan(p plot, r *schedule.Stream) {
	k.Odd.Plot, k.Odd.Plots = p, r.LogUniform(0.05, 0.5)
	quick := func() {
		k.MinDelay, k.MoreDelay, k.DiskDelay = millisecond, 5*millisecond, 5*millisecond
		k.Loss, k.Heavy, k.DiskSlow, k.DiskHang = 0, 0, 0, 0
	}
	switch p {
	case overlap:
		k.Lazy, k.LazyFor, k.Damage = 0.95, Time(r.Between(100, 3000))*millisecond, 0
		k.Odd.Plots = r.LogUniform(0.2, 0.9)
		k.Core.ClockBound, k.Core.QuiesceAfter = 0, 0
		quick()
	case amnesia:
		k.Core.DisableCheckQuorum, k.Core.QuiesceAfter = false, 0
		k.Core.ClockBound, k.Core.Heartbeat, k.ApplyDelay, k.ApplyBytes = Election/100, Election/20, millisecond, 1<<20
		k.SkewPPM = min(k.SkewPPM, 5000)
		quick()
	case lapse:
		k.Core.MaxAppendBytes, k.Core.MaxInflightAppends, k.Core.MaxInflightBytes = 1, 200, 1<<20
		k.Damage, k.Changes, k.Lazy = max(k.Damage, 0.05), 0, 0
		quick()
	default:
	}
}

// scheme begins the world's plot. Half of what it needs may be missing; then it comes
// to nothing.
func (w *World) scheme() {
	leader := w.leader()
	if leader == nil || !w.alive(leader) {
		return
	}
	var victim *server
	for range 4 {
		v := w.servers[w.odd.Intn(len(w.servers))]
		if _, member := leader.node.Follower(v.id); member && v != leader && !v.witness && w.alive(v) {
			victim = v
		}
	}
	if victim == nil {
		return
	}
	w.tracef("plot %d: leader %d, victim %d", w.knobs.Odd.Plot, leader.id, victim.id)
	switch w.knobs.Odd.Plot {
	case overlap:
		w.beginOverlap(leader, victim)
	case amnesia:
		w.plotUntil = w.now + 3*Election
		w.cutPair(leader, victim)
		w.push(w.now+Election+Time(w.odd.N(int64(Election))), event{kind: eventPlot, node: victim.index, gen: victim.boot})
	case lapse:
		w.beginLapse(leader, victim)
	default:
	}
}

// plotOn is the second half.
func (w *World) plotOn(s *server, other int32) {
	if w.calm {
		return
	}
	switch w.knobs.Odd.Plot {
	case overlap:
		w.parts(s, other)
	case amnesia:
		w.forgetful(s)
	case lapse:
		w.loses(s)
	default:
	}
}

// cutPair cuts both directions between two nodes.
func (w *World) cutPair(a, b *server) {
	w.links[a.index][b.index].cut, w.links[b.index][a.index].cut = true, true
}

// beginOverlap cuts the leader off with a follower that sleeps over what both leaders
// have to say.
func (w *World) beginOverlap(leader, victim *server) {
	w.heal()
	span := 2*Election + Time(w.odd.N(int64(4*Election)))
	w.pause(victim, span)
	w.proposeSome(leader)
	w.push(w.now+Time(w.odd.N(int64(60*millisecond))), event{kind: eventPlot, node: leader.index, slot: int32(victim.index), gen: leader.boot})
	w.push(w.now+span-1, event{kind: eventHeal})
	w.plotUntil = w.now + span + w.knobs.LazyFor
}

// parts cuts the leader off from all but the victim, which sleeps.
func (w *World) parts(leader *server, victim int32) {
	for _, s := range w.servers {
		if s != leader && s.index != int8(victim) {
			w.cutPair(leader, s)
		}
	}
	w.proposeSome(leader)
}

func (w *World) proposeSome(leader *server) {
	for range 1 + w.odd.Intn(4) {
		if leader.node != nil {
			w.proposeOne(leader)
		}
	}
}

// forgetful restarts all that the candidate could ask, and lets it ask.
func (w *World) forgetful(candidate *server) {
	leader := w.leader()
	if leader == nil || leader == candidate {
		return
	}
	w.isolate(leader)
	down := Time(w.odd.N(int64(10 * millisecond)))
	for _, s := range w.servers {
		if s != candidate && s != leader && w.alive(s) {
			w.crash(s)
			w.push(w.now+1+down, event{kind: eventRestart, node: s.index})
		}
	}
	w.push(w.now+2+down, event{kind: eventAsk, node: candidate.index, gen: candidate.boot})
}

// beginLapse keeps all disks but the victim's from completing, so that it alone
// acknowledges what is proposed now.
func (w *World) beginLapse(leader, victim *server) {
	for _, other := range w.servers {
		if other.doubtFrom != 0 {
			return
		}
	}
	w.heal()
	until := w.now + 40*millisecond + Time(w.odd.N(int64(40*millisecond)))
	for _, s := range w.servers {
		if s != victim {
			s.heldUntil = until
		}
		if s != victim && s != leader {
			s.heldUntil += 400 * millisecond
		}
	}
	w.plotUntil = until
	w.proposeSome(leader)
	w.proposeSome(leader)
	w.push(w.now+35*millisecond, event{kind: eventPlot, node: victim.index, gen: victim.boot})
}

// loses crashes the victim, takes what it has from its disk, and starts it again.
func (w *World) loses(victim *server) {
	was := w.knobs.Damage
	w.knobs.Damage = 1
	w.crash(victim)
	w.knobs.Damage = was
	w.push(w.now+1, event{kind: eventRestart, node: victim.index})
}

// quiet: nobody wants anything while the plot needs all logs to be equal.
func (w *World) quiet() bool { return w.knobs.Odd.Plot == amnesia && w.now < w.plotUntil }

// overdue: an operator who asked for a hand-over knows within little more than an
// election time-out what became of it, whoever has failed.
func (w *World) overdue() {
	for _, s := range w.servers {
		if !w.alive(s) || len(s.orders) == 0 {
			continue
		}
		for _, o := range s.orders {
			if since := max(o.at, s.pausedUntil); o.transfer && w.now-since > 2*w.knobs.slowest()+2*w.knobs.LazyFor {
				w.failf("I14: node %d has not said for %d ms what became of the hand-over %d: %s", s.id, (w.now-since)/millisecond, o.id, w.statuses())
				return
			}
		}
	}
}

// disturb comes when all is well: a member loses the leader, or everybody, for a
// while. Nobody else may notice, neither then nor when it comes back (I12).
func (w *World) disturb() {
	leader := w.steady()
	if leader == nil || w.knobs.Core.DisablePreVote || w.knobs.Core.DisableCheckQuorum {
		return
	}
	conf := leader.node.Status().Configuration
	var victims []*server
	for i := range conf.Incoming {
		m := &conf.Incoming[i]
		if m.Priority.Or(0) != conf.Incoming[0].Priority.Or(0) {
			return // one may yield to another
		}
		if s := w.servers[m.ID-1]; m.Suffrage == raftpb.SuffrageVoter && s != leader {
			victims = append(victims, s)
		}
	}
	if len(victims) < 2 || raft.ToleratedFailures(&conf) < 1 {
		return
	}
	victim, term := victims[w.odd.Intn(len(victims))], leader.was.Term
	w.tracef("disturb: node %d loses the leader, node %d", victim.id, leader.id)
	switch w.odd.Intn(4) {
	case 0:
		w.isolate(victim)
	case 1:
		w.links[leader.index][victim.index].cut = true
	default:
		w.cutPair(leader, victim)
	}
	w.tellParted()
	w.advance(w.now + 3*Election)
	w.heal()
	w.advance(w.now + 2*Election)
	for _, s := range w.members(leader) {
		if w.err == nil && (leader.was.Role != raftpb.RoleLeader || s.was.Term != term) {
			w.failf("I12: node %d lost the leader, node %d, in term %d for a while, and deposed it: %s", victim.id, leader.id, term, w.statuses())
		}
	}
}

// lockstep restarts all nodes at one instant, with equal logs, on a network and disks
// that take equally long for everything: nothing but their own chance tells them apart.
func (w *World) lockstep() {
	w.tracef("lockstep")
	w.knobs.MoreDelay, w.knobs.DiskDelay = 1, 1
	w.restart()
	w.elects()
}
