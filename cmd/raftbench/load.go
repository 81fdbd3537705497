package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// outcome is what a client knows of a command it has proposed.
type outcome uint8

const (
	outcomeAcked   outcome = iota // it is durable and was applied
	outcomeRefused                // it was not appended and never will be
	outcomeUnknown                // it may have been applied, or may still be
)

// proposer proposes commands to one group, at its leader. It belongs to one client.
// The error tells why an outcome is not outcomeAcked.
type proposer interface {
	propose(command []byte) (outcome, error)
}

// answered judges what the machine of the benchmark answered.
func answered(answer []byte) (outcome, error) {
	if len(answer) == 0 {
		return outcomeAcked, nil
	}
	return outcomeRefused, fmt.Errorf("state machine: %s", answer)
}

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

// load drives closed-loop clients: each proposes its next command when it knows the
// outcome of the one before.
type load struct {
	clients []*client
	hists   []*histogram
	phase   atomic.Int32
	over    chan struct{} // closed when the load ends
	started time.Time
	wg      sync.WaitGroup
	first   atomic.Pointer[string] // the first error, for the report
}

// client is one closed-loop client. Its goroutine owns it; progress reads acked and
// failed, and everybody reads the rest once the load is over.
type client struct {
	id      uint32
	group   engine.GroupID
	command []byte
	seq     uint64 // of the command in flight
	applied spans  // the sequences acknowledged
	unknown uint64 // commands whose outcome it does not know
	lat     recorder
	acked   atomic.Uint64
	failed  atomic.Uint64 // refused or unknown
	target  proposer
}

// histograms are so many that clients seldom meet at one.
const maxHistograms = 64

// newLoad prepares the clients; client i works on group i modulo the groups.
func newLoad(ctx context.Context, cl *cluster, clients, payload int) (*load, error) {
	l := &load{over: make(chan struct{})}
	for range min(clients, maxHistograms) {
		l.hists = append(l.hists, newHistogram())
	}
	leaders := make([]engine.NodeID, cl.groups)
	for g := range leaders {
		leaders[g] = max(cl.leader(ctx, engine.GroupID(g+1)), 1) // none just now: the first one redirects
	}
	for i := range clients {
		g := i % cl.groups
		c := &client{
			id: uint32(i), group: engine.GroupID(g + 1), command: make([]byte, payload), seq: 1,
			lat: newRecorder(l.hists[i%len(l.hists)]), target: cl.propose(uint32(i), engine.GroupID(g+1), leaders[g]),
		}
		if _, err := rand.Read(c.command); err != nil {
			return nil, fmt.Errorf("padding of commands: %w", err)
		}
		binary.BigEndian.PutUint32(c.command, c.id)
		l.clients = append(l.clients, c)
	}
	return l, nil
}

// start lets the clients run.
func (l *load) start() {
	l.started = time.Now()
	for _, c := range l.clients {
		l.wg.Go(func() { l.run(c) })
	}
}

// run is the life of a client. One reading of the clock ends an operation and begins
// the next.
func (l *load) run(c *client) {
	pause := firstPause
	began := time.Since(l.started)
	for l.phase.Load() != phaseOver {
		binary.BigEndian.PutUint64(c.command[4:], c.seq)
		got, err := c.target.propose(c.command)
		now := time.Since(l.started)
		if got == outcomeAcked {
			c.applied.add(c.seq)
			c.seq++
			c.acked.Store(c.acked.Load() + 1) // nobody else writes it
			if l.phase.Load() == phaseMeasured {
				c.lat.add(now - began)
			}
			began, pause = now, firstPause
			continue
		}
		l.note(c, got, err)
		if !l.rest(pause) {
			break
		}
		pause = min(2*pause, lastPause)
		began = time.Since(l.started)
	}
	c.lat.flush()
}

// note counts an operation that was not acknowledged. What may have been applied
// keeps its sequence for ever; the client goes on with the next one.
func (l *load) note(c *client, got outcome, err error) {
	if got == outcomeUnknown {
		c.unknown++
		c.seq++
	}
	c.failed.Store(c.failed.Load() + 1)
	if l.first.Load() == nil {
		text := err.Error()
		l.first.CompareAndSwap(nil, &text)
	}
}

// rest pauses a client; false says that the load is over.
func (l *load) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.over:
		return false
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
		acked += c.acked.Load()
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
	used        counters      // in that time
	total       counters      // since the nodes started
	failed      uint64        // operations, likewise
	interrupted bool
}

// measure runs the load: warm-up, then the time measured. It returns early, with what
// there is, when ctx ends. When a member fails it returns that failure.
func (l *load) measure(ctx context.Context, cl *cluster, warmup, duration time.Duration, p *progress, profile *cpuProfile) (m measurement, err error) {
	l.start()
	if done, err := l.wait(ctx, cl, warmup, p); err != nil || !done {
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
	began := time.Now()
	_, failed := l.counts()
	l.phase.Store(phaseMeasured)
	done, err := l.wait(ctx, cl, duration, p)
	m.elapsed = time.Since(began)
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

// wait waits for d and shows progress meanwhile. done is false when ctx ended first.
func (l *load) wait(ctx context.Context, cl *cluster, d time.Duration, p *progress) (done bool, err error) {
	what := "warming up"
	if l.phase.Load() == phaseMeasured {
		what = "measuring"
	}
	acked, _ := l.counts()
	p.begin(what, d, acked)
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-end.C:
			return true, nil
		case <-ctx.Done():
			return false, nil
		case err := <-cl.failed:
			return false, err
		case <-tick.C:
			acked, failed := l.counts()
			p.show(what, time.Since(began), d, acked, failed)
		}
	}
}
