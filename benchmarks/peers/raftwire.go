package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	raftwire "github.com/seed-814fcd60/raftwire/engine"
)

// Our own engine with its defaults: fsync on every commit, Thrift Compact.

func raftwireEngine() engine {
	return engine{name: "raftwire", groups: true, stays: true, start: startRaftwire}
}

// All engines here wait about a second for a leader. Member 1 waits half as long as
// the others, so that it is the one to campaign.
const raftwireElection = time.Second

type raftwireNode struct {
	id       raftwire.NodeID
	host     *raftwire.Host
	groups   []*raftwire.Group
	machines machines
}

func startRaftwire(cfg NodeConfig) (Node, error) {
	n := &raftwireNode{id: raftwire.NodeID(cfg.ID), machines: make(machines, cfg.Groups)}
	election := raftwireElection
	if cfg.ID != 1 {
		election *= 2
	}
	host, err := raftwire.Open(context.Background(), raftwire.Config{
		Cluster: "peers", Node: n.id, Dir: cfg.Dir, Listen: cfg.Addrs[cfg.ID-1],
		Codec: cfg.Opt.Codec, Workers: cfg.Opt.Workers,
		ElectionTimeout: election, HeartbeatInterval: raftwireElection / 10,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	n.host = host
	if d := host.Durability(); d != "fsync" {
		return nil, errors.Join(fmt.Errorf("directory %s gives durability %q, not fsync", cfg.Dir, d), host.Close())
	}
	var all []raftwire.Member
	for i, addr := range cfg.Addrs {
		all = append(all, raftwire.Member{ID: raftwire.NodeID(i + 1), Address: addr})
	}
	for i := range cfg.Groups {
		g, err := host.Start(context.Background(), raftwire.GroupConfig{
			ID: raftwire.GroupID(i + 1), Members: all, Machine: raftwireMachine{&n.machines[i]},
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start group %d: %w", i+1, err), host.Close())
		}
		n.groups = append(n.groups, g)
	}
	return n, nil
}

// Leads asks for a read, which only a leader that has committed in its term serves.
func (n *raftwireNode) Leads(group int) bool {
	g := n.groups[group]
	if g.Leader() != n.id {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return g.Read(ctx, raftwire.Linearizable, func() error { return nil }) == nil
}

// HandOver does nothing: the election time-outs see to it that member 1 mostly leads.
func (n *raftwireNode) HandOver(int, int) {}

func (n *raftwireNode) Client(group int) (Client, error) { return raftwireClient{n.groups[group]}, nil }

func (n *raftwireNode) Applied() state { return n.machines.state() }

// Counts implements Counter.
func (n *raftwireNode) Counts() map[string]uint64 {
	m := n.host.Metrics()
	return map[string]uint64{
		"syncs": uint64(m.Log.Syncs), "log_batches": uint64(m.Log.Batches), "log_bytes": uint64(m.Log.Bytes),
		"frames_out": m.Network.FramesOut, "socket_writes": m.Network.Writes, "wire_bytes": m.Network.BytesOut,
	}
}

func (n *raftwireNode) Close() error { return n.host.Close() }

type raftwireClient struct{ g *raftwire.Group }

func (c raftwireClient) Propose(cmd []byte) error {
	_, err := c.g.Propose(context.Background(), cmd)
	return err
}

type raftwireMachine struct{ m *machine }

func (s raftwireMachine) Apply(b raftwire.Batch, _ []raftwire.Result) error {
	for i := range b.Commands {
		s.m.apply(b.Commands[i].Data)
	}
	return nil
}

func (raftwireMachine) Query([]byte) ([]byte, error) { return nil, errors.ErrUnsupported }

// Snapshots are taken as they are by default, every 500,000 entries: the log drops what they
// cover, and writes over its own files.
func (s raftwireMachine) Snapshot() (raftwire.Snapshot, error) {
	is := s.m.state()
	return raftwire.BytesSnapshot(fmt.Appendf(nil, "%d %d %d", is.Commands, is.Bytes, is.Hash)), nil
}

func (s raftwireMachine) Restore(r io.Reader) error {
	var commands, bytes uint64
	var sum uint32
	if _, err := fmt.Fscan(r, &commands, &bytes, &sum); err != nil {
		return err
	}
	s.m.commands.Store(commands)
	s.m.bytes.Store(bytes)
	s.m.sum.Store(sum)
	return nil
}
