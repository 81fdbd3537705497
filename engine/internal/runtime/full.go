package runtime

import (
	"errors"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/wal"
)

// A full disk loses nothing and ends nothing. The log refuses entries and changes nothing;
// what it keeps in reserve is for terms, votes and compactions. To the core such a write is
// one that is still under way: nothing that it promises leaves. The group is held: what its
// core writes meanwhile is not handed over, it takes no appends, its host counts as one whose
// disk hangs, so leaders hand over, and proposals are refused (FullDisk). From time to time
// the worker hands over all that the log lacks, as one write in place of those that were
// refused; when that succeeds everything goes on.
//
//	core        write 7   write 8   write 9                   Persisted 9
//	log         refused   refused             again: 7+8+9 -- durable
//
// Entries that are not durable are in the core's memory: so nothing has to be kept here.
type held struct {
	is       bool
	again    bool   // all of it is handed over once more
	try      uint32 // raised by a refusal: completions of writes from before mean nothing
	newest   part   // the group's last write
	install  *raft.Snapshot
	installs uint64     // the write of install
	compact  raft.Index // wanted while held
}

// How long a worker waits before it tries a full disk again.
const (
	fullRestMin raft.Time = 100e6
	fullRestMax raft.Time = 1e9
)

// errFull refuses another node's entries.
var errFull = errors.New("runtime: append: disk is full")

// isFull reports whether a worker of the host holds writes that the log refused.
func (d *diskWatch) isFull() bool { return d.full.Load() > 0 }

// refusedForSpace reports whether nothing of x was written because the disk is full, or
// because what was refused before is missing below it.
func refusedForSpace(x *write) bool {
	if errors.Is(x.err, wal.ErrNoSpace) {
		return true
	}
	return errors.Is(x.err, wal.ErrBadBatch) &&
		slices.ContainsFunc(x.parts, func(p part) bool { return p.try != p.group.held.try })
}

// hold begins to hold the groups of a write that was refused.
func (w *worker) hold(x *write) {
	for _, p := range x.parts {
		if p.group.dead || p.try != p.group.held.try {
			continue
		}
		p.group.held.is, p.group.held.again = true, false
		p.group.held.try++
		w.holding = append(w.holding, p.group)
	}
	if len(w.holding) > 0 && w.retryAt == raft.Never {
		w.fullRest = min(max(fullRestMin, 2*w.fullRest), fullRestMax)
		w.retryAt = w.now + w.fullRest
	}
	w.setFull(len(w.holding) > 0)
}

// keep notes what a held group writes.
func (g *Group) keep(out *raft.Effects) {
	if out.WriteID != 0 {
		g.held.newest = part{group: g, writeID: out.WriteID, epoch: out.Epoch}
	}
	if out.Install != nil {
		s := *out.Install
		g.held.install, g.held.installs = &s, out.WriteID
	}
}

// tryAgain hands over what was held. What the log refuses once more is held once more.
func (w *worker) tryAgain() {
	w.retryAt = raft.Never
	groups := w.holding
	w.holding = nil
	for _, g := range groups {
		if !g.dead {
			w.writeAll(g)
		}
	}
	if len(groups) == 0 || w.pending == nil {
		w.setFull(false)
	}
}

// writeAll stages all that the log lacks of a group's.
func (w *worker) writeAll(g *Group) {
	g.held.is, g.held.again = false, true
	s := g.node.Status()
	from := s.Durable + 1
	w.stageHardState(g)
	if g.held.install != nil {
		w.stageInstall(g, g.held.install)
		from = max(from, g.held.install.Index+1)
	}
	if from > s.Last && g.log.LastIndex() >= from {
		w.batch.Truncate(g.id, from)
	}
	for from <= s.Last {
		start := len(w.staged)
		var err error
		if w.staged, err = g.node.Entries(w.staged, from, s.Last+1, maxBatchBytes); err != nil {
			w.fail(g, err)
			return
		}
		entries := w.staged[start:len(w.staged):len(w.staged)]
		w.batch.Append(g.id, from, entries)
		from += raft.Index(len(entries))
		for i := range entries {
			w.stagedBytes += len(entries[i].Body) + queueOverhead
		}
		if from <= s.Last && w.stagedBytes >= maxBatchBytes {
			w.note(part{group: g})
			w.submit()
		}
	}
	if g.held.compact > 0 {
		w.batch.Compact(g.id, min(g.held.compact, s.Last+1))
		g.held.compact = 0
	}
	w.note(part{group: g, writeID: g.held.newest.writeID, epoch: g.held.newest.epoch})
}

// holdNoMore ends what is held of a group that ends.
func (w *worker) holdNoMore(g *Group) {
	w.holding = slices.DeleteFunc(w.holding, func(other *Group) bool { return other == g })
}

// stored notes that nothing of a write is missing in the log.
func (w *worker) stored(p part) {
	h := &p.group.held
	if h.install != nil && p.writeID >= h.installs {
		h.install = nil
	}
	if !h.again {
		return
	}
	h.again = false
	if w.full && len(w.holding) == 0 && w.retryAt == raft.Never {
		w.fullRest = 0
		w.setFull(false)
	}
}

// setFull tells the other workers whether this one holds writes.
func (w *worker) setFull(yes bool) {
	if w.full == yes {
		return
	}
	w.full = yes
	if yes {
		w.host.disk.full.Add(1)
		w.host.cfg.Logger.Error("disk is full: entries are refused until there is room", "node", w.host.cfg.Node)
	} else {
		w.host.disk.full.Add(-1)
		w.host.cfg.Logger.Info("disk has room again", "node", w.host.cfg.Node)
	}
	w.judgeDisk()
}
