package prometheus

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/seed-814fcd60/raftwire/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// null is a state machine that forgets what it is given.
type null struct{ engine.StateMachine }

func (null) Apply(engine.Batch, []engine.Result) error { return nil }

// leader is a host on a port of its own that leads group 7 and has applied an entry.
func leader(t *testing.T) *engine.Host {
	t.Helper()
	h, err := engine.Open(t.Context(), engine.Config{
		Cluster: "test", Node: 1, Durability: engine.Memory, Listen: "127.0.0.1:0", ElectionTimeout: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	g, err := h.Start(t.Context(), engine.GroupConfig{ID: 7, Machine: null{}, Members: []engine.Member{{ID: 1, Address: h.Addr()}}})
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := g.Propose(t.Context(), []byte("x")); err == nil {
			return h
		}
		if t.Context().Err() != nil {
			t.Fatal("nobody leads")
		}
	}
}

// What a registry gathers from a host is valid, has the host's figures, and carries the
// labels by which hosts and groups are told apart.
func TestCollectorShowsTheHostsFigures(t *testing.T) {
	h := leader(t)
	registry := client.NewPedanticRegistry()
	registry.MustRegister(New(h))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			got[key] = fmt.Sprint(m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()))
		}
	}
	m := h.Metrics()
	for key, want := range map[string]string{
		"raftwire_elections_total{node=1}":                         "1",
		"raftwire_election_reasons_total{node=1,reason=no-leader}": "1",
		"raftwire_leaderships_total{node=1}":                       "1",
		"raftwire_reads_total{mode=round,node=1}":                  "0",
		"raftwire_log_entries_total{node=1}":                       fmt.Sprint(m.Log.Entries),
		"raftwire_log_sync_duration_seconds{node=1}":               fmt.Sprint(m.Log.SyncDurations.Count()),
		"raftwire_log_segments{node=1}":                            fmt.Sprint(m.Log.Segments),
		"raftwire_network_sent_bytes_total{node=1}":                fmt.Sprint(m.Network.BytesOut),
		"raftwire_group_leader{group=7,node=1}":                    "1",
		"raftwire_group_leads{group=7,node=1}":                     "1",
		"raftwire_group_members{group=7,node=1}":                   "1",
		"raftwire_group_applied_index{group=7,node=1}":             fmt.Sprint(h.Group(7).Applied()),
		"raftwire_group_commit_index{group=7,node=1}":              fmt.Sprint(h.Group(7).Applied()),
		"raftwire_group_failed{group=7,node=1}":                    "0",
	} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
}

// docs/metrics.md lists exactly the metrics that there are.
func TestDocumentListsTheMetrics(t *testing.T) {
	var want []string
	for _, r := range rows() {
		labels := "`" + strings.Join(append([]string{"node"}, r.labels...), "`, `") + "`"
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s | %s |", r.name, r.kind, r.unit, labels, r.help))
	}
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(doc)) {
		if strings.HasPrefix(line, "| `raftwire_") {
			listed = append(listed, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(listed, want) {
		t.Errorf("docs/metrics.md lists other metrics than there are. Want:\n%s", strings.Join(want, "\n"))
	}
}

// Names follow the conventions of Prometheus, and the unit is in the name.
func TestNamesTellKindAndUnit(t *testing.T) {
	for _, r := range rows() {
		if total := strings.HasSuffix(r.name, "_total"); total != (r.kind == counter) {
			t.Errorf("%s is a %s", r.name, r.kind)
		}
		for _, unit := range []string{"bytes", "seconds"} {
			if in := strings.HasSuffix(strings.TrimSuffix(r.name, "_total"), "_"+unit); in != (r.unit == unit) {
				t.Errorf("%s is in %s", r.name, r.unit)
			}
		}
	}
}
