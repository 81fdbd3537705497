package invariant_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Short names for what the stories are made of.
type (
	write   = invariant.Write
	view    = invariant.View
	entry   = invariant.Entry
	claim   = invariant.Claim
	config  = invariant.Config
	image   = invariant.Image
	mark    = invariant.Mark
	setting = invariant.Options
)

// stage is an observer and what the nodes on it look like.
type stage struct {
	t      *testing.T
	o      *invariant.Observer
	g      *invariant.Group
	views  map[raftpb.NodeID]*view
	writes uint64
}

// stageFor sets a stage with these voters, all at rest.
func stageFor(t *testing.T, o setting, c config) *stage {
	s := &stage{t: t, o: invariant.New(o), views: map[raftpb.NodeID]*view{}}
	s.g = s.o.Group(1, c)
	return s
}

func (s *stage) node(id raftpb.NodeID) *invariant.Node { return s.g.Node(id) }

// write hands w to node id's disk and returns its number.
func (s *stage) write(id raftpb.NodeID, w write) uint64 {
	s.writes++
	w.ID = s.writes
	v := s.view(id)
	if w.Term == 0 {
		w.Term, w.Vote = v.Term, v.Vote
	}
	s.node(id).Wrote(&w)
	return w.ID
}

// durably writes w and lets the write complete.
func (s *stage) durably(id raftpb.NodeID, w write) uint64 {
	n := s.write(id, w)
	s.node(id).Persisted(n)
	return n
}

func (s *stage) view(id raftpb.NodeID) *view {
	if s.views[id] == nil {
		s.views[id] = &view{Role: raftpb.RoleFollower, First: 1}
	}
	return s.views[id]
}

// observe changes the view of a node and shows it.
func (s *stage) observe(id raftpb.NodeID, change func(v *view)) {
	v := s.view(id)
	change(v)
	s.node(id).Observe(v)
}

// log says where the log of a node ends.
func (s *stage) log(id raftpb.NodeID, last raftpb.Index, term raftpb.Term) {
	s.observe(id, func(v *view) { v.Last, v.LastTerm = last, term })
}

func (s *stage) commit(id raftpb.NodeID, i raftpb.Index) {
	s.observe(id, func(v *view) { v.Commit = i })
}

// tell sends a claim that waited for a write, and delivers it.
func (s *stage) tell(from raftpb.NodeID, c claim) {
	s.node(from).Sent(&c)
	s.node(c.To).Delivered(s.node(from), &c)
}

// campaign makes a node a candidate, durably.
func (s *stage) campaign(id raftpb.NodeID, term raftpb.Term) {
	s.durably(id, write{Term: term, Vote: id})
	s.observe(id, func(v *view) { v.Role, v.Term, v.Vote = raftpb.RoleCandidate, term, id })
}

// vote makes a node vote and tell.
func (s *stage) vote(id, to raftpb.NodeID, term raftpb.Term) {
	w := s.durably(id, write{Term: term, Vote: to})
	s.observe(id, func(v *view) { v.Role, v.Term, v.Vote = raftpb.RoleFollower, term, to })
	s.tell(id, claim{Kind: invariant.Vote, To: to, Term: term, Write: w})
}

// lead elects a node by its own vote and that of others.
func (s *stage) lead(id raftpb.NodeID, term raftpb.Term, others ...raftpb.NodeID) {
	s.campaign(id, term)
	for _, o := range others {
		s.vote(o, id, term)
	}
	s.observe(id, func(v *view) { v.Role = raftpb.RoleLeader })
}

// append puts entries behind node id's log, durably, and says so.
func (s *stage) append(id raftpb.NodeID, e ...entry) {
	v := s.view(id)
	s.durably(id, write{From: v.Last + 1, Entries: e})
	s.log(id, v.Last+raftpb.Index(len(e)), e[len(e)-1].Term)
}

// ack lets a follower acknowledge.
func (s *stage) ack(id, to raftpb.NodeID, i raftpb.Index) {
	s.tell(id, claim{Kind: invariant.Ack, To: to, Term: s.view(id).Term, Index: i})
}

func command(term raftpb.Term, sum uint64) entry {
	return entry{Term: term, Kind: raftpb.EntryKindCommand, Sum: sum}
}

func change(term raftpb.Term, c config) entry {
	return entry{Term: term, Kind: raftpb.EntryKindConfig, Sum: uint64(len(c.Voters)), Config: &c}
}

func ids(n ...raftpb.NodeID) []raftpb.NodeID { return n }

// led is a group of three: node 1 leads term 1 and has committed entry 1, which all
// have; node 2 knows that it is committed.
func led(t *testing.T) *stage { return ledWith(t, setting{}, config{Voters: ids(1, 2, 3)}) }

func ledWith(t *testing.T, o setting, c config) *stage {
	t.Helper()
	s := stageFor(t, o, c)
	s.lead(1, 1, 2, 3)
	noop := entry{Term: 1, Kind: raftpb.EntryKindNoop}
	s.append(1, noop)
	for _, id := range ids(2, 3) {
		s.append(id, noop)
		s.ack(id, 1, 1)
	}
	s.commit(1, 1)
	s.commit(2, 1)
	s.fine()
	return s
}

// fine: nothing is wrong so far.
func (s *stage) fine() {
	s.t.Helper()
	if v := s.o.First(); v != nil {
		s.t.Fatalf("violated: %v", v)
	}
}

// wrong: the first thing that is wrong is a violation of id by node.
func (s *stage) wrong(id invariant.ID, node raftpb.NodeID) {
	s.t.Helper()
	switch v := s.o.First(); {
	case v == nil:
		s.t.Fatalf("nothing is violated, want %s", id)
	case v.ID != id || v.Node != node || v.Group != 1 || v.Sentence == "":
		s.t.Fatalf("got %v, want %s by node %d", v, id, node)
	}
}

// story is one thing that may happen. It ends well, or in a violation of wrong by
// node by.
type story struct {
	name  string
	wrong invariant.ID
	by    raftpb.NodeID
	play  func(s *stage)
}

func play(t *testing.T, stories []story) {
	t.Helper()
	for _, x := range stories {
		t.Run(x.name, func(t *testing.T) {
			s := led(t)
			x.play(s)
			if x.wrong == "" {
				s.fine()
			} else {
				s.wrong(x.wrong, x.by)
			}
		})
	}
}
