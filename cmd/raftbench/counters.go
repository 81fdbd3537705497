package main

import (
	"encoding/json"
	"math/bits"
	"runtime"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/histogram"
)

// counters is what a report says about cost, at one moment. A node tells its own as JSON.
type counters struct {
	Syncs         uint64              `json:"syncs"`          // fdatasync and the like, and O_DSYNC writes
	Writes        uint64              `json:"writes"`         // system calls that wrote: to sockets, and frames to the log
	WireBytes     uint64              `json:"wire_bytes_out"` // sent by nodes
	Elections     uint64              `json:"elections"`      // campaigns
	CPU           amount              `json:"cpu_ns"`         // processor time, user and system
	Mallocs       amount              `json:"mallocs"`        // heap objects
	SyncDurations histogram.Histogram `json:"sync_durations"` // of the syncs that made log durable
	Batches       batchCounts         `json:"batches"`
}

// amount is a value that not every system or node can tell.
type amount struct {
	Value   uint64 `json:"value"`
	Unknown bool   `json:"unknown,omitempty"`
}

func (m amount) add(o amount) amount { return amount{m.Value + o.Value, m.Unknown || o.Unknown} }

func (m amount) sub(o amount) amount { return amount{m.Value - o.Value, m.Unknown || o.Unknown} }

// batchCounts counts batches of commands applied, by their size: up to 1, 2, 4, ... and
// more than all that.
type batchCounts [18]uint64

func (c counters) add(o counters) counters {
	c.Syncs += o.Syncs
	c.Writes += o.Writes
	c.WireBytes += o.WireBytes
	c.Elections += o.Elections
	c.CPU, c.Mallocs = c.CPU.add(o.CPU), c.Mallocs.add(o.Mallocs)
	c.SyncDurations.Add(&o.SyncDurations)
	for i, n := range o.Batches {
		c.Batches[i] += n
	}
	return c
}

func (c counters) sub(o counters) counters {
	c.Syncs -= o.Syncs
	c.Writes -= o.Writes
	c.WireBytes -= o.WireBytes
	c.Elections -= o.Elections
	c.CPU, c.Mallocs = c.CPU.sub(o.CPU), c.Mallocs.sub(o.Mallocs)
	c.SyncDurations.Sub(&o.SyncDurations)
	for i, n := range o.Batches {
		c.Batches[i] -= n
	}
	return c
}

// batchRecorder counts the batches of all machines of a node. It is safe for concurrent use.
type batchRecorder [len(batchCounts{})]atomic.Uint64

func (r *batchRecorder) record(commands int) {
	if r != nil && commands > 0 {
		r[min(bits.Len(uint(commands-1)), len(r)-1)].Add(1)
	}
}

func (r *batchRecorder) read() (c batchCounts) {
	for i := range r {
		c[i] = r[i].Load()
	}
	return c
}

// processCounters returns what the process itself has used.
func processCounters() counters {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	cpu, ok := processCPU()
	return counters{CPU: amount{uint64(cpu), !ok}, Mallocs: amount{Value: mem.Mallocs}}
}

// hostCounters returns what a host of this process has counted.
func hostCounters(m *engine.Metrics, batches *batchRecorder) counters {
	return counters{
		Syncs: uint64(m.Log.Syncs), Writes: m.Network.Writes + uint64(m.Log.Frames), WireBytes: m.Network.BytesOut, Elections: m.Elections,
		SyncDurations: m.Log.SyncDurations, Batches: batches.read(),
	}
}

// nodeCounters answers the query "counters" of a node that has its process for itself.
func nodeCounters(host *engine.Host, batches *batchRecorder) func() ([]byte, error) {
	return func() ([]byte, error) {
		m := host.Metrics()
		c := hostCounters(&m, batches).add(processCounters())
		return json.Marshal(&c)
	}
}

// fsyncHistogram is the histogram of syncs as a result shows it, in microseconds.
func fsyncHistogram(h *histogram.Histogram) (r result.Histogram) {
	for i, n := range h.Counts {
		r.UpTo = append(r.UpTo, float64(histogram.Bound(i).Microseconds()))
		r.Counts = append(r.Counts, n)
	}
	return r
}

func batchHistogram(c *batchCounts) (r result.Histogram) {
	for i, n := range c {
		r.UpTo = append(r.UpTo, float64(uint64(1)<<i))
		r.Counts = append(r.Counts, n)
	}
	return r
}
