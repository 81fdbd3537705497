package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seed-814fcd60/raftwire/engine"
)

// loadCommand is the command "load": the load of "run", on nodes that are there already.
func loadCommand(c *runConfig, log *slog.Logger, stdout, stderr io.Writer) *cli.Command {
	c.peers = map[engine.NodeID]string{}
	s := new(settings)
	s.add("peer", "`ID=ADDRESS` of a node, numbered from 1 on; once per node, or separated by commas; required", "", addressList(c.peers))
	s.number(&c.groups, "groups", "use groups 1 to `N` of the nodes", 1, 1, maxGroups)
	s.workload(c)
	s.measuring(c)
	s.text(&c.historyFile, "history", "write every operation to a new `FILE`, a JSON object per line, for checkers", notEmpty)
	s.flags = append(s.flags, &cli.BoolFlag{Name: "json", Usage: "print one JSON object instead of the table; progress stays on standard error"})
	return &cli.Command{
		Name: "load", Usage: "put a load on nodes that run already, here or elsewhere, and verify what they did", HideHelpCommand: true,
		Description: "The nodes are \"raftbench node\", on any machines: the clients run here, off the leader. Afterwards all nodes must have\n" +
			"applied all that was acknowledged. Several loads may follow each other, but only one may run at a time.",
		Flags: s.flags, OnUsageError: usageFault,
		Action: func(ctx *cli.Context) error {
			c.json, c.work.sessions, c.processes = ctx.Bool("json"), ctx.Bool("sessions"), true
			c.engine.codec = "as the nodes are set"
			faults := append(s.faults(), c.validate(s)...)
			c.nodes = len(c.peers)
			for i := range c.nodes {
				if c.peers[engine.NodeID(i+1)] == "" {
					faults = append(faults, fmt.Errorf("--peer: node %d is missing; nodes are numbered from 1 on", i+1))
				}
			}
			if c.nodes == 0 {
				faults = append(faults, errors.New("--peer: missing"))
			}
			if err := checkUsage(ctx, faults); err != nil {
				return err
			}
			return runBench(ctx.Context, c, log, stdout, stderr)
		},
	}
}

// connectProcesses uses nodes that somebody else has started.
func connectProcesses(ctx context.Context, c *runConfig, _ *slog.Logger, _ *dataDirs) (*cluster, error) {
	cl := &cluster{groups: c.groups, failed: make(chan error, 1), remote: true}
	var targets []*remoteMember
	for i := range c.nodes {
		m := &remoteMember{conns: newNodeConns(c.peers[engine.NodeID(i+1)])}
		targets, cl.members = append(targets, m), append(cl.members, m)
	}
	for i, m := range targets {
		s, err := m.ask(ctx, engine.GroupID(c.groups))
		if err == nil && s.Node != engine.NodeID(i+1) {
			err = fmt.Errorf("it is node %d", s.Node)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("node %d at %s: %w", i+1, m.conns.addr, err), cl.close())
		}
		m.label = s.Durability.Or("unknown")
	}
	// Earlier loads have used sequence numbers of these clients: all smaller than the time.
	c.work.firstSequence = uint64(time.Now().UnixNano())
	cl.propose = proposeAt(targets)
	return cl, nil
}
