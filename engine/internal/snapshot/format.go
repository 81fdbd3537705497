package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// The format, version 1; docs/spec/snapshot.md draws it. Integers are little-endian.
//
//	image    | header 64 | description | block | block | ... | end 64 |
//	block    | header 20 | payload, at most 64 KiB |
const (
	formatVersion = 1
	headerBytes   = 64
	blockHeader   = 20
	endBytes      = 64
	blockBytes    = 64 << 10 // most of a block's payload
	maxMetaBytes  = 1 << 20
	idBytes       = 16 // of the hash, which names an image
	minImageBytes = headerBytes + endBytes

	headerMagic = "RSNAPSH1"
	endMagic    = "RSNAPEND"
)

// Kind says what a section of an image holds.
type Kind uint8

// The sections, in the order in which they stand in an image.
const (
	Engine  Kind = iota + 1 // what the engine keeps beside the machine: keys and values
	Machine                 // what the state machine wrote
	File                    // a file that the state machine added; its name comes first
)

// kindFileName is the block in front of a File section.
const kindFileName Kind = 4

const flagLast = 1 // the block is the last one of its section

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // only read

// Checksum is the CRC-32C that a chunk of an image carries on its way.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// appendHead appends the header and the description of an image. What depends on the
// content (size, identity) is in neither.
func appendHead(b []byte, group raftpb.GroupID, m *Meta) []byte {
	desc := Meta{Index: m.Index, Term: m.Term, Config: m.Config, ConfigIndex: m.ConfigIndex, Format: formatVersion}
	body := desc.AppendCompact(nil)
	at := len(b)
	b = append(b, headerMagic...)
	b = binary.LittleEndian.AppendUint16(b, formatVersion)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint64(b, uint64(group))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Index))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Term))
	b = append(b, make([]byte, headerBytes-48)...) // zero, up to the two checksums
	b = binary.LittleEndian.AppendUint32(b, Checksum(body))
	b = binary.LittleEndian.AppendUint32(b, 0)
	binary.LittleEndian.PutUint32(b[at+60:], Checksum(b[at:at+60]))
	return append(b, body...)
}

// head is a decoded header.
type head struct {
	group     raftpb.GroupID
	index     raftpb.Index
	term      raftpb.Term
	metaBytes int
	metaCRC   uint32
}

// parseHeader decodes the first headerBytes of an image. The reason is "" when all is well.
func parseHeader(b []byte) (h head, reason string) {
	switch {
	case string(b[:8]) != headerMagic:
		return h, "no image begins here"
	case Checksum(b[:60]) != binary.LittleEndian.Uint32(b[60:]):
		return h, "checksum of the header"
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != formatVersion {
		return h, fmt.Sprintf("format version %d, this program reads %d", v, formatVersion)
	}
	h = head{
		metaBytes: int(binary.LittleEndian.Uint32(b[12:])),
		group:     raftpb.GroupID(binary.LittleEndian.Uint64(b[16:])),
		index:     raftpb.Index(binary.LittleEndian.Uint64(b[24:])),
		term:      raftpb.Term(binary.LittleEndian.Uint64(b[32:])),
		metaCRC:   binary.LittleEndian.Uint32(b[56:]),
	}
	if h.metaBytes > maxMetaBytes || h.index <= 0 || h.term <= 0 {
		return h, "impossible values in the header"
	}
	return h, ""
}

// parseMeta decodes the description that follows a header.
func parseMeta(h head, b []byte) (m Meta, reason string) {
	if Checksum(b) != h.metaCRC {
		return m, "checksum of the description"
	}
	n, err := m.ParseCompact(b, &codec.Limits{})
	if err != nil || n != len(b) || m.Index != h.index || m.Term != h.term || m.Format != formatVersion {
		return m, "description does not decode"
	}
	return m, ""
}

// block is a decoded block header.
type block struct {
	kind  Kind
	last  bool
	bytes int
	crc   uint32
}

// putBlock fills in the header in front of the payload b[blockHeader:]; at is where
// the block stands in the image.
func putBlock(b []byte, kind Kind, last bool, at int64) {
	b[0], b[1], b[2], b[3] = byte(kind), 0, 0, 0
	if last {
		b[1] = flagLast
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-blockHeader))
	binary.LittleEndian.PutUint64(b[8:], uint64(at))
	binary.LittleEndian.PutUint32(b[16:], blockChecksum(b[:16], b[blockHeader:]))
}

func blockChecksum(header, payload []byte) uint32 {
	return crc32.Update(Checksum(header), castagnoli, payload)
}

// parseBlock decodes a block's header. Its place in the image is part of it, so that a
// block that was written somewhere else is not taken for this one.
func parseBlock(b []byte, at int64) (k block, reason string) {
	k = block{
		kind:  Kind(b[0]),
		last:  b[1] == flagLast,
		bytes: int(binary.LittleEndian.Uint32(b[4:])),
		crc:   binary.LittleEndian.Uint32(b[16:]),
	}
	switch {
	case k.kind < Engine || k.kind > kindFileName || b[1] > flagLast || b[2] != 0 || b[3] != 0:
		return k, "no block begins here"
	case k.bytes > blockBytes:
		return k, "block is too long"
	case binary.LittleEndian.Uint64(b[8:]) != uint64(at):
		return k, "block of another place"
	}
	return k, ""
}

// end is what stands at the end of an image: its size and its hash.
type end struct {
	size   int64
	blocks uint32
	sha256 [32]byte
}

func (e *end) append(b []byte) []byte {
	at := len(b)
	b = append(b, endMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.size))
	b = append(b, e.sha256[:]...)
	b = binary.LittleEndian.AppendUint32(b, e.blocks)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, Checksum(b[at:]))
}

func parseEnd(b []byte) (e end, reason string) {
	if string(b[:8]) != endMagic {
		return e, "the end is missing"
	}
	if Checksum(b[:60]) != binary.LittleEndian.Uint32(b[60:]) {
		return e, "checksum of the end"
	}
	e.size = int64(binary.LittleEndian.Uint64(b[8:]))
	copy(e.sha256[:], b[16:48])
	e.blocks = binary.LittleEndian.Uint32(b[48:])
	return e, ""
}

// KeyValue is one fact of the engine in an image.
type KeyValue struct{ Key, Value []byte }

// appendKeyValue appends one fact: two lengths as uvarints, each with its bytes.
func appendKeyValue(b []byte, kv KeyValue) []byte {
	b = binary.AppendUvarint(b, uint64(len(kv.Key)))
	b = append(b, kv.Key...)
	b = binary.AppendUvarint(b, uint64(len(kv.Value)))
	return append(b, kv.Value...)
}

// parseKeyValues calls fn for each fact of b.
func parseKeyValues(b []byte, fn func(KeyValue) error) error {
	next := func() ([]byte, bool) {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return nil, false
		}
		v := b[k : k+int(n)]
		b = b[k+int(n):]
		return v, true
	}
	for len(b) > 0 {
		key, ok := next()
		value, also := next()
		if !ok || !also {
			return fmt.Errorf("snapshot: facts of the engine do not decode")
		}
		if err := fn(KeyValue{key, value}); err != nil {
			return err
		}
	}
	return nil
}
