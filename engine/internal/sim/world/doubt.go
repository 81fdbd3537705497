package world

import (
	"path"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/disk"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// A store may lose what it had promised. What the log finds out by itself it says
// (wal.Group.Uncertain); of a directory that is empty or from a backup somebody has to
// tell the node. Then it is in doubt until a leader has repaired it.
//
//	flip       a bit in the header of a frame below a promise: the log goes back to there
//	wipe       nothing is left
//	roll back  the directory is what it was at an earlier time
//
// At most a minority of the voters is in doubt at a time: what more of them lose
// together may be lost.

// doubt is a member's part in it.
type doubt struct {
	struck bool // something was lost, and the node has not started since
	told   bool // by an operator, for the store does not know it
	in     bool // started in doubt and not repaired
}

// hurt lets a node lose a part of its store. It crashes first.
func (w *World) hurt(t trouble, n *node) {
	if t == rollBack && n.backup == nil {
		n.backup = n.disk.Clone()
		return
	}
	if !w.mayHurt(n) {
		return
	}
	w.crashNow(n)
	switch t {
	case flip:
		if !n.flip() {
			return
		}
		w.did.flipped++
	case wipe:
		n.disk = disk.NewIn(&w.memory.pages)
		w.did.wiped++
	default:
		n.disk, n.backup = n.backup, nil
		w.did.rolledBack++
	}
	n.disk.Before, n.hurt = n.beforeDisk, true
	w.trace(n, "hurt", "%s", troubleNames[t])
	for _, m := range n.members {
		m.machine = nil // what it had on disk is gone, too
		m.doubt.struck, m.doubt.told = true, m.doubt.told || t != flip
	}
}

// mayHurt reports whether the others can bear that n forgets what it had promised. A
// witness has no state that could be had from it: so each one is one less that may be
// lost.
func (w *World) mayHurt(n *node) bool {
	for _, g := range w.groups {
		voters, witnesses, lost, states := 0, 0, 0, 0
		for i := range g.config.Incoming {
			m := g.members[g.config.Incoming[i].ID-1]
			voters++
			gone := m.n == n || m.doubt.struck || m.doubt.in
			witness := g.config.Incoming[i].Suffrage == raftpb.SuffrageWitness
			if witness {
				witnesses++
			}
			if gone {
				lost++
				if !witness {
					states++
				}
			}
		}
		least := (voters - 1) / 2
		if g.begins(n) && (lost > least || states > max(0, least-witnesses)) {
			return false
		}
	}
	return true
}

// flip damages the header of a frame of which later ones say that it was durable. A
// segment that is closed is only read again by those who mistrust the disk.
func (n *node) flip() bool {
	const header = 4096 // of a segment
	type frame struct {
		name string
		at   int64
		lsn  uint64
	}
	var frames []frame
	var segment wal.SegmentInfo
	var durable, last uint64
	_, err := wal.Inspect(n.disk, "/log", wal.Inspection{
		Segment: func(s wal.SegmentInfo) error {
			segment = s
			if !s.Prepared {
				last = s.Base
			}
			return nil
		},
		Frame: func(f wal.FrameInfo) error {
			durable = max(durable, f.Durable)
			frames = append(frames, frame{segment.Name, header + int64(f.LSN-segment.Base), f.LSN})
			return nil
		},
	})
	if err != nil {
		return false
	}
	s := &n.w.disk
	closed := s.Chance(0.4)
	kept := frames[:0]
	for _, f := range frames {
		if f.lsn < durable && (closed || f.lsn >= last) {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return false
	}
	f := kept[s.Intn(len(kept))]
	n.verify = f.lsn < last
	return n.disk.Flip(path.Join("/log/seg", f.name), f.at+s.N(40), s.Intn(8))
}

// doubts tells a core what is in doubt about its store.
func (m *member) doubts(c *raft.Config, view *wal.Group) {
	d := &m.doubt
	if d.in = d.told || view.Uncertain(); d.in {
		c.DoubtFrom, c.VoteDoubt = view.HardState().Commit+1, true
		m.g.w.did.doubted++
	}
}

// repaired takes note that the member trusts its store again: what made it whole is
// durable.
func (m *member) repaired() {
	m.doubt = doubt{struck: m.doubt.struck}
	m.g.w.did.repaired++
}
