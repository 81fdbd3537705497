package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/enginetest"
)

func raftsim(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(append([]string{"raftsim"}, args...), &out, &err)
	return status, out.String(), err.String()
}

// A campaign of a few seeds is green and says what it did.
func TestRun(t *testing.T) {
	status, out, errs := raftsim(t, "run", "--seeds", "4", "--seed-hashes")
	if status != 0 || !strings.Contains(out, "green: 0 violations") || !strings.Contains(out, "faults:") {
		t.Fatalf("status %d\n%s%s", status, out, errs)
	}
	if lines := strings.Split(out, "\n"); !strings.HasPrefix(lines[0], "1 ") || !strings.HasPrefix(lines[3], "4 ") {
		t.Errorf("no hashes of seeds:\n%s", out)
	}
}

// The summary of a campaign is one object.
func TestRunJSON(t *testing.T) {
	status, out, errs := raftsim(t, "run", "--seeds", "2", "--first", "9", "--json", "--profile", "core")
	var s enginetest.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil || status != 0 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, errs)
	}
	if s.Seeds != 2 || s.First != 9 || s.Events == 0 || s.Profile != "core" {
		t.Errorf("%+v", s)
	}
}

// A replay tells every event, and ends as the run did.
func TestReplay(t *testing.T) {
	status, out, errs := raftsim(t, "replay", "--events", "500", "3")
	if status != 0 || strings.Count(out, "\n") < 500 || !strings.HasSuffix(out, "green\n") {
		t.Fatalf("status %d, %d bytes\n%s", status, len(out), errs)
	}
	status, out, _ = raftsim(t, "replay", "--events", "500", "--json", "--without", "loss,crash", "--skip", "0-5,9-12", "3")
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("no JSON: %s", line)
		}
	}
	if status != 0 {
		t.Errorf("status %d", status)
	}
}

// A seed that does not fail cannot be made smaller.
func TestShrinkOfGreen(t *testing.T) {
	status, out, _ := raftsim(t, "shrink", "--events", "500", "3")
	if status != 0 || !strings.Contains(out, "raftsim replay --profile world --events 500 3") {
		t.Errorf("status %d\n%s", status, out)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"replay"}, {"replay", "x"}, {"replay", "1", "2"}, {"run", "--profile", "nothing"}, {"replay", "--skip", "x", "1"}, {"jump"}, {"run", "--what"},
	} {
		if status, _, errs := raftsim(t, args...); status != exitUsage || !strings.HasPrefix(errs, "raftsim: ") {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
	}
	if status, out, _ := raftsim(t); status != 0 || !strings.Contains(out, "replay") {
		t.Errorf("help: status %d\n%s", status, out)
	}
}
