// Package wal_test measures the log beside the bare system calls under it, in
// interleaved rounds: the machine drifts, so only figures of one round compare.
package wal_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

var (
	rounds = flag.Int("rounds", 5, "interleaved rounds")
	slice  = flag.Duration("slice", 300*time.Millisecond, "time per engine, shape and round")
)

type shape struct {
	name        string
	count, size int
}

func shapes() []shape {
	return []shape{{"1x128", 1, 128}, {"16x128", 16, 128}, {"256x128", 256, 128}, {"16x16K", 16, 16 << 10}}
}

func entries(s shape) []raftpb.Entry {
	es := make([]raftpb.Entry, s.count)
	for i := range es {
		body := make([]byte, s.size)
		for k := range body {
			body[k] = byte(i * k)
		}
		es[i] = raftpb.Entry{Term: 1, Kind: 1, Body: body, Crc32c: wal.EntryChecksum(1, body)}
	}
	return es
}

// appender makes one batch durable per call.
type appender interface {
	append() error
	close() error
}

// raw is one pwrite and one fdatasync over blocks that were written before.
type raw struct {
	f   *os.File
	buf []byte
	off int64
}

const rawBytes = 64 << 20

func newRaw(dir string, s shape) (appender, error) {
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(make([]byte, rawBytes)); err != nil {
		return nil, err
	}
	n := (64 + 40 + s.count*(8+s.size) + 4095) &^ 4095
	return &raw{f: f, buf: make([]byte, n)}, f.Sync()
}

func (r *raw) append() error {
	if r.off+int64(len(r.buf)) > rawBytes {
		r.off = 0
	}
	r.buf[r.off%int64(len(r.buf))]++
	if _, err := r.f.WriteAt(r.buf, r.off); err != nil {
		return err
	}
	r.off += int64(len(r.buf))
	return syscall.Fdatasync(int(r.f.Fd()))
}

func (r *raw) close() error { return r.f.Close() }

// ours is one batch at a time through Write, or through Submit and a channel.
type ours struct {
	l      *wal.Log
	b      wal.Batch
	es     []raftpb.Entry
	next   raftpb.Index
	kept   raftpb.Index // what comes before was compacted
	submit bool
	done   chan error
	finish func(error)
}

func open(dir string) (*wal.Log, error) {
	l, _, err := wal.Open(filepath.Join(dir, "wal"), wal.Options{
		Identity: wal.Identity{Cluster: "bench", Node: 1}, Logger: slog.New(slog.DiscardHandler),
	})
	for err == nil && l.Metrics().Spares == 0 {
		runtime.Gosched() // the zeros of the next segment are not part of what is measured
	}
	return l, err
}

func newOurs(submit bool) func(string, shape) (appender, error) {
	return func(dir string, s shape) (appender, error) {
		l, err := open(dir)
		if err != nil {
			return nil, err
		}
		o := &ours{l: l, es: entries(s), next: 1, submit: submit, done: make(chan error, 1)}
		o.finish = func(err error) { o.done <- err }
		return o, nil
	}
}

func (o *ours) append() error {
	o.b.Reset()
	o.b.Append(1, o.next, o.es)
	o.next += raftpb.Index(len(o.es))
	if o.next > o.kept+raftpb.Index(256*len(o.es)) {
		o.kept = o.next - raftpb.Index(len(o.es))
		o.b.Compact(1, o.kept) // so that segments are used again, as they are in service
	}
	if !o.submit {
		return o.l.Write(&o.b)
	}
	o.l.Submit(&o.b, o.finish)
	return <-o.done
}

func (o *ours) close() error { return o.l.Close() }

// BenchmarkDepth1 makes one batch durable after the other. The ratios are medians
// over the rounds of each engine's p50 by that of the bare calls in the same round.
func BenchmarkDepth1(b *testing.B) {
	engines := []struct {
		name string
		open func(string, shape) (appender, error)
	}{{"raw", newRaw}, {"wal-write", newOurs(false)}, {"wal-submit", newOurs(true)}}
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			p50 := make([][]float64, len(engines))
			for b.Loop() {
				p50 = make([][]float64, len(engines))
				for range *rounds {
					for i, e := range engines {
						a, err := e.open(b.TempDir(), s)
						if err != nil {
							b.Fatal(err)
						}
						p50[i] = append(p50[i], measure(b, a))
						if err := a.close(); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			for i, e := range engines {
				b.ReportMetric(median(p50[i]), e.name+"-p50-us")
				if i > 0 {
					ratios := make([]float64, len(p50[i]))
					for k := range ratios {
						ratios[k] = p50[i][k] / p50[0][k]
					}
					b.ReportMetric(median(ratios), e.name+"/raw")
				}
			}
		})
	}
}

