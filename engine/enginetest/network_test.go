package enginetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/enginetest"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/transport/transporttest"
)

// book holds a text for every key. A command is "key=text", a query a key.
type book struct{ texts map[string]string }

func newBook(engine.NodeID) engine.StateMachine { return &book{texts: map[string]string{}} }

func (s *book) Apply(b engine.Batch, _ []engine.Result) error {
	for _, c := range b.Commands {
		key, text, _ := bytes.Cut(c.Data, []byte("="))
		s.texts[string(key)] = string(text)
	}
	return nil
}

func (s *book) Query(key []byte) ([]byte, error) { return []byte(s.texts[string(key)]), nil }

func (s *book) Snapshot() (engine.Snapshot, error) {
	b, err := json.Marshal(s.texts)
	return engine.BytesSnapshot(b), err
}

func (s *book) Restore(r io.Reader) error {
	s.texts = map[string]string{}
	return json.NewDecoder(r).Decode(&s.texts)
}

// cluster starts one that ends with the test, and without a goroutine left.
func cluster(t *testing.T, cfg enginetest.ClusterConfig) *enginetest.Cluster {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	cfg.Machine = newBook
	c, err := enginetest.NewCluster(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func leaderOf(t *testing.T, c *enginetest.Cluster) engine.NodeID {
	t.Helper()
	id, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The network keeps the contract of transport.Network, whatever it does to messages.
func TestTheNetworkConforms(t *testing.T) {
	transporttest.Run(t, func(*testing.T) transporttest.World { return &netWorld{Network: enginetest.NewNetwork(1)} })
}

type netWorld struct {
	*enginetest.Network
	names atomic.Int64
}

func (w *netWorld) NewAddr() string { return fmt.Sprint("host-", w.names.Add(1)) }

// A leader that is alone on its side loses its leadership; the others elect one; when
// the network heals, it follows.
func TestAPartitionMovesTheLeader(t *testing.T) {
	c := cluster(t, enginetest.ClusterConfig{})
	old := leaderOf(t, c)
	if _, err := c.Group(old).Propose(t.Context(), []byte("k=1")); err != nil {
		t.Fatal(err)
	}
	c.Network.Partition([]engine.NodeID{old})
	if now := leaderOf(t, c); now == old {
		t.Fatalf("node %d leads alone", now)
	} else if _, err := c.Group(now).Propose(t.Context(), []byte("k=2")); err != nil {
		t.Fatal(err)
	}
	alone, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	if _, err := c.Query(alone, old, engine.Follower, []byte("k")); err == nil {
		t.Error("a node that is cut off serves a linearizable read")
	}
	cancel()
	c.Network.Heal()
	for {
		got, err := c.Query(t.Context(), old, engine.Follower, []byte("k"))
		if err == nil {
			if string(got) != "2" {
				t.Errorf("it reads %q after the heal", got)
			}
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

// A node whose answers do not arrive, and who hears everything, does not hold up the rest.
func TestOneDirectionIsCut(t *testing.T) {
	c := cluster(t, enginetest.ClusterConfig{})
	leader := leaderOf(t, c)
	mute := leader%3 + 1
	for id := engine.NodeID(1); id <= 3; id++ {
		if id != mute {
			c.Network.Cut(mute, id)
		}
	}
	for i := range 20 {
		now := leaderOf(t, c)
		if now == mute {
			t.Fatal("a node that nobody hears leads")
		}
		if _, err := c.Group(now).Propose(t.Context(), fmt.Appendf(nil, "k=%d", i)); err != nil && !errors.Is(err, engine.ErrIndeterminate) {
			t.Fatal(err)
		}
	}
}

// A stopped node starts from its directory, on the same network.
func TestANodeComesBackFromItsDirectory(t *testing.T) {
	c := cluster(t, enginetest.ClusterConfig{Dir: t.TempDir()})
	leader := leaderOf(t, c)
	if _, err := c.Group(leader).Propose(t.Context(), []byte("k=kept")); err != nil {
		t.Fatal(err)
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		if err := c.Stop(id); err != nil {
			t.Fatal(err)
		}
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		if err := c.Start(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Query(t.Context(), leaderOf(t, c), engine.Linearizable, []byte("k"))
	if err != nil || string(got) != "kept" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := c.Start(t.Context(), 1); err == nil {
		t.Error("a node that runs is started again")
	}
	if err := c.Stop(9); err == nil {
		t.Error("a node that does not run is stopped")
	}
}

// What SetLink says holds for one direction, what SetLinks says for all; a Link that was set stays
// through a partition.
func TestLinksAreSetOneByOneOrAllTogether(t *testing.T) {
	n := enginetest.NewNetwork(1)
	slow := enginetest.Link{Latency: time.Second}
	n.SetLink(1, 2, slow)
	n.Partition([]engine.NodeID{1})
	n.Heal()
	if n.Link(1, 2) != slow || n.Link(2, 1) != (enginetest.Link{}) {
		t.Fatalf("%+v, %+v", n.Link(1, 2), n.Link(2, 1))
	}
	n.SetLinks(enginetest.Link{Loss: 0.5})
	if n.Link(1, 2).Loss != 0.5 || n.Link(7, 8).Loss != 0.5 {
		t.Fatal("SetLinks does not set all")
	}
}

// A command needs a way there and a way back: with a second each it takes two, on the
// clock of a bubble.
func TestLatencyIsWhatTheLinkSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := enginetest.NewCluster(t.Context(), enginetest.ClusterConfig{Machine: newBook, ElectionTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { // also after t.Fatal: nothing may be left in the bubble
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		leader := leaderOf(t, c)
		c.Network.SetLinks(enginetest.Link{Latency: time.Second, Jitter: time.Second / 10})
		begin := time.Now()
		if _, err := c.Group(leader).Propose(t.Context(), []byte("k=1")); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took < 2*time.Second || took > 2400*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// clients of a book under faults, and what they saw.
type clients struct {
	c     *enginetest.Cluster
	begun time.Time
	stop  atomic.Bool
	acked atomic.Int64
	names atomic.Int64

	mu      sync.Mutex
	history []oracle.Op
}

// run is one client. Who does not know what became of a write goes on as another.
func (l *clients) run(ctx context.Context, seed uint64) {
	rng, process, at := rand.New(rand.NewPCG(seed, 2)), l.names.Add(1), engine.NodeID(1+seed%3)
	attempts := time.NewTicker(2 * time.Millisecond)
	defer attempts.Stop()
	for count := 0; !l.stop.Load(); count++ {
		op := oracle.Op{Process: process, Kind: oracle.Get, Key: fmt.Sprint(rng.IntN(4)), Start: int64(time.Since(l.begun))}
		if rng.IntN(2) == 0 {
			op.Kind, op.Value = oracle.Put, fmt.Sprintf("%d.%d", process, count)
		}
		err := l.carryOut(ctx, at, &op)
		op.End = int64(time.Since(l.begun))
		switch {
		case err == nil:
			op.Status = oracle.OK
			l.acked.Add(1)
		case op.Kind == oracle.Put && errors.Is(err, engine.ErrIndeterminate):
			op.Status, op.End = oracle.Info, 0
			process = l.names.Add(1)
		default:
			op.Status = oracle.Fail
		}
		l.mu.Lock()
		l.history = append(l.history, op)
		l.mu.Unlock()
		var elsewhere *engine.NotLeaderError
		if errors.As(err, &elsewhere) && elsewhere.Leader != 0 {
			at = elsewhere.Leader
		} else if err != nil {
			at = at%3 + 1
		}
		if err != nil {
			<-attempts.C
		}
	}
}

func (l *clients) carryOut(ctx context.Context, at engine.NodeID, op *oracle.Op) error {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if op.Kind == oracle.Put {
		_, err := l.c.Group(at).Propose(ctx, []byte(op.Key+"="+op.Value))
		return err
	}
	mode := engine.Linearizable
	if op.Process%2 == 0 {
		mode = engine.Follower
	}
	got, err := l.c.Query(ctx, at, mode, []byte(op.Key))
	op.Found, op.Result = len(got) > 0, string(got)
	return err
}

// goesOn waits until so many more operations were answered.
func (l *clients) goesOn(t *testing.T, more int64) {
	t.Helper()
	for goal := l.acked.Load() + more; l.acked.Load() < goal; {
		if leader, err := l.c.Leader(t.Context()); err != nil {
			t.Fatalf("node %d, %v", leader, err)
		}
	}
}

// Clients of a real cluster see a linearizable history whatever the network does:
// every fault of it at once, and partitions of every kind.
func TestHistoriesAreLinearizableUnderAllFaultsOfTheNetwork(t *testing.T) {
	c := cluster(t, enginetest.ClusterConfig{Seed: 7, Adjust: func(c *engine.Config) {
		c.Snapshots.Entries = 500
		c.MaxElectionTimeout = 4 * c.ElectionTimeout
	}})
	l := &clients{c: c, begun: time.Now()}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for seed := range uint64(5) {
		running.Go(func() { l.run(ctx, seed) })
	}
	end := func() {
		l.stop.Store(true)
		cancel()
		running.Wait()
	}
	t.Cleanup(end)
	l.goesOn(t, 50)
	c.Network.SetLinks(enginetest.Link{
		Latency: 200 * time.Microsecond, Jitter: time.Millisecond, Loss: 0.002, Duplicate: 0.2, Reorder: 0.2, Hold: 20 * time.Millisecond,
	})
	l.goesOn(t, 200)
	for round := range engine.NodeID(3) {
		c.Network.Partition([]engine.NodeID{round + 1}) // one is alone
		l.goesOn(t, 50)
		c.Network.Heal()
		c.Network.Cut(round+1, (round+1)%3+1) // one does not reach the next
		l.goesOn(t, 50)
		c.Network.Break(1, 2)
		c.Network.Heal()
		l.goesOn(t, 50)
	}
	end()
	if repeated, held := c.Network.Counts(); repeated == 0 || held == 0 {
		t.Fatalf("%d messages were repeated, %d held back", repeated, held)
	}
	report := oracle.Linearizable(l.history, oracle.Options{Timeout: time.Minute})
	t.Logf("%d operations, %d answered, on %d keys: %s", report.Ops, l.acked.Load(), report.Keys, report.Verdict)
	if report.Verdict != oracle.Legal {
		t.Fatalf("%+v", report.Violation)
	}
}

// A client of the Thrift service reaches a node through the network.
func TestAClientDialsThroughTheNetwork(t *testing.T) {
	c := cluster(t, enginetest.ClusterConfig{Nodes: 1})
	leaderOf(t, c)
	client, err := transport.Dial(t.Context(), "node-1", transport.ClientConfig{Dial: c.Network.Dial})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}
