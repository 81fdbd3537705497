package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// story writes a trace step by step. Its methods check that what they add is
// accepted; rejected checks the step with which the story ends.
type story struct {
	t *testing.T
	m *model.Model
}

func begin(t *testing.T, voters ...raftpb.NodeID) *story {
	return &story{t, model.New(model.Config{Voters: voters})}
}

func (s *story) ok(steps ...model.Step) *story {
	s.t.Helper()
	for _, step := range steps {
		if err := s.m.Check(step); err != nil {
			s.t.Fatalf("rejected: %v", err)
		}
	}
	return s
}

func (s *story) rejected(rule, words string, step model.Step) {
	s.t.Helper()
	err := s.m.Check(step)
	var r *model.Rejection
	if !errors.As(err, &r) {
		s.t.Fatalf("accepted: %+v", step)
	}
	if r.Rule != rule || !strings.Contains(r.Sentence, words) {
		s.t.Errorf("rejected with %v; want section %s and %q", err, rule, words)
	}
	if again := s.m.Check(step); !errors.Is(again, err) {
		s.t.Errorf("a spent model answers %v, then %v", err, again)
	}
}

func durable(n raftpb.NodeID, term raftpb.Term, vote raftpb.NodeID, last raftpb.Index, lastTerm raftpb.Term) model.Step {
	return model.Step{Kind: model.Durable, Node: n, Term: term, Vote: vote, Index: last, LastTerm: lastTerm}
}

func grant(n, to raftpb.NodeID, term raftpb.Term, last raftpb.Index, lastTerm raftpb.Term) model.Step {
	return model.Step{Kind: model.Grant, Node: n, Peer: to, Term: term, Index: last, LastTerm: lastTerm}
}

func campaign(n raftpb.NodeID, term raftpb.Term) model.Step {
	return model.Step{Kind: model.BecomeCandidate, Node: n, Term: term}
}

func lead(n raftpb.NodeID, term raftpb.Term, votes ...raftpb.NodeID) model.Step {
	return model.Step{Kind: model.BecomeLeader, Node: n, Term: term, Votes: votes}
}

func write(n raftpb.NodeID, at raftpb.Index, e ...model.Entry) model.Step {
	return model.Step{Kind: model.Append, Node: n, Index: at, Entries: e}
}

func accept(n, from raftpb.NodeID, term raftpb.Term, prev raftpb.Index, prevTerm raftpb.Term, last raftpb.Index, e ...model.Entry) model.Step {
	return model.Step{Kind: model.Accept, Node: n, Peer: from, Term: term, Index: prev, LastTerm: prevTerm, Last: last, Entries: e}
}

func snapshot(n, from raftpb.NodeID, term raftpb.Term, at raftpb.Index, atTerm raftpb.Term, last raftpb.Index) model.Step {
	return model.Step{Kind: model.InstallSnapshot, Node: n, Peer: from, Term: term, Index: at, LastTerm: atTerm, Last: last}
}

func commit(n raftpb.NodeID, i raftpb.Index) model.Step {
	return model.Step{Kind: model.AdvanceCommit, Node: n, Index: i}
}

func crash(n raftpb.NodeID) model.Step { return model.Step{Kind: model.Crash, Node: n} }

func restart(n raftpb.NodeID, term raftpb.Term, vote raftpb.NodeID, last raftpb.Index, lastTerm raftpb.Term) model.Step {
	return model.Step{Kind: model.Restart, Node: n, Term: term, Vote: vote, Index: last, LastTerm: lastTerm}
}

func command(term raftpb.Term, hash uint64) model.Entry {
	return model.Entry{Term: term, Kind: raftpb.EntryKindCommand, Hash: hash}
}

func config(term raftpb.Term, c model.Config) model.Entry {
	return model.Entry{Term: term, Kind: raftpb.EntryKindConfig, Config: &c}
}

func ids(n ...raftpb.NodeID) []raftpb.NodeID { return n }

// elect makes n the leader of term by its own vote and that of others; all their
// logs end at last.
func (s *story) elect(n raftpb.NodeID, term raftpb.Term, last raftpb.Index, lastTerm raftpb.Term, others ...raftpb.NodeID) *story {
	s.t.Helper()
	s.ok(campaign(n, term), durable(n, term, n, last, lastTerm))
	for _, o := range others {
		s.ok(grant(o, n, term, last, lastTerm), durable(o, term, n, last, lastTerm))
	}
	return s.ok(lead(n, term, append(others, n)...))
}

