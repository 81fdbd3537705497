package gen_test

import (
	"fmt"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// appendRequest returns what a leader sends: n entries of size bytes each.
func appendRequest(n, size int) *raftpb.AppendRequest {
	m := &raftpb.AppendRequest{Group: 1, Term: 7, Leader: 2, PrevIndex: 123456, PrevTerm: 7, Commit: 123400, Round: 99}
	for i := range n {
		body := make([]byte, size)
		body[0] = byte(i)
		m.Entries = append(m.Entries, raftpb.Entry{Term: 7, Kind: raftpb.EntryKindCommand, Body: body, Crc32c: 0xdeadbeef})
	}
	return m
}

func heartbeat() *raftpb.HeartbeatRequest {
	return &raftpb.HeartbeatRequest{
		Leader: 2, BootID: 77,
		Beats: []raftpb.Beat{{Group: 1, Term: 7, Commit: 123456, Round: 99}},
	}
}

func benchMessages() map[string]codec.Message {
	return map[string]codec.Message{
		"64x128": appendRequest(64, 128), "64x1024": appendRequest(64, 1024), "heartbeat": heartbeat(),
	}
}

func directCodecs() []codec.Codec {
	var cs []codec.Codec
	for _, id := range []uint8{codec.IDCompact, codec.IDBinary, codec.IDMsgpack} {
		c, _ := codec.ByID(id)
		cs = append(cs, c)
	}
	return cs
}

// BenchmarkEncode reports ns per entry beside ns per operation. BenchmarkCopy is the floor: the bodies
// copied one by one.
func BenchmarkEncode(b *testing.B) {
	for name, m := range benchMessages() {
		for _, c := range directCodecs() {
			b.Run(fmt.Sprintf("%s/%s", name, c.Name()), func(b *testing.B) {
				buf, _ := c.Append(nil, m)
				b.SetBytes(int64(len(buf)))
				b.ReportAllocs()
				for b.Loop() {
					buf, _ = c.Append(buf[:0], m)
				}
				perEntry(b, m)
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, m := range benchMessages() {
		for _, c := range directCodecs() {
			b.Run(fmt.Sprintf("%s/%s", name, c.Name()), func(b *testing.B) {
				buf, _ := c.Append(nil, m)
				b.SetBytes(int64(len(buf)))
				b.ReportAllocs()
				for b.Loop() {
					if err := c.Decode(buf, m, nil); err != nil {
						b.Fatal(err)
					}
				}
				perEntry(b, m)
			})
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, size := range []int{128, 1024} {
		b.Run(fmt.Sprintf("64x%d", size), func(b *testing.B) {
			m := appendRequest(64, size)
			var buf []byte
			for b.Loop() {
				buf = buf[:0]
				for i := range m.Entries {
					buf = append(buf, m.Entries[i].Body...)
				}
			}
			perEntry(b, m)
		})
	}
}

func perEntry(b *testing.B, m codec.Message) {
	if m, ok := m.(*raftpb.AppendRequest); ok {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(m.Entries)), "ns/entry")
	}
}
