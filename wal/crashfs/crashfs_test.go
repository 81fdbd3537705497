package crashfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// Nothing survives by itself: neither bytes nor names.
func TestImageDropsWhatWasNotSynced(t *testing.T) {
	fs := New()
	if err := fs.MkdirAll("d", 0); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("d/f", "")
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 2000)
	if _, err := f.Write(body); err != nil {
		t.Fatal(err)
	}
	sync := func(dir string) {
		t.Helper()
		d, err := fs.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	none := Survival{}
	if got := fs.Image(none, rng()).Bytes("d/f"); got != nil {
		t.Errorf("a file in an unsynced directory survived with %d bytes", len(got))
	}
	sync("/")
	sync("d")
	if got := fs.Image(none, rng()).Bytes("d/f"); got == nil || len(got) != 0 {
		t.Errorf("unsynced bytes survived: %d", len(got))
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := fs.Image(none, rng()).Bytes("d/f"); !bytes.Equal(got, body) {
		t.Errorf("synced bytes did not survive: %d", len(got))
	}
	if _, err := f.WriteAt([]byte("yyy"), 600); err != nil {
		t.Fatal(err)
	}
	if got := fs.Image(none, rng()).Bytes("d/f"); !bytes.Equal(got, body) {
		t.Error("an unsynced overwrite survived")
	}
	if got := fs.Image(Survival{Percent: 100}, rng()).Bytes("d/f"); string(got[600:603]) != "yyy" {
		t.Error("a surviving overwrite is lost")
	}
	if err := fs.Rename("d/f", "d/g"); err != nil {
		t.Fatal(err)
	}
	image := fs.Image(none, rng())
	if image.Bytes("d/f") == nil || image.Bytes("d/g") != nil {
		t.Error("an unsynced rename survived")
	}
}

// A refused sync may leave bytes that read back and that no later sync writes.
func TestLoseOnFailedSync(t *testing.T) {
	fs := New()
	fs.LoseOnFailedSync = true
	f, err := fs.Create("f", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	fs.OnOp = func(op Op) error {
		if op.Kind == Sync {
			return errors.New("refused")
		}
		return nil
	}
	if f.Sync() == nil {
		t.Fatal("sync was not refused")
	}
	fs.OnOp = nil
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	fs.root.sync()
	if got := fs.Image(Survival{}, rng()).Bytes("f"); string(got) == "abc" || string(fs.Bytes("f")) != "abc" {
		t.Errorf("image has %q, cache has %q", got, fs.Bytes("f"))
	}
}
