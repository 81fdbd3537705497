package wal

import (
	"fmt"
	"time"
)

// The watchdog sees a write or sync that hangs, while it hangs: one timer, which
// under load fires every Options.StallAfter and looks how old the frame in flight is.

// watch makes sure that the timer looks after the frame that is now the oldest one
// in flight. mu is held.
func (l *Log) watch() {
	l.stallNext = l.o.StallAfter
	if !l.watchSet {
		l.watchSet = true
		l.watchdog.Reset(l.o.StallAfter)
	}
}

// onWatch runs on the clock's goroutine.
func (l *Log) onWatch() {
	l.mu.Lock()
	l.watchSet = false
	if len(l.inFlight) == 0 || l.closed {
		l.mu.Unlock()
		return
	}
	age := l.o.Clock.Now().Sub(l.inFlight[0].began)
	tell := age >= l.stallNext
	if tell {
		l.counts.syncStalls++
		l.stallNext = 2 * age
	}
	dead := l.o.StallFatal > 0 && age >= l.o.StallFatal
	if !dead {
		l.watchSet = true
		l.watchdog.Reset(max(l.stallNext-age, time.Millisecond))
	}
	l.mu.Unlock()
	if tell && l.o.OnStall != nil {
		l.o.OnStall(age)
	}
	if dead {
		_ = l.fail(fmt.Errorf("a write or sync hangs for %v", age))
	}
}
