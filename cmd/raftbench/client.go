package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/workload"
	"github.com/seed-814fcd60/raftwire/engine"
)

// outcome is what a client knows of an operation.
type outcome uint8

const (
	outcomeAcked   outcome = iota // it is durable and was applied; a read has its answer
	outcomeRefused                // it was not appended and never will be
	outcomeUnknown                // it may have been applied, or may still be
)

// proposer sends the operations of one client to one group, at its leader. The error
// tells why an outcome is not outcomeAcked. propose and read wait; only one of them runs
// at a time. start returns at once and may run any number of times beside others: done
// runs exactly once, on any goroutine, and must not block; command may be used again then.
type proposer interface {
	propose(command []byte) (outcome, error)
	start(command []byte, done func(outcome, error))
	// read asks how many commands of a client the group has applied.
	read(c engine.Consistency, client uint32) (applied uint64, got outcome, err error)
}

// answered judges what the machine of the benchmark answered.
func answered(answer []byte) (outcome, error) {
	if len(answer) == 0 {
		return outcomeAcked, nil
	}
	return outcomeRefused, fmt.Errorf("state machine: %s", answer)
}

// client sends operations. Its goroutine owns it; progress and other clients' reads look
// at the atomic fields, and everybody at the rest once the load is over.
type client struct {
	id       uint32
	group    engine.GroupID
	seq      uint64 // of the next write
	applied  spans  // the sequences acknowledged
	unknown  uint64 // writes whose outcome it does not know
	random   *rand.Rand
	arrivals *workload.Arrivals // nil: closed loop
	lat      recorder
	target   proposer
	neighbor []*client // the clients of its group: whose writes it counts when it reads

	wrote  atomic.Uint64 // writes acknowledged; stored before the next operation begins
	done   atomic.Uint64 // operations acknowledged
	failed atomic.Uint64 // attempts refused or of unknown outcome
	stale  atomic.Uint64 // reads that did not see what had been acknowledged before they began
}

// operation is one read or write of a client, until its outcome is known.
type operation struct {
	buffer  []byte // random bytes, as many as the largest command has
	command []byte // of a write: the beginning of buffer
	read    bool
	mode    engine.Consistency
	of      *client // of a read: whose writes it counts
	floor   uint64  // and how many of them were acknowledged when it began
	counted uint64  // its answer
	process uint64  // in the history: who never does two things at a time
	due     time.Duration
	sent    time.Duration
}

// prepare makes op the client's next operation.
func (l *load) prepare(c *client, op *operation) {
	op.read, op.mode = l.work.mix.Next(c.random)
	if op.read {
		op.of = c.neighbor[c.random.IntN(len(c.neighbor))]
		return
	}
	op.command = op.buffer[:l.work.sizes.Next(c.random)]
	binary.BigEndian.PutUint64(op.command[4:], c.seq)
	c.seq++
}

// begin marks the start of an attempt.
func (op *operation) begin(now time.Duration) {
	op.sent = now
	if op.read {
		op.floor = op.of.wrote.Load()
	}
}

// settle notes how an attempt ended and says whether the operation is over. A write that
// was refused has to be sent again; one of unknown outcome keeps its sequence for ever.
func (l *load) settle(c *client, op *operation, got outcome, err error, now time.Duration) (over bool) {
	l.work.history.add(c, op, got, now)
	if got != outcomeAcked {
		c.failed.Store(c.failed.Load() + 1)
		if l.first.Load() == nil {
			text := err.Error()
			l.first.CompareAndSwap(nil, &text)
		}
		if got == outcomeUnknown {
			op.process = l.processes.Add(1)
		}
		if got == outcomeUnknown && !op.read {
			c.unknown++
			return true
		}
		return false
	}
	if op.read {
		if op.counted < op.floor && op.mode != engine.Stale {
			c.stale.Add(1)
			text := fmt.Sprintf("a %s read saw %d commands of client %d though %d had been acknowledged before",
				workload.ConsistencyName(op.mode), op.counted, op.of.id, op.floor)
			l.firstStale.CompareAndSwap(nil, &text)
		}
	} else {
		c.applied.add(binary.BigEndian.Uint64(op.command[4:]))
		c.wrote.Store(c.wrote.Load() + 1) // nobody else writes it
		if w := l.watched.Load(); w != nil && op.sent >= w.from && l.watched.CompareAndSwap(w, nil) {
			w.first <- now
		}
		if g := l.gaps.Load(); g != nil {
			g.note(now)
		}
	}
	c.done.Store(c.done.Load() + 1)
	if l.phase.Load() == phaseMeasured {
		c.lat.add(sample{
			latency: now - op.due, service: now - op.sent, read: op.read,
			slot: int32(max(now-l.measuredFrom, 0) / l.slotWidth),
		})
	}
	return true
}

