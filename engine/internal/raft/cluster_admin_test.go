package raft

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Operators in a hostile world: they change the members and hand over the
// leadership at the worst moments, and every request must be answered once.

// adminKnobs say who is there and what operators do.
type adminKnobs struct {
	strangers  int     // nodes that are no members at first
	witness    bool    // the last of the first members is one
	priorities bool    // members differ in priority
	rate       float64 // of what clients do
	transfers  float64 // of what operators do
}

func (k *knobs) drawAdmin(rnd *rand.Rand) {
	if k.half > 0 || rnd.IntN(2) == 0 {
		return
	}
	k.admin = adminKnobs{
		strangers: rnd.IntN(3), witness: rnd.IntN(3) == 0, priorities: rnd.IntN(3) == 0,
		rate: 0.05 + rnd.Float64()*0.5, transfers: rnd.Float64() * 0.5,
	}
}

// firstConfiguration is what the first members start with.
func (c *cluster) firstConfiguration() Configuration {
	var conf Configuration
	for i := range c.knobs.nodes {
		m := Member{ID: NodeID(i + 1), Suffrage: raftpb.SuffrageVoter}
		if c.server(m.ID).witness {
			m.Suffrage = raftpb.SuffrageWitness
		}
		if c.knobs.admin.priorities {
			m.Priority.Set, m.Priority.Value = true, int32(i%3)
		}
		conf.Incoming = append(conf.Incoming, m)
	}
	return conf
}

// operate lets an operator do something on s.
func (c *cluster) operate(s *server) {
	c.calls++
	id := c.calls
	in := Event{Kind: EventTransfer, Now: c.now, RequestID: id}
	if c.rnd.Float64() < c.knobs.admin.transfers {
		in.Peer = NodeID(c.rnd.IntN(len(c.nodes) + 1))
	} else {
		in.Kind, in.Change = EventChange, c.drawChange(s)
	}
	s.asked[id] = true
	c.tracef("operator on %d: transfer to %d or %+v", s.id, in.Peer, in.Change)
	c.step(s, in)
}

func (c *cluster) drawChange(s *server) *ChangeRequest {
	r := &ChangeRequest{CatchUp: CatchUp{Skip: c.rnd.IntN(3) > 0, Patience: 1 + Time(c.rnd.Int64N(int64(simElection)))}}
	if c.rnd.IntN(2) == 0 {
		r.CatchUp.LagEntries = 1 + Index(c.rnd.IntN(5))
	}
	if c.rnd.IntN(4) == 0 {
		r.Compare, r.Expected = true, s.node.inForce().Index
		if c.rnd.IntN(4) == 0 {
			r.Expected++
		}
	}
	kinds := []raftpb.ChangeKind{
		raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddLearner, raftpb.ChangeKindRemove,
		raftpb.ChangeKindRemove, raftpb.ChangeKindPromote, raftpb.ChangeKindDemote, raftpb.ChangeKindUpdateAddress,
	}
	for range 1 + c.rnd.IntN(3) {
		member := Member{ID: NodeID(1 + c.rnd.IntN(len(c.nodes)))}
		kind := kinds[c.rnd.IntN(len(kinds))]
		if c.server(member.ID).witness && kind != raftpb.ChangeKindRemove {
			kind = raftpb.ChangeKindAddWitness
		}
		r.Steps = append(r.Steps, raftpb.Change{Kind: kind, Member: member})
	}
	return r
}

// checkAnswers demands that an operator's request is answered once.
func (c *cluster) checkAnswers(s *server) {
	answered := func(id uint64, why Refusal) {
		if !s.asked[id] {
			c.failf("node %d answers request %d twice, or nobody asked", s.id, id)
		}
		delete(s.asked, id)
		c.refusals[why]++
	}
	for _, a := range s.out.Changes {
		answered(a.RequestID, a.Refused)
		if a.Refused == RefusalNone && a.Index > s.node.log.commit {
			c.failf("node %d: the change is done at %d, committed is %d", s.id, a.Index, s.node.log.commit)
		}
	}
	for _, a := range s.out.Transfers {
		answered(a.RequestID, a.Refused)
		if a.Refused == RefusalNone && c.watch.leaders[a.Term] != a.Leader {
			c.failf("node %d: transferred to %d in term %d, which %d leads", s.id, a.Leader, a.Term, c.watch.leaders[a.Term])
		}
	}
	if t := &s.node.transfer; t.target != 0 && c.clock(s) > t.deadline+simElection {
		c.failf("node %d: its transfer to %d is never given up", s.id, t.target)
	}
}

// checkConfigurations follows the configurations in the log of s (I10): each
// follows its predecessor by the rules, and the last one is in force.
func (c *cluster) checkConfigurations(s *server) {
	out, n := &s.out, s.node
	touched := false
	if out.TruncateFrom > 0 {
		k := len(s.configs)
		for k > 1 && s.configs[k-1].Index >= out.TruncateFrom {
			k--
		}
		touched, s.configs = k < len(s.configs), s.configs[:k]
	}
	for i := range out.Append {
		e := &out.Append[i]
		if e.Kind != raftpb.EntryKindConfig {
			continue
		}
		next, err := parseConfiguration(e.Body)
		if err != nil {
			c.failf("node %d appends a configuration: %v", s.id, err)
			return
		}
		at := Change{out.AppendFrom + Index(i), next}
		last := s.configs[len(s.configs)-1]
		if n.role == raftpb.RoleLeader && e.Term == n.term {
			if why := changeFault(last, at, n); why != "" {
				c.failf("I10: leader %d appends configuration %d: %s", s.id, at.Index, why)
			}
		}
		s.configs = append(s.configs, at)
		touched = true
	}
	last := s.configs[len(s.configs)-1]
	if touched && !bytes.Equal(last.Configuration.AppendCompact(nil), n.conf.AppendCompact(nil)) {
		c.failf("I10: node %d: the configuration of %d is not in force", s.id, last.Index)
	}
}

