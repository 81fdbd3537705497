package wal

import (
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Submit hands b over and returns at once: the groups' views show it, the disk
// does not have it yet. done is called exactly once, in the order of submission
// among all batches, when b is durable or will never be acknowledged. It runs on
// the goroutine that finished the write, so it must be quick and must not call
// Submit, Write or Close. A nil done asks for no answer.
//
// Submit waits only for room, when Options.MaxQueuedBytes are on their way to the
// disk. After Close it calls done with ErrClosed before it returns.
func (l *Log) Submit(b *Batch, done func(error)) {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		if done != nil {
			done(ErrClosed)
		}
		return
	}
	f, err := l.enqueue(b)
	if f == nil {
		l.mu.Unlock()
		if done != nil {
			done(err)
		}
		return
	}
	if done != nil {
		f.waiters = append(f.waiters, waiter{done: done, err: err})
		if err != nil {
			f.urgent = true
		}
	}
	l.wakeWriter()
	l.mu.Unlock()
}

// Write is Submit and the wait for its answer: b is durable when it returns nil
// (with NoSync: written). When the disk is idle the caller does the work itself.
func (l *Log) Write(b *Batch) error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return ErrClosed
	}
	f, err := l.enqueue(b)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	f.urgent = true
	c := l.newCall()
	f.waiters = append(f.waiters, waiter{done: c.finish})
	for l.ready() && !c.over() && (l.laneFree() || l.o.Manual) {
		l.flush()
	}
	l.wakeWriter()
	l.mu.Unlock()
	return l.wait(c)
}

// enqueue checks b, encodes it into the frame that waits to be written and moves
// the views. On a fault nothing is changed; the frame returned then only
// carries the answer. No frame at all is the answer of a closed log.
func (l *Log) enqueue(b *Batch) (*frame, error) {
	if b.err != nil {
		return l.openFrame(0), b.err
	}
	if b.size > l.o.MaxQueuedBytes {
		return l.openFrame(0), ErrTooLarge
	}
	for l.queuedBytes > 0 && l.queuedBytes+b.size > l.o.MaxQueuedBytes && l.err == nil && !l.closing {
		l.waitForRoom()
	}
	if l.closing {
		return nil, ErrClosed
	}
	if l.err != nil {
		return l.openFrame(0), l.err
	}
	if err := l.check(b); err != nil {
		return l.openFrame(0), err
	}
	f := l.openFrame(b.size)
	before := len(f.buf)
	for i := range b.ops {
		l.apply(f, &b.ops[i])
	}
	l.queuedBytes += len(f.buf) - before
	if !b.noSync {
		f.sync = true
	}
	f.force = f.force || b.force
	f.batches++
	l.counts.batches++
	return f, nil
}

// waitForRoom lets the writer make progress; mu is released meanwhile.
func (l *Log) waitForRoom() {
	l.counts.stalls++
	if l.o.Manual {
		l.flush()
		return
	}
	if l.cur != nil {
		l.cur.urgent = true
	}
	l.wakeWriter()
	l.room.Wait()
}

// openFrame returns the frame that takes size more bytes.
func (l *Log) openFrame(size int) *frame {
	if l.cur != nil && l.cur.records > 0 && len(l.cur.buf)+size > l.o.MaxFrameBytes {
		l.closeFrame()
	}
	if l.cur == nil {
		l.cur = l.newFrame(l.nextLSN)
	}
	return l.cur
}

// closeFrame fixes the length of the frame that takes batches, and with it the
// place of the next one.
func (l *Log) closeFrame() {
	l.nextLSN = l.cur.end()
	l.queue = append(l.queue, l.cur)
	l.cur = nil
}

// check tells whether every operation of b is possible, in order, and finds the
// groups. It changes no view.
func (l *Log) check(b *Batch) error {
	l.round++
	space := !l.noSpace || l.spaceFor(b.size)
	for i := range b.ops {
		o := &b.ops[i]
		g := l.group(o.group)
		if !space && (o.kind == opAppend || o.kind == opSnapshot || o.kind == opRepair) {
			g.refused = true
			l.wakeHousekeeper() // there may be room by now
			return ErrNoSpace
		}
		o.state = g
		if g.check.round != l.round {
			g.check.round, g.check.first, g.check.last = l.round, g.view.first, g.view.last
		}
		if err := checkOp(o, &g.check.first, &g.check.last, func(i2 raftpb.Index) bool {
			return l.matches(b.ops[:i], o, i2)
		}); err != nil {
			return err
		}
	}
	return nil
}

