package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/wal"
)

// readyFormat is the line that "node" prints once it serves: id, address, durability.
const readyFormat = "raftbench node %d: ready on %s, durability %s\n"

// runNode is one member of a cluster, until ctx ends or standard input does (when
// asked for). It returns nil after a clean stop.
func runNode(ctx context.Context, c *nodeConfig, stdin io.Reader, stdout io.Writer, log *slog.Logger) error {
	fatal := make(chan error, 1)
	disk := wal.NewSlowFS(wal.DefaultFS())
	host, err := openNode(ctx, c, disk, log, fatal)
	if err != nil {
		return err
	}
	if err := startGroups(ctx, c, host); err != nil {
		return errors.Join(err, host.Close())
	}
	if _, err := fmt.Fprintf(stdout, readyFormat, c.id, host.Addr(), host.Durability()); err != nil {
		return errors.Join(fmt.Errorf("tell that the node is ready: %w", err), host.Close())
	}
	var ended <-chan struct{}
	if c.endWithStdin {
		ended = obey(stdin, host, disk, log)
	}
	select {
	case <-ctx.Done():
	case <-ended:
	case err = <-fatal:
		err = fmt.Errorf("log failed: %w", err)
	}
	return errors.Join(err, host.Close())
}

// openNode opens the host. When that fails it leaves nothing behind that was not
// there before.
func openNode(ctx context.Context, c *nodeConfig, disk *wal.SlowFS, log *slog.Logger, fatal chan<- error) (*engine.Host, error) {
	// A port in use is found before the data directory is touched.
	l, err := net.Listen("tcp", c.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	dirs := &dataDirs{}
	if c.dir != "" {
		if err := checkDataDir(c.dir); err != nil {
			return nil, fmt.Errorf("--dir: %w", err)
		}
		if err := dirs.make(c.dir); err != nil {
			return nil, errors.Join(fmt.Errorf("--dir: %w", err), dirs.abandon())
		}
	}
	cfg := hostConfig(&c.engine, c.id, c.cluster, c.dir, c.listen, c.maxQueuedBytes, log)
	cfg.Dial, cfg.FS = c.dials, disk
	cfg.OnFatal = func(err error) { fatal <- err } // once, into a channel with room
	host, err := engine.Open(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, dirs.abandon())
	}
	return host, nil
}

// checkDataDir refuses a directory that holds other things and no log: a log made
// among somebody's files would be a slip. Whose log it is, the engine checks.
func checkDataDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	other := ""
	for _, e := range entries {
		switch e.Name() {
		case "seg":
			return nil
		case "LOCK", "catalog", "spare": // a log that was killed while it was made
		default:
			other = e.Name()
		}
	}
	if other != "" {
		return fmt.Errorf("%s holds %s and no log: name a new directory", dir, other)
	}
	return nil
}

// startGroups starts the groups, all with the same members.
func startGroups(ctx context.Context, c *nodeConfig, host *engine.Host) error {
	var members []engine.Member
	for id, addr := range c.peers {
		members = append(members, engine.Member{ID: id, Address: addr})
	}
	if len(members) == 0 && !c.join { // a cluster of one
		members = []engine.Member{{ID: c.id, Address: host.Addr()}}
	}
	m := &localMember{host: host, batches: new(batchRecorder), alone: true}
	return m.start(ctx, c.groups, members, c.dropApply)
}

// obey carries out what comes on standard input, a command per line, and returns a
// channel that is closed when it ends. Its goroutine lives as long as r.
//
//	codec NAME   send requests in that codec from now on
//	sync TIME    every sync of the log takes so much longer from now on
func obey(r io.Reader, host *engine.Host, disk *wal.SlowFS, log *slog.Logger) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			err := errors.New("not known")
			switch word {
			case "codec":
				err = host.SetCodec(rest)
			case "sync":
				var longer time.Duration
				longer, err = time.ParseDuration(rest)
				disk.Slow(longer)
			}
			if err != nil {
				log.Error("command on standard input", "line", lines.Text(), "error", err)
			}
		}
	}()
	return ended
}
