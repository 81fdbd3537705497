package cluster

import (
	"fmt"
	"net"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/transport"
)

// Flags are those with which a command says where its cluster is; FromFlags reads them.
func Flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "endpoints", Usage: "`ADDR`esses of nodes, separated by commas", EnvVars: []string{"RAFTKV_ENDPOINTS"},
			Value: cli.NewStringSlice("127.0.0.1:7001"),
		},
		&cli.DurationFlag{Name: "timeout", Usage: "how long to try", Value: 10 * time.Second},
		&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		&cli.StringFlag{Name: "cluster", Usage: "name of the cluster, for TLS", Value: "raftkv"},
		&cli.StringFlag{Name: "tls-cert", Usage: "`FILE` with the caller's certificate (PEM)"},
		&cli.StringFlag{Name: "tls-key", Usage: "`FILE` with its private key (PEM)"},
		&cli.StringFlag{Name: "tls-ca", Usage: "`FILE` with the roots of the cluster's certificates (PEM)"},
	}
}

// FromFlags returns a client of the cluster that the flags name. An error is about the flags.
func FromFlags(c *cli.Context) (*Client, error) {
	cfg := transport.ClientConfig{Cluster: c.String("cluster")}
	for _, addr := range c.StringSlice("endpoints") {
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			return nil, fmt.Errorf("--endpoints: %q is not host:port", addr)
		}
	}
	if limit := c.Duration("timeout"); limit <= 0 {
		return nil, fmt.Errorf("--timeout: %v is not positive", limit)
	}
	if c.String("tls-cert") != "" {
		id, err := transport.LoadIdentity(c.String("tls-cert"), c.String("tls-key"), c.String("tls-ca"))
		if err != nil {
			return nil, err
		}
		cfg.Identity = id
	}
	return New(c.StringSlice("endpoints"), cfg)
}