func measure(b *testing.B, a appender) float64 {
	b.Helper()
	var took []float64
	for begin := time.Now(); time.Since(begin) < *slice; {
		t := time.Now()
		if err := a.append(); err != nil {
			b.Fatal(err)
		}
		took = append(took, float64(time.Since(t).Nanoseconds())/1e3)
	}
	return median(took)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkDepth2 keeps two batches in flight through Submit, beside one. The ratio
// is the median over the rounds of appends per second.
func BenchmarkDepth2(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			rate := make([][]float64, 3)
			var ratio []float64
			for b.Loop() {
				rate, ratio = make([][]float64, 3), nil
				for range *rounds {
					for depth := 1; depth <= 2; depth++ {
						rate[depth] = append(rate[depth], pipelined(b, s, depth))
					}
					n := len(rate[1]) - 1
					ratio = append(ratio, rate[2][n]/rate[1][n])
				}
			}
			b.ReportMetric(median(rate[1]), "d1-appends/s")
			b.ReportMetric(median(rate[2]), "d2-appends/s")
			b.ReportMetric(median(ratio), "d2/d1")
		})
	}
}

func pipelined(b *testing.B, s shape, depth int) float64 {
	b.Helper()
	l, err := open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	es := entries(s)
	tokens := make(chan error, depth)
	for range depth {
		tokens <- nil
	}
	done := func(err error) { tokens <- err }
	var batch wal.Batch
	next, n := raftpb.Index(1), 0
	begin := time.Now()
	for ; time.Since(begin) < *slice; n++ {
		if err := <-tokens; err != nil {
			b.Fatal(err)
		}
		batch.Reset()
		batch.Append(1, next, es)
		next += raftpb.Index(len(es))
		l.Submit(&batch, done)
	}
	took := time.Since(begin)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	return float64(n) / took.Seconds()
}

// BenchmarkAppend counts allocations per batch.
func BenchmarkAppend(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			a, err := newOurs(false)(b.TempDir(), s)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(s.count * s.size))
			b.ReportAllocs()
			for b.Loop() {
				if err := a.append(); err != nil {
					b.Fatal(err)
				}
			}
			if err := a.close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkGroups has many groups write one small batch each, over and over.
func BenchmarkGroups(b *testing.B) {
	for _, groups := range []int{1, 16, 100, 1000} {
		b.Run(fmt.Sprint(groups), func(b *testing.B) {
			l, err := open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			es := entries(shapes()[0])
			tokens := make(chan struct{}, groups)
			errs := make(chan error, groups)
			var cpu syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &cpu)
			for g := range groups {
				go func() {
					var batch wal.Batch
					next := raftpb.Index(1)
					for range tokens {
						batch.Reset()
						batch.Append(raftpb.GroupID(g), next, es)
						batch.HardState(raftpb.GroupID(g), wal.HardState{Term: 1, Commit: next})
						next++
						if err := l.Write(&batch); err != nil {
							errs <- err
							return
						}
					}
					errs <- nil
				}()
			}
			begin := time.Now()
			n := 0
			for b.Loop() {
				tokens <- struct{}{}
				n++
			}
			close(tokens)
			for range groups {
				if err := <-errs; err != nil {
					b.Fatal(err)
				}
			}
			took := time.Since(begin)
			before := cpu
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &cpu)
			used := cpu.Utime.Nano() + cpu.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			m := l.Metrics()
			b.ReportMetric(float64(n)/took.Seconds(), "appends/s")
			b.ReportMetric(float64(used)/1e3/float64(n), "cpu-us/append")
			b.ReportMetric(float64(m.Batches)/float64(m.Frames), "batches/frame")
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
