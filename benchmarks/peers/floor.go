package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// floor is not a Raft engine: member 1 always leads, nothing is ever sent again
// and a restart finds no state. It does only what no replicated log can do without:
// batch, checksum, copy to two followers over TCP, make durable on a quorum, apply,
// wake. It shows what the machine and the Go runtime leave room for, and so how far
// an engine is from the least that its work costs.
func floorEngines() []engine {
	variant := func(name string, l floorLog) engine {
		return engine{name: name, start: func(cfg NodeConfig) (Node, error) { return startFloor(cfg, l) }}
	}
	return []engine{
		// A prewritten (recycled) segment, write and fdatasync.
		variant("floor", floorLog{prewritten: true}),
		// The file grows, write and fdatasync.
		variant("floor-grow", floorLog{}),
		// A prewritten segment, O_DIRECT and O_DSYNC.
		variant("floor-direct", floorLog{prewritten: true, direct: true}),
		// The same with two writes under way at a time.
		variant("floor-pipe", floorLog{prewritten: true, direct: true, depth: 2}),
	}
}

// A frame is a batch of commands:
//
//	u32 size of the rest | u32 crc32c of what follows | u64 first index | u64 last index |
//	one or more (u32 length, command)
const (
	floorHeader    = 24
	floorSegment   = 256 << 20
	floorMaxBuffer = 8 << 20
)

type floorProposal struct {
	cmd  []byte
	done chan error
}

type floorNode struct {
	machine machine
	leader  bool
	yield   bool
	log     floorLog
	lis     net.Listener

	proposals *batchQueue[floorProposal]
	toDisk    *batchQueue[[]byte] // frames for the local log
	links     []*floorLink        // leader: to the followers
	ack       func(uint64)        // called with the index that just became durable here

	mu        sync.Mutex
	durable   [members]uint64
	committed uint64
	inFlight  *batchQueue[floorProposal] // leader: proposed, in log order
	commits   chan struct{}
	closed    atomic.Bool
}

type floorLink struct {
	conn net.Conn
	out  *batchQueue[[]byte]
}

func startFloor(cfg NodeConfig, l floorLog) (Node, error) {
	n := &floorNode{
		leader: cfg.ID == 1, yield: !cfg.Opt.NoYield, log: l,
		proposals: newBatchQueue[floorProposal](), toDisk: newBatchQueue[[]byte](),
		inFlight: newBatchQueue[floorProposal](), commits: make(chan struct{}, 1),
	}
	if err := n.log.open(filepath.Join(cfg.Dir, "log")); err != nil {
		return nil, err
	}
	begin := n.startFollower
	if n.leader {
		begin = n.startLeader
	}
	if err := begin(cfg); err != nil {
		return nil, err
	}
	if n.log.depth > 1 {
		go n.diskPipe()
	} else {
		go n.diskLoop()
	}
	return n, nil
}

func (n *floorNode) startLeader(cfg NodeConfig) error {
	n.ack = func(index uint64) { n.acked(0, index) }
	for i, addr := range cfg.Addrs[1:] {
		conn, err := dialUntil(addr, 20*time.Second)
		if err != nil {
			return err
		}
		link := &floorLink{conn: conn, out: newBatchQueue[[]byte]()}
		n.links = append(n.links, link)
		go link.send()
		go func() {
			in := bufio.NewReader(conn)
			var b [8]byte
			for {
				if _, err := io.ReadFull(in, b[:]); err != nil {
					return
				}
				n.acked(i+1, binary.LittleEndian.Uint64(b[:]))
			}
		}()
	}
	go n.lead()
	go n.applyLoop()
	return nil
}

func (n *floorNode) startFollower(cfg NodeConfig) (err error) {
	if n.lis, err = net.Listen("tcp", cfg.Addrs[cfg.ID-1]); err != nil {
		return err
	}
	go func() {
		conn, err := n.lis.Accept()
		if err != nil {
			return
		}
		n.ack = func(index uint64) {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], index)
			if _, err := conn.Write(b[:]); err != nil && !n.closed.Load() {
				n.fatal(err)
			}
		}
		n.follow(conn)
	}()
	return nil
}

func dialUntil(addr string, limit time.Duration) (net.Conn, error) {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil || time.Now().After(end) {
			return c, err
		}
	}
}

