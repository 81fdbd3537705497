package transport_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// rawConn speaks bytes, as a hostile or a foreign program does.
type rawConn struct {
	*net.TCPConn
	t    testing.TB
	fail func(err error) // a failed read or write
}

func rawDial(t testing.TB, addr string) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{c.(*net.TCPConn), t, func(err error) { t.Helper(); t.Fatal(err) }}
}

func (c *rawConn) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.fail(err)
	}
}

func (c *rawConn) closeWrite() {
	c.t.Helper()
	if err := c.CloseWrite(); err != nil {
		c.fail(err)
	}
}

// readFrame returns the next frame without its length.
func (c *rawConn) readFrame() []byte {
	c.t.Helper()
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		c.fail(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		c.fail(err)
	}
	return b
}

// wantEOF waits until the other side has closed.
func (c *rawConn) wantEOF() {
	c.t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n > 0 {
		c.t.Fatal("more bytes where the end was expected")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection was not closed")
	}
}

// compactFrame is a framed Compact message: type 1 is a call.
func compactFrame(typ byte, name string, seqid uint32, args []byte) []byte {
	b := []byte{0, 0, 0, 0, 0x82, typ<<5 | 1}
	b = binary.AppendUvarint(b, uint64(seqid))
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(append(b, name...), args...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func proposeFrame(t testing.TB, seqid uint32, command string) []byte {
	t.Helper()
	args := &raftpb.RaftClientProposeArgs{Req: &raftpb.ProposeRequest{Group: 1, Command: []byte(command)}}
	return compactFrame(1, "Propose", seqid, args.AppendCompact(nil))
}

// helloFrame is the Handshake call of node 9 to node 1, as change left it.
func helloFrame(change func(h *raftpb.Hello)) []byte {
	h := &raftpb.Hello{
		Version: raftpb.ProtocolVersion, Cluster: "test", Node: 9, Target: 1, Features: 1,
		Codecs: []raftpb.Codec{raftpb.CodecThriftCompact}, MaxFrame: raftpb.MaxFrameBytes,
	}
	if change != nil {
		change(h)
	}
	args := &raftpb.RaftPeerHandshakeArgs{Req: h}
	return compactFrame(1, "Handshake", 1, args.AppendCompact(nil))
}
