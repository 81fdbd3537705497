package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// frame is an outgoing frame, length in front. Frames are pooled: whoever took one out
// of the pool hands it to conn.push or to release, and then forgets it.
type frame struct {
	b    []byte
	head header // of a native frame: kind != 0; the writer seals it
	seq  uint32
	// sent, when set, runs after the frame was written (nil) or not (the error). Only
	// oneway calls have it.
	sent func(error)
}

// seal completes the frame: its checksum is computed here, on the writer's goroutine, not
// on the caller's.
func (f *frame) seal() {
	if f.head.kind != 0 {
		f.head.seal(f.b)
		return
	}
	if len(f.b) > 0 { // an empty frame only carries sent
		binary.BigEndian.PutUint32(f.b, uint32(len(f.b)-lengthBytes))
	}
}

// Two pools, so that a few large frames do not leave every small one with a large
// buffer. Buffers beyond the second bound are left to the collector.
const (
	smallFrame = 4 << 10
	largeFrame = 1 << 20
)

type framePools struct{ small, large sync.Pool }

// request returns a frame for a call on the given lane, answer one for a small message.
func (p *framePools) request(lane Lane) *frame {
	if lane != LaneControl {
		if f, ok := p.large.Get().(*frame); ok {
			return f
		}
	}
	return p.answer()
}

func (p *framePools) answer() *frame {
	if f, ok := p.small.Get().(*frame); ok {
		return f
	}
	return &frame{b: make([]byte, 0, 512)}
}

func (p *framePools) put(f *frame) {
	f.b, f.head, f.seq, f.sent = f.b[:0], header{}, 0, nil
	switch c := cap(f.b); {
	case c <= smallFrame:
		p.small.Put(f)
	case c <= largeFrame:
		p.large.Put(f)
	}
}

// fifo is a queue of frames that reuses its memory.
type fifo struct {
	items []*frame
	head  int
}

func (q *fifo) push(f *frame) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, f)
}

func (q *fifo) pop() *frame {
	if q.head == len(q.items) {
		return nil
	}
	f := q.items[q.head]
	q.items[q.head] = nil
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return f
}

// One write takes frames until it holds about this much: enough to make the system call
// cheap, little enough that a control frame does not wait long behind what was taken.
const (
	maxWriteBytes  = 512 << 10
	maxWriteFrames = 256
)

// conn is what dialed and accepted connections share: a socket, the queues of frames
// that wait for it, and the goroutine that writes them.
//
// It ends once, by fail: that closes the socket, which ends the reader and the writer;
// the reader's owner then cleans up.
type conn struct {
	net    *network
	nc     net.Conn
	reader *frameReader

	mu      sync.Mutex
	wake    sync.Cond // the writer waits here for frames
	room    sync.Cond // an acceptor's reader waits here for answers to leave
	lanes   [laneCount]fifo
	queued  int   // bytes in lanes and in the write under way
	writing bool  // a writer goroutine exists
	failed  error // why the connection ended; nil while it lives
	// serial: no frame leaves while the answer to an earlier one is due.
	serial, due bool
	// Both are nil on accepted connections. waits reports, under mu, whether answers are due;
	// probe asks the other side for a sign of life.
	waits func() bool
	probe func()
	// heard, when set, is told while probes are not answered for how long nothing came, and
	// with 0 when something did. It belongs to watch.
	heard func(silent time.Duration)
	// What watch compares between its rounds. They belong to it.
	sending, receiving, answering progress
	probed                        bool // since answering last changed

	writes atomic.Uint64 // odd while a write is under way; changes with every write
}

func (c *conn) init(n *network, nc net.Conn) {
	c.net, c.nc = n, nc
	c.wake.L, c.room.L = &c.mu, &c.mu
	c.reader = newFrameReader(nc, n.cfg.MaxFrame, &n.counters.bytesIn)
}

// fail ends the connection for the given reason. Only the first call counts.
func (c *conn) fail(err error) {
	c.mu.Lock()
	first := c.failed == nil
	if first {
		c.failed = err
	}
	c.wake.Broadcast()
	c.room.Broadcast()
	c.mu.Unlock()
	if first {
		c.net.counters.refuseErr(err)
		c.nc.Close()
	}
}

// push queues f. It runs under mu, on a connection that has not failed.
func (c *conn) push(lane Lane, f *frame) {
	c.lanes[lane].push(f)
	c.queued += len(f.b)
	if !c.writing {
		c.writing = true
		c.net.spawn(c.writeLoop)
		return
	}
	c.wake.Signal()
}

// writeLoop writes what is queued until the connection fails.
func (c *conn) writeLoop() {
	var batch []*frame
	var vec vector
	for {
		batch = c.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		c.writes.Add(1)
		n, err := c.write(batch, &vec)
		c.writes.Add(1)
		c.net.counters.wrote(len(batch), n)
		c.finish(batch, err)
		if err != nil {
			c.fail(err)
		}
	}
}

