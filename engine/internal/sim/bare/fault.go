package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// fault makes trouble: it crashes or pauses a process, cuts or heals links, tells
// somebody to campaign.
func (w *World) fault() {
	if w.calm || w.now < w.plotUntil {
		return
	}
	s := w.servers[w.process.Intn(len(w.servers))]
	if s.node != nil && w.strikes(crash, w.knobs.Crash, &w.process) {
		w.crash(s)
	}
	s = w.servers[w.process.Intn(len(w.servers))]
	if s.node != nil && w.strikes(pause, w.knobs.Pause, &w.process) {
		w.pause(s, Time(w.process.N(int64(min(20*Election, 2*w.knobs.Down)))))
		w.tracef("pause %d until %d", s.id, s.pausedUntil/1000)
	}
	s = w.servers[w.process.Intn(len(w.servers))]
	if s.node != nil && s.pausedUntil <= w.now && w.strikes(campaign, w.knobs.Campaign, &w.process) {
		w.step(s, &raft.Event{Kind: raft.EventCampaign})
	}
	w.admin()
	w.oddFault()
	s = w.servers[w.process.Intn(len(w.servers))]
	if w.alive(s) && w.strikes(wake, w.knobs.Wake, &w.process) {
		w.step(s, &raft.Event{Kind: raft.EventWake, Peer: w.servers[w.process.Intn(len(w.servers))].id})
	}
	if w.strikes(cut, w.knobs.Cuts, &w.process) {
		w.partition()
	}
}

// pause keeps a process from running for at least so long.
func (w *World) pause(s *server, length Time) {
	s.pausedUntil = max(s.pausedUntil, w.now+length)
}

// heal mends all links.
func (w *World) heal() {
	for i := range w.links {
		for j := range w.links[i] {
			w.links[i][j].cut = false
		}
	}
}

// partition replaces the cuts by others. In half of all cases a cut goes one way
// only.
func (w *World) partition() {
	n := len(w.servers)
	w.heal()
	way := w.process.Intn(4) // 0: inbound only, 1: outbound only, else both
	cut := func(a, b int) {
		if way != 1 {
			w.links[a][b].cut = true
		}
		if way != 0 {
			w.links[b][a].cut = true
		}
	}
	apart := func(kept func(a, b int) bool) {
		for a := range n {
			for b := range a {
				if !kept(a, b) {
					cut(a, b)
				}
			}
		}
	}
	turn := w.process.Intn(n)
	side := func(i int) int { return (i + turn) % n }
	kind := w.process.Intn(9)
	switch kind {
	case 0: // healed
	case 1: // one alone
		apart(func(a, b int) bool { return a != turn && b != turn })
	case 2: // two halves
		split := 1 + w.process.Intn(max(n-1, 1))
		apart(func(a, b int) bool { return (side(a) < split) == (side(b) < split) })
	case 3: // two halves and one who hears both
		apart(func(a, b int) bool {
			return side(a) == 0 || side(b) == 0 || (side(a) <= n/2) == (side(b) <= n/2)
		})
	case 4: // a ring
		apart(func(a, b int) bool { d := (a - b + n) % n; return d == 1 || d == n-1 })
	case 5: // a chain
		apart(func(a, b int) bool { d := side(a) - side(b); return d == 1 || d == -1 })
	case 6: // a star
		apart(func(a, b int) bool { return side(a) == 0 || side(b) == 0 })
	case 7: // the leader cannot be reached, or reaches nobody
		if leader := w.leader(); leader != nil {
			way = w.process.Intn(2)
			for i := range n {
				if i != int(leader.index) {
					cut(int(leader.index), i)
				}
			}
		}
	default: // any links, one way each
		for range 1 + w.process.Intn(2*n) {
			w.links[w.process.Intn(n)][w.process.Intn(n)].cut = true
		}
	}
	if w.process.Intn(3) == 0 { // it flaps
		w.push(w.now+Time(w.process.N(int64(Election))), event{kind: eventHeal})
	}
	w.tracef("partition %d, way %d", kind, way)
	w.tellParted()
}

// tellParted tells those who sleep of the links that are cut.
func (w *World) tellParted() {
	for a := range w.servers {
		for b := range a {
			if w.links[a][b].cut || w.links[b][a].cut {
				w.parted(w.servers[a], w.servers[b])
			}
		}
	}
}

// isolate cuts all links of a node.
func (w *World) isolate(s *server) {
	for i := range w.servers {
		if i != int(s.index) {
			w.links[s.index][i].cut, w.links[i][s.index].cut = true, true
		}
	}
}

// doom plans the end of a new leader.
func (w *World) doom(s *server) {
	if !w.calm && w.strikes(newLeader, w.knobs.Doom, &w.process) {
		w.push(w.now+Time(w.process.N(int64(w.knobs.DoomWithin))), event{kind: eventDoom, node: s.index, gen: s.boot})
	}
}

func (w *World) doomed(s *server) {
	if w.process.Intn(3) > 0 {
		w.crash(s)
		return
	}
	w.isolate(s)
	w.tellParted()
}

// leads is called when a leader's effects are carried out. In some worlds it
// crashes when it stands where the paper's Figure 8 begins: a follower has its
// predecessors' entries, and none of its own.
func (w *World) leads(s *server, now *raft.Glance) {
	if w.knobs.Halfway == 0 || w.calm || s.node == nil {
		return
	}
	first := s.termStart(now)
	for i := range s.node.Members() {
		if p := s.node.Member(i); p.ID != s.id && 0 < p.Match && p.Match < first && w.strikes(halfway, w.knobs.Halfway, &w.process) {
			s.muted = s.boot
			w.crash(s)
			return
		}
	}
}

// termStart is where the own entries of a leader begin.
func (s *server) termStart(now *raft.Glance) raft.Index {
	if s.ledTerm != now.Term {
		s.ledTerm, s.ledFrom = now.Term, now.Last
	}
	return s.ledFrom
}

// alive reports whether a node runs and is not paused.
func (w *World) alive(s *server) bool { return s.node != nil && s.pausedUntil <= w.now }

// leading reports whether the node leads, as it believes.
func (s *server) leading() bool { return s.node != nil && s.was.Role == raftpb.RoleLeader }
