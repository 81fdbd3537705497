package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/workload"
	"github.com/seed-814fcd60/raftwire/engine"
)

// The phases of a load.
const (
	phaseWarmup int32 = iota
	phaseMeasured
	phaseOver
)

const (
	// After an error a client pauses, longer each time, so that a cluster without a
	// leader is not asked for one a million times.
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond
	// drainLimit bounds how long commands in flight may take once the load is over.
	drainLimit = 10 * time.Second
)

var errClientsStuck = errors.New("commands are still in flight though the load has ended")

// work is what the clients do.
type work struct {
	clients, inFlight int // inFlight: operations per client
	sizes             workload.Sizes
	mix               workload.Mix
	rate              float64 // operations per second that are due, of all clients together; 0: closed loop
	poisson           bool
	sessions          bool
	history           *history      // nil: none is written
	longestPause      time.Duration // after errors in a row
	firstSequence     uint64        // of every client, at least 1
}

// load drives clients. In a closed loop each sends its next operation when it knows the
// outcome of one before; in an open loop when the operation is due.
type load struct {
	work         work
	clients      []*client
	hists        []*latencyShard
	phase        atomic.Int32
	over         chan struct{} // closed when the load ends
	started      time.Time
	measuredFrom time.Duration // since started; set before the phase
	slotWidth    time.Duration // of the timeline
	processes    atomic.Uint64 // of the history
	wg           sync.WaitGroup
	first        atomic.Pointer[string] // the first error, for the report
	firstStale   atomic.Pointer[string]
	watched      atomic.Pointer[watch]
	gaps         atomic.Pointer[gaps] // nil: nobody wants to know
}

// watch waits for the first write that was sent after a moment and is acknowledged.
type watch struct {
	from  time.Duration
	first chan time.Duration // room for one
}

// gaps finds the longest time in which no write was acknowledged.
type gaps struct{ last, longest atomic.Int64 } // nanoseconds since the load's start; nanoseconds

// note takes note of an acknowledgement at a moment.
func (g *gaps) note(now time.Duration) {
	gap := int64(now) - g.last.Swap(int64(now))
	for {
		longest := g.longest.Load()
		if gap <= longest || g.longest.CompareAndSwap(longest, gap) {
			return
		}
	}
}

// watchGaps begins to look for gaps; what it returns ends that and tells the longest one.
func (l *load) watchGaps() (end func() time.Duration) {
	g := new(gaps)
	g.last.Store(int64(time.Since(l.started)))
	l.gaps.Store(g)
	return func() time.Duration {
		l.gaps.Store(nil)
		g.note(time.Since(l.started))
		return time.Duration(g.longest.Load())
	}
}

// watch begins to watch from now on. One watch at a time.
func (l *load) watch() *watch {
	w := &watch{from: time.Since(l.started), first: make(chan time.Duration, 1)}
	l.watched.Store(w)
	return w
}

// maxHistograms is so many that clients seldom meet at one.
const maxHistograms = 64

// newLoad prepares the clients; client i works on group i modulo the groups.
func newLoad(ctx context.Context, cl *cluster, w work) (*load, error) {
	l := &load{work: w, over: make(chan struct{}), slotWidth: time.Second}
	for range min(w.clients, maxHistograms) {
		l.hists = append(l.hists, newShard())
	}
	leaders := cl.leaders(ctx)
	byGroup := make([][]*client, cl.groups)
	for i := range w.clients {
		g := i % cl.groups
		c := &client{id: uint32(i), group: engine.GroupID(g + 1), seq: w.firstSequence, lat: newRecorder(l.hists[i%len(l.hists)])}
		c.random = rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
		c.target = cl.propose(c.id, c.group, max(leaders[g], 1)) // no leader just now: the first one redirects
		if w.rate > 0 {
			a := workload.NewArrivals(w.rate, w.clients, w.poisson, c.random)
			c.arrivals = &a
		}
		byGroup[g] = append(byGroup[g], c)
		l.clients = append(l.clients, c)
	}
	for i, c := range l.clients {
		c.neighbor = byGroup[i%cl.groups]
	}
	if w.sessions {
		return l, l.openSessions(ctx)
	}
	return l, nil
}

