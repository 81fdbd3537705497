package codec

import (
	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// ours are the three codecs of this repository.
func ours(m Message) []Subject {
	src, dst, view := oursMessages(m)
	limits := codec.DefaultLimits()
	subject := func(name string, encode func(b []byte) []byte, parse func([]byte, *codec.Limits) (int, error)) Subject {
		var buf []byte
		return Subject{
			Name:   name,
			Encode: func() ([]byte, error) { buf = encode(buf[:0]); return buf, nil },
			Decode: func(b []byte) error {
				n, err := parse(b, &limits)
				if err == nil && n != len(b) {
					return errLeftOver
				}
				return err
			},
			Decoded: view,
		}
	}
	return []Subject{
		subject(Compact, src.AppendCompact, dst.ParseCompact),
		subject(Binary, src.AppendBinary, dst.ParseBinary),
		subject(Msgpack, src.AppendMsgpack, dst.ParseMsgpack),
	}
}

// oursMessages returns the message to encode, the one to decode into, and the
// latter's content.
func oursMessages(m Message) (src, dst codec.Message, view func() Message) {
	if len(m.Entries) == 0 {
		hb := &raftpb.HeartbeatRequest{Leader: raftpb.NodeID(m.Leader), BootID: 1, Beats: []raftpb.Beat{{
			Group: raftpb.GroupID(m.Group), Term: raftpb.Term(m.Term), Commit: raftpb.Index(m.Commit), Round: m.Round,
		}}}
		got := &raftpb.HeartbeatRequest{}
		return hb, got, func() Message {
			b := got.Beats[0]
			return Message{Leader: int64(got.Leader), Group: int64(b.Group), Term: int64(b.Term), Commit: int64(b.Commit), Round: b.Round}
		}
	}
	req := &raftpb.AppendRequest{
		Group: raftpb.GroupID(m.Group), Term: raftpb.Term(m.Term), Leader: raftpb.NodeID(m.Leader),
		PrevIndex: raftpb.Index(m.PrevIndex), PrevTerm: raftpb.Term(m.PrevTerm), Commit: raftpb.Index(m.Commit), Round: m.Round,
	}
	for _, e := range m.Entries {
		req.Entries = append(req.Entries, raftpb.Entry{Term: raftpb.Term(e.Term), Kind: raftpb.EntryKindCommand, Body: e.Body, Crc32c: e.Crc32c})
	}
	got := &raftpb.AppendRequest{}
	return req, got, func() Message {
		out := Message{
			Group: int64(got.Group), Term: int64(got.Term), Leader: int64(got.Leader),
			PrevIndex: int64(got.PrevIndex), PrevTerm: int64(got.PrevTerm), Commit: int64(got.Commit), Round: got.Round,
		}
		for i := range got.Entries {
			e := &got.Entries[i]
			out.Entries = append(out.Entries, Entry{Term: int64(e.Term), Crc32c: e.Crc32c, Body: e.Body})
		}
		return out
	}
}
