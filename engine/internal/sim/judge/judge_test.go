package judge_test

import (
	"errors"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/judge"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// store is a log in memory.
type store struct{ entries []raft.Entry }

func (s *store) FirstIndex() raft.Index { return 1 }

func (s *store) LastIndex() raft.Index { return raft.Index(len(s.entries)) }

func (s *store) Term(i raft.Index) (raft.Term, error) {
	if i == 0 {
		return 0, nil
	}
	return s.entries[i-1].Term, nil
}

func (s *store) Entries(dst []raft.Entry, lo, hi raft.Index, _ int) ([]raft.Entry, error) {
	return append(dst, s.entries[lo-1:hi-1]...), nil
}

// scene is a real core whose driver and disk the test plays.
type scene struct {
	t     *testing.T
	group *judge.Group
	node  *judge.Node
	conf  raft.Config
	core  *raft.Node
	log   store
	hard  raft.HardState
	out   raft.Effects
}

// open begins with node 1 of so many voters, which has never run.
func open(t *testing.T, voters raft.NodeID, limits invariant.Limits) *scene {
	s := &scene{t: t, conf: raft.Config{ID: 1, ElectionTimeout: 1000, Heartbeat: 100, Seed: 1, Boot: 1, DisablePreVote: true}}
	for id := range voters {
		s.conf.Configuration.Incoming = append(s.conf.Configuration.Incoming, raft.Member{ID: id + 1, Suffrage: raftpb.SuffrageVoter})
	}
	s.group = judge.New(judge.Options{Refine: true, Invariants: invariant.Options{Limits: limits}}, &s.conf.Configuration)
	s.node = s.group.Node(1)
	s.boot()
	return s
}

func (s *scene) boot() {
	var err error
	if s.core, err = raft.New(s.conf, &s.log, s.hard, 0, 0); err != nil {
		s.t.Fatal(err)
	}
	s.conf.Boot++
}

// step gives the core an event, and the disk the write that comes of it.
func (s *scene) step(in raft.Event) {
	s.t.Helper()
	s.out.Reset()
	if err := s.core.Step(in, &s.out); err != nil {
		s.t.Fatal(err)
	}
	s.node.Stepped(s.core, &in, &s.out)
	if s.out.HardState != nil {
		s.hard = *s.out.HardState
	}
	s.log.entries = append(s.log.entries, s.out.Append...)
}

// durably is step and the completion of the write.
func (s *scene) durably(in raft.Event) {
	s.t.Helper()
	s.step(in)
	done := raft.Event{Kind: raft.EventPersisted, WriteID: s.out.WriteID, Epoch: s.out.Epoch}
	s.node.Durable(done.WriteID)
	s.step(done)
}

// leads makes the only voter lead, and commit the entry that says so.
func (s *scene) leads() {
	s.t.Helper()
	s.durably(raft.Event{Kind: raft.EventCampaign})
	done := raft.Event{Kind: raft.EventPersisted, WriteID: s.out.WriteID, Epoch: s.out.Epoch}
	s.node.Durable(done.WriteID)
	s.step(done)
	if s.node.Role() != raftpb.RoleLeader || s.core.Glance().Commit != 1 {
		s.t.Fatalf("it does not lead: %+v", s.core.Glance())
	}
}

func proposal(body string) raft.Event {
	return raft.Event{Kind: raft.EventPropose, Proposals: []raft.Entry{{Kind: raftpb.EntryKindCommand, Body: []byte(body)}}}
}

// restart lets the node crash and find what its disk has.
func (s *scene) restart() {
	s.node.Crashed()
	s.boot()
	s.node.Restarted(s.core, &judge.Disk{Hard: s.hard, Entries: s.log.entries})
}

// breaks demands that a rule, and none before it, was broken; "": none.
func (s *scene) breaks(rule invariant.ID) {
	s.t.Helper()
	var v *invariant.Violation
	switch err := s.group.Err(); {
	case rule == "" && err != nil:
		s.t.Errorf("nothing is wrong, and the judge says %v", err)
	case rule != "" && (!errors.As(err, &v) || v.ID != rule):
		s.t.Errorf("the judge says %v, want %s", err, rule)
	}
}

// story is what happens on a scene, and the rule that it breaks; "": none.
type story struct {
	name   string
	voters raft.NodeID
	limits invariant.Limits
	play   func(s *scene)
	wrong  invariant.ID
}

func play(t *testing.T, stories []story) {
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			s := open(t, story.voters, story.limits)
			story.play(s)
			s.breaks(story.wrong)
		})
	}
}

