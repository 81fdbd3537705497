package wal

import (
	"fmt"
	"time"
)

// ready reports whether there is something that must be written now.
func (l *Log) ready() bool {
	if len(l.queue) > 0 {
		return true
	}
	if l.cur != nil && (l.cur.sync || l.cur.urgent) {
		return true
	}
	return l.idleDue && (l.cur != nil || l.promised < l.durable)
}

// wakeWriter makes sure that what is ready gets written. Whoever is in flush
// looks again before it leaves.
func (l *Log) wakeWriter() {
	if l.flushing == 0 && l.ready() {
		l.work.Signal()
		return
	}
	l.armTimer()
}

// run is the writer: it flushes while there is work and sleeps otherwise.
func (l *Log) run() {
	defer l.done.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		if l.flushing == 0 && l.ready() {
			l.flush()
			continue
		}
		l.work.Wait()
	}
}

// flush writes the oldest frame, syncs if someone in it asked for it, and tells
// the waiters. mu is held on entry and on return, and released in between; only
// one goroutine at a time may be in flush, which makes it the owner of the
// active segment and of the chain.
func (l *Log) flush() {
	f, kind := l.take()
	if f == nil {
		return
	}
	l.flushing++
	l.inFlight = f
	durable, err := l.durable, l.err
	now := l.o.Clock.Now()
	l.watch(now)
	l.mu.Unlock()

	var synced bool
	if err == nil && (f.records > 0 || kind != frameData) {
		synced, err = l.writeFrame(f, kind, durable, now)
		if err != nil {
			err = l.fail(err)
		}
	}

	l.mu.Lock()
	l.inFlight = nil
	l.settle(f, kind, durable, synced, err, now)
	l.tell(f, err)
	l.flushing--
	if l.flushing == 0 {
		l.idle.Broadcast()
	}
	l.wakeWriter()
}

// take removes the oldest waiting frame, or makes a mark when there is none and
// one is due.
func (l *Log) take() (f *frame, kind uint8) {
	if len(l.queue) == 0 && l.cur != nil {
		l.closeFrame()
	}
	due := l.idleDue
	l.idleDue = false
	if len(l.queue) > 0 {
		f = l.queue[0]
		n := copy(l.queue, l.queue[1:])
		l.queue[n] = nil
		l.queue = l.queue[:n]
		if f.records == 0 && f.force {
			return f, frameMark
		}
		return f, frameData
	}
	if due && l.promised < l.durable && l.err == nil {
		return l.bareFrame(), frameMark
	}
	return nil, 0
}

// bareFrame makes a frame without records, which still takes its page of the log.
func (l *Log) bareFrame() *frame {
	f := l.newFrame(l.nextLSN)
	l.nextLSN += alignBytes
	return f
}

// writeFrame puts f into the active segment, or the next one when it does not
// fit, and makes it durable if it has to be.
func (l *Log) writeFrame(f *frame, kind uint8, durable uint64, now time.Time) (synced bool, err error) {
	need := int64(alignUp(len(f.buf)))
	if !l.active.fits(f.lsn, need) {
		if err := l.rotate(f.lsn); err != nil {
			return false, err
		}
	}
	seg := l.active
	promise := durable
	if l.o.Sync == SyncNone {
		promise = 0
	}
	b, hcrc := f.finish(kind, seg, promise, l.chain, now.UnixNano())
	if err := seg.begin(l, f.lsn, l.chain); err != nil {
		return false, err
	}
	if _, err := seg.w.WriteAt(b, seg.offset(f.lsn)); err != nil {
		return false, fmt.Errorf("write segment %d at %d: %w", seg.seq, seg.offset(f.lsn), err)
	}
	l.chain = hcrc
	seg.dirty = true
	seg.setEnd(f.lsn + uint64(len(b)))
	if (f.sync || kind == frameClean) && l.o.Sync == SyncFull {
		return true, seg.sync()
	}
	return false, nil
}

// settle notes the outcome of f's write.
func (l *Log) settle(f *frame, kind uint8, durable uint64, synced bool, err error, now time.Time) {
	l.queuedBytes -= max(0, len(f.buf)-frameHeaderBytes)
	l.room.Broadcast()
	if err != nil {
		return
	}
	if f.records == 0 && kind == frameData {
		return
	}
	l.lastWrite = now
	l.written = f.lsn + uint64(alignUp(len(f.buf)))
	if f.frees {
		l.wakeHousekeeper()
	}
	l.clean = kind == frameClean
	l.counts.frames++
	l.counts.records += int64(f.records)
	l.counts.bytes += int64(alignUp(len(f.buf)))
	if l.o.Sync == SyncFull {
		l.promised = durable
	}
	if synced {
		l.counts.frameSyncs++
		l.durable = l.written
	}
}

// tell runs the callbacks of f in order, outside mu, and lets go of f.
func (l *Log) tell(f *frame, err error) {
	waiters := f.waiters
	if len(waiters) > 0 {
		l.mu.Unlock()
		for i := range waiters {
			w := &waiters[i]
			if w.err == nil {
				w.err = err
			}
			w.done(w.err)
		}
		l.mu.Lock()
		clear(waiters)
		f.waiters = waiters[:0]
	}
	f.written = true
	end := f.end()
	if f.records > 0 && err == nil {
		l.cache.add(f, l.o.CacheBytes, l.retire)
	} else {
		l.retire(f)
	}
	if len(l.cache.ring) > 0 {
		end = l.cache.ring[0].lsn
	}
	l.memLSN.Store(end)
}

// fail makes the log refuse everything from now on. The first cause stays.
func (l *Log) fail(cause error) error {
	l.mu.Lock()
	first := l.err == nil
	if first {
		l.err = &fatalError{cause: cause}
		l.failed.Store(true)
	}
	err := l.err
	l.room.Broadcast()
	l.mu.Unlock()
	if first {
		if l.o.OnFatal != nil {
			l.o.OnFatal(err)
		} else {
			l.o.Logger.Error("wal: disk failed, log refuses everything from now on", "dir", l.dir, "err", err)
		}
	}
	return err
}

// failure is the first failure, nil while there is none.
func (l *Log) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// armTimer makes sure that batches without urgency, and the promise about the
// newest frame, do not wait for ever.
func (l *Log) armTimer() {
	if l.timerSet || l.closing || l.err != nil || l.flushing > 0 {
		return
	}
	if l.cur != nil || (l.promised < l.durable && l.o.Sync == SyncFull) {
		l.timerSet = true
		l.timer.Reset(markDelay)
	}
}

// onTimer runs on the clock's goroutine.
func (l *Log) onTimer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timerSet = false
	if l.closing || l.err != nil {
		return
	}
	if rest := markDelay - l.o.Clock.Now().Sub(l.lastWrite); rest > 0 || l.flushing > 0 {
		l.armTimer()
		return
	}
	l.idleDue = true
	l.wakeWriter()
}
