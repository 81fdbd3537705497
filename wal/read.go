package wal

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

const (
	readRuns   = 32       // runs looked at under one lock
	readWindow = 1 << 20  // bytes read at a time
	readGap    = 32 << 10 // bytes of other groups worth reading along instead of another call
	readSplit  = 16 << 10 // records above it are read in part when a part is wanted
)

// Entries appends the entries of [lo, hi) to dst until their bodies would pass
// maxBytes, but at least one. Every body is checked against its checksum; what
// does not match, or cannot be read, is a *CorruptError or the device's error.
// Below FirstIndex it fails with ErrCompacted, above LastIndex()+1 with
// ErrUnavailable; dst comes back unchanged then.
//
// What was handed over and is not yet written can be read too. Bodies never
// change and may be kept; those of one call may share memory.
func (g *Group) Entries(dst []raftpb.Entry, lo, hi raftpb.Index, maxBytes int) ([]raftpb.Entry, error) {
	return g.EntriesInto(nil, dst, lo, hi, maxBytes)
}

// ReadBuffer is memory that bodies are read into, call after call. The zero
// ReadBuffer is ready; it grows to what one call needs. For one goroutine.
type ReadBuffer struct {
	mem  []byte
	used int
}

// take returns n bytes. What was taken before stays as it is.
func (b *ReadBuffer) take(n int) []byte {
	if b == nil {
		return make([]byte, n)
	}
	if len(b.mem)-b.used < n {
		b.mem, b.used = make([]byte, max(n, 2*len(b.mem))), 0
	}
	p := b.mem[b.used : b.used+n : b.used+n]
	b.used += n
	return p
}

// EntriesInto is Entries with the bodies in buf, where they stay until its next
// use: for those who read much and keep nothing.
func (g *Group) EntriesInto(
	buf *ReadBuffer, dst []raftpb.Entry, lo, hi raftpb.Index, maxBytes int,
) ([]raftpb.Entry, error) {
	if buf != nil {
		buf.used = 0
	}
	r := reader{log: g.log, group: g.id, buf: buf, dst: dst, room: maxBytes, had: len(dst)}
	moved := uint64(0)
	for pos := uint64(lo); pos < uint64(hi); {
		var runs [readRuns]run
		n, end, err := g.locate(runs[:], pos, uint64(hi))
		if err != nil {
			return dst, err
		}
		pos, err = r.read(runs[:n], pos, end)
		if errors.Is(err, errMoved) && moved != pos {
			moved = pos
			continue // overwritten or compacted meanwhile: look again
		}
		if err != nil {
			return dst, err
		}
		if r.full {
			break
		}
	}
	return r.dst, nil
}

// errMoved means that the log changed while it was read.
var errMoved = errors.New("wal: read: moved")

// locate copies the runs that cover [lo, end), at most len(runs) and at most up to
// hi. A repaired entry comes alone.
func (g *Group) locate(runs []run, lo, hi uint64) (n int, end uint64, err error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	v := &g.view
	if lo < v.first {
		return 0, 0, ErrCompacted
	}
	if hi > v.last+1 {
		return 0, 0, ErrUnavailable
	}
	if r, ok := v.repairs[lo]; ok {
		runs[0] = r
		return 1, lo + 1, nil
	}
	hi = v.nextRepair(lo, hi)
	k := v.runAt(lo)
	for n < len(runs) && k < len(v.runs) && v.runs[k].first < hi {
		runs[n] = v.runs[k]
		n++
		k++
	}
	return n, min(hi, runs[n-1].end()), nil
}

// reader collects the entries of one call.
type reader struct {
	log   *Log
	group raftpb.GroupID
	buf   *ReadBuffer
	dst   []raftpb.Entry
	had   int // entries in dst that are not this call's
	room  int // bytes of bodies that may still be added
	full  bool
}

// read adds the entries of [lo, hi), which runs cover, and returns the position
// behind the last one added.
func (r *reader) read(runs []run, lo, hi uint64) (uint64, error) {
	for len(runs) > 0 && lo < hi && !r.full {
		n, err := r.readSome(runs, lo, hi)
		if err != nil {
			return lo, err
		}
		lo = min(hi, runs[n-1].end())
		runs = runs[n:]
	}
	return lo, nil
}

