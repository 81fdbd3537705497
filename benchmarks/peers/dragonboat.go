package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/plugin/tan"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// lni/dragonboat v4 with either of its log stores, no client sessions, and a state
// machine in memory.

func dragonboatEngines() []engine {
	make := func(name string, useTan bool) engine {
		return engine{
			name: name, groups: true, prepare: silenceDragonboat, settings: writeDragonboatSettings,
			start: func(cfg NodeConfig) (Node, error) { return startDragonboat(cfg, useTan) },
		}
	}
	return []engine{make("dragonboat-tan", true), make("dragonboat-pebble", false)}
}

func silenceDragonboat() {
	for _, name := range []string{
		"dragonboat", "raft", "rsm", "transport", "logdb", "grpc", "raftpb", "config", "settings", "tan",
		"pebblekv", "registry", "utils", "raftdb", "snapshotter",
	} {
		logger.GetLogger(name).SetLevel(logger.CRITICAL)
	}
}

// writeDragonboatSettings lengthens the proposal queue, 2048 by default, beyond
// which proposals are refused. The library reads the file in an init function.
func writeDragonboatSettings(dir string) error {
	const settings = `{"IncomingProposalQueueLength": 16384}`
	return os.WriteFile(filepath.Join(dir, "dragonboat-soft-settings.json"), []byte(settings), 0o644)
}

type dragonboatNode struct {
	id       uint64
	host     *dragonboat.NodeHost
	machines machines
}

func startDragonboat(cfg NodeConfig, useTan bool) (Node, error) {
	n := &dragonboatNode{id: uint64(cfg.ID), machines: make(machines, cfg.Groups)}
	var err error
	n.host, err = dragonboat.NewNodeHost(config.NodeHostConfig{
		NodeHostDir:    filepath.Join(cfg.Dir, "nh"),
		WALDir:         filepath.Join(cfg.Dir, "wal"),
		RTTMillisecond: 50,
		RaftAddress:    cfg.Addrs[cfg.ID-1],
		Expert:         dragonboatExpert(cfg.Opt, useTan),
	})
	if err != nil {
		return nil, err
	}
	peers := map[uint64]dragonboat.Target{}
	for i, a := range cfg.Addrs {
		peers[uint64(i+1)] = a
	}
	for g := range cfg.Groups {
		create := func(_, _ uint64) sm.IStateMachine { return dragonboatMachine{&n.machines[g]} }
		err := n.host.StartReplica(peers, false, create, config.Config{
			ReplicaID: n.id, ShardID: uint64(g + 1),
			ElectionRTT: 20, HeartbeatRTT: 2, CheckQuorum: true, PreVote: true,
		})
		if err != nil {
			return nil, fmt.Errorf("start group %d: %w", g+1, err)
		}
	}
	return n, nil
}

func dragonboatExpert(opt Options, useTan bool) config.ExpertConfig {
	expert := config.GetDefaultExpertConfig()
	switch opt.LogDBMemory {
	case "tiny":
		expert.LogDB = config.GetTinyMemLogDBConfig()
	case "medium":
		expert.LogDB = config.GetMediumMemLogDBConfig()
	case "small":
		expert.LogDB = config.GetSmallMemLogDBConfig()
	default:
		expert.LogDB = config.GetLargeMemLogDBConfig() // the library's default
	}
	if opt.LogPieces > 0 {
		expert.Engine.ExecShards = uint64(opt.LogPieces)
		expert.LogDB.Shards = uint64(opt.LogPieces)
	}
	if useTan {
		expert.LogDBFactory = tan.Factory
	}
	return expert
}

func (n *dragonboatNode) Leads(group int) bool {
	leader, _, ok, err := n.host.GetLeaderID(uint64(group + 1))
	return err == nil && ok && leader == n.id
}

func (n *dragonboatNode) HandOver(group, to int) {
	// A refusal shows: the caller asks again until the group has moved.
	if err := n.host.RequestLeaderTransfer(uint64(group+1), uint64(to)); err != nil {
		fmt.Fprintln(os.Stderr, "dragonboat: hand over:", err)
	}
}

func (n *dragonboatNode) Client(group int) (Client, error) {
	return &dragonboatClient{n.host, n.host.GetNoOPSession(uint64(group + 1))}, nil
}

func (n *dragonboatNode) Applied() state { return n.machines.state() }

func (n *dragonboatNode) Close() error {
	n.host.Close()
	return nil
}

type dragonboatClient struct {
	host    *dragonboat.NodeHost
	session *client.Session
}

func (c *dragonboatClient) Propose(cmd []byte) error {
	rs, err := c.host.Propose(c.session, cmd, 10*time.Second)
	if err != nil {
		return err
	}
	r := <-rs.ResultC()
	if !r.Completed() {
		return fmt.Errorf("proposal not completed: timeout %v terminated %v dropped %v rejected %v",
			r.Timeout(), r.Terminated(), r.Dropped(), r.Rejected())
	}
	rs.Release()
	return nil
}

type dragonboatMachine struct{ m *machine }

func (s dragonboatMachine) Update(e sm.Entry) (sm.Result, error) {
	s.m.apply(e.Cmd)
	return sm.Result{}, nil
}

func (dragonboatMachine) Lookup(any) (any, error) { return nil, errors.ErrUnsupported }

func (dragonboatMachine) SaveSnapshot(io.Writer, sm.ISnapshotFileCollection, <-chan struct{}) error {
	return errors.ErrUnsupported
}

func (dragonboatMachine) RecoverFromSnapshot(io.Reader, []sm.SnapshotFile, <-chan struct{}) error {
	return errors.ErrUnsupported
}

func (dragonboatMachine) Close() error { return nil }
