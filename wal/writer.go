package wal

import (
	"fmt"
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

// laneFree reports whether the next frame may be written now: when no other is on its
// way, or beside one. A second one pays for a submitter that does not wait for the
// first, and for large batches; with many small ones it would only split what can
// share a sync. It must not need the next segment, which waits for all that is in this one.
func (l *Log) laneFree() bool {
	if l.flushing == 0 {
		return true
	}
	f := l.cur
	if len(l.queue) > 0 {
		f = l.queue[0]
	}
	if l.flushing >= l.o.Lanes || l.placing || f == nil || !f.sync || l.err != nil {
		return false
	}
	first := l.inFlight[0]
	few := first.batches+f.batches <= 2
	large := len(f.buf) >= laneBytes*f.batches
	return first.sync && (few || large) && l.active.fits(f.lsn, int64(alignUp(len(f.buf))))
}

// laneBytes is the size of a batch that is worth a sync of its own.
const laneBytes = 64 << 10

// wakeWriter makes sure that what is ready gets written. Whoever is in flush
// looks again before it leaves.
func (l *Log) wakeWriter() {
	if l.ready() && l.laneFree() {
		l.work.Signal()
		return
	}
	l.armTimer()
}

// run is a writer: it flushes while there is work and sleeps otherwise. There is
// one for each lane.
func (l *Log) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		if l.ready() && l.laneFree() {
			l.flush()
			continue
		}
		l.work.Wait()
	}
}

// flush writes the oldest frame, syncs if someone in it asked for it, and tells
// the waiters. mu is held on entry and on return, and released in between.
//
//	one lane   place, write | sync              | answer
//	another                  place, write | sync ...... | answer
//
// Until its frame is written a goroutine in flush is the only one that places, which
// makes it the owner of the active segment and of the chain.
func (l *Log) flush() {
	f, kind := l.take()
	if f == nil {
		return
	}
	l.flushing++
	l.placing = true
	l.inFlight = append(l.inFlight, f)
	durable, err := l.durable, l.err
	f.began = l.o.Clock.Now()
	if len(l.inFlight) == 1 {
		l.watch()
	}
	l.mu.Unlock()

	var seg *segment
	if err == nil && (f.records > 0 || kind != frameData) {
		seg, err = l.place(f, kind, durable)
	}
	l.mu.Lock()
	l.placing = false
	if seg != nil && err == nil && l.owesSync(f, kind) {
		l.wakeWriter() // for another lane
		l.mu.Unlock()
		asked := l.o.Clock.Now()
		err = seg.sync()
		l.syncTimes.Record(l.o.Clock.Now().Sub(asked))
		if l.o.mutated(mutSyncIgnored) {
			err = nil
		}
		l.mu.Lock()
	}
	if seg != nil && err != nil {
		l.mu.Unlock()
		err = l.fail(err)
		l.mu.Lock()
	}
	l.finish(f, kind, durable, err)
}

// finish answers for a frame when those before it were answered for. mu is held.
func (l *Log) finish(f *frame, kind uint8, durable uint64, err error) {
	for l.inFlight[0] != f {
		l.turn.Wait()
	}
	if err == nil {
		err = l.err // of a frame before this one
	}
	l.settle(f, kind, durable, err)
	l.tell(f, err)
	n := copy(l.inFlight, l.inFlight[1:])
	l.inFlight[n] = nil
	l.inFlight = l.inFlight[:n]
	if n > 0 {
		l.watch()
		l.turn.Broadcast()
	}
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

// place writes f into the active segment, or the next one when it does not fit.
func (l *Log) place(f *frame, kind uint8, durable uint64) (*segment, error) {
	if !l.active.fits(f.lsn, int64(alignUp(len(f.buf)))) {
		if err := l.rotate(f.lsn); err != nil {
			return l.active, err
		}
	}
	seg := l.active
	promise := durable
	if l.o.Sync == SyncNone {
		promise = 0
	}
	b, hcrc := f.finish(kind, seg, promise, l.chain, f.began.UnixNano())
	if err := seg.begin(l, f.lsn, l.chain); err != nil {
		return seg, err
	}
	if _, err := seg.w.WriteAt(b, seg.offset(f.lsn)); err != nil {
		return seg, fmt.Errorf("write segment %d at %d: %w", seg.seq, seg.offset(f.lsn), err)
	}
	l.chain = hcrc
	seg.setEnd(f.lsn + uint64(len(b)))
	return seg, nil
}

func (l *Log) owesSync(f *frame, kind uint8) bool {
	return (f.sync || kind == frameClean) && l.o.Sync == SyncFull
}

// settle notes the outcome of f's write.
func (l *Log) settle(f *frame, kind uint8, durable uint64, err error) {
	l.queuedBytes -= max(0, len(f.buf)-frameHeaderBytes)
	l.room.Broadcast()
	if err != nil {
		return
	}
	if f.records == 0 && kind == frameData {
		return
	}
	l.lastWrite = f.began
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
	if l.owesSync(f, kind) {
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
