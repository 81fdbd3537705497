package runtime

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/transport"
)

// Tap watches the cores of a host from inside, for tests that judge every step. It is
// called on the goroutine of the group's worker, keeps nothing that it is shown, and
// changes nothing.
type Tap interface {
	// Stepped is told of a step before its effects are carried out.
	Stepped(g *Group, in *raft.Event, out *raft.Effects)
	// Durable is told that a write, and all before it, is durable, before anything that
	// waited for it happens.
	Durable(g *Group, write uint64)
	// Leaves is told of a message at the moment at which it leaves, and of the write that
	// it waited for, 0 if none.
	Leaves(g *Group, m *raft.Message, write uint64)
}

// Manual runs one worker of a host and its applier without a goroutine: whoever calls
// it is the scheduler. For simulations, in place of Host.Run.
type Manual struct{ w *worker }

// Manual makes the host one that is driven by hand. It must have one worker. Messages
// go out through network.
func (h *Host) Manual(network transport.Network) Manual {
	h.network = network
	h.background.manual = true
	return Manual{h.workers[0]}
}

// Ready reports whether something is queued for the worker.
func (m Manual) Ready() bool {
	q := m.w.inbox
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.signaled
}

// Step is one drain of the worker at the time of the host's clock: everything that is
// queued, and the timers that are due.
func (m Manual) Step() { m.w.step(m.w.host.clock.Now()) }

// Next is the time at which the worker wants to be stepped though nothing is queued.
func (m Manual) Next() raft.Time { return m.w.next() }

// Jobs is how many jobs wait for the applier.
func (m Manual) Jobs() int {
	a := m.w.applier
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.queue.size
}

// Apply runs the oldest job of the applier. There must be one.
func (m Manual) Apply() {
	a := m.w.applier
	a.mu.Lock()
	j := a.queue.pop()
	a.mu.Unlock()
	a.apply(&j)
}

// Node returns the group's core, to look at. It belongs to the worker.
func (g *Group) Node() *raft.Node { return g.node }

// End returns why the group has ended, nil while it runs. It belongs to the worker.
func (g *Group) End() *Rejection {
	if !g.dead {
		return nil
	}
	end := g.end
	return &end
}

// Campaign makes the group's core start an election, as if its timer had gone off.
func (g *Group) Campaign() {
	_ = g.w.inbox.do(func() { g.w.stepCore(g, raft.Event{Kind: raft.EventCampaign}) }) // stopped: it is too late
}

// Tune tells the group's core what a driver might have measured.
func (g *Group) Tune(election, sync raft.Time) {
	_ = g.w.inbox.do(func() { // stopped: it is too late
		g.w.stepCore(g, raft.Event{Kind: raft.EventTune, Election: election, Sync: sync})
	})
}
