package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const group raftpb.GroupID = 7

// state is what a test puts into an image.
type state struct {
	meta    Meta
	facts   []KeyValue
	machine []byte
	files   map[string][]byte
}

// stateAt makes a state of size bytes that is the same for equal arguments.
func stateAt(index raftpb.Index, size int) state {
	rng := rand.New(rand.NewChaCha8([32]byte{byte(index)}))
	s := state{
		meta: Meta{
			Index: index, Term: 3, ConfigIndex: 2,
			Config: raftpb.Configuration{Incoming: []raftpb.Member{{ID: 1, Address: "a:1", Suffrage: raftpb.SuffrageVoter}}},
		},
		facts:   []KeyValue{{[]byte("chain"), []byte{1, 2, 3}}, {[]byte("session/1"), nil}},
		machine: make([]byte, size),
		files:   map[string][]byte{"000001.sst": []byte("one file"), "empty": {}},
	}
	for i := range s.machine {
		s.machine[i] = byte(rng.Uint32())
	}
	return s
}

func openGroup(t testing.TB, fs wal.FS, o Options) *Group {
	t.Helper()
	g, err := New(fs, "data/snapshot", o).Group(group)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return g
}

// write writes s through w, in pieces, and commits it.
func (s state) write(w *Writer) (Meta, error) {
	w.Engine(s.facts)
	w.Machine()
	for rest := s.machine; len(rest) > 0; {
		n, err := w.Write(rest[:min(len(rest), 1000)])
		if err != nil {
			break // Commit tells
		}
		rest = rest[n:]
	}
	for _, name := range []string{"000001.sst", "empty"} {
		w.File(name)
		_, _ = w.Write(s.files[name]) // Commit tells
	}
	return w.Commit()
}

func (s state) save(g *Group) (Meta, error) {
	w, err := g.Create(s.meta)
	if err != nil {
		return Meta{}, err
	}
	return s.write(w)
}

func mustSave(t testing.TB, g *Group, s state) Meta {
	t.Helper()
	m, err := s.save(g)
	if err != nil {
		t.Fatalf("save %d: %v", s.meta.Index, err)
	}
	return m
}

// load reads an image back as a state.
func load(img *Image) (state, error) {
	s := state{meta: img.Meta(), files: map[string][]byte{}}
	err := img.Read(
		func(kv KeyValue) error {
			s.facts = append(s.facts, KeyValue{bytes.Clone(kv.Key), bytes.Clone(kv.Value)})
			return nil
		},
		func(r io.Reader) (err error) {
			s.machine, err = io.ReadAll(r)
			return err
		},
		func(name string, r io.Reader) (err error) {
			s.files[name], err = io.ReadAll(r)
			return err
		})
	return s, err
}

func wantState(t testing.TB, img *Image, want state) {
	t.Helper()
	got, err := load(img)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if fmt.Sprintf("%q", got.facts) != fmt.Sprintf("%q", want.facts) || !bytes.Equal(got.machine, want.machine) {
		t.Fatalf("image %d: read back otherwise than written", want.meta.Index)
	}
	for name, b := range want.files {
		if !bytes.Equal(got.files[name], b) {
			t.Fatalf("file %q: %q, want %q", name, got.files[name], b)
		}
	}
	if m := got.meta; m.Index != want.meta.Index || m.Term != want.meta.Term || m.ConfigIndex != 2 || len(m.Config.Incoming) != 1 {
		t.Fatalf("described as %+v", m)
	}
}

// A snapshot is written, the process starts again, and the newest one is found, checked
// and read; two members that snapshot the same state get the same bytes.
func TestSnapshotsAreFoundAgain(t *testing.T) {
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{})
	for _, size := range []int{0, 1, blockBytes - 1, blockBytes, blockBytes + 1, 5*blockBytes + 17} {
		s := stateAt(raftpb.Index(10+size), size)
		m := mustSave(t, g, s)
		other := mustSave(t, openGroup(t, wal.NewMemFS(), Options{}), s)
		if !bytes.Equal(m.SnapshotID, other.SnapshotID) || m.SizeBytes != other.SizeBytes {
			t.Fatalf("size %d: another member's image is another one", size)
		}
		img, damaged, err := openGroup(t, fs, Options{}).Recover(5)
		if err != nil || len(damaged) > 0 {
			t.Fatalf("size %d: recover: %v, %v", size, err, damaged)
		}
		wantState(t, img, s)
		if err := img.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.Images()); n != 2 {
		t.Errorf("%d images are kept, want the newest 2", n)
	}
}

// An image in use outlives its place among the newest.
func TestImageInUseStays(t *testing.T) {
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{Keep: 1})
	first := stateAt(10, 100)
	mustSave(t, g, first)
	img, err := g.Newest()
	if err != nil {
		t.Fatal(err)
	}
	mustSave(t, g, stateAt(20, 100))
	wantState(t, img, first)
	if names, _ := fs.List(g.dir); len(names) != 2 {
		t.Fatalf("%q, want both images", names)
	}
	if err := errors.Join(img.Close(), img.Close()); err != nil {
		t.Fatal(err)
	}
	if names, _ := fs.List(g.dir); len(names) != 1 {
		t.Fatalf("%q, want the newest image", names)
	}
}

