package wal

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/histogram"
)

// markDelay is how long the disk must have been idle before the log writes down
// what it has not yet promised, and before it writes batches that need no sync.
const markDelay = 5 * time.Millisecond

// Log is the log of all groups of one node. It is safe for concurrent use.
//
//	Submit, Write          flush (one goroutine per lane)             callbacks
//	  encode into cur  ->  close cur, one pwrite, one fdatasync  ->  in LSN order
//	  move the views       meanwhile the next cur fills up
type Log struct {
	o     Options
	dir   string
	fs    *countingFS
	lock  io.Closer
	cat   Catalog
	id    Identity
	store [16]byte
	salt  uint64 // of the segments written by this Log
	label string

	damaged, repaired atomic.Int64
	syncTimes         histogram.Recorder

	mu       sync.Mutex
	work     sync.Cond // the writer waits here
	room     sync.Cond // those who submit wait here for queuedBytes to fall
	idle     sync.Cond // Close waits here for flushing to end
	turn     sync.Cond // a frame that is on disk waits here for those before it
	groups   map[raftpb.GroupID]*Group
	round    uint64   // of check
	cur      *frame   // takes batches; nil: the next one makes it
	queue    []*frame // closed, waiting to be written
	inFlight []*frame // in LSN order; the answers go out in that order
	cache    frameCache
	free     []*frame
	calls    []*call
	nextLSN  uint64 // where the frame after cur's predecessor begins
	written  uint64 // all before it was handed to the file system
	durable  uint64 // all before it was synced
	promised uint64 // what the newest frame says about durable

	queuedBytes int  // of records handed over and not yet written
	flushing    int  // goroutines in flush
	placing     bool // one of them owns the active segment and the chain
	err         error
	closing     bool
	closed      bool
	timer       Timer
	timerSet    bool
	idleDue     bool // the timer fired: write what waits without urgency, or a mark
	lastWrite   time.Time
	watchdog    Timer
	watchSet    bool
	watchDue    time.Time     // when the watchdog is to run, if it is set
	stallNext   time.Duration // the age at which the oldest frame in flight is reported next
	counts      counters
	pin         *Group // has entries in the oldest segment, when last asked
	restated    Batch  // owned by the housekeeper
	alone       bool   // Close is the only one left
	noSpace     bool   // the next segment could not be made
	haveNext    bool   // the segment after the active one is ready
	limitLSN    uint64 // where the active segment is full
	clean       bool   // nothing was written since a clean frame, or since the log was made
	doubtLSN    uint64 // of groups of which the log has nothing; see groupView

	suspects []suspect                       // during an Open with Verify
	lost     map[raftpb.GroupID]*GroupReport // during an Open: what void records say

	meta catalogMeta // what the catalog says; owned by Open, then the housekeeper, then Close

	// Owned by the goroutine in flush that is placing its frame.
	active *segment
	chain  uint32

	segs     segments
	chores   chan struct{} // wakes the housekeeper
	stop     chan struct{} // closed by Close, when nothing waits to be written
	released chan struct{} // closed when Close has given everything back
	done     sync.WaitGroup
	failed   atomic.Bool
	memLSN   atomic.Uint64 // no frame before it is in memory
}

// Identity says whose log this is; Incarnation is set.
func (l *Log) Identity() Identity { return l.id }

// Durability says what an acknowledgement of this log is worth: "fsync", "none
// (nosync)", "none (tmpfs)" or "none (memory)". Only fsync survives a power cut.
func (l *Log) Durability() string { return l.label }

func durabilityLabel(o *Options, dir string) string {
	if onlyInMemory(o.FS) {
		return "none (memory)"
	}
	if mount := volatileMount(dir); mount != "" {
		return "none (" + mount + ")"
	}
	if o.Sync == SyncNone {
		return "none (nosync)"
	}
	return "fsync"
}

// Group returns the view of group id, an empty one when the log has nothing of it.
func (l *Log) Group(id raftpb.GroupID) *Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.group(id)
}

