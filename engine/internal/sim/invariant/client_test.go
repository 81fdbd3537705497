package invariant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// round is a heartbeat of node 1 and its answers.
func round(s *stage, number int64, from ...raftpb.NodeID) {
	s.node(1).RoundSent(1, number)
	for _, id := range from {
		s.tell(id, claim{Kind: invariant.Beat, To: 1, Term: 1, Round: number})
	}
}

func TestReadsAreConfirmed(t *testing.T) {
	play(t, []story{
		{name: "a round after the read confirms it", play: func(s *stage) {
			s.g.ClientAcked(1)
			s.g.ReadAsked(7)
			round(s, 1, 2)
			s.node(1).ReadConfirmed(7, 1)
			s.node(1).Restored(1)
			s.node(1).ReadServed(7, 1, false)
		}},
		{name: "acknowledgements of a round confirm too", play: func(s *stage) {
			s.g.ReadAsked(7)
			s.node(1).RoundSent(1, 4)
			s.tell(3, claim{Kind: invariant.Ack, To: 1, Term: 1, Index: 1, Round: 4})
			s.node(1).ReadConfirmed(7, 1)
		}},
		{name: "a round from before the read does not", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.node(1).RoundSent(1, 1)
			s.g.ReadAsked(7)
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 1, Round: 1})
			s.node(1).ReadConfirmed(7, 1)
		}},
		{name: "a round keeps the time of its first message", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.node(1).RoundSent(1, 1)
			s.g.ReadAsked(7)
			round(s, 1, 2)
			s.node(1).ReadConfirmed(7, 1)
		}},
	})
}

func TestRoundsOfAnotherTerm(t *testing.T) {
	play(t, []story{
		{name: "a round of another term is another round", wrong: invariant.I13, by: 1, play: func(s *stage) {
			round(s, 1, 2)
			s.lead(1, 2, 2)
			s.append(1, command(2, 12))
			s.append(2, command(2, 12))
			s.commit(1, 2)
			s.g.ReadAsked(7)
			s.node(1).RoundSent(1, 1) // a message of the past is sent again
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 2, Round: 1})
			s.node(1).ReadConfirmed(7, 2)
		}},
		{name: "rounds of a new term may be numbered from the beginning", play: func(s *stage) {
			round(s, 1, 2)
			s.lead(1, 2, 2)
			s.append(1, command(2, 12))
			s.append(2, command(2, 12))
			s.commit(1, 2)
			s.g.ReadAsked(7)
			s.node(1).RoundSent(2, 1)
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 2, Round: 1})
			s.node(1).ReadConfirmed(7, 2)
		}},
	})
}

func TestReadsAreNotConfirmed(t *testing.T) {
	play(t, []story{
		{name: "a round of a number that was never sent", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.g.ReadAsked(7)
			s.node(1).RoundSent(1, 1)
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 1, Round: 1 + invariant.MaxRounds})
			s.node(1).ReadConfirmed(7, 1)
		}},
		{name: "a round that was never sent", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.g.ReadAsked(7)
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 1, Round: 4})
			s.node(1).ReadConfirmed(7, 1)
		}},
		{name: "nobody answers", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.g.ReadAsked(7)
			round(s, 1)
			s.node(1).ReadConfirmed(7, 1)
		}},
		{name: "a follower confirms", wrong: invariant.I13, by: 2, play: func(s *stage) {
			s.g.ReadAsked(7)
			s.node(2).ReadConfirmed(7, 1)
		}},
		{name: "before the leader has committed in its term", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.lead(1, 2, 2)
			s.g.ReadAsked(7)
			s.node(1).RoundSent(2, 1)
			s.tell(2, claim{Kind: invariant.Beat, To: 1, Term: 2, Round: 1})
			s.node(1).ReadConfirmed(7, 1)
		}},
		{name: "below what a client knows", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.g.ClientAcked(1)
			s.g.ReadAsked(7)
			round(s, 1, 2)
			s.node(1).ReadConfirmed(7, 0)
		}},
	})
}

