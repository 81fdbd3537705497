package wal

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Format version 1. All integers are little-endian. docs/spec/wal.md is the law;
// this file is the only one that knows offsets.
const (
	formatVersion     = 1
	alignBytes        = 4096 // frames start and end here
	segHeaderBytes    = 4096 // the page in front of the first frame
	segHeaderUsed     = 128  // of it; the second copy stands at segHeaderCopy
	segHeaderCopy     = 2048
	frameHeaderBytes  = 64
	recordHeaderBytes = 40
	entrySlotBytes    = 8
	frameMagic        = 0x4652
	maxBodyBytes      = 1<<28 - 1 // a table slot has 28 bits for the length
	maxEntryKind      = 15        // and 4 for the kind
)

const segMagic = "RWALSEG1"

// Segment header flags.
const (
	segPrepared uint16 = 1 << iota // no frame yet: base and chainIn are not known
	segNoSync                      // written under SyncNone: nothing in it is promised
	segDoubtful                    // begins where damage was found: what older segments have at or behind its base is void
)

// Frame kinds. 3 is reserved.
const (
	frameData  = 1
	frameMark  = 2 // carries nothing but its promise
	frameClean = 4 // the same, written by Close
)

// Record types.
const (
	recEntries   = 1
	recHardState = 2
	recCompact   = 3
	recTruncate  = 4
	recSnapshot  = 5
	recDestroy   = 6
	recTrust     = 7
)

// Record flags. Bit 0 is reserved.
const (
	recStripped uint8 = 1 << 1 // entries without bodies: lengths and checksums only
	recRestated uint8 = 1 << 2 // repeats state of a segment that goes away; changes nothing else
	recRepair   uint8 = 1 << 3 // one entry that stands in for the same one, whose bytes are damaged
)

// Only read. A local array instead of noBytes would be an allocation per use.
var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table
	noBytes    [4]byte                             //nolint:gochecknoglobals // a constant
)

// EntryChecksum is the checksum that an entry carries from its proposer to every
// disk: CRC-32C over the kind's low byte and the body, zero-extended.
func EntryChecksum(kind raftpb.EntryKind, body []byte) int64 {
	return int64(entryCRC(uint8(kind), body))
}

// entryCRC folds the kind in by the table: a slice of one byte would be an
// allocation for every entry.
func entryCRC(kind uint8, body []byte) uint32 {
	return crc32.Update(^(castagnoli[^kind] ^ 0x00ffffff), castagnoli, body)
}

// mix32 spreads a position over 32 bits (murmur's 64-bit finaliser). Mixed into
// a checksum it makes valid bytes at a wrong place invalid.
func mix32(x uint64) uint32 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return uint32(x)
}

func alignUp(n int) int        { return (n + alignBytes - 1) &^ (alignBytes - 1) }
func pad8(n int) int           { return (n + 7) &^ 7 }
func le32(b []byte) uint32     { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64     { return binary.LittleEndian.Uint64(b) }
func put32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }
func put64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }

// segmentHeader is the first page of a segment.
//
//	  0 magic "RWALSEG1"      8 u16 version    10 u16 flags     12 u32 pages, see below
//	 16 store id [16]        32 u64 sequence   40 u64 base LSN  48 u64 salt
//	 56 i64 created, unix ns 64 u32 chain in   68 u8 length of the cluster's name
//	 69 cluster [39]        108 i64 node      116 i64 incarnation
//	124 u32 crc32c of bytes 0..123; all 128 bytes again at 2048
//
// pages: the file was made with this many pages of 4 KiB, so it can never be
// shorter; 0 when it grows as it is written.
type segmentHeader struct {
	flags   uint16
	pages   uint32
	store   [16]byte
	seq     uint64
	base    uint64 // LSN of the first frame
	salt    uint64
	created int64
	chainIn uint32 // hcrc of the last frame before this segment
	id      Identity
}

func (h *segmentHeader) prepared() bool { return h.flags&segPrepared != 0 }

func (h *segmentHeader) doubtful() bool { return h.flags&segDoubtful != 0 }

