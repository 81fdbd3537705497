package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// recorder keeps what observers are told.
type recorder struct {
	mu  sync.Mutex
	all map[engine.NodeID][]engine.Event
}

func (r *recorder) add(id engine.NodeID, e engine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[engine.NodeID][]engine.Event{}
	}
	r.all[id] = append(r.all[id], e)
}

// of returns what the observer of a node was told about a kind.
func (r *recorder) of(id engine.NodeID, kind engine.EventKind) (found []engine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.all[id] {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// hears waits until a node's observer was told of a kind what is wanted.
func (c *cluster) hears(id engine.NodeID, kind engine.EventKind, wanted func(engine.Event) bool) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("node %d to hear of %v", id, kind), func() bool {
		return slices.ContainsFunc(c.heard.of(id, kind), func(e engine.Event) bool { return !e.At.IsZero() && wanted(e) })
	})
}

// Each kind of event is told by the node that notices it, with what its documentation names;
// no kind is without a story.
func TestTheObserverIsToldOfEveryKind(t *testing.T) {
	told := map[engine.EventKind]bool{}
	for name, story := range map[string]func(*testing.T) *cluster{
		"elections and members": electionsAndMembers,
		"snapshots":             snapshotsComeAndGo,
		"damaged entry":         anEntryIsDamaged,
		"damaged log":           aLogIsDamaged,
		"old directory":         anOldDirectoryComesBack,
		"lost state":            aStateIsLost,
		"disk":                  aDiskHangs,
		"machine":               aMachineFails,
		"drift":                 aMachineDrifts,
		"links":                 aPeerGoesAndComesBack,
	} {
		t.Run(name, func(t *testing.T) {
			c := story(t)
			c.heard.mu.Lock()
			defer c.heard.mu.Unlock()
			for _, events := range c.heard.all {
				for _, e := range events {
					told[e.Kind] = true
				}
			}
		})
	}
	for k := engine.EventKind(1); !strings.HasPrefix(k.String(), "EventKind("); k++ {
		if !told[k] {
			t.Errorf("nobody was told of %v", k)
		}
	}
}

func electionsAndMembers(t *testing.T) *cluster {
	c := newCluster(t, 3, nil)
	c.hears(c.leader(), engine.EventRole, func(e engine.Event) bool {
		return e.Group == groupID && e.Role == raftpb.RoleLeader && e.Term > 0
	})
	c.join(4)
	c.change(engine.AddLearner(4, c.addrs[4]))
	c.eventually("a leader to say that it ended", func() bool {
		for id := range c.hosts {
			if slices.ContainsFunc(c.heard.of(id, engine.EventChangeEnded), func(e engine.Event) bool { return e.Reason == "none" && e.Index > 0 }) {
				return true
			}
		}
		return false
	})
	c.hears(4, engine.EventMembership, func(e engine.Event) bool { return e.Group == groupID && e.Index > 0 })
	c.eventually("a hand-over", func() bool {
		from := c.leader()
		to := from%3 + 1
		return c.group(from).Transfer(t.Context(), to) == nil && slices.ContainsFunc(c.heard.of(from, engine.EventTransferEnded), func(e engine.Event) bool {
			return e.Peer == to && e.Reason == "none"
		}) && slices.ContainsFunc(c.heard.of(to, engine.EventRole), func(e engine.Event) bool {
			return e.Role == raftpb.RoleCandidate && e.Reason == string(engine.Transferred)
		})
	})
	return c
}

func snapshotsComeAndGo(t *testing.T) *cluster {
	c := newCluster(t, 3, often(50, -1))
	away := c.leader()%3 + 1
	c.stop(away)
	c.proposeMany("away", 200)
	c.eventually("the log to be dropped", func() bool { return c.status(c.leader()).First > 100 })
	from := c.leader()
	c.hears(from, engine.EventSnapshotTaken, func(e engine.Event) bool { return e.Group == groupID && e.Index > 50 })
	c.start(away)
	c.proposeMany("back", 10)
	c.hears(away, engine.EventSnapshotInstalled, func(e engine.Event) bool { return e.Group == groupID && e.Index > 50 && e.Peer != 0 })
	return c
}

