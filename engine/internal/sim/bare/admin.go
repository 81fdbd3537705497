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
	id uint64
	at Time
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
	if w.process.Chance(w.knobs.Transfers) {
		in := raft.Event{Kind: raft.EventTransfer, RequestID: w.order(s)}
		if w.process.Intn(3) > 0 {
			in.Peer = raft.NodeID(1 + w.process.Intn(len(w.servers)))
		}
		w.tracef("order %d: node %d hands over to %d", in.RequestID, s.id, in.Peer)
		w.step(s, &in)
	}
	if w.alive(s) && w.process.Chance(w.knobs.Changes) {
		r := w.someChange(s)
		in := raft.Event{Kind: raft.EventChange, RequestID: w.order(s), Change: &r}
		if w.options.Trace != nil {
			w.tracef("order %d: node %d changes %+v", in.RequestID, s.id, r)
		}
		w.step(s, &in)
	}
}

func (w *World) order(s *server) uint64 {
	w.orders++
	s.orders = append(s.orders, order{w.orders, w.now})
	return w.orders
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
		r.Steps = w.wholeChange(&conf)
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

// initial is the configuration with which the group begins.
func (w *World) initial() raft.Configuration {
	var c raft.Configuration
	for i := range w.knobs.Nodes {
		m := raft.Member{ID: raft.NodeID(i + 1), Suffrage: raftpb.SuffrageVoter}
		if w.knobs.Priorities {
			m.Priority.Set, m.Priority.Value = true, int32(i%3)
		}
		c.Incoming = append(c.Incoming, m)
	}
	return c
}
