package runtime

import (
	"errors"
	"sync"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
)

// applier owns the state machines of a worker's groups. Its queue is bounded by
// what workers feed: maxFedBytes per group.
//
// One goroutine takes the jobs in order: it has the turn. A machine that hangs in a job
// loses it the turn, and another goroutine goes on with the other groups; what comes for
// the hanging one is set aside for the goroutine that is stuck in it:
//
//	queue    A1 B1 A2 C1 B2
//	runner 1    A1 ..........hangs.......... A2, then it ends
//	runner 2             B1  (A2 aside) C1 B2
type applier struct {
	w      *worker
	mu     sync.Mutex
	ready  sync.Cond
	queue  ring[job]
	closed bool
	turn   uint64   // of the goroutine that may take jobs
	busy   *Group   // whose job it is in; nil: between jobs
	begun  uint64   // jobs taken
	parked []*Group // have jobs that wait for another attempt

	pool sync.Pool // *job, for the capacity of its slices

	// The worker's.
	lookAt raft.Time // when to look whether a job hangs; Never: nothing was pushed
	seen   uint64    // begun, at the last look
}

// hangs is after how long in one job a machine loses the turn, if others wait.
const hangs raft.Time = 10e6

// job is committed entries to apply, or reads to run now.
type job struct {
	group   *Group
	first   raft.Index
	entries []raft.Entry
	done    []Completion // done[i] waits for entries[i]; shorter when nobody does
	reads   []read
	resume  bool            // another attempt at what is parked is due
	run     func()          // for Stop: everything before it is applied
	capture *snapshot.Meta  // after the entries: take a snapshot
	restore *snapshot.Image // replace the state by this one
	bytes   int
	open    int  // of these, bytes of proposals of this node
	wake    bool // the worker waits for the end of this job
	pooled  *job
}

func newApplier(w *worker) *applier {
	a := &applier{w: w, lookAt: raft.Never}
	a.ready.L = &a.mu
	return a
}

// get returns an empty job with some capacity.
func (a *applier) get(g *Group) job {
	p, _ := a.pool.Get().(*job)
	if p == nil {
		p = new(job)
	}
	return job{group: g, entries: p.entries[:0], done: p.done[:0], pooled: p}
}

func (a *applier) put(j *job) {
	if j.pooled == nil {
		return
	}
	clear(j.entries)
	clear(j.done)
	*j.pooled = job{entries: j.entries[:0], done: j.done[:0]}
	a.pool.Put(j.pooled)
}

// push queues j, on the worker.
func (a *applier) push(j job) {
	a.mu.Lock()
	a.queue.push(j)
	first := a.queue.size == 1
	a.mu.Unlock()
	if first {
		a.ready.Signal()
	}
	if a.lookAt == raft.Never {
		a.lookAt = a.w.now + hangs
	}
}

// close lets what is queued finish, then ends the goroutines.
func (a *applier) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.ready.Signal()
}

// run takes jobs as long as it has the turn.
func (a *applier) run(turn uint64) {
	a.mu.Lock()
	for {
		for a.queue.size == 0 && !a.closed {
			a.ready.Wait()
		}
		if a.queue.size == 0 {
			a.mu.Unlock()
			a.giveUp()
			return
		}
		j := a.queue.pop()
		if a.begun++; j.group.aside {
			j.group.backlog = append(j.group.backlog, j)
			continue
		}
		a.busy = j.group
		a.mu.Unlock()
		a.apply(&j)
		a.mu.Lock()
		if a.turn != turn {
			a.catchUp(j.group)
			a.mu.Unlock()
			return
		}
		a.busy = nil
	}
}

// look gives the turn to another goroutine when a job hangs and others wait. Runs on the
// worker; it sets when to look again.
func (a *applier) look(now raft.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.queue.size == 0:
		a.lookAt = raft.Never
		return
	case a.busy != nil && a.begun == a.seen:
		a.turn++
		a.busy.aside, a.busy = true, nil
		turn := a.turn
		a.w.host.running.Go(func() { a.run(turn) })
	}
	a.seen, a.lookAt = a.begun, now+hangs
}

// catchUp applies what was set aside for a group while one of its jobs hung. mu is held.
func (a *applier) catchUp(g *Group) {
	for len(g.backlog) > 0 {
		jobs := g.backlog
		g.backlog = nil
		a.mu.Unlock()
		for i := range jobs {
			a.apply(&jobs[i])
		}
		a.mu.Lock()
	}
	g.aside = false
	if a.closed { // whoever has the turn may be gone
		a.mu.Unlock()
		a.unpark(g)
		a.mu.Lock()
	}
}

// apply runs one job. A machine that fails stops its group: nothing is applied
// after it, and no read sees what it left behind.
func (a *applier) apply(j *job) {
	g := j.group
	if j.run != nil {
		a.unpark(g)
		a.leave(g)
		j.run()
	}
	if j.resume {
		a.resume(g)
		return
	}
	if len(g.parked) > 0 { // it waits its turn
		g.parked = append(g.parked, *j)
		return
	}
	if len(j.entries) > 0 {
		for len(j.done) < len(j.entries) {
			j.done = append(j.done, nil)
		}
		err := a.applyEntries(j)
		if retry := retryIn(err); retry != nil {
			a.park(j, retry.After)
			return
		}
		if err != nil {
			a.w.inbox.notify(notice{group: g, err: err}, false)
		}
		a.w.inbox.notify(notice{group: g, applied: g.Applied(), bytes: j.bytes, open: j.open}, !j.wake)
	}
	if j.restore != nil {
		a.restore(g, j.restore)
	}
	if j.capture != nil {
		a.take(g, j.capture)
	}
	a.readLate(g)
	g.reads.Add(-int32(len(j.reads)))
	a.read(g, j.reads)
	a.put(j)
}

// retryIn returns the request for another attempt in err, nil if there is none.
func retryIn(err error) *RetryError {
	if err == nil {
		return nil
	}
	var retry *RetryError
	errors.As(err, &retry)
	return retry
}

func (a *applier) applyEntries(j *job) error {
	g := j.group
	err := g.advance(j)
	if retryIn(err) != nil {
		return err
	}
	if err != nil {
		for _, d := range j.done {
			if d != nil {
				d.Fail(Rejection{Reason: Failed, Err: err, MayHappen: true})
			}
		}
		return err
	}
	g.machine.Complete() // who sees a result finds it applied
	return nil
}

// advance applies the entries of j while nobody reads.
func (g *Group) advance(j *job) error {
	g.state.Lock()
	defer g.state.Unlock()
	if g.failed != nil {
		return g.failed
	}
	if m, ok := g.machine.(ChainMachine); ok {
		m.Before(g.chain.Load())
	}
	if err := g.machine.Apply(j.entries, j.first, j.done); err != nil {
		if retryIn(err) == nil {
			g.failed = err
		}
		return err
	}
	g.chain.Store(Chain(g.chain.Load(), j.first, j.entries))
	g.applied.Store(uint64(j.first) + uint64(len(j.entries)) - 1)
	return nil
}