func anEntryIsDamaged(t *testing.T) *cluster {
	c := newCluster(t, 3, small)
	c.orders(0, 60)
	c.flip(1, 20)
	c.hears(1, engine.EventDamage, func(e engine.Event) bool { return e.Group == groupID && e.Index > 20 && e.Err != nil })
	c.same(60)
	c.stop(2)
	c.flip(2, 30)
	c.start(2)
	c.hears(2, engine.EventDamage, func(e engine.Event) bool { return e.Group == groupID && e.Index > 30 && e.Err != nil })
	return c
}

func aLogIsDamaged(t *testing.T) *cluster {
	c := newCluster(t, 3, func(cfg *engine.Config) { cfg.Durability = engine.Fsync })
	for i := range 50 {
		c.insist(fmt.Sprint("before ", i))
	}
	leader := c.leader()
	victim := leader%3 + 1
	c.eventually("it to have acknowledged all", func() bool {
		s := c.status(leader)
		return slices.ContainsFunc(s.Peers, func(p engine.PeerStatus) bool { return p.ID == victim && p.Match == s.Last })
	})
	c.stop(victim)
	c.damage(victim)
	c.start(victim)
	c.insist("after")
	c.hears(victim, engine.EventDamage, func(e engine.Event) bool { return e.Group == groupID && e.Index > 0 && e.Err != nil })
	c.hears(victim, engine.EventRepaired, func(e engine.Event) bool { return e.Index > 0 })
	c.leadersHear(engine.EventMemberInDoubt, victim)
	return c
}

// leadersHear waits until some leader was told of a kind about a member.
func (c *cluster) leadersHear(kind engine.EventKind, about engine.NodeID) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("a leader to hear of %v", kind), func() bool {
		for id := range c.hosts {
			if slices.ContainsFunc(c.heard.of(id, kind), func(e engine.Event) bool { return e.Peer == about }) {
				return true
			}
		}
		return false
	})
}

// anOldDirectoryComesBack starts a member on a copy of its directory from before it
// acknowledged what the leader counts on.
func anOldDirectoryComesBack(t *testing.T) *cluster {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	victim := leader%3 + 1
	c.stop(victim)
	dir, old := filepath.Join(c.dir, fmt.Sprint(victim)), t.TempDir()
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	c.eventually("a leader to hear of it", func() bool {
		c.start(victim)
		c.insist("after the copy")
		leader := c.leader()
		c.eventually("it to have acknowledged that", func() bool {
			s := c.status(leader)
			return s.Role != raftpb.RoleLeader || slices.ContainsFunc(s.Peers, func(p engine.PeerStatus) bool { return p.ID == victim && p.Match == s.Last })
		})
		c.stop(victim)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(old)); err != nil {
			t.Fatal(err)
		}
		c.start(victim)
		c.insist("after its return")
		c.same(2)
		heard := slices.ContainsFunc(c.heard.of(leader, engine.EventMemberLost), func(e engine.Event) bool {
			return e.Peer == victim && e.Index > 0
		})
		if !heard {
			c.stop(victim) // another one led meanwhile, who counted on nothing
		}
		return heard
	})
	return c
}

func aPeerGoesAndComesBack(t *testing.T) *cluster {
	c := newCluster(t, 3, nil)
	watching := c.leader()
	away := watching%3 + 1
	times := func(kind engine.EventKind) (n int) {
		for _, e := range c.heard.of(watching, kind) {
			if e.Peer == away && e.Group == 0 {
				n++
			}
		}
		return n
	}
	c.eventually("it to be reached", func() bool { return times(engine.EventPeerReached) > 0 })
	lost := times(engine.EventPeerLost) // it may have been, when the node began to look
	c.stop(away)
	c.eventually("it to be lost", func() bool { return times(engine.EventPeerLost) > lost })
	reached := times(engine.EventPeerReached)
	c.start(away)
	c.eventually("it to be found again", func() bool { return times(engine.EventPeerReached) > reached })
	return c
}

func aStateIsLost(t *testing.T) *cluster {
	c := newCluster(t, 3, func(cfg *engine.Config) {
		unread(cfg)
		cfg.Snapshots.KeepEntries = -1
	})
	c.orders(0, 20)
	c.same(20)
	if _, err := c.group(1).Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.eventually("an empty log", func() bool { return c.status(1).First > 20 })
	c.stop(1)
	c.spoilImages(1)
	c.start(1)
	c.hears(1, engine.EventStateLost, func(e engine.Event) bool { return e.Group == groupID && e.Index > 0 })
	c.insist("after")
	c.hears(1, engine.EventSnapshotInstalled, func(e engine.Event) bool { return e.Peer != 0 })
	return c
}

