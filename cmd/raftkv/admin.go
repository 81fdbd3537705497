package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	promclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-814fcd60/raftwire/cmd/raftkv/internal/adminpage"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/prometheus"
)

// adminServer serves what operators look at over HTTP.
type adminServer struct {
	addr   string
	page   *adminpage.Page
	server *http.Server
	ended  chan error
}

// serveAdmin starts the admin pages; nil when they are off.
func serveAdmin(c *serveConfig, n *node, log *slog.Logger) (*adminServer, error) {
	if c.admin == adminOff {
		return nil, nil //nolint:nilnil // off
	}
	page, err := adminpage.New(adminpage.Source{
		Host: n.host, Group: n.group, Cluster: c.host.Cluster, Dial: c.host.Dial, TLS: c.host.Identity, Commit: &n.kv.Writes,
	})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.admin)
	if err != nil {
		return nil, fmt.Errorf("--admin: %w", err)
	}
	mux := http.NewServeMux()
	page.Register(mux)
	mux.HandleFunc("GET /healthz", n.serveHealth)
	mux.HandleFunc("GET /readyz", n.serveReady)
	mux.Handle("GET /metrics", metricsOf(n.host))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	a := &adminServer{page: page, addr: l.Addr().String(), ended: make(chan error, 1), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() { a.ended <- a.server.Serve(l) }()
	return a, nil
}

// metricsOf serves the metrics of h, of the Go runtime and of the process to Prometheus.
func metricsOf(h *engine.Host) http.Handler {
	registry := promclient.NewRegistry()
	registry.MustRegister(prometheus.New(h), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// close ends the pages; requests under way have a second.
func (a *adminServer) close() error {
	if a == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.server.Close() // a profile that takes long
	}
	if ended := <-a.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return errors.Join(err, a.page.Close())
}

// serveHealth says whether the process works: its group has not failed.
func (n *node) serveHealth(w http.ResponseWriter, _ *http.Request) {
	s, err := n.group.Status()
	if err == nil {
		err = s.Err
	}
	answer(w, err)
}

// serveReady says whether the node can serve: it knows who leads, and its log is not in doubt.
func (n *node) serveReady(w http.ResponseWriter, _ *http.Request) {
	s, err := n.group.Status()
	switch {
	case err != nil:
	case s.Err != nil:
		err = s.Err
	case s.Uncertain:
		err = errors.New("the log is damaged and not repaired yet")
	case s.Leader == 0:
		err = errors.New("no leader is known")
	}
	answer(w, err)
}

// answer says ok, or what is wrong with status 503.
func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, err)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
