package raft

import (
	"cmp"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// What a change leads to is a function of the configuration and the steps; only
// survives asks who is alive.

// applySteps returns the configuration behind the steps, or what is wrong with them.
func applySteps(from *Configuration, steps []raftpb.Change) (Configuration, Refusal) {
	to := Configuration{Epoch: from.Epoch}
	if len(steps) == 0 {
		return to, RefusalBadStep
	}
	whole := steps[0].Kind == raftpb.ChangeKindReplaceAll
	if !whole {
		to.Incoming = slices.Clone(from.Incoming)
	}
	for i := range steps {
		s := &steps[i]
		if (s.Kind == raftpb.ChangeKindReplaceAll) != whole {
			return to, RefusalBadStep
		}
		if why := applyStep(&to, s); why != RefusalNone {
			return to, why
		}
	}
	slices.SortFunc(to.Incoming, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return to, checkTarget(from, &to)
}

// applyStep does one step to the members of c.
func applyStep(c *Configuration, s *raftpb.Change) Refusal {
	i := slices.IndexFunc(c.Incoming, func(m Member) bool { return m.ID == s.Member.ID })
	m := s.Member
	if m.ID <= 0 {
		return RefusalBadStep
	}
	switch s.Kind {
	case raftpb.ChangeKindReplaceAll:
		if i >= 0 {
			return RefusalBadStep
		}
		c.Incoming = append(c.Incoming, m)
		return RefusalNone
	case raftpb.ChangeKindAddVoter:
		m.Suffrage = raftpb.SuffrageVoter
		return add(c, i, m)
	case raftpb.ChangeKindAddLearner:
		m.Suffrage = raftpb.SuffrageLearner
		return add(c, i, m)
	case raftpb.ChangeKindAddWitness:
		m.Suffrage = raftpb.SuffrageWitness
		return add(c, i, m)
	}
	if i < 0 {
		return RefusalUnknownMember
	}
	old := &c.Incoming[i]
	switch s.Kind {
	case raftpb.ChangeKindRemove:
		c.Incoming = slices.Delete(c.Incoming, i, i+1)
	case raftpb.ChangeKindPromote:
		old.Suffrage = raftpb.SuffrageVoter
	case raftpb.ChangeKindDemote:
		old.Suffrage = raftpb.SuffrageLearner
	case raftpb.ChangeKindUpdateAddress:
		merge(&m, old)
		old.Address, old.Priority = m.Address, m.Priority
	default:
		return RefusalBadStep
	}
	return RefusalNone
}

// add puts m, or what is new about it, among the members. A voter is not made a
// learner by adding it.
func add(c *Configuration, i int, m Member) Refusal {
	if i < 0 {
		c.Incoming = append(c.Incoming, m)
		return RefusalNone
	}
	if old := c.Incoming[i].Suffrage; old != m.Suffrage && old != raftpb.SuffrageLearner {
		return RefusalAlreadyMember
	}
	merge(&m, &c.Incoming[i])
	c.Incoming[i] = m
	return RefusalNone
}

// merge keeps of a member what a step does not say.
func merge(m, old *Member) {
	if m.Address == "" {
		m.Address = old.Address
	}
	if !m.Priority.Set {
		m.Priority = old.Priority
	}
}

// checkTarget judges the way from one configuration to another.
//
// A witness holds no bodies: made a voter, it would hold a log that it cannot
// serve. A voter with another incarnation is another store, which has forgotten
// what it acknowledged: it is removed by one change and added by the next.
func checkTarget(from, to *Configuration) Refusal {
	for i := range to.Incoming {
		m := &to.Incoming[i]
		k := slices.IndexFunc(from.Incoming, func(old Member) bool { return old.ID == m.ID })
		if k < 0 {
			continue
		}
		old := &from.Incoming[k]
		switch {
		case (old.Suffrage == raftpb.SuffrageWitness) != (m.Suffrage == raftpb.SuffrageWitness):
			return RefusalWitness
		case m.Incarnation < old.Incarnation,
			m.Incarnation != old.Incarnation && old.Suffrage != raftpb.SuffrageLearner:
			return RefusalIncarnation
		}
	}
	voters, witnesses := 0, 0
	for i := range to.Incoming {
		switch to.Incoming[i].Suffrage {
		case raftpb.SuffrageVoter:
			voters++
		case raftpb.SuffrageWitness:
			witnesses++
		case raftpb.SuffrageLearner:
		default:
			return RefusalBadStep
		}
	}
	switch {
	case len(from.Incoming)+len(to.Incoming) > MaxMembers:
		return RefusalTooManyMembers
	case voters == 0:
		return RefusalNobodyLeads
	case witnesses > (voters+witnesses)/2:
		return RefusalWitness
	}
	return RefusalNone
}

// votersDiffer counts the nodes that vote in one of the two configurations only.
func votersDiffer(a, b *Configuration) int {
	count := 0
	for i := range a.Incoming {
		if votes(&a.Incoming[i]) && !votesIn(b, a.Incoming[i].ID) {
			count++
		}
	}
	for i := range b.Incoming {
		if votes(&b.Incoming[i]) && !votesIn(a, b.Incoming[i].ID) {
			count++
		}
	}
	return count
}

func votes(m *Member) bool { return m.Suffrage != raftpb.SuffrageLearner }

func votesIn(c *Configuration, id NodeID) bool {
	return slices.ContainsFunc(c.Incoming, func(m Member) bool { return m.ID == id && votes(&m) })
}

// sameConfiguration reports whether nothing would change. The order of the members
// means nothing.
func sameConfiguration(a, b *Configuration) bool {
	if len(a.Incoming) != len(b.Incoming) || len(a.Outgoing)+len(b.Outgoing) > 0 || a.Epoch != b.Epoch {
		return false
	}
	for i := range a.Incoming {
		if !slices.Contains(b.Incoming, a.Incoming[i]) {
			return false
		}
	}
	return true
}

// withLearners returns from with the new voters of to added as learners, and
// whether there are any.
func withLearners(from, to *Configuration) (Configuration, bool) {
	c := *from
	c.Incoming = slices.Clone(from.Incoming)
	for i := range to.Incoming {
		m := to.Incoming[i]
		known := slices.ContainsFunc(from.Incoming, func(old Member) bool { return old.ID == m.ID })
		if m.Suffrage == raftpb.SuffrageVoter && !known {
			m.Suffrage = raftpb.SuffrageLearner
			c.Incoming = append(c.Incoming, m)
		}
	}
	return c, len(c.Incoming) > len(from.Incoming)
}

// survives refuses a configuration whose majority is not alive: it could commit
// nothing, not even its own repair. Alive is who was heard within the election
// time-out, and who is not a member yet. Witnesses are no majority, so among those
// alive is somebody who can lead.
func (n *Node) survives(to *Configuration) Refusal {
	voters, alive := 0, 0
	for i := range to.Incoming {
		m := &to.Incoming[i]
		if !votes(m) {
			continue
		}
		voters++
		if at := n.position(m.ID); at < 0 || at == n.self || n.now-n.members[at].contact < n.election {
			alive++
		}
	}
	if alive <= voters/2 {
		return RefusalQuorum
	}
	return RefusalNone
}

// ToleratedFailures is how many of c's voters may fail, whichever they are, so
// that the others still decide; in a joint configuration the least of both halves.
func ToleratedFailures(c *Configuration) int {
	least := func(half []Member) int {
		voters := 0
		for i := range half {
			if votes(&half[i]) {
				voters++
			}
		}
		return max(voters-1, 0) / 2
	}
	if len(c.Outgoing) == 0 {
		return least(c.Incoming)
	}
	return min(least(c.Incoming), least(c.Outgoing))
}
