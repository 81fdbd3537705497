package wal

import (
	"hash/crc32"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// The checksum is part of the formats on disk and on the wire: CRC-32C over the
// kind's byte and the body, whatever way it is computed.
func TestEntryChecksumIsTheCRCOfKindAndBody(t *testing.T) {
	table := crc32.MakeTable(crc32.Castagnoli)
	for kind := range 256 {
		for _, body := range []string{"", "a", "the body of an entry"} {
			want := crc32.Checksum(append([]byte{byte(kind)}, body...), table)
			if got := EntryChecksum(raftpb.EntryKind(kind), []byte(body)); got != int64(want) {
				t.Fatalf("kind %d, body %q: %08x, want %08x", kind, body, got, want)
			}
		}
	}
	body := []byte("x")
	if n := testing.AllocsPerRun(100, func() { EntryChecksum(1, body) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
