package wal

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// goldenSegments are the segment files of the golden log.
func goldenSegments(t testing.TB) [][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "v1", "seg", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// FuzzSegment reads any bytes as a segment: header, frames, records. Nothing
// panics, and what is called whole really is.
func FuzzSegment(f *testing.F) {
	for _, b := range goldenSegments(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, _, ok := decodeSegmentHeader(b[:min(len(b), segHeaderBytes)])
		if !ok {
			return
		}
		s, err := newScanner(vfs.NewMemFile(b), &h)
		if err != nil {
			t.Fatal(err)
		}
		views := map[raftpb.GroupID]*groupView{}
		for {
			fr, v, err := s.next()
			if err != nil {
				t.Fatal(err)
			}
			if v != frameWhole {
				break
			}
			fr.verifyBodies()
			fr.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
				v := views[h.group]
				if v == nil {
					fresh := freshView()
					v = &fresh
					views[h.group] = v
				}
				if v.replay(h, rec, lsn, lsn%2 == 0) == "" && v.last+1 < v.first {
					t.Fatalf("view is [%d, %d]", v.first, v.last)
				}
				return true
			})
		}
		if _, err := s.later(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzFrame takes any bytes as a frame's body with matching frame checksums, so
// that the record decoder sees them.
func FuzzFrame(f *testing.F) {
	for _, b := range goldenSegments(f) {
		f.Add(b[segHeaderBytes+frameHeaderBytes:])
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		fr := scannedFrame{frameHeader: frameHeader{lsn: firstLSN}, bytes: append(make([]byte, frameHeaderBytes), body...)}
		fr.verify(1)
		fr.verifyBodies()
		w := footerWriter{hard: map[raftpb.GroupID]hardRecord{}}
		fr.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
			w.add(h, rec, lsn)
			return true
		})
	})
}

// FuzzFooter decodes any bytes as a footer; a well-formed one encodes to the same.
func FuzzFooter(f *testing.F) {
	w := footerWriter{hard: map[raftpb.GroupID]hardRecord{}}
	rec := append(make([]byte, recordHeaderBytes), "payload of 24 bytes long"...)
	for i, typ := range []uint8{recEntries, recHardState, recSnapshot, recCompact, recTruncate, recDestroy} {
		w.add(recordHeader{typ: typ, group: raftpb.GroupID(i), index: 5, count: 2, term: 1, length: 64}, rec, uint64(4096+i*64))
	}
	w.finish()
	f.Add((&footer{base: 1, end: 2, salt: 3, chainIn: 4, chainOut: 5, frames: 6, records: 7, body: w.body}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		ft, ok := decodeFooter(b)
		if !ok {
			return
		}
		if !bytes.Equal(ft.encode(), b) {
			t.Fatal("encodes to something else")
		}
		again := footerWriter{}
		whole := ft.walk(func(h recordHeader, rec []byte, lsn uint64) bool {
			again.put(h, rec[recordHeaderBytes:], lsn)
			return true
		})
		if whole && len(again.body) > len(ft.body) {
			t.Fatalf("%d bytes became %d", len(ft.body), len(again.body))
		}
	})
}

// FuzzCatalog opens any bytes as a file catalog. What opens opens again, the same.
func FuzzCatalog(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "v1", "catalog", catalogFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := crashfs.New()
		fs.SetBytes(catalogFile, b)
		var before int
		for i := range 2 {
			c, err := FileCatalog(fs, "", slog.New(slog.DiscardHandler))
			if err != nil {
				if i == 0 {
					return
				}
				t.Fatal(err)
			}
			if _, err := readMeta(c); err != nil {
				t.Fatal(err)
			}
			keys := 0
			_ = c.Scan(nil, func(_, _ []byte) error { keys++; return nil }) // fails only when fn does
			if i > 0 && keys != before {
				t.Fatalf("%d keys became %d", before, keys)
			}
			before = keys
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzHeader decodes any bytes as a segment header; what decodes encodes to the same.
func FuzzHeader(f *testing.F) {
	for _, b := range goldenSegments(f) {
		f.Add(b[:segHeaderUsed])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, version, ok := decodeSegmentHeader(b)
		if !ok || version != formatVersion || len(b) < segHeaderUsed {
			return
		}
		page := make([]byte, segHeaderBytes)
		h.encode(page)
		if again, _, ok := decodeSegmentHeader(page); !ok || again != h {
			t.Fatalf("%+v became %+v", h, again)
		}
	})
}