// encode fills page, segHeaderBytes long.
func (h *segmentHeader) encode(page []byte) {
	clear(page[:segHeaderBytes])
	b := page[:segHeaderUsed]
	copy(b, segMagic)
	binary.LittleEndian.PutUint16(b[8:], formatVersion)
	binary.LittleEndian.PutUint16(b[10:], h.flags)
	put32(b[12:], h.pages)
	copy(b[16:], h.store[:])
	put64(b[32:], h.seq)
	put64(b[40:], h.base)
	put64(b[48:], h.salt)
	put64(b[56:], uint64(h.created))
	put32(b[64:], h.chainIn)
	b[68] = uint8(copy(b[69:108], h.id.Cluster))
	put64(b[108:], uint64(h.id.Node))
	put64(b[116:], uint64(h.id.Incarnation))
	put32(b[124:], crc32.Checksum(b[:124], castagnoli))
	copy(page[segHeaderCopy:], b)
}

// decodeSegmentHeader reads page; the copy stands in for a damaged first one.
// When both are whole, as they are but in a torn rewrite, the one that is not
// merely prepared counts.
func decodeSegmentHeader(page []byte) (h segmentHeader, version uint16, ok bool) {
	for _, at := range [2]int{0, segHeaderCopy} {
		if len(page) < at+segHeaderUsed {
			break
		}
		b := page[at : at+segHeaderUsed]
		if string(b[:8]) != segMagic || le32(b[124:]) != crc32.Checksum(b[:124], castagnoli) {
			continue
		}
		if c := parseSegmentHeader(b); !ok || h.prepared() {
			h, version, ok = c, binary.LittleEndian.Uint16(b[8:]), true
		}
	}
	return h, version, ok
}

func parseSegmentHeader(b []byte) segmentHeader {
	h := segmentHeader{
		flags:   binary.LittleEndian.Uint16(b[10:]),
		pages:   le32(b[12:]),
		seq:     le64(b[32:]),
		base:    le64(b[40:]),
		salt:    le64(b[48:]),
		created: int64(le64(b[56:])),
		chainIn: le32(b[64:]),
	}
	copy(h.store[:], b[16:32])
	h.id = Identity{
		Cluster:     string(b[69 : 69+min(int(b[68]), MaxClusterBytes)]),
		Node:        raftpb.NodeID(le64(b[108:])),
		Incarnation: int64(le64(b[116:])),
	}
	return h
}

// frameHeader stands in front of what one write put into the log.
//
//	 0 u32 hcrc = crc32c of bytes 4..63, xor mix32(salt + lsn)
//	 4 u16 magic 0x4652   6 u8 kind    7 u8 flags (0)
//	 8 u64 lsn           16 u64 durable LSN: all before it was synced before this was written
//	24 u64 segment       32 u32 bytes of body     36 u32 records
//	40 u32 tcrc          44 u32 chain = hcrc of the frame before
//	48 i64 unix ns       56 u64 reserved, 0
type frameHeader struct {
	kind    uint8
	lsn     uint64
	durable uint64
	segment uint64
	bodyLen uint32
	records uint32
	tcrc    uint32
	chain   uint32
	nano    int64
}

// encode fills b, frameHeaderBytes long, and returns the hcrc.
func (h *frameHeader) encode(b []byte, salt uint64) uint32 {
	binary.LittleEndian.PutUint16(b[4:], frameMagic)
	b[6], b[7] = h.kind, 0
	put64(b[8:], h.lsn)
	put64(b[16:], h.durable)
	put64(b[24:], h.segment)
	put32(b[32:], h.bodyLen)
	put32(b[36:], h.records)
	put32(b[40:], h.tcrc)
	put32(b[44:], h.chain)
	put64(b[48:], uint64(h.nano))
	put64(b[56:], 0)
	hcrc := crc32.Checksum(b[4:frameHeaderBytes], castagnoli) ^ mix32(salt+h.lsn)
	put32(b, hcrc)
	return hcrc
}

