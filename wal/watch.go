package wal

import (
	"fmt"
	"time"
)

// The watchdog sees a write or sync that hangs, while it hangs: one timer, which
// under load fires every Options.StallAfter and looks how old the frame in flight is.

// It must not take a machine that stood still (a laptop asleep, a virtual machine that is moved, a process in SIGSTOP) for a
// disk that does: time in which the timer itself was overdue does not count. watchEvery bounds what it can count too much.

const watchEvery = time.Second

// watch makes sure that the timer looks after the frame that is now the oldest one
// in flight. mu is held.
func (l *Log) watch() {
	l.stallNext = l.o.StallAfter
	if !l.watchSet {
		l.wakeWatchdog(l.o.Clock.Now(), l.o.StallAfter)
	}
}

func (l *Log) wakeWatchdog(now time.Time, after time.Duration) {
	after = min(after, max(watchEvery, l.o.StallAfter))
	l.watchSet, l.watchDue = true, now.Add(after)
	l.watchdog.Reset(after)
}

// onWatch runs on the clock's goroutine.
func (l *Log) onWatch() {
	l.mu.Lock()
	l.watchSet = false
	if len(l.inFlight) == 0 || l.closed {
		l.mu.Unlock()
		return
	}
	now := l.o.Clock.Now()
	if overdue := now.Sub(l.watchDue); overdue > l.o.StallAfter {
		for _, f := range l.inFlight {
			f.stood += min(overdue, now.Sub(f.began)-f.stood)
		}
	}
	age := now.Sub(l.inFlight[0].began) - l.inFlight[0].stood
	tell := age >= l.stallNext
	if tell {
		l.counts.syncStalls++
		l.stallNext = 2 * age
	}
	dead := l.o.StallFatal > 0 && age >= l.o.StallFatal
	if !dead {
		l.wakeWatchdog(now, max(l.stallNext-age, time.Millisecond))
	}
	l.mu.Unlock()
	if tell && l.o.OnStall != nil {
		l.o.OnStall(age)
	}
	if dead {
		_ = l.fail(fmt.Errorf("a write or sync hangs for %v", age))
	}
}
