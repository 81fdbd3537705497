package engine

import (
	"maps"
	"testing"

	"github.com/seed-814fcd60/raftwire/wal"
)

// What is written of the members is read again, and any other byte is noticed.
func TestTheListOfMembersIsReadAsWritten(t *testing.T) {
	fs := wal.NewMemFS()
	if err := fs.MkdirAll("d", 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := readPeers(fs, "d/peers"); err != nil || s.epoch != 0 || len(s.known) != 0 {
		t.Errorf("no file: %+v, %v", s, err)
	}
	want := admissionState{epoch: 3, known: map[NodeID]int64{1: 77, 9: -5, 1 << 40: 1}}
	for range 2 { // the second time over an old one
		if err := writePeers(fs, "d/peers", want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readPeers(fs, "d/peers")
	if err != nil || got.epoch != want.epoch || !maps.Equal(got.known, want.known) {
		t.Errorf("%+v, %v", got, err)
	}
	good := want.encode()
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1 << (i % 8)
		if _, err := decodePeers(bad); err == nil {
			t.Errorf("byte %d was changed, and nothing said", i)
		}
		if _, err := decodePeers(good[:i]); err == nil {
			t.Errorf("the first %d bytes are taken for all", i)
		}
	}
	many := &admission{host: &Host{book: &addressBook{listed: map[NodeID]int{1: 1}}}, path: "d/other", fs: fs}
	many.known = map[NodeID]int64{}
	for id := NodeID(2); len(many.known) < maxKnownNodes; id++ {
		many.known[id] = 1
	}
	if many.learn(1, 5); many.known[1] != 0 {
		t.Error("one too many is remembered")
	}
}

// FuzzPeers: what is read encodes to the same bytes, but for nodes that were there twice.
func FuzzPeers(f *testing.F) {
	f.Add((&admissionState{epoch: 1, known: map[NodeID]int64{1: 2, 3: 4}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodePeers(b)
		if err != nil {
			return
		}
		again, err := decodePeers(s.encode())
		if err != nil || again.epoch != s.epoch || !maps.Equal(again.known, s.known) {
			t.Errorf("%+v, then %+v, %v", s, again, err)
		}
	})
}
