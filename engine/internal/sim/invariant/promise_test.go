package invariant_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func TestPromises(t *testing.T) {
	play(t, []story{
		{name: "a vote whose write is done", play: func(s *stage) {
			s.campaign(3, 2)
			s.vote(2, 3, 2)
		}},
		{name: "a vote whose write is under way", wrong: invariant.I18, by: 2, play: func(s *stage) {
			w := s.write(2, write{Term: 2, Vote: 3})
			s.tell(2, claim{Kind: invariant.Vote, To: 3, Term: 2, Write: w})
		}},
		{name: "a vote that no write holds", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.tell(2, claim{Kind: invariant.Vote, To: 3, Term: 2})
		}},
		{name: "a vote in the term on the disk, but not with it", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.durably(2, write{Term: 2})
			s.tell(2, claim{Kind: invariant.Vote, To: 3, Term: 2})
		}},
		{name: "a vote is taken back on the disk", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.durably(2, write{Term: 1, Vote: 0})
			s.durably(2, write{Term: 1})
		}},
		{name: "a vote for another node than the one on the disk", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.tell(2, claim{Kind: invariant.Vote, To: 3, Term: 1})
		}},
		{name: "a vote that a later term on the disk has made safe", play: func(s *stage) {
			s.campaign(3, 2)
			s.write(2, write{Term: 2, Vote: 0})
			s.durably(2, write{Term: 3, Vote: 2})
			s.tell(2, claim{Kind: invariant.Vote, To: 3, Term: 2})
		}},
		{name: "votes asked for before one's own is on the disk", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.write(2, write{Term: 2, Vote: 2})
			s.tell(2, claim{Kind: invariant.VoteAsk, To: 3, Term: 2})
		}},
		{name: "votes asked for afterwards", play: func(s *stage) {
			s.campaign(2, 2)
			s.tell(2, claim{Kind: invariant.VoteAsk, To: 3, Term: 2})
			s.tell(3, claim{Kind: invariant.PreVote, To: 2, Term: 3})
		}},
	})
}

func TestAcknowledgements(t *testing.T) {
	play(t, []story{
		{name: "more acknowledged than the disk holds", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.write(2, write{From: 2, Entries: []entry{command(1, 12)}})
			s.log(2, 2, 1)
			s.ack(2, 1, 2)
		}},
		{name: "an entry acknowledged that its disk has dropped", wrong: invariant.I9, by: 1, play: func(s *stage) {
			overtaken(s)
			s.durably(1, write{Term: 2, TruncateFrom: 2})
			s.log(1, 1, 1)
			s.ack(1, 3, 2)
		}},
		{name: "an entry that a leader of the past does not have", play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.lead(3, 2, 1) // by a mistake of node 1, which has more
			s.durably(1, write{Term: 2, Vote: 3, TruncateFrom: 2})
			s.observe(1, func(v *view) { v.Role, v.Term, v.Vote, v.Last = raftpb.RoleFollower, 2, 3, 1 })
			s.ack(2, 1, 2) // node 2 has not heard of it
			s.lead(1, 3, 3)
			s.ack(2, 1, 2) // nor of that
		}},
		{name: "acknowledged to nobody", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.campaign(3, 2)
			s.vote(2, 3, 2)
			s.ack(2, 3, 1)
		}},
		{name: "another entry acknowledged than the leader has", wrong: invariant.I9, by: 1, play: func(s *stage) {
			overtaken(s)
			s.durably(1, write{Term: 2})
			s.ack(1, 2, 2)
		}},
		{name: "acknowledged in a term that is not on the disk", wrong: invariant.I9, by: 1, play: func(s *stage) {
			overtaken(s)
			s.ack(1, 2, 1)
		}},
		{name: "an answer of an earlier term goes as far as its write did", play: func(s *stage) {
			s.append(1, command(1, 12))
			w := s.durably(2, write{From: 2, Entries: []entry{command(1, 12)}})
			s.log(2, 2, 1)
			s.lead(3, 2, 1)
			s.durably(2, write{Term: 2, TruncateFrom: 2})
			s.observe(2, func(v *view) { v.Term, v.Vote, v.Last = 2, 0, 1 })
			s.tell(2, claim{Kind: invariant.Ack, To: 1, Term: 1, Index: 2, Write: w})
		}},
		{name: "an answer of an earlier term goes further", wrong: invariant.I9, by: 2, play: func(s *stage) {
			w := s.durably(2, write{Term: 1, Vote: 1})
			s.campaign(2, 2)
			s.tell(2, claim{Kind: invariant.Ack, To: 1, Term: 1, Index: 2, Write: w})
		}},
		{name: "a write is durable that nobody handed out", wrong: invariant.I18, by: 2, play: func(s *stage) {
			s.node(2).Persisted(99)
		}},
		{name: "a completion is told twice", play: func(s *stage) {
			w := s.durably(2, write{Term: 1, Vote: 1})
			s.node(2).Persisted(w)
		}},
	})
}

