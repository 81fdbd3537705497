package runtime

import (
	"fmt"
	"slices"
	"time"
)

// RetryError is what a Machine's Apply returns to be called again with the same
// entries after a pause. Until then its group applies nothing; other groups of the
// worker go on.
type RetryError struct {
	After time.Duration
	Err   error
}

func (e *RetryError) Error() string { return fmt.Sprintf("again after %v: %v", e.After, e.Err) }

// Unwrap returns the cause.
func (e *RetryError) Unwrap() error { return e.Err }

// park keeps a job, and behind it all others of its group, until the pause is over.
func (a *applier) park(j *job, pause time.Duration) {
	g := j.group
	if len(g.parked) == 0 {
		a.mu.Lock()
		a.parked = append(a.parked, g)
		a.mu.Unlock()
	}
	g.parked = append([]job{*j}, g.parked...)
	time.AfterFunc(pause, func() {
		_ = a.w.inbox.do(func() { a.push(job{group: g, resume: true}) }) // stopped: giveUp ends it
	})
}

// resume goes on with a group's jobs.
func (a *applier) resume(g *Group) {
	jobs := g.parked
	a.release(g)
	for i := range jobs {
		a.apply(&jobs[i])
	}
}

func (a *applier) release(g *Group) {
	g.parked = nil
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parked = slices.DeleteFunc(a.parked, func(other *Group) bool { return other == g })
}

// unpark ends the jobs of a group that stops: nothing of them is tried any more.
func (a *applier) unpark(g *Group) {
	jobs := g.parked
	a.release(g)
	stopped := Rejection{Reason: Stopped}
	for i := range jobs {
		open := stopped
		open.MayHappen = true
		for _, d := range jobs[i].done {
			if d != nil {
				d.Fail(open)
			}
		}
		g.failReadsOf(jobs[i].reads, stopped)
		if m := jobs[i].capture; m != nil {
			g.w.host.taken(g, *m, ErrStopped)
		}
		if image := jobs[i].restore; image != nil {
			_ = image.Close() // it was only read
		}
	}
}

// giveUp ends what is parked when the applier ends.
func (a *applier) giveUp() {
	for {
		a.mu.Lock()
		var g *Group
		for _, other := range a.parked {
			if !other.aside { // that one's goroutine sees to it
				g = other
			}
		}
		a.mu.Unlock()
		if g == nil {
			return
		}
		a.unpark(g)
	}
}
