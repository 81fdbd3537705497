package transport_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// nativeFrame is a native frame by the drawing in docs/spec/wire.md, made without the
// package's own code.
func nativeFrame(kind, codecID byte, method, lane uint16, seq uint32, body []byte) []byte {
	b := make([]byte, 20, 20+len(body))
	binary.BigEndian.PutUint32(b, uint32(16+len(body)))
	b[4], b[5], b[6] = 0xC1, 1<<4|kind, codecID
	binary.BigEndian.PutUint16(b[8:], method)
	binary.BigEndian.PutUint16(b[10:], lane)
	binary.BigEndian.PutUint32(b[12:], seq)
	b = append(b, body...)
	return resum(b)
}

// resum makes the checksum of a native frame right again.
func resum(b []byte) []byte {
	sum := crc32.Checksum(append(append([]byte(nil), b[:16]...), b[20:]...), crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[16:], sum)
	return b
}

func voteFrame(seq uint32) []byte {
	return nativeFrame(1, codec.IDCompact, raftpb.RaftPeerVote.ID, 0, seq, (&raftpb.VoteRequest{Group: 1}).AppendCompact(nil))
}

// edit returns a copy of b with the byte at i replaced.
func edit(b []byte, i int, v byte) []byte {
	b = append([]byte(nil), b...)
	b[i] = v
	return b
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// Bytes that are no frame of ours end the connection, which is counted by reason, and harm
// nobody else.
func TestHostileBytes(t *testing.T) {
	n := listen(t, 1, propose)
	good := dial(t, n.Addr(), transport.ClientConfig{})
	hello := helloFrame(nil)
	for name, c := range map[string]struct {
		bytes  []byte
		reason transport.Reason
	}{
		"http":                  {[]byte("GET / HTTP/1.1\r\n\r\n"), transport.ReasonTooLong},
		"tls hello":             {unhex("160301 0200 0100 01fc 0303"), transport.ReasonTLS},
		"length of zero":        {unhex("00000000 0000"), transport.ReasonTooShort},
		"length of three":       {unhex("00000003 820101"), transport.ReasonTooShort},
		"length of zero alone":  {unhex("00000000"), transport.ReasonTooShort},
		"length too long alone": {unhex("7fffffff"), transport.ReasonTooLong},
		"length over the cap":   {unhex("7fffffff 8221 0107"), transport.ReasonTooLong},
		"unknown first byte":    {unhex("00000010 42424242"), transport.ReasonUnknownProtocol},
		"old binary":            {unhex("00000010 00000004 50696e67 01 00000000"), transport.ReasonUnknownProtocol},
		"binary of another age": {unhex("00000010 80020001 00000004"), transport.ReasonUnknownProtocol},
		"native too early":      {voteFrame(1), transport.ReasonNoHandshake},
		"large native early":    {unhex("00800000 c1110100 0002 0000"), transport.ReasonNoHandshake},
		"compact version":       {unhex("00000004 8222 0101"), transport.ReasonBadHeader},
		"compact name cut":      {unhex("00000005 8221 0109 41"), transport.ReasonBadHeader},
		"compact seqid":         {unhex("0000000a 8221 ffffffffff01 0141"), transport.ReasonBadHeader},
		"compact type":          {compactFrame(5, "Propose", 1, []byte{0}), transport.ReasonBadHeader},
		"name not text":         {compactFrame(1, "\xff\xfe", 1, []byte{0}), transport.ReasonBadHeader},
		"name too long":         {compactFrame(1, strings.Repeat("x", 257), 1, []byte{0}), transport.ReasonBadHeader},
		"binary name cut":       {unhex("0000000c 80010001 7fffffff 00000001"), transport.ReasonBadHeader},
		"binary header cut":     {unhex("00000008 80010001 00000000"), transport.ReasonBadHeader},
		"reply from a caller":   {compactFrame(2, "Propose", 1, []byte{0}), transport.ReasonBadKind},
		"large, unknown method": {compactFrame(1, "Vote", 1, make([]byte, 1<<20)), transport.ReasonUnknownMethod},
		"native checksum":       {append(hello, edit(voteFrame(1), 16, 0)...), transport.ReasonChecksum},
		"native version":        {append(hello, resum(edit(voteFrame(1), 5, 0x21))...), transport.ReasonBadHeader},
		"native kind":           {append(hello, resum(edit(voteFrame(1), 5, 0x1f))...), transport.ReasonBadHeader},
		"native flags":          {append(hello, resum(edit(voteFrame(1), 7, 1))...), transport.ReasonBadHeader},
		"native lane":           {append(hello, resum(edit(voteFrame(1), 11, 9))...), transport.ReasonBadHeader},
		"native reply":          {append(hello, resum(edit(voteFrame(1), 5, 0x12))...), transport.ReasonBadKind},
		"native too short":      {append(hello, unhex("00000004 c1110100")...), transport.ReasonTooShort},
		"hello, bad version":    {helloFrame(func(h *raftpb.Hello) { h.Version = 2 }), transport.ReasonWrongVersion},
		"hello, cluster":        {helloFrame(func(h *raftpb.Hello) { h.Cluster = strings.Repeat("other", 100) }), transport.ReasonWrongCluster},
		"hello, target":         {helloFrame(func(h *raftpb.Hello) { h.Target = 7 }), transport.ReasonWrongNode},
		"hello, no target":      {helloFrame(func(h *raftpb.Hello) { h.Target = 0 }), transport.ReasonWrongNode},
		"hello, own id":         {helloFrame(func(h *raftpb.Hello) { h.Node = 1 }), transport.ReasonWrongNode},
		"hello, no id":          {helloFrame(func(h *raftpb.Hello) { h.Node = 0 }), transport.ReasonWrongNode},
		"hello, small frames":   {helloFrame(func(h *raftpb.Hello) { h.MaxFrame = 1 << 20 }), transport.ReasonSmallFrames},
		"hello, no codec":       {helloFrame(func(h *raftpb.Hello) { h.Codecs = []raftpb.Codec{77, -1, 300} }), transport.ReasonUnknownCodec},
		"hello, garbage":        {compactFrame(1, "Handshake", 1, []byte{0x1c, 0x15}), transport.ReasonBadBody},
		"hello twice, another":  {append(hello, helloFrame(func(h *raftpb.Hello) { h.Node = 8 })...), transport.ReasonWrongNode},
	} {
		t.Run(name, func(t *testing.T) {
			before := n.Metrics().Refused[c.reason]
			conn := rawDial(t, n.Addr())
			_, err := conn.Write(c.bytes)
			_, err2 := io.Copy(io.Discard, conn)
			for _, err := range []error{err, err2} { // it may be closed before all is sent
				if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Fatal(err)
				}
			}
			eventually(t, func() bool { return n.Metrics().Refused[c.reason] == before+1 })
			var resp raftpb.ProposeResponse
			if err := good.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1}, &resp); err != nil {
				t.Fatalf("the service is harmed: %v", err)
			}
		})
	}
}