// openSessions opens a session for every client.
func (l *load) openSessions(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	errs := make([]error, len(l.clients))
	var wg sync.WaitGroup
	for i, c := range l.clients {
		wg.Go(func() {
			opener, ok := c.target.(sessionOpener)
			if !ok {
				errs[i] = errors.New("no sessions here")
				return
			}
			c.target, errs[i] = opener.openSession(ctx)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("open sessions: %w", err)
	}
	return nil
}

// sessionOpener makes a proposer whose commands are applied exactly once.
type sessionOpener interface {
	openSession(ctx context.Context) (proposer, error)
}

// start lets the clients run.
func (l *load) start() {
	l.started = time.Now()
	for _, c := range l.clients {
		if l.work.inFlight > 1 {
			l.wg.Go(func() { l.runPipelined(c) })
		} else {
			l.wg.Go(func() { l.run(c) })
		}
	}
}

// stop ends the load. Commands in flight may still come back: see drain.
func (l *load) stop() {
	l.phase.Store(phaseOver)
	close(l.over)
}

// drain waits until no command is in flight, for at most limit.
func (l *load) drain(limit time.Duration) error {
	idle := make(chan struct{})
	go func() { l.wg.Wait(); close(idle) }()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-idle:
		return nil
	case <-t.C:
		return errClientsStuck
	}
}

// counts returns the operations acknowledged and failed so far.
func (l *load) counts() (acked, failed uint64) {
	for _, c := range l.clients {
		acked += c.done.Load()
		failed += c.failed.Load()
	}
	return acked, failed
}

// firstError returns the first error that a client met, or "".
func (l *load) firstError() string {
	if p := l.first.Load(); p != nil {
		return *p
	}
	return ""
}

// measurement is what a load left behind.
type measurement struct {
	elapsed     time.Duration // measured, warm-up excluded
	began       time.Time
	warmup      time.Duration
	steady      bool     // throughput had settled when measuring began
	used        counters // in the time measured
	total       counters // since the nodes started
	failed      uint64   // attempts, in the time measured
	interrupted bool
}

// measure runs the load: warm-up, then the time measured. It returns early, with what
// there is, when ctx ends. When a member fails it returns that failure.
// body, when it is not nil, is what happens in the time measured, which then ends with it:
// duration says no more than how fine the timeline shall be.
func (l *load) measure(ctx context.Context, cl *cluster, warmup warmupConfig, duration time.Duration, p *progress, profile *cpuProfile,
	body func(context.Context) error,
) (m measurement, err error) {
	l.start()
	l.slotWidth = slotWidth(duration)
	ready := newSteadiness(warmup)
	done, err := l.wait(ctx, cl, warmup.atMost, p, ready)
	m.warmup, m.steady = time.Since(l.started), ready.steady
	if err != nil || !done {
		l.stop()
		m.interrupted = err == nil
		return m, err
	}
	// What the window holds must not depend on ctx: Ctrl-C may come at any time.
	alive := context.WithoutCancel(ctx)
	before, err := cl.counters(alive)
	if err != nil {
		l.stop()
		return m, err
	}
	if err := profile.start(); err != nil {
		l.stop()
		return m, err
	}
	m.began = time.Now()
	_, failed := l.counts()
	l.measuredFrom = time.Since(l.started)
	l.phase.Store(phaseMeasured)
	if body == nil {
		done, err = l.wait(ctx, cl, duration, p, nil)
	} else if err = body(ctx); errors.Is(err, errInterrupted) {
		done, err = false, nil
	}
	m.elapsed = time.Since(m.began)
	l.stop()
	profile.stop()
	_, m.failed = l.counts()
	m.failed -= failed
	if err != nil {
		return m, err
	}
	m.interrupted = !done
	m.total, err = cl.counters(alive)
	m.used = m.total.sub(before)
	return m, err
}

// wait waits for d, or until the load is steady when it is asked for that, and shows
// progress meanwhile. done is false when ctx ended first.
func (l *load) wait(ctx context.Context, cl *cluster, d time.Duration, p *progress, ready *steadiness) (done bool, err error) {
	what := "warming up"
	if l.phase.Load() == phaseMeasured {
		what = "measuring"
	}
	acked, _ := l.counts()
	p.begin(what, d, acked)
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(steadyEvery)
	defer tick.Stop()
	began := time.Now()
	for n := 1; ; n++ {
		select {
		case <-end.C:
			return true, nil
		case <-ctx.Done():
			return false, nil
		case err := <-cl.failed:
			return false, err
		case <-tick.C:
			acked, failed := l.counts()
			if n%ticksPerLine == 0 {
				p.show(what, time.Since(began), d, acked, failed)
			}
			if ready.enough(time.Since(began), acked) {
				return true, nil
			}
		}
	}
}
