package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

var testIdentity = Identity{Cluster: "test", Node: 1}

// seeded makes randomness that is the same in every run.
type seeded struct{ *rand.ChaCha8 }

func seed(n uint64) io.Reader {
	var s [32]byte
	put64(s[:], n)
	return seeded{rand.NewChaCha8(s)}
}

// manual is a log that does nothing by itself, with small files on fs.
func manual(fs FS) Options {
	return Options{
		Identity: testIdentity, FS: fs, Catalog: FileCatalog, Manual: true, Random: seed(1),
		SegmentBytes: 64 << 10, Logger: slog.New(slog.DiscardHandler), OnFatal: func(error) {},
	}
}

// running is a log with goroutines and the pebble catalog.
func running(fs FS) Options {
	o := manual(fs)
	o.Manual, o.Catalog = false, PebbleCatalog
	return o
}

func mustOpen(t testing.TB, dir string, o Options) (*Log, Recovery) {
	t.Helper()
	l, rec, err := Open(dir, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l, rec
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// crash ends a log as the death of its process would: nothing is written any
// more. Its goroutines end.
func crash(l *Log) {
	_ = l.fail(errors.New("crashed by the test"))
	_ = l.Close()
}

func entry(term raftpb.Term, body string) raftpb.Entry {
	return raftpb.Entry{
		Term: term, Kind: raftpb.EntryKindCommand, Body: []byte(body),
		Crc32c: EntryChecksum(raftpb.EntryKindCommand, []byte(body)),
	}
}

// entriesOf makes n entries whose bodies tell their place and term.
func entriesOf(term raftpb.Term, first raftpb.Index, n, size int) []raftpb.Entry {
	es := make([]raftpb.Entry, n)
	for i := range es {
		body := fmt.Sprintf("%d@%d|", first+raftpb.Index(i), term)
		body += strings.Repeat("x", max(0, size-len(body)))
		es[i] = entry(term, body)
	}
	return es
}

func mustWrite(t testing.TB, l *Log, fill func(b *Batch)) {
	t.Helper()
	var b Batch
	fill(&b)
	if err := l.Write(&b); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func readAll(t testing.TB, g *Group) []raftpb.Entry {
	t.Helper()
	es, err := g.Entries(nil, g.FirstIndex(), g.LastIndex()+1, 1<<30)
	if err != nil {
		t.Fatalf("entries [%d, %d]: %v", g.FirstIndex(), g.LastIndex(), err)
	}
	return es
}

func diffEntries(got, want []raftpb.Entry) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d entries, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := &got[i], &want[i]
		if g.Term != w.Term || g.Kind != w.Kind || g.Crc32c != w.Crc32c || g.StrippedBytes != w.StrippedBytes ||
			!bytes.Equal(g.Body, w.Body) {
			return fmt.Sprintf("entry %d is %d/%d/%q, want %d/%d/%q", i, g.Term, g.Kind, g.Body, w.Term, w.Kind, w.Body)
		}
	}
	return ""
}

func checkEntries(t testing.TB, g *Group, first raftpb.Index, want []raftpb.Entry) {
	t.Helper()
	if g.FirstIndex() != first || g.LastIndex() != first+raftpb.Index(len(want))-1 {
		t.Fatalf("group %d is [%d, %d], want [%d, %d]", g.ID(), g.FirstIndex(), g.LastIndex(),
			first, first+raftpb.Index(len(want))-1)
	}
	if len(want) == 0 {
		return
	}
	if d := diffEntries(readAll(t, g), want); d != "" {
		t.Fatalf("group %d: %s", g.ID(), d)
	}
}

func memFS() *vfs.MemFS { return vfs.NewCrashableMem() }