// The same state is not written twice, not even at the same time, and an attempt that
// was given up leaves nothing.
func TestOneImagePerIndex(t *testing.T) {
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{})
	s := stateAt(10, 100)
	w, err := g.Create(s.meta)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Create(s.meta); !errors.Is(err, ErrExists) {
		t.Errorf("second at the same time: %v", err)
	}
	w.Abort()
	w.Abort()
	if names, _ := fs.List(g.dir); len(names) != 0 {
		t.Errorf("left: %q", names)
	}
	mustSave(t, g, s)
	if _, err := g.Create(s.meta); !errors.Is(err, ErrExists) {
		t.Errorf("second: %v", err)
	}
	if _, err := g.Create(Meta{}); !errors.Is(err, ErrMeta) {
		t.Errorf("of nothing: %v", err)
	}
	w, err = g.Create(stateAt(20, 0).meta)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("bytes without a section were taken")
	}
	if _, err := w.Commit(); err == nil {
		t.Error("and committed")
	}
	if _, err := w.Commit(); err == nil {
		t.Error("committed twice")
	}
	w, _ = g.Create(stateAt(20, 0).meta)
	w.File(strings.Repeat("n", maxNameBytes+1))
	if _, err := w.Commit(); err == nil {
		t.Error("a name without bound was taken")
	}
	if n := len(g.Images()); n != 1 {
		t.Errorf("%d images", n)
	}
}

// The log begins behind the newest image, which is damaged: that is never passed
// over in silence. With a log that still reaches back to an older one, that one serves.
func TestDamagedNewestImage(t *testing.T) {
	disk := wal.NewMemFS()
	g := openGroup(t, disk, Options{})
	older := stateAt(10, 300)
	mustSave(t, g, older)
	mustSave(t, g, stateAt(20, 300))
	newest := g.path(g.images[1].name)
	for _, damage := range []func(b []byte) []byte{
		func(b []byte) []byte { b[0]++; return b },
		func(b []byte) []byte { b[len(b)/2]++; return b },
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return nil },
		func(b []byte) []byte { return append(b, 0) },
	} {
		fs := wal.NewMemFS()
		copyFile(t, disk, fs, g.path(g.images[0].name), nil)
		copyFile(t, disk, fs, newest, damage)
		img, damaged, err := openGroup(t, fs, Options{}).Recover(10)
		if err != nil || len(damaged) != 1 || !isDamage(damaged[0]) {
			t.Fatalf("recover: %v, %v", err, damaged)
		}
		wantState(t, img, older)
		if img, _, err := openGroup(t, fs, Options{}).Recover(11); img != nil || !errors.Is(err, ErrNoImage) || !isDamage(err) {
			t.Fatalf("the log is gone: %v", err)
		}
		if img, damaged, err := openGroup(t, fs, Options{}).Recover(0); img == nil || len(damaged) != 1 || err != nil {
			t.Fatalf("with the whole log: %v, %v", damaged, err)
		}
	}
	if img, _, err := openGroup(t, wal.NewMemFS(), Options{}).Recover(0); img != nil || err != nil {
		t.Errorf("nothing at all: %v", err)
	}
}

func copyFile(t testing.TB, from, to wal.FS, name string, change func([]byte) []byte) {
	t.Helper()
	b := readFile(t, from, name)
	if change != nil {
		b = change(b)
	}
	if err := to.MkdirAll(to.PathDir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := to.Create(name, category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, fs wal.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An image of one group is none of another.
func TestImageOfAnotherGroup(t *testing.T) {
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{})
	mustSave(t, g, stateAt(10, 30))
	b := readFile(t, fs, g.path(g.images[0].name))
	if err := fs.MkdirAll("data/snapshot/0000000000000008", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("data/snapshot/0000000000000008/"+g.images[0].name, category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	other, err := New(fs, "data/snapshot", Options{}).Group(8)
	if err != nil {
		t.Fatal(err)
	}
	if img, _, err := other.Recover(1); img != nil || !isDamage(err) {
		t.Errorf("taken for its own: %v", err)
	}
	store := New(fs, "data/snapshot", Options{})
	if err := errors.Join(store.Destroy(group), store.Destroy(99)); err != nil {
		t.Fatal(err)
	}
	if names, _ := fs.List("data/snapshot"); len(names) != 1 {
		t.Errorf("after destroy: %q", names)
	}
}

// Every byte of an image is flipped on disk, in all its bits at head and end: each time
// it is found, by the check before use and by reading.
func TestEveryByteOfAnImageCounts(t *testing.T) {
	fs := wal.NewMemFS()
	g := openGroup(t, fs, Options{})
	mustSave(t, g, stateAt(10, blockBytes+300))
	whole := readFile(t, fs, g.path(g.images[0].name))
	at := 0
	flipped := bytes.NewReader(whole)
	check := func(bits byte) {
		whole[at] ^= bits
		defer func() { whole[at] ^= bits }()
		c := checker{r: flipped, path: "image", size: int64(len(whole)), group: group}
		if _, err := c.verify(); !isDamage(err) {
			t.Fatalf("byte %d, bits %x: %v", at, bits, err)
		}
	}
	for at = range whole {
		if ends := at < 400 || at >= len(whole)-400; ends {
			for bit := range 8 {
				check(1 << bit)
			}
		} else if at%97 == 0 || !testing.Short() && at%7 == 0 {
			check(0x80)
		}
	}
	for n := range whole {
		if n%97 != 0 && n > 400 && n < len(whole)-400 {
			continue
		}
		c := checker{r: bytes.NewReader(whole[:n]), path: "image", size: int64(n), group: group}
		if _, err := c.verify(); !isDamage(err) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}
