package invariant_test

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Node 2 promises its vote while the write that holds it is still under way.
func Example() {
	o := invariant.New(invariant.Options{})
	n := o.Group(1, invariant.Config{Voters: []raftpb.NodeID{1, 2, 3}}).Node(2)
	n.Wrote(&invariant.Write{ID: 1, Term: 7, Vote: 1})
	n.Sent(&invariant.Claim{Kind: invariant.Vote, To: 1, Term: 7, Write: 1})
	v := o.First()
	fmt.Println(v.ID, v.Node, v.Sentence)
	// Output:
	// I18 2 a message leaves before write 1, for which it had to wait (done: 0)
}
