package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A baseline that a run has just written holds for the next one; a lower one does not.
func TestGuard(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile("guard.json", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// One command takes as many bytes on the wire whatever the machine does: of the counts, that one is judged.
	write(`{"margin_percent": 400, "rounds": 2, "runs": [
		{"name": "small", "args": ["--clients", "4", "--duration", "200ms", "--warmup", "0s", "--segment", "1048576"], 
		"counts": ["allocs_per_op", "fsyncs_per_1000_ops", "wire_bytes_per_op", "writes_per_1000_ops"], "baseline": {}}]}`)
	if out := runArgs(t, "guard", "guard.json"); out.status != 0 || strings.Count(out.stdout, "no baseline") != 4 {
		t.Fatalf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	if out := runArgs(t, "guard", "--update", "guard.json"); out.status != 0 {
		t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
	}
	g, err := loadGuard("guard.json")
	if err != nil || len(g.Runs[0].Baseline) != 4 || g.Runs[0].Baseline["wire_bytes_per_op"] < 3*commandHeaderBytes {
		t.Fatalf("%+v, %v", g, err)
	}
	if out := runArgs(t, "guard", "guard.json"); out.status != 0 || strings.Count(out.stdout, " ok\n") != 4 {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	data, err := os.ReadFile("guard.json")
	if err != nil {
		t.Fatal(err)
	}
	write(regexp.MustCompile(`"wire_bytes_per_op": [0-9.]+`).ReplaceAllString(string(data), `"wire_bytes_per_op": 1`))
	if out := runArgs(t, "guard", "guard.json"); out.status != exitRegression || !strings.Contains(out.stderr, "small: wire_bytes_per_op is") {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	write(strings.Replace(string(data), `"counts": [`, `"counts": ["hope",`, 1))
	if out := runArgs(t, "guard", "guard.json"); out.status != exitFailed || !strings.Contains(out.stderr, "hope: no count") {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
	for _, bad := range []string{"", "{}", `{"runs": 1}`, `{"margin_percent": 1, "rounds": 0, "runs": [{}]}`, `{"other": 1}`} {
		write(bad)
		if out := runArgs(t, "guard", "guard.json"); out.status != exitFailed || !strings.Contains(out.stderr, "guard.json") {
			t.Errorf("%q: exit status %d:\n%s", bad, out.status, out.stderr)
		}
	}
}
