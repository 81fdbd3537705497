package world

import (
	"errors"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/disk"
	"github.com/seed-814fcd60/raftwire/wal"
)

// store is the log as the runtime sees it. It puts time between a batch and its
// durability.
type store struct{ n *node }

// Submit implements runtime.LogStore.
func (s store) Submit(b *wal.Batch, done func(error)) {
	n := s.n
	n.submitted++
	n.waiting.push(done)
	n.log.Submit(b, n.written)
	n.busyDisk()
}

// Group implements runtime.LogStore.
func (s store) Group(id runtime.GroupID) *wal.Group { return s.n.log.Group(id) }

// written is the log's answer to the oldest batch under way. The node may hear of it a
// while later: the disk has it, and who crashes in between does not know.
func (n *node) written(err error) {
	n.submitted--
	done := n.waiting.pop()
	w := n.w
	n.wantsRoom = n.wantsRoom || errors.Is(err, wal.ErrNoSpace)
	late := w.strikes(toldLate, &w.disk)
	if !late && n.told.size == 0 {
		done(err)
		return
	}
	at := max(w.now, n.toldAt)
	if late {
		at += w.disk.N(election)
	}
	n.toldAt = at
	n.told.push(told{done, err})
	w.push(at, event{kind: evTold, node: int8(n.place), gen: n.life})
}

// busyDisk makes the log write soon.
func (n *node) busyDisk() {
	if n.writing {
		return
	}
	n.writing = true
	w := n.w
	d := w.k.diskDelay/2 + w.disk.N(w.k.diskDelay)
	switch {
	case w.strikes(diskSlow, &w.disk):
		d *= 20
	case w.strikes(diskHang, &w.disk):
		d += w.disk.N(5 * election)
	}
	w.push(max(w.now+1+d, n.hangUntil), event{kind: evDisk, node: int8(n.place), gen: n.life})
}

// write lets the log write and sync one frame, and now and then do its housework: at
// once after a refusal for want of space, which wakes the housekeeper of any log.
func (n *node) write() {
	n.writing = false
	n.turns++
	if n.submitted > 0 || n.turns%16 == 0 {
		n.w.did.frames++
		n.log.Step()
	}
	if n.turns%16 == 0 || n.wantsRoom {
		n.wantsRoom = false
		for range 4 {
			if !n.log.Step() {
				break
			}
		}
	}
	if n.submitted > 0 {
		n.busyDisk()
	}
	n.after()
}

// beforeDisk is where a disk fails, and where the power does.
func (n *node) beforeDisk(op disk.Op, _ int) error {
	w := n.w
	if n.doomedAt > 0 {
		if n.doomedAt--; n.doomedAt == 0 {
			panic(powerLoss{})
		}
	}
	if w.calm {
		return nil
	}
	if n.fullUntil > w.now && op == disk.Create {
		return disk.ErrNoSpace
	}
	switch op {
	case disk.Write, disk.Sync, disk.Create, disk.Rename, disk.SyncDir, disk.Remove:
		if n.booted && w.strikes(crashDisk, &w.disk) {
			panic(powerLoss{})
		}
		if n.booted && w.strikes(diskError, &w.disk) {
			w.trace(n, "disk error", "operation %d", op)
			return disk.ErrIO
		}
	default:
	}
	return nil
}

// logClock is the clock of a node's log.
type logClock struct{ n *node }

// Now implements wal.Clock.
func (c logClock) Now() time.Time { return time.Unix(1_000_000, c.n.local()) }

// NewTimer implements wal.Clock.
func (c logClock) NewTimer(f func()) wal.Timer {
	t := &logTimer{n: c.n, slot: int32(len(c.n.timers)), fire: f, life: c.n.life}
	c.n.timers = append(c.n.timers, t)
	return t
}

type logTimer struct {
	n    *node
	slot int32
	gen  uint32
	life uint32
	fire func()
}

// Reset implements wal.Timer.
func (t *logTimer) Reset(d time.Duration) bool {
	t.gen++
	t.n.w.push(t.n.w.now+int64(d), event{kind: evLogTimer, node: int8(t.n.place), gen: t.life, slot: t.slot, x: t.gen})
	return true
}

// Stop implements wal.Timer.
func (t *logTimer) Stop() bool {
	t.gen++
	return true
}

// ring is a queue in one growing array.
type ring[T any] struct {
	buf  []T
	head int
	size int
}

func (r *ring[T]) push(v T) {
	if r.size == len(r.buf) {
		buf := make([]T, max(16, 2*len(r.buf)))
		k := copy(buf, r.buf[r.head:])
		copy(buf[k:], r.buf[:r.head])
		r.buf, r.head = buf, 0
	}
	r.buf[(r.head+r.size)&(len(r.buf)-1)] = v
	r.size++
}

func (r *ring[T]) pop() T {
	var zero T
	v := r.buf[r.head]
	r.buf[r.head] = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.size--
	return v
}