func (l *Log) group(id raftpb.GroupID) *Group {
	g := l.groups[id]
	if g == nil {
		g = &Group{log: l, id: id, view: freshView()}
		g.view.doubtLSN = l.doubtLSN
		l.groups[id] = g
	}
	return g
}

// Groups returns the groups that have something in the log, ascending.
func (l *Log) Groups() []raftpb.GroupID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]raftpb.GroupID, 0, len(l.groups))
	for id, g := range l.groups {
		if g.view.holds() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// call is one Write that waits.
type call struct {
	answer chan error
	ended  atomic.Bool
	finish func(error)
}

func (c *call) over() bool { return c.ended.Load() }

func (l *Log) newCall() *call {
	if n := len(l.calls); n > 0 {
		c := l.calls[n-1]
		l.calls = l.calls[:n-1]
		c.ended.Store(false)
		return c
	}
	c := &call{answer: make(chan error, 1)}
	c.finish = func(err error) {
		c.ended.Store(true)
		c.answer <- err
	}
	return c
}

// maxFree bounds the calls and frames kept for another use.
const maxFree = 64

func (l *Log) wait(c *call) error {
	err := <-c.answer
	l.mu.Lock()
	if len(l.calls) < maxFree {
		l.calls = append(l.calls, c)
	}
	l.mu.Unlock()
	return err
}

func (l *Log) newFrame(lsn uint64) *frame {
	var f *frame
	if n := len(l.free); n > 0 {
		f = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		f = new(frame)
	}
	f.reset(lsn, l.salt)
	return f
}

// retire gives back a frame that no reader can find any more. A buffer of which
// a reader may hold slices goes to the garbage collector instead, and so does one
// that grew beyond what frames usually are.
func (l *Log) retire(f *frame) {
	if f.shared || cap(f.buf) > 2*l.o.MaxFrameBytes || len(l.free) >= maxFree {
		return
	}
	l.free = append(l.free, f)
}

// frameCache keeps the newest written frames, in LSN order, for readers.
type frameCache struct {
	ring  []*frame
	bytes int
}

// add keeps f and drops the oldest frames beyond limit.
func (c *frameCache) add(f *frame, limit int, drop func(*frame)) {
	if cap(f.buf) > limit/16 {
		drop(f)
		return
	}
	c.ring = append(c.ring, f)
	c.bytes += cap(f.buf)
	n := 0
	for c.bytes > limit {
		c.bytes -= cap(c.ring[n].buf)
		drop(c.ring[n])
		c.ring[n] = nil
		n++
	}
	c.ring = c.ring[n:]
}

// recent returns n bytes at lsn when they are still in memory. They never change.
func (l *Log) recent(lsn uint64, n int) []byte {
	if lsn < l.memLSN.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.find(lsn)
	if f == nil {
		return nil
	}
	at := int(lsn - f.lsn)
	if at+n > len(f.buf) {
		return nil
	}
	f.shared = true
	return f.buf[at : at+n : at+n]
}

// find returns the frame in memory that holds lsn.
func (l *Log) find(lsn uint64) *frame {
	holds := func(f *frame) bool { return f != nil && lsn >= f.lsn && lsn < f.lsn+uint64(len(f.buf)) }
	if holds(l.cur) {
		return l.cur
	}
	for _, f := range l.queue {
		if holds(f) {
			return f
		}
	}
	for _, f := range l.inFlight {
		if holds(f) {
			return f
		}
	}
	ring := l.cache.ring
	if len(ring) == 0 || lsn < ring[0].lsn {
		return nil
	}
	i, exact := slices.BinarySearchFunc(ring, lsn, func(f *frame, lsn uint64) int {
		switch {
		case f.lsn < lsn:
			return -1
		case f.lsn > lsn:
			return 1
		}
		return 0
	})
	if !exact {
		i--
	}
	if i >= 0 && holds(ring[i]) {
		return ring[i]
	}
	return nil
}
