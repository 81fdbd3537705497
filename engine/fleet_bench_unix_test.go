//go:build unix

package engine_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// BenchmarkFleet measures what many groups cost while they have nothing to do, on three
// hosts in one process, and how long they are without leaders when a host is lost.
//
//	make bench-fleet GROUPS=1000
//
// cpu-%/host is of one processor, for one host. messages/s is what one host sends.
func BenchmarkFleet(b *testing.B) {
	for name, after := range map[string]time.Duration{"asleep": 500 * time.Millisecond, "awake": -1} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f := newFleet(b, *fleetGroups, func(c *engine.Config) {
					c.QuiesceAfter, c.Durability = after, engine.Fsync
				})
				f.awaitLeaders()
				f.write()
				if after > 0 {
					eventually(b, "all groups to sleep", func() bool { return f.asleep() == f.groups })
				}
				f.idle(b, 10*time.Second)
				began := time.Now()
				f.kill(1)
				f.awaitLeaders()
				b.ReportMetric(time.Since(began).Seconds()/f.config.ElectionTimeout.Seconds(), "timeouts-to-elect")
				f.write()
				f.close()
			}
			b.ReportMetric(0, "ns/op") // it means nothing
		})
	}
}

// idle reports what the hosts use while nobody asks them for anything.
func (f *fleet) idle(b *testing.B, long time.Duration) {
	calls := func() (n uint64) {
		for _, h := range f.hosts {
			n += h.Metrics().Network.CallsOut
		}
		return n
	}
	cpu, sent, began := processorTime(b), calls(), time.Now()
	quiet, cancel := context.WithTimeout(b.Context(), long)
	<-quiet.Done()
	cancel()
	took := time.Since(began).Seconds() * float64(len(f.hosts))
	b.ReportMetric(100*(processorTime(b)-cpu).Seconds()/took, "cpu-%/host")
	b.ReportMetric(float64(calls()-sent)/took, "messages/s")
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
