package bare

import (
	"errors"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// disk is what survives a crash: hard state and log. It is the core's raft.Log.
type disk struct {
	hard     raft.HardState
	base     raft.Index // the log begins behind it
	under    raft.Term  // the term of base
	entries  []raft.Entry
	snapshot *image // the newest that a restart finds
}

var errOutside = errors.New("bare: disk: outside of the log")

// FirstIndex implements raft.Log.
func (d *disk) FirstIndex() raft.Index { return d.base + 1 }

// LastIndex implements raft.Log.
func (d *disk) LastIndex() raft.Index { return d.base + raft.Index(len(d.entries)) }

// Term implements raft.Log.
func (d *disk) Term(i raft.Index) (raft.Term, error) {
	switch {
	case i == d.base:
		return d.under, nil
	case i < d.base || i > d.LastIndex():
		return 0, errOutside
	}
	return d.entries[i-d.base-1].Term, nil
}

// Entries implements raft.Log.
func (d *disk) Entries(dst []raft.Entry, lo, hi raft.Index, maxBytes int) ([]raft.Entry, error) {
	if lo <= d.base || hi > d.LastIndex()+1 {
		return dst, errOutside
	}
	bytes := 0
	for i := lo; i < hi; i++ {
		e := &d.entries[i-d.base-1]
		if bytes += len(e.Body); bytes > maxBytes && i > lo {
			break
		}
		dst = append(dst, *e)
	}
	return dst, nil
}

// changes returns the configurations in the log, as a recovery finds them.
func (d *disk) changes() []raft.Change {
	found := []raft.Change{}
	for i := range d.entries {
		if e := &d.entries[i]; e.Kind == raftpb.EntryKindConfig {
			var c raft.Configuration
			if _, err := c.ParseCompact(e.Body, nil); err == nil {
				found = append(found, raft.Change{Index: d.base + 1 + raft.Index(i), Configuration: c})
			}
		}
	}
	return found
}

// take makes a write durable.
func (d *disk) take(wr *write) {
	if wr.changed {
		d.hard = wr.hard
	}
	if wr.install != nil {
		d.install(wr.install)
	}
	if wr.truncate > 0 {
		d.entries = d.entries[:wr.truncate-d.base-1]
	}
	d.entries = append(d.entries, wr.entries...)
}

// write is one piece of what a node hands to its disk, and the messages that wait
// for it.
type write struct {
	id, epoch uint64
	hard      raft.HardState
	changed   bool // hard counts
	install   *image
	truncate  raft.Index
	entries   []raft.Entry
	gated     []int32 // parcels
}

// writes is a ring of those under way, oldest first, whose memory is used again.
type writes struct {
	ring []*write
	head int
	n    int
}

func (q *writes) len() int        { return q.n }
func (q *writes) at(i int) *write { return q.ring[(q.head+i)%len(q.ring)] }

func (q *writes) clear() { q.head, q.n = 0, 0 }

// push returns an empty write at the end.
func (q *writes) push() *write {
	if q.n == len(q.ring) {
		bigger := make([]*write, 0, 2*q.n+4)
		for i := range q.n {
			bigger = append(bigger, q.at(i))
		}
		for len(bigger) < cap(bigger) {
			bigger = append(bigger, new(write))
		}
		q.ring, q.head = bigger, 0
	}
	q.n++
	wr := q.at(q.n - 1)
	*wr = write{entries: wr.entries[:0], gated: wr.gated[:0]}
	return wr
}

func (q *writes) pop() {
	q.head = (q.head + 1) % len(q.ring)
	q.n--
}

// hand gives the write of the node's effects to its disk.
func (w *World) hand(s *server, now *raft.Glance) {
	out := &s.out
	if !out.MustSync && !w.calm && w.strikes(dropLazy, w.knobs.DropLazy, &w.disk) {
		return
	}
	wr := s.queue.push()
	wr.id, wr.epoch, wr.truncate = out.WriteID, out.Epoch, out.TruncateFrom
	wr.entries = append(wr.entries, out.Append...)
	if out.HardState != nil {
		wr.hard, wr.changed = *out.HardState, true
	}
	if out.Install != nil {
		wr.install = s.installed
	}
	w.sawWrite(s, now)
	if s.queue.len() == 1 {
		w.sync(s)
	}
}

// sync plans the next completion: one for all that is queued by then, or for some.
func (w *World) sync(s *server) {
	delay := 1 + Time(w.disk.N(int64(w.knobs.DiskDelay)))
	if !w.calm {
		switch {
		case w.strikes(diskSlow, w.knobs.DiskSlow, &w.disk):
			delay *= 20
		case w.strikes(diskHang, w.knobs.DiskHang, &w.disk):
			delay += Election * Time(w.disk.Between(1, 3))
		}
	}
	if delay > Election/4 {
		w.push(w.now+Election/4, event{kind: eventStall, node: s.index, gen: s.boot})
	}
	w.push(max(w.now+delay, s.heldUntil), event{kind: eventDisk, node: s.index, gen: s.boot})
}

// persist completes the oldest writes in order, lets go of what waited for them,
// and reports the newest of them.
func (w *World) persist(s *server) {
	if s.queue.len() == 0 {
		return
	}
	s.syncedAt = w.now
	k := s.queue.len()
	if !w.calm && w.disk.Intn(4) == 0 {
		k = 1 + w.disk.Intn(k)
	}
	var id, epoch uint64
	for range k {
		wr := s.queue.at(0)
		if wr.truncate > 0 && wr.install == nil && wr.truncate > s.disk.base {
			s.cutFrom, s.cutOff = wr.truncate, append(s.cutOff[:0], s.disk.entries[wr.truncate-s.disk.base-1:]...)
		}
		s.disk.take(wr)
		if wr.truncate > 0 || wr.install != nil {
			s.scratched = raft.Span{}
		}
		if w.mutated(mutSyncIgnored) && len(wr.entries) > 0 && w.disk.Intn(50) == 0 {
			s.disk.entries = s.disk.entries[:len(s.disk.entries)-len(wr.entries)]
		}
		id, epoch = wr.id, wr.epoch
		s.done = id
		if wr.install != nil {
			s.mayRestore = true
			s.seen.SnapshotDurable(wr.install.is.Index)
		}
		w.sawDurable(s, id)
		for _, slot := range wr.gated {
			w.send(s, slot)
		}
		s.queue.pop()
	}
	if s.queue.len() > 0 {
		w.sync(s)
	}
	w.compact(s)
	w.wakeMachine(s)
	w.Counts.Writes++
	if w.options.Trace != nil {
		w.tracef("disk %d: write %d, epoch %d, last %d", s.id, id, epoch, s.disk.LastIndex())
	}
	w.tellDurable(s, id, epoch)
}

// isCommand tells entries of clients from those of the core.
func isCommand(e *raft.Entry) bool { return e.Kind == raftpb.EntryKindCommand }
