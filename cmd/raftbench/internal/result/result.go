// Package result is what raftbench measures, as JSON: the contract with whoever reads
// it, and the comparison of two results.
package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Durable is the only durability of which a figure may be a headline: a quorum had
// synced before an operation was acknowledged.
const Durable = "fsync"

// Result is one run. Its keys are a contract: tools read them.
type Result struct {
	System           string    `json:"system"`
	Version          string    `json:"version"`
	Nodes            int       `json:"nodes"`
	Groups           int       `json:"groups"`
	Clients          int       `json:"clients"`
	PayloadBytes     int       `json:"payload_bytes"` // mean
	Codec            string    `json:"codec"`
	TLS              bool      `json:"tls"`        // between the nodes
	Durability       string    `json:"durability"` // only Durable is durable
	Loop             string    `json:"loop"`       // closed or open
	Seconds          float64   `json:"seconds"`    // measured, warm-up excluded
	Ops              uint64    `json:"ops"`        // acknowledged in that time
	Errors           uint64    `json:"errors"`     // attempts refused or of unknown outcome in that time
	OpsPerSecond     float64   `json:"ops_per_s"`
	LatencyUs        Latencies `json:"latency_us"`            // in an open loop from when an operation was due
	FsyncsPer1000Ops float64   `json:"fsyncs_per_1000_ops"`   // of all nodes together, per 1,000 writes
	CPUSecondsPerMop *float64  `json:"cpu_s_per_million_ops"` // of all nodes and clients; null: cannot be told here
	AllocsPerOp      *float64  `json:"allocs_per_op"`         // likewise
	WireBytesPerOp   float64   `json:"wire_bytes_per_op"`     // sent by all nodes together
	Elections        uint64    `json:"elections"`             // campaigns in the time measured
	StateHashEqual   bool      `json:"state_hash_equal"`      // false too when it could not be compared

	Label    string `json:"label,omitempty"` // of a run in a sweep: what sets it apart
	Verified bool   `json:"verified"`        // all nodes have applied what was acknowledged, once, and reads saw it
	// HeadlineOpsPerSecond is the throughput that may be quoted: null unless the run was
	// durable, verified and not interrupted.
	HeadlineOpsPerSecond *float64 `json:"headline_ops_per_s"`

	Started         time.Time `json:"started"`
	Machine         Machine   `json:"machine"`
	Processes       bool      `json:"processes"` // each node in a process of its own
	Procs           int       `json:"gomaxprocs"`
	Payload         string    `json:"payload"`   // the distribution of sizes
	Rate            float64   `json:"rate"`      // operations per second that were due, 0 in a closed loop
	Arrivals        string    `json:"arrivals"`  // even or poisson, "" in a closed loop
	InFlight        int       `json:"in_flight"` // operations per client
	Sessions        bool      `json:"sessions"`
	ReadPercent     float64   `json:"read_percent"`
	ReadConsistency string    `json:"read_consistency"`
	Leaders         []int     `json:"leaders"` // groups that each node leads, at the end
	WarmupSeconds   float64   `json:"warmup_s"`
	Steady          bool      `json:"steady"` // throughput had settled when measuring began

	WritesPer1000Ops float64      `json:"writes_per_1000_ops"` // system calls that wrote, of all nodes, per 1,000 writes
	Reads            uint64       `json:"reads"`               // of Ops
	ReadLatencyUs    Latencies    `json:"read_latency_us"`
	ServiceLatencyUs Latencies    `json:"service_latency_us"` // open loop: from when it was sent, which hides waiting
	Percentiles      []Percentile `json:"percentiles"`
	IntervalSeconds  float64      `json:"interval_s"`
	Intervals        []Interval   `json:"intervals"` // of that length, whole ones
	FsyncUs          Histogram    `json:"fsync_us"`  // syncs that made log durable, of all nodes
	BatchSizes       Histogram    `json:"batch_sizes"`
	Scenario         *Scenario    `json:"scenario,omitempty"`
}