// back restarts node 2 with what its disk gives.
func back(s *stage, d image) { s.back(2, d) }

func (s *stage) back(id raftpb.NodeID, d image) {
	s.node(id).Crashed()
	s.node(id).Restarted(&d)
}

func TestRestarts(t *testing.T) {
	noop, two := entry{Term: 1, Kind: raftpb.EntryKindNoop}, command(1, 12)
	play(t, []story{
		{name: "what was on the disk comes back", play: func(s *stage) {
			back(s, image{Term: 1, Vote: 1, Entries: []entry{noop}})
		}},
		{name: "a write under way comes back", play: func(s *stage) {
			s.append(1, two)
			s.write(2, write{From: 2, Entries: []entry{two}})
			back(s, image{Term: 1, Vote: 1, Entries: []entry{noop, two}})
			s.ack(2, 1, 2)
			s.commit(1, 2)
		}},
		{name: "a write under way comes back in part", play: func(s *stage) {
			s.append(1, two, command(1, 13))
			s.write(2, write{Term: 4, From: 2, Entries: []entry{two, command(1, 13)}})
			back(s, image{Term: 4, Entries: []entry{noop, two}})
		}},
		{name: "an entry is lost", wrong: invariant.I9, by: 2, play: func(s *stage) {
			back(s, image{Term: 1, Vote: 1})
		}},
		{name: "an entry is lost that a write under way was to drop", play: func(s *stage) {
			s.append(1, two)
			s.append(2, two)
			s.write(2, write{Term: 2, TruncateFrom: 2})
			back(s, image{Term: 1, Vote: 1, Entries: []entry{noop}})
		}},
		{name: "a log that a snapshot under way was to replace", play: func(s *stage) {
			overtaken(s)
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.write(1, write{Snapshot: mark{2, 2}, TruncateFrom: 3})
			s.back(1, image{Term: 2, Snapshot: mark{2, 2}})
			s.node(1).Compacted(2)
		}},
		{name: "an entry is lost behind a snapshot under way", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.append(1, two)
			s.append(2, two)
			s.write(2, write{Snapshot: mark{1, 1}})
			back(s, image{Term: 1, Vote: 1, Entries: []entry{noop}})
		}},
		{name: "an entry is lost while another is under way", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.append(1, two)
			s.write(2, write{From: 2, Entries: []entry{two}})
			back(s, image{Term: 1, Vote: 1})
		}},
		{name: "a vote under way comes back, and is given", play: func(s *stage) {
			s.campaign(3, 2)
			s.write(2, write{Term: 2, Vote: 3})
			back(s, image{Term: 2, Vote: 3, Entries: []entry{noop}})
			s.tell(2, claim{Kind: invariant.Vote, To: 3, Term: 2})
		}},
		{name: "the term of a write under way comes back with another vote", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.campaign(3, 2)
			s.write(2, write{Term: 2, Vote: 3})
			back(s, image{Term: 2, Vote: 1, Entries: []entry{noop}})
		}},
		{name: "the term is lost", wrong: invariant.I9, by: 2, play: func(s *stage) {
			back(s, image{Term: 0, Vote: 1, Entries: []entry{noop}})
		}},
	})
}

