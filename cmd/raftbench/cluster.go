package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

const (
	clusterName = "raftbench"
	startLimit  = 30 * time.Second // for opening the nodes, and again for the first leaders
	pollEvery   = 5 * time.Millisecond
	causeLimit  = time.Second // a broken connection is seen before the end of the process
)

// member is one node of the cluster under load, in this process or in its own. Its
// methods are safe for concurrent use.
type member interface {
	// status returns whom this member takes for the leader (0: nobody) and how far it has applied.
	status(ctx context.Context, group engine.GroupID) (leader engine.NodeID, applied engine.Index, err error)
	// query asks the state machine as it stands on this member.
	query(ctx context.Context, group engine.GroupID, q string) (answer []byte, applied engine.Index, err error)
	// chain returns the engine's own hash over the applied entries, where it can be
	// had. It means something while nothing is being applied.
	chain(group engine.GroupID) (index engine.Index, hash uint64, ok bool)
	// counters returns what this member has counted so far.
	counters(ctx context.Context) (counters, error)
	// transfer makes another member lead a group that this one leads.
	transfer(ctx context.Context, group engine.GroupID, to engine.NodeID) error
	// durability returns the honest label, see engine.Host.Durability.
	durability() string
	// close ends the member and waits for its end.
	close() error
}

// cluster is the cluster under load.
type cluster struct {
	members []member // node id i+1 at i
	groups  int
	log     *slog.Logger
	// failed delivers the end of a member that nobody asked for.
	failed chan error
	// propose makes what a client proposes with to a group.
	propose func(client uint32, group engine.GroupID, leader engine.NodeID) proposer
	// remote says that members are processes of their own.
	remote bool
	fleet  *fleet   // its processes, when they are children of this one
	past   counters // of processes that have ended
}

// startCluster starts the nodes and waits until every group has a leader.
func startCluster(ctx context.Context, c *runConfig, log *slog.Logger, dirs *dataDirs) (*cluster, error) {
	start := startLocal
	if c.processes {
		start = startProcesses
	}
	if c.peers != nil {
		start = connectProcesses
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	cl, err := start(ctx, c, log, dirs)
	if err != nil {
		return nil, err
	}
	cl.log = log
	if err := cl.waitLeaders(ctx); err != nil {
		return nil, errors.Join(err, cl.close())
	}
	if c.spread {
		cl.spread(ctx)
		if err := cl.waitLeaders(ctx); err != nil {
			return nil, errors.Join(err, cl.close())
		}
	}
	return cl, nil
}

// waitLeaders waits until a leader of each group knows itself as such.
func (c *cluster) waitLeaders(ctx context.Context) error {
	for g := range c.groups {
		group := engine.GroupID(g + 1)
		err := poll(ctx, c.failed, func() bool { return c.leader(ctx, group) != 0 })
		if err != nil {
			return fmt.Errorf("no leader in group %d: %w", group, err)
		}
	}
	return nil
}

// leaders returns the leader of each group, or 0.
func (c *cluster) leaders(ctx context.Context) []engine.NodeID {
	list := make([]engine.NodeID, c.groups)
	for g := range list {
		list[g] = c.leader(ctx, engine.GroupID(g+1))
	}
	return list
}

// spread makes node i lead every n-th group: what one node less leads would do all the
// work of leading. A group whose hand-over fails stays where it is, which the result shows.
func (c *cluster) spread(ctx context.Context) {
	if len(c.members) == 1 || c.groups == 1 {
		return
	}
	var wg sync.WaitGroup
	for g, at := range c.leaders(ctx) {
		want := engine.NodeID(g%len(c.members) + 1)
		if at == want || at == 0 {
			continue
		}
		wg.Go(func() {
			if err := c.members[at-1].transfer(ctx, engine.GroupID(g+1), want); err != nil {
				c.log.Warn("leadership not handed over", "group", g+1, "to", want, "error", err)
			}
		})
	}
	wg.Wait()
}

// leader returns the member of a group that takes itself for its leader, or 0.
func (c *cluster) leader(ctx context.Context, group engine.GroupID) engine.NodeID {
	for i, m := range c.members {
		id := engine.NodeID(i + 1)
		if l, _, err := m.status(ctx, group); err == nil && l == id {
			return id
		}
	}
	return 0
}

// poll waits until done returns true, ctx ends or a member fails.
func poll(ctx context.Context, failed <-chan error, done func() bool) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-failed:
			return err
		}
	}
	return nil
}

