package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// A run of a few hundred milliseconds: what it measures is not the point.
func short(args ...string) []string {
	return append([]string{"--duration", "500ms", "--warmup", "50ms", "--clients", "16", "--election-timeout", "500ms", "--segment", "1048576"}, args...)
}

// checkJSON checks that a run printed one good object and nothing else.
func checkJSON(t *testing.T, out output) map[string]any {
	t.Helper()
	if out.status != 0 {
		t.Fatalf("exit status %d; standard error:\n%s", out.status, out.stderr)
	}
	if keys, _ := keysOf(t, []byte(out.stdout)); !slices.Equal(keys, resultKeys) {
		t.Errorf("keys %q\nwant %q", keys, resultKeys)
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(out.stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r["state_hash_equal"] != true || r["ops"].(float64) <= 0 || r["system"] != "raftwire" {
		t.Errorf("result %s", out.stdout)
	}
	if r["elections"].(float64) == 0 && r["errors"].(float64) != 0 {
		t.Errorf("errors without an election: %s\n%s", out.stdout, out.stderr)
	}
	return r
}

func TestRun(t *testing.T) {
	tests := map[string][]string{
		"default codec":  {"--json"},
		"named run":      {"run", "--json"},
		"tls":            {"--json", "--tls"},
		"json first":     {"--json", "run"},
		"thrift-binary":  {"--json", "--codec", "thrift-binary"},
		"msgpack":        {"--json", "--codec", "msgpack"},
		"groups":         {"--json", "--groups", "7"},
		"one node":       {"--json", "--nodes", "1"},
		"five nodes":     {"--json", "--nodes", "5"},
		"small commands": {"--json", "--payload", "12"},
		"large commands": {"--json", "--payload", "100000", "--clients", "4"},
		"nosync":         {"--json", "--durability", "nosync"},
		"memory":         {"--json", "--durability", "memory"},
		"open loop":      {"--json", "--rate", "500"},
		"poisson":        {"--json", "--rate", "500", "--arrivals", "poisson", "--in-flight", "8"},
		"pipelined":      {"--json", "--in-flight", "16"},
		"sizes":          {"--json", "--payload", "uniform:12-4096"},
		"reads":          {"--json", "--reads", "80", "--consistency", "linearizable,follower,stale,lease"},
		"all at once":    {"--json", "--reads", "50", "--in-flight", "4", "--groups", "3", "--payload", "zipf:16-4096"},
		"sessions":       {"--json", "--sessions"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			r := checkJSON(t, runArgs(t, append(short(), args...)...))
			durability := r["durability"].(string)
			if asked := slices.Contains(args, "--durability"); asked == (durability == result.Durable) && !inMemory(t, os.TempDir()) {
				t.Errorf("durability %q", durability)
			}
		})
	}
}

// inMemory says that a directory is on a file system that a power loss empties.
func inMemory(t *testing.T, dir string) bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return false
	}
	best, kind := "", ""
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		at := strings.TrimSuffix(f[1], "/") + "/"
		if strings.HasPrefix(dir+"/", at) && len(at) >= len(best) {
			best, kind = at, f[2]
		}
	}
	return kind == "tmpfs" || kind == "ramfs"
}

func TestRunPrintsATable(t *testing.T) {
	out := runArgs(t, short("--nodes", "1")...)
	if out.status != 0 {
		t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
	}
	for _, want := range []string{"throughput", "p99.9", "fsyncs", "CPU", "allocations", "wire", "elections", "errors", "GOMAXPROCS", "verified                 yes"} {
		if !strings.Contains(out.stdout, want) {
			t.Errorf("no %q in\n%s", want, out.stdout)
		}
	}
	if !strings.Contains(out.stderr, "measuring for 500ms") {
		t.Errorf("no progress in\n%s", out.stderr)
	}
}

