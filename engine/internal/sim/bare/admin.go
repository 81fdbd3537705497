package bare

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// order is what an operator asked a node for, and has no answer to.
type order struct {
	id       uint64
	at       Time
	transfer bool
}

// admin lets an operator do something, mostly to the leader: change the members,
// hand over leadership.
func (w *World) admin() {
	s := w.servers[w.process.Intn(len(w.servers))]
	if leader := w.leader(); leader != nil && w.process.Intn(8) > 0 {
		s = leader
	}
	if !w.alive(s) {
		return
	}
	if w.strikes(transfer, w.knobs.Transfers, &w.process) {
		to := raft.NodeID(0)
		if w.process.Intn(3) > 0 {
			to = raft.NodeID(1 + w.process.Intn(len(w.servers)))
		}
		w.handOver(s, to)
	}
	if w.alive(s) && w.knobs.Changes > 0 && w.strikes(treachery, w.knobs.Odd.Treachery/2, &w.odd) {
		w.swap(s)
	}
	if w.alive(s) && w.strikes(change, w.knobs.Changes, &w.process) {
		r := w.someChange(s)
		w.planned(s, &r)
		in := raft.Event{Kind: raft.EventChange, RequestID: w.order(s, false), Change: &r}
		if w.options.Trace != nil {
			w.tracef("order %d: node %d changes %+v", in.RequestID, s.id, r)
		}
		w.step(s, &in)
		if w.strikes(treachery, w.knobs.Odd.Treachery, &w.odd) {
			w.betray(s, &r)
		}
	}
}

// handOver asks a node to let another lead; 0: whoever is best.
func (w *World) handOver(s *server, to raft.NodeID) {
	in := raft.Event{Kind: raft.EventTransfer, RequestID: w.order(s, true), Peer: to}
	w.tracef("order %d: node %d hands over to %d", in.RequestID, s.id, in.Peer)
	w.step(s, &in)
}

func (w *World) order(s *server, transfer bool) uint64 {
	w.orders++
	s.orders = append(s.orders, order{w.orders, w.now, transfer})
	return w.orders
}

// planned looks at what a change would pass through: each configuration has a quorum
// in common with the one before, or is the joint one of both, and the last one is no
// joint one. To ask changes nothing.
func (w *World) planned(s *server, r *raft.ChangeRequest) {
	path, why := s.node.PlanChange(r)
	if why != raft.RefusalNone && len(path) > 0 {
		w.failf("I10: node %d refuses a change for %v, and has a plan for it: %+v", s.id, why, path)
		return
	}
	before := s.node.Status().Configuration
	for i := range path {
		c := &path[i]
		if most := len(c.Incoming); raft.ToleratedFailures(c) > (most-1)/2 || len(c.Outgoing) == 0 && len(before.Outgoing) == 0 && apart(&before, c) > 1 {
			w.failf("I10: node %d plans to go from %+v to %+v", s.id, before, *c)
		}
		before = *c
	}
	if len(path) > 0 && len(before.Outgoing) > 0 {
		w.failf("I10: node %d plans a change that ends in a joint configuration", s.id)
	}
}

// apart counts those who vote in one of two configurations only.
func apart(a, b *raft.Configuration) (count int) {
	for _, pair := range [2][2]*raft.Configuration{{a, b}, {b, a}} {
		for _, m := range pair[0].Incoming {
			votes := func(o raft.Member) bool { return o.ID == m.ID && o.Suffrage != raftpb.SuffrageLearner }
			if votes(m) && !slices.ContainsFunc(pair[1].Incoming, votes) {
				count++
			}
		}
	}
	return count
}

// betray takes from a change that has begun what it relies on: voters crash, or one of
// those it takes away is told to lead.
func (w *World) betray(s *server, r *raft.ChangeRequest) {
	if w.odd.Intn(2) == 0 {
		for _, v := range w.servers {
			if v != s && w.alive(v) && w.odd.Intn(4) > 0 {
				w.crash(v)
			}
		}
		return
	}
	for i := range r.Steps {
		step := &r.Steps[i]
		if taken := step.Kind == raftpb.ChangeKindRemove || step.Kind == raftpb.ChangeKindDemote; !taken || !w.alive(s) || step.Member.ID <= 0 {
			continue
		}
		v := w.servers[step.Member.ID-1]
		w.pause(v, Election/2)
		if v != s {
			w.handOver(s, v.id)
		}
		return
	}
}

