package invariant

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// command names a client's command by its session.
type command struct{ session, serial int64 }

// effect is what a command did, the first time.
type effect struct {
	index  raftpb.Index
	result uint64
}

// state is the state machine's hash after an index, and who had it first.
type state struct {
	hash uint64
	node raftpb.NodeID
}

// Applied takes note that the node's state machine took in the entries from index
// from on: in order, each once, and those that were committed (I5).
func (n *Node) Applied(from raftpb.Index, entries []Entry) {
	n.tick()
	g := n.group
	if from != n.machine+1 && len(entries) > 0 {
		n.report(I5, from, n.term, "it applies %d after %d", from, n.machine)
	}
	for k := range entries {
		i := from + raftpb.Index(k)
		switch {
		case i < 1 || i > n.log.last():
			n.report(I5, i, n.term, "it applies %d and its log ends at %d", i, n.log.last())
			return
		case i <= g.end() && g.committed[i-1].next(&entries[k]) == g.committed[i]:
		case i > g.end() && n.nextInLog(i, &entries[k]): // Observe sees in a moment whether it is committed
		default:
			n.report(I5, i, n.term, "it applies an entry %d that is not the committed one", i)
			return
		}
		n.machine = i
	}
}

// nextInLog reports whether e stands at i in the node's own log.
func (n *Node) nextInLog(i raftpb.Index, e *Entry) bool {
	before, ok := n.log.at(n.group, i-1)
	return ok && n.log.holds(n.group, i, before.next(e))
}

// Restored takes note that the state machine took in a snapshot up to i, or came back
// with a state that reaches up to i.
func (n *Node) Restored(i raftpb.Index) {
	n.tick()
	if i < n.machine {
		n.report(I7, i, n.term, "a snapshot takes its state machine back from %d to %d", n.machine, i)
	}
	n.machine = i
}

// State compares the state machine's hash after index i with that of all others, and
// with its own before a restart or a change of codec (I16).
func (n *Node) State(i raftpb.Index, hash uint64) {
	n.tick()
	s, ok := n.group.states[i]
	if !ok {
		n.group.states[i] = state{hash, n.id}
	} else if s.hash != hash {
		n.report(I16, i, n.term, "its state after entry %d is %#x, that of node %d was %#x", i, hash, s.node, s.hash)
	}
}

// Effect takes note of what came of the command serial of session at index i: fresh
// says that it was executed, otherwise its result was found in the session table
// (I15).
func (n *Node) Effect(session, serial int64, i raftpb.Index, result uint64, fresh bool) {
	n.tick()
	g := n.group
	c := command{session, serial}
	e, ok := g.effects[c]
	switch {
	case ok && fresh && e.index != i:
		n.report(I15, i, n.term, "command %d of session %d takes effect at %d and did at %d", serial, session, i, e.index)
	case ok && !fresh && i <= e.index:
		n.report(I15, i, n.term, "command %d of session %d is answered from the table at %d, before it took effect at %d", serial, session, i, e.index)
	case ok && e.result != result:
		n.report(I15, i, n.term, "command %d of session %d is answered with %#x, and first was with %#x", serial, session, result, e.result)
	case !ok && !fresh:
		n.report(I15, i, n.term, "command %d of session %d is answered from the table and never took effect", serial, session)
	case !ok:
		g.effects[c] = effect{i, result}
	}
}

// SessionExpired takes note that the node's table dropped a session at index i: every
// node does so at the same one (I15).
func (n *Node) SessionExpired(session int64, i raftpb.Index) {
	n.tick()
	if at, ok := n.group.expired[session]; !ok {
		n.group.expired[session] = i
	} else if at != i {
		n.report(I15, i, n.term, "session %d expires at %d, elsewhere it did at %d", session, i, at)
	}
}
