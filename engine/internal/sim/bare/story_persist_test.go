package bare

import "testing"

// unreliable loses one message in ten and delivers many late, in any order.
func unreliable(k *Knobs) {
	k.Loss, k.Heavy, k.MoreDelay = 0.1, 0, 27*millisecond
}

// reordered keeps, besides, some messages for up to ten time-outs.
func reordered(k *Knobs) {
	unreliable(k)
	k.Heavy = 0.05
}

// churned: there were commands, and crashes of leaders.
func churned(c *Counts) bool { return c.Commits > 20*c.Crashes && c.Crashes > 10 && c.Leaders > 20 }

// Test3C: what was promised survives crashes and a bad network.
func Test3C(t *testing.T) {
	tellAll(t, []scenario{
		{name: "persist 1", nodes: 3, tell: persistOne},
		{name: "persist 2", nodes: 5, tell: persistTwo},
		{name: "persist 3", nodes: 3, tell: persistThree},
		{name: "figure 8", nodes: 5, tell: figureEight},
		{name: "unreliable agree", nodes: 5, knobs: unreliable, tell: unreliableAgree},
		{name: "figure 8 unreliable", nodes: 5, knobs: reordered, tell: figureEightUnreliable},
		{name: "reliable churn", nodes: 5, tell: churn, proves: churned},
		{name: "unreliable churn", nodes: 5, knobs: unreliable, tell: churn, proves: churned},
	})
}

// All crash, then the leader, then the next, then a follower: everything is still
// there.
func persistOne(s *story) {
	s.agree(3)
	s.crash(s.all()...)
	s.restart(s.all()...)
	s.agree(3)
	first := s.leader()
	s.crash(first)
	s.restart(first)
	s.agree(3)
	second := s.leader()
	s.crash(second)
	s.agree(2)
	s.restart(second)
	s.agree(3)
	follower := s.node(s.leader(), 1)
	s.crash(follower)
	s.agree(2)
	s.agree(2)
	s.restart(follower)
	s.agree(3)
}

// Of five, two are always somewhere else, and all have crashed in between.
func persistTwo(s *story) {
	s.agree(5)
	for range 4 {
		leader := s.leader()
		one, two, three, four := s.node(leader, 1), s.node(leader, 2), s.node(leader, 3), s.node(leader, 4)
		s.disconnect(one, two)
		s.agree(3)
		s.disconnect(leader, three, four)
		s.crash(one, two)
		s.restart(one, two)
		s.connect(one, two)
		s.wait(Election)
		s.crash(three)
		s.restart(three)
		s.connect(three)
		s.agree(3)
		s.connect(four, leader)
	}
	s.agree(5)
}

// A leader and a follower crash while the third is cut off.
func persistThree(s *story) {
	s.agree(3)
	leader := s.leader()
	one, two := s.node(leader, 1), s.node(leader, 2)
	s.disconnect(two)
	s.agree(2)
	s.crash(leader, one)
	s.connect(two)
	s.restart(leader)
	s.agree(2)
	s.restart(one)
	s.agree(3)
}

// Leaders crash again and again, often before their entries are replicated: the
// situation of the paper's Figure 8, in which counting alone would commit too much.
func figureEight(s *story) {
	s.agree(1)
	for range 60 {
		leader := s.firstLeader()
		if leader != nil {
			s.propose(leader, s.command(), 8)
		}
		if s.some(10) {
			s.wait(Time(s.w.process.N(int64(Election / 2))))
		} else {
			s.wait(Time(s.w.process.N(int64(13 * millisecond))))
		}
		if leader != nil {
			s.crash(leader)
		}
		if s.running() < 3 {
			s.restart(s.anyone())
		}
	}
	s.restart(s.all()...)
	s.agree(5)
}

// firstLeader is somebody who believes to lead; nil: nobody does.
func (s *story) firstLeader() *server {
	for _, n := range s.all() {
		if n.leading() {
			return n
		}
	}
	return nil
}

func (s *story) running() int {
	n := 0
	for _, x := range s.all() {
		if x.node != nil {
			n++
		}
	}
	return n
}

// On a bad network commands are agreed on, many at a time.
func unreliableAgree(s *story) {
	for range 12 {
		if leader := s.firstLeader(); leader != nil {
			s.fill(leader, 4)
		}
		s.agree(1)
	}
	s.w.knobs.Loss = 0
	s.agree(5)
}

// Figure 8, with cuts instead of crashes, on a network that delivers very late.
func figureEightUnreliable(s *story) {
	s.agree(1)
	for range 60 {
		leader := s.firstLeader()
		for _, n := range s.all() {
			s.propose(n, s.command(), 8)
		}
		if s.some(10) {
			s.wait(Time(s.w.process.N(int64(Election / 2))))
		} else {
			s.wait(Time(s.w.process.N(int64(13 * millisecond))))
		}
		if leader != nil && s.some(2) {
			s.disconnect(leader)
		}
		if away := s.anyone(); s.present() < 3 {
			s.connect(away)
		}
	}
	s.connect(s.all()...)
	s.agree(5)
}

// present counts those who are not cut off.
func (s *story) present() int {
	n := 0
	for i := range s.all() {
		if !s.away[i] {
			n++
		}
	}
	return n
}

// Clients go on while nodes are cut off, crash and come back. What they were told is
// done stays done.
func churn(s *story) {
	for range 20 {
		for range 3 {
			s.propose(s.anyone(), s.command(), 8)
			if leader := s.firstLeader(); leader != nil {
				s.propose(leader, s.command(), 8)
			}
		}
		if s.some(5) {
			s.disconnect(s.anyone())
		}
		if s.some(2) {
			n := s.anyone()
			s.restart(n)
			s.connect(n)
		}
		if s.some(5) {
			s.crash(s.anyone())
		}
		s.wait(Election * 7 / 10)
	}
	s.w.knobs.Loss = 0
	s.restart(s.all()...)
	s.connect(s.all()...)
	s.agree(5)
}
