// Package prometheus shows what a host and its groups count to Prometheus. Every metric
// is in docs/metrics.md.
package prometheus

import (
	"strconv"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/histogram"
)

// Collector collects the metrics of one host: register it with a Registerer. All of them
// have the label "node", so that the collectors of several hosts go into one registry. A
// collection asks the worker of each group once; groups that stop meanwhile are left out.
// Its methods are safe for concurrent use. It keeps nothing between collections.
type Collector struct {
	host *engine.Host
	rows []row
	desc []*client.Desc // of rows[i]
}

// New returns a collector of h.
func New(h *engine.Host) *Collector {
	c := &Collector{host: h, rows: rows()}
	node := client.Labels{"node": strconv.FormatInt(int64(h.Node()), 10)}
	for i := range c.rows {
		r := &c.rows[i]
		c.desc = append(c.desc, client.NewDesc(r.name, r.help, r.labels, node))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *client.Desc) {
	for _, d := range c.desc {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- client.Metric) {
	m := c.host.Metrics()
	for i := range c.rows {
		if r := &c.rows[i]; r.host != nil {
			r.host(&m, c.emit(out, i))
		}
	}
	for _, g := range c.host.Groups() {
		s, err := g.Status()
		if err != nil {
			continue // it has stopped
		}
		group := strconv.FormatInt(int64(s.Group), 10)
		for i := range c.rows {
			if r := &c.rows[i]; r.group != nil {
				emit := c.emit(out, i)
				r.group(&s, sink{number: func(v float64, labels ...string) { emit.number(v, append([]string{group}, labels...)...) }})
			}
		}
	}
}

// sink takes the values of one metric, each with the values of the metric's labels.
type sink struct {
	number    func(v float64, labels ...string)
	durations func(h *histogram.Histogram, labels ...string)
}

func (c *Collector) emit(out chan<- client.Metric, i int) sink {
	desc, kind := c.desc[i], client.GaugeValue
	if c.rows[i].kind == counter {
		kind = client.CounterValue
	}
	return sink{
		number: func(v float64, labels ...string) { out <- client.MustNewConstMetric(desc, kind, v, labels...) },
		durations: func(h *histogram.Histogram, labels ...string) {
			below, count := map[float64]uint64{}, uint64(0)
			for b, n := range h.Counts {
				count += n
				if b < histogram.Buckets-1 { // the last one has no bound
					below[histogram.Bound(b).Seconds()] = count
				}
			}
			out <- client.MustNewConstHistogram(desc, count, h.Sum.Seconds(), below, labels...)
		},
	}
}
