package engine_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

var (
	slowRounds = flag.Int("slow.rounds", 1, "rounds in TestASlowFollowerCostsLittle; from 5 on its figures are judged")
	slowSlice  = flag.Duration("slow.slice", 100*time.Millisecond, "half a round")
	slowDisk   = flag.Bool("slow.disk", false, "use the disk of TMPDIR, as fast as it is, in place of disks in memory that take 1 ms")
)

const (
	fastSync = time.Millisecond // what a disk of these tests takes
	slowSync = 50 * time.Millisecond
)

// delayed is a disk that can be made slow.
type delayed interface{ Slow(d time.Duration) }

// realDisks are three directories on a real disk.
func realDisks(t *testing.T) (map[engine.NodeID]delayed, func(*engine.Config)) {
	dir, disks := t.TempDir(), map[engine.NodeID]delayed{}
	for id := engine.NodeID(1); id <= 3; id++ {
		disks[id] = wal.NewSlowFS(wal.DefaultFS())
	}
	return disks, func(cfg *engine.Config) {
		cfg.Durability, cfg.Dir, cfg.ElectionTimeout = engine.Fsync, filepath.Join(dir, fmt.Sprint(cfg.Node)), 2*time.Second
		cfg.FS, _ = disks[cfg.Node].(*wal.SlowFS)
	}
}

// slowCluster is three nodes on disks in memory whose syncs take fastSync.
func slowCluster(t *testing.T, adjust func(*engine.Config)) (*cluster, map[engine.NodeID]delayed) {
	disks := map[engine.NodeID]delayed{}
	inMemory, onDisk := onDisks(3)
	for id, d := range inMemory {
		disks[id] = d
	}
	if *slowDisk {
		disks, onDisk = realDisks(t)
	}
	c := newClusterOf(t, 3, func(cfg *engine.Config) {
		onDisk(cfg)
		cfg.SegmentBytes = 4 << 20
		cfg.Snapshots = engine.SnapshotConfig{Entries: 20_000, KeepEntries: 1000}
		if adjust != nil {
			adjust(cfg)
		}
	}, func() engine.StateMachine { return &heavy{} })
	c.leader()
	for _, d := range disks {
		d.Slow(fastest())
	}
	return c, disks
}

// fastest is what is added to a sync of a disk that is not slow.
func fastest() time.Duration {
	if *slowDisk {
		return 0
	}
	return fastSync
}

// pour lets clients propose at the leader until ctx ends or limit commands are through,
// and returns how many were acknowledged.
func pour(ctx context.Context, c *cluster, clients int, limit int64, size int) int64 {
	g := c.group(c.leader())
	var left, done atomic.Int64
	left.Store(limit)
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			cmd := make([]byte, size)
			for ctx.Err() == nil && left.Add(-1) >= 0 {
				if _, err := g.Propose(c.t.Context(), cmd); err == nil {
					done.Add(1)
				}
			}
		})
	}
	running.Wait()
	return done.Load()
}

const plenty = 1 << 40

// A follower whose disk takes 50 ms for a sync, beside others that take 1 ms, is not waited
// for. Rounds of two halves, with it fast and with it slow, in turns; with enough of them
// the median of the ratios is judged.
//
//	make bench-slow-follower
func TestASlowFollowerCostsLittle(t *testing.T) {
	c, disks := slowCluster(t, nil)
	leader := c.leader()
	slow := leader%3 + 1
	half := func(sync time.Duration) float64 {
		disks[slow].Slow(sync)
		c.eventually("the follower to have caught up", func() bool {
			s := c.status(leader)
			return c.group(slow).Applied() >= s.Commit-engine.Index(1000)
		})
		ctx, cancel := context.WithTimeout(t.Context(), *slowSlice)
		defer cancel()
		began := time.Now()
		return float64(pour(ctx, c, 256, plenty, 128)) / time.Since(began).Seconds()
	}
	half(fastest())
	var ratios []float64
	for n := range *slowRounds {
		var fast, slow float64
		if n%2 == 0 {
			fast, slow = half(fastest()), half(slowSync)
		} else {
			slow, fast = half(slowSync), half(fastest())
		}
		if slow == 0 {
			t.Error("nothing was acknowledged beside a slow follower")
		}
		ratios = append(ratios, slow/fast)
		t.Logf("round %d: %.0f commits/s beside a fast follower, %.0f beside a slow one, ratio %.3f", n+1, fast, slow, slow/fast)
	}
	slices.Sort(ratios)
	median := ratios[len(ratios)/2]
	t.Logf("ratio: median %.3f, %.3f to %.3f", median, ratios[0], ratios[len(ratios)-1])
	if len(ratios) >= 5 && median < 0.95 {
		t.Errorf("a slow follower costs %.1f %%, want at most 5", 100*(1-median))
	}
}