// replicated: leader 1 of term 1 in a group of three has one entry on all disks and
// has committed it.
func replicated(t *testing.T) *story {
	e := command(1, 11)
	return begin(t, 1, 2, 3).elect(1, 1, 0, 0, 2, 3).ok(
		write(1, 1, e), durable(1, 1, 1, 1, 1),
		accept(2, 1, 1, 0, 0, 1, e), durable(2, 1, 1, 1, 1),
		accept(3, 1, 1, 0, 0, 1, e), durable(3, 1, 1, 1, 1),
		commit(1, 1), commit(2, 1),
	)
}

func TestElections(t *testing.T) {
	t.Run("a candidacy begins the next term", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1)).rejected("3.4", "begins the next term", campaign(1, 3))
	})
	t.Run("a leader does not campaign", func(t *testing.T) {
		replicated(t).rejected("3.4", "does not campaign", campaign(1, 2))
	})
	t.Run("a learner does not campaign", func(t *testing.T) {
		m := model.New(model.Config{Voters: ids(1), Learners: ids(2)})
		(&story{t, m}).rejected("4.2.1", "learner", campaign(2, 1))
	})
	t.Run("a node asked for a pre-vote stays in its term", func(t *testing.T) {
		begin(t, 1, 2, 3).rejected("3.3", "no candidate began", model.Step{Kind: model.ObserveTerm, Node: 2, Term: 1})
	})
	t.Run("terms rise", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1)).rejected("3.3", "terms rise", model.Step{Kind: model.ObserveTerm, Node: 1, Term: 1})
	})
	t.Run("one vote per term", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1), campaign(2, 1), grant(3, 1, 1, 0, 0), grant(3, 1, 1, 0, 0)).
			rejected("3.4", "in which it voted for node 1", grant(3, 2, 1, 0, 0))
	})
	t.Run("a vote stays when its voter hears of the leader", func(t *testing.T) {
		begin(t, 1, 2, 3, 4, 5).ok(campaign(3, 1)).elect(1, 1, 0, 0, 4, 5).ok(grant(2, 3, 1, 0, 0), accept(2, 1, 1, 0, 0, 0)).
			rejected("3.4", "in which it voted for node 3", grant(2, 1, 1, 0, 0))
	})
	t.Run("the vote goes to a candidate", func(t *testing.T) {
		begin(t, 1, 2, 3).rejected("3.4", "no candidate", grant(3, 2, 1, 0, 0))
	})
	t.Run("requests of older terms are refused", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1), campaign(3, 1), campaign(3, 2)).rejected("3.3", "older terms", grant(3, 1, 1, 0, 0))
	})
	t.Run("a candidate tells the truth about its log", func(t *testing.T) {
		replicated(t).ok(campaign(2, 2)).rejected("3.6.1", "its log ended at 1", grant(3, 2, 2, 5, 1))
	})
	t.Run("a longer log beats a shorter one of the same term", func(t *testing.T) {
		replicated(t).ok(write(1, 2, command(1, 12)), campaign(2, 2)).rejected("3.6.1", "more up-to-date", grant(1, 2, 2, 1, 1))
	})
	t.Run("a newer last term beats a longer log", func(t *testing.T) {
		replicated(t).elect(2, 2, 1, 1, 3).ok(write(2, 2, command(2, 21)), write(1, 2, command(1, 12), command(1, 13)), durable(1, 1, 1, 3, 1),
			model.Step{Kind: model.ObserveTerm, Node: 1, Term: 2}, campaign(1, 3)).
			rejected("3.6.1", "more up-to-date", grant(2, 1, 3, 3, 1))
	})
	t.Run("a majority elects", func(t *testing.T) {
		begin(t, 1, 2, 3, 4).ok(campaign(1, 1), durable(1, 1, 1, 0, 0), grant(2, 1, 1, 0, 0), durable(2, 1, 1, 0, 0)).
			rejected("4.3", "no majority", lead(1, 1, 1, 2))
	})
	t.Run("a vote counts when it is on its voter's disk", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1), durable(1, 1, 1, 0, 0), grant(2, 1, 1, 0, 0)).rejected("3.8", "not on that node's disk", lead(1, 1, 1, 2))
	})
	t.Run("a vote that a later term made safe counts", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1), durable(1, 1, 1, 0, 0), grant(2, 1, 1, 0, 0), campaign(2, 2), durable(2, 2, 2, 0, 0), lead(1, 1, 1, 2))
	})
	t.Run("a candidate's own term is durable before it leads", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1), grant(2, 1, 1, 0, 0), durable(2, 1, 1, 0, 0), grant(3, 1, 1, 0, 0), durable(3, 1, 1, 0, 0)).
			rejected("3.8", "before its own term", lead(1, 1, 2, 3))
	})
	t.Run("only a candidate becomes leader", func(t *testing.T) {
		begin(t, 1).ok(campaign(1, 1), durable(1, 1, 1, 0, 0), model.Step{Kind: model.StepDown, Node: 1}).rejected("3.4", "without being a candidate", lead(1, 1, 1))
	})
	t.Run("a follower cannot step down", func(t *testing.T) {
		begin(t, 1).rejected("3.3", "already", model.Step{Kind: model.StepDown, Node: 1})
	})
	t.Run("a slow candidate may lead behind a faster one", func(t *testing.T) {
		// Node 1 has the votes of term 1, but hears of them when node 2 has long
		// committed in term 2: only what was committed before term 1 is owed.
		e := command(2, 21)
		begin(t, 1, 2, 3).ok(campaign(1, 1), durable(1, 1, 1, 0, 0), grant(2, 1, 1, 0, 0), durable(2, 1, 1, 0, 0)).
			ok(campaign(2, 2), durable(2, 2, 2, 0, 0), grant(3, 2, 2, 0, 0), durable(3, 2, 2, 0, 0), lead(2, 2, 2, 3)).
			ok(write(2, 1, e), durable(2, 2, 2, 1, 2), accept(3, 2, 2, 0, 0, 1, e), durable(3, 2, 2, 1, 2), commit(2, 1)).
			ok(lead(1, 1, 1, 2))
	})
}

