package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// onDisks puts every node on a disk in memory that can be frozen and broken.
func onDisks(nodes int) (map[engine.NodeID]*wal.CrashFS, func(*engine.Config)) {
	disks := map[engine.NodeID]*wal.CrashFS{}
	for id := engine.NodeID(1); id <= engine.NodeID(nodes); id++ {
		disks[id] = wal.NewCrashFS()
	}
	return disks, func(cfg *engine.Config) {
		cfg.Durability, cfg.Dir, cfg.ElectionTimeout = engine.Fsync, "data", 2*time.Second
		cfg.OnFS(disks[cfg.Node])
	}
}

// The log shows what was handed to it, durable or not. A group that is stopped and
// started again must not take that for durable and promise it to the leader.
func TestAGroupStartedAgainPromisesNothingThatIsNotDurable(t *testing.T) {
	disks, adjust := onDisks(3)
	c := newCluster(t, 3, adjust)
	leader := c.leader()
	c.propose("first")
	follower, other := leader%3+1, (leader+1)%3+1
	c.eventually("both followers to be streamed to", func() bool {
		s, err := c.group(leader).Status()
		for _, p := range s.Peers {
			if p.Match != s.Last || p.State != raftpb.ProgressStateReplicate {
				return false
			}
		}
		return err == nil && len(s.Peers) == 2
	})
	thaw, thawOther := sync.OnceFunc(disks[follower].Freeze()), sync.OnceFunc(disks[other].Freeze())
	defer thaw()
	defer thawOther()
	before, err := c.group(follower).Status()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := make(chan error, 1)
	go func() {
		_, err := c.group(leader).Propose(t.Context(), []byte("second"))
		acknowledged <- err
	}()
	c.eventually("the follower to hold the command in memory", func() bool {
		s, err := c.group(follower).Status()
		return err == nil && s.Last > before.Last
	})
	if err := c.group(follower).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() {
		_, err := c.hosts[follower].Start(t.Context(), engine.GroupConfig{ID: groupID, Members: c.members(), Machine: &ledger{}})
		started <- err
	}()
	// Nothing can be acknowledged before a follower's disk comes back.
	patience := time.NewTimer(300 * time.Millisecond)
	select {
	case err := <-acknowledged:
		t.Errorf("acknowledged (%v) while the disks of both followers hang", err)
	case err := <-started:
		t.Errorf("started (%v) while the disk that holds the group's last write hangs", err)
	case <-patience.C:
	}
	thaw()
	thawOther()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err := <-acknowledged; err != nil {
		t.Errorf("second: %v", err)
	}
}

// gatedLedger fails at a command, but not before it is told to.
type gatedLedger struct {
	ledger
	entered, leave chan struct{}
}

func (g *gatedLedger) Apply(b engine.Batch, r []engine.Result) error {
	for _, cmd := range b.Commands {
		if string(cmd.Data) == "boom" {
			close(g.entered)
			<-g.leave
			return errors.New("told to fail")
		}
	}
	return g.ledger.Apply(b, r)
}

// A read that was granted behind an Apply that then fails would see a machine that
// lacks acknowledged commands.
func TestNoReadRunsOnAMachineThatFailed(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	follower := leader%3 + 1
	if err := c.group(follower).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := &gatedLedger{entered: make(chan struct{}), leave: make(chan struct{})}
	g, err := c.hosts[follower].Start(t.Context(), engine.GroupConfig{ID: groupID, Members: c.members(), Machine: m})
	if err != nil {
		t.Fatal(err)
	}
	c.propose("boom") // acknowledged by the leader
	<-m.entered
	got := make(chan error, 1)
	ran := false
	go func() { got <- g.Read(t.Context(), engine.Stale, func() error { ran = true; return nil }) }()
	c.eventually("the read to wait in the group", func() bool { _, err := g.Status(); return err == nil })
	close(m.leave)
	var failed *engine.FailedError
	if err := <-got; !errors.As(err, &failed) || ran {
		t.Errorf("read: %v, ran %t: want FailedError and no run", err, ran)
	}
}

