package runtime

import (
	"errors"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// witness takes a snapshot on a witness, which is fed nothing: the description alone,
// which lets its log go. On other members it does nothing.
func (w *worker) witness(g *Group) {
	s := &g.snaps
	if !g.node.IsWitness() || s.machine == nil {
		s.looked = g.hardState.Commit
		return
	}
	glance := g.node.Glance()
	index := min(glance.Commit, glance.Durable)
	if s.busy || index < s.looked+s.policy.Entries {
		return
	}
	s.looked = index
	now := g.node.Status()
	self := slices.IndexFunc(now.Configuration.Incoming, func(m raft.Member) bool { return m.ID == g.self })
	if self < 0 || now.Configuration.Incoming[self].Suffrage != raftpb.SuffrageWitness || now.ConfigurationIndex > index {
		return
	}
	term, err := g.log.Term(index)
	if err != nil {
		return // the log begins behind it: a snapshot was installed
	}
	s.busy = true
	w.host.writes.force() // it is small
	m := snapshot.Meta{Index: index, Term: term, Config: now.Configuration, ConfigIndex: now.ConfigurationIndex}
	w.host.background.run(func() {
		image, err := s.store.Create(m)
		if err == nil {
			m, err = image.Commit()
		}
		if errors.Is(err, snapshot.ErrExists) {
			err = nil
		}
		w.host.taken(g, m, err)
	})
}
