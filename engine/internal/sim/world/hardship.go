package world

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
)

// hardships are knobs of what befalls whole nodes.
type hardships struct {
	witness       raft.NodeID // keeps no state, in the groups that can do without it; 0: there is none
	quiesceAfter  int64       // 0: groups never sleep
	stallAfter    int64       // a disk that hangs for so long is reported; 0: never
	doubt         bool        // stores are damaged, and say so
	slowest       int64       // as far as election time-outs adapt
	fromFollowers bool        // leaders let others send their snapshots
	holdFrom      int         // proposals, from which on others wait for a write; 0: they do not
}

// drawHardships has numbers of its own for each, as all knobs that came later.
func (k *knobs) drawHardships(seed uint64, without []string) {
	h := &k.hardships
	if own := schedule.NewStream(seed, 310); own.Chance(0.3) {
		h.quiesceAfter = election * own.Between(1, 12) / 4
	} else {
		k.rate[hush] = 0
	}
	if own := schedule.NewStream(seed, 311); own.Chance(0.3) && k.nodes >= 3 {
		h.witness = raft.NodeID(1 + own.Intn(k.nodes+k.outsiders))
	}
	if own := schedule.NewStream(seed, 312); own.Chance(0.6) {
		h.stallAfter = int64(own.LogUniform(float64(election/8), float64(2*election)))
	}
	h.slowest = election
	if own := schedule.NewStream(seed, 314); own.Chance(0.5) {
		h.slowest = election * own.Between(2, 6) / 2
	} else {
		k.rate[retune] = 0
	}
	if own := schedule.NewStream(seed, 315); own.Chance(0.25) {
		h.holdFrom = 1 + own.Intn(3)
	}
	lenders := schedule.NewStream(seed, 316)
	h.fromFollowers = lenders.Chance(0.4)
	own := schedule.NewStream(seed, 313)
	h.doubt = own.Chance(0.3) && k.nodes >= 3
	for _, t := range []trouble{flip, wipe, rollBack} {
		// A minority may be in doubt at a time, and who is in the minority must be known:
		// these worlds keep their members.
		if h.doubt && !slices.Contains(without, troubleNames[t]) {
			k.rate[t] = own.LogUniform(0.1, 1)
			k.rate[change] = 0
		} else {
			k.rate[t] = 0
		}
	}
}

// presence is as an engine's host has it.
func (k *knobs) presence() runtime.Presence {
	if k.quiesceAfter == 0 {
		return runtime.Presence{}
	}
	return runtime.Presence{Interval: raft.Time(min(k.heartbeat, election/10)), Patience: raft.Time(election / 2)}
}

// keepsNoState reports whether a node is, or will be, a witness of the group. A group of
// less than three would have nobody to lead it, sooner or later.
func (g *group) keepsNoState(id raft.NodeID) bool {
	return id == g.w.k.witness && len(g.config.Incoming) >= 3
}

// stall makes the disk of a leader hang, if there is one, for as long as it takes
// others to elect another one, or longer.
func (w *World) stall(n *node) {
	if m := w.anyGroup(&w.process).leader(); m != nil {
		n = m.n
	}
	n.hangUntil = w.now + election*w.process.Between(1, 12)
}

// quiet reports until when clients ask for nothing.
func (w *World) quiet() bool { return w.now < w.hushUntil && !w.calm }

// retune tells a node of another tempo than there is, until it looks again.
func (n *node) retune() {
	s := &n.w.process
	if m := n.w.anyGroup(s).members[n.place]; m.group != nil {
		m.group.Tune(raft.Time(s.N(6*election)), raft.Time(s.N(election)))
		n.w.poke(n)
	}
}
