package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// A sweep runs every combination, and its JSON is what report and compare read.
func TestSweepReportCompare(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	small := []string{"--duration", "200ms", "--warmup", "0s", "--segment", "1048576", "--election-timeout", "500ms"}
	out := runArgs(t, append([]string{"sweep", "--json", "--nodes", "1/3", "--clients", "2/8", "--payload", "16/12:1,64:1", "--dir", "data"}, small...)...)
	if out.status != 0 {
		t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
	}
	if err := os.WriteFile("a.json", []byte(out.stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := result.Load("a.json")
	if err != nil || len(list) != 8 {
		t.Fatalf("%d results, %v", len(list), err)
	}
	last := list[7]
	if last.Label != "nodes 3, payload 12:1,64:1, clients 8" || last.Nodes != 3 || last.Clients != 8 || last.Payload != "12:1,64:1" || list[0].Nodes != 1 || !last.Verified {
		t.Errorf("%q: %d nodes, %d clients, %q; the first %d nodes", last.Label, last.Nodes, last.Clients, last.Payload, list[0].Nodes)
	}
	if _, err := os.Stat(filepath.Join("data", "run-008", "n3")); err != nil {
		t.Error(err)
	}

	if out := runArgs(t, "report", "a.json", "--output", "page.html"); out.status != 0 || out.stdout != "page.html\n" {
		t.Errorf("report: exit status %d: %s%s", out.status, out.stdout, out.stderr)
	}
	if html, err := os.ReadFile("page.html"); err != nil || !strings.Contains(string(html), last.Label) {
		t.Errorf("the page lacks %q: %v", last.Label, err)
	}

	// Two settings are not compared unless asked for; the same one with itself is the same.
	out = runArgs(t, "compare", "a.json", "a.json")
	if out.status != exitFailed || !strings.Contains(out.stderr, `nodes: "1" and "3"`) || !strings.Contains(out.stderr, "--anyway") {
		t.Errorf("compare: exit status %d:\n%s", out.status, out.stderr)
	}
	out = runArgs(t, "compare", "a.json", "a.json", "--anyway")
	if out.status != 0 || !strings.Contains(out.stdout, "throughput") || !strings.Contains(out.stdout, "1.000") {
		t.Errorf("compare: exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
}

// The exit status tells of a regression.
func TestCompareEndsWithStatus3(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, ops := range map[string]float64{"a": 1000, "b": 700} {
		r := result.Result{System: "raftwire", Durability: result.Durable, OpsPerSecond: ops}
		for range 50 {
			r.Intervals = append(r.Intervals, result.Interval{OpsPerSecond: ops})
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out := runArgs(t, "compare", "a", "b"); out.status != exitRegression || !strings.Contains(out.stdout, "REGRESSION") || !strings.Contains(out.stderr, "regression: throughput") {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	if out := runArgs(t, "compare", "b", "a", "--json"); out.status != 0 || !strings.Contains(out.stdout, `"verdict":"better"`) {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	if out := runArgs(t, "compare", "b", "a", "--threshold", "50"); !strings.Contains(out.stdout, "same") {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	for _, args := range [][]string{{"compare", "a"}, {"compare", "a", "b", "b"}, {"report"}, {"compare", "a", "b", "--threshold", "x"}} {
		if out := runArgs(t, args...); out.status != exitUsage || strings.Count(out.stderr, "\n") != 2 {
			t.Errorf("%q: exit status %d:\n%s", args, out.status, out.stderr)
		}
	}
}

func TestSweepTable(t *testing.T) {
	out := runArgs(t, "sweep", "--nodes", "1", "--clients", "1/4", "--durability", "memory", "--duration", "100ms", "--warmup", "0s")
	if out.status != 0 {
		t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
	}
	for _, want := range []string{"clients 1 ", "clients 4 ", "yes, no headline", "durability none"} {
		if !strings.Contains(out.stdout, want) {
			t.Errorf("no %q in\n%s", want, out.stdout)
		}
	}
	if !strings.Contains(out.stderr, "run 2 of 2 (clients 4): ") {
		t.Errorf("progress does not tell which run it is:\n%s", out.stderr)
	}
	if out := runArgs(t, "sweep", "--clients", "1/x", "--nodes", "10/3"); out.status != exitUsage || !strings.Contains(out.stderr, `--clients: "x"`) || !strings.Contains(out.stderr, "--nodes: 10") {
		t.Errorf("exit status %d:\n%s", out.status, out.stderr)
	}
}
