package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// corpus is a log of a few segments, closed in order or left by a dying process,
// and what it must show.
type corpus struct {
	fs    *crashfs.FS
	open  CatalogOpener // nil: the file catalog
	state []string      // by number of batches
	sure  raftpb.Index
	names []string // its segment files

	history map[string]bool   // every entry it ever showed, as pairTold tells it
	older   map[string][]byte // its segment files, half way through
}

func newCorpus(t *testing.T, segment int64, batches int, closed bool) *corpus {
	t.Helper()
	c := &corpus{fs: crashfs.New(), history: map[string]bool{}}
	gen := newGenerator(11, 3)
	o := manual(c.fs)
	o.SegmentBytes, o.forcePrefill = segment, true
	l, _ := mustOpen(t, "wal", o)
	var b Batch
	c.state = append(c.state, gen.m.String())
	var synced raftpb.Index
	for i := range batches {
		for l.Step() {
		}
		if i == batches/2 {
			c.older = segmentBytes(c.fs)
		}
		c.sure = synced
		if !gen.fill(&b) {
			synced = gen.n
		}
		c.state = append(c.state, gen.m.String())
		gen.m.tell(c.history)
		if err := l.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
	if closed {
		c.sure = gen.n
		for l.Step() {
		}
		mustClose(t, l)
	} else {
		crash(l) // no frame says that the last one was acknowledged
	}
	c.fs = c.fs.Clone()
	c.names, _ = c.fs.List("wal/seg")
	return c
}

// verdictOf opens a damaged copy and says what came of the damage: "detected",
// "harmless" when the log still shows everything, "cut" when it lost its last,
// unpromised batch. Anything else is a failure.
func (c *corpus) verdictOf(fs *crashfs.FS) (string, error) {
	o := manual(fs)
	if c.open != nil {
		o.Catalog = c.open
	}
	l, _, err := Open("wal", o)
	if err != nil {
		if _, ok := errors.AsType[*CorruptError](err); !ok && !strings.Contains(err.Error(), "format version") {
			return "", fmt.Errorf("not a corruption error: %w", err)
		}
		return "detected", nil
	}
	defer crash(l)
	n := l.Group(counterGroup).HardState().Commit
	got, err := showLog(l)
	if err != nil {
		if _, ok := errors.AsType[*CorruptError](err); !ok {
			return "", fmt.Errorf("not a corruption error: %w", err)
		}
		return "detected", nil
	}
	if n < c.sure || int(n) >= len(c.state) || got != c.state[n] {
		return "", fmt.Errorf("silent: %d batches of %d\n%s", n, c.sure, firstDiff(got, c.state[min(int(n), len(c.state)-1)]))
	}
	if int(n) < len(c.state)-1 {
		return "cut", nil
	}
	return "harmless", nil
}

// tally runs damages in parallel and counts the verdicts.
type tally struct {
	t     *testing.T
	c     *corpus
	mu    sync.Mutex
	count map[string]int
	judge func(fs *crashfs.FS, count func(string)) (string, error)
	work  chan func()
	wait  sync.WaitGroup
}

func newTally(t *testing.T, c *corpus) *tally {
	y := &tally{t: t, c: c, count: map[string]int{}, work: make(chan func(), 16)}
	y.judge = func(fs *crashfs.FS, _ func(string)) (string, error) { return c.verdictOf(fs) }
	for range runtime.GOMAXPROCS(0) {
		y.wait.Go(func() {
			for f := range y.work {
				f()
			}
		})
	}
	return y
}

func (y *tally) damage(what string, fs *crashfs.FS) {
	y.work <- func() {
		v, err := y.judge(fs, y.tick)
		y.mu.Lock()
		defer y.mu.Unlock()
		if err != nil && !y.t.Failed() {
			y.t.Errorf("%s: %v", what, err)
		}
		y.count[v]++
	}
}

func (y *tally) tick(verdict string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.count[verdict]++
}

func (y *tally) end(what string) {
	close(y.work)
	y.wait.Wait()
	y.t.Logf("%s: %v", what, y.count)
}

func segmentBytes(fs *crashfs.FS) map[string][]byte {
	files := map[string][]byte{}
	names, _ := fs.List("wal/seg")
	for _, name := range names {
		files[name] = slices.Clone(fs.Bytes("wal/seg/" + name))
	}
	return files
}

// with returns a copy in which a file's bytes were changed behind the log's back.
func (c *corpus) with(name string, change func(b []byte) []byte) *crashfs.FS {
	fs := c.fs.Clone()
	fs.SetBytes("wal/seg/"+name, change(fs.Bytes("wal/seg/"+name)))
	return fs
}

// flipCorpus is closed after a few segments, or dies in its first one, in which
// nothing tells that the last batch was acknowledged.
func flipCorpus(t *testing.T, closed bool) *corpus {
	t.Helper()
	if closed {
		return newCorpus(t, 16<<10, 12, true)
	}
	return newCorpus(t, 64<<10, 12, false)
}

// TestFlips changes bytes of a log, each in a random bit: one in sixteen of them; all,
// and every bit of the segments' headers, under -torture.
func TestFlips(t *testing.T) {
	for _, closed := range []bool{true, false} {
		c := flipCorpus(t, closed)
		rng := rand.New(rand.NewPCG(3, 4))
		y := newTally(t, c)
		for _, name := range c.names {
			size := len(c.fs.Bytes("wal/seg/" + name))
			for at := 0; at < size; at++ {
				bits := []int{rng.IntN(8)}
				if header := at%segHeaderCopy < segHeaderUsed && at < segHeaderBytes; header && *torture > 1 {
					bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
				} else if rng.IntN(thinly(16)) != 0 {
					continue
				}
				for _, bit := range bits {
					y.damage(fmt.Sprintf("%s, byte %d, bit %d", name, at, bit), c.with(name, func(b []byte) []byte {
						b[at] ^= 1 << bit
						return b
					}))
				}
			}
		}
		y.end(fmt.Sprintf("flips, closed %v", closed))
	}
}

// TestSectors zeroes sectors and pages, swaps them with others, puts in their place what
// another segment has there, and what they held earlier: a write that was lost.
func TestSectors(t *testing.T) {
	for _, closed := range []bool{true, false} {
		c := newCorpus(t, 32<<10, 25, closed)
		rng := rand.New(rand.NewPCG(5, 6))
		y := newTally(t, c)
		for _, unit := range []int{512, 4096} {
			if testing.Short() && unit == 512 {
				continue
			}
			for _, name := range c.names {
				size := len(c.fs.Bytes("wal/seg/" + name))
				for at := 0; at+unit <= size; at += unit {
					y.damage(fmt.Sprintf("%s, %d zeroed at %d", name, unit, at), c.with(name, func(b []byte) []byte {
						clear(b[at : at+unit])
						return b
					}))
					other := rng.IntN(size/unit) * unit
					y.damage(fmt.Sprintf("%s, %d at %d swapped with %d", name, unit, at, other), c.with(name, func(b []byte) []byte {
						a, o := slices.Clone(b[at:at+unit]), slices.Clone(b[other:other+unit])
						copy(b[at:], o)
						copy(b[other:], a)
						return b
					}))
					if old := c.older[name]; at+unit <= len(old) {
						y.damage(fmt.Sprintf("%s, %d at %d as it was", name, unit, at), c.with(name, func(b []byte) []byte {
							copy(b[at:at+unit], old[at:])
							return b
						}))
					}
					from := c.fs.Bytes("wal/seg/" + c.names[rng.IntN(len(c.names))])
					y.damage(fmt.Sprintf("%s, %d at %d from another segment", name, unit, at), c.with(name, func(b []byte) []byte {
						copy(b[at:at+unit], from[at%max(1, len(from)-unit):])
						return b
					}))
				}
			}
		}
		y.end(fmt.Sprintf("sectors, closed %v", closed))
	}
}

// TestShortFiles cuts files off: at many bytes of the last segment, at every
// sector of the others; at every byte of all under -torture.
func TestShortFiles(t *testing.T) {
	for _, closed := range []bool{true, false} {
		c := flipCorpus(t, closed)
		y := newTally(t, c)
		for i, name := range c.names {
			step := thinly(512)
			if i >= len(c.names)-2 {
				step = thinly(29)
			}
			for n := 0; n < len(c.fs.Bytes("wal/seg/"+name)); n += step {
				y.damage(fmt.Sprintf("%s, cut at %d", name, n), c.with(name, func(b []byte) []byte { return b[:n] }))
			}
		}
		y.end(fmt.Sprintf("short files, closed %v", closed))
	}
}

// TestFiles deletes, duplicates and swaps files.
func TestFiles(t *testing.T) {
	c := newCorpus(t, 16<<10, 12, true)
	y := newTally(t, c)
	begun := c.names[:len(c.names)-1] // the last one is only prepared
	last, _ := parseSegName(c.names[len(c.names)-1])
	for i, name := range begun {
		fs := c.fs.Clone()
		if err := fs.Remove("wal/seg/" + name); err != nil {
			t.Fatal(err)
		}
		if v, err := c.verdictOf(fs); v != "detected" {
			t.Errorf("%s deleted: %s, %v", name, v, err)
		}
		for k, other := range c.names {
			if k == i {
				continue
			}
			fs := c.fs.Clone()
			a, b := fs.Bytes("wal/seg/"+name), fs.Bytes("wal/seg/"+other)
			fs.SetBytes("wal/seg/"+other, a)
			if v, err := c.verdictOf(fs.Clone()); v != "detected" {
				t.Errorf("%s copied over %s: %s, %v", name, other, v, err)
			}
			fs.SetBytes("wal/seg/"+name, b)
			if v, err := c.verdictOf(fs); v != "detected" {
				t.Errorf("%s swapped with %s: %s, %v", name, other, v, err)
			}
		}
		y.damage(name+" under a new number", c.with(segName(last+1), func([]byte) []byte {
			return c.fs.Bytes("wal/seg/" + name)
		}))
	}
	foreign := newCorpus(t, 16<<10, 12, true)
	b := foreign.fs.Bytes("wal/seg/" + begun[1])
	b[16] ^= 1 // another store, with a checksum that says so
	h, _, _ := decodeSegmentHeader(b)
	h.store[0] = b[16]
	h.encode(b)
	y.damage("segment of another store", c.with(begun[1], func([]byte) []byte { return b }))
	if y.end("files"); y.count["detected"] != len(begun)+1 {
		t.Errorf("verdicts are %v", y.count)
	}
}

// TestCatalogFlips changes bytes of the catalog's files, in both kinds: the log
// shows everything, or says that something is missing.
func TestCatalogFlips(t *testing.T) {
	for name, kind := range map[string]struct {
		open  CatalogOpener
		every int
	}{"file": {FileCatalog, thinly(7)}, "pebble": {PebbleCatalog, thinly(101)}} {
		t.Run(name, func(t *testing.T) {
			c := newCorpus(t, 16<<10, 30, true)
			if name == "pebble" {
				c.open = PebbleCatalog
				_ = c.fs.RemoveAll("wal/catalog")
				o := manual(c.fs)
				o.Catalog = PebbleCatalog
				l, _ := mustOpen(t, "wal", o) // which makes it anew, with footers
				for l.Step() {
				}
				mustClose(t, l)
			}
			y := newTally(t, c)
			names, _ := c.fs.List("wal/catalog")
			rng := rand.New(rand.NewPCG(8, 9))
			for _, file := range names {
				path := "wal/catalog/" + file
				b := c.fs.Bytes(path)
				for at := 0; at < len(b); at += 1 + rng.IntN(kind.every) {
					fs := c.fs.Clone()
					fs.Spoil(path, at, 1<<rng.IntN(8))
					y.damage(fmt.Sprintf("%s, byte %d", file, at), fs)
				}
			}
			y.end("flips in a catalog of kind " + name)
		})
	}
}

// A lost or damaged catalog is made anew from the segments.
func TestCatalogLost(t *testing.T) {
	for name, spoil := range map[string]func(fs *crashfs.FS){
		"removed": func(fs *crashfs.FS) { _ = fs.RemoveAll("wal/catalog") },
		"emptied": func(fs *crashfs.FS) { fs.SetBytes("wal/catalog/CATALOG", nil) },
		"flipped": func(fs *crashfs.FS) {
			b := fs.Bytes("wal/catalog/CATALOG")
			for i := range b {
				b[i] ^= 0x10
			}
			fs.SetBytes("wal/catalog/CATALOG", b)
		},
	} {
		c := newCorpus(t, 16<<10, 12, true)
		spoil(c.fs)
		l, rec, err := Open("wal", manual(c.fs))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := showLog(l); err != nil || got != c.state[len(c.state)-1] || !rec.CatalogRebuilt {
			t.Errorf("%s: rebuilt %v, %v\n%s", name, rec.CatalogRebuilt, err, firstDiff(got, c.state[len(c.state)-1]))
		}
		crash(l)
	}
}

// Damage that happens while the log is open is found when the entry is read, and
// named; other entries can be read.
func TestReadFindsDamage(t *testing.T) {
	fs := crashfs.New()
	o := manual(fs)
	o.CacheBytes = -1
	l, _ := mustOpen(t, "wal", o)
	es := entriesOf(1, 1, 12, 3000)
	mustWrite(t, l, func(b *Batch) { b.Append(1, 1, es[:6]) })
	mustWrite(t, l, func(b *Batch) { b.Append(1, 7, es[6:]) })
	name := "wal/seg/" + segName(1)
	clean := fs.Bytes(name)
	at := strings.Index(string(clean), "9@1|")
	fs.Spoil(name, at+100, 0x40)
	for i := raftpb.Index(1); i <= 12; i++ {
		got, err := l.Group(1).Entries(nil, i, i+1, 1)
		if i != 9 {
			if err != nil || diffEntries(got, es[i-1:i]) != "" {
				t.Errorf("entry %d: %v", i, err)
			}
			continue
		}
		e, ok := errors.AsType[*CorruptError](err)
		if !ok || e.Group != 1 || e.Lo != 9 || e.Hi != 10 || e.Segment != 1 {
			t.Errorf("damaged entry: %v", err)
		}
	}
	if _, err := l.Group(1).Entries(nil, 1, 13, 1<<20); err == nil {
		t.Error("a range with a damaged entry was read")
	}
	fs.Spoil(name, at+100, 0x40)
	table := int(l.Group(1).view.runs[1].lsn) - firstLSN + segHeaderBytes + recordHeaderBytes + 3
	fs.Spoil(name, table, 0x80)
	_, err := l.Group(1).Entries(nil, 7, 8, 1)
	if e, ok := errors.AsType[*CorruptError](err); !ok || e.Group != 1 || e.Lo != 7 || e.Hi != 13 {
		t.Errorf("damaged table: %v", err)
	}
	mustClose(t, l)
}