// readSome reads the first run, and those behind it that lie close by on disk.
func (r *reader) readSome(runs []run, lo, hi uint64) (n int, err error) {
	first := runs[0]
	if b := r.log.recent(first.lsn, int(first.bytes)); b != nil {
		return 1, r.addRecord(first, b, nil, lo, hi)
	}
	seg, err := r.log.segs.acquire(first.lsn)
	if err != nil {
		return 0, err
	}
	defer seg.release() //nolint:errcheck // opened for reading
	part := min(hi, first.end()) - lo
	if first.bytes > readSplit && (part <= uint64(first.count)/2 || r.room < int(first.bytes)/2) {
		return 1, r.readPart(seg, first, lo, hi)
	}
	n = r.together(seg, runs, hi)
	last := runs[n-1]
	b, err := r.load(seg, first.lsn, int(last.lsn-first.lsn)+int(last.bytes))
	if err != nil {
		return 0, err
	}
	for _, run := range runs[:n] {
		if lo >= hi || r.full {
			break
		}
		at := run.lsn - first.lsn
		if err := r.addRecord(run, b[at:at+uint64(run.bytes)], seg, lo, hi); err != nil {
			return 0, err
		}
		lo = min(hi, run.end())
	}
	return n, nil
}

// together says how many of the runs are worth one read.
func (r *reader) together(seg *segment, runs []run, hi uint64) int {
	n := 1
	for n < len(runs) && runs[n].first < hi {
		a, b := runs[n-1], runs[n]
		end := b.lsn + uint64(b.bytes)
		if b.lsn < a.lsn || end > seg.end.Load() || b.lsn-a.lsn-uint64(a.bytes) > readGap ||
			end-runs[0].lsn > readWindow || int(a.lsn-runs[0].lsn) > r.room {
			break
		}
		n++
	}
	return n
}

// load reads n bytes at lsn.
func (r *reader) load(seg *segment, lsn uint64, n int) ([]byte, error) {
	b := r.buf.take(n)
	return b, r.fill(seg, lsn, b)
}

func (r *reader) fill(seg *segment, lsn uint64, b []byte) error {
	got, err := seg.r.ReadAt(b, seg.offset(lsn))
	if got == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return r.corrupt(seg, lsn, "file ends early")
	}
	return fmt.Errorf("wal: read: segment %d at %d: %w", seg.seq, seg.offset(lsn), err)
}

// loadHead reads the header and the table of a run's record into h. It is one
// read unless the record has more entries than count.
func (r *reader) loadHead(seg *segment, run run, h *head) (recordHeader, error) {
	n := min(recordHeaderBytes+int(run.count)*entrySlotBytes, int(run.bytes))
	for {
		if cap(h.b) < n {
			h.b = make([]byte, n)
		}
		h.b = h.b[:n]
		if err := r.fill(seg, run.lsn, h.b); err != nil {
			return recordHeader{}, err
		}
		rh, ok := decodeRecordHeader(h.b)
		if !ok || rh.typ != recEntries || rh.covered() <= n || uint32(rh.covered()) > run.bytes {
			return r.head(run, h.b, seg) // which says what is wrong, if anything
		}
		n = rh.covered()
	}
}

// head is memory for a record's header and table; it goes back to heads.
type head struct{ b []byte }

var heads = sync.Pool{New: func() any { return new(head) }} //nolint:gochecknoglobals // a cache of memory

func (r *reader) corrupt(seg *segment, lsn uint64, reason string) *CorruptError {
	r.log.damaged.Add(1)
	e := &CorruptError{Group: r.group, Reason: reason}
	if seg != nil {
		e.Segment, e.Offset, e.end = seg.seq, seg.offset(lsn), lsn+1
	}
	return e
}

