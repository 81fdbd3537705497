package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"go.uber.org/zap"
)

// go.etcd.io/raft driven as an expert host would: one loop owns the RawNode,
// AsyncStorageWrites takes sync and apply off that loop, proposals enter in batches,
// all appends that wait for the disk share one sync of etcd's WAL, and messages are
// coalesced per connection.

func etcdRaftEngine() engine { return engine{name: "etcdraft", start: startEtcdRaft} }

const (
	etcdRaftTick        = 100 * time.Millisecond
	etcdRaftKeepEntries = 8192  // log entries kept in memory below the applied index
	etcdRaftCompactStep = 32768 // compact the in-memory log this often
)

type etcdRaftNode struct {
	machine machine
	id      uint64
	rn      *raft.RawNode // owned by loop
	storage *raft.MemoryStorage
	wal     *wal.WAL
	yield   bool

	proposals *batchQueue[etcdRaftProposal]
	inbox     *batchQueue[*raftpb.Message]  // from peers and from the storage goroutines
	appends   *batchQueue[*raftpb.Message]  // MsgStorageAppend
	applies   *batchQueue[*raftpb.Message]  // MsgStorageApply
	waiting   *batchQueue[etcdRaftProposal] // proposed, in log order, not yet applied
	peers     map[uint64]*etcdRaftPeer
	handOver  chan uint64
	stop      chan struct{}
	done      sync.WaitGroup

	leads     atomic.Bool
	applied   atomic.Uint64
	proposed  atomic.Uint64 // sequence numbers given out
	compacted uint64        // owned by loop
	lis       net.Listener
}

func startEtcdRaft(cfg NodeConfig) (_ Node, err error) {
	n := &etcdRaftNode{
		id: uint64(cfg.ID), storage: raft.NewMemoryStorage(), yield: !cfg.Opt.NoYield,
		proposals: newBatchQueue[etcdRaftProposal](), inbox: newBatchQueue[*raftpb.Message](),
		appends: newBatchQueue[*raftpb.Message](), applies: newBatchQueue[*raftpb.Message](),
		waiting: newBatchQueue[etcdRaftProposal](),
		peers:   map[uint64]*etcdRaftPeer{}, handOver: make(chan uint64, 1), stop: make(chan struct{}),
	}
	boot, err := n.bootstrap(cfg)
	if err != nil {
		return nil, err
	}
	rc := &raft.Config{
		ID: n.id, ElectionTick: 10, HeartbeatTick: 1, Storage: n.storage, Applied: boot,
		AsyncStorageWrites: true,
		MaxSizePerMsg:      1 << 20, MaxCommittedSizePerReady: 64 << 20, MaxInflightMsgs: 1024,
		CheckQuorum: true, PreVote: true, DisableProposalForwarding: true,
		Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
	}
	if cfg.Opt.Default { // the constants that etcd itself uses
		rc.MaxSizePerMsg, rc.MaxInflightMsgs = 512*1024, 512
	}
	if n.rn, err = raft.NewRawNode(rc); err != nil {
		return nil, err
	}
	if n.lis, err = net.Listen("tcp", cfg.Addrs[cfg.ID-1]); err != nil {
		return nil, err
	}
	go n.accept()
	for i, addr := range cfg.Addrs {
		if id := uint64(i + 1); id != n.id {
			n.peers[id] = &etcdRaftPeer{addr: addr, out: newBatchQueue[*raftpb.Message]()}
			n.done.Go(n.peers[id].send)
		}
	}
	n.done.Go(n.loop)
	n.done.Go(n.appendLoop)
	n.done.Go(n.applyLoop)
	return n, nil
}

// bootstrap starts from a snapshot that holds nothing but the membership, and
// returns its index.
func (n *etcdRaftNode) bootstrap(cfg NodeConfig) (uint64, error) {
	const bootIndex, bootTerm = 1, 1
	voters := make([]uint64, len(cfg.Addrs))
	for i := range voters {
		voters[i] = uint64(i + 1)
	}
	confState := &raftpb.ConfState{Voters: voters}
	err := n.storage.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: new(uint64(bootIndex)), Term: new(uint64(bootTerm)), ConfState: confState,
	}})
	if err != nil {
		return 0, err
	}
	if n.wal, err = wal.Create(zap.NewNop(), filepath.Join(cfg.Dir, "wal"), nil); err != nil {
		return 0, err
	}
	err = n.wal.SaveSnapshot(&walpb.Snapshot{Index: new(uint64(bootIndex)), Term: new(uint64(bootTerm)), ConfState: confState})
	if err != nil {
		return 0, err
	}
	n.applied.Store(bootIndex)
	n.compacted = bootIndex
	return bootIndex, nil
}

