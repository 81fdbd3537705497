package main

import (
	"encoding/binary"
	"fmt"
	"os"

	"go.etcd.io/raft/v3/raftpb"
)

// appendLoop makes log entries durable. All that queued up while the last sync ran
// shares the next one.
func (n *etcdRaftNode) appendLoop() {
	for {
		batch, ok := n.appends.wait()
		if !ok {
			return
		}
		n.save(batch)
		for _, m := range batch {
			n.respond(m.GetResponses())
		}
		n.appends.recycle(batch)
	}
}

func (n *etcdRaftNode) save(batch []*raftpb.Message) {
	var hard *raftpb.HardState
	entries := batch[0].GetEntries()
	for i, m := range batch {
		if i > 0 {
			entries = append(entries[:len(entries):len(entries)], m.GetEntries()...)
		}
		if m.Term != nil {
			hard = &raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
		}
		if m.Snapshot != nil {
			etcdRaftFatal("a member fell behind the in-memory log, and this host does not do snapshots", nil)
		}
	}
	if err := n.wal.Save(hard, entries); err != nil {
		etcdRaftFatal("wal", err)
	}
	for _, m := range batch {
		if err := n.storage.Append(m.GetEntries()); err != nil {
			etcdRaftFatal("storage", err)
		}
	}
	if hard != nil {
		n.storage.SetHardState(hard)
	}
}

// etcdRaftFatal ends the process: a node that cannot store must not go on.
func etcdRaftFatal(what string, err error) {
	fmt.Fprintln(os.Stderr, "etcdraft:", what, err)
	os.Exit(1)
}

// respond delivers the messages that waited for a storage write.
func (n *etcdRaftNode) respond(msgs []*raftpb.Message) {
	for _, m := range msgs {
		n.deliver(m)
	}
}

// applyLoop runs the state machine and wakes the clients.
func (n *etcdRaftNode) applyLoop() {
	var front []etcdRaftProposal // waiters taken but not yet reached
	for {
		batch, ok := n.applies.wait()
		if !ok {
			return
		}
		for _, m := range batch {
			for _, e := range m.GetEntries() {
				front = n.apply(e, front)
			}
			if ents := m.GetEntries(); len(ents) > 0 {
				n.applied.Store(ents[len(ents)-1].GetIndex())
			}
			n.respond(m.GetResponses())
		}
		n.applies.recycle(batch)
	}
}

// apply applies one entry; its waiter, and those before it that never got into the
// log, leave the front.
func (n *etcdRaftNode) apply(e *raftpb.Entry, front []etcdRaftProposal) []etcdRaftProposal {
	data := e.GetData()
	if e.GetType() != raftpb.EntryNormal || len(data) < etcdRaftHeader {
		return front
	}
	n.machine.apply(data[etcdRaftHeader:])
	if binary.LittleEndian.Uint64(data) != n.id {
		return front
	}
	want := binary.LittleEndian.Uint64(data[8:])
	for {
		if len(front) == 0 {
			front, _ = n.waiting.wait()
		}
		p := front[0]
		front = front[1:]
		if p.seq == want {
			p.done <- nil
			return front
		}
	}
}
