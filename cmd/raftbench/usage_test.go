package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every bad command line ends with one line that says everything, a hint, and no
// file or directory anywhere.
func TestBadCommandLines(t *testing.T) {
	node := []string{"node", "--cluster", "c", "--id", "1", "--listen", "127.0.0.1:0", "--dir", "new"}
	tests := map[string]struct {
		args []string
		want []string
	}{
		"unknown flag":       {[]string{"--clientz", "5"}, []string{"unknown flag --clientz"}},
		"unknown short flag": {[]string{"-x"}, []string{"unknown flag -x"}},
		"unknown command":    {[]string{"rum"}, []string{`unexpected argument "rum"`}},
		"argument":           {[]string{"run", "fast"}, []string{`unexpected argument "fast"`}},
		"no value":           {[]string{"--clients"}, []string{"flag needs an argument: -clients"}},
		"bad switch":         {[]string{"--json=maybe"}, []string{`"maybe"`}},
		"all faults": {
			[]string{"--nodes", "0", "--groups", "x", "--clients", "-1", "--payload", "11", "--duration", "1", "--warmup", "-1s", "--codec", "json", "--durability", "yes", "--dir", "", "--segment", "1048577"},
			[]string{"--nodes: 0", "--groups: \"x\"", "--clients: -1", "--payload: 11 is not", "--duration: \"1\"", "--warmup: -1s", "--codec: \"json\"", "--durability: \"yes\"", "--dir: empty", "--segment: 1048577 is not a multiple"},
		},
		"too much":           {[]string{"--clients", "65536", "--payload", "16000000"}, []string{"bytes in flight"}},
		"no such node":       {[]string{"--test-drop-apply", "4"}, []string{"there is no node 4"}},
		"memory with files":  {[]string{"--durability", "memory", "--dir", "new"}, []string{"keeps no files"}},
		"nothing for a node": {[]string{"node"}, []string{"--id: missing", "--cluster: missing", "--listen: missing", "--dir: missing"}},
		"node faults": {
			[]string{"node", "--id", "0", "--cluster", "", "--listen", "here", "--peer", "1=a", "--peer", "x=b:1,2=c:2", "--peer", "2=c:3", "--election-timeout", "1ms"},
			[]string{"--id: \"0\"", "--cluster: 0 bytes", "--listen: \"here\"", "\"1=a\" is not", "\"x=b:1\" is not", "node 2 is there twice", "--election-timeout: 1ms", "--dir: missing"},
		},
		"bad workload": {
			[]string{"--payload", "uniform:1-2", "--rate", "0", "--reads", "101", "--consistency", "weak", "--in-flight", "0", "--warmup", "soon"},
			[]string{"--payload: uniform:1-2 is not in 12", "--rate: 0 is not", "--reads: 101", "--consistency: \"weak\"", "--in-flight: 0", "--warmup: \"soon\""},
		},
		"arrivals of nothing": {[]string{"--arrivals", "poisson"}, []string{"--arrivals: only with --rate"}},
		"sessions and more":   {[]string{"--sessions", "--in-flight", "2"}, []string{"--sessions: not with"}},
		"not among the peers": {append(node, "--peer", "2=a:1,3=a:2"), []string{"node 1 (this one) is missing"}},
		"dials nobody":        {append(node, "--peer", "1=a:1", "--dial", "2=a:1"), []string{"node 2 is no --peer"}},
		"no port":             {append(node, "--listen", "127.0.0.1:70000"), []string{"is not host:port"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			t.Setenv("TMPDIR", dir)
			out := runArgs(t, test.args...)
			lines := strings.Split(strings.TrimSuffix(out.stderr, "\n"), "\n")
			if out.status != exitUsage || len(lines) != 2 || out.stdout != "" {
				t.Errorf("exit status %d, want %d, and two lines:\n%s%s", out.status, exitUsage, out.stdout, out.stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(lines[0], want) {
					t.Errorf("no %q in %q", want, lines[0])
				}
			}
			if !strings.HasPrefix(lines[0], "raftbench: ") || !strings.HasPrefix(lines[len(lines)-1], "Run \"raftbench") {
				t.Errorf("lines %q", lines)
			}
			checkEmpty(t, dir)
		})
	}
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind in %s: %v, %v", dir, left, err)
	}
}

// A directory that cannot be used ends the program with one line, and nothing is made.
func TestBadDirectories(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{
		"file":            {"--dir", file},
		"below a file":    {"--dir", filepath.Join(file, "x", "y")},
		"in use":          {"--dir", base},
		"processes":       {"--processes", "--dir", filepath.Join(file, "x")},
		"node, file":      {"node", "--id", "1", "--cluster", "c", "--listen", "127.0.0.1:0", "--dir", file},
		"node, below it":  {"node", "--id", "1", "--cluster", "c", "--listen", "127.0.0.1:0", "--dir", filepath.Join(file, "x")},
		"node, not a log": {"node", "--id", "1", "--cluster", "c", "--listen", "127.0.0.1:0", "--dir", base},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			out := runArgs(t, args...)
			if out.status != exitFailed || strings.Count(out.stderr, "\n") != 1 || out.stdout != "" {
				t.Errorf("exit status %d, want %d and one line:\n%s%s", out.status, exitFailed, out.stdout, out.stderr)
			}
			content, err := os.ReadFile(file)
			if err != nil || string(content) != "mine" {
				t.Errorf("file: %q, %v", content, err)
			}
			if left, err := os.ReadDir(base); err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for name, want := range map[string][]string{
		"":     {"--clients", "(default: 256)", "(default: 10s)", "--processes", "GOMAXPROCS", "be one member", "compare two files"},
		"run":  {"--payload", "12 to 16318464", "fsync (power loss)"},
		"node": {"--peer", "--dial", "--election-timeout", "(default: 1s)", "required"},
	} {
		args := []string{"--help"}
		if name != "" {
			args = []string{name, "--help"}
		}
		out := runArgs(t, args...)
		if out.status != 0 || out.stderr != "" {
			t.Errorf("%q: exit status %d:\n%s", args, out.status, out.stderr)
		}
		for _, w := range want {
			if !strings.Contains(out.stdout, w) {
				t.Errorf("%q: no %q in\n%s", args, w, out.stdout)
			}
		}
	}
}