func TestReadsAreServed(t *testing.T) {
	play(t, []story{
		{name: "served below what a client knows", wrong: invariant.I13, by: 2, play: func(s *stage) {
			s.g.ClientAcked(1)
			s.g.ReadAsked(7)
			s.node(2).ReadServed(7, 0, false)
		}},
		{name: "served before it is applied", wrong: invariant.I13, by: 2, play: func(s *stage) {
			s.g.ReadAsked(7)
			s.node(2).ReadServed(7, 1, false)
		}},
		{name: "served twice", wrong: invariant.I13, by: 2, play: func(s *stage) {
			s.g.ReadAsked(7)
			s.node(2).ReadServed(7, 0, false)
			s.node(2).ReadServed(7, 0, false)
		}},
		{name: "served after it was given up", wrong: invariant.I13, by: 2, play: func(s *stage) {
			s.g.ReadAsked(7)
			s.g.ReadDropped(7)
			s.node(2).ReadServed(7, 0, false)
		}},
		{name: "confirmed for nobody", wrong: invariant.I13, by: 1, play: func(s *stage) {
			s.g.ReadAsked(7)
			s.g.ReadDropped(7)
			s.node(1).ReadConfirmed(7, 1)
		}},
	})
}

func TestLeases(t *testing.T) {
	play(t, []story{
		{name: "one after the other", play: func(s *stage) {
			s.node(1).Lease(0, 100)
			s.lead(2, 2, 3)
			s.node(2).Lease(100, 200)
		}},
		{name: "two at once", wrong: invariant.I14, by: 2, play: func(s *stage) {
			s.node(1).Lease(0, 100)
			s.lead(2, 2, 3)
			s.node(2).Lease(99, 200)
		}},
		{name: "over at the moment it is told of", play: func(s *stage) {
			s.node(1).Lease(0, 100)
			s.node(2).Lease(50, 50)
		}},
		{name: "given back", play: func(s *stage) {
			s.node(1).Lease(0, 100)
			s.node(1).Lease(50, 0)
			s.lead(2, 2, 3)
			s.node(2).Lease(51, 200)
		}},
		{name: "ended by stepping down", play: func(s *stage) {
			s.node(1).Lease(0, 100)
			s.observe(1, func(v *view) { v.Role = raftpb.RoleFollower })
			s.lead(2, 2, 3)
			s.node(2).Lease(51, 200)
		}},
		{name: "ended by a crash", play: func(s *stage) {
			s.node(1).Lease(0, 100)
			s.node(1).Crashed()
			s.lead(2, 2, 3)
			s.node(2).Lease(51, 200)
		}},
		{name: "ended by handing over", play: func(s *stage) {
			s.node(1).Lease(0, 100)
			s.tell(1, claim{Kind: invariant.TimeOut, To: 2, Term: 1})
			s.lead(2, 2, 3)
			s.node(2).Lease(51, 200)
		}},
		{name: "renewed after handing over", wrong: invariant.I14, by: 1, play: func(s *stage) {
			s.tell(1, claim{Kind: invariant.TimeOut, To: 2, Term: 1})
			s.node(1).Lease(0, 100)
		}},
		{name: "used after handing over", wrong: invariant.I14, by: 1, play: func(s *stage) {
			s.tell(1, claim{Kind: invariant.TimeOut, To: 2, Term: 1})
			s.g.ReadAsked(7)
			s.node(1).ReadServed(7, 0, true)
		}},
		{name: "used", play: func(s *stage) {
			s.g.ReadAsked(7)
			s.node(1).ReadServed(7, 0, true)
		}},
		{name: "used for a stale read", wrong: invariant.I14, by: 1, play: func(s *stage) {
			s.g.ClientAcked(1)
			s.g.ReadAsked(7)
			s.node(1).ReadServed(7, 0, true)
		}},
	})
	t.Run("clocks that drift too far break no promise", func(t *testing.T) {
		s := ledWith(t, setting{SkewBeyondBound: true}, config{Voters: ids(1, 2, 3)})
		s.node(1).Lease(0, 100)
		s.lead(2, 2, 3)
		s.node(2).Lease(50, 200)
		s.g.ClientAcked(1)
		s.g.ReadAsked(7)
		s.node(1).ReadServed(7, 0, true)
		s.fine()
	})
}

