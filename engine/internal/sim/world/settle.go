package world

import (
	"fmt"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// patience is how long a cluster without faults may take until it serves again and all
// its nodes are equal: messages and clocks are as slow as they were. Who has a long way to go
// and goes on, entry by entry, gets the time again, up to twenty times.
const (
	patience   = 60 * election
	patiencies = 20
)

// settle ends the faults and demands that the cluster recovers; then it asks the
// oracles.
func (w *World) settle() {
	if w.failure != nil {
		return
	}
	w.calmDown()
	until, last := w.now+patience, w.now+patiencies*patience
	behind := w.slowest()
	for w.failure == nil && w.now < until {
		if w.queue.Len() == 0 {
			break
		}
		w.next()
		if now := w.slowest(); now > behind {
			behind, until = now, min(w.now+patience, last)
		}
		equal := 0
		for _, g := range w.groups {
			if !g.recovers() {
				break
			}
			equal++
		}
		if equal == len(w.groups) {
			w.finish()
			w.aftermath()
			return
		}
	}
	for _, g := range w.groups {
		if !g.recovers() {
			w.fail("liveness", "%d ms after the last fault: %s", (w.now-last+patiencies*patience)/millisecond, g.situation())
		}
	}
}

// slowest is how far the node is that has applied least, of those that have applied
// anything.
func (w *World) slowest() raftpb.Index {
	var least raftpb.Index
	for _, g := range w.groups {
		for _, m := range g.members {
			if m.group == nil {
				continue
			}
			if at := m.group.Applied(); at > 0 && (least == 0 || at < least) {
				least = at
			}
		}
	}
	return least
}

// recovers reports whether the group serves and its members are equal. It proposes one
// more command, until one is served.
func (g *group) recovers() bool {
	w, c := g.w, &g.clients
	if c.busy(g.probe) {
		return false
	}
	if g.probe != nil && g.probe.served {
		return g.equal()
	}
	if w.now > g.probed+election/10 {
		g.probe, g.probed = c.probe(), w.now
	}
	return false
}

// equal: one node leads, the configuration is no joint one, and all of its members are
// up and have applied the same log to its end. Others may be anywhere.
func (g *group) equal() bool {
	leader := g.leader()
	if leader == nil {
		return false
	}
	a := leader.group.Node().Glance()
	if a.Commit != a.Last || leader.group.Applied() != a.Last {
		return false
	}
	conf := leader.group.Node().Status().Configuration
	if len(conf.Outgoing) > 0 {
		return false
	}
	g.settled = g.settled[:0]
	for i := range conf.Incoming {
		m := g.members[conf.Incoming[i].ID-1]
		if m.group == nil {
			return false
		}
		if b := m.group.Node().Glance(); b.Last != a.Last || b.Commit != a.Last || m.doubt.in {
			return false
		}
		if conf.Incoming[i].Suffrage == raftpb.SuffrageWitness {
			continue
		}
		if m.group.Applied() != a.Last {
			return false
		}
		g.settled = append(g.settled, m)
	}
	return true
}

// leader is the node that leads in the highest term, nil if none does.
func (g *group) leader() *member {
	var best *member
	for _, m := range g.members {
		if m.group == nil || m.judge.Role() != raftpb.RoleLeader {
			continue
		}
		if best == nil || m.judge.Term() > best.judge.Term() {
			best = m
		}
	}
	return best
}

// situation says how the nodes stand, for whoever must find out why they do not go on.
func (g *group) situation() string {
	var b strings.Builder
	b.WriteString(g.name())
	if g.probe == nil || !g.probe.served {
		b.WriteString("no command was served; ")
	}
	for _, m := range g.members {
		if m.group == nil {
			b.WriteString("a node is down; ")
			continue
		}
		b.WriteString(glanceText(m))
	}
	return b.String()
}

// finish compares the nodes and asks the oracles.
func (w *World) finish() {
	for _, g := range w.groups {
		g.finish()
	}
}

func (g *group) finish() {
	w := g.w
	for _, m := range g.settled {
		m.judge.Watched.State(m.machine.applied, uint64(m.machine.hash))
	}
	g.clients.readAll()
	g.checkCustom()
	if err := g.judge.Err(); err != nil {
		w.objects(err)
	}
	g.clients.sessions.judge()
	history := g.clients.history
	for _, v := range oracle.Lists(history) {
		if !g.clients.sessions.concurrent(&v) {
			w.fail("oracle", "%v", &v)
			return
		}
	}
	isRegister := func(key string) bool { return key[0] == 'r' }
	switch r := oracle.Linearizable(history, oracle.Options{Steps: oracleSteps, Registers: isRegister}); r.Verdict {
	case oracle.Legal:
	case oracle.Unknown:
		w.fail(sim.Undecided, "%v", r.Violation)
	default:
		w.fail("oracle", "%s: %v", r.Verdict, r.Violation)
	}
}

// oracleSteps bounds the search for an order of the operations on one register. Histories of
// worlds take a few thousand.
const oracleSteps = 1 << 20

func glanceText(m *member) string {
	g := m.group.Node().Glance()
	return fmt.Sprintf("node %d: %v in term %d, log %d of %d, commit %d, applied %d, durable %d; ",
		m.n.id, g.Role, g.Term, g.Last, g.LastTerm, g.Commit, m.group.Applied(), g.Durable)
}
