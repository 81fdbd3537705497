package engine_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/kvpb"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// diary is a service of a program's own: Put writes a line to the ledger of a group, Get waits for the end of the host.
type diary struct {
	kvpb.KV // nil: what is not below is never called
	group   func() *engine.Group
	waiting atomic.Int64
	ended   atomic.Int64
}

func (n *diary) Put(ctx context.Context, r *kvpb.PutRequest) (*kvpb.PutResponse, error) {
	var result engine.Result
	var err error
	if r.Once == nil {
		result, err = n.group().Propose(ctx, r.Value)
	} else {
		result, err = n.group().ProposeSerial(ctx, engine.Serial{Session: r.Once.Session, Serial: r.Once.Serial}, r.Value)
	}
	if err != nil {
		return nil, engine.Exception(r.Group, err)
	}
	return &kvpb.PutResponse{Index: result.Index}, nil
}

func (n *diary) Get(ctx context.Context, r *kvpb.GetRequest) (*kvpb.GetResponse, error) {
	n.waiting.Add(1)
	<-ctx.Done()
	n.ended.Add(1)
	return nil, engine.Exception(r.Group, engine.ErrClosed)
}

// withDiary has every host of a cluster serve diary.
func withDiary(c **cluster, services map[engine.NodeID]*diary) func(*engine.Config) {
	return func(cfg *engine.Config) {
		id := cfg.Node
		n := &diary{group: func() *engine.Group { return (*c).group(id) }}
		services[id] = n
		cfg.Services = []engine.Service{{Methods: kvpb.KVMethods, Handler: kvpb.NewKVHandler(n)}}
	}
}