func TestSessions(t *testing.T) {
	const session, result = 5, 0xabc
	play(t, []story{
		{name: "executed once, answered again", play: func(s *stage) {
			s.node(1).Effect(session, 1, 10, result, true)
			s.node(1).Effect(session, 1, 12, result, false)
			s.node(2).Effect(session, 1, 10, result, true)
			s.node(1).Effect(session, 2, 13, result, true)
		}},
		{name: "executed twice", wrong: invariant.I15, by: 1, play: func(s *stage) {
			s.node(1).Effect(session, 1, 10, result, true)
			s.node(1).Effect(session, 1, 12, result, true)
		}},
		{name: "answered with something else", wrong: invariant.I15, by: 2, play: func(s *stage) {
			s.node(1).Effect(session, 1, 10, result, true)
			s.node(2).Effect(session, 1, 12, result+1, false)
		}},
		{name: "another result on another node", wrong: invariant.I15, by: 2, play: func(s *stage) {
			s.node(1).Effect(session, 1, 10, result, true)
			s.node(2).Effect(session, 1, 10, result+1, true)
		}},
		{name: "answered and never executed", wrong: invariant.I15, by: 1, play: func(s *stage) {
			s.node(1).Effect(session, 1, 10, result, false)
		}},
		{name: "answered at the place where others executed it", wrong: invariant.I15, by: 2, play: func(s *stage) {
			s.node(1).Effect(session, 1, 10, result, true)
			s.node(2).Effect(session, 1, 10, result, false)
		}},
		{name: "expired at the same place everywhere", play: func(s *stage) {
			s.node(1).SessionExpired(session, 20)
			s.node(2).SessionExpired(session, 20)
		}},
		{name: "expired elsewhere", wrong: invariant.I15, by: 2, play: func(s *stage) {
			s.node(1).SessionExpired(session, 20)
			s.node(2).SessionExpired(session, 21)
		}},
	})
}

// leader lets node 1 append a configuration at a position.
func leader(s *stage, at raftpb.Index, c config) {
	s.durably(1, write{From: at, Entries: []entry{change(s.view(1).Term, c)}})
	s.observe(1, func(v *view) { v.Last, v.LastTerm, v.Config = at, v.Term, at })
}

// settle makes a configuration the committed entry 2.
func settle(s *stage, c config) {
	leader(s, 2, c)
	s.durably(2, write{From: 2, Entries: []entry{change(1, c)}})
	s.observe(2, func(v *view) { v.Last, v.LastTerm, v.Config = 2, 1, 2 })
	s.ack(2, 1, 2)
	s.commit(1, 2)
}

func joint() config { return config{Voters: ids(1, 2), Outgoing: ids(1, 2, 3)} }

func TestChanges(t *testing.T) {
	play(t, []story{
		{name: "in and out of a joint phase", play: func(s *stage) {
			settle(s, joint())
			leader(s, 3, config{Voters: ids(1, 2)})
		}},
		{name: "one voter more", play: func(s *stage) { leader(s, 2, config{Voters: ids(1, 2, 3, 4)}) }},
		{name: "two voters more at once", wrong: invariant.I10, by: 1, play: func(s *stage) { leader(s, 2, config{Voters: ids(1, 2, 3, 4, 5)}) }},
		{name: "no voter at all", wrong: invariant.I10, by: 1, play: func(s *stage) { leader(s, 2, config{}) }},
		{name: "an old half that is not in force", wrong: invariant.I10, by: 1, play: func(s *stage) {
			leader(s, 2, config{Voters: ids(4, 5), Outgoing: ids(1, 2)})
		}},
		{name: "out of a joint phase into something else", wrong: invariant.I10, by: 1, play: func(s *stage) {
			settle(s, joint())
			leader(s, 3, config{Voters: ids(1, 3)})
		}},
		{name: "from joint phase to joint phase", wrong: invariant.I10, by: 1, play: func(s *stage) {
			settle(s, joint())
			leader(s, 3, config{Voters: ids(1, 2), Outgoing: ids(1, 2)})
		}},
		{name: "out of a joint phase that is not committed", wrong: invariant.I10, by: 1, play: func(s *stage) {
			leader(s, 2, joint())
			leader(s, 3, config{Voters: ids(1, 2)})
		}},
		{name: "before the leader has committed in its term", wrong: invariant.I10, by: 1, play: func(s *stage) {
			s.lead(1, 2, 2)
			leader(s, 2, joint())
		}},
	})
}

