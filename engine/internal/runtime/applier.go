package runtime

import (
	"errors"
	"sync"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
)

// applier owns the state machines of a worker's groups. Its queue is bounded by
// what workers feed: maxFedBytes per group.
type applier struct {
	w      *worker
	mu     sync.Mutex
	ready  sync.Cond
	queue  []job
	closed bool
	done   chan struct{}
	parked []*Group // have jobs that wait for another attempt

	pool sync.Pool // *job, for the capacity of its slices
}

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
	wake    bool // the worker waits for the end of this job
	pooled  *job
}

func newApplier(w *worker) *applier {
	a := &applier{w: w, done: make(chan struct{})}
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

func (a *applier) push(j job) {
	a.mu.Lock()
	a.queue = append(a.queue, j)
	first := len(a.queue) == 1
	a.mu.Unlock()
	if first {
		a.ready.Signal()
	}
}

// close lets what is queued finish, then ends the goroutine.
func (a *applier) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.ready.Signal()
}

func (a *applier) run() {
	defer close(a.done)
	var taken []job
	for {
		a.mu.Lock()
		for len(a.queue) == 0 && !a.closed {
			a.ready.Wait()
		}
		if len(a.queue) == 0 {
			a.mu.Unlock()
			a.giveUp()
			return
		}
		a.queue, taken = taken[:0], a.queue
		a.mu.Unlock()
		for i := range taken {
			a.apply(&taken[i])
		}
		clear(taken)
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
		var retry *RetryError
		if errors.As(err, &retry) {
			a.park(j, retry.After)
			return
		}
		if err != nil {
			a.w.inbox.notify(notice{group: g, err: err}, false)
		}
		a.w.inbox.notify(notice{group: g, applied: g.Applied(), bytes: j.bytes}, !j.wake)
	}
	if j.restore != nil {
		a.restore(g, j.restore)
	}
	if j.capture != nil {
		a.take(g, j.capture)
	}
	a.readLate(g)
	a.read(g, j.reads)
	a.put(j)
}

func (a *applier) applyEntries(j *job) error {
	g := j.group
	err := g.advance(j)
	var retry *RetryError
	if errors.As(err, &retry) {
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
	if err := g.machine.Apply(j.entries, j.first, j.done); err != nil {
		var retry *RetryError
		if !errors.As(err, &retry) {
			g.failed = err
		}
		return err
	}
	chain := g.chain.Load()
	for i := range j.entries {
		chain = chainHash(chain, &j.entries[i])
	}
	g.chain.Store(chain)
	g.applied.Store(uint64(j.first) + uint64(len(j.entries)) - 1)
	return nil
}

// chainHash extends the hash of a log prefix by one entry. Two members with the
// same value at the same index have applied the same entries.
func chainHash(chain uint64, e *raft.Entry) uint64 {
	x := chain ^ uint64(e.Term)<<40 ^ uint64(e.Kind)<<33 ^ uint64(e.Crc32c)
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