// checkOp moves first and last by o or tells why o is impossible.
func checkOp(o *op, first, last *uint64, matches func(raftpb.Index) bool) error {
	at := uint64(o.index)
	switch o.kind {
	case opAppend:
		if o.index < 1 || at < *first || at > *last+1 {
			return badBatch("group %d: append at %d, log is [%d, %d]", o.group, o.index, *first, *last)
		}
		*last = at + uint64(len(o.entries)) - 1
	case opTruncate:
		if o.index < 1 || at < *first {
			return badBatch("group %d: truncate from %d, log begins at %d", o.group, o.index, *first)
		}
		*last = min(*last, at-1)
	case opCompact:
		if o.index < 1 || at > *last+1 {
			return badBatch("group %d: compact to %d, log ends at %d", o.group, o.index, *last)
		}
		*first = max(*first, at)
	case opSnapshot:
		if o.index < 0 || at+1 < *first {
			return badBatch("group %d: snapshot at %d, log begins at %d", o.group, o.index, *first)
		}
		if !matches(o.index) {
			*last = at
		}
		*first = at + 1
	case opRepair:
		return checkRepair(o, *first, *last, matches)
	case opDestroy:
		*first, *last = 1, 0
	}
	return nil
}

// matches reports whether the log has, after the operations before o, o's term
// at position i.
func (l *Log) matches(before []op, o *op, i raftpb.Index) bool {
	if uint64(i) > o.state.check.last {
		return false
	}
	for k := len(before) - 1; k >= 0; k-- {
		p := &before[k]
		if p.group != o.group {
			continue
		}
		switch {
		case p.kind == opAppend && i >= p.index && i < p.index+raftpb.Index(len(p.entries)):
			return p.entries[i-p.index].Term == o.term
		case p.kind == opSnapshot && i == p.index:
			return p.term == o.term
		case p.kind == opDestroy:
			return i == 0 && o.term == 0
		}
	}
	term, ok := o.state.view.termAt(uint64(i))
	return ok && raftpb.Term(term) == o.term
}

// apply encodes one checked operation and moves the view of its group.
func (l *Log) apply(f *frame, o *op) {
	g := o.state
	o.state = nil
	g.mu.Lock()
	defer g.mu.Unlock()
	v := &g.view
	f.frees = f.frees || o.kind >= opSnapshot && o.kind <= opDestroy
	switch o.kind {
	case opAppend:
		f.frees = f.frees || uint64(o.index) <= v.last
		l.appendEntries(f, v, o)
	case opHardState:
		if g.refused {
			// Its owner may not know yet that what it commits was not taken. A vote must be
			// kept even so; a commit that the log does not reach would be a contradiction.
			o.hard.Commit = min(o.hard.Commit, raftpb.Index(g.check.last))
		}
		v.hard = o.hard
		v.hardLSN = f.hardState(o.group, o.hard, 0)
	case opTruncate:
		if uint64(o.index) <= v.last {
			f.plain(recordHeader{typ: recTruncate, group: o.group, index: uint64(o.index)}, nil)
			v.truncate(uint64(o.index))
		}
	case opCompact:
		if to := uint64(o.index); to > v.first {
			term, _ := v.termAt(to - 1)
			v.baseLSN = f.plain(recordHeader{typ: recCompact, group: o.group, index: to, term: term}, nil)
			v.compact(to, term)
		}
	case opSnapshot:
		s := Snapshot{Index: o.index, Term: o.term, Data: append([]byte(nil), o.data...)}
		term, ok := v.termAt(uint64(s.Index))
		h := recordHeader{typ: recSnapshot, group: o.group, index: uint64(s.Index), term: uint64(s.Term)}
		if ok && term == uint64(s.Term) {
			h.count = 1 // recovery follows the decision, it does not repeat it
		}
		v.snapLSN = f.plain(h, s.Data)
		v.baseLSN = v.snapLSN
		v.install(s, h.count == 1)
	case opDestroy:
		f.plain(recordHeader{typ: recDestroy, group: o.group}, nil)
		*v = freshView()
	case opRepair:
		lsn, length := f.entries(o.group, o.index, o.entries, recRepair)
		v.repair(run{first: uint64(o.index), lsn: lsn, count: 1, bytes: length})
	case opRestate:
		v.again(f, o.group)
	case opTrust:
		if v.doubtLSN != 0 {
			f.plain(recordHeader{typ: recTrust, group: o.group}, nil)
			v.doubtLSN, f.frees = 0, true
		}
	}
}

// appendEntries writes one record for each stretch of one term.
func (l *Log) appendEntries(f *frame, v *groupView, o *op) {
	l.counts.entries += int64(len(o.entries))
	first, rest := o.index, o.entries
	for len(rest) > 0 {
		n := 1
		for n < len(rest) && rest[n].Term == rest[0].Term &&
			rest[n].StrippedBytes.Set == rest[0].StrippedBytes.Set {
			n++
		}
		lsn, length := f.entries(o.group, first, rest[:n], 0)
		v.append(run{first: uint64(first), lsn: lsn, count: uint32(n), bytes: length}, uint64(rest[0].Term))
		first += raftpb.Index(n)
		rest = rest[n:]
	}
}