// counters returns the sum over all members and, when those are processes of their
// own, this process, which then is the load generator.
func (c *cluster) counters(ctx context.Context) (counters, error) {
	sum := processCounters().add(c.past)
	for i, m := range c.members {
		one, err := m.counters(ctx)
		if err != nil && c.fleet != nil && c.fleet.c.scenario != nil { // it was killed a moment ago
			sum.CPU.Unknown, sum.Mallocs.Unknown = true, true
			continue
		}
		if err != nil {
			return counters{}, c.cause(fmt.Errorf("counters of node %d: %w", i+1, err))
		}
		sum = sum.add(one)
	}
	return sum, nil
}

// cause returns why a member could not be reached: its end, when that is reported
// shortly, or else err.
func (c *cluster) cause(err error) error {
	t := time.NewTimer(causeLimit)
	defer t.Stop()
	select {
	case failed := <-c.failed:
		return failed
	case <-t.C:
		return err
	}
}

// durability returns what all members say, or each one's when they differ.
func (c *cluster) durability() string {
	var labels []string
	for _, m := range c.members {
		if l := m.durability(); !slices.Contains(labels, l) {
			labels = append(labels, l)
		}
	}
	return strings.Join(labels, ", ")
}

// close ends all members at the same time.
func (c *cluster) close() error {
	members := c.members
	if c.fleet != nil { // one of its processes may be no member, or not yet
		members = nil
		for _, m := range c.fleet.members {
			members = append(members, m)
		}
	}
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			if err := m.close(); err != nil {
				errs[i] = fmt.Errorf("close node %d: %w", i+1, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fail reports the end of a member; only the first report matters.
func (c *cluster) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// dataDirs are the data directories of a run.
type dataDirs struct {
	root    string   // "": none, the log is in memory
	created []string // by this run, parents first
	remove  bool     // at the end, whatever happened: they are temporary
}

// newDataDirs makes the directories of a run, all or none. Named by --dir they must
// be new: a run counts from nothing, and no file of anybody else is touched.
func newDataDirs(c *runConfig) (*dataDirs, error) {
	d := new(dataDirs)
	if c.engine.durability == engine.Memory || c.peers != nil {
		return d, nil
	}
	if c.dir == "" {
		root, err := os.MkdirTemp("", "raftbench-")
		if err != nil {
			return nil, fmt.Errorf("make a temporary directory: %w", err)
		}
		d.root, d.created, d.remove = root, []string{root}, true
		return d, nil
	}
	d.root = c.dir
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("--dir: %s is not empty (it holds %s): name a new directory, or remove it", c.dir, entries[0].Name())
	}
	for i := range c.nodes {
		if err := d.make(d.node(engine.NodeID(i + 1))); err != nil {
			return nil, errors.Join(fmt.Errorf("--dir: %w", err), d.abandon())
		}
	}
	return d, nil
}

// make makes a directory and its parents and remembers which it made.
func (d *dataDirs) make(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := d.make(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	d.created = append(d.created, path)
	return nil
}

// node returns the data directory of a node, or "" when there are none.
func (d *dataDirs) node(id engine.NodeID) string {
	if d.root == "" {
		return ""
	}
	return filepath.Join(d.root, fmt.Sprintf("n%d", id))
}

// abandon removes what this run made, because it has not started.
func (d *dataDirs) abandon() error {
	for _, path := range slices.Backward(d.created) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// finish removes temporary directories at the end of a run.
func (d *dataDirs) finish() error {
	if d.remove {
		return d.abandon()
	}
	return nil
}
