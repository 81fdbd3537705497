package world

import (
	"fmt"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// patience is how long a cluster without faults may take until it serves again and all
// its nodes are equal: messages and clocks are as slow as they were.
const patience = 60 * election

// settle ends the faults and demands that the cluster recovers; then it asks the
// oracles.
func (w *World) settle() {
	if w.failure != nil {
		return
	}
	w.calmDown()
	until := w.now + patience
	var probe *operation
	var probed int64
	for w.failure == nil && w.now < until {
		if w.queue.Len() == 0 {
			break
		}
		w.next()
		if w.clients.busy(probe) {
			continue
		}
		switch {
		case probe != nil && probe.served && w.equal():
			w.finish()
			return
		case (probe == nil || !probe.served) && w.now > probed+election/10:
			probe, probed = w.clients.probe(), w.now
		}
	}
	w.fail("liveness", "%d ms after the last fault: %s", patience/millisecond, w.situation(probe))
}

// equal: one node leads, the configuration is no joint one, and all of its members are
// up and have applied the same log to its end. Others may be anywhere.
func (w *World) equal() bool {
	leader := w.leader()
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
	w.settled = w.settled[:0]
	for i := range conf.Incoming {
		n := w.nodes[conf.Incoming[i].ID-1]
		if !n.up || n.group == nil {
			return false
		}
		if b := n.group.Node().Glance(); b.Last != a.Last || b.Commit != a.Last || n.group.Applied() != a.Last {
			return false
		}
		w.settled = append(w.settled, n)
	}
	return true
}

// leader is the node that leads in the highest term, nil if none does.
func (w *World) leader() *node {
	var best *node
	for _, n := range w.nodes {
		if !n.up || n.group == nil || n.judge.Role() != raftpb.RoleLeader {
			continue
		}
		if best == nil || n.judge.Term() > best.judge.Term() {
			best = n
		}
	}
	return best
}

// situation says how the nodes stand, for whoever must find out why they do not go on.
func (w *World) situation(probe *operation) string {
	var b strings.Builder
	if probe == nil || !probe.served {
		b.WriteString("no command was served; ")
	}
	for _, n := range w.nodes {
		if !n.up || n.group == nil {
			b.WriteString("a node is down; ")
			continue
		}
		b.WriteString(glanceText(n))
	}
	return b.String()
}

// finish compares the nodes and asks the oracles.
func (w *World) finish() {
	for _, n := range w.settled {
		n.judge.Watched.State(n.machine.applied, uint64(n.machine.hash))
	}
	w.clients.readAll()
	w.checkCustom()
	if err := w.judge.Err(); err != nil {
		w.objects(err)
	}
	history := w.clients.history
	if v := oracle.Lists(history); len(v) > 0 {
		w.fail("oracle", "%v", &v[0])
		return
	}
	registers := history[:0:0]
	for i := range history {
		if history[i].Key[0] == 'r' {
			registers = append(registers, history[i])
		}
	}
	if r := oracle.Linearizable(registers, oracle.Options{}); r.Verdict != oracle.Legal {
		w.fail("oracle", "%s: %v", r.Verdict, r.Violation)
	}
}

func glanceText(n *node) string {
	g := n.group.Node().Glance()
	return fmt.Sprintf("node %d: %v in term %d, log %d of %d, commit %d, applied %d, durable %d; ",
		n.id, g.Role, g.Term, g.Last, g.LastTerm, g.Commit, n.group.Applied(), g.Durable)
}
