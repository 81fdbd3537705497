package invariant_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model/toy"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// watch lets an observer see what happens in a toy world.
type watch struct {
	observer *invariant.Observer
	group    *invariant.Group
	logs     map[raftpb.NodeID]toy.Log // as they were last told
	world    *toy.World
}

func watchWorld(w *toy.World) *watch {
	o := invariant.New(invariant.Options{})
	x := &watch{observer: o, group: o.Group(1, *configOf(&w.Initial)), logs: map[raftpb.NodeID]toy.Log{}, world: w}
	w.Watch = toy.Watcher{
		Wrote:     x.wrote,
		Persisted: func(n *toy.Node, wr *toy.Write) { x.node(n).Persisted(writeID(n.Boot, wr.Seq)) },
		Sent:      x.sent,
		Delivered: x.delivered,
		Crashed:   func(n *toy.Node) { x.node(n).Crashed() },
		Restarted: x.restarted,
		Changed:   x.changed,
	}
	return x
}

func (x *watch) node(n *toy.Node) *invariant.Node { return x.group.Node(n.ID) }

func writeID(boot, seq int) uint64 { return uint64(boot)<<32 + uint64(seq) }

func configOf(c *model.Config) *invariant.Config {
	if c == nil {
		return nil
	}
	return &invariant.Config{Voters: c.Voters, Outgoing: c.Outgoing, Learners: c.Learners}
}

func entriesOf(log []toy.Entry) (out []invariant.Entry) {
	for _, e := range log {
		out = append(out, invariant.Entry{Term: e.Term, Kind: e.Kind, Sum: e.Hash, Config: configOf(e.Config)})
	}
	return out
}

// wrote finds out what changed in the log.
func (x *watch) wrote(n *toy.Node, wr *toy.Write) {
	before, after := x.logs[n.ID], wr.Log
	x.logs[n.ID] = after
	out := invariant.Write{ID: writeID(n.Boot, wr.Seq), Term: wr.Term, Vote: wr.Vote}
	lo := max(before.Base.Index, after.Base.Index)
	switch {
	case after.Base.Index > before.Base.Index && before.Term(after.Base.Index) != after.Base.Term:
		out.Snapshot = invariant.Mark{Index: after.Base.Index, Term: after.Base.Term}
		if after.Last() == lo {
			out.TruncateFrom = lo + 1
		}
	default:
		i := lo + 1
		for i <= min(before.Last(), after.Last()) && before.Term(i) == after.Term(i) {
			i++
		}
		if i <= before.Last() {
			out.TruncateFrom = i
		}
		if i <= after.Last() {
			out.From, out.Entries = i, entriesOf(after.Span(i, after.Last()+1))
		}
	}
	x.node(n).Wrote(&out)
}

func (x *watch) restarted(n *toy.Node) {
	x.logs[n.ID] = n.Log
	x.node(n).Restarted(&invariant.Image{
		Term: n.Term, Vote: n.Vote, Snapshot: invariant.Mark{Index: n.Log.Base.Index, Term: n.Log.Base.Term},
		Entries: entriesOf(n.Log.Entries), Damaged: n.Uncertain, Incarnation: int64(n.Boot),
	})
}

func (x *watch) changed(n *toy.Node) {
	_, at := n.Log.Configuration()
	if at == n.Log.Base.Index { // it may stand deeper: the toy does not remember where
		at = x.configAt(n)
	}
	last := n.Log.Last()
	x.node(n).Observe(&invariant.View{
		Role: n.Role, Term: n.Term, Vote: n.Vote, Commit: n.Commit, Applied: n.Commit, Snapshot: n.Log.Base.Index,
		First: n.Log.Base.Index + 1, Last: last, LastTerm: n.Log.Term(last), Config: at, Uncertain: n.Uncertain,
	})
}

// configAt is the position of the node's configuration below its snapshot.
func (x *watch) configAt(n *toy.Node) raftpb.Index { return x.node(n).ConfigIndex() }

// claim is what a message of the toy says, nil if nothing.
func (x *watch) claim(m *toy.Message) *invariant.Claim {
	c := invariant.Claim{To: m.To, Term: m.Term, Index: m.Matched}
	if m.Write != nil {
		c.Write = writeID(x.world.Nodes[m.From-1].Boot, m.Write.Seq)
	}
	switch {
	case m.Kind == toy.VoteAsk:
		c.Kind = invariant.VoteAsk
	case m.Kind == toy.VoteAnswer && m.OK:
		c.Kind = invariant.Vote
	case m.Kind == toy.AppendAnswer && m.OK && m.Nonce == 0:
		c.Kind = invariant.Ack
	case m.Kind == toy.TimeoutNow:
		c.Kind = invariant.TimeOut
	default:
		return nil
	}
	return &c
}

func (x *watch) sent(m *toy.Message) {
	if c := x.claim(m); c != nil {
		x.group.Node(m.From).Sent(c)
	}
}

func (x *watch) delivered(m *toy.Message) {
	if c := x.claim(m); c != nil {
		x.group.Node(m.To).Delivered(x.group.Node(m.From), c)
	}
}

// run lets a world live for some events.
func run(o toy.Options, events int) (*toy.World, error) {
	w := toy.New(o)
	x := watchWorld(w)
	for range events {
		w.Next()
		if v := x.observer.First(); v != nil {
			return w, v
		}
	}
	return w, nil
}

func options(seed uint64) toy.Options {
	return toy.Options{Seed: seed, Nodes: 1 + int(seed%5), Spare: int(seed / 5 % 3), Quiet: toy.Fault(seed * 0x9E3779B97F4A7C15 >> 59)}
}

// TestEverythingTheToyDoesIsAllowed: no invariant is hurt by a correct cluster, in
// whatever order messages, writes and crashes come.
func TestEverythingTheToyDoesIsAllowed(t *testing.T) {
	var elected, committed int
	for seed := range uint64(400) {
		w, err := run(options(seed), 6000)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		elected, committed = elected+w.Elected, committed+int(w.Commit)
	}
	if elected < 2000 || committed < 8000 {
		t.Errorf("%d leaders and %d committed entries: nothing was tested", elected, committed)
	}
}

// TestEveryBugIsNoticed: each mistake that the toy can make hurts an invariant.
func TestEveryBugIsNoticed(t *testing.T) {
	for _, bug := range toy.Bugs() {
		if bug.Bug == toy.AppendDuringTransfer || bug.Bug == toy.HandOverEarly {
			continue // these cost time, not safety
		}
		t.Run(bug.Name, func(t *testing.T) {
			for seed := range uint64(3000) {
				o := options(seed)
				o.Bugs = bug.Bug
				if _, err := run(o, 6000); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("no world of 3000 showed it")
		})
	}
}
