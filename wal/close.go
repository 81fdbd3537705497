package wal

import "errors"

// Close writes and syncs what was handed over, says in the log that it ended in
// order, and gives everything back. Every batch handed over before gets its answer
// before Close returns; later ones get ErrClosed. After a failure it returns that.
// Calling it again waits for the first call. It must not be called from a Submit callback.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		<-l.released
		return nil
	}
	l.closing = true
	l.room.Broadcast()
	for l.flushing > 0 || l.cur != nil || len(l.queue) > 0 {
		if l.flushing > 0 {
			l.idle.Wait()
			continue
		}
		l.flush()
	}
	l.closeClean()
	err := l.err
	l.closed = true
	l.work.Broadcast()
	l.mu.Unlock()

	l.timer.Stop()
	l.watchdog.Stop()
	close(l.stop)
	l.done.Wait()
	if err == nil {
		if _, err = l.saveMeta(); err == nil {
			l.closeFooters()
		}
	}
	err = errors.Join(err, l.release())
	close(l.released)
	return err
}

// closeFooters says so when it fails, and no more: the next Open reads the segments.
func (l *Log) closeFooters() {
	if err := l.lastFooters(); err != nil {
		l.o.Logger.Warn("wal: footers are missing; the next start takes longer", "dir", l.dir, "err", err)
	}
}

// closeClean writes the frame that says that nothing is behind it.
func (l *Log) closeClean() {
	if l.err != nil || l.clean {
		return
	}
	f := l.bareFrame()
	durable := l.durable
	now := l.o.Clock.Now()
	l.flushing++
	l.mu.Unlock()
	f.began = now
	seg, err := l.place(f, frameClean, durable)
	if err == nil && l.owesSync(f, frameClean) {
		err = seg.sync()
	}
	if err != nil {
		err = l.fail(err)
	}
	l.mu.Lock()
	l.flushing--
	l.settle(f, frameClean, durable, err)
}

// Step does one piece of work of a Manual log and reports whether there was any:
// it writes the oldest waiting batches and runs their callbacks, or does a piece of
// background work.
func (l *Log) Step() bool {
	if !l.o.Manual {
		return false
	}
	l.mu.Lock()
	if l.flushing == 0 && !l.closing && l.ready() {
		l.flush()
		l.mu.Unlock()
		return true
	}
	l.mu.Unlock()
	return l.choreStep()
}
