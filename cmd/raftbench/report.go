package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// report is a result and what else the table tells.
type report struct {
	result.Result
	interrupted bool
	wanted      time.Duration // to be measured
	syncs       uint64        // since the nodes started, warm-up included
	firstError  string
	faults      []string // what the comparison of the members found
	unverified  string   // why they were not compared
}

// newReport computes what is reported of a load.
func newReport(c *runConfig, cl *cluster, l *load, m *measurement) *report {
	sum := summarise(l.hists)
	ops, writes := uint64(sum.all.TotalCount()), float64(max(sum.writes.TotalCount(), 1))
	n, seconds, w := float64(max(ops, 1)), m.elapsed.Seconds(), &c.work
	r := &report{
		Result: result.Result{
			System: "raftwire", Version: buildVersion(), Nodes: len(cl.members), Groups: cl.groups, Clients: w.clients,
			PayloadBytes: w.sizes.Mean(), Codec: c.engine.codec, TLS: c.tls, Durability: cl.durability(), Loop: "closed",
			Seconds: seconds, Ops: ops, Errors: m.failed, LatencyUs: latenciesOf(sum.all),
			FsyncsPer1000Ops: float64(m.used.Syncs) / writes * 1000,
			WritesPer1000Ops: float64(m.used.Writes) / writes * 1000,
			CPUSecondsPerMop: perOp(m.used.CPU, n*float64(time.Second)/1e6),
			AllocsPerOp:      perOp(m.used.Mallocs, n),
			WireBytesPerOp:   float64(m.used.WireBytes) / n,
			Elections:        m.used.Elections,
			Started:          m.began, Machine: c.machine, Processes: cl.remote, Procs: runtime.GOMAXPROCS(0),
			Payload: w.sizes.String(), Rate: w.rate, InFlight: w.inFlight, Sessions: w.sessions,
			ReadPercent: w.mix.Percent, ReadConsistency: w.mix.Consistency(),
			WarmupSeconds: m.warmup.Seconds(), Steady: m.steady,
			Reads: uint64(sum.reads.TotalCount()), ReadLatencyUs: latenciesOf(sum.reads), Percentiles: percentilesOf(sum.all),
			ServiceLatencyUs: latenciesOf(sum.service),
			FsyncUs:          fsyncHistogram(&m.used.SyncDurations), BatchSizes: batchHistogram(&m.used.Batches),
		},
		interrupted: m.interrupted, wanted: c.duration, syncs: m.total.Syncs, firstError: l.firstError(),
	}
	if w.rate > 0 {
		r.Loop, r.Arrivals = "open", "even"
		if w.poisson {
			r.Arrivals = "poisson"
		}
	}
	if seconds > 0 {
		r.OpsPerSecond = float64(ops) / seconds
	}
	r.setIntervals(&sum, l.slotWidth, m.elapsed)
	return r
}

// setIntervals adds the timeline, of which only whole intervals tell something.
func (r *report) setIntervals(sum *summary, width, elapsed time.Duration) {
	r.IntervalSeconds = width.Seconds()
	whole := int(elapsed / width)
	for i := range whole {
		one := result.Interval{}
		if i < len(sum.slots) {
			s := &sum.slots[i]
			one = result.Interval{OpsPerSecond: float64(s.ops) / width.Seconds(), P50: s.quantile(0.5), P99: s.quantile(0.99)}
		}
		r.Intervals = append(r.Intervals, one)
	}
}

func perOp(a amount, n float64) *float64 {
	if a.Unknown {
		return nil
	}
	v := float64(a.Value) / n
	return &v
}

// judge adds the verdict of comparing the members. What acknowledges before a quorum has
// synced, or could not be verified, gets no headline.
func (r *report) judge(v verdict) {
	r.StateHashEqual, r.faults = v.hashEqual, v.faults
	r.Verified = len(v.faults) == 0 && v.settled
	if r.Verified && r.Durability == result.Durable && !r.interrupted && r.Scenario == nil {
		r.HeadlineOpsPerSecond = &r.OpsPerSecond
	}
}

// fault says why the run is none that counts, or nil.
func (r *report) fault() error {
	switch {
	case len(r.faults) > 0:
		return fmt.Errorf("%w: %s", errNotVerified, strings.Join(r.faults, "; "))
	case r.interrupted:
		return errInterrupted
	}
	return nil
}

// printJSON prints the result as one object on one line.
func (r *report) printJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(&r.Result)
}

