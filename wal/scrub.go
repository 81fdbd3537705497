package wal

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// ScrubReport is what a scrub has read and what it found.
type ScrubReport struct {
	Segments int
	Frames   int64
	Bytes    int64
	// Damage names what is damaged and still counts: one error per entry with a bad
	// body, one per stretch of entries in a damaged frame, and one without a group for
	// a damaged frame in which no entry counts.
	Damage []*CorruptError
}

// Scrub reads the whole log as it is now and checks every byte that has a
// checksum. It reads at most bytesPerSecond, 0 being no limit. It ends early, with
// ctx's error or ErrClosed and what it has so far, when ctx ends or the log closes.
// Entries that were repaired count as whole.
func (l *Log) Scrub(ctx context.Context, bytesPerSecond int64) (ScrubReport, error) {
	var rep ScrubReport
	pace := newPacer(l, bytesPerSecond)
	defer pace.stop()
	l.segs.mu.RLock()
	list := slices.Clone(l.segs.list)
	for _, seg := range list {
		seg.refs.Add(1)
	}
	closed := l.segs.closed
	l.segs.mu.RUnlock()
	var err error
	if closed {
		err = ErrClosed
	}
	for _, seg := range list {
		if err == nil {
			err = l.scrubSegment(ctx, seg, pace, &rep)
		}
		_ = seg.release() // opened for reading
	}
	return rep, err
}

func (l *Log) scrubSegment(ctx context.Context, seg *segment, pace *pacer, rep *ScrubReport) error {
	end := seg.end.Load() // before the file's size: both may grow meanwhile
	s, err := newScanner(seg.r, &segmentHeader{seq: seg.seq, base: seg.base, salt: seg.salt, chainIn: seg.chainIn})
	if err != nil {
		return err
	}
	rep.Segments++
	for s.lsn < end {
		at := s.lsn
		fr, v, err := s.next()
		if err != nil {
			return err
		}
		if v != frameWhole {
			if err := s.skip(end); err != nil {
				return err
			}
			rep.Damage = append(rep.Damage, l.damagedFrames(seg, at, s.lsn)...)
		} else {
			rep.Frames++
			rep.Damage = append(rep.Damage, l.damagedBodies(seg, &fr)...)
		}
		rep.Bytes += int64(s.lsn - at)
		if err := pace.spend(ctx, int64(s.lsn-at)); err != nil {
			return err
		}
	}
	return nil
}

// skip moves to the next place before end where a frame begins.
func (s *scanner) skip(end uint64) error {
	for s.lsn += alignBytes; s.lsn < end; s.lsn += alignBytes {
		b, err := s.read(s.offset(), frameHeaderBytes)
		if err != nil {
			return err
		}
		if h, _, ok := decodeFrameHeader(b, s.salt, s.lsn, s.seq); ok {
			s.chain = h.chain
			return nil
		}
	}
	return nil
}

// damagedBodies checks the entries of a frame whose structure is whole.
func (l *Log) damagedBodies(seg *segment, fr *scannedFrame) (found []*CorruptError) {
	fr.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
		if h.typ != recEntries || verifyEntries(&h, rec) < 0 {
			return true
		}
		for _, i := range badEntries(&h, rec) {
			if l.isCurrent(h.group, i, lsn) {
				slot := decodeSlot(rec[recordHeaderBytes+int(i-h.index)*entrySlotBytes:])
				found = append(found, &CorruptError{
					Segment: seg.seq, Offset: seg.offset(lsn), Group: h.group,
					Lo: raftpb.Index(i), Hi: raftpb.Index(i) + 1, Reason: damagedBody,
					Kind: raftpb.EntryKind(slot.kind), Crc32c: int64(slot.crc), end: lsn + uint64(h.length),
				})
			}
		}
		return true
	})
	return found
}

const damagedBody = "body does not match its checksum"

// badEntries lists the positions of the entries whose bodies do not match.
func badEntries(h *recordHeader, rec []byte) (bad []uint64) {
	if h.flags&recStripped != 0 {
		return nil
	}
	at := h.covered()
	for i := range int(h.count) {
		slot := decodeSlot(rec[recordHeaderBytes+i*entrySlotBytes:])
		end := at + int(slot.bytes)
		if end > len(rec) || entryCRC(slot.kind, rec[at:end]) != slot.crc {
			bad = append(bad, h.index+uint64(i))
		}
		at = min(end, len(rec))
	}
	return bad
}

