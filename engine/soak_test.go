package engine_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

var (
	proofCommands = flag.Int("proof.commands", 2000, "commands in TestEveryRetryGetsTheFirstAnswer, each sent twice or more")
	proofFaults   = flag.Int("proof.faults", 2, "of each: changes of leader, snapshots installed, crashes, in that test")
)

// retrier is a client that sends every command at least twice, to whoever may lead.
type retrier struct {
	c       *cluster
	w       *transport.Memory
	clients map[engine.NodeID]*transport.Client
	to      engine.NodeID
	sent    *atomic.Int64
}

func (r *retrier) close() {
	for _, c := range r.clients {
		c.Close()
	}
}

// send makes one attempt, and goes to another node after a failure.
func (r *retrier) send(ctx context.Context, session, serial, acked int64, cmd []byte) (raftpb.ProposeResponse, error) {
	var resp raftpb.ProposeResponse
	client := r.clients[r.to]
	if client == nil {
		var err error
		if client, err = transport.Dial(ctx, r.c.addrs[r.to], transport.ClientConfig{Dial: r.w.Dial}); err != nil {
			r.to = r.to%3 + 1
			return resp, err
		}
		r.clients[r.to] = client
	}
	req := &raftpb.ProposeRequest{
		Group: groupID, Command: cmd, Session: opt(session), Serial: opt(serial), AckedBelow: opt(acked), TimeoutMs: 500,
	}
	r.sent.Add(1)
	attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := client.Call(attempt, raftpb.RaftClientPropose, req, &resp)
	var notLeader *raftpb.NotLeader
	switch {
	case err == nil:
	case errors.As(err, &notLeader) && notLeader.Leader.Set && notLeader.Leader.Value != r.to:
		r.to = notLeader.Leader.Value
	default:
		client.Close()
		delete(r.clients, r.to)
		r.to = r.to%3 + 1
	}
	return resp, err
}

// propose sends until there is an answer.
func (r *retrier) propose(ctx context.Context, session, serial, acked int64, cmd []byte) (raftpb.ProposeResponse, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		resp, err := r.send(ctx, session, serial, acked, cmd)
		var rejected *raftpb.Rejected
		if err == nil || errors.As(err, &rejected) && rejected.Code != raftpb.RejectCodeBusy || ctx.Err() != nil {
			return resp, err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// receipt is a command of the proof: it says who sent it, and as which one.
type receipt struct{ client, serial uint64 }

func (r receipt) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.client), r.serial)
}