func TestDisksTellTheTruth(t *testing.T) {
	noop, two := entry{Term: 1, Kind: raftpb.EntryKindNoop}, command(1, 12)
	play(t, []story{
		{name: "an entry comes back changed", wrong: invariant.I20, by: 2, play: func(s *stage) {
			back(s, image{Term: 1, Vote: 1, Entries: []entry{command(1, 666)}})
		}},
		{name: "an entry comes back that nobody wrote", wrong: invariant.I20, by: 2, play: func(s *stage) {
			back(s, image{Term: 1, Vote: 1, Entries: []entry{noop, command(9, 12)}})
		}},
		{name: "a snapshot comes back that was never taken", wrong: invariant.I20, by: 2, play: func(s *stage) {
			back(s, image{Term: 1, Vote: 1, Snapshot: mark{7, 1}})
		}},
		{name: "a store returns what was written", play: func(s *stage) {
			s.node(2).ReadBack(1, &noop)
		}},
		{name: "a store returns damage for good", wrong: invariant.I20, by: 2, play: func(s *stage) {
			e := command(1, 0xbad)
			s.node(2).ReadBack(1, &e)
		}},
		{name: "a store returns another entry's bytes", wrong: invariant.I20, by: 1, play: func(s *stage) {
			s.append(1, two)
			s.node(1).ReadBack(2, &noop)
		}},
	})
	t.Run("a group may begin with a log", func(t *testing.T) {
		s := stageFor(t, setting{}, config{Voters: ids(1)})
		s.node(1).Restarted(&image{Term: 1, Entries: []entry{noop}})
		s.view(1).Term = 1
		s.log(1, 1, 1)
		s.lead(1, 2)
		s.append(1, command(2, 2))
		s.commit(1, 2)
		s.fine()
		s.node(2).Restarted(&image{Term: 1, Entries: []entry{command(1, 1)}}) // another beginning
		s.wrong(invariant.I20, 2)
	})
}

// damaged restarts node 2 with less than it had; it knows.
func damaged(s *stage, d image) {
	d.Damaged = true
	back(s, d)
	s.views[2] = &view{
		Role: raftpb.RoleFollower, First: 1, Uncertain: true, Term: d.Term, Vote: d.Vote,
		Last: raftpb.Index(len(d.Entries)), LastTerm: raftpb.Term(min(1, len(d.Entries))),
	}
	s.observe(2, func(*view) {})
}

func trust(v *view) { v.Uncertain = false }

func TestDoubt(t *testing.T) {
	noop := entry{Term: 1, Kind: raftpb.EntryKindNoop}
	play(t, []story{
		{name: "an empty disk: the node waits", play: func(s *stage) {
			damaged(s, image{})
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 1})
		}},
		{name: "it votes", wrong: invariant.I21, by: 2, play: func(s *stage) {
			damaged(s, image{})
			s.campaign(3, 2)
			s.vote(2, 3, 2)
		}},
		{name: "it grants a pre-vote", wrong: invariant.I21, by: 2, play: func(s *stage) {
			damaged(s, image{})
			s.tell(2, claim{Kind: invariant.PreVote, To: 3, Term: 2})
		}},
		{name: "it acknowledges what is in doubt", wrong: invariant.I21, by: 2, play: func(s *stage) {
			damaged(s, image{Term: 1, Vote: 1, Entries: []entry{noop}, DoubtFrom: 1})
			s.ack(2, 1, 1)
		}},
		{name: "it acknowledges what is not", play: func(s *stage) {
			damaged(s, image{Term: 1, Vote: 1, Entries: []entry{noop}, DoubtFrom: 2})
			s.ack(2, 1, 1)
		}},
	})
}

func TestRepair(t *testing.T) {
	noop := entry{Term: 1, Kind: raftpb.EntryKindNoop}
	play(t, []story{
		{name: "repaired", play: func(s *stage) {
			damaged(s, image{})
			s.durably(2, write{Term: 1, From: 1, Entries: []entry{noop}})
			s.observe(2, func(v *view) { v.Term, v.Last, v.LastTerm = 1, 1, 1 })
			s.observe(2, trust)
			s.ack(2, 1, 1)
		}},
		{name: "trusted without what was committed", wrong: invariant.I21, by: 2, play: func(s *stage) {
			damaged(s, image{})
			s.durably(2, write{Term: 1})
			s.observe(2, func(v *view) { v.Term = 1 })
			s.observe(2, trust)
		}},
		{name: "trusted in an older term", wrong: invariant.I21, by: 2, play: func(s *stage) {
			damaged(s, image{Entries: []entry{noop}})
			s.observe(2, trust)
		}},
		{name: "damage that the node does not notice", wrong: invariant.I21, by: 2, play: func(s *stage) {
			s.node(2).Restarted(&image{Term: 1, Vote: 1, Damaged: true})
			s.observe(2, func(v *view) { v.Last, v.LastTerm, v.Commit = 0, 0, 0 })
		}},
		{name: "what was never committed may stay lost", play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			damaged(s, image{Term: 1, Vote: 1, Entries: []entry{noop}, DoubtFrom: 2})
			s.observe(2, trust)
		}},
		{name: "while in doubt it counts for what it acknowledged before", play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.ack(2, 1, 2)
			damaged(s, image{})
			s.commit(1, 2)
		}},
		{name: "repaired without it, no more", wrong: invariant.I6, by: 1, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.ack(2, 1, 2)
			damaged(s, image{Term: 1, Vote: 1, Entries: []entry{noop}})
			s.observe(2, trust)
			s.commit(1, 2)
		}},
	})
}

