package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// ClusterConfig describes a Cluster. Zero values mean the defaults named.
type ClusterConfig struct {
	// Nodes is how many members the group has, all voters. 1 to 9, default 3.
	Nodes int
	// Machine makes the state machine of a node's group, at each of its starts. Required.
	Machine func(id engine.NodeID) engine.StateMachine
	// Dir is where nodes keep their data, each in a directory of its own. Empty: in
	// memory, and a node that was stopped cannot be started again.
	Dir string
	// Seed is the network's.
	Seed uint64
	// ElectionTimeout is that of all nodes. Default 200 ms.
	ElectionTimeout time.Duration
	// Adjust, when set, changes the configuration of a node before it is started.
	Adjust func(c *engine.Config)
}

// ClusterGroup is the group that a Cluster runs.
const ClusterGroup engine.GroupID = 1

// Cluster is real hosts of one process, with one group, on a Network whose faults a test
// chooses. Its nodes are 1 to ClusterConfig.Nodes. Its methods are safe for concurrent use.
type Cluster struct {
	// Network is what connects the nodes.
	Network *Network

	cfg ClusterConfig
	mu  sync.Mutex
	all map[engine.NodeID]*engine.Host
	has map[engine.NodeID]engine.StateMachine
}

// NewCluster starts a cluster. Close it when done.
func NewCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 3
	}
	if cfg.ElectionTimeout == 0 {
		cfg.ElectionTimeout = 200 * time.Millisecond
	}
	if cfg.Nodes < 1 || cfg.Nodes > 9 || cfg.Machine == nil {
		return nil, errors.New("enginetest: cluster: want 1 to 9 Nodes, and a Machine")
	}
	c := &Cluster{Network: NewNetwork(cfg.Seed), cfg: cfg, all: map[engine.NodeID]*engine.Host{}, has: map[engine.NodeID]engine.StateMachine{}}
	for _, m := range c.members() {
		if err := c.Start(ctx, m.ID); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// members are those that the group begins with.
func (c *Cluster) members() (list []engine.Member) {
	for id := engine.NodeID(1); int(id) <= c.cfg.Nodes; id++ {
		list = append(list, engine.Member{ID: id, Address: fmt.Sprint("node-", id)})
	}
	return list
}

// Start starts a node that does not run, from what it has on disk.
func (c *Cluster) Start(ctx context.Context, id engine.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[id] != nil || id < 1 || int(id) > c.cfg.Nodes {
		return fmt.Errorf("enginetest: cluster: start node %d: it runs already, or is none", id)
	}
	cfg := engine.Config{
		Cluster: "enginetest", Node: id, Listen: fmt.Sprint("node-", id), Network: c.Network.Listen, Durability: engine.Memory,
		ElectionTimeout: c.cfg.ElectionTimeout, Logger: slog.New(slog.DiscardHandler),
	}
	if c.cfg.Dir != "" {
		cfg.Dir, cfg.Durability = filepath.Join(c.cfg.Dir, strconv.Itoa(int(id))), engine.NoSync
	}
	if c.cfg.Adjust != nil {
		c.cfg.Adjust(&cfg)
	}
	h, err := engine.Open(ctx, cfg)
	if err != nil {
		return err
	}
	machine := c.cfg.Machine(id)
	if _, err = h.Start(ctx, engine.GroupConfig{ID: ClusterGroup, Members: c.members(), Machine: machine}); err != nil {
		return errors.Join(err, h.Close())
	}
	c.all[id], c.has[id] = h, machine
	return nil
}

// Stop closes a node. What it has under way ends, and its leadership is handed over if
// somebody can be reached that would take it.
func (c *Cluster) Stop(id engine.NodeID) error {
	c.mu.Lock()
	h := c.all[id]
	delete(c.all, id)
	c.mu.Unlock()
	if h == nil {
		return fmt.Errorf("enginetest: cluster: stop node %d: it does not run", id)
	}
	return h.Close()
}

// Host returns a node that runs, or nil.
func (c *Cluster) Host(id engine.NodeID) *engine.Host {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[id]
}

// Group returns the group on a node that runs, or nil.
func (c *Cluster) Group(id engine.NodeID) *engine.Group {
	if h := c.Host(id); h != nil {
		return h.Group(ClusterGroup)
	}
	return nil
}

// Query asks the machine of a node, as a read of the given consistency. The errors are
// those of engine.Group.Read and of the machine.
func (c *Cluster) Query(ctx context.Context, id engine.NodeID, how engine.Consistency, query []byte) (answer []byte, err error) {
	c.mu.Lock()
	h, machine := c.all[id], c.has[id]
	c.mu.Unlock()
	if h == nil {
		return nil, fmt.Errorf("enginetest: cluster: query: node %d does not run: %w", id, engine.ErrClosed)
	}
	err = h.Group(ClusterGroup).Read(ctx, how, func() (err error) {
		answer, err = machine.Query(query)
		return err
	})
	return answer, err
}

// Leader waits until a node leads and a majority confirms it, and returns the node. The
// error is ctx's.
func (c *Cluster) Leader(ctx context.Context) (engine.NodeID, error) {
	look := time.NewTicker(max(time.Millisecond, c.cfg.ElectionTimeout/50))
	defer look.Stop()
	for {
		for id := engine.NodeID(1); int(id) <= c.cfg.Nodes; id++ {
			if g := c.Group(id); g != nil && g.Leader() == id && c.confirms(ctx, g) {
				return id, nil
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("enginetest: cluster: no leader: %w", ctx.Err())
		}
	}
}

// confirms asks a leader for a read, for which it needs its majority.
func (c *Cluster) confirms(ctx context.Context, g *engine.Group) bool {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ElectionTimeout)
	defer cancel()
	return g.Read(ctx, engine.Linearizable, func() error { return nil }) == nil
}

// Close heals the network and stops all nodes.
func (c *Cluster) Close() error {
	c.Network.Heal()
	c.mu.Lock()
	hosts := c.all
	c.all = map[engine.NodeID]*engine.Host{}
	c.mu.Unlock()
	var wait sync.WaitGroup
	errs := make([]error, c.cfg.Nodes+1)
	for id, h := range hosts {
		wait.Go(func() { errs[id] = h.Close() })
	}
	wait.Wait()
	return errors.Join(errs...)
}
