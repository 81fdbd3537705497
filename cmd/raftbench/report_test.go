package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// resultKeys is the contract of --json.
var resultKeys = []string{
	"system", "version", "nodes", "groups", "clients", "payload_bytes", "codec", "tls", "durability", "loop", "seconds", "ops",
	"errors", "ops_per_s", "latency_us", "fsyncs_per_1000_ops", "cpu_s_per_million_ops", "allocs_per_op", "wire_bytes_per_op",
	"elections", "state_hash_equal",
	"verified", "headline_ops_per_s", "started", "machine", "processes", "gomaxprocs", "payload", "rate", "arrivals", "in_flight",
	"sessions", "read_percent", "read_consistency", "leaders", "warmup_s", "steady", "writes_per_1000_ops", "reads", "read_latency_us",
	"service_latency_us", "percentiles", "interval_s", "intervals", "fsync_us", "batch_sizes",
}

var latencyKeys = []string{"mean", "p50", "p90", "p99", "p999", "max"}

// keysOf returns the keys of the only JSON object in b, in their order, and fails on
// anything else in b.
func keysOf(t *testing.T, b []byte) (keys []string, values map[string]json.RawMessage) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&values); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	if rest := bytes.TrimSpace(b[d.InputOffset():]); len(rest) > 0 {
		t.Fatalf("behind the object stands %q", rest)
	}
	d = json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return keys, values
}

func TestJSONContract(t *testing.T) {
	var b bytes.Buffer
	if err := new(report).printJSON(&b); err != nil {
		t.Fatal(err)
	}
	keys, values := keysOf(t, b.Bytes())
	if !slices.Equal(keys, resultKeys) {
		t.Errorf("keys %q\nwant %q", keys, resultKeys)
	}
	if keys, _ := keysOf(t, values["latency_us"]); !slices.Equal(keys, latencyKeys) {
		t.Errorf("latency_us has %q, want %q", keys, latencyKeys)
	}
	for _, key := range []string{"cpu_s_per_million_ops", "allocs_per_op"} {
		if string(values[key]) != "null" {
			t.Errorf("%s: %s, want null for what is not known", key, values[key])
		}
	}
}

// goodReport is what a run without a fault reports.
func goodReport() *report {
	cpu, allocs := 4.5, 1.25
	return &report{Result: result.Result{
		Version: "v1", Payload: "128", Loop: "closed", InFlight: 1, Procs: 12, Steady: true, Nodes: 3, Groups: 1, Clients: 256, PayloadBytes: 128, Codec: "thrift-compact", Durability: "fsync",
		Seconds: 10, Ops: 1234567, OpsPerSecond: 123456.7, LatencyUs: result.Latencies{Mean: 700, P50: 650, P90: 900, P99: 1500, P999: 2500, Max: 12345},
		FsyncsPer1000Ops: 23.4, CPUSecondsPerMop: &cpu, AllocsPerOp: &allocs, WireBytesPerOp: 321, StateHashEqual: true,
	}, wanted: 10 * time.Second}
}

func TestTable(t *testing.T) {
	tests := map[string]struct {
		change        func(*report)
		want, wantNot []string
	}{
		"durable": {
			change: func(*report) {},
			want: []string{
				"3 nodes in one process, 1 group, 256 clients", "GOMAXPROCS 12", "123,457  ops/s\n", "1,234,567", "12,345  us",
				"23.4  per 1,000 commits, of all nodes together", "4.50  s per million ops", "1.25  per op", "321  bytes per op", "yes  all nodes",
			},
			wantNot: []string{"NOT DURABLE", "INTERRUPTED", "FAILED"},
		},
		"not durable": {
			change: func(r *report) { r.Durability = "none (tmpfs)" },
			want:   []string{"ops/s  NOT DURABLE: none (tmpfs)"},
		},
		"interrupted": {
			change: func(r *report) { r.interrupted, r.Seconds, r.unverified = true, 3.25, "no time left" },
			want:   []string{"INTERRUPTED: a partial result, 3.25 of 10.00 s", "no  the nodes were not compared: no time left"},
		},
		"not steady": {
			change: func(r *report) { r.Steady = false },
			want:   []string{"not steady yet"},
		},
		"open loop": {
			change: func(r *report) { r.Loop, r.Rate = "open", 200_000 },
			want:   []string{"256 clients (open loop)", "200,000  ops/s were due: NOT REACHED", "us  from when it was due"},
		},
		"pipelines": {
			change: func(r *report) { r.InFlight, r.Sessions = 8, true },
			want:   []string{"closed loop, 8 in flight each, sessions"},
		},
		"reads": {
			change:  func(r *report) { r.Reads, r.ReadConsistency, r.Groups, r.Leaders = 1000, "lease", 2, []int{1, 1, 0} },
			want:    []string{"1,000  of the ops, lease", "led by node 1, 2, ...: [1 1 0]"},
			wantNot: []string{"were due"},
		},
		"processes": {
			change: func(r *report) { r.Processes, r.AllocsPerOp = true, nil },
			want:   []string{"in processes of their own", "unknown  per op"},
		},
		"faults": {
			change: func(r *report) { r.faults, r.Errors, r.firstError = []string{"x"}, 3, "busy" },
			want:   []string{"FAILED  the nodes", "3  attempts refused or of unknown outcome; the first: busy"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := goodReport()
			test.change(r)
			var b bytes.Buffer
			if err := r.printTable(&b); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(b.String(), want) {
					t.Errorf("no %q in\n%s", want, b.String())
				}
			}
			for _, not := range test.wantNot {
				if strings.Contains(b.String(), not) {
					t.Errorf("%q in\n%s", not, b.String())
				}
			}
		})
	}
}

func TestGrouped(t *testing.T) {
	for _, test := range []struct {
		v        float64
		decimals int
		want     string
	}{
		{0, 0, "0"}, {999, 0, "999"}, {1000, 0, "1,000"}, {1234567.891, 2, "1,234,567.89"}, {999.999, 1, "1,000.0"}, {-12345, 0, "-12,345"},
	} {
		if got := grouped(test.v, test.decimals); got != test.want {
			t.Errorf("%v with %d decimals: %q, want %q", test.v, test.decimals, got, test.want)
		}
	}
}
