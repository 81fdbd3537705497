package wal

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// writeGolden makes a log with every kind of record, always the same.
func writeGolden(t *testing.T) (*crashfs.FS, string) {
	t.Helper()
	fs := crashfs.New()
	o := manual(fs)
	o.Identity = Identity{Cluster: "golden", Node: 7, Incarnation: 12}
	o.SegmentBytes, o.Random = 16<<10, seed(42)
	clock := &handClock{now: time.Unix(1_700_000_000, 0)}
	o.Clock = clock
	l, _ := mustOpen(t, "wal", o)
	es := append(entriesOf(3, 1, 3, 20), entriesOf(4, 4, 2, 2500)...)
	stripped := entriesOf(4, 6, 1, 77)
	stripped[0].StrippedBytes, stripped[0].Body = codec.Some(int32(77)), nil
	mustWrite(t, l, func(b *Batch) {
		b.Append(1, 1, es)
		b.Append(1, 6, stripped)
		b.HardState(1, HardState{Term: 4, Vote: 7, Commit: 3})
		b.HardState(-5, HardState{Term: 1})
	})
	clock.advance(10 * time.Millisecond) // a mark
	for l.Step() {
	}
	mustWrite(t, l, func(b *Batch) {
		b.Snapshot(2, Snapshot{Index: 90, Term: 2, Data: []byte("the image")})
		b.Append(2, 91, entriesOf(2, 91, 4, 1500))
		b.Compact(1, 3)
		b.Append(3, 1, entriesOf(1, 1, 2, 30))
		b.Destroy(3)
	})
	mustWrite(t, l, func(b *Batch) {
		b.Append(1, 5, entriesOf(5, 5, 1, 4000))
		b.Truncate(2, 93)
	})
	for l.Step() {
	}
	state, err := showLog(l)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	return fs, state
}

// TestGolden: this program writes format version 1 byte for byte, and reads it.
// The files may change only with the version.
func TestGolden(t *testing.T) {
	fs, state := writeGolden(t)
	files := map[string][]byte{"state.txt": []byte(state)}
	for _, dir := range []string{"seg", "catalog"} {
		names, err := fs.List("wal/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			files[dir+"/"+name] = fs.Bytes("wal/" + dir + "/" + name)
		}
	}
	root := filepath.Join("testdata", "v1")
	if *rewrite {
		for name, b := range files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	disk := crashfs.New()
	for _, dir := range []string{"wal/seg", "wal/catalog"} {
		if err := disk.MkdirAll(dir, 0); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range files {
		golden, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(golden, b) {
			t.Errorf("%s differs from what this program writes", name)
		}
		if name != "state.txt" {
			disk.SetBytes("wal/"+name, golden)
		}
	}
	o := manual(disk)
	o.Identity = Identity{}
	l, rec := mustOpen(t, "wal", o)
	got, err := showLog(l)
	if err != nil || got != state {
		t.Errorf("golden log shows %v\n%s", err, firstDiff(got, state))
	}
	if rec.Torn || rec.CatalogRebuilt || rec.Segments < 2 {
		t.Errorf("recovery is %+v", rec)
	}
	if g := l.Group(1); g.FirstIndex() != 3 || g.LastIndex() != raftpb.Index(5) {
		t.Errorf("group 1 is [%d, %d]", g.FirstIndex(), g.LastIndex())
	}
	crash(l)
}
