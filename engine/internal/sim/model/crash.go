package model

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// durable takes note of a completed write. Writes complete in order, so the disk
// only ever moves towards what memory holds.
func (m *Model) durable(n *node, s *Step) *Rejection {
	if rejected := m.held(n, s); rejected != nil {
		return rejected
	}
	m.persist(n, s)
	m.ack(n)
	return nil
}

// held checks that memory once was what s says of the disk, and that the disk has
// not lost what was on it.
func (m *Model) held(n *node, s *Step) *Rejection {
	log, kept := m.find(s.Index, s.LastTerm), m.fork(n.disk.log, n.log)
	held := m.contains(n.log, log) || slices.ContainsFunc(n.past, func(p id) bool { return m.contains(p, log) })
	if s.Finished { // it is a committed prefix, and the rest of the old log is void
		kept, held = m.fork(n.disk.log, m.committed), m.contains(m.committed, log)
	}
	switch {
	case !held:
		return reject("3.8", "its disk holds a log that ends at %d of term %d, which its memory never held", s.Index, s.LastTerm)
	case s.Term > n.term || s.Vote != 0 && m.ballots[ballot{s.Term, n.id}] != s.Vote && !slices.Contains(n.unsynced, ballot{s.Term, s.Vote}):
		return reject("3.8", "its disk holds term %d and a vote for %d, which its memory never held", s.Term, s.Vote)
	case s.Term < n.disk.term || s.Term == n.disk.term && n.disk.vote != 0 && s.Vote != n.disk.vote:
		return reject("3.8", "its disk went from term %d, vote %d to term %d, vote %d", n.disk.term, n.disk.vote, s.Term, s.Vote)
	case !m.contains(log, kept):
		return reject("3.8", "its disk lost entries: it holds %d of term %d and held the log up to %d", s.Index, s.LastTerm, m.last(kept))
	}
	return nil
}

// persist makes the disk what s says. A vote of an older term is safe with it: the
// node will never vote in that term again.
func (m *Model) persist(n *node, s *Step) {
	n.disk = image{s.Term, s.Vote, m.find(s.Index, s.LastTerm)}
	n.unsynced = slices.DeleteFunc(n.unsynced, func(v ballot) bool {
		safe := v.term < s.Term || v == ballot{s.Term, s.Vote}
		if safe {
			m.ballots[ballot{v.term, n.id}] = v.node
		}
		return safe
	})
}

func (m *Model) crash(n *node, _ *Step) *Rejection {
	n.down, n.highest = true, max(n.highest, n.term)
	return nil
}

// restart: memory is what the disk gave. Writes that were under way may be part of
// it. An uncertain node's disk may give an older state, never an invented one.
func (m *Model) restart(n *node, s *Step) *Rejection {
	log := m.find(s.Index, s.LastTerm)
	switch {
	case !n.down:
		return reject("3.8", "it restarts and was not down")
	case s.Uncertain && s.Term > n.highest:
		return reject("3.8", "it restarts in term %d and was never behind term %d", s.Term, n.highest)
	case log == none || s.Commit > s.Index || m.at(log, s.Commit) != m.at(m.committed, s.Commit):
		return reject("3.8", "it restarts with a log that ends at %d of term %d, of which %d entries are said to be committed", s.Index, s.LastTerm, s.Commit)
	}
	if s.Uncertain {
		if !n.uncertain {
			n.lost = image{n.disk.term, n.disk.vote, m.fork(n.disk.log, m.committed)}
		}
	} else if rejected := m.held(n, s); rejected != nil {
		return rejected
	}
	m.persist(n, s)
	*n = node{id: n.id, slot: n.slot, role: raftpb.RoleFollower, term: s.Term, vote: s.Vote, log: log, commit: s.Commit, disk: n.disk,
		uncertain: n.uncertain || s.Uncertain, lost: n.lost, highest: n.highest}
	return nil
}

// repaired: a leader has brought back what the node forgot: its term is not below the
// one that was on its disk, and what was committed by its help is there again. It may
// be below if the node was a candidate in every term in between: nobody can make a
// leader any more of one that ended with its process, and that vote is free again.
// What it had acknowledged and nobody committed is gone: no leader may count it.
func (m *Model) repaired(n *node, _ *Step) *Rejection {
	switch {
	case !n.uncertain:
		return reject("3.8", "it is repaired and nothing was wrong")
	case !m.contains(n.disk.log, n.lost.log):
		return reject("3.8", "it counts as repaired without the committed entries up to %d that it had on its disk", m.last(n.lost.log))
	}
	for t := n.disk.term + 1; t <= n.lost.term; t++ {
		if m.ballots[ballot{t, n.id}] != n.id {
			return reject("3.8", "it counts as repaired in term %d and had been in term %d", n.disk.term, n.lost.term)
		}
		delete(m.ballots, ballot{t, n.id})
	}
	n.uncertain = false
	return nil
}
