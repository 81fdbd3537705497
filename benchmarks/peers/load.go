package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// Result is one line of output: a system under one load.
type Result struct {
	Sys     string `json:"sys"`
	Tag     string `json:"tag,omitempty"`
	Payload int    `json:"payload"`
	Conc    int    `json:"conc"`
	Groups  int    `json:"groups"`
	Procs   int    `json:"procs"`

	Seconds   float64 `json:"seconds"`
	Ops       uint64  `json:"ops"`
	Errors    uint64  `json:"errors"`
	OpsPerSec float64 `json:"ops_per_s"`
	MBPerSec  float64 `json:"mb_per_s"`
	meter.Summary

	CPUPerMop    float64 `json:"cpu_s_per_mop"`
	CPUsUsed     float64 `json:"cpus_used"`
	SysShare     float64 `json:"sys_cpu_share"`
	AllocsPerOp  float64 `json:"allocs_per_op"`
	AllocBPerOp  float64 `json:"alloc_b_per_op"`
	GCsPerSec    float64 `json:"gcs_per_s"`
	CtxSwPerOp   float64 `json:"ctxsw_per_op"`
	DiskBPerOp   float64 `json:"disk_b_per_op"`
	FsyncsPerSec float64 `json:"fsyncs_per_s"`
	FlushPerSec  float64 `json:"flushes_per_s"`
	OpsPerFsync  float64 `json:"ops_per_fsync"`
	ForeignCPUs  float64 `json:"foreign_cpus"` // CPUs kept busy by anything else: noise if not small

	// Per thousand commands, of the members in this process; what an engine counts itself.
	Own map[string]float64 `json:"own_per_kop,omitempty"`

	Verified bool   `json:"verified"` // every member applied every acknowledged command and has the same state
	Note     string `json:"note,omitempty"`

	Go         string `json:"go"`
	CPUs       int    `json:"cpus"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	GOGC       string `json:"gogc"`
	When       string `json:"when"`
}

// loadConfig says what to do to a cluster.
type loadConfig struct {
	payload, clients int
	warm, metered    time.Duration
	profiles         profiles
}

// The phases of a load.
const (
	warming = iota
	metering
	stopping
)

// load is closed-loop clients at work.
type load struct {
	phase    atomic.Int32
	acked    atomic.Uint64 // in all phases
	errors   atomic.Uint64 // while metering
	complain sync.Once
	hists    []*meter.Histogram
	running  sync.WaitGroup
}

// runLoad drives clients for warm and metered time and meters the latter.
func runLoad(cl *cluster, lc loadConfig) (Result, error) {
	l, err := startLoad(cl, lc)
	if err != nil {
		return Result{}, err
	}
	time.Sleep(lc.warm)
	before, ownBefore := cl.sample(), cl.counts()
	stopProfiles, err := lc.profiles.start()
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	l.phase.Store(metering)
	time.Sleep(lc.metered)
	l.phase.Store(stopping)
	elapsed := time.Since(start)
	err = stopProfiles()
	used, own := cl.sample().Sub(before), cl.counts()
	if err := errors.Join(err, l.wait(20*time.Second)); err != nil {
		return Result{}, err
	}
	r := l.result(lc, elapsed.Seconds(), used)
	for name, v := range own {
		if r.Own == nil {
			r.Own = map[string]float64{}
		}
		r.Own[name] = 1000 * float64(v-ownBefore[name]) / float64(max(r.Ops, 1))
	}
	acked := l.acked.Load()
	if err := cl.verify(acked, acked*uint64(lc.payload), 15*time.Second); err != nil {
		r.Note = err.Error()
	} else {
		r.Verified = true
	}
	return r, nil
}

func startLoad(cl *cluster, lc loadConfig) (*load, error) {
	const maxHists = 32
	l := &load{}
	for range min(lc.clients, maxHists) {
		l.hists = append(l.hists, new(meter.Histogram))
	}
	clients := make([]Client, lc.clients)
	for i := range clients {
		c, err := cl.client(i)
		if err != nil {
			return nil, fmt.Errorf("client %d: %w", i+1, err)
		}
		clients[i] = c
	}
	for i, c := range clients {
		cmd := make([]byte, lc.payload)
		rand.Read(cmd) // never fails
		l.running.Go(func() { l.client(c, cmd, l.hists[i%len(l.hists)]) })
	}
	return l, nil
}

// client proposes cmd again and again until the load stops.
func (l *load) client(c Client, cmd []byte, h *meter.Histogram) {
	var acked uint64
	defer func() { l.acked.Add(acked) }()
	began := time.Now()
	for l.phase.Load() != stopping {
		err := c.Propose(cmd)
		now := time.Now()
		if err == nil {
			acked++
			if l.phase.Load() == metering {
				h.Add(now.Sub(began))
			}
			began = now
			continue
		}
		text := err.Error() // keeps err itself off the heap
		l.complain.Do(func() { fmt.Fprintln(os.Stderr, "first error:", text) })
		if l.phase.Load() == metering {
			l.errors.Add(1)
		}
		time.Sleep(time.Millisecond)
		began = time.Now()
	}
}

func (l *load) wait(limit time.Duration) error {
	stopped := make(chan struct{})
	go func() { l.running.Wait(); close(stopped) }()
	select {
	case <-stopped:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("clients still wait for answers %v after the load stopped", limit)
	}
}

func (l *load) result(lc loadConfig, seconds float64, used meter.Sample) Result {
	lat := meter.Summarise(l.hists...)
	n := float64(max(lat.Count, 1))
	perSync := 0.0 // unknown
	if used.Syncs > 0 {
		perSync = n / float64(used.Syncs)
	}
	return Result{
		Payload: lc.payload, Conc: lc.clients, Seconds: seconds, Ops: lat.Count, Errors: l.errors.Load(),
		OpsPerSec: n / seconds, MBPerSec: n * float64(lc.payload) / seconds / 1e6,
		Summary:   lat,
		CPUPerMop: used.CPU.Seconds() / n * 1e6, CPUsUsed: used.CPU.Seconds() / seconds,
		SysShare:    float64(used.SystemCPU) / float64(max(used.CPU, 1)),
		AllocsPerOp: float64(used.Allocs) / n, AllocBPerOp: float64(used.AllocBytes) / n,
		GCsPerSec: float64(used.GCs) / seconds, CtxSwPerOp: float64(used.Switches) / n,
		DiskBPerOp:   float64(used.WriteBytes) / n,
		FsyncsPerSec: float64(used.Syncs) / seconds, FlushPerSec: float64(used.Flushes) / seconds,
		OpsPerFsync: perSync,
		ForeignCPUs: (used.Machine - used.CPU).Seconds() / seconds,
	}
}
