package waltest_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/seed-814fcd60/raftwire/wal"
	"github.com/seed-814fcd60/raftwire/wal/waltest"
)

func TestPebbleCatalog(t *testing.T) { waltest.TestCatalog(t, wal.PebbleCatalog) }

func TestFileCatalog(t *testing.T) { waltest.TestCatalog(t, wal.FileCatalog) }

func TestLog(t *testing.T) {
	for name, change := range map[string]func(o *wal.Options){
		"disk":         func(*wal.Options) {},
		"memory":       func(o *wal.Options) { o.FS = wal.NewMemFS() },
		"file catalog": func(o *wal.Options) { o.FS, o.Catalog = wal.NewMemFS(), wal.FileCatalog },
		"no sync":      func(o *wal.Options) { o.Sync = wal.SyncNone },
		"small":        func(o *wal.Options) { o.SegmentBytes, o.MaxFrameBytes, o.CacheBytes = 16<<10, 4<<10, -1 },
	} {
		t.Run(name, func(t *testing.T) {
			waltest.TestLog(t, func(t *testing.T) (string, wal.Options) {
				o := wal.Options{
					Identity: wal.Identity{Cluster: "suite", Node: 1}, SegmentBytes: 256 << 10,
					Logger: slog.New(slog.DiscardHandler),
				}
				change(&o)
				return filepath.Join(t.TempDir(), "wal"), o
			})
		})
	}
}
