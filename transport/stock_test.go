package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// stockConf turns off what Apache's library would otherwise sniff for itself.
var stockConf = &thrift.TConfiguration{THeaderProtocolID: thrift.THeaderProtocolIDPtrMust(thrift.THeaderProtocolCompact)}

// stockProtocols are the two that the port takes in framed transport.
var stockProtocols = map[string]thrift.TProtocolFactory{
	"compact": thrift.NewTCompactProtocolFactoryConf(stockConf),
	"binary":  thrift.NewTBinaryProtocolFactoryConf(stockConf),
}

// stockDial opens a stock framed client.
func stockDial(t *testing.T, addr string, f thrift.TProtocolFactory) (thrift.TProtocol, *thrift.TStandardClient) {
	t.Helper()
	tr := thrift.NewTFramedTransportConf(thrift.NewTSocketConf(addr, stockConf), stockConf)
	if err := tr.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	p := f.GetProtocol(tr)
	return p, thrift.NewTStandardClient(p, p)
}

// propose answers a client's calls: the command comes back as the result.
func propose(c *transport.Call) {
	req, ok := c.Request.(*raftpb.ProposeRequest)
	switch {
	case !ok:
		c.Fail(errors.New("not a proposal"))
	case req.Group == 2:
		c.Fail(&raftpb.NotLeader{Group: 2, Leader: codec.Some(raftpb.NodeID(3)), LeaderAddress: codec.Some("host:1")})
	case req.Group == 3:
		c.Fail(errors.New("no such luck"))
	default:
		c.Reply(&raftpb.ProposeResponse{Group: req.Group, Index: 42, Result: req.Command})
	}
}

// A client made of nothing but Apache's library calls a client method, gets its declared
// exception and its TApplicationException, in both protocols.
func TestStockClient(t *testing.T) {
	n := listen(t, 1, propose)
	for name, factory := range stockProtocols {
		t.Run(name, func(t *testing.T) {
			_, c := stockDial(t, n.Addr(), factory)
			var result raftpb.RaftClientProposeResult
			call := func(method string, group raftpb.GroupID) error {
				result = raftpb.RaftClientProposeResult{}
				args := &raftpb.RaftClientProposeArgs{Req: &raftpb.ProposeRequest{Group: group, Command: []byte("set x")}}
				_, err := c.Call(t.Context(), method, args, &result)
				return err
			}
			if err := call("Propose", 1); err != nil || result.Return == nil || string(result.Return.Result) != "set x" || result.Return.Index != 42 {
				t.Fatalf("got %v, %+v", err, result)
			}
			if err := call("Propose", 2); err != nil || result.NotLeader == nil || result.NotLeader.LeaderAddress.Value != "host:1" {
				t.Fatalf("declared exception: got %v, %+v", err, result)
			}
			wantApplication(t, call("Propose", 3), thrift.INTERNAL_ERROR)
			wantApplication(t, call("NoSuchMethod", 1), thrift.UNKNOWN_METHOD)
			wantApplication(t, call("Vote", 1), thrift.UNKNOWN_METHOD) // not before Handshake
			if err := call("Propose", 1); err != nil {
				t.Fatalf("after the failures: %v", err)
			}
		})
	}
}

func wantApplication(t *testing.T, err error, typ int32) {
	t.Helper()
	var e thrift.TApplicationException
	if !errors.As(err, &e) || e.TypeId() != typ {
		t.Errorf("got %v, want a TApplicationException of type %d", err, typ)
	}
}

// TMultiplexedProtocol of the stock library works against the port.
func TestStockMultiplexedClient(t *testing.T) {
	n := listen(t, 1, propose)
	p, _ := stockDial(t, n.Addr(), stockProtocols["compact"])
	m := thrift.NewTMultiplexedProtocol(p, "RaftClient")
	c := thrift.NewTStandardClient(p, m)
	var result raftpb.RaftClientProposeResult
	args := &raftpb.RaftClientProposeArgs{Req: &raftpb.ProposeRequest{Group: 1, Command: []byte("x")}}
	if _, err := c.Call(t.Context(), "Propose", args, &result); err != nil || result.Return == nil {
		t.Fatalf("got %v, %+v", err, result)
	}
}

// Answers to seqid 0, and to a seqid that is used again, leave in the order of the calls,
// even when the handler answers in another.
func TestAnswersToRepeatedSeqidsKeepTheirOrder(t *testing.T) {
	for _, seqid := range []int32{0, 7} {
		t.Run(fmt.Sprint(seqid), func(t *testing.T) {
			calls := make(chan *transport.Call, 4)
			n := listen(t, 1, func(c *transport.Call) { calls <- c })
			p, _ := stockDial(t, n.Addr(), stockProtocols["binary"])
			for i := range 4 {
				sendPropose(t, p, seqid, fmt.Sprint(i))
			}
			var held []*transport.Call
			for range 4 {
				held = append(held, receive(t, calls))
			}
			for _, i := range []int{2, 1, 3, 0} {
				propose(held[i])
			}
			for i := range 4 {
				if seq, got := readPropose(t, p); seq != seqid || got != fmt.Sprint(i) {
					t.Fatalf("answer %d is %q with seqid %d", i, got, seq)
				}
			}
		})
	}
}

func sendPropose(t *testing.T, p thrift.TProtocol, seqid int32, command string) {
	t.Helper()
	ctx := t.Context()
	args := &raftpb.RaftClientProposeArgs{Req: &raftpb.ProposeRequest{Group: 1, Command: []byte(command)}}
	err := errors.Join(p.WriteMessageBegin(ctx, "Propose", thrift.CALL, seqid), args.Write(ctx, p), p.WriteMessageEnd(ctx), p.Flush(ctx))
	if err != nil {
		t.Fatal(err)
	}
}

