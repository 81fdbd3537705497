package transport

import (
	"encoding/binary"
	"unicode/utf8"
)

// The envelope of a Thrift message, before its arguments or result struct:
//
//	Compact:        82 | type<<5 | 1 | seqid varint | name: length varint, bytes
//	strict Binary:  80 01 00 type | name: length i32, bytes | seqid i32
const (
	compactMagic   = 0x82
	compactVer     = 1
	maxNameBytes   = 256
	minVarintBytes = 1
	maxVarint32    = 5
)

type messageType uint8

const (
	messageCall messageType = iota + 1
	messageReply
	messageException // body: TApplicationException
	messageOneway
)

// envelope is a parsed message header. name aliases the frame.
type envelope struct {
	typ  messageType
	seq  uint32
	name []byte
}

// appendEnvelope appends a message header in p, which is protoCompact or protoBinary.
func appendEnvelope(b []byte, p protocol, typ messageType, name string, seq uint32) []byte {
	if p == protoCompact {
		b = append(b, compactMagic, byte(typ)<<5|compactVer)
		b = binary.AppendUvarint(b, uint64(seq))
		b = binary.AppendUvarint(b, uint64(len(name)))
		return append(b, name...)
	}
	b = append(b, 0x80, 1, 0, byte(typ))
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	b = append(b, name...)
	return binary.BigEndian.AppendUint32(b, seq)
}

// parseEnvelope parses the message header at the front of m, a frame without its
// length, and returns what follows it.
func parseEnvelope(m []byte, p protocol) (e envelope, rest []byte, err error) {
	if p == protoCompact {
		e, rest, err = parseCompactEnvelope(m)
	} else {
		e, rest, err = parseBinaryEnvelope(m)
	}
	if err != nil {
		return e, nil, err
	}
	if e.typ < messageCall || e.typ > messageOneway {
		return e, nil, refuse(ReasonBadHeader, "message type %d", e.typ)
	}
	if !utf8.Valid(e.name) {
		return e, nil, refuse(ReasonBadHeader, "method name is not UTF-8")
	}
	return e, rest, nil
}

func parseCompactEnvelope(m []byte) (e envelope, rest []byte, err error) {
	if len(m) < 2+2*minVarintBytes {
		return e, nil, refuse(ReasonBadHeader, "message ends inside its header")
	}
	if v := m[1] & 31; v != compactVer {
		return e, nil, refuse(ReasonBadHeader, "compact protocol version %d", v)
	}
	e.typ = messageType(m[1] >> 5)
	seq, m, ok := uvarint32(m[2:])
	if !ok {
		return e, nil, refuse(ReasonBadHeader, "seqid is not a 32-bit varint")
	}
	size, m, ok := uvarint32(m)
	if !ok || size > maxNameBytes || int(size) > len(m) {
		return e, nil, refuse(ReasonBadHeader, "method name is cut or longer than %d bytes", maxNameBytes)
	}
	e.seq, e.name = seq, m[:size]
	return e, m[size:], nil
}

func parseBinaryEnvelope(m []byte) (e envelope, rest []byte, err error) {
	if len(m) < 12 {
		return e, nil, refuse(ReasonBadHeader, "message ends inside its header")
	}
	e.typ = messageType(m[3])
	size := binary.BigEndian.Uint32(m[4:])
	if size > maxNameBytes || int(size) > len(m)-12 {
		return e, nil, refuse(ReasonBadHeader, "method name is cut or longer than %d bytes", maxNameBytes)
	}
	e.name = m[8 : 8+size]
	e.seq = binary.BigEndian.Uint32(m[8+size:])
	return e, m[12+size:], nil
}

// uvarint32 reads a varint of at most 5 bytes and 32 bits.
func uvarint32(b []byte) (v uint32, rest []byte, ok bool) {
	x, n := binary.Uvarint(b[:min(len(b), maxVarint32)])
	if n <= 0 || x > 1<<32-1 {
		return 0, nil, false
	}
	return uint32(x), b[n:], true
}

// appendRemoteError appends e as the struct TApplicationException{1: string message, 2: i32 type}.
func appendRemoteError(b []byte, p protocol, e *RemoteError) []byte {
	if p == protoCompact {
		b = append(b, 0x18) // field 1, binary
		b = binary.AppendUvarint(b, uint64(len(e.Message)))
		b = append(b, e.Message...)
		b = append(b, 0x15) // field 2, i32
		b = binary.AppendUvarint(b, uint64(uint32(e.Type)<<1^uint32(e.Type>>31)))
		return append(b, 0)
	}
	b = append(b, 11, 0, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Message)))
	b = append(b, e.Message...)
	b = append(b, 8, 0, 2)
	b = binary.BigEndian.AppendUint32(b, uint32(e.Type))
	return append(b, 0)
}

// parseRemoteError reads a TApplicationException as far as it consists of the two
// fields it has had since Thrift's first version; the rest is left alone, since nothing
// depends on it.
func parseRemoteError(b []byte, p protocol) *RemoteError {
	e := &RemoteError{Type: RemoteUnknown}
	for ok := true; ok && len(b) > 0 && b[0] != 0; {
		if p == protoCompact {
			b, ok = e.compactField(b)
		} else {
			b, ok = e.binaryField(b)
		}
	}
	return e
}

func (e *RemoteError) compactField(b []byte) (rest []byte, ok bool) {
	switch b[0] & 15 {
	case 8: // string; only field 1 can be one
		size, rest, ok := uvarint32(b[1:])
		if !ok || int64(size) > int64(len(rest)) {
			return nil, false
		}
		e.Message = string(rest[:size])
		return rest[size:], true
	case 5: // i32; only field 2 can be one
		z, rest, ok := uvarint32(b[1:])
		e.Type = int32(z>>1) ^ -int32(z&1)
		return rest, ok
	}
	return nil, false
}

func (e *RemoteError) binaryField(b []byte) (rest []byte, ok bool) {
	if len(b) < 7 {
		return nil, false
	}
	v := binary.BigEndian.Uint32(b[3:])
	switch rest = b[7:]; b[0] {
	case 11:
		if int64(v) > int64(len(rest)) {
			return nil, false
		}
		e.Message = string(rest[:v])
		return rest[v:], true
	case 8:
		e.Type = int32(v)
		return rest, true
	}
	return nil, false
}
