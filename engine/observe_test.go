package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// notes is where a logger of a test writes: lines of JSON.
type notes struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bytes.Write(b)
}

func (n *notes) all() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Clone(n.bytes.Bytes())
}

func (n *notes) lines(t *testing.T) (all []map[string]any) {
	for line := range bytes.Lines(n.all()) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, m)
	}
	return all
}

// Who leads and who is a member is logged at Info with the node, the group and the term;
// what clients send is logged nowhere.
func TestElectionsAndChangesAreLogged(t *testing.T) {
	out := &notes{}
	c := newCluster(t, 1, func(cfg *engine.Config) {
		cfg.Logger = slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	c.propose("the-secret-of-a-client")
	if err := c.group(1).Change(t.Context(), engine.AddLearner(2, "127.0.0.1:9")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []map[string]any{
		{"msg": "role changed", "level": "INFO", "role": "LEADER"},
		{"msg": "configuration in force", "level": "INFO"},
		{"msg": "change of membership ended", "level": "INFO", "reason": "none"},
	} {
		found := slices.ContainsFunc(out.lines(t), func(line map[string]any) bool {
			for key, value := range want {
				if line[key] != value {
					return false
				}
			}
			return line["node"] == 1.0 && line["group"] == float64(groupID) && line["term"] != nil
		})
		if !found {
			t.Errorf("no line has %v", want)
		}
	}
	if bytes.Contains(out.all(), []byte("the-secret-of-a-client")) {
		t.Error("a command was logged")
	}
}

// Every counter moves with what it counts, and by no more.
func TestMetricsCountWhatHappens(t *testing.T) {
	c := newCluster(t, 3, nil)
	first := c.leader()
	before := c.hosts[first].Metrics()
	s, err := c.group(first).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Propose(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []engine.Consistency{engine.Linearizable, engine.Stale, engine.Stale} {
		if err := c.group(first).Read(t.Context(), mode, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	after := c.hosts[first].Metrics()
	if n := after.Sessions.Opened - before.Sessions.Opened; n != 1 {
		t.Errorf("%d sessions opened, want 1", n)
	}
	if rounds, local := after.Reads.ByRound-before.Reads.ByRound, after.Reads.Local-before.Reads.Local; rounds != 1 || local != 2 {
		t.Errorf("%d reads by round and %d local, want 1 and 2", rounds, local)
	}
	if after.Log.Bytes <= before.Log.Bytes || after.Network.BytesOut <= before.Network.BytesOut {
		t.Errorf("log %d then %d bytes, network %d then %d", before.Log.Bytes, after.Log.Bytes, before.Network.BytesOut, after.Network.BytesOut)
	}
	appends := after.Network.Methods["Append"]
	if n := appends.Durations.Count(); n == 0 || appends.Durations.Mean() <= 0 || appends.Durations.Quantile(1) < appends.Durations.Mean() {
		t.Errorf("%d appends were answered, in %v on average", n, appends.Durations.Mean())
	}
	from, to := c.handOver()
	c.eventually("both to have counted it", func() bool {
		return c.hosts[to].Metrics().Leaderships > 0 && c.hosts[to].Metrics().Elections > 0 && c.hosts[from].Metrics().Transfers > 0
	})
}

// A hand-over is told apart from other elections on both sides, and remembered; the time
// of proposals is taken where they are accepted.
func TestMetricsTellWhyLeadersChange(t *testing.T) {
	c := newCluster(t, 3, nil)
	first := c.leader()
	for range 500 { // one in 16 is timed: that none is, happens once in 10^14 runs
		if _, err := c.group(first).Propose(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	from, to := c.handOver()
	c.eventually("both sides to have counted it", func() bool {
		return c.hosts[from].Metrics().Lost[engine.Transferred] > 0 && c.hosts[to].Metrics().ElectionReasons[engine.Transferred] > 0
	})
	m := c.hosts[first].Metrics()
	if n := m.Proposals.Count(); n == 0 || n > 500 || m.Proposals.Mean() <= 0 {
		t.Errorf("%d of 500 proposals were timed, %v on average", n, m.Proposals.Mean())
	}
	s, err := c.group(from).Status()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(s.History, func(r engine.RoleChange) bool { return r.Reason == engine.Transferred && !r.At.IsZero() }) {
		t.Errorf("the hand-over is not in the history: %+v", s.History)
	}
}

// Results of a pipeline arrive in the order in which the log has the commands, each after it
// is applied.
func TestResultsComeInTheOrderOfTheLog(t *testing.T) {
	c := newCluster(t, 3, nil)
	g := c.group(c.leader())
	const total = 500
	results := make(chan engine.Result, total)
	for i := range total {
		err := g.ProposeAsync(fmt.Append(nil, i), func(r engine.Result, err error) {
			if err == nil && g.Applied() < r.Index {
				err = errors.New("told before it was applied")
			}
			if err != nil {
				t.Errorf("proposal %d: %v", i, err)
			}
			results <- r
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	last := engine.Index(0)
	for range total {
		r := <-results
		if r.Index <= last {
			t.Errorf("the result of %d comes after that of %d", r.Index, last)
		}
		last = r.Index
	}
}
