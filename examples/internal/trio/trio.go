// Package trio runs the three nodes of an example in one process. Real nodes run in three processes on three
// machines, each with the one engine.Open and the one Host.Start that are here: see cmd/raftkv.
package trio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// Group is the id of the group that the nodes run.
const Group engine.GroupID = 1

// Cluster is three nodes. Its methods are not safe for concurrent use; those of the groups are.
type Cluster struct {
	dir        string
	members    []engine.Member
	newMachine func(dir string) (engine.StateMachine, error)
	nodes      map[engine.NodeID]*Node
}

// Node is a running node.
type Node struct {
	*engine.Group
	Machine engine.StateMachine
	host    *engine.Host
}

// Start starts three nodes with data below dir. newMachine makes the state machine of each node, which may keep its
// state in the folder given.
func Start(ctx context.Context, dir string, newMachine func(dir string) (engine.StateMachine, error)) (*Cluster, error) {
	c := &Cluster{dir: dir, newMachine: newMachine, nodes: map[engine.NodeID]*Node{}}
	for id := engine.NodeID(1); id <= 3; id++ {
		addr, err := freeAddress()
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, engine.Member{ID: id, Address: addr})
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		if err := c.StartNode(ctx, id); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// StartNode starts a node that was stopped.
func (c *Cluster) StartNode(ctx context.Context, id engine.NodeID) error {
	dir := filepath.Join(c.dir, fmt.Sprint(id))
	host, err := engine.Open(ctx, engine.Config{
		Cluster: "example", Node: id, Dir: filepath.Join(dir, "raft"), Listen: c.members[id-1].Address,
		ElectionTimeout: 300 * time.Millisecond, SegmentBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	machine, err := c.newMachine(filepath.Join(dir, "state"))
	if err != nil {
		return errors.Join(err, host.Close())
	}
	group, err := host.Start(ctx, engine.GroupConfig{ID: Group, Members: c.members, Machine: machine})
	if err != nil {
		return errors.Join(err, host.Close())
	}
	c.nodes[id] = &Node{Group: group, Machine: machine, host: host}
	return nil
}

// StopNode stops a node and closes its machine, if that can be closed.
func (c *Cluster) StopNode(id engine.NodeID) error {
	n := c.nodes[id]
	delete(c.nodes, id)
	err := n.host.Close()
	if m, ok := n.Machine.(interface{ Close() error }); ok {
		err = errors.Join(err, m.Close())
	}
	return err
}

// Node returns a running node, or nil.
func (c *Cluster) Node(id engine.NodeID) *Node { return c.nodes[id] }

// Leader waits until a node leads and returns its id.
func (c *Cluster) Leader(ctx context.Context) (engine.NodeID, error) {
	for {
		for id, n := range c.nodes {
			if n.Group.Leader() == id {
				return id, nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Session opens a session at any node: what is proposed in it is applied exactly once, whoever leads.
func (c *Cluster) Session(ctx context.Context) (*engine.Session, error) {
	for _, n := range c.nodes {
		return n.Session(ctx)
	}
	return nil, engine.ErrClosed
}

// Close stops all nodes.
func (c *Cluster) Close() error {
	var errs []error
	for id := range c.nodes {
		errs = append(errs, c.StopNode(id))
	}
	return errors.Join(errs...)
}

// freeAddress is an address that nobody else takes before it is listened on: on Linux all of 127/8 is this machine, and each
// call has a part of it for itself.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(250), rand.IntN(256), 1+rand.IntN(250)))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