// changeFault says which rule a leader breaks that follows one configuration by
// another.
func changeFault(last, next Change, n *Node) string {
	from, to := &last.Configuration, &next.Configuration
	switch {
	case last.Index > n.log.commit:
		return "the last one is not committed"
	case n.log.commit < n.termStart:
		return "nothing of this term is committed"
	case len(from.Outgoing) > 0 && len(to.Outgoing) > 0:
		return "one joint phase follows another"
	case len(from.Outgoing) > 0 && differing(from.Incoming, to.Incoming) > 0:
		return "a joint phase ends with others than its new half"
	case len(from.Outgoing) == 0 && len(to.Outgoing) > 0 && differing(from.Incoming, to.Outgoing) > 0:
		return "the old half of a joint phase is not what was in force"
	case len(from.Outgoing) == 0 && len(to.Outgoing) == 0 && differing(from.Incoming, to.Incoming) > 1:
		return "more than one voter changes without a joint phase"
	}
	return ""
}

// votersIn is the sorted ids of who votes.
func votersIn(half []Member) []NodeID {
	var ids []NodeID
	for _, m := range half {
		if m.Suffrage != raftpb.SuffrageLearner {
			ids = append(ids, m.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func differing(a, b []Member) int {
	one, two := votersIn(a), votersIn(b)
	count := 0
	for _, id := range one {
		if !slices.Contains(two, id) {
			count++
		}
	}
	for _, id := range two {
		if !slices.Contains(one, id) {
			count++
		}
	}
	return count
}

// decides reports whether those for whom in holds are a quorum of conf.
func decides(conf *Configuration, in func(NodeID) bool) bool {
	majority := func(half []Member) bool {
		voters := votersIn(half)
		count := 0
		for _, id := range voters {
			if in(id) {
				count++
			}
		}
		return count > len(voters)/2
	}
	return majority(conf.Incoming) && (len(conf.Outgoing) == 0 || majority(conf.Outgoing))
}

// checkQuorum demands of a leader whose commit index moved that a quorum holds
// what it commits on its disks: by the configuration with which it counted.
func (c *cluster) checkQuorum(s *server, before Configuration, was Index) {
	n := s.node
	if n.role != raftpb.RoleLeader || n.log.commit <= was {
		return
	}
	i := n.log.commit
	if int(i) >= len(s.shadow) {
		c.failf("I6: leader %d commits %d, which it has told nobody", s.id, i)
		return
	}
	holds := func(id NodeID) bool {
		other := c.server(id)
		has := func(chain []uint64) bool { return int(i) < len(chain) && chain[i] == s.shadow[i] }
		return has(other.disk.chain) || has(other.ghost) // or it acknowledged, and lost it since
	}
	if !decides(&before, holds) && !decides(&n.conf, holds) {
		c.failf("I6: leader %d commits %d, which no quorum of %v / %v holds", s.id, i, votersIn(before.Incoming), votersIn(before.Outgoing))
	}
}

// checkElected demands that a new leader may lead and has the votes of a quorum.
func (c *cluster) checkElected(s *server, term Term) {
	conf := &s.configs[len(s.configs)-1].Configuration
	may := false
	for k := len(s.configs) - 1; k >= 0; k-- {
		half := slices.Concat(s.configs[k].Configuration.Incoming, s.configs[k].Configuration.Outgoing)
		may = may || slices.ContainsFunc(half, func(m Member) bool { return m.ID == s.id && m.Suffrage == raftpb.SuffrageVoter })
		if s.configs[k].Index <= s.commit {
			break
		}
	}
	if s.witness || !may {
		c.failf("I11: %d leads term %d and may not", s.id, term)
	}
	gave := func(id NodeID) bool {
		return c.watch.votes[[2]int64{int64(id), int64(term)}] == s.id || (id == s.id && s.disk.hs == HardState{term, id, s.disk.hs.Commit})
	}
	if !decides(conf, gave) {
		c.failf("I11: %d leads term %d without the votes of a quorum", s.id, term)
	}
}

// checkWitness demands that a witness is sent commands without bodies, and only what
// somebody who could lead has on its disk.
func (c *cluster) checkWitness(s *server, m *Message) {
	for i := range m.Entries {
		if e := &m.Entries[i]; e.Kind == raftpb.EntryKindCommand && !e.StrippedBytes.Set {
			c.failf("leader %d sends body %d to witness %d", s.id, m.PrevIndex+Index(i)+1, m.To)
		}
	}
	end := int(m.PrevIndex) + len(m.Entries)
	if len(m.Entries) == 0 || end >= len(s.shadow) {
		return
	}
	held := slices.ContainsFunc(c.nodes, func(o *server) bool {
		return !o.witness && end < len(o.disk.chain) && o.disk.chain[end] == s.shadow[end]
	})
	if !held {
		c.failf("leader %d sends witness %d entry %d, which is on no voter's disk", s.id, m.To, end)
	}
}
