package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// floorLog is the floor's write-ahead log. A prewritten one is a ring over a file
// whose blocks exist already, which is what recycling segments amounts to.
type floorLog struct {
	prewritten, direct bool
	depth              int // writes under way at a time; 0 is 1
	f                  *os.File
	at                 int64
	buf                []byte
	tail               int // direct: bytes of buf that belong to the unfinished last block
}

const blockBytes = 4096

func padded(n int) int { return (n + blockBytes - 1) &^ (blockBytes - 1) }

func (l *floorLog) open(path string) (err error) {
	if l.f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return err
	}
	if l.prewritten {
		if err := fill(l.f, floorSegment); err != nil {
			return err
		}
	}
	l.buf = aligned(floorMaxBuffer)
	if l.direct {
		l.f.Close()
		l.f, err = os.OpenFile(path, os.O_RDWR|unix.O_DIRECT|unix.O_DSYNC, 0o644)
	}
	return err
}

// gather copies frames into buf behind the first n bytes and leaves room for the
// padding of the last block. It returns the buffer, grown where needed.
func gather(buf []byte, n int, frames [][]byte) ([]byte, int) {
	for _, f := range frames {
		if n+len(f)+blockBytes > len(buf) {
			grown := aligned(2*len(buf) + len(f))
			copy(grown, buf[:n])
			buf = grown
		}
		n += copy(buf[n:], f)
	}
	return buf, n
}

// append makes frames durable.
func (l *floorLog) append(frames [][]byte) error {
	var n int
	l.buf, n = gather(l.buf, l.tail, frames)
	if l.prewritten && l.at+int64(n)+blockBytes > floorSegment {
		l.at = 0
	}
	if !l.direct {
		if _, err := l.f.WriteAt(l.buf[:n], l.at); err != nil {
			return err
		}
		l.at += int64(n)
		return unix.Fdatasync(int(l.f.Fd()))
	}
	// Whole blocks only; the last, partly filled one is written again next time.
	whole := padded(n)
	clear(l.buf[n:whole])
	if _, err := l.f.WriteAt(l.buf[:whole], l.at); err != nil {
		return fmt.Errorf("direct write: %w", err)
	}
	l.tail = n % blockBytes
	done := n - l.tail
	l.at += int64(done)
	copy(l.buf, l.buf[done:n])
	return nil
}

// diskLoop makes frames durable; all that waited share one sync.
func (n *floorNode) diskLoop() {
	for {
		frames, ok := n.toDisk.wait()
		if !ok {
			return
		}
		last := frameLast(frames[len(frames)-1])
		if err := n.log.append(frames); err != nil {
			n.fatal(err)
		}
		n.toDisk.recycle(frames)
		n.ack(last)
	}
}

// floorWrite is one write of diskPipe.
type floorWrite struct {
	buf  []byte
	at   int64
	last uint64
	done chan error
}

// diskPipe is diskLoop with several writes under way: a batch need not wait for
// the sync before it, only be acknowledged after it. Each write starts on a block
// of its own.
func (n *floorNode) diskPipe() {
	depth := n.log.depth
	free, work, order := make(chan []byte, depth), make(chan *floorWrite, depth), make(chan *floorWrite, depth)
	for range depth {
		free <- aligned(floorMaxBuffer)
		go func() {
			for w := range work {
				_, err := n.log.f.WriteAt(w.buf, w.at)
				w.done <- err
			}
		}()
	}
	go func() {
		for w := range order {
			if err := <-w.done; err != nil {
				n.fatal(err)
			}
			n.ack(w.last)
			free <- w.buf[:cap(w.buf)]
		}
	}()
	defer close(work)
	defer close(order)
	for {
		buf := <-free // a slot first, so that what queues up meanwhile goes along
		frames, ok := n.toDisk.wait()
		if !ok {
			return
		}
		buf, size := gather(buf, 0, frames)
		whole := padded(size)
		clear(buf[size:whole])
		if n.log.at+int64(whole) > floorSegment {
			n.log.at = 0
		}
		w := &floorWrite{buf[:whole], n.log.at, frameLast(frames[len(frames)-1]), make(chan error, 1)}
		n.log.at += int64(whole)
		n.toDisk.recycle(frames)
		order <- w
		work <- w
	}
}
