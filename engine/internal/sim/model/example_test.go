package model_test

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Node 2 promises its vote and node 1 takes it for granted before it is on disk.
func Example() {
	m := model.New(model.Config{Voters: []raftpb.NodeID{1, 2, 3}})
	for _, s := range []model.Step{
		{Kind: model.BecomeCandidate, Node: 1, Term: 1},
		{Kind: model.Durable, Node: 1, Term: 1, Vote: 1},
		{Kind: model.Grant, Node: 2, Peer: 1, Term: 1},
		{Kind: model.BecomeLeader, Node: 1, Term: 1, Votes: []raftpb.NodeID{1, 2}},
	} {
		if err := m.Check(s); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// model: check: step 3 of node 1: it counts a vote of node 2 in term 1 that is not on that node's disk (3.8)
}