// run is the life of a client with one operation in flight. In a closed loop one reading
// of the clock ends an operation and begins the next.
func (l *load) run(c *client) {
	defer c.lat.flush()
	op, p := l.newOperation(c), l.newPause()
	now := time.Since(l.started)
	for l.phase.Load() != phaseOver {
		l.prepare(c, op)
		op.due = now
		if c.arrivals != nil {
			op.due = c.arrivals.Next()
			var ok bool
			if now, ok = p.until(op.due); !ok {
				return
			}
		}
		for wait := firstPause; ; wait = min(2*wait, l.work.longestPause) {
			op.begin(now)
			var got outcome
			var err error
			if op.read {
				op.counted, got, err = c.target.read(op.mode, op.of.id)
			} else {
				got, err = c.target.propose(op.command)
			}
			now = time.Since(l.started)
			if l.settle(c, op, got, err, now) {
				break
			}
			var ok bool
			if now, ok = p.until(now + wait); !ok {
				return
			}
		}
	}
}

// completion is the end of an attempt.
type completion struct {
	op  *operation
	got outcome
	err error
	at  time.Duration
}

// runPipelined is the life of a client that has several operations in flight. Their
// outcomes come in any order; this goroutine alone looks at them.
func (l *load) runPipelined(c *client) {
	defer c.lat.flush()
	p := l.newPause()
	ended := make(chan completion, l.work.inFlight) // room for all: who completes one never waits
	free := make([]*operation, l.work.inFlight)
	for i := range free {
		free[i] = l.newOperation(c)
	}
	wait := firstPause
	settle := func(e completion) {
		if l.settle(c, e.op, e.got, e.err, e.at) {
			free, wait = append(free, e.op), firstPause
			return
		}
		if now, ok := p.until(e.at + wait); ok {
			wait = min(2*wait, l.work.longestPause)
			l.issue(c, e.op, ended, now)
			return
		}
		free = append(free, e.op)
	}
	due := l.nextDue(c)
	for l.phase.Load() != phaseOver {
		if len(free) == 0 {
			settle(<-ended)
			continue
		}
		now := time.Since(l.started)
		if c.arrivals == nil {
			due = now
		}
		if due > now {
			select {
			case e := <-ended:
				settle(e)
			case <-p.at(due - now):
			case <-l.over:
			}
			continue
		}
		op := free[len(free)-1]
		free = free[:len(free)-1]
		l.prepare(c, op)
		op.due = due
		l.issue(c, op, ended, now)
		due = l.nextDue(c)
	}
	for len(free) < l.work.inFlight {
		settle(<-ended)
	}
}

// nextDue returns when the client of an open loop has to send next.
func (l *load) nextDue(c *client) time.Duration {
	if c.arrivals == nil {
		return 0
	}
	return c.arrivals.Next()
}

// issue begins an attempt; ended gets its outcome.
func (l *load) issue(c *client, op *operation, ended chan<- completion, now time.Duration) {
	op.begin(now)
	if !op.read {
		c.target.start(op.command, func(got outcome, err error) { ended <- completion{op, got, err, time.Since(l.started)} })
		return
	}
	go func() {
		var got outcome
		var err error
		op.counted, got, err = c.target.read(op.mode, op.of.id)
		ended <- completion{op, got, err, time.Since(l.started)}
	}()
}

func (l *load) newOperation(c *client) *operation {
	op := &operation{buffer: make([]byte, l.work.sizes.Max()), process: l.processes.Add(1)}
	for at := 0; at < len(op.buffer); at += 8 {
		var word [8]byte
		binary.BigEndian.PutUint64(word[:], c.random.Uint64())
		copy(op.buffer[at:], word[:])
	}
	binary.BigEndian.PutUint32(op.buffer, c.id)
	return op
}

// pause waits for moments of a load, with one timer.
type pause struct {
	l     *load
	timer *time.Timer
}

func (l *load) newPause() *pause {
	p := &pause{l, time.NewTimer(time.Hour)}
	p.timer.Stop()
	return p
}

// at returns a channel that has something once d is over. The one before must not be used any more.
func (p *pause) at(d time.Duration) <-chan time.Time {
	p.timer.Reset(d)
	return p.timer.C
}

// until waits until a moment since the load's start, which it returns, or a later one;
// not ok says that the load is over.
func (p *pause) until(moment time.Duration) (now time.Duration, ok bool) {
	now = time.Since(p.l.started)
	if now >= moment {
		return now, p.l.phase.Load() != phaseOver
	}
	select {
	case <-p.at(moment - now):
		return time.Since(p.l.started), true
	case <-p.l.over:
		p.timer.Stop()
		return now, false
	}
}
