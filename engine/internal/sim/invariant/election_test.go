package invariant_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func TestElectionSafety(t *testing.T) {
	play(t, []story{
		{name: "a majority elects one leader per term", play: func(s *stage) {
			s.lead(2, 2, 3)
		}},
		{name: "two leaders in a term", wrong: invariant.I1, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Role = raftpb.RoleLeader })
		}},
		{name: "a leader with its own vote only", wrong: invariant.I1, by: 2, play: func(s *stage) {
			s.lead(2, 2)
		}},
		{name: "the same follower's vote twice is one vote", wrong: invariant.I1, by: 1, play: func(s *stage) {
			s.lead(1, 2)
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 2})
		}},
		{name: "a vote of an older term does not elect", wrong: invariant.I1, by: 2, play: func(s *stage) {
			s.campaign(2, 2)
			s.vote(3, 2, 2)
			s.campaign(2, 3)
			s.observe(2, func(v *view) { v.Role = raftpb.RoleLeader })
		}},
		{name: "a leader whose own vote is not on its disk", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.write(2, write{Term: 2, Vote: 2})
			s.observe(2, func(v *view) { v.Role, v.Term, v.Vote = raftpb.RoleCandidate, 2, 2 })
			s.vote(1, 2, 2)
			s.vote(3, 2, 2)
			s.observe(2, func(v *view) { v.Role = raftpb.RoleLeader })
		}},
	})
}

func TestLeaderCompleteness(t *testing.T) {
	play(t, []story{
		{name: "a new leader has what was committed", play: func(s *stage) {
			s.lead(3, 2, 2)
		}},
		{name: "a new leader lacks it", wrong: invariant.I4, by: 3, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.ack(2, 1, 2)
			s.commit(1, 2)
			s.lead(3, 2, 2)
		}},
		{name: "the votes of a slow candidate owe it nothing that came later", play: func(s *stage) {
			s.campaign(3, 2)
			s.vote(2, 3, 2)
			s.lead(1, 3, 2)
			s.append(1, command(3, 31))
			s.append(2, command(3, 31))
			s.ack(2, 1, 2)
			s.commit(1, 2)
			s.observe(3, func(v *view) { v.Role = raftpb.RoleLeader })
		}},
	})
}

func TestTermsAndVotesOnlyGoForward(t *testing.T) {
	play(t, []story{
		{name: "a term rises, with a free vote", play: func(s *stage) {
			s.campaign(3, 2)
			s.observe(2, func(v *view) { v.Term, v.Vote = 2, 0 })
			s.observe(2, func(v *view) { v.Vote = 3 })
		}},
		{name: "a term falls", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Term, v.Vote = 0, 0 })
		}},
		{name: "a vote changes within its term", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Vote = 3 })
		}},
		{name: "a vote is taken back within its term", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Vote = 0 })
		}},
		{name: "a vote changes on the disk", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.durably(2, write{Term: 1, Vote: 3})
		}},
		{name: "a write has a lower term than the one before", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.write(2, write{Term: 3})
			s.write(2, write{Term: 2})
		}},
		{name: "a second vote in a term, after a restart", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.node(2).Crashed()
			s.node(2).Restarted(&image{Term: 1, Entries: []entry{{Term: 1, Kind: raftpb.EntryKindNoop}}})
		}},
		{name: "an incarnation falls", wrong: invariant.I7, by: 2, play: func(s *stage) {
			up := image{Term: 1, Vote: 1, Incarnation: 5, Entries: []entry{{Term: 1, Kind: raftpb.EntryKindNoop}}}
			s.node(2).Restarted(&up)
			up.Incarnation = 4
			s.node(2).Restarted(&up)
		}},
	})
}

func TestDisruption(t *testing.T) {
	play(t, []story{
		{name: "an isolated node stays in its term", play: func(s *stage) {
			s.g.Healthy(true)
			s.node(3).Outcast(true)
			s.observe(3, func(v *view) { v.Role = raftpb.RolePrecandidate })
		}},
		{name: "an isolated node begins a term", wrong: invariant.I12, by: 3, play: func(s *stage) {
			s.g.Healthy(true)
			s.node(3).Outcast(true)
			s.campaign(3, 2)
		}},
		{name: "it may when nobody else can lead", play: func(s *stage) {
			s.g.Healthy(false)
			s.node(3).Outcast(true)
			s.campaign(3, 2)
		}},
		{name: "a candidate that nobody saw makes a term", play: func(s *stage) {
			s.durably(3, write{Term: 2, Vote: 3}) // it crashes behind its request
			s.observe(2, func(v *view) { v.Term, v.Vote = 2, 0 })
		}},
		{name: "a pre-vote makes a term", wrong: invariant.I12, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Term, v.Vote = 2, 0 })
		}},
	})
}