func TestReplication(t *testing.T) {
	t.Run("only a leader appends", func(t *testing.T) {
		replicated(t).rejected("3.5", "does not lead", write(2, 2, command(1, 12)))
	})
	t.Run("a leader only appends", func(t *testing.T) {
		replicated(t).rejected("3.5", "only appends", write(1, 1, command(1, 12)))
	})
	t.Run("a leader's entries are of its term", func(t *testing.T) {
		replicated(t).rejected("3.5", "of term 2 in term 1", write(1, 2, command(2, 12)))
	})
	t.Run("nobody obeys who never led", func(t *testing.T) {
		replicated(t).rejected("3.4", "which it never was", accept(2, 3, 1, 1, 1, 1))
	})
	t.Run("nobody obeys a leader of an older term", func(t *testing.T) {
		replicated(t).ok(campaign(2, 2)).rejected("3.3", "is in term 2", accept(2, 1, 1, 1, 1, 1))
	})
	t.Run("entries follow what is there", func(t *testing.T) {
		replicated(t).ok(write(1, 2, command(1, 12), command(1, 13))).rejected("3.5", "not in its log", accept(2, 1, 1, 2, 1, 3, command(1, 13)))
	})
	t.Run("entries are those of the leader of their term", func(t *testing.T) {
		replicated(t).ok(write(1, 2, command(1, 12))).rejected("3.5", "not the one", accept(2, 1, 1, 1, 1, 2, command(1, 666)))
	})
	t.Run("entries come from the log of the leader that sends them", func(t *testing.T) {
		replicated(t).ok(write(1, 2, command(1, 12))).elect(2, 2, 1, 1, 3).
			rejected("3.5", "does not have", accept(3, 2, 2, 1, 1, 2, command(1, 12)))
	})
	t.Run("a late duplicate shortens nothing", func(t *testing.T) {
		two := command(1, 12)
		replicated(t).ok(write(1, 2, two), accept(2, 1, 1, 1, 1, 2, two), accept(2, 1, 1, 0, 0, 2, command(1, 11))).
			rejected("3.5", "should end at 2", accept(2, 1, 1, 0, 0, 1, command(1, 11)))
	})
	t.Run("a conflicting tail goes", func(t *testing.T) {
		tail := []model.Entry{command(1, 12), command(1, 13)}
		s := replicated(t).ok(write(1, 2, tail...), durable(1, 1, 1, 3, 1)).elect(2, 2, 1, 1, 3).ok(write(2, 2, command(2, 22)))
		s.rejected("3.5", "should end at 2", accept(1, 2, 2, 1, 1, 3, command(2, 22)))
	})
}

