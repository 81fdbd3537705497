package wal

import (
	"hash/crc32"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

const hardStateBytes = 24

// frame is what one write puts into the log: a header and the records of all
// batches that were handed over while the write before was under way.
//
// Its place in the log is known before its content: it begins where the frame
// before it ends. So records are sealed as they are encoded, and readers find
// them by LSN before they are written.
//
// Owned by Log.mu but for the bytes of finished records, which never change:
// readers may hold slices of them. shared then keeps the buffer from being used again.
type frame struct {
	buf     []byte // header and records; padded when it is written
	lsn     uint64
	salt    uint64
	records uint32
	batches int
	tcrc    uint32
	began   time.Time     // when its write began
	stood   time.Duration // of the time since then, in which the whole process stood still; the watchdog's
	sync    bool          // some batch in it wants to be durable
	urgent  bool          // some caller waits for it to be written
	force   bool          // write it even without records
	frees   bool          // something in it made older entries dead
	shared  bool
	written bool
	waiters []waiter
}

// waiter is told what became of a batch.
type waiter struct {
	done func(error)
	err  error // overrides the outcome of the frame
}

func (f *frame) reset(lsn, salt uint64) {
	if cap(f.buf) < frameHeaderBytes {
		f.buf = make([]byte, 0, alignBytes)
	}
	*f = frame{buf: f.buf[:frameHeaderBytes], lsn: lsn, salt: salt, waiters: f.waiters[:0]}
}

// end is the LSN behind the frame.
func (f *frame) end() uint64 {
	if f.records == 0 && !f.force {
		return f.lsn
	}
	return f.lsn + uint64(alignUp(len(f.buf)))
}

// record reserves n bytes, zeroes the padding and returns them with their LSN.
func (f *frame) record(n int) (b []byte, lsn uint64) {
	at := len(f.buf)
	padded := at + pad8(n)
	if padded > cap(f.buf) {
		f.grow(padded)
	}
	f.buf = f.buf[:padded]
	clear(f.buf[at+n:])
	f.records++
	return f.buf[at : at+n : at+n], f.lsn + uint64(at)
}

// grow moves the records to a larger buffer. The old one is left to those who
// read from it.
func (f *frame) grow(n int) {
	buf := make([]byte, len(f.buf), alignUp(max(n, 2*cap(f.buf))))
	copy(buf, f.buf)
	f.buf = buf
	f.shared = false
}

// seal finishes the record in b, of which covered bytes have a checksum.
func (f *frame) seal(b []byte, covered int, lsn uint64) {
	sealRecord(b[:covered], f.salt, lsn)
	f.tcrc = crc32.Update(f.tcrc, castagnoli, b[:covered])
}

// entries encodes entries of one term, all with bodies or all without, and
// returns where the record stands and its length.
func (f *frame) entries(
	g raftpb.GroupID, first raftpb.Index, entries []raftpb.Entry, flags uint8,
) (lsn uint64, length uint32) {
	n := recordHeaderBytes + len(entries)*entrySlotBytes
	table := n
	for i := range entries {
		n += len(entries[i].Body)
	}
	b, lsn := f.record(n)
	h := recordHeader{
		typ: recEntries, flags: flags, length: uint32(n), group: g, count: uint32(len(entries)),
		index: uint64(first), term: uint64(entries[0].Term),
	}
	if entries[0].StrippedBytes.Set {
		h.flags |= recStripped
	}
	h.encode(b)
	at := table
	for i := range entries {
		e := &entries[i]
		slot := entrySlot{bytes: uint32(len(e.Body)), kind: uint8(e.Kind), crc: uint32(e.Crc32c)}
		if e.StrippedBytes.Set {
			slot.bytes = uint32(e.StrippedBytes.Value)
		}
		slot.encode(b[recordHeaderBytes+i*entrySlotBytes:])
		at += copy(b[at:], e.Body)
	}
	f.seal(b, table, lsn)
	return lsn, uint32(n)
}

// plain encodes a record of any other type.
func (f *frame) plain(h recordHeader, payload []byte) (lsn uint64) {
	h.length = uint32(recordHeaderBytes + len(payload))
	b, lsn := f.record(int(h.length))
	h.encode(b)
	copy(b[recordHeaderBytes:], payload)
	f.seal(b, int(h.length), lsn)
	return lsn
}

func (f *frame) hardState(g raftpb.GroupID, hs HardState, flags uint8) uint64 {
	var p [hardStateBytes]byte
	put64(p[0:], uint64(hs.Term))
	put64(p[8:], uint64(hs.Vote))
	put64(p[16:], uint64(hs.Commit))
	return f.plain(recordHeader{typ: recHardState, flags: flags, group: g}, p[:])
}

func decodeHardState(p []byte) (HardState, bool) {
	if len(p) != hardStateBytes {
		return HardState{}, false
	}
	return HardState{
		Term:   raftpb.Term(le64(p)),
		Vote:   raftpb.NodeID(le64(p[8:])),
		Commit: raftpb.Index(le64(p[16:])),
	}, true
}

// finish pads the frame, writes its header and returns the bytes to write and
// the chain value for the next one.
func (f *frame) finish(kind uint8, seg *segment, durable uint64, chain uint32, nano int64) (b []byte, hcrc uint32) {
	n := len(f.buf)
	if padded := alignUp(n); padded > cap(f.buf) {
		f.grow(padded)
	}
	b = f.buf[:alignUp(n)]
	clear(b[n:])
	h := frameHeader{
		kind: kind, lsn: f.lsn, durable: durable, segment: seg.seq,
		bodyLen: uint32(n - frameHeaderBytes), records: f.records, tcrc: f.tcrc, chain: chain, nano: nano,
	}
	return b, h.encode(b, f.salt)
}
