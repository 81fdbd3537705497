package transport

import "github.com/seed-814fcd60/raftwire/codec"

// defaultCodecs are what a node decodes unless Config.Codecs says otherwise, best first.
func defaultCodecs() []codec.Codec {
	return []codec.Codec{mustCodec(codec.IDCompact), mustCodec(codec.IDBinary), mustCodec(codec.IDMsgpack)}
}

// mustCodec returns a codec that every generated message has.
func mustCodec(id uint8) codec.Codec {
	c, ok := codec.ByID(id)
	if !ok {
		panic("transport: codec has no codec with the id of raft.thrift")
	}
	return c
}

// codec is the codec of a Thrift protocol.
func (p protocol) codec() codec.Codec {
	if p == protoBinary {
		return mustCodec(codec.IDBinary)
	}
	return mustCodec(codec.IDCompact)
}

// parse decodes m from the front of b and returns the bytes it took.
func (p protocol) parse(b []byte, m codec.Message, l *codec.Limits) (int, error) {
	if p == protoBinary {
		return m.ParseBinary(b, l)
	}
	return m.ParseCompact(b, l)
}

// codecTable finds a codec by its id.
type codecTable [128]codec.Codec

func newCodecTable(list []codec.Codec) *codecTable {
	t := new(codecTable)
	for _, c := range list {
		t[c.ID()] = c
	}
	return t
}

func (t *codecTable) find(id uint8) codec.Codec {
	if int(id) < len(t) {
		return t[id]
	}
	return nil
}