// A wrong Hello is told why, in a declared exception, before the connection ends.
func TestWrongHelloIsTold(t *testing.T) {
	n := listen(t, 1, propose)
	conn := rawDial(t, n.Addr())
	conn.send(helloFrame(func(h *raftpb.Hello) { h.Cluster = "other" }))
	f := conn.readFrame()
	head := unhex("82 41 01 09" + hex.EncodeToString([]byte("Handshake")))
	var result raftpb.RaftPeerHandshakeResult
	if _, err := result.ParseCompact(f[len(head):], nil); err != nil || string(f[:len(head)]) != string(head) {
		t.Fatalf("%v in %x", err, f)
	}
	if result.Rejected == nil || result.Rejected.Code != raftpb.RejectCodeWrongCluster || result.Rejected.Reason == "" {
		t.Errorf("got %+v", result)
	}
	conn.wantEOF()
}

// A call that cannot be served is answered, and the connection stays.
func TestBadCallsLeaveTheConnection(t *testing.T) {
	n := listen(t, 1, grantVote)
	conn := rawDial(t, n.Addr())
	conn.send(helloFrame(nil))
	conn.readFrame()
	for name, c := range map[string]struct {
		bytes  []byte
		kind   byte
		reason transport.Reason
	}{
		"unknown method":   {nativeFrame(1, codec.IDCompact, 999, 0, 5, nil), 5, transport.ReasonUnknownMethod},
		"handshake id":     {nativeFrame(1, codec.IDCompact, raftpb.RaftPeerHandshake.ID, 0, 5, nil), 5, transport.ReasonUnknownMethod},
		"unknown codec":    {nativeFrame(1, 99, raftpb.RaftPeerVote.ID, 0, 5, nil), 5, transport.ReasonUnknownCodec},
		"empty body":       {nativeFrame(1, codec.IDCompact, raftpb.RaftPeerVote.ID, 0, 5, nil), 5, transport.ReasonBadBody},
		"trailing bytes":   {nativeFrame(1, codec.IDCompact, raftpb.RaftPeerVote.ID, 0, 5, []byte{0, 0}), 5, transport.ReasonBadBody},
		"msgpack nonsense": {nativeFrame(1, codec.IDMsgpack, raftpb.RaftPeerVote.ID, 0, 5, []byte{0xdd, 0xff, 0xff, 0xff, 0xff}), 5, transport.ReasonBadBody},
		"good":             {voteFrame(5), 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := n.Metrics().Refused[c.reason]
			conn.send(c.bytes)
			f := conn.readFrame()
			if f[0] != 0xC1 || f[1] != 1<<4|c.kind || f[2] != c.bytes[6] || binary.BigEndian.Uint32(f[8:]) != 5 {
				t.Errorf("answer is % x", f[:16])
			}
			if got := n.Metrics().Refused[c.reason]; c.reason != "" && got != before+1 {
				t.Errorf("%d counted, want %d", got, before+1)
			}
		})
	}
	t.Run("oneway to a method with an answer", func(t *testing.T) {
		conn.send(nativeFrame(4, codec.IDCompact, raftpb.RaftPeerVote.ID, 0, 6, []byte{0}))
		conn.send(voteFrame(7))
		if f := conn.readFrame(); binary.BigEndian.Uint32(f[8:]) != 7 {
			t.Errorf("answer is % x", f[:16])
		}
	})
}

