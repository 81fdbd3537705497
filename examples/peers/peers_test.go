// Package peers_test runs members that are written in other languages, with nothing but the IDL and docs/spec, in one group
// with processes of raftkv. What it carries out are the commands of each README, in a copy of the folder.
package peers_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Two Go nodes and a voter in Python: each of them is needed once another one is gone, and is killed itself, before and after it
// installed a snapshot. What clients saw is linearizable, and the logs are equal in the end.
func TestPythonVoter(t *testing.T) {
	if os.Getenv("RAFTWIRE_CLIENTS") == "" {
		t.Skip("needs Thrift and Python: run it with make clients, or with RAFTWIRE_CLIENTS=1 where they are installed")
	}
	cl := startCluster(t)
	one, two, voter := cl.nodes[0], cl.nodes[1], cl.nodes[2]
	h := cl.load(t)

	h.goesOn("with all three")
	leader, follower := one, two
	if cl.leader() == 2 {
		leader, follower = two, one
	}
	leader.kill()
	h.goesOn("with a Go node and the voter, which elected it")
	leader.start()
	cl.caughtUp(leader)

	voter.kill()
	h.goesOn("with two Go nodes")
	voter.start()
	cl.caughtUp(voter)
	follower.kill()
	h.goesOn("with the voter, started anew")
	follower.start()
	cl.caughtUp(follower)

	cl.change(raftpb.Change{Kind: raftpb.ChangeKindRemove, Member: raftpb.Member{ID: 3}})
	h.goesOn("without the voter, which was removed")
	cl.change(raftpb.Change{Kind: raftpb.ChangeKindAddVoter, Member: raftpb.Member{ID: 3, Address: voter.address}})
	cl.caughtUp(voter)
	follower.kill()
	h.goesOn("with the voter, which was added again")
	follower.start()
	cl.caughtUp(follower)

	voter.kill()
	from := cl.commit()
	eventually(t, "a log that begins behind what the voter has", func() bool {
		s, ok := cl.statusOf(one)
		r, also := cl.statusOf(two)
		return ok && also && min(s.FirstIndex, r.FirstIndex) > from
	})
	voter.start()
	cl.caughtUp(voter)
	if s, ok := cl.statusOf(voter); !ok || s.SnapshotIndex <= from || s.FirstIndex <= from {
		t.Errorf("the voter has no snapshot behind %d: %+v", from, s)
	}
	one.kill()
	h.goesOn("with the voter, which has a snapshot")
	one.start()
	cl.caughtUp(one)
	voter.kill()
	voter.start()
	cl.caughtUp(voter)
	two.kill()
	h.goesOn("with the voter, started anew on its snapshot")

	// Only the voter has what is acknowledged now and here, when node one goes and node two comes back: it must be elected.
	h.stop()
	one.kill()
	two.start()
	h.start()
	h.goesOn("with a Go node that was behind the voter")
	if !strings.Contains(voter.out.String(), "leads term") {
		t.Error("the voter never led")
	}
	one.start()
	h.stop()
	cl.compare()
	h.check()
}

// change has whoever leads change the members, until the configuration in force says so.
func (cl *cluster) change(c raftpb.Change) {
	cl.t.Helper()
	request := &raftpb.ChangeRequest{Group: group, TimeoutMs: 10_000, Changes: []raftpb.Change{c}}
	eventually(cl.t, "a change of membership", func() bool {
		return slices.ContainsFunc(cl.nodes[:2], func(n *node) bool {
			_ = n.call(raftpb.RaftAdminChangeMembership, request, &raftpb.ChangeResponse{}) // what became of it is seen below
			s, ok := cl.statusOf(n)
			votes := slices.ContainsFunc(s.Config.Incoming, func(m raftpb.Member) bool { return m.ID == c.Member.ID && m.Suffrage == raftpb.SuffrageVoter })
			return ok && s.Role == raftpb.RoleLeader && len(s.Config.Outgoing) == 0 && votes == (c.Kind == raftpb.ChangeKindAddVoter)
		})
	})
}

// compare waits until all members have the same log, by its hash.
func (cl *cluster) compare() {
	cl.t.Helper()
	var report string
	eventually(cl.t, "equal logs", func() bool {
		report = ""
		var answers []raftpb.HashResponse
		for _, n := range cl.nodes {
			var r raftpb.HashResponse
			err := n.call(raftpb.RaftAdminHash, &raftpb.HashRequest{Group: group}, &r)
			report += fmt.Sprintf("node %d: index %d, log %x, %v\n", n.id, r.Index, r.LogChain, err)
			if err != nil {
				return false
			}
			answers = append(answers, r)
		}
		for _, r := range answers[1:] {
			if r.Index != answers[0].Index {
				return false
			}
			if len(r.LogChain) == 0 || !bytes.Equal(r.LogChain, answers[0].LogChain) {
				cl.t.Fatalf("logs differ:\n%s", report)
			}
		}
		return true
	})
	cl.t.Log("\n" + report)
}