func readPropose(t *testing.T, p thrift.TProtocol) (seqid int32, result string) {
	t.Helper()
	ctx := t.Context()
	var r raftpb.RaftClientProposeResult
	_, _, seqid, err := p.ReadMessageBegin(ctx)
	if err := errors.Join(err, r.Read(ctx, p), p.ReadMessageEnd(ctx)); err != nil {
		t.Fatal(err)
	}
	return seqid, string(r.Return.Result)
}

// stockPeer is a RaftPeer server on nothing but Apache's library: no native frames, no
// memory of the handshake, one call at a time.
type stockPeer struct {
	served chan string
}

func (s *stockPeer) ProcessorMap() map[string]thrift.TProcessorFunction  { return nil }
func (s *stockPeer) AddToProcessorMap(string, thrift.TProcessorFunction) {}
func (s *stockPeer) Process(ctx context.Context, in, out thrift.TProtocol) (bool, thrift.TException) {
	name, _, seq, err := in.ReadMessageBegin(ctx)
	if err != nil {
		return false, thrift.WrapTException(err)
	}
	var result thrift.TStruct
	switch name {
	case "Handshake":
		var args raftpb.RaftPeerHandshakeArgs
		err = args.Read(ctx, in)
		result = &raftpb.RaftPeerHandshakeResult{Return: &raftpb.Hello{
			Version: raftpb.ProtocolVersion, Cluster: args.Req.Cluster, Node: args.Req.Target,
			Codecs: []raftpb.Codec{raftpb.CodecThriftCompact}, MaxFrame: args.Req.MaxFrame, Software: "stock",
		}}
	case "Vote":
		var args raftpb.RaftPeerVoteArgs
		err = args.Read(ctx, in)
		result = &raftpb.RaftPeerVoteResult{Return: &raftpb.VoteResponse{Group: args.Req.Group, Granted: true}}
		if args.Req.Group < 0 {
			result = &raftpb.RaftPeerVoteResult{NoGroup: &raftpb.NoSuchGroup{Group: args.Req.Group}}
		}
	}
	s.served <- name
	if err == nil {
		err = errors.Join(in.ReadMessageEnd(ctx), out.WriteMessageBegin(ctx, name, thrift.REPLY, seq),
			result.Write(ctx, out), out.WriteMessageEnd(ctx), out.Flush(ctx))
	}
	return err == nil, thrift.WrapTException(err)
}

// startStockPeer serves a stockPeer and returns its address.
func startStockPeer(t *testing.T) (string, *stockPeer) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	socket, err := thrift.NewTServerSocket(addr)
	if err != nil {
		t.Fatal(err)
	}
	peer := &stockPeer{served: make(chan string, 1000)}
	server := thrift.NewTSimpleServer4(peer, socket,
		thrift.NewTFramedTransportFactoryConf(thrift.NewTTransportFactory(), stockConf), stockProtocols["compact"])
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve() }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return addr, peer
}

// A peer in another language, on its stock Thrift library, is called over framed Compact,
// one call at a time per lane.
func TestStockPeerServer(t *testing.T) {
	addr, _ := startStockPeer(t)
	n := listen(t, 1, propose)
	t.Cleanup(func() { n.Close() }) // before the server: it waits for its connections
	n.SetPeer(2, addr)
	ended := make(chan error, 100)
	vote := func(g raftpb.GroupID) error {
		return n.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{Group: g}, func(resp codec.Message, err error) {
			if err == nil && resp.(*raftpb.VoteResponse).Group != g {
				err = fmt.Errorf("answer is for group %d", resp.(*raftpb.VoteResponse).Group)
			}
			ended <- err
		})
	}
	eventually(t, func() bool { return vote(1) == nil })
	for g := range raftpb.GroupID(50) {
		if err := vote(g); err != nil {
			t.Fatal(err)
		}
	}
	for range 51 {
		if err := receive(t, ended); err != nil {
			t.Fatal(err)
		}
	}
	if err := vote(-5); err != nil {
		t.Fatal(err)
	}
	var none *raftpb.NoSuchGroup
	if err := receive(t, ended); !errors.As(err, &none) || none.Group != -5 {
		t.Errorf("declared exception: got %v", err)
	}
}

// A peer on its stock library dials, shakes hands in either protocol, and is then served
// what only peers are.
func TestStockPeerClient(t *testing.T) {
	n := listen(t, 1, grantVote)
	for name, factory := range stockProtocols {
		t.Run(name, func(t *testing.T) {
			_, c := stockDial(t, n.Addr(), factory)
			var hello raftpb.RaftPeerHandshakeResult
			args := &raftpb.RaftPeerHandshakeArgs{Req: &raftpb.Hello{
				Version: raftpb.ProtocolVersion, Cluster: "test", Node: 3, Target: 1, MaxFrame: raftpb.MaxFrameBytes,
				Codecs: []raftpb.Codec{raftpb.CodecThriftBinary}, Software: "stock",
			}}
			if _, err := c.Call(t.Context(), "Handshake", args, &hello); err != nil || hello.Return == nil || hello.Return.Node != 1 {
				t.Fatalf("got %v, %+v", err, hello)
			}
			var vote raftpb.RaftPeerVoteResult
			if _, err := c.Call(t.Context(), "Vote", &raftpb.RaftPeerVoteArgs{Req: &raftpb.VoteRequest{Group: 6}}, &vote); err != nil || vote.Return == nil || vote.Return.Group != 6 {
				t.Fatalf("got %v, %+v", err, vote)
			}
		})
	}
}
