package engine_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/transport"
)

var fleetGroups = flag.Int("fleet.groups", 200, "groups in TestManyGroupsOutliveAHost and BenchmarkFleet")

// fleet is three hosts with many groups.
type fleet struct {
	t      testing.TB
	groups int
	hosts  map[engine.NodeID]*engine.Host
	nets   map[engine.NodeID]transport.Network
	sinks  map[engine.NodeID][]*sink // by group id, from 1
	config engine.Config             // of one of them
}

func newFleet(t testing.TB, groups int, adjust func(*engine.Config)) *fleet {
	t.Helper()
	f := &fleet{
		t: t, groups: groups, hosts: map[engine.NodeID]*engine.Host{}, nets: map[engine.NodeID]transport.Network{},
		sinks: map[engine.NodeID][]*sink{},
	}
	dir := t.TempDir()
	var members []engine.Member
	for id := engine.NodeID(1); id <= 3; id++ {
		members = append(members, engine.Member{ID: id, Address: freeAddress(t)})
	}
	for _, m := range members {
		f.config = engine.Config{
			Cluster: "fleet", Node: m.ID, Dir: filepath.Join(dir, fmt.Sprint(m.ID)), Listen: m.Address,
			ElectionTimeout: time.Second, Durability: engine.NoSync, Logger: slog.New(slog.DiscardHandler),
			Network: func(c transport.Config) (transport.Network, error) {
				n, err := transport.Listen(c)
				f.nets[c.Node] = n
				return n, err
			},
		}
		if os.Getenv("RAFTWIRE_TEST_LOG") != "" {
			f.config.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
		}
		if adjust != nil {
			adjust(&f.config)
		}
		h, err := engine.Open(t.Context(), f.config)
		if err != nil {
			t.Fatal(err)
		}
		f.hosts[m.ID], f.sinks[m.ID] = h, make([]*sink, groups+1)
	}
	t.Cleanup(f.close)
	f.each(16, func(id engine.GroupID) error {
		var err error
		for node, h := range f.hosts {
			f.sinks[node][id] = new(sink)
			_, e := h.Start(t.Context(), engine.GroupConfig{ID: id, Members: members, Machine: f.sinks[node][id]})
			err = errors.Join(err, e)
		}
		return err
	})
	return f
}

// close ends all hosts at once: no group is worth handing over.
func (f *fleet) close() {
	var closing sync.WaitGroup
	for id, h := range f.hosts {
		if _, running := f.nets[id]; running {
			f.kill(id)
		}
		closing.Go(func() { _ = h.Close() }) // its network is closed already
	}
	closing.Wait()
}

// kill cuts a host off, as the end of its process would: its connections break, and its
// address refuses new ones.
func (f *fleet) kill(id engine.NodeID) {
	_ = f.nets[id].Close()
	delete(f.nets, id)
}

// each calls do for every group, several at a time.
func (f *fleet) each(atOnce int, do func(engine.GroupID) error) {
	f.t.Helper()
	var last atomic.Int64
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for id := last.Add(1); id <= int64(f.groups); id = last.Add(1) {
				if err := do(engine.GroupID(id)); err != nil {
					f.t.Errorf("group %d: %v", id, err)
				}
			}
		})
	}
	running.Wait()
	if f.t.Failed() {
		f.t.FailNow()
	}
}

// led reports how many groups each running host leads, and whether all are led.
func (f *fleet) led() (leads map[engine.NodeID]int, all bool) {
	leads, all = map[engine.NodeID]int{}, true
	for id := engine.GroupID(1); id <= engine.GroupID(f.groups); id++ {
		led := false
		for node := range f.nets {
			if f.hosts[node].Group(id).Leader() == node {
				leads[node]++
				led = true
			}
		}
		all = all && led
	}
	return leads, all
}

func (f *fleet) awaitLeaders() map[engine.NodeID]int {
	f.t.Helper()
	var leads map[engine.NodeID]int
	eventually(f.t, "a leader in every group", func() (all bool) {
		leads, all = f.led()
		return all
	})
	return leads
}

// write has every group take a command.
func (f *fleet) write() {
	f.t.Helper()
	f.each(64, func(id engine.GroupID) error {
		for {
			for node := range f.nets {
				_, err := f.hosts[node].Group(id).Propose(f.t.Context(), []byte("command"))
				var elsewhere *engine.NotLeaderError
				if err == nil || !errors.As(err, &elsewhere) {
					return err
				}
			}
		}
	})
}

// asleep is how many groups sleep on all running hosts.
func (f *fleet) asleep() (n int) {
	f.t.Helper()
	for id := engine.GroupID(1); id <= engine.GroupID(f.groups); id++ {
		all := true
		for node := range f.nets {
			s, err := f.hosts[node].Group(id).Status()
			if err != nil {
				f.t.Fatal(err)
			}
			all = all && s.Asleep
		}
		if all {
			n++
		}
	}
	return n
}

// Many groups on three hosts: all elect, take writes, sleep when there is nothing to do, are
// woken by the loss of a host, elect again and take writes.
//
//	make fleet GROUPS=1000
func TestManyGroupsOutliveAHost(t *testing.T) {
	f := newFleet(t, *fleetGroups, func(c *engine.Config) { c.QuiesceAfter = 500 * time.Millisecond })
	began := time.Now()
	leads := f.awaitLeaders()
	t.Logf("%d groups elected in %v, leaders per host: %v", f.groups, time.Since(began), leads)
	f.write()
	eventually(t, "all groups to sleep", func() bool { return f.asleep() == f.groups })
	gone := engine.NodeID(1)
	for id, n := range leads {
		if n > leads[gone] {
			gone = id
		}
	}
	began = time.Now()
	f.kill(gone)
	leads = f.awaitLeaders()
	t.Logf("every group has a leader %v after the loss of a host, %.2f election time-outs; leaders per host: %v",
		time.Since(began), time.Since(began).Seconds()/f.config.ElectionTimeout.Seconds(), leads)
	f.write()
	f.write()
	for node := range f.nets {
		for id := 1; id <= f.groups; id++ {
			eventually(t, "three commands applied in every group", func() bool {
				n := 0
				err := f.hosts[node].Group(engine.GroupID(id)).Read(t.Context(), engine.Stale, func() error {
					n = f.sinks[node][id].n
					return nil
				})
				return err == nil && n == 3
			})
		}
	}
}
