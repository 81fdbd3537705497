package transport

import (
	"encoding/binary"
	"hash/crc32"
)

// A native frame. All integers are big-endian.
//
//	 0        4    5        6       7       8          10       12       16        20
//	+--------+----+--------+-------+-------+----------+--------+--------+---------+------+
//	| len    | C1 | ver<<4 | codec | flags | method   | lane   | seq    | crc32c  | body |
//	| u32    |    |  +kind | u8    | u8    | u16      | u16    | u32    | u32     |      |
//	+--------+----+--------+-------+-------+----------+--------+--------+---------+------+
//
// len counts what follows it. The checksum covers bytes 0..15 and the body.
const (
	lengthBytes = 4
	headerBytes = 20
	nativeMagic = 0xC1
	nativeVer   = 1
	sumOffset   = 16
)

type frameKind uint8

const (
	kindCall frameKind = iota + 1
	kindReply
	kindException // body: the method's result struct with the exception set
	kindOneway
	kindError // body: type i32, then UTF-8 text
)

// header is the native header but for length, magic, version and checksum.
type header struct {
	kind   frameKind
	codec  uint8
	lane   Lane
	method uint16
	seq    uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table

// seal fills in the header of the native frame b, whose first headerBytes are
// reserved and whose body is in place.
func (h header) seal(b []byte) {
	binary.BigEndian.PutUint32(b[0:], uint32(len(b)-lengthBytes))
	b[4] = nativeMagic
	b[5] = nativeVer<<4 | byte(h.kind)
	b[6] = h.codec
	b[7] = 0
	binary.BigEndian.PutUint16(b[8:], h.method)
	binary.BigEndian.PutUint16(b[10:], uint16(h.lane))
	binary.BigEndian.PutUint32(b[12:], h.seq)
	binary.BigEndian.PutUint32(b[sumOffset:], frameSum(b[:sumOffset], b[headerBytes:]))
}

func frameSum(head, body []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, head), castagnoli, body)
}

// openFrame checks the native frame f, which begins with its length, and returns its
// header and body.
func openFrame(f []byte) (header, []byte, error) {
	var h header
	if len(f) < headerBytes {
		return h, nil, refuse(ReasonTooShort, "native frame of %d bytes", len(f))
	}
	if v := f[5] >> 4; v != nativeVer {
		return h, nil, refuse(ReasonBadHeader, "native frame version %d", v)
	}
	if want, got := binary.BigEndian.Uint32(f[sumOffset:]), frameSum(f[:sumOffset], f[headerBytes:]); want != got {
		return h, nil, refuse(ReasonChecksum, "crc32c is %08x, frame says %08x", got, want)
	}
	h.kind = frameKind(f[5] & 15)
	h.codec = f[6]
	h.method = binary.BigEndian.Uint16(f[8:])
	lane := binary.BigEndian.Uint16(f[10:])
	h.seq = binary.BigEndian.Uint32(f[12:])
	if h.kind < kindCall || h.kind > kindError {
		return h, nil, refuse(ReasonBadHeader, "native frame kind %d", h.kind)
	}
	if f[7] != 0 {
		return h, nil, refuse(ReasonBadHeader, "native frame flags %#x", f[7])
	}
	if lane >= uint16(laneCount) {
		return h, nil, refuse(ReasonBadHeader, "lane %d", lane)
	}
	h.lane = Lane(lane)
	return h, f[headerBytes:], nil
}

// protocol is what the first bytes of a frame say it is.
type protocol uint8

const (
	protoNative protocol = iota + 1
	protoCompact
	protoBinary
)

// sniffBytes is how much of a frame, with its length, sniff wants to see.
const sniffBytes = lengthBytes + 2

// sniffLength judges a frame by its length alone, its first lengthBytes: what follows them may never come.
func sniffLength(b []byte, maxFrame int) error {
	length := binary.BigEndian.Uint32(b)
	switch {
	case b[0] == 0x16 && b[1] == 3:
		return refuse(ReasonTLS, "first bytes % x", b[:lengthBytes])
	case uint64(length) > uint64(maxFrame):
		return refuse(ReasonTooLong, "length %d (bytes % x), limit %d", length, b[:lengthBytes], maxFrame)
	case length < 4:
		return refuse(ReasonTooShort, "length %d", length)
	}
	return nil
}

// sniff tells the protocol of a frame by its first sniffBytes, and its whole length.
func sniff(b []byte, maxFrame int) (p protocol, size int, err error) {
	if err := sniffLength(b, maxFrame); err != nil {
		return 0, 0, err
	}
	switch {
	case b[4] == nativeMagic:
		p = protoNative
	case b[4] == compactMagic:
		p = protoCompact
	case b[4] == 0x80 && b[5] == 1:
		p = protoBinary
	default:
		return 0, 0, refuse(ReasonUnknownProtocol, "first bytes % x", b[4:sniffBytes])
	}
	return p, lengthBytes + int(binary.BigEndian.Uint32(b)), nil
}