// A frame that ends early is never served, at whichever byte it ends.
func TestFrameCutAtEveryByte(t *testing.T) {
	served := make(chan *transport.Call, 1)
	n := listen(t, 1, func(c *transport.Call) { served <- c })
	hello := helloFrame(nil)
	for name, c := range map[string]struct{ before, frame []byte }{
		"compact": {nil, proposeFrame(t, 1, "command")},
		"native":  {hello, voteFrame(1)},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range c.frame {
				before := n.Metrics()
				conn := rawDial(t, n.Addr())
				if c.before != nil {
					conn.send(c.before)
					conn.readFrame()
				}
				conn.send(c.frame[:i])
				conn.closeWrite()
				conn.wantEOF()
				eventually(t, func() bool { return n.Metrics().ConnsIn == 0 })
				cut := n.Metrics().Refused[transport.ReasonTruncated] - before.Refused[transport.ReasonTruncated]
				if want := uint64(min(i, 1)); cut != want {
					t.Fatalf("cut at byte %d: counted %d times, want %d", i, cut, want)
				}
			}
			if len(served) != 0 {
				t.Error("a cut frame was served")
			}
		})
	}
}

// Noise on many connections does not disturb a peer.
func TestNoiseDoesNotDisturbPeers(t *testing.T) {
	server := listen(t, 2, appendOK)
	peer := listen(t, 1, appendOK)
	peer.SetPeer(2, server.Addr())
	rng := rand.New(rand.NewPCG(1, 2))
	ended := make(chan error, 1)
	for range 200 {
		noise := make([]byte, 1+rng.IntN(200))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		if rng.IntN(2) == 0 {
			noise = append(helloFrame(nil)[:20+rng.IntN(40)], noise...)
		}
		c, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(noise) // it may be closed already
		c.Close()
		eventually(t, func() bool {
			return peer.Call(2, transport.LaneAppend, raftpb.RaftPeerAppend, appendBatch(3, 50), func(_ codec.Message, err error) { ended <- err }) == nil
		})
		if err := receive(t, ended); err != nil {
			t.Fatal(err)
		}
	}
	if n := peer.Metrics().Dials; n != 1 {
		t.Errorf("%d dials, want 1", n)
	}
}

// fakePeer listens as node 2 would, answers Handshake with hello, and then runs script.
func fakePeer(t *testing.T, hello func(h *raftpb.Hello), script func(c *rawConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(t.Context(), func() { c.Close() })
				defer stop()
				conn := &rawConn{c.(*net.TCPConn), t, func(error) { runtime.Goexit() }}
				serveFake(conn, hello, script)
				<-over
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		close(over)
		wg.Wait()
	})
	return ln.Addr().String()
}

func serveFake(c *rawConn, hello func(h *raftpb.Hello), script func(c *rawConn)) {
	if hello != nil {
		c.readFrame()
		h := raftpb.Hello{
			Version: raftpb.ProtocolVersion, Cluster: "test", Node: 2, Features: 1,
			Codecs: []raftpb.Codec{raftpb.CodecThriftCompact}, MaxFrame: raftpb.MaxFrameBytes,
		}
		hello(&h)
		result := raftpb.RaftPeerHandshakeResult{Return: &h}
		c.send(compactFrame(2, "Handshake", 1, result.AppendCompact(nil)))
	}
	if script != nil {
		script(c)
	}
}

