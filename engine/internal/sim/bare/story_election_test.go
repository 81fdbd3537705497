package bare

import "testing"

// Test3A: elections.
func Test3A(t *testing.T) {
	tellAll(t, []scenario{
		{name: "initial election", nodes: 3, tell: initialElection},
		{name: "re-election", nodes: 3, tell: reElection},
		{name: "many elections", nodes: 7, tell: manyElections},
	})
}

// Somebody leads, and nothing changes while nothing happens.
func initialElection(s *story) {
	first := s.leader()
	term := first.was.Term
	if term < 1 {
		s.failf("term %d", term)
	}
	s.wait(4 * Election)
	if again := s.leader(); again != first || again.was.Term != term {
		s.failf("node %d leads term %d, then node %d term %d", first.id, term, again.id, again.was.Term)
	}
}

// A leader that is cut off is replaced; when it comes back it follows. Without a
// quorum nobody leads.
func reElection(s *story) {
	first := s.leader()
	s.disconnect(first)
	second := s.leader()
	s.connect(first)
	s.wait(Election)
	if again := s.leader(); again != second {
		s.failf("node %d comes back and node %d leads instead of node %d", first.id, again.id, second.id)
	}
	other := s.node(second, 1)
	s.disconnect(second, other)
	s.wait(3 * Election)
	s.noLeader()
	s.connect(other)
	third := s.leader()
	s.connect(second)
	s.wait(Election)
	if again := s.leader(); again != third {
		s.failf("node %d comes back and node %d leads instead of node %d", second.id, again.id, third.id)
	}
}

// Three of seven are cut off, others each time.
func manyElections(s *story) {
	s.leader()
	for range 8 {
		a := s.anyone()
		b := s.node(a, 1+s.w.process.Intn(3))
		c := s.node(b, 1+s.w.process.Intn(3))
		s.disconnect(a, b, c)
		s.leader()
		s.connect(a, b, c)
	}
	s.leader()
}
