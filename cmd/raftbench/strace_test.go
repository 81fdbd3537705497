package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The kernel's count of syncs is the judge of ours: every fsync and fdatasync of
// the process, of segments, directories and the catalog's database alike.
func TestStraceCountsTheSyncsThatAreReported(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace: apt-get install strace")
	}
	// What the nodes sync while they close comes after the report.
	const closing = 3 * 16
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	counts := filepath.Join(t.TempDir(), "counts")
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-c", "-e", "trace=fdatasync,fsync", "-o", counts,
		self, "--duration", "3s", "--warmup", "500ms", "--clients", "16")
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	m := regexp.MustCompile(`([\d,]+)\s+in all since the nodes started`).FindSubmatch(stdout)
	if m == nil {
		t.Fatalf("no total in the report:\n%s", stdout)
	}
	reported, err := strconv.Atoi(strings.ReplaceAll(string(m[1]), ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	traced := tracedCalls(t, counts)
	t.Logf("strace counted %d syncs, raftbench reported %d", traced, reported)
	if more := traced - reported; more < -traced/50 || more > traced/50+closing {
		t.Errorf("strace counted %d syncs, raftbench reported %d", traced, reported)
	}
}

// tracedCalls adds up the calls column of what strace -c wrote:
//
//	% time     seconds  usecs/call     calls    errors syscall
//	 92.03    1.778776         925      1922           fdatasync
func tracedCalls(t *testing.T, file string) (calls int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) >= 5 && strings.HasSuffix(f[len(f)-1], "sync") {
			n, err := strconv.Atoi(f[3])
			if err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			calls += n
		}
	}
	return calls
}
