package prometheus_test

import (
	"context"
	"fmt"
	"log/slog"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/prometheus"
)

// A host's metrics in a registry, which promhttp.HandlerFor serves.
func ExampleNew() {
	h, err := engine.Open(context.Background(), engine.Config{
		Cluster: "example", Node: 1, Listen: "127.0.0.1:0", Durability: engine.Memory, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	registry := client.NewRegistry()
	registry.MustRegister(prometheus.New(h))
	families, err := registry.Gather()
	for _, f := range families {
		if f.GetName() == "raftwire_elections_total" {
			fmt.Println(f.GetHelp(), f.GetMetric()[0].GetCounter().GetValue(), err)
		}
	}
	// Output: Campaigns that this node began, pre-votes not counted. 0 <nil>
}
