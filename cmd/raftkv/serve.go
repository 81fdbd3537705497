package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/cmd/raftkv/internal/service"
	"github.com/seed-814fcd60/raftwire/cmd/raftkv/internal/store"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

func serveCommand(stdout, stderr io.Writer) *cli.Command {
	all := options()
	return &cli.Command{
		Name: "serve", Usage: "run one node", HideHelpCommand: true, OnUsageError: usageFault, Flags: flags(all),
		Description: "Without any flag this is a cluster of one node, in ./raftkv-data.\n\n" +
			"SIGTERM and SIGINT hand the leadership over, finish what is under way and end with status 0; SIGHUP reads the\n" +
			"certificate again.\n\n" + exitHelp,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("unexpected argument %q", c.Args().First())
			}
			values, err := resolve(c, all)
			if err != nil {
				return &usageError{err}
			}
			if c.Bool("print-config") {
				_, err := io.WriteString(stdout, printConfig(all, values))
				return err
			}
			cfg, err := newServeConfig(all, values)
			if err != nil {
				return &usageError{err}
			}
			return serve(c.Context, cfg, slog.New(slog.NewTextHandler(stderr, nil)), stdout)
		},
	}
}

// newServeConfig makes the settings of the options' values. It names all that is wrong with them.
func newServeConfig(all []option, values map[string][]string) (*serveConfig, error) {
	c := new(serveConfig)
	var faults []error
	for _, o := range all {
		if err := o.set(c, values[o.name]); err != nil {
			faults = append(faults, fmt.Errorf("--%s: %w", o.name, err))
		}
	}
	if c.advertise == "" {
		c.advertise = c.host.Listen
	}
	if c.admin == "" && len(faults) == 0 {
		c.admin = adminBeside(c.host.Listen)
	}
	if len(c.peers) > 0 && c.join {
		faults = append(faults, errors.New("--peer and --join: give one of them"))
	}
	if at, ok := c.peers[c.host.Node]; len(c.peers) > 0 && !ok {
		faults = append(faults, fmt.Errorf("--peer: node %d, which is this one, is not among them", c.host.Node))
	} else if ok && at != c.advertise {
		c.advertise = at
	}
	if n := len(slices.DeleteFunc([]string{c.tlsCert, c.tlsKey, c.tlsCA}, func(s string) bool { return s == "" })); n != 0 && n != 3 {
		faults = append(faults, errors.New("--tls-cert, --tls-key and --tls-ca: give all of them, or none"))
	}
	c.host.Dir = filepath.Join(c.dir, "raft")
	return c, errors.Join(faults...)
}

// adminBeside is where the admin pages are when nobody says it: on this machine, 1000 ports on.
func adminBeside(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	n, atoi := strconv.Atoi(port)
	if err != nil || atoi != nil || n == 0 || n+1000 > 65535 {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(n+1000))
}

// node is a running node.
type node struct {
	host  *engine.Host
	store *store.Store
	group *engine.Group
	kv    *service.Service
	fatal chan error // the log has failed
}

// serve runs a node until ctx ends or its log fails.
func serve(ctx context.Context, c *serveConfig, log *slog.Logger, stdout io.Writer) error {
	n, err := start(ctx, c, log)
	if err != nil {
		return err
	}
	admin, err := serveAdmin(c, n, log)
	if err != nil {
		return errors.Join(err, n.close())
	}
	fmt.Fprintf(stdout, "node %d of cluster %q serves at %s, durability %s, data in %s\n",
		c.host.Node, c.host.Cluster, n.host.Addr(), n.host.Durability(), c.dir)
	if admin != nil {
		fmt.Fprintf(stdout, "admin pages at http://%s/\n", admin.addr)
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			// Others refuse this node for good: it must not look as if it served.
			if err = n.host.NotAdmitted(); !errors.Is(err, engine.ErrAmnesia) && !errors.Is(err, engine.ErrOldEpoch) {
				continue
			}
		case <-reload:
			if err := n.reload(c); err != nil {
				log.Error("certificate was not replaced", "node", c.host.Node, "err", err)
			}
			continue
		case err = <-n.fatal:
		case <-ctx.Done():
		}
		return errors.Join(err, admin.close(), n.close())
	}
}

// start opens the directory and starts the node's group.
func start(ctx context.Context, c *serveConfig, log *slog.Logger) (*node, error) {
	if err := secureDir(c.dir); err != nil {
		return nil, err
	}
	n := &node{fatal: make(chan error, 1), kv: new(service.Service)}
	c.host.Logger = log
	c.host.OnFatal = func(err error) { n.fatal <- err }
	if c.tlsCert != "" {
		id, err := transport.LoadIdentity(c.tlsCert, c.tlsKey, c.tlsCA)
		if err != nil {
			return nil, &usageError{err}
		}
		c.host.Identity = id
	}
	var err error
	c.host.Services = []engine.Service{{Methods: kvpb.KVMethods, Handler: kvpb.NewKVHandler(n.kv)}}
	if n.host, err = engine.Open(ctx, c.host); err != nil {
		return nil, err
	}
	// Behind the log, whose lock keeps a second process away from both.
	if n.store, err = store.Open(filepath.Join(c.dir, "kv"), nil); err != nil {
		return nil, errors.Join(err, n.host.Close())
	}
	g := engine.GroupConfig{ID: kvpb.DefaultGroup, Machine: n.store, Join: c.join}
	for id, addr := range c.peers {
		g.Members = append(g.Members, engine.Member{ID: id, Address: addr})
	}
	if len(g.Members) == 0 && !c.join {
		g.Members = []engine.Member{{ID: c.host.Node, Address: c.advertise}}
	}
	slices.SortFunc(g.Members, func(a, b engine.Member) int { return int(a.ID - b.ID) })
	if n.group, err = n.host.Start(ctx, g); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.kv.Start(n.store, n.group)
	return n, nil
}

// close ends the node: what it leads is handed over first, and what is under way is finished.
func (n *node) close() error { return errors.Join(n.host.Close(), n.store.Close()) }

// reload reads the certificate again.
func (n *node) reload(c *serveConfig) error {
	if c.tlsCert == "" {
		return nil
	}
	id, err := transport.LoadIdentity(c.tlsCert, c.tlsKey, c.tlsCA)
	if err != nil {
		return err
	}
	return n.host.SetIdentity(id)
}

// secureDir makes the data directory, which nobody but this user may look into.
func secureDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &usageError{err}
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a directory needs the x
}
