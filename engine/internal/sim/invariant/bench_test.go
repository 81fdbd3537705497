package invariant_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// five is a healthy group of five nodes, led by node 1 in term 1.
type five struct {
	o      *invariant.Observer
	nodes  [6]*invariant.Node // by id
	views  [6]view
	write  write
	events int
}

func newFive() *five {
	f := &five{o: invariant.New(invariant.Options{}), write: write{Term: 1, Vote: 1}}
	g := f.o.Group(1, config{Voters: ids(1, 2, 3, 4, 5)})
	for id := range f.nodes[1:] {
		id++
		n := g.Node(raftpb.NodeID(id))
		f.nodes[id] = n
		f.write.ID++
		n.Wrote(&f.write)
		n.Persisted(f.write.ID)
		f.views[id] = view{Role: raftpb.RoleFollower, Term: 1, Vote: 1, First: 1}
		if id == 1 {
			f.views[id].Role = raftpb.RoleCandidate
		}
		n.Observe(&f.views[id])
		if id > 1 {
			f.nodes[1].Delivered(n, &claim{Kind: invariant.Vote, To: 1, Term: 1})
		}
	}
	f.views[1].Role = raftpb.RoleLeader
	f.nodes[1].Observe(&f.views[1])
	return f
}

// append is two events: the entry comes, its write completes.
func (f *five) append(id int, i raftpb.Index, e []entry) {
	n, v := f.nodes[id], &f.views[id]
	f.write.ID++
	f.write.From, f.write.Entries = i, e
	n.Wrote(&f.write)
	v.Last, v.LastTerm = i, 1
	n.Observe(v)
	n.Persisted(f.write.ID)
	v.Durable = i
	n.Observe(v)
	f.events += 2
}

// commit is two events: the commit index rises, the state machine has followed.
func (f *five) commit(id int, i raftpb.Index, e []entry) {
	n, v := f.nodes[id], &f.views[id]
	v.Commit = i
	n.Observe(v)
	n.Applied(i, e)
	v.Applied = i
	n.Observe(v)
	f.events += 2
}

// BenchmarkReplication feeds the life of a healthy group: a leader appends and
// writes, followers write and acknowledge, all apply. An event is one input of one
// node; the observer is told of one to five things for each.
func BenchmarkReplication(b *testing.B) {
	f, i, events, e := newFive(), raftpb.Index(0), 0, make([]entry, 1)
	b.ReportAllocs()
	for b.Loop() {
		if i == 10_000 { // about one seed's life
			i, events, f = 0, events+f.events, newFive()
		}
		i++
		e[0] = command(1, uint64(i))
		f.append(1, i, e)
		for id := 2; id <= 5; id++ {
			f.append(id, i, e)
			c := claim{Kind: invariant.Ack, To: 1, Term: 1, Index: i, Write: f.write.ID}
			f.nodes[id].Sent(&c)
			f.nodes[1].Delivered(f.nodes[id], &c)
			if id == 3 {
				f.commit(1, i, e)
			} else {
				f.nodes[1].Observe(&f.views[1])
				f.events++
			}
		}
		for id := 2; id <= 5; id++ {
			f.commit(id, i, e)
		}
	}
	if v := f.o.First(); v != nil {
		b.Fatal(v)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events+f.events), "ns/event")
}