// head checks the header and the table of a run's record. Checksums of what is
// still in memory are not computed again.
func (r *reader) head(run run, b []byte, seg *segment) (recordHeader, error) {
	h, ok := decodeRecordHeader(b)
	ok = ok && h.typ == recEntries && h.group == r.group && h.index == run.first &&
		h.length == run.bytes && h.count >= run.count
	if ok && seg != nil {
		ok = verifyRecord(&h, b, seg.salt, run.lsn)
	}
	if !ok {
		e := r.corrupt(seg, run.lsn, "record is damaged")
		e.Lo, e.Hi = raftpb.Index(run.first), raftpb.Index(run.end())
		return h, e
	}
	return h, nil
}

// addRecord adds the entries of [lo, hi) that run, whose whole record is b, holds.
func (r *reader) addRecord(run run, b []byte, seg *segment, lo, hi uint64) error {
	h, err := r.head(run, b, seg)
	if err != nil {
		return err
	}
	at := h.covered()
	for i := run.first; i < min(hi, run.end()) && !r.full; i++ {
		slot := decodeSlot(b[recordHeaderBytes+(i-run.first)*entrySlotBytes:])
		if h.flags&recStripped != 0 {
			if i >= lo {
				err = r.add(&h, slot, nil, seg, run, i)
			}
		} else {
			end := at + int(slot.bytes)
			if end > len(b) {
				return r.damaged(seg, run, i, slot)
			}
			if i >= lo {
				err = r.add(&h, slot, b[at:end:end], seg, run, i)
			}
			at = end
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readPart reads the table of a large record, and of the bodies only those of
// [lo, hi).
func (r *reader) readPart(seg *segment, run run, lo, hi uint64) error {
	hi = min(hi, run.end())
	table := heads.Get().(*head) //nolint:forcetypeassert // nothing else is in there
	defer heads.Put(table)
	h, err := r.loadHead(seg, run, table)
	if err != nil {
		return err
	}
	if h.flags&recStripped != 0 {
		return r.addRecord(run, table.b, seg, lo, hi)
	}
	from, to := h.covered(), 0
	slot := func(i uint64) entrySlot {
		return decodeSlot(table.b[recordHeaderBytes+(i-run.first)*entrySlotBytes:])
	}
	for i := run.first; i < lo; i++ {
		from += int(slot(i).bytes)
	}
	last := lo
	for room := r.room; last < hi && (last == lo || int(slot(last).bytes) <= room); last++ {
		room -= int(slot(last).bytes)
		to += int(slot(last).bytes)
	}
	if from+to > int(run.bytes) {
		return r.damaged(seg, run, lo, slot(lo))
	}
	b, err := r.load(seg, run.lsn+uint64(from), to)
	if err != nil {
		return err
	}
	for i := lo; i < last && !r.full; i++ {
		n := int(slot(i).bytes)
		if err := r.add(&h, slot(i), b[:n:n], seg, run, i); err != nil {
			return err
		}
		b = b[n:]
	}
	r.full = r.full || last < hi
	return nil
}

// add appends one entry after checking its body.
func (r *reader) add(h *recordHeader, slot entrySlot, body []byte, seg *segment, run run, i uint64) error {
	if len(r.dst) > r.had && len(body) > r.room {
		r.full = true
		return nil
	}
	r.room -= len(body)
	e := raftpb.Entry{
		Term: raftpb.Term(h.term), Kind: raftpb.EntryKind(slot.kind), Body: body, Crc32c: int64(slot.crc),
	}
	if h.flags&recStripped != 0 {
		e.StrippedBytes = codec.Some(int32(slot.bytes))
	} else if entryCRC(slot.kind, body) != slot.crc {
		return r.damaged(seg, run, i, slot)
	}
	r.dst = append(r.dst, e)
	return nil
}

func (r *reader) damaged(seg *segment, run run, i uint64, slot entrySlot) error {
	e := r.corrupt(seg, run.lsn, damagedBody)
	e.Kind, e.Crc32c = raftpb.EntryKind(slot.kind), int64(slot.crc)
	e.Lo, e.Hi = raftpb.Index(i), raftpb.Index(i)+1
	return e
}