func TestConfigurationInForce(t *testing.T) {
	play(t, []story{
		{name: "a configuration counts from its append on", wrong: invariant.I10, by: 1, play: func(s *stage) {
			s.durably(1, write{From: 2, Entries: []entry{change(1, joint())}})
			s.log(1, 2, 1)
		}},
		{name: "a configuration goes with its entry", play: func(s *stage) {
			leader(s, 2, joint())
			s.lead(2, 2, 3)
			s.append(2, command(2, 22))
			s.durably(1, write{Term: 2, TruncateFrom: 2, From: 2, Entries: []entry{command(2, 22)}})
			s.observe(1, func(v *view) {
				v.Role, v.Term, v.Vote, v.Last, v.LastTerm, v.Config = raftpb.RoleFollower, 2, 0, 2, 2, 0
			})
		}},
		{name: "a configuration stays though its entry went", wrong: invariant.I10, by: 1, play: func(s *stage) {
			leader(s, 2, joint())
			s.lead(2, 2, 3)
			s.append(2, command(2, 22))
			s.durably(1, write{Term: 2, TruncateFrom: 2, From: 2, Entries: []entry{command(2, 22)}})
			s.observe(1, func(v *view) { v.Role, v.Term, v.Vote, v.Last, v.LastTerm = raftpb.RoleFollower, 2, 0, 2, 2 })
		}},
		{name: "a snapshot brings its configuration", play: func(s *stage) {
			settle(s, joint())
			s.durably(4, write{Snapshot: mark{2, 1}})
			s.observe(4, func(v *view) {
				v.Last, v.LastTerm, v.Commit, v.Snapshot, v.First, v.Config, v.Restoring = 2, 1, 2, 2, 3, 2, true
			})
			s.durably(4, write{Term: 1})
			s.observe(4, func(v *view) { v.Term = 1 })
			s.ack(4, 1, 2)
		}},
		{name: "a snapshot comes without one", wrong: invariant.I10, by: 4, play: func(s *stage) {
			settle(s, joint())
			s.durably(4, write{Snapshot: mark{2, 1}})
			s.observe(4, func(v *view) { v.Last, v.LastTerm, v.Commit, v.Snapshot, v.First, v.Restoring = 2, 1, 2, 2, 3, true })
		}},
		{name: "only the new half elects while joint", wrong: invariant.I1, by: 1, play: func(s *stage) {
			settle(s, config{Voters: ids(1, 2), Outgoing: ids(1, 2, 3)})
			s.lead(1, 2, 3)
		}},
	})
}

func TestGroupsAreIsolated(t *testing.T) {
	own := setting{Origins: true}
	voters := config{Voters: ids(1, 2, 3)}
	t.Run("a group's own commands", func(t *testing.T) {
		s := ledWith(t, own, voters)
		s.g.Proposed(12)
		s.append(1, command(1, 12))
		s.fine()
	})
	t.Run("a command of another group", func(t *testing.T) {
		s := ledWith(t, own, voters)
		s.o.Group(2, voters).Proposed(12)
		s.append(1, command(1, 12))
		s.wrong(invariant.I17, 1)
	})
	t.Run("a command of the group that had this number before", func(t *testing.T) {
		s := ledWith(t, own, voters)
		s.g.Proposed(12)
		s.g = s.o.Group(1, voters)
		s.views = map[raftpb.NodeID]*view{}
		s.lead(1, 1, 2)
		s.append(1, command(1, 12))
		s.wrong(invariant.I17, 1)
	})
	t.Run("a message of another group", func(t *testing.T) {
		s := led(t)
		s.node(1).Received(1, 3, 3)
		s.fine()
		s.node(1).Received(2, 3, 3)
		s.wrong(invariant.I17, 1)
	})
	t.Run("a message of an older incarnation", func(t *testing.T) {
		s := led(t)
		s.node(1).Received(1, 2, 3)
		s.wrong(invariant.I17, 1)
	})
}