func TestProgress(t *testing.T) {
	good := invariant.Progress{Match: 1, Next: 2}
	play(t, []story{
		{name: "a leader believes what it was told", play: func(s *stage) {
			s.node(1).Progressed(s.node(2), good)
			s.node(1).Progressed(s.node(1), good)
		}},
		{name: "in whatever order it is told", play: func(s *stage) {
			s.ack(2, 1, 0)
			s.node(1).Progressed(s.node(2), invariant.Progress{Match: 1, Next: 2, InflightMessages: 1, InflightBytes: 1})
		}},
		{name: "and no more", wrong: invariant.I7, by: 1, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.node(1).Progressed(s.node(2), invariant.Progress{Match: 2, Next: 3})
		}},
		{name: "an answer of an older term moves nothing", wrong: invariant.I7, by: 1, play: func(s *stage) {
			s.lead(1, 2, 2)
			s.node(1).Progressed(s.node(3), good)
		}},
		{name: "an answer of an older term does not count later", wrong: invariant.I7, by: 1, play: func(s *stage) {
			s.lead(1, 2, 2)
			s.tell(2, claim{Kind: invariant.Ack, To: 1, Term: 2, Index: 0})
			s.node(1).Delivered(s.node(2), &claim{Kind: invariant.Ack, To: 1, Term: 1, Index: 1})
			s.node(1).Progressed(s.node(2), good)
		}},
		{name: "a match falls", wrong: invariant.I7, by: 1, play: func(s *stage) {
			s.node(1).Progressed(s.node(2), good)
			s.node(1).Progressed(s.node(2), invariant.Progress{Match: 0, Next: 1})
		}},
		{name: "a match falls because a disk was lost", play: func(s *stage) {
			s.node(1).Progressed(s.node(2), good)
			s.node(2).Restarted(&image{Damaged: true})
			s.node(1).Progressed(s.node(2), invariant.Progress{Match: 0, Next: 1})
		}},
		{name: "a leader counts itself before its disk does", wrong: invariant.I9, by: 1, play: func(s *stage) {
			s.write(1, write{From: 2, Entries: []entry{command(1, 12)}})
			s.log(1, 2, 1)
			s.node(1).Progressed(s.node(1), invariant.Progress{Match: 2, Next: 3})
		}},
		{name: "next is not behind match", wrong: invariant.I8, by: 1, play: func(s *stage) {
			s.node(1).Progressed(s.node(2), invariant.Progress{Match: 1, Next: 1})
		}},
	})
	t.Run("windows are kept", func(t *testing.T) {
		limits := setting{Limits: invariant.Limits{InflightMessages: 2, InflightBytes: 100}}
		s := ledWith(t, limits, config{Voters: ids(1, 2, 3)})
		s.node(1).Progressed(s.node(2), invariant.Progress{Match: 1, Next: 9, InflightMessages: 2, InflightBytes: 100})
		s.fine()
		s.node(1).Progressed(s.node(2), invariant.Progress{Match: 1, Next: 9, InflightMessages: 3})
		s.wrong(invariant.I8, 1)
		s = ledWith(t, limits, config{Voters: ids(1, 2, 3)})
		s.node(1).Progressed(s.node(2), invariant.Progress{Match: 1, Next: 9, InflightBytes: 101})
		s.wrong(invariant.I8, 1)
	})
}
