package engine_test

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// sink is the cheapest state machine.
type sink struct{ n int }

func (s *sink) Apply(b engine.Batch, _ []engine.Result) error { s.n += len(b.Commands); return nil }

func (s *sink) Query([]byte) ([]byte, error) { return nil, nil }

func (s *sink) Snapshot() (engine.Snapshot, error) {
	return engine.BytesSnapshot(fmt.Append(nil, s.n)), nil
}

func (s *sink) Restore(r io.Reader) error {
	_, err := fmt.Fscan(r, &s.n)
	return err
}

// BenchmarkPropose proposes 128 B commands on three nodes in one process, every
// commit synced on a majority. raftbench measures the same with latencies.
func BenchmarkPropose(b *testing.B) {
	for _, clients := range []int{1, 64, 256, 1024} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			c := startBench(b)
			leader := c.leader()
			cmd := make([]byte, 128)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var done sync.WaitGroup
			for range clients {
				done.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := c.group(leader).Propose(b.Context(), cmd); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			done.Wait()
			b.StopTimer()
			var syncs int64
			for _, h := range c.hosts {
				syncs += h.Metrics().Log.Syncs
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			b.ReportMetric(1000*float64(syncs)/float64(b.N), "syncs/1000ops")
		})
	}
}

func startBench(b *testing.B) *cluster {
	b.Helper()
	return newClusterOf(b, 3, func(cfg *engine.Config) {
		cfg.Durability, cfg.ElectionTimeout, cfg.SegmentBytes = engine.Fsync, 0, 0
	}, func() engine.StateMachine { return &sink{} })
}