func receiptOf(b []byte) receipt {
	return receipt{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// register is a machine that keeps every receipt, in order. The answer to one is its
// place: applied again, it would have another.
type register struct{ list []receipt }

func (m *register) Apply(b engine.Batch, results []engine.Result) error {
	for i, cmd := range b.Commands {
		m.list = append(m.list, receiptOf(cmd.Data))
		results[i].Data = binary.BigEndian.AppendUint64(nil, uint64(len(m.list)))
	}
	return nil
}

func (*register) Query([]byte) ([]byte, error) { return nil, errors.New("register: no queries") }

func (m *register) Snapshot() (engine.Snapshot, error) {
	b := make([]byte, 0, 16*len(m.list))
	for _, r := range m.list {
		b = append(b, r.bytes()...)
	}
	return engine.BytesSnapshot(b), nil
}

func (m *register) Restore(r io.Reader) error {
	m.list = nil
	in, b := bufio.NewReader(r), make([]byte, 16)
	for {
		if _, err := io.ReadFull(in, b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		m.list = append(m.list, receiptOf(b))
	}
}

// answer is what the first attempt that was answered returned.
type answer struct {
	index engine.Index
	place uint64
}

// storm is a cluster with registers on disks in memory, in a network that breaks.
type storm struct {
	*cluster
	w         *transport.Memory
	disks     map[engine.NodeID]*wal.CrashFS
	registers map[engine.NodeID]*register
	rng       *rand.Rand
	answered  atomic.Int64
	sent      atomic.Int64
	answers   [][]answer // of each client, by serial

	leaderships, installed, crashes, transfers uint64 // of hosts that run no more; crashes and transfers: all
}

const stormEntries = 200 // between snapshots

func newStorm(t *testing.T) *storm {
	s := &storm{registers: map[engine.NodeID]*register{}, rng: rand.New(rand.NewPCG(1, 1))}
	var inMemory func(*engine.Config)
	s.w, inMemory = world()
	disks, onDisk := onDisks(3)
	s.disks = disks
	s.cluster = newClusterOf(t, 0, func(cfg *engine.Config) {
		inMemory(cfg)
		onDisk(cfg)
		cfg.ElectionTimeout = 200 * time.Millisecond
		cfg.Snapshots = engine.SnapshotConfig{Entries: stormEntries, KeepEntries: 50}
		cfg.OnFatal = func(error) {} // a disk that is broken by a crash
	}, nil)
	for id := engine.NodeID(1); id <= 3; id++ {
		s.addrs[id] = fmt.Sprintf("node%d:1", id)
	}
	for id := range s.addrs {
		s.run(id)
	}
	return s
}

func (s *storm) run(id engine.NodeID) {
	s.machine = func() engine.StateMachine {
		s.registers[id] = &register{}
		return s.registers[id]
	}
	s.start(id)
}

// crash takes the power from a node: what it had not synced is gone, but for a random
// part, and nothing is promised after the moment that its disk remembers. Then it starts again.
func (s *storm) crash(id engine.NodeID) {
	disk := s.disks[id]
	thaw := disk.Freeze()
	s.disks[id] = disk.Crash(s.rng.IntN(101), s.rng.Uint64())
	disk.Break()
	thaw()
	s.count(id)
	_ = s.hosts[id].Close() // its log has failed
	delete(s.hosts, id)
	s.crashes++
	s.run(id)
}

func (s *storm) count(id engine.NodeID) {
	m := s.hosts[id].Metrics()
	s.leaderships += m.Leaderships
	s.installed += m.Snapshots.Installed
}

// seen is how often leaders changed and snapshots were installed, in all lives.
func (s *storm) seen() (leaderships, installed uint64) {
	leaderships, installed = s.leaderships, s.installed
	for _, h := range s.hosts {
		m := h.Metrics()
		leaderships += m.Leaderships
		installed += m.Snapshots.Installed
	}
	return leaderships, installed
}

// advance waits until the clients have got n more answers.
func (s *storm) advance(n int64) {
	before := s.answered.Load()
	s.eventually("the clients to get on", func() bool { return s.answered.Load() >= before+n || s.t.Failed() })
}

// fault is one thing that goes wrong.
func (s *storm) fault(kind int) {
	leader := s.leader()
	other := leader%3 + 1
	switch kind % 6 {
	case 0: // the leader is cut off, and may not know it
		heal := isolate(s.w, leader, 3)
		s.eventually("another leader", func() bool { now := s.group(other).Leader(); return now != 0 && now != leader })
		heal()
	case 1: // a follower misses more than the log keeps
		heal := isolate(s.w, other, 3)
		s.advance(stormEntries + 100)
		heal()
	case 2:
		s.crash(leader)
	case 3:
		if s.group(leader).Transfer(s.t.Context(), 0) == nil {
			s.transfers++
		}
	case 4: // a follower with a link that loses everything in one direction crashes
		s.w.Cut(leader, other)
		s.advance(stormEntries + 100)
		s.crash(other)
		s.w.Heal(leader, other)
	default: // connections break
		s.w.Break(leader, other)
		s.w.Break(leader, other%3+1)
	}
	s.advance(5)
}

// client sends commands until done is set: each until it is answered, and then an
// earlier one again.
func (s *storm) client(client int, session int64, done *atomic.Bool) {
	const window = 8
	rng := rand.New(rand.NewPCG(2, uint64(client)))
	r := &retrier{c: s.cluster, w: s.w, clients: map[engine.NodeID]*transport.Client{}, to: 1, sent: &s.sent}
	defer r.close()
	for serial := int64(1); !done.Load(); serial++ {
		acked := max(1, serial-window)
		first, err := r.propose(s.t.Context(), session, serial, acked, receipt{uint64(client), uint64(serial)}.bytes())
		if err != nil {
			s.t.Errorf("client %d command %d: %v", client, serial, err)
			return
		}
		s.answers[client] = append(s.answers[client], answer{first.Index, binary.BigEndian.Uint64(first.Result)})
		older := acked + rng.Int64N(serial-acked+1)
		again, err := r.propose(s.t.Context(), session, older, acked, receipt{uint64(client), uint64(older)}.bytes())
		want := s.answers[client][older-1]
		if err != nil || (answer{again.Index, binary.BigEndian.Uint64(again.Result)}) != want {
			s.t.Errorf("client %d command %d: again %+v, %v; want %+v", client, older, again, err, want)
			return
		}
		s.answered.Add(1)
	}
}

// judge compares what a replica holds with what the clients were told: every command
// once, at the place that its answer names, and those of a client in their order.
func (s *storm) judge(id engine.NodeID) {
	var list []receipt
	err := s.group(id).Read(s.t.Context(), engine.Stale, func() error { list = slices.Clone(s.registers[id].list); return nil })
	if err != nil {
		s.t.Fatalf("node %d: %v", id, err)
	}
	total := 0
	for _, a := range s.answers {
		total += len(a)
	}
	if len(list) != total {
		s.t.Errorf("node %d holds %d commands, %d were answered", id, len(list), total)
	}
	next, last := make([]uint64, len(s.answers)), engine.Index(0)
	for i, r := range list {
		if next[r.client]++; r.serial != next[r.client] || r.serial > uint64(len(s.answers[r.client])) {
			s.t.Fatalf("node %d, place %d: command %d of client %d, want its %d of %d", id, i+1, r.serial, r.client, next[r.client], len(s.answers[r.client]))
		}
		a := s.answers[r.client][r.serial-1]
		if a.place != uint64(i)+1 || a.index <= last {
			s.t.Fatalf("node %d, place %d: the answer to command %d of client %d was %+v, behind index %d", id, i+1, r.serial, r.client, a, last)
		}
		last = a.index
	}
}

// Clients send every command again though it was answered, and as often as it takes while
// leaders hand over, are cut off and lose power, and members come back so late that they get a
// snapshot. Every answer to a command is the same, and every member has applied it once: as they
// stand then, and after a power loss of each.
//
//	make sessions-proof    the same with 100,000 commands and 100 of each fault
func TestEveryRetryGetsTheFirstAnswer(t *testing.T) {
	const clients = 16
	s := newStorm(t)
	s.answers = make([][]answer, clients)
	var done atomic.Bool
	var running sync.WaitGroup
	defer running.Wait()
	defer done.Store(true)
	for client := range clients {
		session, err := s.group(s.leader()).Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { s.client(client, session.ID(), &done) })
	}
	want := uint64(*proofFaults)
	enough := func() bool {
		leaderships, installed := s.seen()
		return s.answered.Load() >= int64(*proofCommands) && leaderships > want && installed >= want && s.crashes >= want
	}
	faults := 0
	for ; !t.Failed() && !enough(); faults++ {
		if faults > 100+50**proofFaults {
			t.Fatal("too little happened")
		}
		s.fault(faults)
	}
	done.Store(true)
	running.Wait()
	leaderships, installed := s.seen()
	s.settled()
	for id := range s.addrs {
		s.judge(id)
		s.crash(id)
	}
	s.settled()
	for id := range s.addrs {
		s.judge(id)
	}
	t.Logf("%d commands sent %d times, each applied once on every member; %d faults: %d leaderships, %d hand-overs, %d snapshots installed, %d power losses",
		s.answered.Load(), s.sent.Load(), faults, leaderships, s.transfers, installed, s.crashes)
}

// settled waits until all members have applied the same.
func (s *storm) settled() {
	s.eventually("all members to have applied the same", func() bool {
		commit := s.status(s.leader()).Commit
		for id := range s.hosts {
			if s.group(id).Applied() < commit {
				return false
			}
		}
		return true
	})
}