// What a dialed node says wrong is refused here, and counted.
func TestHostileAcceptor(t *testing.T) {
	asIs := func(*raftpb.Hello) {}
	voteAnswer := (&raftpb.VoteResponse{Group: 1}).AppendCompact(nil)
	reply := func(kind byte, method uint16, seq uint32, body []byte) func(c *rawConn) {
		return func(c *rawConn) {
			c.readFrame()
			c.send(nativeFrame(kind, codec.IDCompact, method, 0, seq, body))
		}
	}
	for name, c := range map[string]struct {
		hello  func(h *raftpb.Hello)
		script func(c *rawConn)
		reason transport.Reason
	}{
		"another node":    {func(h *raftpb.Hello) { h.Node = 3 }, nil, transport.ReasonWrongNode},
		"another cluster": {func(h *raftpb.Hello) { h.Cluster = "x" }, nil, transport.ReasonWrongCluster},
		"another version": {func(h *raftpb.Hello) { h.Version = 0 }, nil, transport.ReasonWrongVersion},
		"smaller frames":  {func(h *raftpb.Hello) { h.MaxFrame = 100 }, nil, transport.ReasonSmallFrames},
		"no codec":        {func(h *raftpb.Hello) { h.Codecs = nil }, nil, transport.ReasonUnknownCodec},
		"garbage first":   {nil, func(c *rawConn) { c.send([]byte("SSH-2.0-OpenSSH_9.2\r\n")) }, transport.ReasonTooLong},
		"native first":    {nil, func(c *rawConn) { c.send(voteFrame(1)) }, transport.ReasonNoHandshake},
		"call, not reply": {nil, func(c *rawConn) { c.send(helloFrame(nil)) }, transport.ReasonBadKind},
		"bad hello":       {nil, func(c *rawConn) { c.readFrame(); c.send(compactFrame(2, "Handshake", 1, []byte{0x0c})) }, transport.ReasonBadBody},
		"cut":             {nil, func(c *rawConn) { c.readFrame(); c.send([]byte{0, 0, 0}); c.CloseWrite() }, transport.ReasonTruncated},
		"unknown seq":     {asIs, reply(2, raftpb.RaftPeerVote.ID, 77, voteAnswer), transport.ReasonUnknownSeq},
		"other method":    {asIs, reply(2, raftpb.RaftPeerAppend.ID, 2, voteAnswer), transport.ReasonUnknownSeq},
		"call back":       {asIs, reply(1, raftpb.RaftPeerVote.ID, 2, voteAnswer), transport.ReasonBadKind},
		"bad checksum":    {asIs, func(c *rawConn) { c.readFrame(); c.send(edit(voteFrame(2), 19, 0)) }, transport.ReasonChecksum},
		"thrift seq":      {asIs, func(c *rawConn) { c.readFrame(); c.send(compactFrame(2, "Vote", 77, []byte{0})) }, transport.ReasonUnknownSeq},
	} {
		t.Run(name, func(t *testing.T) {
			n := listen(t, 1, propose)
			n.SetPeer(2, fakePeer(t, c.hello, c.script))
			ended := make(chan error, 1000)
			eventually(t, func() bool {
				_ = n.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, func(_ codec.Message, err error) { ended <- err })
				return n.Metrics().Refused[c.reason] > 0
			})
			if m := n.Metrics(); m.CallsOut > 0 {
				if err := receive(t, ended); err != transport.ErrDisconnected && err != transport.ErrUnreachable {
					t.Errorf("call ended with %v", err)
				}
			}
		})
	}
}

// An answer that does not decode ends its call and not the connection.
func TestBadAnswersEndTheirCall(t *testing.T) {
	n := listen(t, 1, propose)
	bodies := map[uint32][]byte{2: {0xff}, 3: (&raftpb.VoteResponse{Granted: true}).AppendCompact(nil)}
	n.SetPeer(2, fakePeer(t, func(*raftpb.Hello) {}, func(c *rawConn) {
		for range 2 {
			seq := binary.BigEndian.Uint32(c.readFrame()[8:])
			c.send(nativeFrame(2, codec.IDCompact, raftpb.RaftPeerVote.ID, 0, seq, bodies[seq]))
		}
	}))
	ended := make(chan error, 2)
	vote := func() error {
		return n.Call(2, transport.LaneControl, raftpb.RaftPeerVote, &raftpb.VoteRequest{}, func(_ codec.Message, err error) { ended <- err })
	}
	eventually(t, func() bool { return vote() == nil })
	var violation *transport.ProtocolError
	if err := receive(t, ended); !errors.As(err, &violation) || violation.Reason != transport.ReasonBadBody {
		t.Errorf("got %v, want a ProtocolError", err)
	}
	if err := vote(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, ended); err != nil {
		t.Errorf("next call: %v", err)
	}
	if c := n.Metrics().Dials; c != 1 {
		t.Errorf("%d dials, want 1", c)
	}
}