func TestCommit(t *testing.T) {
	t.Run("entries of older terms do not commit by counting", figure8)
	t.Run("what is committed is durable at a majority", func(t *testing.T) {
		two := command(1, 12)
		replicated(t).ok(write(1, 2, two), durable(1, 1, 1, 2, 1), accept(2, 1, 1, 1, 1, 2, two)).rejected("3.5", "durable at voters 1 of 111", commit(1, 2))
	})
	t.Run("an answer reaches as far as its own request", func(t *testing.T) {
		// Node 1 holds a second entry, but not leader 3's: its answer to a heartbeat
		// behind entry 1 says nothing about entry 2.
		replicated(t).ok(write(1, 2, command(1, 12)), durable(1, 1, 1, 2, 1)).elect(3, 2, 1, 1, 2).
			ok(write(3, 2, command(2, 32)), durable(3, 2, 3, 2, 2), accept(1, 3, 2, 1, 1, 2), durable(1, 2, 0, 2, 1)).
			rejected("3.5", "durable at voters 100 of 111", commit(3, 2))
	})
	t.Run("an entry that its leader never made is refused", func(t *testing.T) {
		replicated(t).rejected("3.5", "not the one", accept(2, 1, 1, 1, 1, 2, command(1, 12)))
	})
	t.Run("an entry on disk counts when it was compared in this term", func(t *testing.T) {
		// Node 2 crashes when entry 2 is on its disk and before it could say so.
		two := command(1, 12)
		s := replicated(t).ok(write(1, 2, two), durable(1, 1, 1, 2, 1), accept(2, 1, 1, 1, 1, 2, two), crash(2), restart(2, 1, 1, 2, 1))
		s.ok(accept(2, 1, 1, 2, 1, 2), commit(1, 2))
	})
	t.Run("and not before", func(t *testing.T) {
		two := command(1, 12)
		s := replicated(t).ok(write(1, 2, two), durable(1, 1, 1, 2, 1), accept(2, 1, 1, 1, 1, 2, two), crash(2), restart(2, 1, 1, 2, 1))
		s.rejected("3.5", "durable at voters 1 of 111", commit(1, 2))
	})
	t.Run("a follower commits what it compared", func(t *testing.T) {
		two := command(1, 12)
		s := replicated(t).ok(write(1, 2, two), accept(3, 1, 1, 1, 1, 2, two), durable(3, 1, 1, 2, 1), accept(2, 1, 1, 1, 1, 2, two), durable(2, 1, 1, 2, 1)).
			ok(durable(1, 1, 1, 2, 1)).elect(3, 2, 2, 1, 1).ok(write(3, 3, command(2, 23)), durable(3, 2, 3, 3, 2),
			accept(1, 3, 2, 2, 1, 3, command(2, 23)), durable(1, 2, 3, 3, 2), commit(3, 3))
		s.ok(accept(2, 3, 2, 1, 1, 2)).rejected("3.5", "only up to 1", commit(2, 2))
	})
	t.Run("a follower commits what a leader committed", func(t *testing.T) {
		two := command(1, 12)
		replicated(t).ok(write(1, 2, two), accept(2, 1, 1, 1, 1, 2, two)).rejected("3.6.3", "no leader committed", commit(2, 2))
	})
	t.Run("a commit index only rises", func(t *testing.T) {
		replicated(t).rejected("3.5", "had committed 1", commit(1, 1))
	})
	t.Run("a restarted follower knows what it acknowledged", func(t *testing.T) {
		replicated(t).ok(crash(3), restart(3, 1, 1, 1, 1), commit(3, 1))
	})
}

// figure8 is the figure of that number: S1 leads term 2, replicates entry 2 to S2
// and crashes; S5 leads term 3 with an entry of its own; S1 comes back, leads term
// 4 and has entry 2 of term 2 at a majority, which commits nothing.
func figure8(t *testing.T) {
	one, two, three := command(1, 1), command(2, 2), command(3, 3)
	s := begin(t, 1, 2, 3, 4, 5).elect(1, 1, 0, 0, 2, 3).ok(write(1, 1, one), durable(1, 1, 1, 1, 1))
	for _, n := range ids(2, 3, 4, 5) {
		vote := raftpb.NodeID(0)
		if n < 4 {
			vote = 1
		}
		s.ok(accept(n, 1, 1, 0, 0, 1, one), durable(n, 1, vote, 1, 1))
	}
	s.ok(model.Step{Kind: model.StepDown, Node: 1}).elect(1, 2, 1, 1, 2, 3)
	s.ok(write(1, 2, two), durable(1, 2, 1, 2, 2), accept(2, 1, 2, 1, 1, 2, two), durable(2, 2, 1, 2, 2), crash(1))
	s.ok(campaign(5, 2), durable(5, 2, 5, 1, 1)).elect(5, 3, 1, 1, 3, 4).ok(write(5, 2, three), durable(5, 3, 5, 2, 3), crash(5))
	s.ok(restart(1, 2, 1, 2, 2), campaign(1, 3), campaign(1, 4), durable(1, 4, 1, 2, 2), grant(2, 1, 4, 2, 2), durable(2, 4, 1, 2, 2),
		grant(3, 1, 4, 2, 2), durable(3, 4, 1, 1, 1), lead(1, 4, 1, 2, 3))
	s.ok(accept(3, 1, 4, 1, 1, 2, two), durable(3, 4, 1, 2, 2))
	s.rejected("3.6.2", "only entries of its own term", commit(1, 2))
}
