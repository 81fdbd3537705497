package disk_test

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/disk"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/wal"
)

const sector = disk.SectorBytes

// twin is the naive disk: a file as it is, and as of its last sync.
type twin struct{ now, synced []byte }

func (w *twin) write(p []byte, off int) {
	if end := off + len(p); end > len(w.now) {
		w.now = append(w.now, make([]byte, end-len(w.now))...)
	}
	copy(w.now[off:], p)
}

func (w *twin) sync() { w.synced = slices.Clone(w.now) }

func content(t *testing.T, d *disk.Disk, name string) []byte {
	t.Helper()
	f, err := d.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sectorOf(b []byte, s int) []byte {
	out := make([]byte, sector)
	if at := s * sector; at < len(b) {
		copy(out, b[at:min(at+sector, len(b))])
	}
	return out
}

// TestCrash writes here and there, syncs now and then, and cuts the power. What was
// synced is there, and of the rest each sector is the old or the new one.
func TestCrash(t *testing.T) {
	s := schedule.NewStream(1, 0)
	mixed := 0
	for round := range 400 {
		d, w := disk.New(), &twin{}
		f, err := d.Create("f", "test")
		if err != nil {
			t.Fatal(err)
		}
		dir, _ := d.OpenDir("/")
		if err := dir.Sync(); err != nil {
			t.Fatal(err)
		}
		for range s.Intn(30) {
			if s.Chance(0.2) {
				_ = f.Sync()
				w.sync()
				continue
			}
			p := make([]byte, 1+s.Intn(3000))
			for i := range p {
				p[i] = byte(s.Uint64())
			}
			off := s.N(8000)
			_, _ = f.WriteAt(p, off)
			w.write(p, int(off))
		}
		how := disk.Survival{Keep: []float64{0, 1, 0.5}[round%3], Pages: round%2 == 0}
		d.Crash(how, &s)
		got := content(t, d, "f")
		switch {
		case how.Keep == 0 && !bytes.Equal(got, w.synced):
			t.Fatalf("round %d: %d bytes are not the %d synced ones", round, len(got), len(w.synced))
		case how.Keep == 1 && !bytes.Equal(got, w.now):
			t.Fatalf("round %d: %d bytes are not the %d written ones", round, len(got), len(w.now))
		}
		fresh, stale := false, false
		for i := range (len(w.now) + sector - 1) / sector {
			g, n, o := sectorOf(got, i), sectorOf(w.now, i), sectorOf(w.synced, i)
			if !bytes.Equal(g, n) && !bytes.Equal(g, o) {
				t.Fatalf("round %d: sector %d is neither the old nor the new one", round, i)
			}
			fresh = fresh || !bytes.Equal(g, o)
			stale = stale || !bytes.Equal(g, n)
		}
		if fresh && stale {
			mixed++
		}
		d.Crash(disk.Survival{}, &s)
		if again := content(t, d, "f"); !bytes.Equal(got, again) {
			t.Fatalf("round %d: a second loss of power changed what the first one left", round)
		}
	}
	if mixed < 20 {
		t.Errorf("only %d of 400 crashes kept some sectors and lost others", mixed)
	}
}

// TestNames: a file that was created, renamed or removed is so after a crash only if
// its folder was synced, or by luck.
func TestNames(t *testing.T) {
	s := schedule.NewStream(2, 0)
	var outcomes [2]int
	for range 100 {
		d := disk.New()
		f, _ := d.Create("a", "test")
		_, _ = f.Write([]byte("x"))
		_ = f.Sync()
		dir, _ := d.OpenDir("/")
		_ = dir.Sync()
		_ = d.Rename("a", "b")
		d.Crash(disk.Survival{Keep: 0.5}, &s)
		names, _ := d.List("/")
		if slices.Contains(names, "b") {
			outcomes[1]++
		} else if slices.Contains(names, "a") {
			outcomes[0]++
		}
	}
	if outcomes[0] == 0 || outcomes[1] == 0 {
		t.Errorf("old name %d times, new name %d times", outcomes[0], outcomes[1])
	}
	d := disk.New()
	_, _ = d.Create("gone", "test")
	d.Crash(disk.Survival{}, &s)
	if names, _ := d.List("/"); len(names) != 0 {
		t.Errorf("there is %v, and nothing was synced", names)
	}
}

// TestRenameIsWhole: whatever a crash leaves of renames from folder to folder, a file has
// one name, and a sync of either folder settles it.
func TestRenameIsWhole(t *testing.T) {
	s := schedule.NewStream(4, 0)
	var seen [2]map[string]int
	for round := range 400 {
		d := disk.New()
		_, _ = d.MkdirAll("a", 0o700), d.MkdirAll("b", 0o700)
		f, _ := d.Create("a/1", "test")
		_, _ = f.Write([]byte("x"))
		_ = f.Sync()
		for _, name := range []string{"/", "a", "b"} {
			dir, _ := d.OpenDir(name)
			_ = dir.Sync()
		}
		_ = d.Rename("a/1", "b/2")
		if synced := round & 1; synced == 1 {
			dir, _ := d.OpenDir([]string{"a", "b"}[round>>1&1])
			_ = dir.Sync()
		}
		_ = d.Rename("b/2", "a/3")
		d.Crash(disk.Survival{Keep: 0.5}, &s)
		a, _ := d.List("a")
		b, _ := d.List("b")
		names := append(a, b...)
		if len(names) != 1 {
			t.Fatalf("round %d: the file has the names %v", round, names)
		}
		if seen[round&1] == nil {
			seen[round&1] = map[string]int{}
		}
		seen[round&1][names[0]]++
	}
	if len(seen[0]) != 3 || len(seen[1]) != 2 || seen[1]["1"] > 0 {
		t.Errorf("outcomes %v", seen)
	}
}

// TestFaults: what Before refuses is not done.
func TestFaults(t *testing.T) {
	d := disk.New()
	f, _ := d.Create("f", "test")
	d.Before = func(op disk.Op, _ int) error {
		if op == disk.Write {
			return disk.ErrIO
		}
		return nil
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("the write succeeded")
	}
	if got := content(t, d, "f"); len(got) != 0 {
		t.Errorf("it holds %q", got)
	}
	if closer, err := d.Lock("l"); err != nil {
		t.Error(err)
	} else if _, err := d.Lock("l"); err == nil {
		t.Error("locked twice")
	} else if closer.Close(); true {
		if _, err := d.Lock("l"); err != nil {
			t.Error("not unlocked")
		}
	}
}

// TestLog: a whole log lives on the disk and comes back after a crash.
func TestLog(t *testing.T) {
	s := schedule.NewStream(3, 0)
	d := disk.New()
	o := wal.Options{Identity: wal.Identity{Cluster: "c", Node: 1}, FS: d, Catalog: wal.FileCatalog, Manual: true, SegmentBytes: 32 << 10}
	for life := range 20 {
		l, _, err := wal.Open("/log", o)
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		if got := l.Group(1).HardState().Term; int(got) != life {
			t.Fatalf("life %d: term %d is on the disk", life, got)
		}
		var b wal.Batch
		b.HardState(1, wal.HardState{Term: wal.HardState{}.Term + 1 + l.Group(1).HardState().Term})
		if err := l.Write(&b); err != nil {
			t.Fatal(err)
		}
		d.Crash(disk.Survival{Keep: 0.5}, &s)
	}
}

// TestMemory: a disk on memory that another one had before is as empty as the first, however
// much that was.
func TestMemory(t *testing.T) {
	var m disk.Memory
	s := schedule.NewStream(6, 0)
	for round := range 3 {
		m.Reset()
		d := disk.NewIn(&m)
		f, _ := d.Create("f", "test")
		for i := range int64(20_000) {
			if _, err := f.WriteAt([]byte{1 + byte(i%250)}, i*4096+1); err != nil {
				t.Fatal(err)
			}
		}
		if round == 1 {
			_ = f.Sync()
		}
		copied := content(t, d.Clone(), "f")
		if !d.Flip("f", 4096, 3) || copied[4096] != 0 || content(t, d, "f")[4096] != 8 {
			t.Error("a flip in one of two disks that share pages")
		}
		d.Crash(disk.Survival{Keep: 0.5}, &s)
		for i, b := range content(t, d, "f") {
			if want := 1 + byte(i/4096%250); i%4096 == 1 && b != want && (round == 1 || b != 0) || i%4096 != 1 && i != 4096 && b != 0 {
				t.Fatalf("round %d: byte %d is %d", round, i, b)
			}
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	d := disk.New()
	f, _ := d.Create("f", "test")
	_, _ = f.WriteAt(make([]byte, 1<<16), 0)
	_ = f.Sync()
	frame := make([]byte, 4096)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		_, _ = f.WriteAt(frame, i%16*4096)
		_ = f.Sync()
	}
}
