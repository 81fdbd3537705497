package wal

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// A footer is a closed segment without its bodies: what replaying the segment
// does to the groups, in the catalog, so that Open need not read the segment.
//
//	key    's' | u64 segment, big-endian | u16 part, big-endian
//	value  u32 crc32c of the rest | u16 part | u16 parts | piece, at most 24 KiB
//	pieces put together:
//	  u64 base | u64 end | u64 salt | u32 chain in | u32 chain out | u32 frames | u32 records
//	  records: u8 type | u8 flags | varints: group, index, count, term, bytes of the
//	           record, LSN minus that of the record before | hard states and
//	           snapshots: varint length | payload
//
// Of several hard states of a group only the last one is kept. A footer that does
// not check is not used: the segment is read instead.
type footer struct {
	base, end, salt   uint64
	chainIn, chainOut uint32
	frames, records   uint32
	body              []byte
}

const (
	footerHead  = 40
	footerPiece = 24 << 10 // pebble's log is at its best with small batches
	keyFooter   = 's'
)

func footerKey(seq uint64, part int) []byte {
	k := make([]byte, 0, 11)
	k = append(k, keyFooter)
	k = binary.BigEndian.AppendUint64(k, seq)
	return binary.BigEndian.AppendUint16(k, uint16(part))
}

// footerWriter collects the records of one segment.
type footerWriter struct {
	body  []byte
	last  uint64 // LSN of the record before
	hard  map[raftpb.GroupID]hardRecord
	frame uint32
	recs  uint32
}

type hardRecord struct {
	h       recordHeader
	lsn     uint64
	payload []byte
}

func (w *footerWriter) add(h recordHeader, rec []byte, lsn uint64) {
	w.recs++
	switch h.typ {
	case recHardState:
		w.hard[h.group] = hardRecord{h: h, lsn: lsn, payload: slices.Clone(rec[recordHeaderBytes:])}
	case recDestroy:
		delete(w.hard, h.group)
		w.put(h, nil, lsn)
	case recSnapshot:
		w.put(h, rec[recordHeaderBytes:], lsn)
	default:
		w.put(h, nil, lsn)
	}
}

func (w *footerWriter) put(h recordHeader, payload []byte, lsn uint64) {
	b := append(w.body, h.typ, h.flags)
	b = binary.AppendVarint(b, int64(h.group))
	for _, v := range [...]uint64{h.index, uint64(h.count), h.term, uint64(h.length)} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendVarint(b, int64(lsn-w.last))
	w.last = lsn
	if h.typ == recHardState || h.typ == recSnapshot {
		b = binary.AppendUvarint(b, uint64(len(payload)))
		b = append(b, payload...)
	}
	w.body = b
}

// finish puts the hard states behind everything else: nothing else depends on
// where they stand, but for destruction, which has dropped those before it.
func (w *footerWriter) finish() {
	groups := make([]raftpb.GroupID, 0, len(w.hard))
	for g := range w.hard {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		r := w.hard[g]
		w.put(r.h, r.payload, r.lsn)
	}
}

func (f *footer) encode() []byte {
	b := make([]byte, footerHead, footerHead+len(f.body))
	put64(b, f.base)
	put64(b[8:], f.end)
	put64(b[16:], f.salt)
	put32(b[24:], f.chainIn)
	put32(b[28:], f.chainOut)
	put32(b[32:], f.frames)
	put32(b[36:], f.records)
	return append(b, f.body...)
}

func decodeFooter(b []byte) (f footer, ok bool) {
	if len(b) < footerHead {
		return f, false
	}
	return footer{
		base: le64(b), end: le64(b[8:]), salt: le64(b[16:]), chainIn: le32(b[24:]), chainOut: le32(b[28:]),
		frames: le32(b[32:]), records: le32(b[36:]), body: b[footerHead:],
	}, true
}

// walk calls fn for each record with a stand-in that has its header and, if it
// has one, its payload. It reports whether the footer is well-formed and fn
// accepted everything.
func (f *footer) walk(fn func(h recordHeader, rec []byte, lsn uint64) bool) bool {
	d := footerReader{b: f.body}
	rec := make([]byte, recordHeaderBytes)
	for lsn := uint64(0); len(d.b) > 0; {
		h := recordHeader{typ: d.byte(), flags: d.byte(), group: raftpb.GroupID(d.signed())}
		h.index, h.count, h.term, h.length = d.unsigned(), uint32(d.unsigned()), d.unsigned(), uint32(d.unsigned())
		lsn += uint64(d.signed())
		rec = rec[:recordHeaderBytes]
		if h.typ == recHardState || h.typ == recSnapshot {
			rec = append(rec, d.take(d.unsigned())...)
		}
		if d.bad || h.typ < recEntries || h.typ > recTrust || !fn(h, rec, lsn) {
			return false
		}
	}
	return true
}

type footerReader struct {
	b   []byte
	bad bool
}

func (d *footerReader) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad = true
		d.b = nil
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *footerReader) byte() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *footerReader) unsigned() uint64 {
	v, n := binary.Uvarint(d.b)
	d.take(uint64(max(n, 0)))
	d.bad = d.bad || n <= 0
	return v
}

