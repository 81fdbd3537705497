package codec

import (
	"bytes"
	"context"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/codec/generated/apache"
)

// apacheThrift is the library of the Apache project with the code of its compiler.
func apacheThrift(m Message) []Subject {
	subject := func(name string, protocol func(thrift.TTransport) thrift.TProtocol) Subject {
		src, dst, view := apacheMessages(m)
		ctx := context.Background()
		out, in := thrift.NewTMemoryBufferLen(128<<10), thrift.NewTMemoryBuffer()
		write, read := protocol(out), protocol(in)
		return Subject{
			Name: name,
			Encode: func() ([]byte, error) {
				out.Reset()
				err := src.Write(ctx, write)
				return out.Bytes(), err
			},
			Decode: func(b []byte) error {
				*in.Buffer = *bytes.NewBuffer(b) // reads b where it is
				if err := dst.Read(ctx, read); err != nil {
					return err
				}
				if in.Len() > 0 {
					return errLeftOver
				}
				return nil
			},
			Decoded: view,
		}
	}
	return []Subject{
		subject(Apache, func(t thrift.TTransport) thrift.TProtocol { return thrift.NewTCompactProtocolConf(t, nil) }),
		subject(ApacheB, func(t thrift.TTransport) thrift.TProtocol { return thrift.NewTBinaryProtocolConf(t, nil) }),
	}
}

func apacheMessages(m Message) (src, dst thrift.TStruct, view func() Message) {
	if len(m.Entries) == 0 {
		hb := &apache.HeartbeatRequest{Leader: apache.NodeID(m.Leader), BootId: 1, Beats: []*apache.Beat{{
			Group: apache.GroupID(m.Group), Term: apache.Term(m.Term), Commit: apache.Index(m.Commit), Round: m.Round,
		}}}
		got := apache.NewHeartbeatRequest()
		return hb, got, func() Message {
			b := got.Beats[0]
			return Message{Leader: int64(got.Leader), Group: int64(b.Group), Term: int64(b.Term), Commit: int64(b.Commit), Round: b.Round}
		}
	}
	req := &apache.AppendRequest{
		Group: apache.GroupID(m.Group), Term: apache.Term(m.Term), Leader: apache.NodeID(m.Leader),
		PrevIndex: apache.Index(m.PrevIndex), PrevTerm: apache.Term(m.PrevTerm), Commit: apache.Index(m.Commit), Round: m.Round,
	}
	for _, e := range m.Entries {
		req.Entries = append(req.Entries, &apache.Entry{Term: apache.Term(e.Term), Kind: apache.EntryKind_COMMAND, Body: e.Body, Crc32c: e.Crc32c})
	}
	got := apache.NewAppendRequest()
	return req, got, func() Message {
		out := Message{
			Group: int64(got.Group), Term: int64(got.Term), Leader: int64(got.Leader),
			PrevIndex: int64(got.PrevIndex), PrevTerm: int64(got.PrevTerm), Commit: int64(got.Commit), Round: got.Round,
		}
		for _, e := range got.Entries {
			out.Entries = append(out.Entries, Entry{Term: int64(e.Term), Crc32c: e.Crc32c, Body: e.Body})
		}
		return out
	}
}