// reportDamage tells of damage that nobody was reading for.
func (l *Log) reportDamage(e *CorruptError) {
	l.damaged.Add(1)
	l.o.Logger.Error("wal: damage found", "dir", l.dir, "err", e)
	if l.o.OnDamage != nil {
		l.o.OnDamage(e)
	}
}

// isCurrent reports whether the entry of group at i is the one in the record at lsn.
func (l *Log) isCurrent(group raftpb.GroupID, i, lsn uint64) bool {
	g := l.Group(group)
	g.mu.RLock()
	defer g.mu.RUnlock()
	at, ok := g.view.placeOf(i)
	return ok && at == lsn
}

// placeOf returns where the record stands that a read of position i goes to.
func (v *groupView) placeOf(i uint64) (lsn uint64, ok bool) {
	if i < v.first || i > v.last {
		return 0, false
	}
	if r, ok := v.repairs[i]; ok {
		return r.lsn, true
	}
	return v.runs[v.runAt(i)].lsn, true
}

// Suffers reports whether the entry at i, one of those that e names, is still the one that e
// found damaged: not repaired, overwritten, compacted or dropped since. It reads no disk, and
// it does not ask whether the entry can be read: a copy of its bytes may still be in memory.
func (g *Group) Suffers(e *CorruptError, i raftpb.Index) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	at, ok := g.view.placeOf(uint64(i))
	return ok && e.Group == g.id && i >= e.Lo && i < e.Hi && (e.end == 0 || at < e.end) // later records stand behind it
}

// damagedFrames names what counts between two LSNs.
func (l *Log) damagedFrames(seg *segment, from, to uint64) (found []*CorruptError) {
	const reason = "frame is damaged"
	counts := false
	l.mu.Lock()
	ids := l.sortedGroups()
	l.mu.Unlock()
	for _, id := range ids {
		g := l.Group(id)
		g.mu.RLock()
		for _, s := range g.view.damagedIn(from, to) {
			counts = true
			if s.lo < s.hi {
				found = append(found, &CorruptError{
					Segment: seg.seq, Offset: seg.offset(from), Group: id,
					Lo: raftpb.Index(s.lo), Hi: raftpb.Index(s.hi), Reason: reason, end: to,
				})
			}
		}
		g.mu.RUnlock()
	}
	if !counts {
		found = append(found, &CorruptError{Segment: seg.seq, Offset: seg.offset(from), Reason: reason})
	}
	return found
}

// stretch is the positions [lo, hi).
type stretch struct{ lo, hi uint64 }

// damagedIn returns the live entries whose records stand between two LSNs, but for those
// that were repaired: then an empty stretch is among the results.
func (v *groupView) damagedIn(from, to uint64) (found []stretch) {
	for _, r := range v.runs {
		if r.lsn >= from && r.lsn < to {
			lo := max(r.first, v.first)
			for lo < r.end() {
				hi := v.nextRepair(lo, r.end())
				found = append(found, stretch{lo, hi})
				lo = hi + 1
			}
		}
	}
	for _, r := range v.repairs {
		if r.lsn >= from && r.lsn < to {
			found = append(found, stretch{r.first, r.end()})
		}
	}
	return found
}

// pacer spreads reading over time.
type pacer struct {
	l     *Log
	rate  int64
	debt  int64 // bytes read since the last pause
	timer Timer
	rung  chan struct{}
}

func newPacer(l *Log, rate int64) *pacer {
	p := &pacer{l: l, rate: rate, rung: make(chan struct{}, 1)}
	p.timer = l.o.Clock.NewTimer(func() { p.rung <- struct{}{} })
	return p
}

func (p *pacer) stop() { p.timer.Stop() }

// spend accounts for n bytes and waits when they came too fast.
func (p *pacer) spend(ctx context.Context, n int64) error {
	p.debt += n
	if p.rate > 0 && p.debt >= max(1, p.rate/20) {
		p.timer.Reset(time.Duration(float64(p.debt) / float64(p.rate) * float64(time.Second)))
		p.debt = 0
		select {
		case <-p.rung:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.l.stop:
			return ErrClosed
		}
	}
	if p.l.stopping() {
		return errors.Join(ErrClosed, p.l.failure())
	}
	return ctx.Err()
}