// loop owns the RawNode: it feeds it ticks, messages and proposals and hands out
// what comes of them.
func (n *etcdRaftNode) loop() {
	tick := time.NewTicker(etcdRaftTick)
	defer tick.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-tick.C:
			n.rn.Tick()
			n.compact()
		case to := <-n.handOver:
			n.rn.TransferLeader(to)
		case <-n.inbox.wake:
		case <-n.proposals.wake:
			if n.yield {
				runtime.Gosched()
			}
		}
		msgs := n.inbox.take()
		for _, m := range msgs {
			if err := n.rn.Step(m); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
				fmt.Fprintln(os.Stderr, "etcdraft: step:", err)
			}
		}
		if msgs != nil {
			n.inbox.recycle(msgs)
		}
		if batch := n.proposals.take(); batch != nil {
			n.propose(batch)
			n.proposals.recycle(batch)
		}
		for n.rn.HasReady() {
			n.handOut(n.rn.Ready())
		}
	}
}

func (n *etcdRaftNode) handOut(rd raft.Ready) {
	if rd.SoftState != nil {
		n.leads.Store(rd.SoftState.RaftState == raft.StateLeader)
	}
	for _, m := range rd.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			n.appends.push(m)
		case raft.LocalApplyThread:
			n.applies.push(m)
		default:
			n.deliver(m)
		}
	}
}

// propose appends one batch of clients' commands to the log.
func (n *etcdRaftNode) propose(batch []etcdRaftProposal) {
	entries := make([]*raftpb.Entry, len(batch))
	for i, p := range batch {
		entries[i] = &raftpb.Entry{Data: p.data}
	}
	// Queue the waiters first: with the disk off this loop, the apply loop may get to
	// the entries at any time after Step.
	n.waiting.pushAll(batch)
	err := n.rn.Step(&raftpb.Message{Type: raftpb.MsgProp.Enum(), From: new(n.id), Entries: entries})
	if err != nil { // not leading: nothing of the batch entered the log
		for _, p := range batch {
			p.done <- err
		}
	}
}

// deliver routes a message to this node or to a peer.
func (n *etcdRaftNode) deliver(m *raftpb.Message) {
	if m.GetTo() == n.id {
		n.inbox.push(m)
	} else if p := n.peers[m.GetTo()]; p != nil {
		p.out.push(m)
	}
}

// compact drops old entries from the in-memory log, but none that a follower still
// needs.
func (n *etcdRaftNode) compact() {
	upTo := n.applied.Load()
	if n.leads.Load() {
		n.rn.WithProgress(func(_ uint64, _ raft.ProgressType, pr tracker.Progress) { upTo = min(upTo, pr.Match) })
	}
	if upTo < n.compacted+etcdRaftCompactStep {
		return
	}
	upTo -= etcdRaftKeepEntries
	if err := n.storage.Compact(upTo); err == nil {
		n.compacted = upTo
	}
}

func (n *etcdRaftNode) Leads(int) bool { return n.leads.Load() }

func (n *etcdRaftNode) HandOver(_, to int) {
	select {
	case n.handOver <- uint64(to):
	default:
	}
}

func (n *etcdRaftNode) Applied() state { return n.machine.state() }

func (n *etcdRaftNode) Close() error {
	close(n.stop)
	err := n.lis.Close()
	for _, p := range n.peers {
		p.close()
	}
	n.appends.close()
	n.applies.close()
	n.waiting.close()
	n.done.Wait()
	return errors.Join(err, n.wal.Close())
}

// A command in the log follows the proposer's id and a sequence number that lets
// the proposer recognise its own.
const etcdRaftHeader = 16

type etcdRaftProposal struct {
	seq  uint64
	data []byte // header and command; the log keeps it
	done chan error
}

type etcdRaftClient struct {
	n    *etcdRaftNode
	done chan error
}

func (n *etcdRaftNode) Client(int) (Client, error) {
	return etcdRaftClient{n, make(chan error, 1)}, nil
}

func (c etcdRaftClient) Propose(cmd []byte) error {
	p := etcdRaftProposal{seq: c.n.proposed.Add(1), data: make([]byte, etcdRaftHeader+len(cmd)), done: c.done}
	binary.LittleEndian.PutUint64(p.data, c.n.id)
	binary.LittleEndian.PutUint64(p.data[8:], p.seq)
	copy(p.data[etcdRaftHeader:], cmd)
	c.n.proposals.push(p)
	return <-c.done
}
