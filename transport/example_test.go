package transport_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/transport/transporttest"
)

// voter is a handler that grants every vote.
type voter struct{}

func (voter) ServeCall(c *transport.Call) {
	if c.Oneway() {
		return // nobody waits for an answer
	}
	switch req := c.Request.(type) {
	case *raftpb.VoteRequest:
		c.Reply(&raftpb.VoteResponse{Group: req.Group, Term: req.Term, Granted: true})
	case *raftpb.StatusRequest:
		if holder, underTLS := c.Holder(); underTLS && holder.Client != "joe" {
			c.Fail(errors.New("only joe may ask"))
			return
		}
		c.Reply(&raftpb.StatusResponse{Group: req.Group, Term: 7})
	}
}

// node is the configuration of a node of the examples.
func node(id raftpb.NodeID, listen string) transport.Config {
	return transport.Config{
		Cluster: "example", Node: id, Listen: listen, Handler: voter{}, Logger: slog.New(slog.DiscardHandler),
		Methods: []*codec.Method{raftpb.RaftPeerVote}, ClientMethods: []*codec.Method{raftpb.RaftClientStatus},
	}
}

// Two nodes over TCP. A call waits in no queue that is not bounded; its answer comes to a function.
func ExampleListen() {
	two, err := transport.Listen(node(2, "127.0.0.1:0"))
	if err != nil {
		panic(err)
	}
	defer two.Close()
	up := make(chan bool, 8)
	cfg := node(1, "127.0.0.1:0")
	cfg.PeerState = func(_ raftpb.NodeID, connected bool) { up <- connected }
	one, err := transport.Listen(cfg)
	if err != nil {
		panic(err)
	}
	defer one.Close()
	one.SetPeer(2, two.Addr())
	<-up

	granted := make(chan bool)
	err = one.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{Group: 1, Term: 3}, func(resp codec.Message, err error) {
		vote, ok := resp.(*raftpb.VoteResponse)
		granted <- err == nil && ok && vote.Granted // resp is used again: keep nothing of it
	})
	fmt.Println(err, <-granted)
	state, known := one.Peer(2)
	fmt.Println(known, state.Reachable, one.Metrics().CallsOut)

	msgpack, _ := codec.ByName("msgpack")
	one.SetCodec(msgpack) // of later calls; connections stay
	one.RemovePeer(2)
	err = one.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, func(codec.Message, error) {})
	fmt.Println(errors.Is(err, transport.ErrUnreachable))
	// Output:
	// <nil> true
	// true true 1
	// true
}

// Under mutual TLS the certificate says who somebody is. Certificates are replaced while
// connections stay.
func ExampleDial() {
	authority, err := transporttest.NewAuthority() // for tests; others read files: LoadIdentity
	if err != nil {
		panic(err)
	}
	issue := func(uri string) *transport.Identity {
		id, err := authority.Issue(nil, uri)
		if err != nil {
			panic(err)
		}
		id.Roots = authority.Roots()
		id.Roots.AddCert(authority.Certificate())
		return id
	}
	cfg := node(2, "127.0.0.1:0")
	cfg.Identity = issue(transport.NodeURI("example", 2))
	server, err := transport.Listen(cfg)
	if err != nil {
		panic(err)
	}
	defer server.Close()
	fmt.Println(server.SetIdentity(issue(transport.NodeURI("example", 2))))

	ctx := context.Background()
	for _, uri := range []string{transport.ClientURI("example", "joe"), transport.AdminURI("example", "eve")} {
		client, err := transport.Dial(ctx, server.Addr(), transport.ClientConfig{Identity: issue(uri), Cluster: "example"})
		if err != nil {
			panic(err)
		}
		var status raftpb.StatusResponse
		err = client.Call(ctx, raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: 1}, &status)
		fmt.Println(status.Term, err, client.Metrics().CallsOut)
		client.Close()
	}
	_, err = transport.LoadIdentity("node2.pem", "node2.key", "ca.pem")
	fmt.Println("no such files:", err != nil)
	// Output:
	// <nil>
	// 7 <nil> 1
	// 0 transport: call: remote error 6: only joe may ask 1
	// no such files: true
}

// Go does not wait; many calls share the connection.
func ExampleClient_Go() {
	server, err := transport.Listen(node(2, "127.0.0.1:0"))
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client, err := transport.Dial(context.Background(), server.Addr(), transport.ClientConfig{})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	var calls sync.WaitGroup
	for group := range raftpb.GroupID(3) {
		calls.Add(1)
		err := client.Go(raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: group}, func(codec.Message, error) { calls.Done() })
		if err != nil {
			panic(err)
		}
	}
	calls.Wait()
	fmt.Println(client.Metrics().CallsOut)
	// Output: 3
}

// A world in memory whose links can be cut, slowed and broken, in each direction.
func ExampleMemory() {
	world := transport.NewMemory(1) // the seed of what Drop drops and Delay adds
	var nets []transport.Network
	up := make(chan bool, 64)
	for id := raftpb.NodeID(1); id <= 2; id++ {
		cfg := node(id, fmt.Sprint("node ", id))
		cfg.Peers = map[raftpb.NodeID]string{1: "node 1", 2: "node 2"}
		if id == 1 {
			cfg.PeerState = func(_ raftpb.NodeID, connected bool) { up <- connected }
		}
		n, err := world.Listen(cfg)
		if err != nil {
			panic(err)
		}
		defer n.Close()
		nets = append(nets, n)
	}
	<-up
	world.Delay(1, 2, 0, 0)
	world.Drop(1, 2, 0)
	answered := make(chan error, 1)
	world.Cut(1, 2) // what is sent waits
	_ = nets[0].Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, func(_ codec.Message, err error) { answered <- err })
	fmt.Println("answers while cut:", len(answered))
	world.Heal(1, 2)
	fmt.Println(<-answered)
	world.Break(1, 2)
	fmt.Println(<-up, <-up) // lost, and connected again

	client, err := transport.Dial(context.Background(), "node 2", transport.ClientConfig{Dial: world.Dial})
	fmt.Println(err, client.Close())
	// Output:
	// answers while cut: 0
	// <nil>
	// false true
	// <nil> <nil>
}

// answer takes the answer of a call that no connection brought.
type answer struct{ got codec.Message }

func (a *answer) Reply(resp codec.Message) { a.got = resp }
func (a *answer) Fail(error)               {}

// A simulation hands calls to a handler itself.
func ExampleCall_Direct() {
	var c transport.Call
	var a answer
	c.Direct(raftpb.RaftPeerVote, 2, transport.LaneControl, &raftpb.VoteRequest{Term: 3}, &a)
	fmt.Println("from node", c.From, c.RemoteAddr())
	voter{}.ServeCall(&c)
	fmt.Println(a.got.(*raftpb.VoteResponse).Granted)
	// Output:
	// from node 2 direct
	// true
}
