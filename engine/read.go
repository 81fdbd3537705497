package engine

import (
	"context"
	"fmt"
	"sync/atomic"

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
	// Stale reads see what this member has applied, however old that is.
	Stale
)

// Read runs fn at a moment that c allows. fn runs on the goroutine that applies
// commands, never at the same time as Apply, and should be short; its error is
// Read's. When Read returns another error, also that of ctx, fn has not run and
// never will. Safe for concurrent use; reads that wait at the same time share one
// round.
func (g *Group) Read(ctx context.Context, c Consistency, fn func() error) error {
	q := &query{group: g, fn: fn, done: make(chan error, 1)}
	if err := g.read(c, q); err != nil {
		return err
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

func (g *Group) read(c Consistency, r runtime.Reader) error {
	mode := runtime.ReadLeader
	switch c {
	case Linearizable:
	case Follower:
		mode = runtime.ReadAnywhere
	case Stale:
		mode = runtime.ReadLocal
	default:
		return fmt.Errorf("engine: read: unknown consistency %d", c)
	}
	if err := g.group.Read(mode, r); err != nil {
		return refused(err)
	}
	return nil
}

// query is a read that waits. Who claims it decides its end: the engine by
// running or failing it, or the caller by giving up.
type query struct {
	group   *Group
	fn      func() error
	claimed atomic.Bool
	done    chan error // one slot
}

// Run implements runtime.Reader.
func (q *query) Run(raft.Index) {
	if q.claimed.CompareAndSwap(false, true) {
		q.done <- q.fn()
	}
}

// Fail implements runtime.Completion.
func (q *query) Fail(r runtime.Rejection) {
	if q.claimed.CompareAndSwap(false, true) {
		q.done <- q.group.rejected(r)
	}
}
