package wal

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Without syncs a log still survives the death of its process at any moment: what the kernel has been given is there, and the
// catalog never names a segment that is gone. The process dies here whenever a segment has just been dropped.
func TestAKilledProcessWithoutSyncsFindsItsLog(t *testing.T) {
	fs := memFS()
	o := running(fs)
	o.Sync, o.SegmentBytes, o.Spares = SyncNone, 16<<10, -1
	l, _ := mustOpen(t, "wal", o)
	defer func() { mustClose(t, l) }()
	names := func() int {
		list, err := fs.List("wal/" + segDir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	next, before, drops := 1, names(), 0
	for range 3000 {
		mustWrite(t, l, func(b *Batch) {
			b.Append(1, raftpb.Index(next), entriesOf(1, raftpb.Index(next), 4, 1000))
			if next > 40 {
				b.Compact(1, raftpb.Index(next-40))
			}
		})
		next += 4
		now := names()
		if now < before {
			drops++
			dead := running(fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}))
			dead.Sync, dead.SegmentBytes = SyncNone, 16<<10
			again, _ := mustOpen(t, "wal", dead)
			if got := again.Group(1).LastIndex(); got != raftpb.Index(next-1) {
				t.Errorf("the log ends at %d, want %d", got, next-1)
			}
			mustClose(t, again)
		}
		before = now
	}
	if drops < 20 {
		t.Errorf("only %d segments were dropped", drops)
	}
}