// swap exchanges as many voters as may fail for one new one, which is slow; as many of
// the others fail meanwhile. The group goes on, and the change must not be made.
func (w *World) swap(s *server) {
	conf := s.node.Status().Configuration
	spare := raft.ToleratedFailures(&conf)
	if spare < 2 || len(conf.Outgoing) > 0 {
		return
	}
	r := raft.ChangeRequest{}
	var fail []*server
	for i := range conf.Incoming {
		switch v := w.servers[conf.Incoming[i].ID-1]; {
		case v == s || conf.Incoming[i].Suffrage == raftpb.SuffrageLearner:
		case len(r.Steps) < spare:
			r.Steps = append(r.Steps, raftpb.Change{Kind: raftpb.ChangeKindRemove, Member: raft.Member{ID: v.id}})
		case len(fail) < spare:
			fail = append(fail, v)
		}
	}
	id := w.outsider(&conf, false)
	if newcomer := w.servers[id-1]; newcomer.witness || lists(&conf, id) {
		return
	}
	w.pause(w.servers[id-1], Election+Time(w.odd.N(int64(Election))))
	r.Steps = append(r.Steps, raftpb.Change{Kind: raftpb.ChangeKindAddVoter, Member: raft.Member{ID: id}})
	w.tracef("swap at %d: %+v", s.id, r)
	w.step(s, &raft.Event{Kind: raft.EventChange, RequestID: w.order(s, false), Change: &r})
	for _, v := range fail {
		if w.alive(v) {
			w.crash(v)
			w.pause(v, 2*Election)
		}
	}
}

// ordered takes the answers to orders: each exactly once.
func (w *World) ordered(s *server, out *raft.Effects) {
	answer := func(id uint64) {
		for i := range s.orders {
			if s.orders[i].id == id {
				s.orders = append(s.orders[:i], s.orders[i+1:]...)
				return
			}
		}
		w.failf("node %d answers order %d twice, or one that nobody gave", s.id, id)
	}
	for i := range out.Changes {
		answer(out.Changes[i].RequestID)
		if out.Changes[i].Refused == raft.RefusalNone {
			w.Counts.Changes++
		}
	}
	for i := range out.Transfers {
		answer(out.Transfers[i].RequestID)
		if out.Transfers[i].Refused == raft.RefusalNone {
			w.Counts.Transfers++
		}
	}
}

// someChange makes up a change to what the node holds for the configuration, good
// or bad.
func (w *World) someChange(s *server) raft.ChangeRequest {
	r := raft.ChangeRequest{}
	switch w.process.Intn(4) {
	case 0:
		r.CatchUp.Skip = true
	case 1:
		r.CatchUp = raft.CatchUp{LagEntries: 1 + raft.Index(w.process.Intn(20)), LagBytes: 1 + w.process.Intn(2000), Patience: Time(w.process.Between(1, 20)) * Election / 4}
	}
	if w.process.Intn(8) == 0 {
		r.Compare, r.Expected = true, raft.Index(w.process.N(int64(s.was.ConfigIndex)+3))
	}
	conf := s.node.Status().Configuration
	if w.process.Intn(6) == 0 {
		if r.Steps = w.wholeChange(&conf); w.odd.Intn(8) == 0 {
			r.Steps = w.crowd()
		}
		return r
	}
	for range 1 + w.process.Intn(3) {
		r.Steps = append(r.Steps, w.someStep(&conf))
	}
	return r
}

// someStep is one step, mostly one that makes sense.
func (w *World) someStep(conf *raft.Configuration) raftpb.Change {
	kinds := []raftpb.ChangeKind{
		raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddLearner, raftpb.ChangeKindAddWitness,
		raftpb.ChangeKindRemove, raftpb.ChangeKindRemove, raftpb.ChangeKindPromote, raftpb.ChangeKindDemote, raftpb.ChangeKindUpdateAddress,
	}
	c := raftpb.Change{Kind: kinds[w.process.Intn(len(kinds))]}
	switch c.Kind {
	case raftpb.ChangeKindAddVoter, raftpb.ChangeKindAddLearner, raftpb.ChangeKindAddWitness:
		c.Member.ID = w.outsider(conf, c.Kind == raftpb.ChangeKindAddWitness)
	default:
		if len(conf.Incoming) > 0 {
			c.Member.ID = conf.Incoming[w.process.Intn(len(conf.Incoming))].ID
		}
	}
	switch w.process.Intn(40) {
	case 0:
		c.Kind = raftpb.ChangeKindUnspecified
	case 1:
		c.Member.ID = raft.NodeID(w.process.Intn(12))
		if c.Member.ID > 0 && int(c.Member.ID) > len(w.servers) {
			c.Member.ID = 0
		}
	case 2:
		c.Kind = raftpb.ChangeKindReplaceAll
	}
	if w.odd.Intn(32) == 0 {
		c.Member.Incarnation = int64(1 + w.odd.Intn(2))
	}
	if w.process.Intn(3) == 0 {
		c.Member.Priority.Set, c.Member.Priority.Value = true, int32(w.process.Intn(3))
	}
	adds := c.Kind == raftpb.ChangeKindAddVoter || c.Kind == raftpb.ChangeKindAddLearner || c.Kind == raftpb.ChangeKindAddWitness
	if adds && c.Member.ID > 0 {
		switch witness := w.servers[c.Member.ID-1].witness; {
		case witness:
			c.Kind = raftpb.ChangeKindAddWitness
		case c.Kind == raftpb.ChangeKindAddWitness:
			c.Kind = raftpb.ChangeKindAddVoter
		}
	}
	if !adds && c.Member.ID > 0 && w.servers[c.Member.ID-1].witness && !lists(conf, c.Member.ID) {
		c.Kind = raftpb.ChangeKindRemove // it was made for a witness, also if a step before adds it
	}
	return c
}

