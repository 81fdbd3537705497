package snapshot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal/crashfs"
)

// workload does all that a store does. committed is told after each image that counts.
func workload(g *Group, src []*Image, committed func(raftpb.Index)) error {
	save := func(index raftpb.Index, size int) error {
		_, err := stateAt(index, size).save(g)
		if err == nil {
			committed(index)
		}
		return err
	}
	receive := func(img *Image, upTo int64) error {
		p, err := g.Receive(img.Meta())
		if err != nil {
			return err
		}
		if err := transfer(img, p, 5000, upTo); err != nil {
			p.Discard()
			return err
		}
		if !p.Complete() {
			return p.Close()
		}
		if _, err := p.Commit(); err != nil {
			return err
		}
		committed(img.Meta().Index)
		return nil
	}
	if err := errors.Join(save(10, 700), save(20, 2*blockBytes)); err != nil {
		return err
	}
	inUse, err := g.Newest()
	if err != nil {
		return err
	}
	w, err := g.Create(stateAt(25, 0).meta)
	if err != nil {
		return err
	}
	w.Machine()
	_, err = w.Write(make([]byte, 3*blockBytes))
	w.Abort()
	if err != nil {
		return err
	}
	err = errors.Join(receive(src[0], blockBytes), receive(src[1], 900), receive(src[0], 1<<40), save(40, 100), save(50, 5000))
	return errors.Join(err, inUse.Close(), save(60, 0))
}

// disk has the data folder, durably: the log makes it.
func disk(t testing.TB) *crashfs.FS {
	t.Helper()
	fs := crashfs.New()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := fs.OpenDir("/")
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Sync(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// sources are the images that the workload receives.
func sources(t testing.TB) []*Image {
	return []*Image{source(t, stateAt(30, 2*blockBytes)), source(t, stateAt(31, 3000))}
}

// judge opens what a crash left: the newest image that was committed is there, or a
// newer one that was about to be, and whatever has a final name is whole.
func judge(fs *crashfs.FS, committed raftpb.Index) error {
	g, err := New(fs, "data/snapshot", Options{}).Group(group)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	img, damaged, err := g.Recover(committed)
	if err != nil || len(damaged) > 0 {
		return fmt.Errorf("recover from %d: %w, %v", committed, err, damaged)
	}
	if img == nil {
		return nil
	}
	got, err := load(img)
	if err != nil {
		return err
	}
	sizes := map[raftpb.Index]int{10: 700, 20: 2 * blockBytes, 30: 2 * blockBytes, 31: 3000, 40: 100, 50: 5000, 60: 0}
	if want := stateAt(got.meta.Index, sizes[got.meta.Index]); string(got.machine) != string(want.machine) {
		return fmt.Errorf("image %d holds another state", got.meta.Index)
	}
	for _, m := range g.Images() {
		if m.SizeBytes == 0 {
			return fmt.Errorf("image %d has its name, but is not whole", m.Index)
		}
	}
	return img.Close()
}

// The power fails before every operation of the file system, with eight choices of what
// of the unsynced data is on the disk, and again during each operation of the start
// after it: no snapshot that counted is lost, none that did not count is taken for one.
func TestCrash(t *testing.T) {
	src := sources(t)
	fs := disk(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var committed raftpb.Index
	ops, images, again := 0, 0, 0
	shoot := func() {
		for i, s := range crashfs.Survivals() {
			if testing.Short() && (i+ops)%4 != 0 {
				continue // the race detector looks for other things
			}
			disk := fs.Image(s, rng)
			images++
			disk.OnOp = func(op crashfs.Op) error {
				again++
				if err := judge(disk.Image(s, rng), committed); err != nil {
					t.Fatalf("op %d, %+v, then again before %+v: %v", ops, s, op, err)
				}
				return nil
			}
			if err := judge(disk, committed); err != nil {
				t.Fatalf("op %d, %+v: %v", ops, s, err)
			}
		}
	}
	fs.OnOp = func(crashfs.Op) error {
		ops++
		shoot()
		return nil
	}
	g, err := New(fs, "data/snapshot", Options{}).Group(group)
	if err != nil {
		t.Fatal(err)
	}
	if err := workload(g, src, func(i raftpb.Index) { committed = max(committed, i) }); err != nil {
		t.Fatal(err)
	}
	shoot()
	t.Logf("%d operations, %d crash images, %d of a crash during recovery", ops, images, again)
	if ops < 60 || committed != 60 {
		t.Errorf("%d operations, image %d: the workload is none", ops, committed)
	}
}

// Every operation fails in turn, with an error of the disk or because it is full: the
// caller is told, what counted before still does, and no file whose sync failed is
// synced again.
func TestDiskErrors(t *testing.T) {
	src := sources(t)
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for at, failed := 1, true; failed; at++ {
			fs := disk(t)
			fs.ShortWrites, fs.LoseOnFailedSync = true, true
			ops := 0
			var where crashfs.Op
			unsynced := ""
			failed = false
			fs.OnOp = func(op crashfs.Op) error {
				ops++
				if op.Kind == crashfs.Create && op.Path == unsynced {
					unsynced = "" // a new file of that name
				}
				if op.Kind == crashfs.Sync && op.Path == unsynced {
					t.Fatalf("op %d: %s is synced again after a failed sync", ops, op.Path)
				}
				if ops != at {
					return nil
				}
				failed, where = true, op
				if op.Kind == crashfs.Sync {
					unsynced = op.Path
				}
				return cause
			}
			var committed raftpb.Index
			g, err := New(fs, "data/snapshot", Options{}).Group(group)
			if err != nil {
				t.Fatal(err)
			}
			err = workload(g, src, func(i raftpb.Index) { committed = max(committed, i) })
			if failed && err == nil && where.Kind != crashfs.Remove {
				t.Fatalf("op %d, %+v, failed and nobody was told", at, where)
			}
			if err != nil && !errors.Is(err, cause) {
				t.Fatalf("op %d: %v, want %v", at, err, cause)
			}
			fs.OnOp = nil
			if err := judge(fs.Clone(), committed); err != nil {
				t.Fatalf("op %d, %+v: %v", at, where, err)
			}
			if err := judge(fs.Image(crashfs.Survival{}, rand.New(rand.NewPCG(1, 2))), committed); err != nil {
				t.Fatalf("op %d, %+v, then the power: %v", at, where, err)
			}
		}
	}
}

// FuzzImage feeds a checker anything: it finds damage or an image that reads back.
func FuzzImage(f *testing.F) {
	img := source(f, stateAt(10, 100))
	whole := make([]byte, img.Meta().SizeBytes)
	_, _ = img.ReadAt(whole, 0)
	f.Add(whole)
	f.Add(whole[:headerBytes])
	f.Add([]byte(headerMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := crashfs.New()
		if err := fs.MkdirAll("data/snapshot/0000000000000007", 0o755); err != nil {
			t.Fatal(err)
		}
		const name = "data/snapshot/0000000000000007/000000000000000a-0000000000000003.snap"
		if file, err := fs.Create(name, category); err != nil {
			t.Fatal(err)
		} else if _, err := file.Write(b); err != nil {
			t.Fatal(err)
		}
		img, damaged, err := openGroup(t, fs, Options{}).Recover(0)
		if err != nil || (img == nil) == (len(damaged) == 0) {
			t.Fatalf("%v, %v, %v", img, damaged, err)
		}
		if img == nil {
			return
		}
		if _, err := load(img); err != nil && isDamage(err) && string(b) == string(whole) {
			t.Fatal(err)
		}
	})
}
