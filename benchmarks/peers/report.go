package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// load of a run, without the system: runs of one load are compared.
type loadKey struct{ procs, groups, payload, conc int }

func (k loadKey) less(o loadKey) bool {
	a, b := []int{k.procs, k.groups, k.payload, k.conc}, []int{o.procs, o.groups, o.payload, o.conc}
	return slices.Compare(a, b) < 0
}

type runKey struct {
	loadKey
	sys string
}

// report prints medians, and the range of the throughput, per load and system as
// a Markdown table. The last column is the median, over repetitions, of the ratio of
// our throughput to the system's in the same repetition.
func report(args []string) error {
	runs := map[runKey][]Result{}
	for _, name := range args {
		if err := readRuns(name, runs); err != nil {
			return err
		}
	}
	if len(runs) == 0 {
		return errors.New("report: no runs: name the files that matrix wrote")
	}
	keys := make([]runKey, 0, len(runs))
	for k := range runs {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		if a.loadKey != b.loadKey {
			return a.less(b.loadKey)
		}
		if x, y := speed(runs[a]), speed(runs[b]); x != y {
			return x > y
		}
		return a.sys < b.sys
	})
	fmt.Println("| procs | groups | payload | clients | system | runs | ops/s median (min–max) | mean µs | p50 | p99 | p99.9 | CPU s/Mop | sys % | allocs/op | B/op | ctxsw/op | disk B/op | fsync/s | flush/s | ops/fsync | foreign CPUs (max) | raftwire / it |")
	fmt.Println("|--:|--:|--:|--:|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, k := range keys {
		printRow(k, runs[k], runs[runKey{k.loadKey, "raftwire"}])
	}
	return nil
}

func readRuns(name string, runs map[runKey][]Result) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		var r Result
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		k := runKey{loadKey{r.Procs, r.Groups, r.Payload, r.Conc}, strings.TrimSpace(r.Sys + " " + r.Tag)}
		runs[k] = append(runs[k], r)
	}
	return in.Err()
}

func printRow(k runKey, rs, ours []Result) {
	lo, hi, foreign, mark := rs[0].OpsPerSec, rs[0].OpsPerSec, 0.0, ""
	for _, r := range rs {
		lo, hi = min(lo, r.OpsPerSec), max(hi, r.OpsPerSec)
		foreign = max(foreign, r.ForeignCPUs)
		if !r.Verified || r.Errors > 0 {
			mark = " (!)"
		}
	}
	m := func(f func(Result) float64) float64 { return medianOf(rs, f) }
	fmt.Printf("| %d | %d | %d | %d | %s%s | %d | %.0f (%.0f–%.0f) | %.0f | %.0f | %.0f | %.0f | %.2f | %.0f | %.1f | %.0f | %.2f | %.0f | %.0f | %.0f | %.1f | %.2f | %s |\n",
		k.procs, k.groups, k.payload, k.conc, k.sys, mark, len(rs), speed(rs), lo, hi,
		m(func(r Result) float64 { return r.Mean }), m(func(r Result) float64 { return r.P50 }),
		m(func(r Result) float64 { return r.P99 }), m(func(r Result) float64 { return r.P999 }),
		m(func(r Result) float64 { return r.CPUPerMop }), 100*m(func(r Result) float64 { return r.SysShare }),
		m(func(r Result) float64 { return r.AllocsPerOp }), m(func(r Result) float64 { return r.AllocBPerOp }),
		m(func(r Result) float64 { return r.CtxSwPerOp }), m(func(r Result) float64 { return r.DiskBPerOp }),
		m(func(r Result) float64 { return r.FsyncsPerSec }), m(func(r Result) float64 { return r.FlushPerSec }),
		m(func(r Result) float64 { return r.OpsPerFsync }), foreign, ratio(ours, rs))
}

// ratio compares run i with run i: the machine's speed drifts between repetitions.
func ratio(ours, theirs []Result) string {
	n := min(len(ours), len(theirs))
	if n == 0 {
		return "–"
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = ours[i].OpsPerSec / theirs[i].OpsPerSec
	}
	return fmt.Sprintf("%.2f", meter.Median(v))
}

func speed(rs []Result) float64 { return medianOf(rs, func(r Result) float64 { return r.OpsPerSec }) }

func medianOf(rs []Result, f func(Result) float64) float64 {
	v := make([]float64, len(rs))
	for i, r := range rs {
		v[i] = f(r)
	}
	return meter.Median(v)
}