func lists(conf *raft.Configuration, id raft.NodeID) bool {
	return slices.ContainsFunc(conf.Incoming, func(m raft.Member) bool { return m.ID == id })
}

// wholeChange gives a new configuration in one piece.
func (w *World) wholeChange(conf *raft.Configuration) []raftpb.Change {
	var steps []raftpb.Change
	add := func(m raft.Member) {
		steps = append(steps, raftpb.Change{Kind: raftpb.ChangeKindReplaceAll, Member: m})
	}
	for i := range conf.Incoming {
		if w.process.Intn(3) > 0 {
			add(conf.Incoming[i])
		}
	}
	for range w.process.Intn(3) {
		id := w.outsider(conf, false)
		if id > 0 && !w.servers[id-1].witness {
			add(raft.Member{ID: id, Suffrage: raftpb.SuffrageVoter})
		}
	}
	return steps
}

// crowd is a configuration that is too large, whatever it follows.
func (w *World) crowd() (steps []raftpb.Change) {
	for id := range raft.NodeID(raft.MaxMembers) {
		steps = append(steps, raftpb.Change{Kind: raftpb.ChangeKindReplaceAll, Member: raft.Member{ID: id + 1, Suffrage: raftpb.SuffrageVoter}})
	}
	return steps
}

// outsider returns somebody who is no member: one that was removed, or a new one. A
// witness stays one for ever.
func (w *World) outsider(conf *raft.Configuration, witness bool) raft.NodeID {
	for _, s := range w.servers {
		if !lists(conf, s.id) && s.witness == witness && w.process.Intn(2) == 0 {
			return s.id
		}
	}
	if len(w.servers) == maxNodes {
		return raft.NodeID(1 + w.process.Intn(maxNodes))
	}
	s := w.newServer(raft.NodeID(len(w.servers) + 1))
	s.witness = witness
	w.servers = append(w.servers, s)
	w.start(s)
	return s.id
}

// known is a configuration as the judges want to hear of it.
type known struct {
	watched *invariant.Config
	checked *model.Config
}

// configuration reads the body of a CONFIG entry.
func (w *World) configuration(e *raft.Entry) known {
	key := uint64(e.Crc32c)
	if k, ok := w.configs[key]; ok {
		return k
	}
	var c raft.Configuration
	if _, err := c.ParseCompact(e.Body, nil); err != nil {
		w.failf("a configuration that cannot be read: %w", err)
	}
	var of invariant.Config
	for i := range c.Incoming {
		switch m := &c.Incoming[i]; m.Suffrage {
		case raftpb.SuffrageLearner:
			of.Learners = append(of.Learners, m.ID)
		case raftpb.SuffrageWitness:
			of.Witnesses = append(of.Witnesses, m.ID)
			of.Voters = append(of.Voters, m.ID)
		default:
			of.Voters = append(of.Voters, m.ID)
		}
	}
	for i := range c.Outgoing {
		if m := &c.Outgoing[i]; m.Suffrage != raftpb.SuffrageLearner {
			of.Outgoing = append(of.Outgoing, m.ID)
		}
	}
	k := known{&of, &model.Config{Voters: of.Voters, Outgoing: of.Outgoing, Learners: of.Learners}}
	w.configs[key] = k
	return k
}

// initial is the configuration with which the group begins. Nobody writes to it.
func (w *World) initial() raft.Configuration {
	if len(w.begin.Incoming) > 0 {
		return w.begin
	}
	c := &w.begin
	for i := range w.knobs.Nodes {
		m := raft.Member{ID: raft.NodeID(i + 1), Suffrage: raftpb.SuffrageVoter}
		if w.knobs.Priorities {
			m.Priority.Set, m.Priority.Value = true, int32(i%3)
		}
		c.Incoming = append(c.Incoming, m)
	}
	return w.begin
}
