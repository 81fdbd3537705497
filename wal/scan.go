package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// verdict is what a scan found at one place of a segment.
type verdict uint8

const (
	frameWhole  verdict = iota // header and all records are as they were written
	frameAbsent                // no frame begins here
	frameTorn                  // a frame begins here, but the rest of it is something else
)

// scanner walks over the frames of one segment file.
type scanner struct {
	r     File
	size  int64 // of the file
	seq   uint64
	base  uint64
	salt  uint64
	lsn   uint64 // of the next frame
	chain uint32 // hcrc of the frame before it

	anyChain bool

	window   []byte
	windowAt int64
	lent     *[]byte // where the window came from
}

// scannedFrame is valid until the scanner moves on.
type scannedFrame struct {
	frameHeader
	hcrc  uint32
	bytes []byte // header and body, unpadded
}

func (f *scannedFrame) end() uint64 { return f.lsn + uint64(alignUp(len(f.bytes))) }

func newScanner(r File, h *segmentHeader) (*scanner, error) {
	st, err := r.Stat()
	if err != nil {
		return nil, fmt.Errorf("scan segment %d: %w", h.seq, err)
	}
	return &scanner{r: r, size: st.Size(), seq: h.seq, base: h.base, salt: h.salt, lsn: h.base, chain: h.chainIn}, nil
}

func (s *scanner) offset() int64 { return segHeaderBytes + int64(s.lsn-s.base) }

// read returns n bytes at off, fewer at the end of the file. An error is one of
// the device, never the end.
func (s *scanner) read(off int64, n int) ([]byte, error) {
	if off >= s.windowAt && off+int64(n) <= s.windowAt+int64(len(s.window)) {
		return s.window[off-s.windowAt:][:n], nil
	}
	want := min(int64(max(n, scanWindow)), max(0, s.size-off))
	if int64(cap(s.window)) < want {
		s.window = make([]byte, want)
	}
	s.window, s.windowAt = s.window[:want], off
	got, err := s.r.ReadAt(s.window, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.window = s.window[:0]
		return nil, fmt.Errorf("read segment %d at %d: %w", s.seq, off, err)
	}
	s.window = s.window[:got]
	return s.window[:min(n, got)], nil
}

// next reads the frame at s.lsn and, when it is whole, moves behind it.
func (s *scanner) next() (scannedFrame, verdict, error) {
	off := s.offset()
	b, err := s.read(off, frameHeaderBytes)
	if err != nil {
		return scannedFrame{}, frameAbsent, err
	}
	h, hcrc, ok := decodeFrameHeader(b, s.salt, s.lsn, s.seq)
	if !ok {
		return scannedFrame{}, frameAbsent, nil
	}
	n := int64(frameHeaderBytes) + int64(h.bodyLen)
	if h.chain != s.chain && !s.anyChain || n > s.size-off {
		return scannedFrame{}, frameTorn, nil
	}
	if b, err = s.read(off, int(n)); err != nil {
		return scannedFrame{}, frameTorn, err
	}
	f := scannedFrame{frameHeader: h, hcrc: hcrc, bytes: b}
	if int64(len(b)) < n || !f.verify(s.salt) {
		return scannedFrame{}, frameTorn, nil
	}
	s.lsn, s.chain = f.end(), hcrc
	return f, frameWhole, nil
}

// seek moves to the frame at lsn, which follows one whose hcrc is chain.
func (s *scanner) seek(lsn uint64, chain uint32) { s.lsn, s.chain = lsn, chain }

// nextAny is next for a frame whose predecessor was not read.
func (s *scanner) nextAny() (scannedFrame, verdict, error) {
	s.anyChain = true
	defer func() { s.anyChain = false }()
	return s.next()
}

// verify checks everything but the bodies of entries.
func (f *scannedFrame) verify(salt uint64) bool {
	tcrc, records := uint32(0), uint32(0)
	ok := f.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
		if !verifyRecord(&h, rec, salt, lsn) {
			return false
		}
		tcrc = crc32.Update(tcrc, castagnoli, rec[:h.covered()])
		records++
		return true
	})
	return ok && tcrc == f.tcrc && records == f.records
}

// verifyBodies checks the bodies of all entries against their checksums.
func (f *scannedFrame) verifyBodies() bool {
	return f.walk(func(h recordHeader, rec []byte, _ uint64) bool {
		return h.typ != recEntries || verifyEntries(&h, rec) < 0
	})
}

// verifyEntries returns the place of the first entry of a whole record whose body
// is not what its checksum says, -1 when all are.
func verifyEntries(h *recordHeader, rec []byte) int {
	at := h.covered()
	for i := range int(h.count) {
		slot := decodeSlot(rec[recordHeaderBytes+i*entrySlotBytes:])
		if h.flags&recStripped != 0 {
			continue
		}
		end := at + int(slot.bytes)
		if end > len(rec) || entryCRC(slot.kind, rec[at:end]) != slot.crc {
			return i
		}
		at = end
	}
	return -1
}

// walk calls fn for each record of the body, in order, and reports whether the
// body is made of whole records, all of which fn accepted.
func (f *scannedFrame) walk(fn func(h recordHeader, rec []byte, lsn uint64) bool) bool {
	b, at := f.bytes, frameHeaderBytes
	for at < len(b) {
		h, ok := decodeRecordHeader(b[at:])
		if !ok || uint64(h.length) > uint64(len(b)-at) {
			return false
		}
		if !fn(h, b[at:at+int(h.length)], f.lsn+uint64(at)) {
			return false
		}
		at += pad8(int(h.length))
	}
	return at == len(b)
}

// afterEnd is what a scan found behind the end of the log.
type afterEnd struct {
	durable   uint64 // the highest promise
	frames    bool   // there are frames in their places
	misplaced int64  // a frame of this segment stands here, where none of its position belongs; 0: none
}

// later looks for frames behind the end of the log, whole or not. Frames of
// earlier lives of the file have another segment number and do not count.
func (s *scanner) later() (a afterEnd, err error) {
	off := s.offset()
	lsn := s.lsn
	for ; off+frameHeaderBytes <= s.size; off, lsn = off+alignBytes, lsn+alignBytes {
		b, err := s.read(off, frameHeaderBytes)
		if err != nil {
			return a, err
		}
		if len(b) < frameHeaderBytes {
			break
		}
		if h, _, ok := decodeFrameHeader(b, s.salt, le64(b[8:]), s.seq); ok {
			if h.lsn != lsn {
				a.misplaced = off
				continue
			}
			a.durable, a.frames = max(a.durable, h.durable), true
		}
	}
	return a, nil
}