func TestFilesAndResources(t *testing.T) {
	play(t, []story{
		{name: "a file is synced, then relied on", play: func(s *stage) {
			s.node(1).NameChanged("seg-2")
			s.node(1).NameSynced("seg-2")
			s.node(1).NameReferenced("seg-2")
		}},
		{name: "a file is relied on, then synced", wrong: invariant.I18, by: 1, play: func(s *stage) {
			s.node(1).NameReferenced("seg-2")
		}},
		{name: "a file is replaced and not synced again", wrong: invariant.I18, by: 1, play: func(s *stage) {
			s.node(1).NameSynced("seg-2")
			s.node(1).NameChanged("seg-2")
			s.node(1).NameReferenced("seg-2")
		}},
		{name: "no limit, no complaint", play: func(s *stage) { s.node(1).Uses(invariant.Resources{Uncommitted: 1 << 40}) }},
		{name: "an efficient catch-up", play: func(s *stage) { s.node(2).CaughtUp(3, 11, 2, 1000, 100) }},
		{name: "as many appends as allowed", play: func(s *stage) { s.node(2).CaughtUp(3, 12, 2, 1000, 100) }},
		{name: "a probe for every entry", wrong: invariant.I22, by: 2, play: func(s *stage) { s.node(2).CaughtUp(4, 11, 2, 1000, 100) }},
		{name: "an append for every entry", wrong: invariant.I22, by: 2, play: func(s *stage) { s.node(2).CaughtUp(3, 100, 2, 1000, 100) }},
	})
	limits := invariant.Limits{UncommittedBytes: 10, PeerBytes: 20, EffectBytes: 30}
	for what, r := range map[string]invariant.Resources{
		"not committed": {Uncommitted: 11}, "one peer": {Peer: 21}, "one step": {Effects: 31},
	} {
		t.Run(what, func(t *testing.T) {
			s := ledWith(t, setting{Limits: limits}, config{Voters: ids(1, 2, 3)})
			s.node(1).Uses(invariant.Resources{Uncommitted: 10, Peer: 20, Effects: 30})
			s.fine()
			s.node(1).Uses(r)
			s.wrong(invariant.I19, 1)
			if text := s.o.First().Sentence; !strings.Contains(text, what) {
				t.Errorf("%q does not speak of %q", text, what)
			}
		})
	}
	t.Run("idle", func(t *testing.T) {
		o := invariant.New(invariant.Options{})
		o.Idle(3, 4*2*11, time.Second, 100*time.Millisecond, 3)
		if v := o.First(); v != nil {
			t.Error(v)
		}
		o.Idle(3, 4*2*11+1, time.Second, 100*time.Millisecond, 3)
		if v := o.First(); v == nil || v.ID != invariant.I22 || v.Node != 3 {
			t.Errorf("got %v, want I22", v)
		}
	})
}

func TestTheObserverIsBounded(t *testing.T) {
	s := led(t)
	const all = invariant.MaxViolations + 5
	for range all {
		s.node(1).Compacted(9)
	}
	kept, more := s.o.Violations()
	if len(kept) != invariant.MaxViolations || more != 5 {
		t.Errorf("%d kept and %d more of %d", len(kept), more, all)
	}
	if text := kept[0].Error(); !strings.HasPrefix(text, "invariant: I18: it drops its log up to 9 ") {
		t.Errorf("a violation reads %q", text)
	}
	defer func() {
		if recover() == nil {
			t.Error("a group may have any number of nodes")
		}
	}()
	for id := range raftpb.NodeID(invariant.MaxNodes + 1) {
		s.node(id)
	}
}