// Appends that stream ahead of their answers do not spread the commands over more syncs: a
// follower writes what has come in during the sync before.
func TestAppendsInFlightAddNoSyncs(t *testing.T) {
	commands := int64(2000)
	if *slowRounds >= 5 {
		commands = 50_000
	}
	per1000 := func(inflight int) float64 {
		c, _ := slowCluster(t, func(cfg *engine.Config) { cfg.MaxInflightAppends = inflight })
		syncs := func() (n int64) {
			for _, h := range c.hosts {
				n += h.Metrics().Log.FrameSyncs
			}
			return n
		}
		before := syncs()
		done := pour(t.Context(), c, 64, commands, 128)
		c.eventually("all to have applied it", func() bool {
			commit := c.status(c.leader()).Commit
			for id := range c.hosts {
				if c.group(id).Applied() < commit {
					return false
				}
			}
			return true
		})
		return float64(syncs()-before) / float64(done) * 1000
	}
	one, many := per1000(1), per1000(256)
	t.Logf("syncs per 1,000 commits on three nodes: %.1f with 1 append in flight, %.1f with 256, ratio %.3f", one, many, many/one)
	limit := 1.2
	if *slowRounds < 5 {
		limit = 2 // so few commits say little
	}
	if many > limit*one {
		t.Errorf("%.1f syncs per 1,000 commits with 256 appends in flight, %.1f with one: want at most %.1f times as many", many, one, limit)
	}
}

// What a leader keeps for a follower that hears nothing, is dead or has come back empty is bounded,
// however much is committed meanwhile.
func TestMemoryIsBoundedBesideAFollowerThatIsBehind(t *testing.T) {
	for name, lose := range map[string]func(c *cluster, w *transport.Memory, leader, id engine.NodeID){
		"hears nothing": func(_ *cluster, w *transport.Memory, leader, id engine.NodeID) { w.Cut(leader, id) },
		"is far away": func(_ *cluster, w *transport.Memory, leader, id engine.NodeID) {
			w.Delay(leader, id, slowSync, slowSync)
		},
		"is dead": func(c *cluster, _ *transport.Memory, _, id engine.NodeID) { c.stop(id) },
		"is empty": func(c *cluster, w *transport.Memory, leader, id engine.NodeID) {
			c.stop(id)
			if err := os.RemoveAll(filepath.Join(c.dir, fmt.Sprint(id))); err != nil {
				c.t.Fatal(err)
			}
			w.Delay(leader, id, slowSync, slowSync)
			c.start(id)
		},
	} {
		t.Run(name, func(t *testing.T) { memoryBeside(t, lose) })
	}
}

func memoryBeside(t *testing.T, lose func(c *cluster, w *transport.Memory, leader, id engine.NodeID)) {
	const poured, most = 96 << 20, 48 << 20
	w, inMemory := world()
	c := newClusterOf(t, 3, func(cfg *engine.Config) {
		inMemory(cfg)
		cfg.ElectionTimeout, cfg.SegmentBytes = 2*time.Second, 16<<20
		cfg.Snapshots = engine.SnapshotConfig{Entries: 2000, KeepEntries: 100}
	}, func() engine.StateMachine { return &heavy{} })
	heap := func() uint64 {
		goruntime.GC() // what is in use counts, not what waits for its collection
		var m goruntime.MemStats
		goruntime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	pour(t.Context(), c, 32, 1000, 16<<10)
	leader := c.leader()
	before := heap()
	lose(c, w, leader, leader%3+1)
	var peak uint64
	for range 10 {
		pour(t.Context(), c, 32, poured/10/(16<<10), 16<<10)
		peak = max(peak, heap())
	}
	t.Logf("%d MiB committed, %d MiB of heap before, %d at most", poured>>20, before>>20, peak>>20)
	if peak > before+most {
		t.Errorf("the heap grew from %d to %d bytes while %d were committed", before, peak, poured)
	}
	for _, p := range c.status(c.leader()).Peers {
		if p.InflightBytes > 10<<20 {
			t.Errorf("%d bytes are in flight to node %d", p.InflightBytes, p.ID)
		}
	}
}
