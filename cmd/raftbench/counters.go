package main

import (
	"runtime"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// counters is what a report says about cost, at one moment.
type counters struct {
	syncs     uint64 // fdatasync and the like, and O_DSYNC writes
	wireBytes uint64 // sent by nodes
	elections uint64 // campaigns
	cpu       amount
	mallocs   amount
}

// amount is a value that not every system or node can tell.
type amount struct {
	value   uint64
	unknown bool
}

func (m amount) add(o amount) amount {
	return amount{m.value + o.value, m.unknown || o.unknown}
}

func (m amount) sub(o amount) amount {
	return amount{m.value - o.value, m.unknown || o.unknown}
}

func (c counters) add(o counters) counters {
	return counters{
		c.syncs + o.syncs, c.wireBytes + o.wireBytes, c.elections + o.elections, c.cpu.add(o.cpu), c.mallocs.add(o.mallocs),
	}
}

func (c counters) sub(o counters) counters {
	return counters{
		c.syncs - o.syncs, c.wireBytes - o.wireBytes, c.elections - o.elections, c.cpu.sub(o.cpu), c.mallocs.sub(o.mallocs),
	}
}

// processCounters returns what the process itself has used: processor time in
// nanoseconds, user and system, and heap objects.
func processCounters() counters {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	cpu, ok := processCPU()
	return counters{cpu: amount{uint64(cpu), !ok}, mallocs: amount{value: mem.Mallocs}}
}

// hostCounters returns what a host of this process has counted.
func hostCounters(m engine.Metrics) counters {
	return counters{syncs: uint64(m.Log.Syncs), wireBytes: m.Network.BytesOut, elections: m.Elections}
}

// statusCounters reads the counters that a node tells in its StatusResponse.
func statusCounters(list []raftpb.Counter) counters {
	c := counters{mallocs: amount{unknown: true}}
	for _, one := range list {
		value := uint64(max(one.Value, 0))
		switch one.Name {
		case "syncs":
			c.syncs = value
		case "wire_bytes_out":
			c.wireBytes = value
		case "elections":
			c.elections = value
		case "mallocs":
			c.mallocs = amount{value: value}
		}
	}
	return c
}
