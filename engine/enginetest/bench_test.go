package enginetest

import "testing"

// BenchmarkWorlds is the speed of the profiles: one seed per round, all invariants on.
func BenchmarkWorlds(b *testing.B) {
	for _, p := range Profiles() {
		b.Run(p.Name, func(b *testing.B) {
			var events, seed uint64
			b.ReportAllocs()
			for b.Loop() {
				seed++
				r := p.Run(Options{Seed: seed})
				if r.Failure != nil {
					b.Fatal(r.Failure)
				}
				events += r.Events
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(events)/float64(b.N), "events/op")
		})
	}
}