func TestRunOnTmpfsIsNotDurable(t *testing.T) {
	const shm = "/dev/shm"
	if !inMemory(t, shm) {
		t.Skip("no tmpfs at " + shm)
	}
	dir, err := os.MkdirTemp(shm, "raftbench-test-") //nolint:usetesting // it has to be on that file system
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	out := runArgs(t, short("--nodes", "1", "--dir", filepath.Join(dir, "data"))...)
	if out.status != 0 || !strings.Contains(out.stdout, "NOT DURABLE: none (tmpfs)") {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
}

// One command forgotten on one node is found, in either mode and whoever forgets it.
func TestDroppedApplyIsFound(t *testing.T) {
	for _, mode := range [][]string{{"--test-drop-apply", "1"}, {"--test-drop-apply", "3", "--groups", "2"}} {
		out := runArgs(t, append(short("--json"), mode...)...)
		if out.status != exitFailed || !strings.Contains(out.stderr, "has not applied 1 acknowledged commands") {
			t.Errorf("%q: exit status %d:\n%s", mode, out.status, out.stderr)
		}
		var r result.Result
		if err := json.Unmarshal([]byte(out.stdout), &r); err != nil || r.StateHashEqual {
			t.Errorf("%q: state_hash_equal %t, %v", mode, r.StateHashEqual, err)
		}
	}
}

func TestRunKeepsDataInDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if out := runArgs(t, short("--dir", dir)...); out.status != 0 {
		t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
	}
	for _, n := range []string{"n1", "n2", "n3"} {
		if files, err := os.ReadDir(filepath.Join(dir, n)); err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", n, len(files), err)
		}
	}
	// The second run finds the data of the first and leaves it alone.
	out := runArgs(t, short("--dir", dir)...)
	if out.status != exitFailed || !strings.Contains(out.stderr, "is not empty") || strings.Count(out.stderr, "\n") != 1 {
		t.Errorf("second run: exit status %d:\n%s", out.status, out.stderr)
	}
}

func TestCtrlCGivesAPartialResult(t *testing.T) {
	for name, args := range map[string][]string{
		"table": {"--duration", "1h", "--warmup", "0s"},
		"json":  {"--duration", "1h", "--warmup", "0s", "--json"},
		"early": {"--duration", "1h", "--warmup", "1h"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			p := startProgram(t, short(args...)...)
			eventually(t, "load", func() bool { return strings.Contains(p.stderr.String(), " of 3600 s") })
			out := p.end(t, syscall.SIGINT)
			if out.status != exitInterrupted || strings.Contains(out.stderr, "giving up") {
				t.Errorf("exit status %d:\n%s", out.status, out.stderr)
			}
			if name == "json" {
				if keys, _ := keysOf(t, []byte(out.stdout)); !slices.Equal(keys, resultKeys) {
					t.Errorf("keys %q", keys)
				}
			} else if !strings.Contains(out.stdout, "INTERRUPTED") {
				t.Errorf("not marked as interrupted:\n%s", out.stdout)
			}
			if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestInterruptedStartLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{}, {"--processes"}, {"--dir", filepath.Join(dir, "x", "y")}} {
		var stdout bytes.Buffer
		stderr := new(lockedBuffer)
		status := run(ctx, append([]string{"raftbench"}, args...), strings.NewReader(""), &stdout, stderr)
		if status != exitInterrupted || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d:\n%s%s", args, status, &stdout, stderr)
		}
		checkEmpty(t, dir)
	}
}

func TestCPUProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpu.prof")
	if out := runArgs(t, short("--nodes", "1", "--cpuprofile", file)...); out.status != 0 {
		t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("profile: %v, %v", info, err)
	}
	out := runArgs(t, short("--cpuprofile", filepath.Join(file, "x"))...)
	if out.status != exitFailed || strings.Count(out.stderr, "\n") != 1 || !strings.Contains(out.stderr, "--cpuprofile") {
		t.Errorf("exit status %d:\n%s", out.status, out.stderr)
	}
}
