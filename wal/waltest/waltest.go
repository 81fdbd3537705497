// Package waltest has the tests that the parts a log is built on must pass: a
// catalog, and any combination of file system, catalog and options.
//
//	func TestMyCatalog(t *testing.T) { waltest.TestCatalog(t, openMine) }
//	func TestMyDisk(t *testing.T) {
//		waltest.TestLog(t, func(t *testing.T) (dir string, o wal.Options) { ... })
//	}
package waltest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/wal"
)

// TestCatalog checks a catalog: order, replacement and removal, atomic batches,
// and that what was synced outlives a power cut.
func TestCatalog(t *testing.T, open wal.CatalogOpener) {
	t.Run("reopen", func(t *testing.T) { catalogReopen(t, open) })
	t.Run("crash", func(t *testing.T) { catalogCrash(t, open) })
}

const catalogDir = "catalog"

// catalogDisk makes an empty disk with a directory for the catalog.
func catalogDisk(t *testing.T) *wal.CrashFS {
	t.Helper()
	fs := wal.NewCrashFS()
	if err := fs.MkdirAll(catalogDir, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := fs.OpenDir("/")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		t.Fatal(err)
	}
	return fs
}

func mustOpen(t *testing.T, open wal.CatalogOpener, fs wal.FS) wal.Catalog {
	t.Helper()
	c, err := open(fs, catalogDir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return c
}

func set(key, value string) wal.CatalogChange {
	return wal.CatalogChange{Key: []byte(key), Value: []byte(value)}
}

func remove(key string) wal.CatalogChange { return wal.CatalogChange{Key: []byte(key)} }

func mustApply(t *testing.T, c wal.Catalog, changes []wal.CatalogChange, sync bool) {
	t.Helper()
	if err := c.Apply(changes, sync); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func scan(t *testing.T, c wal.Catalog, prefix string) []string {
	t.Helper()
	var got []string
	err := c.Scan([]byte(prefix), func(key, value []byte) error {
		got = append(got, fmt.Sprintf("%s=%s", key, value))
		return nil
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return got
}

func catalogReopen(t *testing.T, open wal.CatalogOpener) {
	fs := catalogDisk(t)
	c := mustOpen(t, open, fs)
	if got := scan(t, c, ""); len(got) != 0 {
		t.Errorf("an empty catalog has %v", got)
	}
	mustApply(t, c, []wal.CatalogChange{set("b1", "1"), set("a", "x"), set("b\xff", "last"), set("c", "")}, true)
	mustApply(t, c, []wal.CatalogChange{set("b0", "0"), set("b1", "2"), remove("a"), remove("never")}, false)
	large := bytes.Repeat([]byte("v"), 24<<10)
	mustApply(t, c, []wal.CatalogChange{{Key: []byte("large"), Value: large}}, true)
	for range 2 {
		if got, want := scan(t, c, "b"), []string{"b0=0", "b1=2", "b\xff=last"}; !slices.Equal(got, want) {
			t.Errorf("scan is %q, want %q", got, want)
		}
		if got := scan(t, c, "a"); len(got) != 0 {
			t.Errorf("a removed key is there: %v", got)
		}
		if got := scan(t, c, "large"); len(got) != 1 || got[0] != "large="+string(large) {
			t.Error("a large value does not come back")
		}
		if got := scan(t, c, ""); len(got) != 5 {
			t.Errorf("%d keys", len(got))
		}
		stop := errors.New("stop")
		n := 0
		err := c.Scan(nil, func(_, _ []byte) error { n++; return stop })
		if !errors.Is(err, stop) || n != 1 {
			t.Errorf("a scan that is told to stop goes on to %d: %v", n, err)
		}
		if err := c.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		c = mustOpen(t, open, fs)
	}
	if err := c.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// catalogCrash cuts the power after every batch: synced batches are there, others
// are there whole or not at all, and none without those before it.
func catalogCrash(t *testing.T, open wal.CatalogOpener) {
	fs := catalogDisk(t)
	c := mustOpen(t, open, fs)
	synced := 0
	for i := 1; i <= 30; i++ {
		n := fmt.Sprint(i)
		sync := i%3 == 0
		mustApply(t, c, []wal.CatalogChange{set("x", n), set("y", n), set("n"+n, n)}, sync)
		if sync {
			synced = i
		}
		for _, percent := range []int{0, 50, 100} {
			image := fs.Crash(percent, uint64(i))
			again := mustOpen(t, open, image)
			x, y := scan(t, again, "x"), scan(t, again, "y")
			got := 0
			if len(x) == 1 {
				_, _ = fmt.Sscanf(x[0], "x=%d", &got) // got stays 0 when it is no number
			}
			if len(x) != len(y) || len(x) == 1 && x[0][2:] != y[0][2:] {
				t.Errorf("after batch %d, %d %%: half a batch: %v, %v", i, percent, x, y)
			}
			if got < synced || got > i || len(scan(t, again, "n")) != got {
				t.Errorf("after batch %d, %d %%: has batch %d, %d were synced", i, percent, got, synced)
			}
			if err := again.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
		}
	}
	if err := c.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}
