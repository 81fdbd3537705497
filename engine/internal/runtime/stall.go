package runtime

import (
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// A disk that hangs is seen by its writes: a worker that has handed one to the log, and
// has seen none of the host end for Config.StallAfter since, says so. Then all groups of
// the host are told: a leader hands over, and does not lead again until it is over. All
// workers write to the same log, so they hear it from one another.
//
//	write handed over ---- StallAfter, nothing ends ----> stalled: EventDiskStalled
//	any write ends --------------------------------------> over: EventDiskOK
//
// A slow disk is not a stalled one: as long as writes end, nobody is told.
type diskWatch struct {
	stalled  atomic.Int32 // workers that wait
	full     atomic.Int32 // workers that hold what the log refused for want of space
	progress atomic.Int64 // when a write last ended
}

// flights is what a worker has handed to the log and not got back.
type flights struct {
	began ring[raft.Time]
	at    raft.Time // when to look; Never: nothing is under way
	hung  bool      // the write under way seems to hang
	bad   bool      // it does, or the disk is full
	told  bool      // the groups know that the disk hangs
}

// wrote notes a write that is handed over.
func (w *worker) wrote() {
	f := &w.flights
	if f.began.size == 0 && w.host.cfg.StallAfter > 0 {
		f.at = w.now + w.host.cfg.StallAfter
	}
	f.began.push(w.now)
}

// writeEnded notes that the oldest write is done.
func (w *worker) writeEnded() {
	f := &w.flights
	if f.began.size > 0 {
		w.tempo.sync.add(w.now - f.began.pop())
	}
	w.host.disk.progress.Store(int64(w.now))
	if f.began.size == 0 {
		f.at = raft.Never
	}
	w.seemsStalled(false)
}

// judgeDisk tells all workers when this one finds that the disk can be written to no more,
// or again.
func (w *worker) judgeDisk() {
	f, d := &w.flights, &w.host.disk
	bad := f.hung || w.full
	if f.bad == bad {
		return
	}
	f.bad = bad
	if bad && d.stalled.Add(1) == 1 || !bad && d.stalled.Add(-1) == 0 {
		for _, other := range w.host.workers {
			_ = other.inbox.do(other.tellDisk) // stopped: it has no groups
		}
	}
}

// watchDisk looks whether the oldest write hangs. One that seems to because this process
// was held up gets half of its time again.
func (w *worker) watchDisk(now raft.Time) {
	f, after := &w.flights, w.host.cfg.StallAfter
	if now < f.at {
		return
	}
	due := max(*f.began.front(), raft.Time(w.host.disk.progress.Load())) + after
	switch late := now - f.at; {
	case now < due: // others make progress
		f.at = due
		w.seemsStalled(false)
	case late > after/4 && !f.hung:
		f.at = now + after/2
	default:
		f.at = now + after
		w.seemsStalled(true)
	}
}

func (w *worker) seemsStalled(yes bool) {
	w.flights.hung = yes
	w.judgeDisk()
}

// tellDisk tells the worker's groups how the disk is, if that is news.
func (w *worker) tellDisk() {
	stalled := w.host.disk.stalled.Load() > 0
	if w.flights.told == stalled {
		return
	}
	w.flights.told = stalled
	if log := w.host.cfg.Logger; w == w.host.workers[0] && stalled {
		log.Warn("disk takes no writes: leaders hand over", "node", w.host.cfg.Node, "dur", time.Duration(w.host.cfg.StallAfter))
	} else if w == w.host.workers[0] {
		log.Info("disk takes writes again", "node", w.host.cfg.Node)
	}
	kind := raft.EventDiskOK
	if stalled {
		kind = raft.EventDiskStalled
	}
	for i := 0; i < len(w.groups); i++ {
		g := w.groups[i]
		w.stepCore(g, raft.Event{Kind: kind})
		if g.dead { // it left the list
			i--
		}
	}
}