// lead cuts batches and hands each frame to the disk and to both followers.
func (n *floorNode) lead() {
	index := uint64(0)
	for {
		<-n.proposals.wake
		if n.yield {
			runtime.Gosched()
		}
		batch := n.proposals.take()
		if batch == nil {
			if n.closed.Load() {
				return
			}
			continue
		}
		frame := floorFrame(batch, index)
		index += uint64(len(batch))
		n.inFlight.pushAll(batch)
		for _, l := range n.links {
			l.out.push(frame)
		}
		n.toDisk.push(frame)
		n.proposals.recycle(batch)
	}
}

// floorFrame encodes batch, whose first command follows index.
func floorFrame(batch []floorProposal, index uint64) []byte {
	size := floorHeader
	for _, p := range batch {
		size += 4 + len(p.cmd)
	}
	frame := make([]byte, floorHeader, size)
	for _, p := range batch {
		frame = binary.LittleEndian.AppendUint32(frame, uint32(len(p.cmd)))
		frame = append(frame, p.cmd...)
	}
	binary.LittleEndian.PutUint32(frame, uint32(size-4))
	binary.LittleEndian.PutUint64(frame[8:], index+1)
	binary.LittleEndian.PutUint64(frame[16:], index+uint64(len(batch)))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
	return frame
}

// frameLast is the index of a frame's last command.
func frameLast(frame []byte) uint64 { return binary.LittleEndian.Uint64(frame[16:]) }

func (l *floorLink) send() {
	for {
		frames, ok := l.out.wait()
		if !ok {
			return
		}
		bufs := make(net.Buffers, len(frames))
		copy(bufs, frames)
		l.out.recycle(frames)
		if _, err := bufs.WriteTo(l.conn); err != nil {
			return
		}
	}
}

// acked notes progress of a member and moves the commit index.
func (n *floorNode) acked(member int, index uint64) {
	n.mu.Lock()
	n.durable[member] = index
	a, b, c := n.durable[0], n.durable[1], n.durable[2]
	quorum := max(min(a, b), min(max(a, b), c))
	moved := quorum > n.committed
	n.committed = quorum
	n.mu.Unlock()
	if moved {
		select {
		case n.commits <- struct{}{}:
		default:
		}
	}
}

// applyLoop applies committed commands and wakes their clients.
func (n *floorNode) applyLoop() {
	var front []floorProposal
	applied := uint64(0)
	for range n.commits {
		n.mu.Lock()
		target := n.committed
		n.mu.Unlock()
		for ; applied < target; applied++ {
			if len(front) == 0 {
				front, _ = n.inFlight.wait()
			}
			n.machine.apply(front[0].cmd)
			front[0].done <- nil
			front = front[1:]
		}
	}
}

// follow receives frames. A follower applies at once: it has nobody to answer to,
// and commit order is the order of arrival.
func (n *floorNode) follow(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 512<<10)
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		frame := make([]byte, 4+binary.LittleEndian.Uint32(head[:]))
		copy(frame, head[:])
		if _, err := io.ReadFull(in, frame[4:]); err != nil {
			return
		}
		if crc32.Checksum(frame[8:], castagnoli) != binary.LittleEndian.Uint32(frame[4:]) {
			n.fatal(errors.New("corrupt frame"))
		}
		for at := floorHeader; at < len(frame); {
			size := int(binary.LittleEndian.Uint32(frame[at:]))
			n.machine.apply(frame[at+4 : at+4+size])
			at += 4 + size
		}
		n.toDisk.push(frame)
	}
}

// fatal ends the process: what the floor does not do is to survive a failure.
func (n *floorNode) fatal(err error) {
	fmt.Fprintln(os.Stderr, "floor:", err)
	os.Exit(1)
}

func (n *floorNode) Leads(int) bool { return n.leader }

func (n *floorNode) HandOver(int, int) {}

func (n *floorNode) Client(int) (Client, error) {
	if !n.leader {
		return nil, errors.New("floor: only member 1 takes proposals")
	}
	return floorClient{n, make(chan error, 1)}, nil
}

func (n *floorNode) Applied() state { return n.machine.state() }

func (n *floorNode) Close() error {
	n.closed.Store(true)
	n.proposals.close()
	n.toDisk.close()
	var errs []error
	for _, l := range n.links {
		l.out.close()
		errs = append(errs, l.conn.Close())
	}
	if n.lis != nil {
		errs = append(errs, n.lis.Close())
	}
	return errors.Join(errs...)
}

type floorClient struct {
	n    *floorNode
	done chan error
}

func (c floorClient) Propose(cmd []byte) error {
	c.n.proposals.push(floorProposal{cmd, c.done})
	return <-c.done
}