func (d *footerReader) signed() int64 {
	v, n := binary.Varint(d.b)
	d.take(uint64(max(n, 0)))
	d.bad = d.bad || n <= 0
	return v
}

// footerStep writes the footer of a closed segment that has none. Everything in
// the segment is read and checked on the way, so damage is found while replicas
// still have the entries. The newest closed segment waits: with groups that are
// compacted often, many segments never need a footer.
func (l *Log) footerStep() (bool, error) { return l.footOne(2) }

// lastFooters makes the footers that footerStep has left, for the next Open to read
// little. Close calls it when nothing else runs any more.
func (l *Log) lastFooters() error {
	l.alone = true
	for {
		if worked, err := l.footOne(1); err != nil || !worked {
			return err
		}
	}
}

// footOne writes the footer of the oldest segment without one, but for the newest ones.
func (l *Log) footOne(newest int) (bool, error) {
	l.segs.mu.RLock()
	var seg *segment
	for _, s := range l.segs.list[:max(0, len(l.segs.list)-newest)] {
		if !s.footed {
			seg = s
			s.refs.Add(1)
			break
		}
	}
	l.segs.mu.RUnlock()
	if seg == nil {
		return false, nil
	}
	defer seg.release() //nolint:errcheck // opened for reading
	seg.footed = true   // also when it fails: once per Log is enough
	f, err := l.readFooted(seg)
	if err != nil {
		return false, err
	}
	if err := l.saveFooter(seg.seq, f.encode()); err != nil {
		return false, err
	}
	l.mu.Lock()
	l.counts.footers++
	l.mu.Unlock()
	return true, nil
}

// readFooted makes the footer of a closed segment from its file.
func (l *Log) readFooted(seg *segment) (footer, error) {
	s, err := newScanner(seg.r, &segmentHeader{seq: seg.seq, base: seg.base, salt: seg.salt, chainIn: seg.chainIn})
	if err != nil {
		return footer{}, err
	}
	s.borrowWindow()
	defer s.returnWindow()
	w := footerWriter{hard: map[raftpb.GroupID]hardRecord{}}
	for end := seg.end.Load(); s.lsn < end; {
		if l.stopping() && !l.alone {
			return footer{}, ErrClosed
		}
		at := s.offset()
		fr, v, err := s.next()
		if err != nil {
			return footer{}, err
		}
		if v != frameWhole {
			e := &CorruptError{Segment: seg.seq, Offset: at, Reason: "frame is damaged"}
			l.reportDamage(e)
			return footer{}, e
		}
		for _, e := range l.damagedBodies(seg, &fr) {
			l.reportDamage(e) // the footer does without bodies
		}
		w.frame++
		fr.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
			w.add(h, rec, lsn)
			return true
		})
	}
	w.finish()
	return footer{
		base: seg.base, end: s.lsn, salt: seg.salt, chainIn: seg.chainIn, chainOut: s.chain,
		frames: w.frame, records: w.recs, body: w.body,
	}, nil
}

func (l *Log) saveFooter(seq uint64, b []byte) error {
	parts := (len(b) + footerPiece - 1) / footerPiece
	if parts > 1<<16-1 {
		return nil // a segment of a size that is quicker to read than to describe
	}
	for part := range parts {
		piece := b[part*footerPiece : min(len(b), (part+1)*footerPiece)]
		v := make([]byte, 8, 8+len(piece))
		binary.LittleEndian.PutUint16(v[4:], uint16(part))
		binary.LittleEndian.PutUint16(v[6:], uint16(parts))
		v = append(v, piece...)
		put32(v, crc32.Checksum(v[4:], castagnoli))
		// A footer that is lost is made again: no sync.
		if err := l.cat.Apply([]CatalogChange{{Key: footerKey(seq, part), Value: v}}, false); err != nil {
			return err
		}
	}
	return nil
}

// loadFooter returns the footer of a segment if the catalog has all of it and it
// is that of this segment.
func (l *Log) loadFooter(f *segFile, end uint64, chain uint32) (footer, bool) {
	prefix := footerKey(f.seq, 0)[:9]
	var b []byte
	next, parts := 0, 0
	err := l.cat.Scan(prefix, func(key, v []byte) error {
		if len(v) < 8 || le32(v) != crc32.Checksum(v[4:], castagnoli) ||
			int(binary.LittleEndian.Uint16(v[4:])) != next || len(key) != 11 {
			next = -1
			return nil
		}
		next++
		parts = int(binary.LittleEndian.Uint16(v[6:]))
		b = append(b, v[8:]...)
		return nil
	})
	if err != nil || next <= 0 || next != parts {
		return footer{}, false
	}
	ft, ok := decodeFooter(b)
	ok = ok && ft.base == f.base && ft.end == end && ft.salt == f.salt && ft.chainIn == f.chainIn && ft.chainOut == chain
	return ft, ok
}

// footerKeys are the changes that remove a segment's footer.
func (l *Log) footerKeys(seq uint64) []CatalogChange {
	var changes []CatalogChange
	_ = l.cat.Scan(footerKey(seq, 0)[:9], func(key, _ []byte) error {
		changes = append(changes, CatalogChange{Key: slices.Clone(key)})
		return nil
	})
	return changes // what is left behind names a segment that never comes back
}