func TestJudge(t *testing.T) {
	play(t, []story{
		{name: "a life, a crash and another life", voters: 1, play: func(s *scene) {
			s.leads()
			s.durably(proposal("a"))
			s.node.Applied(1, s.log.entries)
			s.restart()
			s.leadsAgain()
			if s.group.Elections != 2 || s.group.Events < 6 || s.group.Deliveries != 0 {
				s.t.Errorf("%d elections, %d events, %d deliveries", s.group.Elections, s.group.Events, s.group.Deliveries)
			}
		}},
		{name: "a write completes that is not on the disk", voters: 1, wrong: invariant.I9, play: func(s *scene) {
			s.leads()
			s.step(proposal("a"))
			s.step(raft.Event{Kind: raft.EventPersisted, WriteID: s.out.WriteID, Epoch: s.out.Epoch})
		}},
		{name: "a restart loses what was durable", voters: 1, wrong: invariant.I9, play: func(s *scene) {
			s.leads()
			s.durably(proposal("a"))
			s.log.entries = s.log.entries[:1]
			s.restart()
		}},
		{name: "a restart finds what nobody wrote", voters: 1, wrong: invariant.I20, play: func(s *scene) {
			s.leads()
			s.durably(proposal("a"))
			s.log.entries[1].Body = []byte("another body")
			s.restart()
		}},
		{name: "a restart forgets a vote", voters: 1, wrong: invariant.I9, play: func(s *scene) {
			s.leads()
			s.hard.Vote = 0
			s.restart()
		}},
		{name: "a machine takes in another entry", voters: 1, wrong: invariant.I5, play: func(s *scene) {
			s.leads()
			s.node.Applied(1, []raft.Entry{{Term: 1, Kind: raftpb.EntryKindCommand, Body: []byte("x")}})
		}},
		{name: "the log goes before there is a snapshot", voters: 1, wrong: invariant.I18, play: func(s *scene) {
			s.leads()
			s.node.Watched.Compacted(1)
		}},
	})
}

func TestJudgeOfLimitsAndDisturbers(t *testing.T) {
	play(t, []story{
		{name: "a backlog of one batch, of any size", voters: 1, limits: invariant.Limits{UncommittedBytes: 10}, play: func(s *scene) {
			s.leads()
			s.durably(proposal("more than ten bytes"))
			s.durably(proposal("and once more, when that is committed"))
		}},
		{name: "a backlog beyond its limit", voters: 1, limits: invariant.Limits{UncommittedBytes: 10}, wrong: invariant.I19, play: func(s *scene) {
			s.leads()
			s.step(proposal("more than ten bytes"))
			s.step(proposal("."))
		}},
		{name: "effects beyond their limit", voters: 1, limits: invariant.Limits{EffectBytes: 10}, wrong: invariant.I19, play: func(s *scene) {
			s.leads()
			s.step(proposal("more than ten bytes"))
		}},
		{name: "who is cut off begins a term", voters: 3, wrong: invariant.I12, play: func(s *scene) {
			s.group.Watched.Healthy(true)
			s.node.Watched.Outcast(true)
			s.step(raft.Event{Kind: raft.EventCampaign})
		}},
		{name: "who was cut off may when all is ill", voters: 3, play: func(s *scene) {
			s.node.Watched.Outcast(true)
			s.step(raft.Event{Kind: raft.EventCampaign})
		}},
	})
}

// leadsAgain is leads with entries before.
func (s *scene) leadsAgain() {
	s.t.Helper()
	s.durably(raft.Event{Kind: raft.EventCampaign})
	if s.node.Role() != raftpb.RoleLeader || s.node.Term() != 2 {
		s.t.Fatalf("it does not lead: %+v", s.core.Glance())
	}
}

// TestVoteLeaves: a vote is told when it is on the disk, not before.
func TestVoteLeaves(t *testing.T) {
	for name, early := range map[string]bool{"before its write": true, "after it": false} {
		t.Run(name, func(t *testing.T) {
			s := open(t, 3, invariant.Limits{})
			candidate := &scene{t: t, group: s.group, node: s.group.Node(2), conf: s.conf}
			candidate.conf.ID = 2
			candidate.boot()
			candidate.durably(raft.Event{Kind: raft.EventCampaign})
			s.step(raft.Event{Kind: raft.EventMessage, Message: &raft.Message{Kind: raft.MessageVote, From: 2, To: 1, Term: 1, Call: 1}, Now: 1 << 20})
			if len(s.out.SendAfter) != 1 || !s.out.SendAfter[0].Message.Granted {
				t.Fatalf("no vote: %+v", s.out.SendAfter)
			}
			vote := s.out.SendAfter[0]
			if early {
				s.node.Leaves(&vote.Message, vote.WriteID)
				s.breaks(invariant.I18)
				return
			}
			s.node.Durable(vote.WriteID)
			s.node.Leaves(&vote.Message, vote.WriteID)
			s.breaks("")
		})
	}
}
