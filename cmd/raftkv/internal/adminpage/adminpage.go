// Package adminpage is the page that raftkv shows of itself: one HTML file, which asks for the figures every second.
package adminpage

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/cmd/internal/cluster"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/histogram"
	"github.com/seed-814fcd60/raftwire/transport"
)

//go:embed page.html
var page []byte

// Source is what the page is about. All of it is safe for concurrent use.
type Source struct {
	Host    *engine.Host
	Group   *engine.Group
	Cluster string
	Dial    map[engine.NodeID]string // addresses to dial in place of the members' own
	TLS     *transport.Identity      // for calls to the other members; nil: plain
	Commit  *histogram.Recorder      // of this node's writes, from proposal to applied
}

// Page serves the page and its figures. However many look at it, the members are asked once per freshness.
type Page struct {
	source Source
	calls  *cluster.Client

	mu    sync.Mutex // held while the figures are made, so that many who ask at once wait for one answer
	made  time.Time
	bytes []byte
	past  []figures // by time; the first is the newest that is a window old, or that of the start
}

const (
	freshness = 800 * time.Millisecond
	window    = time.Minute // of the histograms
	callLimit = 500 * time.Millisecond
)

// figures are what is counted from the start of the process.
type figures struct {
	at     time.Time
	sync   histogram.Histogram
	commit histogram.Histogram
}

// New returns the page of a node.
func New(s Source) (*Page, error) {
	calls, err := cluster.New([]string{s.Host.Addr()}, transport.ClientConfig{Identity: s.TLS, Cluster: s.Cluster})
	if err != nil {
		return nil, err
	}
	return &Page{source: s, calls: calls, past: []figures{{at: time.Now()}}}, nil
}

// Close ends the page's connections to other members.
func (p *Page) Close() error { return p.calls.Close() }

// Register adds the page to a mux.
func (p *Page) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, r *http.Request) {
		b, err := p.figures(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b)
	})
}

// figures returns what the page shows, as JSON.
func (p *Page) figures(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.made) < freshness {
		return p.bytes, nil
	}
	o, err := p.object(ctx)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(o)
	if err == nil {
		p.bytes, p.made = b, time.Now()
	}
	return b, err
}

func (p *Page) object(ctx context.Context) (cluster.Object, error) {
	s, err := p.source.Group.Status()
	if err != nil {
		return nil, err
	}
	now, before := p.count()
	o := cluster.Object{
		"now": now.at.UnixMilli(), "cluster": p.source.Cluster, "node": s.Node, "group": s.Group, "role": cluster.Lower(s.Role), "term": s.Term,
		"leader": s.Leader, "commit": s.Commit, "applied": s.Applied, "durability": p.source.Host.Durability(),
		"sync": buckets(now.sync, &before.sync), "commitLatency": buckets(now.commit, &before.commit),
		"members": p.members(ctx, &s), "why": p.why(ctx, &s),
	}
	if own := p.status(ctx, p.source.Host.Addr()); own.err == nil {
		o["counters"] = cluster.StatusObject(&own.StatusResponse)["counters"]
	}
	progress := []any{}
	for _, m := range s.Peers {
		progress = append(progress, cluster.Object{
			"id": m.ID, "state": cluster.Lower(m.State), "matched": m.Match, "nextIndex": m.Next, "lag": m.Lag,
			"inflightBytes": m.InflightBytes, "inflightAppends": m.InflightAppends, "lastContactMs": m.LastContact.Milliseconds(),
		})
	}
	o["progress"] = progress
	elections := []any{}
	for _, e := range slices.Backward(s.History) {
		what := cluster.Lower(e.Role)
		if e.Leader != 0 && e.Leader != s.Node {
			what += fmt.Sprintf(" of node %d", e.Leader)
		}
		elections = append(elections, cluster.Object{"at": e.At.UnixMilli(), "what": what, "term": e.Term, "reason": e.Reason})
	}
	o["elections"] = elections
	return o, nil
}

// count notes the figures of now and returns them with those to compare them with: of a window ago, or from when somebody
// looked last before that.
func (p *Page) count() (now, before figures) {
	now = figures{at: time.Now(), sync: p.source.Host.Metrics().Log.SyncDurations, commit: p.source.Commit.Read()}
	for len(p.past) > 1 && now.at.Sub(p.past[1].at) >= window {
		p.past = p.past[1:]
	}
	p.past = append(p.past, now)
	return now, p.past[0]
}

// buckets is what came since before, as the page draws it.
func buckets(now histogram.Histogram, before *histogram.Histogram) cluster.Object {
	now.Sub(before)
	bounds := make([]int64, histogram.Buckets)
	for i := range bounds {
		bounds[i] = histogram.Bound(i).Microseconds()
	}
	return cluster.Object{"boundsUs": bounds, "counts": now.Counts}
}

// answer is what a member says of itself.
type answer struct {
	raftpb.StatusResponse
	err error
}

func (p *Page) status(ctx context.Context, addr string) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	a.err = p.calls.At(ctx, addr, raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: p.source.Group.ID()}, &a.StatusResponse)
	return a
}

// address is where to call a member; self is this node.
func (p *Page) address(m engine.Member, self engine.NodeID) string {
	if m.ID == self {
		return p.source.Host.Addr()
	}
	if instead := p.source.Dial[m.ID]; instead != "" {
		return instead
	}
	return m.Address
}

// members asks all members at the same time.
func (p *Page) members(ctx context.Context, s *engine.Status) []any {
	all := slices.Clone(s.Configuration.Members)
	for _, m := range s.Configuration.Leaving {
		if !slices.ContainsFunc(all, func(o engine.Member) bool { return o.ID == m.ID }) {
			all = append(all, m)
		}
	}
	out := make([]any, len(all))
	var running sync.WaitGroup
	for i, m := range all {
		running.Go(func() {
			o := cluster.Object{"id": m.ID, "address": m.Address, "suffrage": cluster.Lower(m.Suffrage)}
			if a := p.status(ctx, p.address(m, s.Node)); a.err != nil {
				o["error"] = a.err.Error()
			} else {
				o["role"], o["term"], o["commit"], o["applied"] = cluster.Lower(a.Role), a.Term, a.Commit, a.Applied
				o["health"] = cluster.Lower(a.Health)
			}
			out[i] = o
		})
	}
	running.Wait()
	return out
}

// why asks the leader, which knows most; without one, or without its answer, this node says what it can.
func (p *Page) why(ctx context.Context, s *engine.Status) string {
	for _, m := range s.Configuration.Members {
		if m.ID != s.Leader || m.ID == s.Node {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		var resp raftpb.WhyResponse
		if p.calls.At(ctx, p.address(m, s.Node), raftpb.RaftAdminWhy, &raftpb.WhyRequest{Group: s.Group}, &resp) == nil {
			return resp.Sentence
		}
	}
	w, err := p.source.Group.Why()
	if err != nil {
		return err.Error()
	}
	return w.Sentence
}
