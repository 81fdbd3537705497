package bare

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// Test3B: agreement.
func Test3B(t *testing.T) {
	tellAll(t, []scenario{
		{name: "basic agree", nodes: 5, tell: basicAgree},
		{name: "RPC bytes", nodes: 3, tell: rpcBytes},
		{name: "follower failure", nodes: 3, tell: followerFailure},
		{name: "leader failure", nodes: 3, tell: leaderFailure},
		{name: "fail agree", nodes: 3, tell: failAgree},
		{name: "fail no agree", nodes: 5, tell: failNoAgree},
		{name: "concurrent starts", nodes: 3, tell: concurrentStarts},
		{name: "rejoin", nodes: 3, tell: rejoin},
		{name: "backup", nodes: 5, tell: backup},
		{name: "count", nodes: 3, tell: count},
	})
}

// Commands are applied by all, one behind the other.
func basicAgree(s *story) {
	at := s.agree(5)
	for range 3 {
		if next := s.agree(5); next != at+1 {
			s.failf("a command stands at %d behind one at %d", next, at)
		}
		at++
	}
}

// Each command is sent to each node once.
func rpcBytes(s *story) {
	s.agree(3)
	const size, commands = 5000, 10
	before := s.bytes
	for range commands {
		s.agreeOn(size, 3)
	}
	if sent, most := s.bytes-before, 3*size*commands+50_000; sent > most {
		s.failf("%d bytes for %d commands of %d, at most %d", sent, commands, size, most)
	}
}

// Followers fail one after the other; with the last one agreement ends.
func followerFailure(s *story) {
	s.agree(3)
	first := s.leader()
	s.disconnect(s.node(first, 1))
	s.agree(2)
	s.wait(Election)
	s.agree(2)
	last := s.leader()
	s.disconnect(s.node(last, 1), s.node(last, 2))
	command := s.command()
	at := s.propose(last, command, 8)
	if at == 0 {
		s.failf("the leader does not know yet that it is alone, and refuses")
	}
	s.wait(2 * Election)
	s.lost(at, command)
}

// The same with leaders.
func leaderFailure(s *story) {
	s.agree(3)
	first := s.leader()
	s.disconnect(first)
	s.agree(2)
	s.wait(Election)
	s.agree(2)
	second := s.leader()
	s.disconnect(second)
	for _, n := range s.all() {
		command := s.command()
		at := s.propose(n, command, 8)
		s.wait(Election)
		s.lost(at, command)
	}
}

// A follower comes back and catches up.
func failAgree(s *story) {
	s.agree(3)
	away := s.node(s.leader(), 1)
	s.disconnect(away)
	s.agree(2)
	s.agree(2)
	s.wait(Election)
	s.agree(2)
	s.agree(2)
	s.connect(away)
	s.agree(3)
	s.wait(Election)
	s.agree(3)
}

// Three of five are cut off: nothing is agreed on until they are back.
func failNoAgree(s *story) {
	s.agree(5)
	leader := s.leader()
	away := []*server{s.node(leader, 1), s.node(leader, 2), s.node(leader, 3)}
	s.disconnect(away...)
	command := s.command()
	at := s.propose(leader, command, 8)
	if at == 0 {
		s.failf("the leader does not know yet that it is alone, and refuses")
	}
	s.wait(2 * Election)
	s.lost(at, command)
	s.connect(away...)
	again := s.leader()
	if next := s.propose(again, s.command(), 8); next != 0 && next < at {
		s.failf("a command stands at %d, below %d", next, at)
	}
	s.agree(5)
}

// Many commands at once: all are done, in one term.
func concurrentStarts(s *story) {
	leader := s.leader()
	s.wait(Election / 5)
	term := leader.was.Term
	want := map[raft.Index]uint64{}
	for range 8 {
		command := s.command()
		want[s.propose(leader, command, 8)] = command
	}
	s.wait(Election / 2)
	if leader.was.Term != term || !leader.leading() || len(want) != 8 {
		s.failf("node %d leads no more, or gave out %d places", leader.id, len(want))
	}
	for at, command := range want {
		if s.have(at) != 3 || s.log[at] != command {
			s.failf("command %d at %d: %d nodes have command %d there", command, at, s.have(at), s.log[at])
		}
	}
}

// A leader that was cut off comes back with entries that nobody else has.
func rejoin(s *story) {
	s.agree(3)
	first := s.leader()
	s.disconnect(first)
	for range 3 {
		s.propose(first, s.command(), 8)
	}
	s.agree(2)
	second := s.leader()
	s.disconnect(second)
	s.connect(first)
	s.agree(2)
	s.connect(second)
	s.agree(3)
}

// Long logs that differ are made equal, with few messages.
func backup(s *story) {
	s.agree(5)
	first := s.leader()
	s.disconnect(s.node(first, 2), s.node(first, 3), s.node(first, 4))
	s.fill(first, 50)
	s.wait(Election / 2)
	s.disconnect(first, s.node(first, 1))
	s.connect(s.node(first, 2), s.node(first, 3), s.node(first, 4))
	for range 30 {
		s.agree(3)
	}
	second := s.leader()
	other := s.node(first, 2)
	if other == second {
		other = s.node(first, 3)
	}
	s.disconnect(other)
	s.fill(second, 50)
	s.wait(Election / 2)
	for _, n := range s.all() {
		s.disconnect(n)
	}
	s.connect(first, s.node(first, 1), other)
	for range 30 {
		s.agree(3)
	}
	before := s.requests
	for _, n := range s.all() {
		s.connect(n)
	}
	s.agree(5)
	if took := s.requests - before; took > 250 {
		s.failf("%d requests to make five logs equal", took)
	}
}

// fill proposes commands that will not be agreed on.
func (s *story) fill(n *server, commands int) {
	for range commands {
		s.propose(n, s.command(), 8)
	}
}

// count holds the economy of the protocol against the limits of the laboratory.
func count(s *story) {
	leader := s.leader()
	if s.requests < 1 || s.requests > 30 {
		s.failf("%d requests for the first election", s.requests)
	}
	s.wait(Election)
	if !leader.leading() {
		return
	}
	const commands = 10
	before, term := s.requests, leader.was.Term
	last := raft.Index(0)
	for range commands {
		last = s.propose(leader, s.command(), 8)
	}
	for end := s.w.now + 2*Election; s.have(last) < 3 && s.w.now < end; {
		s.wait(Election / 100)
	}
	took := s.requests - before
	if leader.was.Term != term || s.have(last) < 3 {
		s.failf("%d commands were not agreed on", commands)
	}
	if took > (commands+1+3)*3 {
		s.failf("%d requests for %d commands", took, commands)
	}
	before = s.requests
	s.wait(Election)
	if idle := s.requests - before; idle > 60 {
		s.failf("%d requests in one second without a command", idle)
	}
}