// decodeFrameHeader reads the header of the frame that must stand at lsn in the
// segment seq. ok is false for anything else.
func decodeFrameHeader(b []byte, salt, lsn, seq uint64) (h frameHeader, hcrc uint32, ok bool) {
	if len(b) < frameHeaderBytes || binary.LittleEndian.Uint16(b[4:]) != frameMagic || le64(b[8:]) != lsn {
		return h, 0, false
	}
	hcrc = le32(b)
	if hcrc != crc32.Checksum(b[4:frameHeaderBytes], castagnoli)^mix32(salt+lsn) || le64(b[24:]) != seq {
		return h, 0, false
	}
	h = frameHeader{
		kind:    b[6],
		lsn:     lsn,
		durable: le64(b[16:]),
		segment: seq,
		bodyLen: le32(b[32:]),
		records: le32(b[36:]),
		tcrc:    le32(b[40:]),
		chain:   le32(b[44:]),
		nano:    int64(le64(b[48:])),
	}
	return h, hcrc, true
}

// recordHeader stands in front of one change of one group.
//
//	0 u8 type      1 u8 flags    2 u16 header bytes (40)   4 u32 bytes of the record, unpadded
//	8 i64 group   16 u32 crc    20 u32 count   24 u64 index   32 u64 term
//
// crc is over the header with crc = 0 and the table (type 1) or all the rest
// (other types), xor mix32(salt + LSN of the record).
type recordHeader struct {
	typ    uint8
	flags  uint8
	length uint32
	group  raftpb.GroupID
	crc    uint32
	count  uint32
	index  uint64
	term   uint64
}

// encode fills b with all but the checksum, which seals it later.
func (h *recordHeader) encode(b []byte) {
	b[0], b[1] = h.typ, h.flags
	binary.LittleEndian.PutUint16(b[2:], recordHeaderBytes)
	put32(b[4:], h.length)
	put64(b[8:], uint64(h.group))
	put32(b[16:], 0)
	put32(b[20:], h.count)
	put64(b[24:], h.index)
	put64(b[32:], h.term)
}

// covered is the number of the record's bytes that its own checksum covers.
func (h *recordHeader) covered() int {
	if h.typ == recEntries {
		return recordHeaderBytes + int(h.count)*entrySlotBytes
	}
	return int(h.length)
}

// sealRecord writes the checksum of the record whose covered bytes are b.
func sealRecord(b []byte, salt, lsn uint64) {
	put32(b[16:], 0)
	put32(b[16:], crc32.Checksum(b, castagnoli)^mix32(salt+lsn))
}

// decodeRecordHeader reads the header at the front of b without verifying the
// checksum. ok is false when the numbers cannot be true.
func decodeRecordHeader(b []byte) (h recordHeader, ok bool) {
	if len(b) < recordHeaderBytes || binary.LittleEndian.Uint16(b[2:]) != recordHeaderBytes {
		return h, false
	}
	h = recordHeader{
		typ:    b[0],
		flags:  b[1],
		length: le32(b[4:]),
		group:  raftpb.GroupID(le64(b[8:])),
		crc:    le32(b[16:]),
		count:  le32(b[20:]),
		index:  le64(b[24:]),
		term:   le64(b[32:]),
	}
	if h.length < recordHeaderBytes || h.typ < recEntries || h.typ > recTrust {
		return h, false
	}
	if h.typ == recEntries {
		table := uint64(recordHeaderBytes) + uint64(h.count)*entrySlotBytes
		return h, h.count > 0 && table <= uint64(h.length)
	}
	return h, true
}

// verifyRecord checks the checksum of a decoded header; b must hold at least the
// covered bytes.
func verifyRecord(h *recordHeader, b []byte, salt, lsn uint64) bool {
	n := h.covered()
	if len(b) < n {
		return false
	}
	crc := crc32.Update(0, castagnoli, b[:16])
	crc = crc32.Update(crc, castagnoli, noBytes[:])
	crc = crc32.Update(crc, castagnoli, b[20:n])
	return crc^mix32(salt+lsn) == h.crc
}

// entrySlot is one row of an entry table: u32 bytes of body (28 bits) and kind
// (4 bits, above), u32 EntryChecksum.
type entrySlot struct {
	bytes uint32
	kind  uint8
	crc   uint32
}

func (s entrySlot) encode(b []byte) {
	put32(b, s.bytes|uint32(s.kind)<<28)
	put32(b[4:], s.crc)
}

func decodeSlot(b []byte) entrySlot {
	v := le32(b)
	return entrySlot{bytes: v & maxBodyBytes, kind: uint8(v >> 28), crc: le32(b[4:])}
}