// shrink is a committed change to these voters, which node 1 leads.
func shrink(s *stage, voters []raftpb.NodeID) {
	e := change(1, config{Voters: voters, Outgoing: ids(1, 2, 3)})
	for _, id := range ids(1, 2, 3) {
		s.durably(id, write{From: 2, Entries: []entry{e}})
		s.observe(id, func(v *view) { v.Last, v.LastTerm, v.Config = 2, 1, 2 })
		if id != 1 {
			s.ack(id, 1, 2)
		}
	}
	s.commit(1, 2)
	out := change(1, config{Voters: voters})
	for _, id := range ids(1, 2, 3) {
		s.durably(id, write{From: 3, Entries: []entry{out}})
		s.observe(id, func(v *view) { v.Last, v.LastTerm, v.Config = 3, 1, 3 })
		if id != 1 {
			s.ack(id, 1, 3)
		}
	}
	s.commit(1, 3)
	s.fine()
}

func TestRemovedNodes(t *testing.T) {
	play(t, []story{
		{name: "a leader that removed itself follows", play: func(s *stage) {
			shrink(s, ids(2, 3))
			s.observe(1, func(v *view) { v.Role = raftpb.RoleFollower })
		}},
		{name: "a leader that removed itself goes on", wrong: invariant.I11, by: 1, play: func(s *stage) {
			shrink(s, ids(2, 3))
			s.append(1, command(1, 99))
		}},
		{name: "a leader whose removal is not committed yet goes on", play: func(s *stage) {
			s.durably(1, write{From: 2, Entries: []entry{change(1, config{Voters: ids(2, 3)})}})
			s.observe(1, func(v *view) { v.Last, v.LastTerm, v.Config = 2, 1, 2 })
			s.append(1, command(1, 99))
		}},
		{name: "a node that knows of its removal leads", wrong: invariant.I11, by: 1, play: func(s *stage) {
			shrink(s, ids(2, 3))
			s.observe(1, func(v *view) { v.Role = raftpb.RoleFollower })
			s.lead(1, 2, 2, 3)
		}},
		{name: "a removed leader does not count itself", wrong: invariant.I6, by: 1, play: func(s *stage) {
			e := change(1, config{Voters: ids(2, 3)})
			for _, id := range ids(1, 2) {
				s.durably(id, write{From: 2, Entries: []entry{e}})
				s.observe(id, func(v *view) { v.Last, v.LastTerm, v.Config = 2, 1, 2 })
			}
			s.ack(2, 1, 2)
			s.commit(1, 2)
		}},
		{name: "a node outside of the configuration leads", wrong: invariant.I11, by: 4, play: func(s *stage) {
			s.append(4, entry{Term: 1, Kind: raftpb.EntryKindNoop})
			s.lead(4, 2, 2, 3)
		}},
	})
}

func TestLearnersAndWitnesses(t *testing.T) {
	t.Run("a learner leads", func(t *testing.T) {
		s := ledWith(t, setting{}, config{Voters: ids(1, 2, 3), Learners: ids(4)})
		s.durably(4, write{From: 1, Entries: []entry{{Term: 1, Kind: raftpb.EntryKindNoop}}})
		s.log(4, 1, 1)
		s.lead(4, 2, 2, 3)
		s.wrong(invariant.I11, 4)
	})
	t.Run("a witness leads", func(t *testing.T) {
		s := ledWith(t, setting{}, config{Voters: ids(1, 2, 3), Witnesses: ids(3)})
		s.lead(3, 2, 1)
		s.wrong(invariant.I11, 3)
	})
	t.Run("a witness counts", func(t *testing.T) {
		s := ledWith(t, setting{}, config{Voters: ids(1, 2, 3), Witnesses: ids(3)})
		s.lead(1, 2, 3)
		s.fine()
	})
	t.Run("a learner's vote elects nobody", func(t *testing.T) {
		s := ledWith(t, setting{}, config{Voters: ids(1, 2, 3), Learners: ids(4)})
		s.lead(1, 2, 4)
		s.wrong(invariant.I1, 1)
	})
}