// A disk that fails takes every group of the host with it, also those that had
// nothing to write: a leader must not go on serving over a dead log.
func TestADiskFailureEndsAllGroupsOfTheHost(t *testing.T) {
	disks, adjust := onDisks(1)
	told := make(chan error, 2)
	var host *engine.Host
	c := newCluster(t, 1, func(cfg *engine.Config) {
		adjust(cfg)
		cfg.OnFatal = func(err error) { told <- err; told <- host.Close() } // the obvious thing to do
	})
	host = c.hosts[1]
	c.leader()
	idle, err := host.Start(t.Context(), engine.GroupConfig{ID: 8, Machine: &ledger{}, Members: c.members()})
	if err != nil {
		t.Fatal(err)
	}
	c.eventually("the other group's leader", func() bool {
		return idle.Read(t.Context(), engine.Linearizable, func() error { return nil }) == nil
	})
	disks[1].Break()
	if _, err := c.group(1).Propose(t.Context(), []byte("x")); err == nil || !errors.Is(err, engine.ErrIndeterminate) {
		t.Errorf("propose: %v, want an error with an open outcome", err)
	}
	if err := <-told; err == nil {
		t.Error("OnFatal was told nothing")
	}
	c.eventually("the idle group to end", func() bool {
		err := idle.Read(t.Context(), engine.Linearizable, func() error { return nil })
		var failed *engine.FailedError
		return errors.As(err, &failed) || errors.Is(err, engine.ErrClosed)
	})
	<-told // Close called by OnFatal has returned
	delete(c.hosts, 1)
}

// A time limit ends a call although its command is stuck on the disk, and says
// that the outcome is open.
func TestATimeLimitEndsACall(t *testing.T) {
	disks, adjust := onDisks(1)
	c := newCluster(t, 1, adjust)
	c.leader()
	client, err := transport.Dial(t.Context(), c.addrs[1], transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer disks[1].Freeze()()
	for i := range 20 {
		var r raftpb.ProposeResponse
		req := &raftpb.ProposeRequest{Group: groupID, Command: fmt.Append(nil, i), TimeoutMs: 1 + int32(i%5)}
		err := client.Call(t.Context(), raftpb.RaftClientPropose, req, &r)
		var open *raftpb.Unavailable
		if !errors.As(err, &open) || !open.MaybeApplied {
			t.Errorf("call %d: %v, want Unavailable, maybe applied", i, err)
		}
	}
}

// Starting a group on a disk that hangs holds up nobody else.
func TestAStartThatHangsHoldsUpNobody(t *testing.T) {
	disks, adjust := onDisks(1)
	c := newCluster(t, 1, adjust)
	c.leader()
	thaw := disks[1].Freeze()
	started := make(chan error, 2)
	for range 2 { // one of them takes the id and hangs, the other learns that
		go func() {
			_, err := c.hosts[1].Start(t.Context(), engine.GroupConfig{ID: 8, Machine: &ledger{}, Members: c.members()})
			started <- err
		}()
	}
	if err := <-started; !errors.Is(err, engine.ErrExists) {
		t.Errorf("start: %v, want ErrExists", err)
	}
	if err := c.group(1).Read(t.Context(), engine.Stale, func() error { return nil }); err != nil {
		t.Errorf("read of another group: %v", err)
	}
	thaw()
	if err := <-started; err != nil {
		t.Error(err)
	}
}

type nobody struct{}

func (nobody) ServeCall(c *transport.Call) { c.Fail(errors.New("nobody is here")) }

// An entry that this version cannot hold stays with its leader; the log, the other
// groups and the host go on.
func TestAnUnknownEntryOfAPeerIsRefused(t *testing.T) {
	for name, e := range map[string]raftpb.Entry{
		"a kind of the future": {Term: 1, Kind: 16},
		"no kind":              {Term: 1},
		"a body left out":      {Term: 1, Kind: raftpb.EntryKindCommand, StrippedBytes: codec.Some[int32](-1)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1, func(cfg *engine.Config) {
				cfg.OnFatal = func(err error) { t.Errorf("OnFatal: %v", err) }
			})
			peer := freeAddress(t)
			members := []engine.Member{{ID: 1, Address: c.addrs[1]}, {ID: 2, Address: peer}}
			g, err := c.hosts[1].Start(t.Context(), engine.GroupConfig{ID: 8, Machine: &ledger{}, Members: members})
			if err != nil {
				t.Fatal(err)
			}
			n, err := transport.Listen(transport.Config{
				Cluster: "test", Node: 2, Incarnation: 5, Listen: peer, Handler: nobody{},
				Methods: []*codec.Method{raftpb.RaftPeerAppend},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			n.SetPeer(1, c.addrs[1])
			e.Crc32c = wal.EntryChecksum(e.Kind, e.Body)
			answer := make(chan error, 1)
			req := &raftpb.AppendRequest{Group: 8, Term: 1, Leader: 2, Entries: []raftpb.Entry{e}}
			c.eventually("the connection", func() bool {
				return n.Call(1, transport.LaneAppend, raftpb.RaftPeerAppend, req,
					func(_ codec.Message, err error) { answer <- err }) == nil
			})
			if err := <-answer; err == nil {
				t.Error("the append was answered as if it could be taken")
			}
			if s, err := g.Status(); err != nil || s.Err != nil || s.Last != 0 {
				t.Errorf("group after it: %+v, %v", s, err)
			}
			c.propose("the neighbour goes on")
		})
	}
}
