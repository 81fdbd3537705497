package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// matrixConfig is the part of a matrix that all its runs share.
type matrixConfig struct {
	self     string // this program
	warm     time.Duration
	dur      time.Duration
	procs    int
	groups   int
	dir      string
	quiet    time.Duration
	foreign  float64
	profiles string
	out      *os.File
}

// matrix runs every combination of systems, payloads and numbers of clients, reps
// times. Repetitions are the outermost loop and systems the innermost, so that
// whatever drifts on the machine hits all systems alike. Every run is a process of
// its own. A system may carry extra flags behind colons, which then label it:
// "hraft-wal:-inflight=130".
func matrix(args []string) error {
	var m matrixConfig
	fs := flag.NewFlagSet("matrix", flag.ExitOnError)
	systems := fs.String("sys", "", "comma-separated systems, each optionally :with:flags")
	payloads := fs.String("payload", "128", "comma-separated payload sizes")
	clients := fs.String("conc", "256", "comma-separated numbers of clients")
	reps := fs.Int("reps", 3, "repetitions")
	out := fs.String("out", "runs.jsonl", "file to append results to")
	fs.DurationVar(&m.warm, "warm", 2*time.Second, "warm-up of each run")
	fs.DurationVar(&m.dur, "dur", 5*time.Second, "metered time of each run")
	fs.IntVar(&m.procs, "procs", 1, "processes per cluster")
	fs.IntVar(&m.groups, "groups", 1, "Raft groups per cluster")
	fs.StringVar(&m.dir, "dir", filepath.Join(os.TempDir(), "raftwire-peers"), "data directory")
	fs.DurationVar(&m.quiet, "quiet", 60*time.Second, "before each run, wait this long at most for an idle machine (0: do not)")
	fs.Float64Var(&m.foreign, "foreign", 0.25, "repeat a run, twice at most, during which others used more CPUs than this")
	fs.StringVar(&m.profiles, "profiles", "", "directory to leave CPU profiles of the first repetition in")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if m.self, err = os.Executable(); err != nil {
		return err
	}
	if m.out, err = os.OpenFile(*out, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return err
	}
	defer m.out.Close()
	for rep := range *reps {
		for payload := range strings.SplitSeq(*payloads, ",") {
			for conc := range strings.SplitSeq(*clients, ",") {
				for spec := range strings.SplitSeq(*systems, ",") {
					if err := m.measure(rep, spec, payload, conc); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// measure runs one combination, again when others disturbed it. A run that fails
// is reported and left out: one engine's trouble does not end the comparison.
func (m *matrixConfig) measure(rep int, spec, payload, conc string) error {
	const attempts = 3
	argv := m.arguments(rep, spec, payload, conc)
	for attempt := 1; ; attempt++ {
		if m.quiet > 0 {
			meter.AwaitQuiet(m.quiet)
		}
		cmd := exec.Command(m.self, argv...)
		cmd.Stderr = os.Stderr
		line, err := cmd.Output()
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s payload %s conc %s: %v\n", spec, payload, conc, err)
			return nil
		}
		var r Result
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("%s: result: %w", spec, err)
		}
		disturbed := r.ForeignCPUs > m.foreign && attempt < attempts
		verdict := ""
		if disturbed {
			verdict = "  disturbed, once more"
		} else if _, err := m.out.Write(line); err != nil {
			return err
		}
		fmt.Printf("%d %-26s %6dB x%-5d %9.0f ops/s  p50 %8.0f  p99 %8.0f us  %7.2f cpu-s/Mop  %5.0f fsync/s  foreign cpu %.2f  verified %v err %d%s\n",
			rep+1, spec, r.Payload, r.Conc, r.OpsPerSec, r.P50, r.P99, r.CPUPerMop, r.FsyncsPerSec, r.ForeignCPUs, r.Verified, r.Errors, verdict)
		if !disturbed {
			return nil
		}
	}
}

func (m *matrixConfig) arguments(rep int, spec, payload, conc string) []string {
	sys, extra, _ := strings.Cut(spec, ":")
	argv := []string{
		"-sys", sys, "-payload", payload, "-conc", conc, "-groups", strconv.Itoa(m.groups),
		"-warm", m.warm.String(), "-dur", m.dur.String(), "-procs", strconv.Itoa(m.procs), "-dir", m.dir,
	}
	if extra != "" {
		flags := strings.Split(extra, ":")
		argv = append(argv, "-tag", strings.Join(flags, " "))
		argv = append(argv, flags...)
	}
	if m.profiles != "" && rep == 0 {
		name := fmt.Sprintf("%s-%s-%s.pprof", strings.ReplaceAll(spec, ":", ""), payload, conc)
		argv = append(argv, "-cpuprofile", filepath.Join(m.profiles, name))
	}
	return argv
}