// take waits for frames and returns the most urgent ones, or none once the connection
// has failed.
func (c *conn) take(batch []*frame) []*frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.failed != nil {
			return batch
		}
		size := 0
		for i := range c.lanes {
			for size < maxWriteBytes && len(batch) < maxWriteFrames && !c.due {
				f := c.lanes[i].pop()
				if f == nil {
					break
				}
				c.due = c.serial && f.sent == nil
				size += len(f.b)
				batch = append(batch, f)
			}
		}
		if len(batch) > 0 {
			return batch
		}
		c.wake.Wait()
	}
}

// vector is the memory of one write: small frames are gathered in one piece, since a
// piece of their own costs each of them more than the copy.
type vector struct {
	pieces net.Buffers
	copied []byte
}

const (
	maxCopied      = 32 << 10
	maxCopiedFrame = 2 << 10
)

// write writes the frames of a batch in their order, in one system call.
func (c *conn) write(batch []*frame, v *vector) (int64, error) {
	for _, f := range batch {
		f.seal()
	}
	s, ok := c.nc.(*secured)
	if !ok {
		return c.writePlain(batch, v)
	}
	s.inner.cork()
	n, err := c.writePlain(batch, v)
	return n, errors.Join(err, s.inner.uncork())
}

func (c *conn) writePlain(batch []*frame, v *vector) (int64, error) {
	if len(batch) == 1 {
		n, err := c.nc.Write(batch[0].b)
		return int64(n), err
	}
	if v.copied == nil {
		v.copied = make([]byte, 0, maxCopied)
	}
	pieces, copied, from := v.pieces[:0], v.copied[:0], 0
	for _, f := range batch {
		if len(f.b) <= maxCopiedFrame && len(copied)+len(f.b) <= maxCopied {
			copied = append(copied, f.b...)
			continue
		}
		if from < len(copied) {
			pieces = append(pieces, copied[from:])
			from = len(copied)
		}
		pieces = append(pieces, f.b)
	}
	if from < len(copied) {
		pieces = append(pieces, copied[from:])
	}
	if len(pieces) == 1 {
		n, err := c.nc.Write(pieces[0])
		return int64(n), err
	}
	v.pieces = pieces // WriteTo moves v.pieces; pieces keeps the memory
	n, err := v.pieces.WriteTo(c.nc)
	clear(pieces)
	v.pieces = pieces[:0]
	return n, err
}

// finish gives the frames of a write back.
func (c *conn) finish(batch []*frame, err error) {
	size := 0
	for i, f := range batch {
		size += len(f.b)
		if f.sent != nil {
			f.sent(err)
		}
		c.net.frames.put(f)
		batch[i] = nil
	}
	c.mu.Lock()
	c.queued -= size
	c.room.Broadcast()
	c.mu.Unlock()
}

// abandon releases the frames that were never written and calls each for them. It runs
// after the connection failed.
func (c *conn) abandon(each func(f *frame)) {
	c.mu.Lock()
	var left []*frame
	for i := range c.lanes {
		for f := c.lanes[i].pop(); f != nil; f = c.lanes[i].pop() {
			left = append(left, f)
			c.queued -= len(f.b)
		}
	}
	c.mu.Unlock()
	for _, f := range left {
		if each != nil {
			each(f)
		}
		c.net.frames.put(f)
	}
}

// progress notices a counter that stands still.
type progress struct {
	seen   uint64
	rounds int
}

// idle returns for how long, at least, v has not changed while busy.
func (p *progress) idle(v uint64, busy bool) time.Duration {
	if !busy || v != p.seen {
		p.seen, p.rounds = v, 0
		return 0
	}
	p.rounds++
	return time.Duration(p.rounds-1) * watchInterval
}

// stuck returns why the connection must end if it makes no progress. It is called every
// watchInterval by one goroutine.
func (c *conn) stuck() error {
	cfg := &c.net.cfg
	if v := c.reader.partial.Load(); c.receiving.idle(v, v&1 == 1) >= cfg.FrameTimeout {
		return refuse(ReasonSlowFrame, "a frame did not arrive within %v", cfg.FrameTimeout)
	}
	if v := c.writes.Load(); c.sending.idle(v, v&1 == 1) >= cfg.FrameTimeout {
		return refuse(ReasonSlowFrame, "a write did not end within %v", cfg.FrameTimeout)
	}
	if c.waits == nil {
		return nil
	}
	c.mu.Lock()
	due := c.waits()
	c.mu.Unlock()
	silent := c.answering.idle(c.reader.received.Load(), due)
	switch {
	case silent >= cfg.StallTimeout:
		return refuse(ReasonStalled, "answers are due and nothing arrived for %v", cfg.StallTimeout)
	case silent >= cfg.ProbeAfter && c.probe != nil && !c.probed:
		c.probed = true
		c.probe()
	case silent >= 2*cfg.ProbeAfter && c.probed && c.heard != nil:
		c.heard(silent)
	case silent == 0:
		if c.probed && c.heard != nil {
			c.heard(0)
		}
		c.probed = false
	}
	return nil
}
