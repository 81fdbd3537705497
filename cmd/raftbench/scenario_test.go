package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// Every scenario plays to its end, does what its name says, and loses nothing: the run is
// verified like any other.
func TestScenarios(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		events  []string // in this order
		outages int
	}{
		"failover":        {[]string{`kill -9 of node \d, the leader \(1 of 2\)`, `the leader \(2 of 2\)`}, 2},
		"rolling-restart": {[]string{`node \d stops`, `node \d is back`, `node \d stops`, `node \d stops`}, 6},
		"membership":      {[]string{`node 4 starts and is added`, `node 4 is a voter`, `node 4, the leader, is removed`, `node 4 has stopped`, `node 4 starts and is added`}, 4},
		"snapshot":        {[]string{`kill -9 of node \d, a follower`, `take snapshots`, `node \d has caught up`, `kill -9`}, 0},
		"slow-follower":   {[]string{`node \d, a follower, is slow`, `as fast as before`}, 0},
		"slow-disk":       {[]string{`a sync takes 20ms longer on node \d, a follower`, `on node \d, the leader`, `disk of node \d is as fast as before`}, 0},
		"codec-switch":    {[]string{`node 1 sends in msgpack`, `node 3 sends in msgpack`, `node 1 sends in thrift-binary`, `node 3 sends in thrift-compact`}, 0},
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want := tests[s.name]
			out := runProgram(t, "scenario", s.name, "--json", "--rounds", "2", "--duration", "200ms", "--warmup", "100ms", "--clients", "4",
				"--election-timeout", "500ms", "--segment", "1048576")
			if out.status != 0 {
				t.Fatalf("exit status %d:\n%s", out.status, out.stderr)
			}
			var r result.Result
			if err := json.Unmarshal([]byte(out.stdout), &r); err != nil {
				t.Fatal(err)
			}
			sc := r.Scenario
			if sc == nil || sc.Name != s.name || !r.Verified || !r.Processes || r.HeadlineOpsPerSecond != nil || len(sc.Outages) != want.outages {
				t.Fatalf("%s", out.stdout)
			}
			checkScenario(t, sc, want.events)
		})
	}
	if len(tests) != len(scenarios) {
		t.Errorf("%d scenarios, %d tests", len(scenarios), len(tests))
	}
}

func checkScenario(t *testing.T, sc *result.Scenario, events []string) {
	t.Helper()
	at := 0.0
	for _, e := range sc.Events {
		if e.At < at {
			t.Errorf("events are not in order: %v", sc.Events)
		}
		at = e.At
		if len(events) > 0 && regexp.MustCompile(events[0]).MatchString(e.What) {
			events = events[1:]
		}
	}
	if len(events) > 0 {
		t.Errorf("no event %q in %v", events[0], sc.Events)
	}
	names := []string{}
	for i, p := range sc.Phases {
		names = append(names, p.Name)
		if p.To <= p.From || i > 0 && p.From < sc.Phases[i-1].To {
			t.Errorf("phases %v", sc.Phases)
		}
	}
	if !slices.Equal(names, []string{"before", "during", "after"}) {
		t.Errorf("phases %q", names)
	}
	for _, ms := range sc.Outages {
		if ms <= 0 || ms < sc.OutageP50 && ms > sc.OutageP99 {
			t.Errorf("outages %v, p50 %v, p99 %v", sc.Outages, sc.OutageP50, sc.OutageP99)
		}
	}
}

// A leader that is killed cannot acknowledge anything for as long as nobody campaigns: half an
// election time-out from when it was last heard. An outage of a few milliseconds would be a
// wrong measurement, of an acknowledgement that it gave just before.
func TestAFailoverTakesAtLeastAWait(t *testing.T) {
	t.Parallel()
	out := runProgram(t, "scenario", "failover", "--json", "--rounds", "1", "--duration", "100ms", "--warmup", "0s", "--clients", "2", "--election-timeout", "1s", "--durability", "nosync")
	var r result.Result
	if err := json.Unmarshal([]byte(out.stdout), &r); err != nil {
		t.Fatalf("%v:\n%s", err, out.stderr)
	}
	if got := r.Scenario.OutageP50 / r.Scenario.ElectionTimeoutMs; got < 0.1 {
		t.Errorf("nothing was acknowledged for only %.2f election time-outs", got)
	}
}

