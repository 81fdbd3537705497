package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
	"github.com/seed-814fcd60/raftwire/engine"
)

func TestRunInProcesses(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"compact": {},
		"msgpack": {"--codec", "msgpack"},
		"groups":  {"--groups", "5"},
		"memory":  {"--durability", "memory"},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			r := checkJSON(t, runProgram(t, append(short("--processes", "--json"), args...)...))
			if runtime.GOOS == "linux" && (r["cpu_s_per_million_ops"] == nil || r["allocs_per_op"] == nil) {
				t.Errorf("cost is unknown: %v", r)
			}
			if r["durability"] == result.Durable && r["fsyncs_per_1000_ops"] == 0.0 {
				t.Errorf("result.Durable without a sync: %v", r)
			}
			if r["wire_bytes_per_op"] == 0.0 {
				t.Errorf("nothing on the wire: %v", r)
			}
		})
	}
}

func TestDroppedApplyInAProcessIsFound(t *testing.T) {
	t.Parallel()
	out := runProgram(t, short("--processes", "--json", "--test-drop-apply", "2")...)
	if out.status != exitFailed || !strings.Contains(out.stderr, "node 2 has not applied 1 acknowledged commands") {
		t.Errorf("exit status %d:\n%s", out.status, out.stderr)
	}
	var r result.Result
	if err := json.Unmarshal([]byte(out.stdout), &r); err != nil || r.StateHashEqual {
		t.Errorf("state_hash_equal %t, %v", r.StateHashEqual, err)
	}
}

func TestCtrlCStopsProcesses(t *testing.T) {
	t.Parallel()
	p := startProgram(t, short("--processes", "--duration", "1h", "--warmup", "0s")...)
	eventually(t, "load", func() bool { return strings.Contains(p.stderr.String(), " of 3600 s") })
	out := p.end(t, syscall.SIGINT) // returns when the children have closed standard error too
	if out.status != exitInterrupted || !strings.Contains(out.stdout, "INTERRUPTED") || strings.Contains(out.stderr, "giving up") {
		t.Errorf("exit status %d:\n%s%s", out.status, out.stdout, out.stderr)
	}
}

// killRounds is how often each of the three nodes is killed.
func killRounds() int {
	if testing.Short() {
		return 2
	}
	return 20
}

// Each of three processes in turn is killed (-9) under load and started again, many
// times. At the end every acknowledged command is there exactly once on every node.
func TestNothingAcknowledgedIsLostByKills(t *testing.T) {
	t.Parallel()
	k := startKillable(t)
	l, err := newLoad(t.Context(), k.cluster, testWork(t, 8))
	if err != nil {
		t.Fatal(err)
	}
	l.start()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		l.stop()
		if err := l.drain(testLimit); err != nil {
			t.Error(err)
		}
	}
	defer stop()
	leaders := 0
	for range killRounds() {
		for i := range k.members {
			if k.leader(t.Context(), 1) == engine.NodeID(i+1) {
				leaders++
			}
			k.restart(t, i)
			// The next kill comes when this node has caught up and the cluster works.
			acked, _ := l.counts()
			_, goal, err := k.members[(i+1)%3].query(t.Context(), 1, "state")
			eventually(t, "progress after a kill", func() bool {
				now, _ := l.counts()
				_, applied, failed := k.members[i].query(t.Context(), 1, "state")
				return now >= acked+50 && failed == nil && (err != nil || applied >= goal)
			})
		}
	}
	stop()
	v := verify(t.Context(), k.cluster, l, testLimit)
	if !v.hashEqual || len(v.faults) > 0 {
		t.Errorf("after %d kills:\n%s", 3*killRounds(), strings.Join(v.faults, "\n"))
	}
	acked, failed := l.counts()
	var unknown uint64
	for _, c := range l.clients {
		unknown += c.unknown
	}
	t.Logf("%d kills, %d of them of the leader; %d commands acknowledged, %d failed, %d of them with unknown outcome",
		3*killRounds(), leaders, acked, failed, unknown)
}

// killable is a cluster of three processes that a test kills and restarts.
type killable struct {
	*cluster
	processes []*remoteMember
	args      [][]string
}

func startKillable(t *testing.T) *killable {
	t.Helper()
	addrs, err := freeAddrs(3)
	if err != nil {
		t.Fatal(err)
	}
	k := &killable{cluster: &cluster{groups: 1, failed: make(chan error, 1), remote: true}}
	c := &runConfig{groups: 1, work: testWork(t, 8), stderr: os.Stderr}
	c.engine = engineConfig{codec: "thrift-compact", electionTimeout: 150 * time.Millisecond, segmentBytes: minSegment}
	dir := t.TempDir()
	for i, addr := range addrs {
		id := engine.NodeID(i + 1)
		k.args = append(k.args, childArgs(c, id, addr, addrs, filepath.Join(dir, fmt.Sprintf("n%d", id))))
		m := &remoteMember{child: start(t, k.args[i]), conns: newNodeConns(addr)}
		k.processes, k.members = append(k.processes, m), append(k.members, m)
	}
	k.propose = proposeAt(k.processes)
	t.Cleanup(func() {
		if err := k.close(); err != nil {
			t.Error(err)
		}
	})
	if err := k.waitLeaders(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

// start starts a node and waits until it is ready.
func start(t *testing.T, args []string) *child {
	t.Helper()
	ch, err := startChild(args, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.waitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ch
}

// restart kills a node and starts it again.
func (k *killable) restart(t *testing.T, i int) {
	t.Helper()
	if err := k.processes[i].child.kill(); err != nil {
		t.Fatal(err)
	}
	k.processes[i].child = start(t, k.args[i])
}

// A node that dies under load ends the run with its name: the result would mean nothing.
func TestRunEndsWhenAProcessDies(t *testing.T) {
	t.Parallel()
	c := &runConfig{nodes: 3, groups: 1, work: testWork(t, 4), processes: true, stderr: os.Stderr}
	c.engine = engineConfig{codec: "thrift-compact", durability: engine.Memory, electionTimeout: 300 * time.Millisecond, segmentBytes: minSegment}
	cl, err := startCluster(t.Context(), c, nil, new(dataDirs))
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoad(t.Context(), cl, c.work)
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.members[1].(*remoteMember).child.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, err = l.measure(t.Context(), cl, warmupConfig{}, time.Hour, newProgress(new(lockedBuffer)), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "node 2 (process ") || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("measure: %v", err)
	}
	_ = cl.close() // node 2 did not end well
	if err := l.drain(testLimit); err != nil {
		t.Error(err)
	}
}
