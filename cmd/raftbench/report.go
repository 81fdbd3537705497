package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// result is the object that --json prints. Its keys are a contract: tools read them.
type result struct {
	System           string    `json:"system"`
	Version          string    `json:"version"`
	Nodes            int       `json:"nodes"`
	Groups           int       `json:"groups"`
	Clients          int       `json:"clients"`
	PayloadBytes     int       `json:"payload_bytes"`
	Codec            string    `json:"codec"`
	TLS              bool      `json:"tls"`        // between the nodes
	Durability       string    `json:"durability"` // only "fsync" is durable
	Loop             string    `json:"loop"`
	Seconds          float64   `json:"seconds"` // measured, warm-up excluded
	Ops              uint64    `json:"ops"`     // acknowledged in that time
	Errors           uint64    `json:"errors"`  // refused or of unknown outcome in that time
	OpsPerSecond     float64   `json:"ops_per_s"`
	LatencyUs        latencies `json:"latency_us"`
	FsyncsPer1000Ops float64   `json:"fsyncs_per_1000_ops"`   // of all nodes together
	CPUSecondsPerMop *float64  `json:"cpu_s_per_million_ops"` // of all nodes and clients; null: cannot be told here
	AllocsPerOp      *float64  `json:"allocs_per_op"`         // likewise
	WireBytesPerOp   float64   `json:"wire_bytes_per_op"`     // sent by all nodes together
	Elections        uint64    `json:"elections"`             // campaigns in the time measured
	StateHashEqual   bool      `json:"state_hash_equal"`      // false too when it could not be compared
}

// report is a result and what else the table tells.
type report struct {
	result
	remote      bool
	interrupted bool
	wanted      time.Duration // to be measured
	procs       int           // GOMAXPROCS of this process
	syncs       uint64        // since the nodes started, warm-up included
	firstError  string
	faults      []string // what the comparison of the members found
	unverified  string   // why they were not compared
}

const durable = "fsync"

// newReport computes what is reported of a load.
func newReport(c *runConfig, cl *cluster, l *load, m *measurement) *report {
	lat, ops := summarise(l.hists)
	n, seconds := float64(max(ops, 1)), m.elapsed.Seconds()
	r := &report{
		result: result{
			System: "raftwire", Version: buildVersion(), Nodes: c.nodes, Groups: c.groups, Clients: c.clients,
			PayloadBytes: c.payload, Codec: c.engine.codec, TLS: c.tls, Durability: cl.durability(), Loop: "closed",
			Seconds: seconds, Ops: ops, Errors: m.failed, LatencyUs: lat,
			FsyncsPer1000Ops: float64(m.used.syncs) / n * 1000,
			CPUSecondsPerMop: perOp(m.used.cpu, n*float64(time.Second)/1e6),
			AllocsPerOp:      perOp(m.used.mallocs, n),
			WireBytesPerOp:   float64(m.used.wireBytes) / n,
			Elections:        m.used.elections,
		},
		remote: cl.remote, interrupted: m.interrupted, wanted: c.duration,
		procs: runtime.GOMAXPROCS(0), syncs: m.total.syncs, firstError: l.firstError(),
	}
	if seconds > 0 {
		r.OpsPerSecond = float64(ops) / seconds
	}
	return r
}

func perOp(a amount, n float64) *float64 {
	if a.unknown {
		return nil
	}
	v := float64(a.value) / n
	return &v
}

// judge adds the verdict of comparing the members.
func (r *report) judge(v verdict) {
	r.StateHashEqual, r.faults = v.hashEqual, v.faults
}

// printJSON prints the result as one object on one line.
func (r *report) printJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(&r.result)
}

// printTable prints the report for people.
func (r *report) printTable(w io.Writer) error {
	var b []byte
	line := func(format string, args ...any) { b = fmt.Appendf(b, format+"\n", args...) }
	row := func(name, value, unit string) { line("%-13s %14s  %s", name, value, unit) }
	where := "in one process"
	if r.remote {
		where = "in processes of their own"
	}
	line("raftwire %s: %s %s, %s, %s (closed loop), commands of %d bytes", r.Version,
		plural(r.Nodes, "node"), where, plural(r.Groups, "group"), plural(r.Clients, "client"), r.PayloadBytes)
	tls := ""
	if r.TLS {
		tls = ", TLS between the nodes"
	}
	line("codec %s%s, durability %s, GOMAXPROCS %d", r.Codec, tls, r.Durability, r.procs)
	if r.interrupted {
		line("INTERRUPTED: a partial result, %.2f of %.2f s measured", r.Seconds, r.wanted.Seconds())
	}
	line("")
	headline := "ops/s"
	if r.Durability != durable {
		headline += "  NOT DURABLE: " + r.Durability
	}
	row("throughput", grouped(r.OpsPerSecond, 0), headline)
	row("measured", grouped(float64(r.Ops), 0), fmt.Sprintf("ops in %.2f s", r.Seconds))
	lat := &r.LatencyUs
	row("latency mean", grouped(lat.Mean, 0), "us")
	row("p50", grouped(lat.P50, 0), "us")
	row("p90", grouped(lat.P90, 0), "us")
	row("p99", grouped(lat.P99, 0), "us")
	row("p99.9", grouped(lat.P999, 0), "us")
	row("max", grouped(lat.Max, 0), "us")
	row("fsyncs", grouped(r.FsyncsPer1000Ops, 1), "per 1,000 commits, of all nodes together")
	row("", grouped(float64(r.syncs), 0), "in all since the nodes started, warm-up included")
	row("CPU", optional(r.CPUSecondsPerMop), "s per million ops, of all nodes and clients")
	row("allocations", optional(r.AllocsPerOp), "per op, of all nodes and clients")
	row("wire", grouped(r.WireBytesPerOp, 0), "bytes per op, sent by all nodes together")
	row("elections", grouped(float64(r.Elections), 0), "campaigns while measured")
	row("errors", grouped(float64(r.Errors), 0), "ops refused or of unknown outcome"+r.errorExample())
	switch {
	case r.unverified != "":
		row("verified", "no", "the nodes were not compared: "+r.unverified)
	case len(r.faults) > 0:
		row("verified", "FAILED", "the nodes differ, or lack what was acknowledged")
	default:
		row("verified", "yes", "all nodes have applied all that was acknowledged, once, and have equal state")
	}
	_, err := w.Write(b)
	return err
}

func (r *report) errorExample() string {
	if r.Errors == 0 {
		return ""
	}
	return "; the first: " + r.firstError
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(float64(n), 0) + " " + noun + "s"
}

func optional(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return grouped(*v, 2)
}

// grouped formats v with commas between thousands.
func grouped(v float64, decimals int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "?"
	}
	text := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole := len(text)
	if decimals > 0 {
		whole -= decimals + 1
	}
	var b []byte
	if v < 0 {
		b = append(b, '-')
	}
	for i := range text {
		if i > 0 && i < whole && (whole-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, text[i])
	}
	return string(b)
}

// buildVersion names the build: a release, or the commit it was made from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
