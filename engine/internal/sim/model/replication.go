package model

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func (m *Model) append(n *node, s *Step) *Rejection {
	if n.role != raftpb.RoleLeader {
		return reject("3.5", "it appends entries and does not lead")
	}
	if s.Index != m.last(n.log)+1 || len(s.Entries) == 0 {
		return reject("3.5", "it writes %d entries at %d and its log ends at %d: a leader only appends", len(s.Entries), s.Index, m.last(n.log))
	}
	for i := range s.Entries {
		e, config := &s.Entries[i], int32(-1)
		if e.Term != n.term {
			return reject("3.5", "it appends an entry of term %d in term %d", e.Term, n.term)
		}
		if n.transferee != 0 && e.Config == nil {
			return reject("3.10", "it appends for a client while it hands over to node %d", n.transferee)
		}
		if e.Config != nil {
			next, ok := m.masks(e.Config)
			if !ok {
				return reject("trace", "it changes to a configuration with a node that cannot be, or too many")
			}
			if rejected := m.change(n, next); rejected != nil {
				return rejected
			}
			m.configs = append(m.configs, next)
			config = int32(len(m.configs) - 1)
		}
		n.log = m.grow(n.log, e, config)
	}
	m.reigns[n.term].log = n.log
	m.see(n, n.log)
	return nil
}

func (m *Model) accept(n *node, s *Step) *Rejection {
	tip := m.at(n.log, s.Index)
	if tip == none || m.lastTerm(tip) != s.LastTerm {
		return reject("3.5", "it accepts entries behind %d of term %d, which is not in its log", s.Index, s.LastTerm)
	}
	for i := range s.Entries {
		e, index := &s.Entries[i], m.last(tip)+1
		next := m.find(index, e.Term)
		if next == none || m.entries[next].parent != tip || !m.same(next, e) {
			return reject("3.5", "entry %d of term %d is not the one that the leader of that term made there", index, e.Term)
		}
		tip = next
	}
	return m.adopt(n, s, tip)
}

func (m *Model) install(n *node, s *Step) *Rejection {
	tip := m.find(s.Index, s.LastTerm)
	if !m.contains(m.committed, tip) {
		return reject("5", "it installs a snapshot up to %d of term %d, which is not a committed prefix of the log", s.Index, s.LastTerm)
	}
	rejected := m.adopt(n, s, tip)
	n.commit = max(n.commit, s.Index)
	return rejected
}

// adopt makes the prefix that ends with tip, from the leader of s.Term, part of the
// node's log. What agrees with it stays, a tail behind it too; a log that does not
// agree ends with tip.
func (m *Model) adopt(n *node, s *Step, tip id) *Rejection {
	log := n.log
	if !m.contains(log, tip) {
		log = tip
	}
	kept, owed := m.last(m.fork(n.log, log)), m.last(m.fork(n.log, m.committed))
	switch r := m.reigns[s.Term]; {
	case r == nil || r.leader != s.Peer || r.leader == n.id:
		return reject("3.4", "it obeys node %d as another leader of term %d, which it never was", s.Peer, s.Term)
	case s.Term < n.term:
		return reject("3.3", "it obeys the leader of term %d and is in term %d", s.Term, n.term)
	case !m.contains(r.log, tip):
		return reject("3.5", "it takes over a log up to %d of term %d that the leader of term %d does not have", m.last(tip), m.lastTerm(tip), s.Term)
	case kept < owed:
		return reject("3.6.3", "it drops its entries behind %d, of which those up to %d are committed", kept, owed)
	case s.Last != m.last(log):
		return reject("3.5", "its log ends at %d now and should end at %d: a conflicting tail goes, a matching one stays", s.Last, m.last(log))
	}
	if !m.contains(log, n.log) {
		n.past = append(n.past, n.log)
	}
	n.raise(s.Term)
	n.role, n.log = raftpb.RoleFollower, log
	m.see(n, tip)
	return nil
}

// see notes that the node's log is that of its term's leader up to end.
func (m *Model) see(n *node, end id) {
	if k := len(n.seen); k == 0 || n.seen[k-1].term != n.term {
		n.seen = append(n.seen, prefix{n.term, end})
	} else if m.last(end) > m.last(n.seen[k-1].end) {
		n.seen[k-1].end = end
	}
	m.ack(n)
}

// ack notes what has become durable of what the node has seen.
func (m *Model) ack(n *node) {
	if n.uncertain {
		return
	}
	for _, p := range n.seen {
		if n.disk.term >= p.term { // else a crash would undo the term
			acked := &m.reigns[p.term].acked[n.slot]
			*acked = max(*acked, m.last(m.fork(n.disk.log, p.end)))
		}
	}
	n.seen = slices.DeleteFunc(n.seen, func(p prefix) bool { return p.term < n.disk.term })
}

func (m *Model) advance(n *node, s *Step) *Rejection {
	e := m.at(n.log, s.Index)
	switch {
	case e == none || s.Index <= n.commit:
		return reject("3.5", "it commits up to %d; it had committed %d and its log ends at %d", s.Index, n.commit, m.last(n.log))
	case n.role == raftpb.RoleLeader:
		return m.advanceLeader(n, e)
	}
	var bound raftpb.Index
	if r := m.reigns[n.term]; r != nil { // it may have restarted since it acknowledged
		bound = r.acked[n.slot]
	}
	if k := len(n.seen); k > 0 && n.seen[k-1].term == n.term {
		bound = max(bound, m.last(n.seen[k-1].end))
	}
	switch {
	case s.Index > bound:
		return reject("3.5", "it commits up to %d, but has seen its log agree with that of term %d's leader only up to %d", s.Index, n.term, bound)
	case m.at(m.committed, s.Index) != e:
		return reject("3.6.3", "it commits entry %d of term %d, which no leader committed", s.Index, m.lastTerm(e))
	}
	n.commit = s.Index
	return nil
}

// advanceLeader: only what is durable at a quorum and of the leader's own term
// commits. A voter counts if it acknowledged in this term; one whose disk has lost
// the entry since still counts while it is uncertain, for it gets the entry back
// before it votes again.
func (m *Model) advanceLeader(n *node, e id) *Rejection {
	r, index := m.reigns[n.term], m.last(e)
	if m.lastTerm(e) != n.term {
		return reject("3.6.2", "it commits entry %d of term %d by counting in term %d: only entries of its own term are", index, m.lastTerm(e), n.term)
	}
	var held uint64
	for _, v := range m.nodes {
		if r.acked[v.slot] >= index && (v.uncertain || m.contains(v.disk.log, e)) {
			held |= 1 << v.slot
		}
	}
	if c := m.config(n.log); !c.quorum(held) {
		return reject("3.5", "it commits up to %d, which is durable at voters %b of %b, outgoing %b (sets of nodes in order of appearance)",
			index, held&(c.voters|c.outgoing), c.voters, c.outgoing)
	}
	if !m.contains(m.committed, e) {
		if !m.contains(e, m.committed) {
			return reject("3.6.3", "it commits entry %d of term %d against another one that was committed", index, n.term)
		}
		m.committed = e
	}
	n.commit, r.commit = index, index
	return nil
}
