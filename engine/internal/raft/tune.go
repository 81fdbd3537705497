package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// What a node waits for, and how much it sends ahead, follow what the driver and the
// followers' answers show, within the bounds of Config. Nothing that makes the algorithm
// safe depends on either: time-outs only move elections, and windows only move traffic.
//
// The one promise that is a length of time, the lease, therefore does not follow: a voter
// refuses votes for half of Config.ElectionTimeout, the lower bound, and a leader counts
// its lease by the same constant, whatever either of them waits for at present. Two nodes
// never know each other's time-outs, and both change; a lease of half a time-out that has
// grown would outlive the promises of voters whose own has not.
//
//	leader, waits 3 E    sent ------ E/2 - ClockBound ----| lease ends
//	                                                         3 E/2: where a lease that grew would end
//	voter, waits E        heard ---------- E/2 -----------| votes again

// onTune takes over what the driver has measured: for how long to wait for a leader or a
// quorum, and how long this node's own disk takes for a write. Waits that have begun stay as they are.
func (n *Node) onTune(election, sync Time) {
	election = min(max(election, n.cfg.ElectionTimeout), n.cfg.MaxElectionTimeout)
	if election != n.election {
		n.mark(MarkRetuned)
	}
	n.election, n.sync = election, max(sync, 0)
}

// window bounds what is sent to a follower ahead of its answers. It shrinks to a half when
// an answer takes longer than it should, which means that what was sent before waits in
// some queue on the way, or that the follower's disk does not keep up; it grows by a
// sixteenth of its range when it was the window that held entries back, and answers come
// in time. Either happens once per round trip: what was sent before the last change says
// nothing about it.
type window struct {
	bytes   int
	appends int
	quick   Time // what an answer takes when nothing waits; 0: not known yet
	changed Time // when it was last changed
	reached bool // it has held something back since
}

// open is the window of a follower of which nothing is known.
func (n *Node) openWindow() window {
	return window{bytes: n.cfg.MaxInflightBytes, appends: n.cfg.MaxInflightAppends, changed: n.now}
}

// fixed reports whether windows do not change.
func (n *Node) windowFixed() bool {
	return n.cfg.MinInflightBytes == n.cfg.MaxInflightBytes && n.cfg.MinInflightAppends == n.cfg.MaxInflightAppends
}

// timed learns from the answer to an append that was sent at the time sent.
//
// The quickest answer only becomes slower while the window is as small as it gets: then
// nothing waits that could be avoided, and the way itself has become longer. Otherwise a
// follower that is slow for long would raise its own measure, and fill any window.
func (n *Node) timed(p *progress, sent Time) {
	w, took := &p.window, n.now-sent
	if n.windowFixed() {
		return
	}
	switch {
	case w.quick == 0 || took < w.quick:
		w.quick = max(took, 1)
	case w.appends == n.cfg.MinInflightAppends && w.bytes == n.cfg.MinInflightBytes:
		w.quick += (took - w.quick) / 8
	}
	switch {
	case sent < w.changed:
	case took > 4*w.quick+2*n.sync+n.cfg.Heartbeat/2:
		n.shrink(p)
	case w.reached:
		n.mark(MarkWindowGrown)
		w.bytes += (n.cfg.MaxInflightBytes - n.cfg.MinInflightBytes + 15) / 16
		w.appends += (n.cfg.MaxInflightAppends - n.cfg.MinInflightAppends + 15) / 16
		w.bytes, w.appends = min(w.bytes, n.cfg.MaxInflightBytes), min(w.appends, n.cfg.MaxInflightAppends)
		w.changed, w.reached = n.now, false
	}
}

// shrink halves the window of a follower that is behind, busy or cannot be reached.
func (n *Node) shrink(p *progress) {
	w := &p.window
	if p.state != raftpb.ProgressStateReplicate || n.windowFixed() {
		return
	}
	n.mark(MarkWindowShrunk)
	w.bytes, w.appends = max(w.bytes/2, n.cfg.MinInflightBytes), max(w.appends/2, n.cfg.MinInflightAppends)
	w.changed, w.reached = n.now, false
}