// A service of the program's own is served on the port of the engine's, to Thrift clients of any kind, and tells them
// in the words of raft.thrift what became of a command.
func TestAServiceOfTheProgramsOwnSharesThePort(t *testing.T) {
	var c *cluster
	c = newCluster(t, 3, withDiary(&c, map[engine.NodeID]*diary{}))
	leader := c.leader()
	conn, err := transport.Dial(t.Context(), c.addrs[leader], transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	store, raft := kvpb.NewKVClient(conn), raftpb.NewRaftClientClient(conn)

	first, err := store.Put(t.Context(), &kvpb.PutRequest{Group: groupID, Value: []byte("one")})
	if err != nil {
		t.Fatal(err)
	}
	session, err := raft.OpenSession(t.Context(), &raftpb.OpenSessionRequest{Group: groupID})
	if err != nil {
		t.Fatal(err)
	}
	once := &kvpb.PutRequest{Group: groupID, Value: []byte("two"), Once: &kvpb.InSession{Session: session.Session, Serial: 1}}
	second, err := store.Put(t.Context(), once)
	if err != nil {
		t.Fatal(err)
	}
	again, err := store.Put(t.Context(), once)
	if err != nil || again.Index != second.Index || second.Index <= first.Index {
		t.Errorf("a command in a session came to stand at %d, then at %v (%v), behind %d", second.Index, again, err, first.Index)
	}
	once.Once.Serial = 1 << 40
	var rejected *raftpb.Rejected
	if _, err := store.Put(t.Context(), once); !errors.As(err, &rejected) || rejected.Code != raftpb.RejectCodeSerialOutOfWindow {
		t.Errorf("a serial far ahead got %v", err)
	}

	follower := leader%3 + 1
	other, err := transport.Dial(t.Context(), c.addrs[follower], transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var notLeader *raftpb.NotLeader
	_, err = kvpb.NewKVClient(other).Put(t.Context(), &kvpb.PutRequest{Group: groupID, Value: []byte("three")})
	if !errors.As(err, &notLeader) || notLeader.LeaderAddress.Value != c.addrs[leader] {
		t.Errorf("a follower said %v, want who leads", err)
	}
}

// Close ends the context of calls that wait, and waits for them: nothing runs on when it has returned.
func TestClosingAHostEndsCallsOfItsServices(t *testing.T) {
	var c *cluster
	services := map[engine.NodeID]*diary{}
	c = newCluster(t, 1, withDiary(&c, services))
	conn, err := transport.Dial(t.Context(), c.addrs[1], transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const calls = 10
	answers := make(chan error, calls)
	for range calls {
		if err := conn.Go(kvpb.KVGet, &kvpb.GetRequest{}, func(_ codec.Message, err error) { answers <- err }); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "calls under way", func() bool { return services[1].waiting.Load() == calls })
	c.stop(1)
	if n := services[1].ended.Load(); n != calls {
		t.Errorf("Close returned while %d of %d calls ran", calls-n, calls)
	}
	for range calls {
		if err := <-answers; err == nil {
			t.Error("a call that was cut short was answered")
		}
	}
}

// One call more than may run at a time is refused as busy, and told that it was not carried out.
func TestCallsOfServicesAreBounded(t *testing.T) {
	const most, perConnection = 16384, 4096
	var c *cluster
	services := map[engine.NodeID]*diary{}
	world := transport.NewMemory(1)
	c = newCluster(t, 1, func(cfg *engine.Config) {
		withDiary(&c, services)(cfg)
		cfg.Network = world.Listen
	})
	dial := func() *transport.Client {
		conn, err := transport.Dial(t.Context(), c.addrs[1], transport.ClientConfig{
			Dial: func(ctx context.Context, addr string) (net.Conn, error) { return world.Dial(ctx, addr) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	for range most / perConnection {
		conn := dial()
		for range perConnection {
			if err := conn.Go(kvpb.KVGet, &kvpb.GetRequest{}, func(codec.Message, error) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "all places taken", func() bool { return services[1].waiting.Load() == most })
	_, err := kvpb.NewKVClient(dial()).Get(t.Context(), &kvpb.GetRequest{})
	var remote *transport.RemoteError
	if !errors.As(err, &remote) || remote.Type != transport.RemoteBusy {
		t.Errorf("one call too many got %v, want busy", err)
	}
}

func TestServicesThatCannotBeServedAreNamed(t *testing.T) {
	_, err := engine.Open(t.Context(), engine.Config{
		Cluster: "test", Node: 1, Listen: "127.0.0.1:0", Durability: engine.Memory,
		Services: []engine.Service{{Methods: []*codec.Method{{Service: "Mine", Name: "Propose"}}}, {Handler: kvpb.NewKVHandler(nil)}},
	})
	if !errors.Is(err, engine.ErrConfig) {
		t.Errorf("%v is no ErrConfig", err)
	}
	for _, want := range []string{"number 0 has no Handler", "method Propose is there twice", "number 1 has no Methods"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

// A message over the cap that the program has set ends its connection, and one up to it does not.
func TestTheFrameCapIsTheProgramsChoice(t *testing.T) {
	c := newCluster(t, 1, func(cfg *engine.Config) { cfg.MaxFrameBytes = 2 << 20 })
	conn, err := transport.Dial(t.Context(), c.addrs[c.leader()], transport.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := raftpb.NewRaftClientClient(conn)
	propose := func(n int) error {
		_, err := client.Propose(t.Context(), &raftpb.ProposeRequest{Group: groupID, Command: make([]byte, n)})
		return err
	}
	if err := propose(2<<20 - 64<<10); err != nil {
		t.Errorf("a command that fits: %v", err)
	}
	var rejected *raftpb.Rejected
	if err := propose(2<<20 - 32<<10); !errors.As(err, &rejected) || rejected.Code != raftpb.RejectCodeTooLarge {
		t.Errorf("a command in a frame that fits, over the most that one may have: %v", err)
	}
	if err := propose(2 << 20); !errors.Is(err, transport.ErrDisconnected) {
		t.Errorf("a frame over the cap: %v", err)
	}
}
