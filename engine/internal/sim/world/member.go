package world

import (
	"math"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/judge"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// start makes the group of a member from what the disk has of it.
func (m *member) start() error {
	n, w, view := m.n, m.g.w, m.n.log.Group(m.g.id)
	conf, err := m.stored(view)
	if err != nil {
		return err
	}
	images, err := snapshot.New(n.disk, "/snapshot", snapshot.Options{}).Group(m.g.id)
	if err != nil {
		return err
	}
	found, err := runtime.Recover(view, images)
	if err != nil {
		return err
	}
	defer found.Close()
	if len(found.Damaged) > 0 {
		w.fail("I20", "node %d: a snapshot is damaged, and nothing was damaged: %v", n.id, found.Damaged[0])
	}
	if found.Finish != nil {
		if err := n.log.Write(found.Finish); err != nil {
			return err
		}
	}
	c := runtime.GroupConfig{
		ID: m.g.id, Observer: observer{n}, Images: images, ConfigAt: view.Snapshot().Index,
		Policy: runtime.SnapshotPolicy{Entries: raft.Index(w.k.snapEvery), Keep: raft.Index(w.k.snapKeep)},
	}
	m.image, m.finished = 0, m.finished || found.Finish != nil
	if found.Image != nil {
		at := found.Image.Meta()
		conf, c.ConfigIndex, c.ConfigAt, m.image = at.Config, at.ConfigIndex, at.Index, at.Index
	}
	if m.machine == nil {
		m.machine = newMachine(m)
	}
	c.Machine = m.machine
	if c.Applied, c.Chain, err = found.Restore(m.machine, m.machine.applied); err != nil {
		return err
	}
	stored := view.HardState()
	c.Hard = raft.HardState{Term: stored.Term, Vote: stored.Vote, Commit: stored.Commit}
	c.Raft = w.k.core(n, m.g, conf)
	c.Raft.ConfigurationIndex = c.ConfigIndex
	if c.Raft.Changes, err = m.read(view); err != nil {
		return err
	}
	m.flags(&c.Raft)
	m.doubts(&c.Raft, view)
	if m.group, err = n.host.Start(c); err != nil {
		return err
	}
	w.mutateCore(m.group.Node())
	return m.found(view, &c)
}

// stored is the configuration that the log begins with. On the first start it is stored
// before anything else happens; a spare node has none.
func (m *member) stored(view *wal.Group) (conf raft.Configuration, err error) {
	if data := view.Snapshot().Data; len(data) > 0 {
		_, err = conf.ParseCompact(data, nil)
		return conf, err
	}
	if !m.g.begins(m.n) || view.FirstIndex() > 1 { // damage took it; there is an image
		return conf, nil
	}
	var b wal.Batch
	b.Snapshot(m.g.id, wal.Snapshot{Data: m.g.config.AppendCompact(nil)})
	return m.g.config, m.n.log.Write(&b)
}

// found tells the judge what the node has found.
func (m *member) found(view *wal.Group, c *runtime.GroupConfig) error {
	base := view.FirstIndex() - 1
	term, err := view.Term(base)
	if err != nil {
		return err
	}
	if m.judge.Down() {
		hard := c.Hard
		hard.Commit = max(hard.Commit, c.Applied)
		m.judge.Restarted(m.group.Node(), &judge.Disk{
			Hard: hard, Incarnation: m.n.log.Identity().Incarnation, Entries: m.entries,
			Snapshot: base, Term: term, Image: m.image, Finished: m.finished,
			InDoubt: m.doubt.in, DoubtFrom: c.Raft.DoubtFrom, Damaged: m.doubt.in && m.doubt.struck,
		})
		if m.machine.applied > 0 {
			m.judge.Watched.Restored(m.machine.applied)
		}
	}
	clear(m.entries)
	m.doubt.struck, m.finished = false, false
	return nil
}

// read reads the whole log, for the judge and for the changes of configuration in it.
// Half of the worlds leave finding those to the core.
func (m *member) read(view *wal.Group) (changes []raft.Change, err error) {
	first, last := view.FirstIndex(), view.LastIndex()
	m.entries = m.entries[:0]
	if first <= last {
		if m.entries, err = view.EntriesInto(&m.g.w.memory.bodies, m.entries, first, last+1, math.MaxInt); err != nil {
			return nil, err
		}
	}
	m.g.w.did.recovered += uint64(len(m.entries))
	if m.g.w.o.Seed&1 == 0 {
		return nil, nil
	}
	changes = []raft.Change{}
	for i := range m.entries {
		if m.entries[i].Kind != raftpb.EntryKindConfig {
			continue
		}
		var c raft.Configuration
		if _, err := c.ParseCompact(slices.Clone(m.entries[i].Body), nil); err != nil {
			return nil, err
		}
		changes = append(changes, raft.Change{Index: first + raft.Index(i), Configuration: c})
	}
	return changes, nil
}