// printTable prints the report for people.
func (r *report) printTable(w io.Writer) error {
	t := new(table)
	r.describe(t)
	t.line("")
	headline := "ops/s"
	if r.Durability != result.Durable {
		headline += "  NOT DURABLE: " + r.Durability + ", so this is no headline"
	}
	t.row("throughput", grouped(r.OpsPerSecond, 0), headline)
	if r.Rate > 0 {
		verdict := "ops/s were due"
		if r.OpsPerSecond < 0.98*r.Rate {
			verdict += ": NOT REACHED, so latency grows with the length of the run"
		}
		t.row("offered", grouped(r.Rate, 0), verdict)
	}
	t.row("measured", grouped(float64(r.Ops), 0), fmt.Sprintf("ops in %.2f s", r.Seconds))
	t.latencies(&r.LatencyUs, "latency", r.since())
	if r.Reads > 0 {
		t.row("reads", grouped(float64(r.Reads), 0), "of the ops, "+r.ReadConsistency)
		t.row("p50, p99", grouped(r.ReadLatencyUs.P50, 0)+", "+grouped(r.ReadLatencyUs.P99, 0), "us, of reads")
	}
	t.row("fsyncs", grouped(r.FsyncsPer1000Ops, 1), "per 1,000 commits, of all nodes together")
	t.row("", grouped(float64(r.syncs), 0), "in all since the nodes started, warm-up included")
	t.row("CPU", optional(r.CPUSecondsPerMop), "s per million ops, of all nodes and clients")
	t.row("allocations", optional(r.AllocsPerOp), "per op, of all nodes and clients")
	t.row("wire", grouped(r.WireBytesPerOp, 0), "bytes per op, sent by all nodes together")
	t.row("elections", grouped(float64(r.Elections), 0), "campaigns while measured")
	t.row("errors", grouped(float64(r.Errors), 0), "attempts refused or of unknown outcome"+r.errorExample())
	switch {
	case r.unverified != "":
		t.row("verified", "no", "the nodes were not compared: "+r.unverified)
	case len(r.faults) > 0:
		t.row("verified", "FAILED", "the nodes differ, or lack what was acknowledged")
	default:
		t.row("verified", "yes", "all nodes have applied all that was acknowledged, once, and have equal state")
	}
	r.printScenario(t)
	_, err := w.Write(t.b)
	return err
}

// describe says what was run.
func (r *report) describe(t *table) {
	where := "in one process"
	if r.Processes {
		where = "in processes of their own"
	}
	loop := r.Loop + " loop"
	if r.InFlight > 1 {
		loop += fmt.Sprintf(", %d in flight each", r.InFlight)
	}
	if r.Sessions {
		loop += ", sessions"
	}
	t.line("raftwire %s: %s %s, %s, %s (%s), commands of %s bytes", r.Version,
		plural(r.Nodes, "node"), where, plural(r.Groups, "group"), plural(r.Clients, "client"), loop, r.Payload)
	tls := ""
	if r.TLS {
		tls = ", TLS between the nodes"
	}
	t.line("codec %s%s, durability %s, GOMAXPROCS %d", r.Codec, tls, r.Durability, r.Procs)
	t.line("%s", r.Machine)
	if r.Groups > 1 {
		t.line("groups led by node 1, 2, ...: %v", r.Leaders)
	}
	settled := "steady by then"
	if !r.Steady {
		settled = "not steady yet"
	}
	t.line("warm-up %.1f s, throughput was %s", r.WarmupSeconds, settled)
	if r.interrupted {
		t.line("INTERRUPTED: a partial result, %.2f of %.2f s measured", r.Seconds, r.wanted.Seconds())
	}
}

// since says what latencies count from, where that is not obvious.
func (r *report) since() string {
	if r.Rate == 0 {
		return ""
	}
	return "  from when it was due"
}

// table is text for people, in rows.
type table struct{ b []byte }

func (t *table) line(format string, args ...any) { t.b = fmt.Appendf(t.b, format+"\n", args...) }

func (t *table) row(name, value, unit string) { t.line("%-13s %14s  %s", name, value, unit) }

func (t *table) latencies(l *result.Latencies, name, note string) {
	for _, one := range []struct {
		name string
		us   float64
	}{{name + " mean", l.Mean}, {"p50", l.P50}, {"p90", l.P90}, {"p99", l.P99}, {"p99.9", l.P999}, {"max", l.Max}} {
		t.row(one.name, grouped(one.us, 0), "us"+note)
		note = ""
	}
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
