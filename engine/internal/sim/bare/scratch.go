package bare

import (
	"errors"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// A disk damages single entries of a log, or the image of the state, and everybody
// knows: the entries are fetched from another member and stored again; a node that has
// lost its state gets a snapshot. Neither takes back what the node has promised.

var errScratched = errors.New("bare: store: scratched")

// scratch damages a few entries of a node's disk.
func (w *World) scratch(s *server) {
	d := &s.disk
	if len(d.entries) == 0 || !s.scratched.Empty() {
		return
	}
	lo := d.base + 1 + raft.Index(w.odd.N(int64(len(d.entries))))
	s.scratched = raft.Span{Lo: lo, Hi: min(lo+1+raft.Index(w.odd.N(5)), d.LastIndex()+1)}
	w.tracef("scratch %d: %v", s.id, s.scratched)
}

// legible is how far entries from lo on can be read, or that the first cannot.
func (s *server) legible(lo, hi raft.Index) (raft.Index, error) {
	at := s.scratched
	switch {
	case at.Empty() || hi <= at.Lo || lo >= at.Hi:
		return hi, nil
	case lo < at.Lo:
		return at.Lo, nil
	}
	return hi, &raft.DamagedError{Damaged: raft.Span{Lo: lo, Hi: min(hi, at.Hi)}, Err: errScratched}
}

// repairs has the entries fetched from somebody who has them.
func (w *World) repairs(s *server) {
	if !s.repairing {
		s.repairing = true
		w.push(w.now+Time(w.odd.N(int64(Election))), event{kind: eventRepair, node: s.index, gen: s.boot})
	}
}

// repair stores them again; or nobody has them, and what cannot be applied is got by a
// snapshot.
func (w *World) repair(s *server) {
	s.repairing = false
	if m := &s.machine; !w.calm && w.odd.Intn(3) == 0 && w.mayLoseState(s) && s.scratched.Hi > m.applied+1 && m.applied+1 >= s.was.First && m.applied < s.was.Commit {
		w.tracef("state of %d lost at %d", s.id, m.applied)
		s.stateless = true
		w.step(s, &raft.Event{Kind: raft.EventStateLost, Applied: m.applied})
		return
	}
	s.scratched = raft.Span{}
	w.step(s, &raft.Event{Kind: raft.EventReadable})
	w.wakeMachine(s)
}

// mayLoseState: one member at a time; more would be more than any group survives.
func (w *World) mayLoseState(s *server) bool {
	if w.knobs.Nodes < 3 || w.knobs.Damage > 0 || w.knobs.Odd.Plot == lapse || s.restoring != nil {
		return false
	}
	for _, other := range w.servers {
		if other.stateless {
			return false
		}
	}
	return true
}

// losesImage lets a node find, when it starts, that the image that its log goes on from
// cannot be read.
func (w *World) losesImage(s *server, cfg *raft.Config) (applied raft.Index) {
	s.stateless = false
	if s.boot > 1 && !w.calm && s.disk.base > 0 && s.snapshotAt() <= s.disk.hard.Commit && w.strikes(scratch, w.knobs.Odd.Scratch, &w.odd) && w.mayLoseState(s) {
		s.machine.forget()
		s.stateless = true
		cfg.StateLost = s.snapshotAt()
		w.tracef("image of %d lost, log from %d on", s.id, s.disk.base)
		return s.disk.base
	}
	return s.machine.applied
}

// imageFor is a snapshot of at least so much, made for the occasion; nil: not yet.
func (w *World) imageFor(s *server, least raft.Index) *image {
	if im := s.disk.snapshot; im != nil && im.is.Index >= least {
		return im
	}
	m := &s.machine
	if s.stateless || s.restoring != nil || m.applied < least || m.applied > s.was.Durable || len(m.conf.Incoming) == 0 {
		return nil
	}
	im := &image{is: raft.Snapshot{Index: m.applied, Term: m.term, Configuration: m.conf, ConfigurationIndex: m.confIndex}, state: m.state}
	s.disk.snapshot = im
	s.seen.SnapshotDurable(im.is.Index)
	return im
}

// isDamage reports whether err says that entries can be read no more.
func isDamage(err error) bool {
	var d *raft.DamagedError
	return errors.As(err, &d)
}
