package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// Nodes that somebody has started: one load after the other, each verified, and they
// stay as they were.
func TestLoadOnNodesOfSomebodyElse(t *testing.T) {
	t.Parallel()
	addrs, err := freeAddrs(3)
	if err != nil {
		t.Fatal(err)
	}
	var peers []string
	for i, addr := range addrs {
		peers = append(peers, fmt.Sprintf("%d=%s", i+1, addr))
	}
	dir := t.TempDir()
	for i, addr := range addrs {
		p := startProgram(t, "node", "--id", fmt.Sprint(i+1), "--cluster", "c", "--listen", addr, "--dir", fmt.Sprintf("%s/n%d", dir, i+1), "--groups", "2",
			"--peer", strings.Join(peers, ","), "--election-timeout", "300ms", "--segment", "1048576")
		p.line(t)
	}
	for _, more := range [][]string{
		{"--groups", "2"}, {"--in-flight", "4", "--reads", "50"}, {"--sessions", "--rate", "300"},
	} {
		args := append([]string{"load", "--json", "--peer", strings.Join(peers, ","), "--clients", "8", "--duration", "300ms", "--warmup", "0s"}, more...)
		out := runProgram(t, args...)
		var r result.Result
		if err := json.Unmarshal([]byte(out.stdout), &r); err != nil || out.status != 0 {
			t.Fatalf("%q: exit status %d, %v:\n%s", more, out.status, err, out.stderr)
		}
		if !r.Verified || r.Ops == 0 || r.Nodes != 3 || !r.Processes || r.CPUSecondsPerMop == nil || r.Durability == "" {
			t.Errorf("%q: %s", more, out.stdout)
		}
	}
	// Numbered in another way, they are not who they are taken for.
	out := runProgram(t, "load", "--peer", "1="+addrs[1]+",2="+addrs[0]+",3="+addrs[2])
	if out.status != exitFailed || !strings.Contains(out.stderr, "it is node 2") {
		t.Errorf("exit status %d:\n%s", out.status, out.stderr)
	}
}

func TestBadLoads(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"no nodes":   {nil, exitUsage, "--peer: missing"},
		"a gap":      {[]string{"--peer", "1=a:1,3=b:2"}, exitUsage, "node 2 is missing"},
		"no address": {[]string{"--peer", "1=a"}, exitUsage, `"1=a" is not`},
		"nobody":     {[]string{"--peer", "1=127.0.0.1:1"}, exitFailed, "node 1 at 127.0.0.1:1: status: "},
	} {
		if out := runArgs(t, append([]string{"load"}, test.args...)...); out.status != test.status || !strings.Contains(out.stderr, test.want) {
			t.Errorf("%s: exit status %d:\n%s", name, out.status, out.stderr)
		}
	}
}
