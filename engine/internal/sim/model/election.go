package model

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// raise moves a node to a higher term: it follows, and has not voted (3.3).
func (n *node) raise(term raftpb.Term) {
	if term > n.term {
		n.term, n.vote, n.role, n.transferee = term, 0, raftpb.RoleFollower, 0
	}
}

func (n *node) promise(c raftpb.NodeID) {
	n.vote = c
	n.unsynced = append(n.unsynced, ballot{n.term, c})
}

func (m *Model) observe(n *node, s *Step) *Rejection {
	switch {
	case s.Term <= n.term:
		return reject("3.3", "it takes over term %d, but is in term %d already: terms rise", s.Term, n.term)
	case s.Term > m.maxTerm:
		return reject("3.3", "it takes over term %d, which no candidate began: only a candidacy makes a term (a pre-vote does not, 9.6)", s.Term)
	}
	n.raise(s.Term)
	return nil
}

func (m *Model) campaign(n *node, s *Step) *Rejection {
	c, self := m.config(n.log), uint64(1)<<n.slot
	switch {
	case n.role == raftpb.RoleLeader:
		return reject("3.4", "it leads term %d: a leader does not campaign", n.term)
	case s.Term != n.term+1:
		return reject("3.4", "its candidacy begins term %d, it is in term %d: a candidacy begins the next term", s.Term, n.term)
	case c.learners&self != 0 && (c.voters|c.outgoing)&self == 0 && !m.votedBefore(n, n.log):
		return reject("4.2.1", "its configuration has it as a learner: it does not campaign")
	}
	n.raise(s.Term)
	n.role = raftpb.RoleCandidate
	n.promise(n.id)
	m.asked[ballot{s.Term, n.id}] = n.log
	m.maxTerm = max(m.maxTerm, s.Term)
	return nil
}

// votedBefore: the entry that made the node a learner is not known to be committed.
// Until it is, the others may not be able to elect anybody else (4.2.2).
func (m *Model) votedBefore(n *node, log id) bool {
	before := m.entries[m.entries[log].configAt].parent
	c := m.config(before)
	return m.configAt(log) > n.commit && ((c.voters|c.outgoing)&(1<<n.slot) != 0 || m.votedBefore(n, before))
}

func (m *Model) grant(n *node, s *Step) *Rejection {
	log, ok := m.asked[ballot{s.Term, s.Peer}]
	lastTerm, last := m.lastTerm(n.log), m.last(n.log)
	voted := m.ballots[ballot{s.Term, n.id}] // also a vote that an uncertain node forgot
	if s.Term == n.term && n.vote != 0 {
		voted = n.vote
	}
	switch {
	case !ok:
		return reject("3.4", "it votes for node %d, which is no candidate of term %d", s.Peer, s.Term)
	case m.last(log) != s.Index || m.lastTerm(log) != s.LastTerm:
		return reject("3.6.1", "node %d asked with last entry %d of term %d, its log ended at %d of term %d", s.Peer, s.Index, s.LastTerm, m.last(log), m.lastTerm(log))
	case s.Term < n.term:
		return reject("3.3", "it votes in term %d and is in term %d: requests of older terms are refused", s.Term, n.term)
	case voted != 0 && voted != s.Peer:
		return reject("3.4", "it votes for node %d in term %d, in which it voted for node %d", s.Peer, s.Term, voted)
	case s.LastTerm < lastTerm || s.LastTerm == lastTerm && s.Index < last:
		return reject("3.6.1", "it votes for a log that ends at %d of term %d; its own ends at %d of term %d and is more up-to-date", s.Index, s.LastTerm, last, lastTerm)
	}
	n.raise(s.Term)
	if n.vote == 0 {
		n.promise(s.Peer)
	}
	return nil
}

func (m *Model) lead(n *node, s *Step) *Rejection {
	switch {
	case n.role != raftpb.RoleCandidate || s.Term != n.term:
		return reject("3.4", "it leads term %d without being a candidate of it", s.Term)
	case m.reigns[s.Term] != nil:
		return reject("3.4", "node %d leads term %d: a term has at most one leader", m.reigns[s.Term].leader, s.Term)
	case m.ballots[ballot{s.Term, n.id}] != n.id:
		return reject("3.8", "it leads term %d before its own term and vote are durable", s.Term)
	}
	var votes uint64
	for _, who := range s.Votes {
		v := m.node(who)
		if v == nil || m.ballots[ballot{s.Term, who}] != n.id {
			return reject("3.8", "it counts a vote of node %d in term %d that is not on that node's disk", who, s.Term)
		}
		votes |= 1 << v.slot
	}
	if c := m.config(n.log); !c.quorum(votes) {
		return reject("4.3", "the votes of %v are no majority of its configuration, or not of both while joint", s.Votes)
	}
	if i := m.committedBefore(s.Term); m.at(n.log, i) != m.at(m.committed, i) {
		return reject("3.6.3", "it leads term %d without the entries up to %d that were committed in earlier terms", s.Term, i)
	}
	n.role = raftpb.RoleLeader
	m.reigns[s.Term] = &reign{leader: n.id, log: n.log}
	return nil
}

func (m *Model) stepDown(n *node, _ *Step) *Rejection {
	if n.role == raftpb.RoleFollower {
		return reject("3.3", "it steps down and is a follower already")
	}
	n.role, n.transferee = raftpb.RoleFollower, 0
	return nil
}

// transfer follows 3.10: the leader accepts nothing from clients, waits until the
// target has all of its log and tells it to campaign.
func (m *Model) transfer(n *node, s *Step) *Rejection {
	target := m.node(s.Peer)
	switch c := m.config(n.log); {
	case n.role != raftpb.RoleLeader:
		return reject("3.10", "it hands over leadership that it does not have")
	case s.Kind == AbortTransfer:
		n.transferee = 0
	case target == nil || target == n || (c.voters|c.outgoing)&(1<<target.slot) == 0:
		return reject("3.10", "it hands over to node %d, which is not another voter", s.Peer)
	case s.Kind == Transfer:
		n.transferee = s.Peer
	case n.transferee != s.Peer:
		return reject("3.10", "it tells node %d to campaign while it hands over to node %d (0: to nobody)", s.Peer, n.transferee)
	case m.reigns[n.term].acked[target.slot] < m.last(n.log):
		return reject("3.10", "it tells node %d to campaign, which has acknowledged its log up to %d of %d", s.Peer, m.reigns[n.term].acked[target.slot], m.last(n.log))
	}
	return nil
}

// committedBefore is how far leaders of terms below term have committed. A leader
// of a higher one may have gone further: the votes of a slow candidate can arrive
// when the next leader has already been at work.
func (m *Model) committedBefore(term raftpb.Term) (index raftpb.Index) {
	for t, r := range m.reigns {
		if t < term {
			index = max(index, r.commit)
		}
	}
	return index
}
