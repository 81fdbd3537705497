package transport_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// appendBatch is an append of n commands of size bytes each.
func appendBatch(n, size int) *raftpb.AppendRequest {
	r := &raftpb.AppendRequest{Group: 1, Term: 7, Leader: 1, PrevIndex: 1 << 20, PrevTerm: 7, Commit: 1 << 20, Round: 99}
	for range n {
		r.Entries = append(r.Entries, raftpb.Entry{Term: 7, Kind: raftpb.EntryKindCommand, Body: make([]byte, size), Crc32c: 0xdeadbeef})
	}
	return r
}

func appendOK(c *transport.Call) {
	r := c.Request.(*raftpb.AppendRequest)
	c.Reply(&raftpb.AppendResponse{
		Group: r.Group, Term: r.Term, Status: raftpb.AppendStatusOk, PrevIndex: r.PrevIndex, Matched: r.PrevIndex + raftpb.Index(len(r.Entries)), Round: r.Round,
	})
}

// BenchmarkAppend sends append frames over loopback with a window of them in flight.
func BenchmarkAppend(b *testing.B) {
	for _, shape := range []struct{ entries, size, window int }{
		{1, 128, 1}, {1, 128, 64}, {64, 128, 1}, {64, 128, 16}, {256, 128, 1}, {256, 128, 16}, {128, 1024, 8},
	} {
		for _, name := range []string{"thrift-compact", "msgpack"} {
			b.Run(fmt.Sprintf("entries=%d/size=%d/window=%d/%s", shape.entries, shape.size, shape.window, name), func(b *testing.B) {
				benchmarkAppend(b, appendBatch(shape.entries, shape.size), shape.window, codecNamed(b, name))
			})
		}
	}
}

func benchmarkAppend(b *testing.B, req *raftpb.AppendRequest, window int, k codec.Codec) {
	server := listen(b, 2, appendOK)
	up := make(chan bool, 10)
	client := listen(b, 1, appendOK, func(c *transport.Config) {
		c.Codec = k
		c.PeerState = func(raftpb.NodeID, bool) { up <- true }
	})
	client.SetPeer(2, server.Addr())
	receive(b, up)
	free := make(chan struct{}, window)
	for range window {
		free <- struct{}{}
	}
	done := func(_ codec.Message, err error) {
		if err != nil {
			b.Error(err)
		}
		free <- struct{}{}
	}
	b.SetBytes(int64(len(req.AppendCompact(nil))))
	b.ReportAllocs()
	before := client.Metrics().Writes
	for b.Loop() {
		<-free
		if err := client.Call(2, transport.LaneAppend, raftpb.RaftPeerAppend, req, done); err != nil {
			b.Fatal(err)
		}
	}
	for range window {
		<-free
	}
	b.ReportMetric(float64(client.Metrics().Writes-before)/float64(b.N), "writes/op")
}

// BenchmarkClient has many goroutines propose 128 bytes each over one connection.
func BenchmarkClient(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			server := listen(b, 1, propose)
			c := dial(b, server.Addr(), transport.ClientConfig{})
			calls := make(chan struct{}, 1024)
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					req := &raftpb.ProposeRequest{Group: 1, Command: make([]byte, 128)}
					var resp raftpb.ProposeResponse
					for range calls {
						if err := c.Call(b.Context(), raftpb.RaftClientPropose, req, &resp); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				calls <- struct{}{}
			}
			close(calls)
			wg.Wait()
		})
	}
}

// BenchmarkFloor moves the same bytes without frames, codec, checksum or window logic: as
// many to a write as BenchmarkAppend has, 40 bytes back for each. What the transport
// costs is the difference, in the same run.
func BenchmarkFloor(b *testing.B) {
	for _, shape := range []struct{ size, window int }{{9113, 1}, {9113, 16}, {36378, 1}, {36378, 16}} {
		b.Run(fmt.Sprintf("bytes=%d/window=%d", shape.size, shape.window), func(b *testing.B) {
			benchmarkFloor(b, shape.size, shape.window)
		})
	}
}

func benchmarkFloor(b *testing.B, size, window int) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in, answers := make([]byte, size*window), make([]byte, 40*window)
		for {
			if _, err := io.ReadFull(c, in); err != nil {
				return
			}
			if _, err := c.Write(answers); err != nil {
				return
			}
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	out, answers := make([]byte, size*window), make([]byte, 40*window)
	b.SetBytes(int64(size))
	sent := 0
	for b.Loop() { // one iteration is one frame; a window of them goes together
		if sent++; sent%window != 0 {
			continue
		}
		if _, err := c.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, answers); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	<-served
}
