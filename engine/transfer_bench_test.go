package engine_test

import (
	"context"
	"flag"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

var (
	haulMiB  = flag.Int("haul.mib", 64, "size of the snapshot in BenchmarkSnapshotTransfer")
	haulPace = flag.Int64("haul.pace", 0, "bytes of it per second; 0: the default, negative: no bound")
)

// clients propose on the leader, each one command at a time, until stop is called, which
// returns how long each commit took, sorted.
func (h *haul) clients(b *testing.B, n int) (stop func() []time.Duration) {
	g := h.group(h.leader())
	ctx, cancel := context.WithCancel(b.Context())
	took := make([][]time.Duration, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			cmd := make([]byte, 128)
			for ctx.Err() == nil {
				start := time.Now()
				if _, err := g.Propose(ctx, cmd); err == nil {
					took[i] = append(took[i], time.Since(start))
				}
			}
		})
	}
	return func() []time.Duration {
		cancel()
		running.Wait()
		all := slices.Concat(took...)
		slices.Sort(all)
		return all
	}
}

// BenchmarkSnapshotTransfer sends a snapshot to a new member while the connection is cut
// every second and 16 clients write durably. It reports what was sent for each byte of
// the snapshot, and the 99th percentile of commits beside that of an undisturbed time.
//
//	make bench-snapshot
func BenchmarkSnapshotTransfer(b *testing.B) {
	for b.Loop() {
		const away = 3
		h := newHaul(b, *haulMiB<<20, away, func(c *engine.Config) {
			c.Durability = engine.Fsync
			c.SegmentBytes = 64 << 20
			c.Snapshots = engine.SnapshotConfig{Entries: -1, Bytes: -1, KeepEntries: -1, MaxBytesPerSecond: *haulPace}
		})
		leader := h.leader()
		stop := h.clients(b, 16)
		undisturbed, cancel := context.WithTimeout(b.Context(), 3*time.Second)
		<-undisturbed.Done()
		cancel()
		before := stop()

		stop = h.clients(b, 16)
		start := time.Now()
		h.begin(away)
		cuts := 0
		next := start.Add(time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		for h.hosts[away].Metrics().Snapshots.Installed == 0 {
			if now := <-tick.C; now.After(next) {
				next = now.Add(time.Second)
				h.net.Break(leader, away)
				cuts++
			}
		}
		tick.Stop()
		elapsed := time.Since(start)
		during := stop()
		p99 := func(d []time.Duration) float64 { return float64(d[len(d)*99/100]) / 1e6 }
		b.ReportMetric(float64(h.sent())/float64(h.image), "sent/size")
		b.ReportMetric(float64(h.image)/1e6/elapsed.Seconds(), "MB/s")
		b.ReportMetric(float64(cuts), "cuts")
		b.ReportMetric(float64(h.hosts[leader].Metrics().Snapshots.Resumed), "resumed")
		b.ReportMetric(p99(before), "p99-before-ms")
		b.ReportMetric(p99(during), "p99-during-ms")
		b.ReportMetric(p99(during)/p99(before), "p99-ratio")
		for _, id := range []engine.NodeID{1, 2, away} {
			h.stop(id)
		}
	}
}