func aDiskHangs(t *testing.T) *cluster {
	disks, adjust := onDisks(3)
	c := newCluster(t, 3, func(cfg *engine.Config) {
		adjust(cfg)
		cfg.DiskStallAfter = 50 * time.Millisecond
	})
	leader := c.leader()
	thaw := sync.OnceFunc(disks[leader].Freeze())
	defer thaw()
	_ = c.group(leader).ProposeAsync([]byte("x"), func(engine.Result, error) {}) // a write that hangs
	ofTheHost := func(e engine.Event) bool { return e.Group == 0 }
	c.hears(leader, engine.EventDiskStalled, ofTheHost)
	thaw()
	c.hears(leader, engine.EventDiskOK, ofTheHost)
	return c
}

func aMachineFails(t *testing.T) *cluster {
	c := newClusterOf(t, 1, nil, func() engine.StateMachine { return &ledger{fail: "boom"} })
	c.leader()
	_, _ = c.group(1).Propose(t.Context(), []byte("boom"))
	c.hears(1, engine.EventApplyFault, func(e engine.Event) bool { return e.Group == groupID && e.Index > 0 && e.Err != nil })
	c.hears(1, engine.EventGroupEnded, func(e engine.Event) bool {
		return e.Group == groupID && strings.Contains(e.Err.Error(), "told to fail")
	})
	return c
}

func aMachineDrifts(t *testing.T) *cluster {
	c, groups := hashing(t, "the line that node 2 forgets")
	proposeAnywhere(c, groups, "the line that node 2 forgets")
	i := 0
	c.eventually("a leader to hear of it", func() bool {
		for range 10 {
			i++
			proposeAnywhere(c, groups, fmt.Sprint(i))
		}
		for id := range c.hosts {
			if slices.ContainsFunc(c.heard.of(id, engine.EventDiverged), func(e engine.Event) bool {
				return e.Group == 60 && e.Index%10 == 0 && e.Peer != 0 && (id == 2 || e.Peer == 2)
			}) {
				return true
			}
		}
		return false
	})
	return c
}

// An observer that hangs holds up nobody: events wait, up to a bound; what is over it is
// dropped and counted, and what waited arrives in its order once it goes on.
func TestASlowObserverHoldsUpNobody(t *testing.T) {
	const bound, commands = 4096, 5000
	hanging := make(chan struct{})
	var told []engine.Event
	var mu sync.Mutex
	c := newCluster(t, 1, func(cfg *engine.Config) {
		cfg.Observer = func(e engine.Event) {
			<-hanging
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
		}
	})
	release := sync.OnceFunc(func() { close(hanging) })
	defer release()
	g, err := c.hosts[1].Start(t.Context(), engine.GroupConfig{
		ID: 8, Machine: &ledger{fail: "boom"}, Members: c.members(), OnApplyError: engine.Skip,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.eventually("its leader", func() bool { return g.Leader() == 1 })
	applied := make(chan error, commands)
	for range commands {
		err := g.ProposeAsync([]byte("boom"), func(_ engine.Result, err error) { applied <- err })
		if err != nil {
			t.Fatal(err)
		}
	}
	for range commands {
		<-applied // an ApplyError: an event each
	}
	m := c.hosts[1].Metrics()
	if m.ApplyFaults < commands || m.EventsDropped < m.ApplyFaults-bound-1 {
		t.Errorf("%d faults, %d events dropped", m.ApplyFaults, m.EventsDropped)
	}
	release()
	c.eventually("what waited", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) > bound
	})
	mu.Lock()
	defer mu.Unlock()
	last := engine.Index(0)
	for _, e := range told {
		if e.Kind != engine.EventApplyFault {
			continue
		}
		if e.Index < last {
			t.Fatalf("the fault at %d was told after that at %d", e.Index, last)
		}
		last = e.Index
	}
	if last == 0 {
		t.Error("no fault was told")
	}
}
