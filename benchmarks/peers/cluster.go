package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

// cluster is the members of one engine: all in this process, or member 1 here and
// the others as processes of their own.
type cluster struct {
	local    []Node // members in this process, member 1 first
	children []*child
	homes    []int // the member that leads, by group
	stays    bool
	disk     *meter.Disk
}

// clusterConfig says which cluster to start.
type clusterConfig struct {
	engine    engine
	dir       string
	groups    int
	processes int // 1 or members
	spread    bool
	opt       Options
}

// startCluster starts all members and waits until each group has its leader.
func startCluster(cc clusterConfig) (*cluster, error) {
	addrs, err := freeAddrs(members)
	if err != nil {
		return nil, err
	}
	configs := make([]NodeConfig, members)
	for i := range configs {
		dir := filepath.Join(cc.dir, fmt.Sprintf("n%d", i+1))
		configs[i] = NodeConfig{ID: i + 1, Addrs: addrs, Groups: cc.groups, Opt: cc.opt, Dir: dir}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	c := &cluster{homes: cc.homes(), stays: cc.engine.stays && cc.processes == 1, disk: meter.NewDisk(cc.dir)}
	if err = c.start(cc, configs); err == nil {
		err = c.settle(30 * time.Second)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *cluster) start(cc clusterConfig, configs []NodeConfig) error {
	if cc.processes == members {
		for _, cfg := range configs[1:] {
			ch, err := startChild(cc.engine.name, cfg)
			if err != nil {
				return err
			}
			c.children = append(c.children, ch)
		}
		configs = configs[:1]
	}
	// Members may have to see each other to start, so they start at the same time.
	type started struct {
		place int
		node  Node
		err   error
	}
	results := make(chan started)
	for i, cfg := range configs {
		go func() {
			n, err := cc.engine.start(cfg)
			results <- started{i, n, err}
		}()
	}
	nodes := make([]Node, len(configs))
	var failed error
	for range configs {
		s := <-results
		if s.err != nil {
			failed = fmt.Errorf("start member %d: %w", s.place+1, s.err)
			continue
		}
		nodes[s.place] = s.node
	}
	c.local = nodes
	return failed
}

// freeAddrs finds n loopback addresses by listening and closing again.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// homes says which member should lead each group.
func (cc clusterConfig) homes() []int {
	homes := make([]int, cc.groups)
	for g := range homes {
		homes[g] = 1
		if cc.spread && cc.processes == 1 {
			homes[g] = g%members + 1
		}
	}
	return homes
}

// settle waits until every group is led by its home.
func (c *cluster) settle(limit time.Duration) error {
	return poll(100*time.Millisecond, limit, func() (string, error) {
		astray := 0
		for g := range c.homes {
			if !c.settled(g) {
				astray++
			}
		}
		if astray == 0 {
			return "", nil
		}
		for _, ch := range c.children {
			if _, err := ch.ask("yield"); err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("%d groups are not led by the member that should", astray), nil
	})
}

// settled reports whether group g is led from home, and asks another leader to
// hand over. Where that is not possible, home is where the leader is.
func (c *cluster) settled(g int) bool {
	if c.local[c.homes[g]-1].Leads(g) {
		return true
	}
	for i, n := range c.local {
		if !n.Leads(g) {
			continue
		}
		if c.stays {
			c.homes[g] = i + 1
			return true
		}
		n.HandOver(g, c.homes[g])
	}
	return false
}

// poll calls step until it says "" or fails, for at most limit.
func poll(every, limit time.Duration, step func() (missing string, err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		missing, err := step()
		if err != nil || missing == "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v: %s", limit, missing)
		}
	}
}

// client returns client i of a load; groups take turns.
func (c *cluster) client(i int) (Client, error) {
	g := i % len(c.homes)
	return c.local[c.homes[g]-1].Client(g)
}

func (c *cluster) sample() meter.Sample {
	s := meter.Process()
	for _, ch := range c.children {
		if st, err := ch.ask("stat"); err == nil {
			s = s.Add(st.Sample)
		}
	}
	c.disk.Read(&s)
	return s
}

// counts adds up what the members in this process count themselves.
func (c *cluster) counts() map[string]uint64 {
	total := map[string]uint64{}
	for _, n := range c.local {
		if n, ok := n.(Counter); ok {
			for name, v := range n.Counts() {
				total[name] += v
			}
		}
	}
	return total
}

// verify waits until every member has applied what clients saw acknowledged, and
// all have come to the same state.
func (c *cluster) verify(commands, bytes uint64, limit time.Duration) error {
	return poll(50*time.Millisecond, limit, func() (string, error) {
		states, err := c.states()
		if err != nil {
			return "", err
		}
		var missing []string
		for i, s := range states {
			if s.Commands < commands || s.Bytes < bytes {
				missing = append(missing, fmt.Sprintf("member %d applied %d of %d commands", i+1, s.Commands, commands))
			}
			if s != states[0] {
				missing = append(missing, fmt.Sprintf("members 1 and %d differ: %v and %v", i+1, states[0], s))
			}
		}
		return strings.Join(missing, "; "), nil
	})
}

func (c *cluster) states() ([]state, error) {
	var states []state
	for _, n := range c.local {
		states = append(states, n.Applied())
	}
	for _, ch := range c.children {
		st, err := ch.ask("stat")
		if err != nil {
			return nil, err
		}
		states = append(states, st.State)
	}
	return states, nil
}

func (c *cluster) close() {
	for _, n := range c.local {
		if n == nil {
			continue
		}
		if err := n.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close:", err)
		}
	}
	for _, ch := range c.children {
		ch.close()
	}
}
