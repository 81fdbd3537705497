package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows how far a run is: one line that is written over on a terminal, and
// one after the other elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	prefix   string // of every line
	lastOps  uint64
	lastAt   time.Duration
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			p.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

// begin tells that a phase begins, with ops behind it already.
func (p *progress) begin(what string, total time.Duration, ops uint64) {
	p.lastOps, p.lastAt = ops, 0
	p.line(fmt.Sprintf("%s for %v", what, total))
}

// show tells how far a phase is; ops and failed count from the beginning of the load.
func (p *progress) show(what string, at, total time.Duration, ops, failed uint64) {
	rate := float64(ops-p.lastOps) / max(at-p.lastAt, time.Millisecond).Seconds()
	p.lastAt, p.lastOps = at, ops
	left := ""
	if p.terminal {
		left = ", " + eta(total-at) + " left"
	}
	p.line(fmt.Sprintf("%s: %.0f of %.0f s, %s ops/s, %s%s", what, at.Seconds(), total.Seconds(), grouped(rate, 0), plural(int(failed), "error"), left))
}

// eta is a time to wait, to the second.
func eta(d time.Duration) string { return max(d, 0).Round(time.Second).String() }

// line shows one line of progress.
func (p *progress) line(text string) {
	text = p.prefix + text
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.w, text)
}

// done ends the progress; what follows begins on a line of its own.
func (p *progress) done() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
