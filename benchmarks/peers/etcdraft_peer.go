package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// etcdRaftPeer is the outgoing connection to one peer. A frame is a 4-byte length
// and a protobuf message.
type etcdRaftPeer struct {
	addr string
	out  *batchQueue[*raftpb.Message]
	mu   sync.Mutex
	conn net.Conn
	shut bool
}

func (p *etcdRaftPeer) send() {
	var buf []byte
	for {
		batch, ok := p.out.wait()
		if !ok {
			return
		}
		conn := p.connect()
		if conn == nil {
			p.out.recycle(batch) // dropped; raft tries again
			time.Sleep(20 * time.Millisecond)
			continue
		}
		var err error
		buf, err = writeMessages(conn, buf, batch)
		p.out.recycle(batch)
		if err != nil {
			p.disconnect()
		}
	}
}

// writeMessages sends batch in as few writes as is sensible.
func writeMessages(conn net.Conn, buf []byte, batch []*raftpb.Message) (_ []byte, err error) {
	const flushAt = 256 << 10
	buf = buf[:0]
	for _, m := range batch {
		at := len(buf)
		buf = append(buf, 0, 0, 0, 0)
		if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf, m); err != nil {
			etcdRaftFatal("marshal", err)
		}
		binary.LittleEndian.PutUint32(buf[at:], uint32(len(buf)-at-4))
		if len(buf) > flushAt {
			if _, err := conn.Write(buf); err != nil {
				return buf, err
			}
			buf = buf[:0]
		}
	}
	_, err = conn.Write(buf)
	return buf, err
}

func (p *etcdRaftPeer) connect() net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil && !p.shut {
		conn, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err != nil {
			return nil
		}
		p.conn = conn
	}
	return p.conn
}

func (p *etcdRaftPeer) disconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

func (p *etcdRaftPeer) close() {
	p.out.close()
	p.mu.Lock()
	p.shut = true
	p.mu.Unlock()
	p.disconnect()
}

func (n *etcdRaftNode) accept() {
	for {
		conn, err := n.lis.Accept()
		if err != nil {
			return
		}
		go n.receive(conn)
	}
}

// receive decodes frames and passes on, in one go, all that arrived together.
func (n *etcdRaftNode) receive(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 512<<10)
	var head [4]byte
	var frame []byte
	var msgs []*raftpb.Message
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		size := int(binary.LittleEndian.Uint32(head[:]))
		if cap(frame) < size {
			frame = make([]byte, size)
		}
		frame = frame[:size]
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		m := new(raftpb.Message)
		if err := proto.Unmarshal(frame, m); err != nil {
			return
		}
		msgs = append(msgs, m)
		if in.Buffered() < 4 || len(msgs) >= 64 {
			n.inbox.pushAll(msgs)
			clear(msgs)
			msgs = msgs[:0]
		}
	}
}
