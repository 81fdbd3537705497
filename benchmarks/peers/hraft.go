package main

import (
	"errors"
	"io"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	raftwal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"
)

// hashicorp/raft over its NetworkTransport, with either of its two durable log
// stores. The tuned settings follow what Consul and Vault run with, pushed to the
// limits that the library accepts.

func hraftEngines() []engine {
	return []engine{
		{name: "hraft-wal", start: func(cfg NodeConfig) (Node, error) { return startHraft(cfg, openRaftWAL) }},
		{name: "hraft-bolt", start: func(cfg NodeConfig) (Node, error) { return startHraft(cfg, openBolt) }},
	}
}

type hraftStore interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

func openBolt(dir string) (hraftStore, error) {
	return raftboltdb.New(raftboltdb.Options{
		Path:                    filepath.Join(dir, "raft.db"),
		BoltOptions:             &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, Timeout: time.Second},
		MsgpackUseNewTimeFormat: true,
	})
}

func openRaftWAL(dir string) (hraftStore, error) { return raftwal.Open(dir) }

type hraftNode struct {
	machine machine
	r       *raft.Raft
	trans   *raft.NetworkTransport
	store   hraftStore
	addrs   []string
}

func startHraft(cfg NodeConfig, open func(string) (hraftStore, error)) (Node, error) {
	n := &hraftNode{addrs: cfg.Addrs}
	var err error
	if n.store, err = open(cfg.Dir); err != nil {
		return nil, err
	}
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(strconv.Itoa(cfg.ID))
	rc.Logger = hclog.NewNullLogger()
	rc.SnapshotInterval = time.Hour
	rc.SnapshotThreshold = math.MaxUint64
	rc.NoLegacyTelemetry = true
	var logs raft.LogStore = n.store
	if !cfg.Opt.Default {
		rc.BatchApplyCh = true
		rc.MaxAppendEntries = 1024 // the most that Config.Validate accepts
		if cfg.Opt.MaxAppend > 0 {
			rc.MaxAppendEntries = cfg.Opt.MaxAppend
		}
		// Keeps the replication goroutines from reading entries back from disk.
		if logs, err = raft.NewLogCache(16384, n.store); err != nil {
			return nil, err
		}
	}
	if n.trans, err = hraftTransport(cfg, rc.Logger); err != nil {
		return nil, err
	}
	var servers raft.Configuration
	for i, a := range cfg.Addrs {
		servers.Servers = append(servers.Servers, raft.Server{ID: raft.ServerID(strconv.Itoa(i + 1)), Address: raft.ServerAddress(a)})
	}
	snaps := raft.NewDiscardSnapshotStore()
	if err := raft.BootstrapCluster(rc, logs, n.store, snaps, n.trans, servers); err != nil {
		return nil, err
	}
	n.r, err = raft.NewRaft(rc, hraftMachine{&n.machine}, logs, n.store, snaps, n.trans)
	return n, err
}

func hraftTransport(cfg NodeConfig, logger hclog.Logger) (*raft.NetworkTransport, error) {
	addr, err := net.ResolveTCPAddr("tcp", cfg.Addrs[cfg.ID-1])
	if err != nil {
		return nil, err
	}
	return raft.NewTCPTransportWithConfig(addr.String(), addr, &raft.NetworkTransportConfig{
		MaxPool: 3, Timeout: 10 * time.Second, Logger: logger, MsgpackUseNewTimeFormat: true,
		MaxRPCsInFlight: cfg.Opt.InFlight, // 0: the library's 2, which measured best here too
	})
}

func (n *hraftNode) Leads(int) bool { return n.r.State() == raft.Leader }

func (n *hraftNode) HandOver(_, to int) {
	n.r.LeadershipTransferToServer(raft.ServerID(strconv.Itoa(to)), raft.ServerAddress(n.addrs[to-1]))
}

func (n *hraftNode) Client(int) (Client, error) { return hraftClient{n.r}, nil }

func (n *hraftNode) Applied() state { return n.machine.state() }

func (n *hraftNode) Close() error {
	return errors.Join(n.r.Shutdown().Error(), n.trans.Close(), n.store.Close())
}

type hraftClient struct{ r *raft.Raft }

func (c hraftClient) Propose(cmd []byte) error { return c.r.Apply(cmd, 0).Error() }

// hraftMachine implements raft.BatchingFSM.
type hraftMachine struct{ m *machine }

func (f hraftMachine) Apply(l *raft.Log) any {
	f.m.apply(l.Data)
	return nil
}

func (f hraftMachine) ApplyBatch(logs []*raft.Log) []any {
	for _, l := range logs {
		if l.Type == raft.LogCommand {
			f.m.apply(l.Data)
		}
	}
	return make([]any, len(logs))
}

func (hraftMachine) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.ErrUnsupported }
func (hraftMachine) Restore(io.ReadCloser) error         { return errors.ErrUnsupported }
