package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
)

// maxSweep bounds the runs of a sweep.
const maxSweep = 1000

// sweep is a series of runs in which settings vary.
type sweep struct {
	run      *runConfig
	settings *settings
	vary     []dimension
}

// dimension is a setting that may have several values.
type dimension struct {
	name   string
	values []string
	set    func(value string) error
}

// newSweep makes the settings of a sweep: those of a run, of which some take a list.
func newSweep(c *runConfig) *sweep {
	s := &sweep{run: c, settings: runSettings(c)}
	varies := []string{"nodes", "groups", "codec", "payload", "clients", "in-flight"}
	s.vary = make([]dimension, len(varies))
	for _, n := range s.settings.named {
		if i := slices.Index(varies, n.name); i >= 0 {
			d := &s.vary[i]
			*d = dimension{name: n.name, values: []string{n.text}, set: n.parse}
			n.parse = func(text string) error {
				d.values = strings.Split(text, "/")
				for _, v := range slices.Backward(d.values) { // the first one stays set: validate sees it
					if err := d.set(v); err != nil {
						return err
					}
				}
				return nil
			}
		}
	}
	s.settings.defaults(map[string]string{"clients": "1/16/64/256/1024", "duration": "3s"})
	return s
}

// combinations calls do with each combination of values, the last dimension varying fastest.
func (s *sweep) combinations(do func(label string) error) error {
	var walk func(i int, label []string) error
	walk = func(i int, label []string) error {
		if i == len(s.vary) {
			return do(strings.Join(label, ", "))
		}
		d := &s.vary[i]
		for _, v := range d.values {
			if err := d.set(v); err != nil {
				return fmt.Errorf("--%s: %w", d.name, err)
			}
			next := label
			if len(d.values) > 1 {
				next = append(slices.Clone(label), d.name+" "+v)
			}
			if err := walk(i+1, next); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(0, nil)
}

// size returns how many runs there are.
func (s *sweep) size() int {
	n := 1
	for _, d := range s.vary {
		n *= len(d.values)
	}
	return n
}

// runSweep is the command "sweep". A run that fails ends it; what was measured before is printed.
func runSweep(ctx context.Context, s *sweep, log *slog.Logger, stdout, stderr io.Writer) error {
	if s.size() > maxSweep {
		return fmt.Errorf("%d combinations, at most %d", s.size(), maxSweep)
	}
	if s.run.historyFile != "" || s.run.cpuProfile != "" {
		return errors.New("--history and --cpuprofile are for one run: use \"raftbench run\"")
	}
	if !s.run.processes {
		defer setProcs()()
	}
	p := newProgress(stderr)
	root, n := s.run.dir, 0
	var reports []*report
	err := s.combinations(func(label string) error {
		n++
		p.prefix = fmt.Sprintf("run %d of %d (%s): ", n, s.size(), label)
		if root != "" {
			s.run.dir = filepath.Join(root, fmt.Sprintf("run-%03d", n))
		}
		if faults := s.run.validate(s.settings); len(faults) > 0 {
			return errors.Join(faults...)
		}
		r, err := runOnce(ctx, s.run, log, p, nil)
		if r == nil {
			return err
		}
		r.Label = label
		reports = append(reports, r)
		if s.run.json {
			err = errors.Join(r.printJSON(stdout), err)
		}
		return errors.Join(err, r.fault())
	})
	if !s.run.json && len(reports) > 0 {
		err = errors.Join(err, printSweep(stdout, reports))
	}
	return err
}

// printSweep prints one row per run.
func printSweep(w io.Writer, reports []*report) error {
	t := new(table)
	first := reports[0]
	t.line("raftwire %s, durability %s, %s loop, %.0f s each", first.Version, first.Durability, first.Loop, first.wanted.Seconds())
	t.line("%s", first.Machine)
	t.line("")
	wide := len("run")
	for _, r := range reports {
		wide = max(wide, len(r.Label))
	}
	t.line("%-*s  %10s  %9s  %9s  %11s  %9s  %s", wide, "run", "ops/s", "p50 us", "p99 us", "fsyncs/1000", "CPU s/M", "verified")
	for _, r := range reports {
		verified := "yes"
		if !r.Verified {
			verified = "NO"
		}
		if r.HeadlineOpsPerSecond == nil {
			verified += ", no headline"
		}
		t.line("%-*s  %10s  %9s  %9s  %11s  %9s  %s", wide, r.Label, grouped(r.OpsPerSecond, 0), grouped(r.LatencyUs.P50, 0), grouped(r.LatencyUs.P99, 0),
			grouped(r.FsyncsPer1000Ops, 1), optional(r.CPUSecondsPerMop), verified)
	}
	_, err := w.Write(t.b)
	return err
}
