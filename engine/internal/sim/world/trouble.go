package world

import "slices"

// strikeOften is the fault generator: one kind of trouble out of those that the seed
// has, now.
func (w *World) strikeOften() {
	if w.calm {
		return
	}
	s := &w.process
	w.push(w.now+1+s.N(2*w.k.faultEvery), event{kind: evFault})
	now := []trouble{
		reset, clog, partition, crash, crashLoop, pause, slow, skew, diskHang, diskFull, campaign, burst, change, transfer, upgrade, future,
		stall, hush, flip, wipe, rollBack, retune,
	}
	total := 0.0
	for _, t := range now {
		total += w.k.rate[t]
	}
	at := s.Float() * total
	victim := w.nodes[s.Intn(len(w.nodes))]
	other := w.nodes[s.Intn(len(w.nodes))]
	length := int64(s.LogUniform(1e6, 5e9))
	for _, t := range now {
		if at -= w.k.rate[t]; at >= 0 || w.k.rate[t] == 0 {
			continue
		}
		if (!t.fatal() || w.did.crashes < maxCrashes) && w.counts(t) {
			w.strike(t, victim, other, length)
		}
		return
	}
}

// strike makes one trouble come about.
func (w *World) strike(t trouble, n, other *node, length int64) {
	if w.o.Trace != nil {
		w.trace(n, "fault", "%s, other node %d, for %.3f ms, number %d", troubleNames[t], other.id, float64(length)/1e6, w.troubles-1)
	}
	switch t {
	case reset:
		w.resetLink(n, other)
	case clog:
		w.links[n.place][other.place].clogged = w.now + length
	case partition:
		w.partition(n, other, length)
	case crash:
		w.crashNow(n)
	case crashLoop: // it will hardly come up before it falls again
		n.doomedAt = 1 + w.process.N(60)
		w.crashNow(n)
	case pause:
		n.pausedUntil = w.now + length
	case slow:
		n.slowUntil = w.now + length
	case skew:
		if w.k.skewPPM > 0 {
			n.setClock(w.process.Between(-w.k.skewPPM, w.k.skewPPM))
		}
	case diskHang:
		n.hangUntil = w.now + length
	case diskFull:
		n.fullUntil = w.now + length
	case campaign:
		w.guard(n, (*node).campaign)
	case burst:
		w.burst()
	case change:
		w.change()
	case transfer:
		w.transfer(other)
	case upgrade:
		w.upgrade(n)
	case future:
		w.future(n, other)
	case stall:
		w.stall(n)
	case hush:
		w.hushUntil = w.now + length
	case retune:
		w.guard(n, (*node).retune)
	case flip, wipe, rollBack:
		w.hurt(t, n)
	default:
	}
}

func (w *World) crashNow(n *node) {
	if n.up {
		w.crash(n)
	}
}

// campaign makes the node's election timer go off.
func (n *node) campaign() {
	if m := n.w.anyGroup(&n.w.process).members[n.place]; m.group != nil {
		m.group.Campaign()
		n.w.poke(n)
	}
}

// burst lets every client that thinks act at once, and sooner than usual.
func (w *World) burst() {
	for _, g := range w.groups {
		for _, cl := range g.clients.all {
			if cl.op == nil {
				g.clients.wake(cl, 1)
			}
		}
	}
}

// fell is the end of a leader that was elected a moment ago: it crashes, hangs, or is
// cut off.
func (w *World) fell(n *node) {
	length := w.process.N(3 * election)
	switch w.process.Intn(4) {
	case 0:
		w.push(w.now+w.process.N(election/4), event{kind: evExit, node: int8(n.place), gen: n.life})
	case 1:
		n.pausedUntil = w.now + length
	case 2:
		n.hangUntil = w.now + length
	default:
		var halves [2]uint64
		halves[0] = 1 << n.place
		w.cut(halves, w.process.Intn(3), length)
	}
}

// partition cuts links by one of the classic patterns, in both directions or in one,
// for a while.
func (w *World) partition(n, other *node, length int64) {
	s, all := &w.process, uint64(1)<<len(w.nodes)-1
	way := s.Intn(3)
	switch s.Intn(5) {
	case 0: // one node alone
		w.cut([2]uint64{1 << n.place}, way, length)
	case 1: // two halves
		w.cut([2]uint64{s.Uint64() & all}, way, length)
	case 2: // two halves and a node that both reach
		half := s.Uint64() & all &^ (1 << n.place)
		w.cut([2]uint64{half, all &^ half &^ (1 << n.place)}, way, length)
	case 3: // a ring: everybody reaches its neighbours only
		for i := range w.nodes {
			for k := range w.nodes {
				if d := (i - k + len(w.nodes)) % len(w.nodes); d > 1 && d < len(w.nodes)-1 {
					w.cutLink(i, k, length)
				}
			}
		}
	default: // two nodes do not reach each other
		w.cut([2]uint64{1 << n.place, 1 << other.place}, way, length)
	}
}

// cut separates the nodes in sides[0] from those in sides[1], which is the rest if it
// is empty. way: 0 both directions, 1 from the first side, 2 to it.
func (w *World) cut(sides [2]uint64, way int, length int64) {
	if sides[1] == 0 {
		sides[1] = (1<<len(w.nodes) - 1) &^ sides[0]
	}
	for i := range w.nodes {
		for k := range w.nodes {
			if sides[0]>>i&1 == 0 || sides[1]>>k&1 == 0 || i == k {
				continue
			}
			if way != 2 {
				w.cutLink(i, k, length)
			}
			if way != 1 {
				w.cutLink(k, i, length)
			}
		}
	}
}

func (w *World) cutLink(from, to int, length int64) {
	w.links[from][to].cut++
	w.push(w.now+length, event{kind: evHeal, node: int8(from), slot: int32(to)})
}

// heal ends one cut of a link.
func (w *World) heal(e event) {
	if l := &w.links[e.node][e.slot]; l.cut > 0 {
		l.cut--
	}
}

// calmDown ends all troubles.
func (w *World) calmDown() {
	w.calm = true
	for i := range w.links {
		for k := range w.links[i] {
			w.links[i][k] = link{}
		}
	}
	for _, n := range w.nodes {
		n.pausedUntil, n.slowUntil, n.hangUntil, n.fullUntil, n.doomedAt = 0, 0, 0, 0, 0
	}
	down := slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return n.up })
	for _, n := range down {
		w.push(w.now+1, event{kind: evRestart, node: int8(n.place), gen: n.life})
	}
	w.upgradeAll()
	w.trace(nil, "calm", "all faults end")
}
