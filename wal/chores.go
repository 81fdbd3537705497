package wal

import (
	"errors"
	"fmt"
)

// wakeHousekeeper tells the background goroutine that there may be work.
func (l *Log) wakeHousekeeper() {
	select {
	case l.chores <- struct{}{}:
	default:
	}
}

// housekeep does the work that nobody waits for, one step at a time.
func (l *Log) housekeep() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.chores:
		}
		for l.choreStep() {
		}
	}
}

// choreStep does one piece of background work and reports whether it did any.
// A failure on the way to a spare file is not one of the log: the next rotation
// makes its segment itself and fails then if it must.
func (l *Log) choreStep() bool {
	if l.stopping() {
		return false
	}
	for _, step := range []func() (bool, error){l.gcStep, l.prepareStep, l.saveMeta, l.footerStep} {
		worked, err := step()
		if err != nil {
			if !errors.Is(err, ErrClosed) {
				l.o.Logger.Warn("wal: background work failed", "dir", l.dir, "err", err)
			}
			return false
		}
		if worked {
			return true
		}
	}
	return false
}

// prepareStep keeps the next segment ready under its final name, and spares
// behind it.
func (l *Log) prepareStep() (bool, error) {
	if l.o.Spares < 0 {
		return false, nil
	}
	s := &l.segs
	s.prep.Lock()
	haveNext, spares := s.next != nil, len(s.spares)
	name := l.fs.PathJoin(l.dir, spareDir, fmt.Sprintf("%08x", s.counter))
	s.prep.Unlock()

	if !haveNext && (spares > 0 || !l.prefills()) {
		return l.prepareNext()
	}
	have := spares
	if haveNext {
		have++
	}
	if have >= l.o.Spares || !l.prefills() {
		return false, nil
	}
	s.prep.Lock()
	s.counter++
	s.prep.Unlock()
	if err := l.fill(name); err != nil {
		l.spaceFound(err)
		_ = l.fs.Remove(name)
		return false, err
	}
	s.prep.Lock()
	s.spares = append(s.spares, name)
	s.prep.Unlock()
	return true, nil
}

func (l *Log) prepareNext() (bool, error) {
	s := &l.segs
	s.prep.Lock()
	defer s.prep.Unlock()
	if s.next != nil {
		return false, nil
	}
	seg, err := l.prepare(l.activeSeq() + 1)
	l.spaceFound(err)
	if err != nil {
		return false, err
	}
	s.next = seg
	return true, nil
}