// Latencies are in microseconds.
type Latencies struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Percentile is a point of the latency curve: P % took at most Us microseconds.
type Percentile struct {
	P  float64 `json:"p"`
	Us float64 `json:"us"`
}

// Interval is a slice of the time measured. Its latencies, in microseconds, are at most
// an eighth too high.
type Interval struct {
	OpsPerSecond float64 `json:"ops_per_s"`
	P50          float64 `json:"p50"`
	P99          float64 `json:"p99"`
}

// Histogram has Counts[i] values above UpTo[i-1] and up to UpTo[i].
type Histogram struct {
	UpTo   []float64 `json:"up_to"`
	Counts []uint64  `json:"counts"`
}

// Scenario is what happened in a run in which something went wrong on purpose.
type Scenario struct {
	Name   string  `json:"name"`
	Events []Event `json:"events"`
	// Outages are the times in ms in which nothing was acknowledged, one per event that
	// stops the cluster: from the event to the first write acknowledged after it.
	Outages           []float64 `json:"outages_ms"`
	OutageP50         float64   `json:"outage_p50_ms"`
	OutageP99         float64   `json:"outage_p99_ms"`
	ElectionTimeoutMs float64   `json:"election_timeout_ms"`
	Phases            []Phase   `json:"phases"`
}

// Event is something done to the cluster, at a moment of the time measured.
type Event struct {
	At   float64 `json:"at_s"`
	What string  `json:"what"`
}

// Phase is a part of the time measured: before, during or after what was done.
type Phase struct {
	Name         string  `json:"name"`
	From         float64 `json:"from_s"`
	To           float64 `json:"to_s"`
	OpsPerSecond float64 `json:"ops_per_s"`
	P50          float64 `json:"p50"` // in microseconds, the median of its intervals
	P99          float64 `json:"p99"` // likewise
}

// Machine is where a run took place.
type Machine struct {
	OS          string `json:"os"`
	Kernel      string `json:"kernel"`
	Arch        string `json:"arch"`
	CPU         string `json:"cpu"`
	CPUs        int    `json:"cpus"`
	MemoryBytes uint64 `json:"memory_bytes"`
	Filesystem  string `json:"filesystem"` // of the data
	Go          string `json:"go"`
	Load        string `json:"load"` // load averages when the run began
}

// MaxFileBytes bounds a file of results.
const MaxFileBytes = 256 << 20

// Load reads the results of a file: what --json printed, one object or several.
func Load(name string) (list []*Result, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, MaxFileBytes)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		r := new(Result)
		err := d.Decode(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if r.System == "" || r.Durability == "" {
			return nil, fmt.Errorf("%s: no result of raftbench run --json", name)
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: empty", name)
	}
	return list, nil
}

// Difference is a setting in which two results differ.
type Difference struct{ Name, A, B string }

// Differences returns the settings in which two runs differ, of those that make their
// figures incomparable: durability first.
func Differences(a, b *Result) (list []Difference) {
	settings := func(r *Result) []string {
		return []string{
			"durability", r.Durability,
			"nodes", fmt.Sprint(r.Nodes), "groups", fmt.Sprint(r.Groups), "clients", fmt.Sprint(r.Clients),
			"payload", r.Payload, "loop", r.Loop, "rate", fmt.Sprint(r.Rate), "arrivals", r.Arrivals,
			"in-flight", fmt.Sprint(r.InFlight), "sessions", fmt.Sprint(r.Sessions),
			"reads", fmt.Sprint(r.ReadPercent), "consistency", r.ReadConsistency,
			"tls", fmt.Sprint(r.TLS), "processes", fmt.Sprint(r.Processes),
			"cpu", r.Machine.CPU, "cpus", fmt.Sprint(r.Machine.CPUs), "filesystem", r.Machine.Filesystem,
		}
	}
	other := settings(b)
	for pair := range slices.Chunk(settings(a), 2) {
		if pair[1] != other[1] {
			list = append(list, Difference{pair[0], pair[1], other[1]})
		}
		other = other[2:]
	}
	return list
}
