package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// What holds a group up, told in a sentence that names the node.
func TestWhyNamesWhoHoldsTheGroupUp(t *testing.T) {
	three := Configuration{Members: []Member{{ID: 1, Suffrage: Voter}, {ID: 2, Suffrage: Voter}, {ID: 3, Suffrage: Voter}, {ID: 4, Suffrage: Learner}}}
	noon := time.Date(2000, 1, 1, 12, 34, 56, 0, time.Local)
	leads := func(change func(s *Status)) Status {
		s := Status{
			Node: 1, Role: raftpb.RoleLeader, Leader: 1, Term: 5, Last: 100, Durable: 100, Commit: 100, Applied: 100, Configuration: three,
			Peers: []PeerStatus{{ID: 2, Match: 100}, {ID: 3, Match: 100}, {ID: 4, Match: 0}},
		}
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		status  Status
		culprit NodeID
		says    string
	}{
		"nothing": {leads(func(*Status) {}), 0, "Nothing waits: node 1 leads"},
		"the better of two followers that lag": {leads(func(s *Status) {
			s.Commit, s.Peers[0].Match, s.Peers[1].Match, s.Peers[1].LastContact = 80, 70, 80, 2*time.Second
		}), 3, "Commit waits at 80 of 100 for node 3, which has 80 and was heard 2s ago"},
		"a follower out of reach": {leads(func(s *Status) {
			s.Commit, s.Peers[0].Match, s.Peers[1].Match = 80, 80, 70
			s.Links = []Link{{Peer: 2, Since: noon}, {Peer: 3, Reachable: true, Since: noon}}
		}), 2, "which cannot be reached since 12:34:56."},
		"its own disk": {leads(func(s *Status) {
			s.Commit, s.Durable, s.Peers[0].Match = 80, 80, 0
		}), 1, "the disk of node 1 itself"},
		"the half that leaves": {leads(func(s *Status) {
			s.Configuration.Leaving = []Member{{ID: 1, Suffrage: Voter}, {ID: 5, Suffrage: Voter}}
			s.Commit = 90
			s.Peers = append(s.Peers, PeerStatus{ID: 5, Match: 90, LastContact: time.Second})
		}), 5, "for node 5, which has 90"},
		"an entry of its term": {leads(func(s *Status) { s.Commit = 90 }), 0, "an entry of this term has to follow"},
		"the state machine":    {leads(func(s *Status) { s.Applied = 60 }), 1, "node 1 is 40 entries behind"},
		"a state machine that fails": {leads(func(s *Status) {
			s.Applied, s.ApplyFault = 60, &ApplyFault{Index: 61, Err: errors.New("disk full")}
		}), 1, "fails at 61: disk full"},
		"a change":    {leads(func(s *Status) { s.Changing, s.Peers[2].Lag = true, 100 }), 4, "waits for node 4, which is 100 entries behind"},
		"a hand-over": {leads(func(s *Status) { s.TransferTo = 2 }), 2, "hands over to node 2"},
		"no leader":   {Status{Node: 1, Role: raftpb.RolePrecandidate, Term: 7}, 0, "node 1 is a precandidate in term 7"},
		"nobody in reach": {Status{Node: 1, Role: raftpb.RolePrecandidate, Term: 7, Links: []Link{{Peer: 2, Since: noon}, {Peer: 3, Since: noon}}}, 0,
			"It cannot reach node 2 since 12:34:56 and node 3 since 12:34:56."},
		"one out of reach": {Status{Node: 1, Role: raftpb.RoleFollower, Links: []Link{{Peer: 2, Since: noon}, {Peer: 3, Reachable: true}}}, 2,
			"It cannot reach node 2 since 12:34:56."},
		"an end":     {Status{Node: 1, Err: ErrClosed}, 1, "has ended on node 1"},
		"a follower": {Status{Node: 1, Role: raftpb.RoleFollower, Leader: 2}, 0, "node 2 leads and knows more"},
	} {
		if w := c.status.why(); w.Culprit != c.culprit || !strings.Contains(w.Sentence, c.says) || !strings.HasSuffix(w.Sentence, ".") {
			t.Errorf("%s: %+v, want node %d and %q", name, w, c.culprit, c.says)
		}
	}
}

// Who may call the admin service when nothing is configured: programs on the same
// machine, and holders of an administrator's certificate.
func TestOperatorsAreOnThisMachineOrHaveACertificate(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:9": true, "[::1]:9": true, "10.0.0.7:9": false, "[fe80::1]:9": false, "somewhere": false, "localhost.evil:1": false} {
		if got := isOperator(addr, transport.Holder{Client: "c", Node: 2}); got != want {
			t.Errorf("%s without an administrator's certificate: %t", addr, got)
		}
		if !isOperator(addr, transport.Holder{Admin: "ops"}) {
			t.Errorf("%s with one: refused", addr)
		}
	}
}
