package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
)

// Consistency says what a read may see.
type Consistency uint8

const (
	// Linearizable reads see every write acknowledged before they began. The leader
	// serves them after one round to a majority.
	Linearizable Consistency = iota
	// Follower reads are linearizable too, served by the member asked: it asks the
	// leader how far it must have applied.
	Follower
	// Stale reads see what this member has applied, however old that is; ReadBound
	// bounds it.
	Stale
	// Lease reads are linearizable as long as clocks keep Config.ClockBound. The leader
	// serves them without a round while it holds a lease, and as Linearizable otherwise.
	Lease
)

// ReadBound says what a read must not miss. The zero value adds nothing.
type ReadBound struct {
	// MinIndex: everything up to here. With Result.Index of a write, the read sees that
	// write, on any member: it waits until so much is applied there.
	MinIndex Index
	// MaxAge, for Stale: everything that was acknowledged so long before the read began.
	// 0: no bound. A member that asked the leader lately, for this or another read,
	// serves it at once; otherwise it asks. No clock but the member's own is involved.
	MaxAge time.Duration
}

// Read runs fn at a moment that c allows, never at the same time as Apply; Apply waits,
// so fn should be short. Linearizable and Follower reads run on the goroutine that
// applies commands, one at a time. Lease and Stale reads run on the caller's where that
// is possible, several at a time: fn must not change the machine; fn of a Lease
// read may run twice, the second time counts. fn's error is Read's. When Read returns
// another error, also that of ctx, fn's result is of no use and it will not run again.
// Safe for concurrent use; reads that wait at the same time share one round.
//
// Errors: NotLeaderError, LeadershipLostError (ask again), ErrBusy (too many reads wait),
// ErrClosed, FailedError, and that of ctx.
func (g *Group) Read(ctx context.Context, c Consistency, fn func() error) error {
	return g.ReadWithin(ctx, c, ReadBound{}, fn)
}

// ReadWithin is Read with a bound.
func (g *Group) ReadWithin(ctx context.Context, c Consistency, b ReadBound, fn func() error) error {
	if c > Lease || b.MinIndex < 0 || b.MaxAge < 0 {
		return fmt.Errorf("engine: read: consistency %d, bound %+v: not known", c, b)
	}
	way := g.way(c, b)
	if way.here {
		if done, err := g.readHere(way, fn); done {
			return err
		}
		if way.leased {
			way.mode, way.leased = runtime.ReadLeader, false
		}
	}
	return g.wait(ctx, way, fn)
}

// wait has a read done on the applier.
func (g *Group) wait(ctx context.Context, way readWay, fn func() error) error {
	q := &query{group: g, fn: fn, done: make(chan error, 1), way: way}
	if err := g.group.ReadAfter(way.mode, way.least, q); err != nil {
		return refused(err)
	}
	select {
	case err := <-q.done:
		return err
	case <-ctx.Done():
		if q.claimed.CompareAndSwap(false, true) {
			return fmt.Errorf("engine: read: %w", ctx.Err())
		}
		return <-q.done // fn is running
	}
}

// readWay is how a read is served.
type readWay struct {
	mode   runtime.ReadMode
	least  Index
	here   bool // may be served from what is applied
	leased bool // but only while the lease lasts
	asked  time.Time
	fresh  bool // what it finds out serves later reads with MaxAge
}

// way decides how a read is served.
func (g *Group) way(c Consistency, b ReadBound) readWay {
	w := readWay{mode: runtime.ReadLeader, least: b.MinIndex}
	switch c {
	case Follower:
		w.mode = runtime.ReadAnywhere
	case Lease:
		if committed, ok := g.group.LeaseIndex(); ok {
			w.mode, w.here, w.leased, w.least = runtime.ReadLocal, true, true, max(w.least, committed)
		}
	case Stale:
		w.mode = runtime.ReadLocal
		if b.MaxAge == 0 {
			w.here = true
			return w
		}
		w.asked = time.Now()
		if f := g.fresh.Load(); f != nil && w.asked.Sub(f.asked) <= b.MaxAge {
			w.least, w.here = max(w.least, f.index), true
			return w
		}
		w.mode, w.fresh = runtime.ReadAnywhere, true
	}
	return w
}

// freshness is what a member knows of its age: up to index, it has everything that was
// acknowledged before it asked.
type freshness struct {
	asked time.Time
	index Index
}

// learn notes how fresh this member was found to be.
func (g *Group) learn(w readWay, index Index) {
	if !w.fresh {
		return
	}
	next := &freshness{w.asked, index}
	for {
		f := g.fresh.Load()
		if f != nil && !f.asked.Before(w.asked) || g.fresh.CompareAndSwap(f, next) {
			return
		}
	}
}

// readHere serves a read on the caller's goroutine. done is false when that cannot be.
func (g *Group) readHere(w readWay, fn func() error) (done bool, err error) {
	ran := g.group.ReadHere(w.least, func(Index) { err = fn() })
	if w.leased && !g.group.Leased() {
		return false, nil // it ended meanwhile: another may lead
	}
	if ran {
		g.countRead(w)
	}
	return ran, err
}

func (g *Group) countRead(w readWay) {
	n := &g.host.counters
	switch {
	case w.leased:
		n.leaseReads.Add(1)
	case w.mode == runtime.ReadLocal:
		n.localReads.Add(1)
	default:
		n.roundReads.Add(1)
	}
}

// query is a read that waits. Who claims it decides its end: the engine by
// running or failing it, or the caller by giving up.
type query struct {
	group   *Group
	fn      func() error
	way     readWay
	claimed atomic.Bool
	done    chan error // one slot
}

// Run implements runtime.Reader.
func (q *query) Run(applied raft.Index) {
	if q.claimed.CompareAndSwap(false, true) {
		q.group.learn(q.way, applied)
		q.group.countRead(q.way)
		q.done <- q.fn()
	}
}

// Gone implements runtime.Abandoned.
func (q *query) Gone() bool { return q.claimed.Load() }

// Fail implements runtime.Completion.
func (q *query) Fail(r runtime.Rejection) {
	if q.claimed.CompareAndSwap(false, true) {
		q.done <- q.group.rejected(r)
	}
}