func TestBadScenarios(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no name":   {[]string{"scenario"}, `"" is no scenario: failover, `},
		"unknown":   {[]string{"scenario", "quake"}, `"quake" is no scenario`},
		"two":       {[]string{"scenario", "failover", "snapshot"}, "is no scenario"},
		"two nodes": {[]string{"scenario", "failover", "--nodes", "2"}, "--nodes: a scenario has 3 to 8"},
		"memory":    {[]string{"scenario", "snapshot", "--durability", "memory"}, "--durability: nodes that are started again"},
		"rounds":    {[]string{"scenario", "failover", "--rounds", "0"}, "--rounds: 0"},
	} {
		if out := runArgs(t, test.args...); out.status != exitUsage || !strings.Contains(out.stderr, test.want) {
			t.Errorf("%s: exit status %d:\n%s", name, out.status, out.stderr)
		}
	}
}

// Ctrl-C in the middle ends all processes, and what there is is printed.
func TestInterruptedScenario(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startProgram(t, "scenario", "failover", "--json", "--rounds", "100", "--duration", "100ms", "--warmup", "0s", "--clients", "2",
		"--election-timeout", "300ms", "--segment", "1048576", "--dir", dir+"/data")
	eventually(t, "a kill", func() bool { return strings.Contains(p.stderr.String(), "kill -9") })
	out := p.end(t, syscall.SIGINT)
	var r result.Result
	if err := json.Unmarshal([]byte(out.stdout), &r); err != nil || out.status != exitInterrupted || r.Scenario == nil || len(r.Scenario.Events) == 0 || r.HeadlineOpsPerSecond != nil {
		t.Errorf("exit status %d, %v:\n%s\n%s", out.status, err, out.stdout, out.stderr)
	}
}

func TestProgressTellsHowLongItTakes(t *testing.T) {
	var b strings.Builder
	p := &progress{w: &b, terminal: true}
	p.begin("measuring", 10*time.Second, 0)
	p.show("measuring", 4*time.Second, 10*time.Second, 4000, 1)
	if want := "measuring: 4 of 10 s, 1,000 ops/s, 1 error, 6s left"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("%q, want %q at its end", b.String(), want)
	}
}

// A phase has the figures of the intervals in it, and no others.
func TestPhasesOfAScenario(t *testing.T) {
	c := &runConfig{scenario: &scenarioConfig{name: "x"}, duration: 10 * time.Second, engine: engineConfig{electionTimeout: time.Second}}
	s := newStage(c, nil, nil, nil)
	s.phases = []result.Phase{{Name: "before", To: 3}, {Name: "during", From: 3, To: 4.4}, {Name: "after", From: 4.4, To: 8}}
	s.outages = []time.Duration{700 * time.Millisecond, 500 * time.Millisecond}
	r := new(report)
	r.IntervalSeconds = 1
	for i := range 8 {
		r.Intervals = append(r.Intervals, result.Interval{OpsPerSecond: float64(100 * (i + 1)), P50: float64(i), P99: float64(10 * i)})
	}
	s.report(r)
	sc := r.Scenario
	for i, want := range []float64{200, 400, 650} { // intervals 0 to 2, 3, 4 to 7
		if sc.Phases[i].OpsPerSecond != want {
			t.Errorf("%s: %v ops/s, want %v", sc.Phases[i].Name, sc.Phases[i].OpsPerSecond, want)
		}
	}
	if p := sc.Phases[2]; p.P50 != 5 || p.P99 != 50 || sc.OutageP50 != 500 || sc.OutageP99 != 700 || sc.ElectionTimeoutMs != 1000 {
		t.Errorf("%+v", sc)
	}
	if newStage(c, nil, nil, nil).grain() != time.Minute {
		t.Error("a phase of 10 s has not several intervals")
	}
}

func TestRank(t *testing.T) {
	list := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 0.2: 1, 0.21: 2, 0.99: 5, 1: 5} {
		if got := rank(list, q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if rank(nil, 0.5) != 0 {
		t.Error("of nothing")
	}
}

func TestGaps(t *testing.T) {
	l := &load{started: time.Now()}
	end := l.watchGaps()
	g := l.gaps.Load()
	for _, at := range []time.Duration{time.Minute, 3 * time.Minute, 4 * time.Minute} {
		g.note(at)
	}
	if got := end(); got != 2*time.Minute || l.gaps.Load() != nil {
		t.Errorf("%v", got)
	}
}
