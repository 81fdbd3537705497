package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
)

// Children listen on ports below the range from which systems take those of outgoing
// connections: while a child is down, nobody else gets its port by chance.
const firstPort, lastPort = 10000, 30000

// child is a node in a process of its own. It ends when its standard input does, so
// it cannot outlive this process, however that ends.
type child struct {
	id         engine.NodeID
	addr       string
	durability string
	cmd        *exec.Cmd
	stdin      io.WriteCloser
	stopping   atomic.Bool
	ready      chan error    // one value: it serves (nil), or why not
	ended      chan struct{} // closed when the process has ended
	err        error         // how, once ended is closed
}

// fleet is the processes of a cluster, with which a scenario does as it likes. One
// goroutine owns it.
type fleet struct {
	c       *runConfig
	members []*remoteMember // node id i+1 at i; the spare one behind the cluster's members
	addrs   []string
	dirs    *dataDirs
}

// startProcesses runs each node as a child process. A scenario has one more, not started yet.
func startProcesses(ctx context.Context, c *runConfig, _ *slog.Logger, dirs *dataDirs) (*cluster, error) {
	spare := 0
	if c.scenario != nil {
		spare = 1
	}
	addrs, err := freeAddrs(c.nodes + spare)
	if err != nil {
		return nil, err
	}
	f := &fleet{c: c, addrs: addrs, dirs: dirs}
	cl := &cluster{groups: c.groups, failed: make(chan error, 1), remote: true, fleet: f}
	for _, addr := range addrs {
		f.members = append(f.members, &remoteMember{conns: newNodeConns(addr)})
	}
	for i, m := range f.members[:c.nodes] {
		if m.child, err = startChild(f.args(i, false), c.stderr); err != nil {
			return nil, errors.Join(fmt.Errorf("start node %d: %w", i+1, err), cl.close())
		}
		cl.members = append(cl.members, m)
	}
	for i, m := range f.members[:c.nodes] {
		if err := m.child.waitReady(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("start node %d: %w", i+1, err), cl.close())
		}
		go m.child.watch(cl.fail)
	}
	cl.propose = proposeAt(f.members)
	return cl, nil
}

// args is the command line of a node.
func (f *fleet) args(i int, join bool) []string {
	id := engine.NodeID(i + 1)
	members := f.addrs[:f.c.nodes]
	if join {
		members = nil
	}
	return childArgs(f.c, id, f.addrs[i], members, f.dirs.node(id))
}

// start starts a node that does not run, and waits until it serves.
func (f *fleet) start(ctx context.Context, cl *cluster, i int, join bool) error {
	m := f.members[i]
	child, err := startChild(f.args(i, join), f.c.stderr)
	if err != nil {
		return fmt.Errorf("start node %d: %w", i+1, err)
	}
	m.child = child
	if err := child.waitReady(ctx); err != nil {
		return errors.Join(fmt.Errorf("start node %d: %w", i+1, err), child.kill())
	}
	go child.watch(cl.fail)
	return nil
}

// childArgs is the command line of a child.
func childArgs(c *runConfig, id engine.NodeID, listen string, members []string, dir string) []string {
	args := []string{
		"node", "--end-with-stdin", "--log", "error", "--cluster", clusterName,
		"--id", fmt.Sprint(id), "--listen", listen, "--groups", fmt.Sprint(c.groups),
		"--codec", c.engine.codec, "--durability", c.engine.durability.String(),
		"--election-timeout", c.engine.electionTimeout.String(), "--max-queued", fmt.Sprint(queueBytes(c)),
		"--segment", fmt.Sprint(c.engine.segmentBytes), "--clock-bound", c.engine.clockBound.String(),
	}
	if dir != "" {
		args = append(args, "--dir", dir)
	}
	if len(members) == 0 {
		args = append(args, "--join")
	}
	for i, addr := range members {
		args = append(args, "--peer", fmt.Sprintf("%d=%s", i+1, addr))
	}
	if c.dropApply == int(id) {
		args = append(args, "--test-drop-apply")
	}
	return args
}

// startChild starts this program anew as a node. waitReady must follow.
func startChild(args []string, stderr io.Writer) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ch := &child{cmd: exec.Command(self, args...), ready: make(chan error, 1), ended: make(chan struct{})}
	ch.cmd.Stderr = stderr
	ch.cmd.SysProcAttr = ownGroup()
	if ch.stdin, err = ch.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := ch.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ch.cmd.Start(); err != nil {
		return nil, err
	}
	go ch.follow(stdout)
	return ch, nil
}

// follow reads what the child says until it ends.
func (c *child) follow(stdout io.Reader) {
	r := bufio.NewReader(stdout)
	line, err := r.ReadString('\n')
	if err == nil {
		err = c.parseReady(line)
	}
	if err == nil {
		c.ready <- nil
	}
	_, _ = io.Copy(io.Discard, r) // ends when the child does; Wait tells how
	c.err = c.cmd.Wait()
	close(c.ended)
	if err != nil {
		c.ready <- fmt.Errorf("ended before it was ready: %w", errors.Join(c.err, err))
	}
}

func (c *child) parseReady(line string) error {
	head, durability, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ", durability ")
	var addr string
	if _, err := fmt.Sscanf(head, "raftbench node %d: ready on %s", &c.id, &addr); err != nil || !ok {
		return fmt.Errorf("unexpected line %q", line)
	}
	c.addr, c.durability = addr, durability
	return nil
}

// waitReady waits until the child serves.
func (c *child) waitReady(ctx context.Context) error {
	select {
	case err := <-c.ready:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch reports an end of the child that nobody asked for.
func (c *child) watch(report func(error)) {
	<-c.ended
	if !c.stopping.Load() {
		report(fmt.Errorf("node %d (process %d) ended: %w", c.id, c.cmd.Process.Pid, endOfProcess(c.err)))
	}
}

// endOfProcess names a clean end too: it was not asked for.
func endOfProcess(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// childStopLimit is how long a child may take to stop before it is killed.
const childStopLimit = 2500 * time.Millisecond

// stop asks the child to end, kills it when it does not, and returns how it ended.
func (c *child) stop() error {
	c.stopping.Store(true)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return c.kill()
	}
	_ = c.stdin.Close() // the second way to tell it; harmless when it has ended
	t := time.NewTimer(childStopLimit)
	defer t.Stop()
	select {
	case <-c.ended:
		return c.err
	case <-t.C:
		return errors.Join(fmt.Errorf("did not stop within %v", childStopLimit), c.kill())
	}
}

// kill ends the child at once (-9) and waits for its end.
func (c *child) kill() error {
	c.stopping.Store(true)
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.ended
	_ = c.stdin.Close() // nobody reads it any more
	return nil
}

// freeAddrs finds n loopback addresses that nobody listens on.
func freeAddrs(n int) ([]string, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close() // it was opened to see that it could be
		}
	}()
	var addrs []string
	const attempts = 1000
	for range attempts {
		if len(addrs) == n {
			return addrs, nil
		}
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort))
		if l, err := net.Listen("tcp", addr); err == nil {
			held, addrs = append(held, l), append(addrs, addr)
		}
	}
	return nil, fmt.Errorf("found no %d free ports on 127.0.0.1 in %d attempts", n, attempts)
}
