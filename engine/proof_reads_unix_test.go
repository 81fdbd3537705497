//go:build unix

package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

var proofReads = flag.Int("proof.reads", 10_000, "reads in TestReadsAreLinearizableThroughStopsAndKills")

// nodeEnvironment makes this test program a node of the proof of reads: id and addresses.
const nodeEnvironment = "RAFTWIRE_TEST_NODE"

// TestMain lets the program be a node of the proof.
func TestMain(m *testing.M) {
	if os.Getenv(nodeEnvironment) != "" {
		nodeOfReads()
		return
	}
	goleak.VerifyTestMain(m)
}

// cells is a machine: a number for every number.
type cells struct{ values map[uint32]uint64 }

func (m *cells) Apply(b engine.Batch, _ []engine.Result) error {
	for _, cmd := range b.Commands {
		m.values[binary.BigEndian.Uint32(cmd.Data)] = binary.BigEndian.Uint64(cmd.Data[4:])
	}
	return nil
}

func (m *cells) Query(q []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(nil, m.values[binary.BigEndian.Uint32(q)]), nil
}

func (m *cells) Snapshot() (engine.Snapshot, error) {
	var b []byte
	for k, v := range m.values {
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, k), v)
	}
	return engine.BytesSnapshot(b), nil
}

func (m *cells) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	m.values = map[uint32]uint64{}
	for ; len(b) >= 12; b = b[12:] {
		m.values[binary.BigEndian.Uint32(b)] = binary.BigEndian.Uint64(b[4:])
	}
	return err
}

const readsElection = 500 * time.Millisecond

// nodeOfReads is what a child process runs: a host, until its input ends. Then it tells
// how many of its reads were served in which way.
func nodeOfReads() {
	words := strings.Fields(os.Getenv(nodeEnvironment))
	self, err := strconv.Atoi(words[0])
	if err != nil {
		panic(err)
	}
	var members []engine.Member
	for i, addr := range words[2:] {
		members = append(members, engine.Member{ID: engine.NodeID(i + 1), Address: addr})
	}
	h, err := engine.Open(context.Background(), engine.Config{
		Cluster: "test", Node: engine.NodeID(self), Dir: words[1], Listen: words[1+self], Durability: engine.NoSync,
		ElectionTimeout: readsElection, ClockBound: 10 * time.Millisecond, SegmentBytes: 4 << 20,
		Snapshots: engine.SnapshotConfig{Entries: 5000}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	m := &cells{values: map[uint32]uint64{}}
	if _, err := h.Start(context.Background(), engine.GroupConfig{ID: groupID, Members: members, Machine: m}); err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	r := h.Metrics().Reads
	fmt.Fprintln(os.Stdout, r.ByRound, r.ByLease, r.Local, r.Rounds)
	if err := h.Close(); err != nil {
		panic(err)
	}
}

// child is a node in a process of its own.
type child struct {
	cmd *exec.Cmd
	in  io.Closer
	out *strings.Builder
}

// readsProof is three nodes in processes, clients that read and write, and what they saw.
type readsProof struct {
	t        *testing.T
	dir      string
	addrs    []string
	children []child
	begun    time.Time
	leader   atomic.Int64
	values   atomic.Uint64 // given out
	process  atomic.Int64

	reads        [4]atomic.Int64 // by mode
	terms        sync.Map        // in which a write was acknowledged
	stops, kills int
}

func newReadsProof(t *testing.T) *readsProof {
	p := &readsProof{t: t, dir: t.TempDir(), begun: time.Now(), children: make([]child, 3)}
	for range 3 {
		p.addrs = append(p.addrs, freeAddress(t))
	}
	p.leader.Store(1)
	for i := range p.children {
		p.run(i)
	}
	t.Cleanup(func() {
		for i := range p.children {
			if c := p.children[i]; c.cmd.ProcessState == nil {
				_ = c.cmd.Process.Kill()
				_ = c.cmd.Wait()
			}
		}
	})
	return p
}

func (p *readsProof) run(i int) {
	p.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(p.t.Context()), os.Args[0])
	dir := filepath.Join(p.dir, strconv.Itoa(i+1))
	cmd.Env = append(os.Environ(), nodeEnvironment+"="+strconv.Itoa(i+1)+" "+dir+" "+strings.Join(p.addrs, " "))
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Errorf("node %d: %v", i+1, err)
		return
	}
	p.children[i] = child{cmd, in, out}
}

func (p *readsProof) now() int64 { return int64(time.Since(p.begun)) }

// reader is one client: it asks one node at a time.
type reader struct {
	p       *readsProof
	clients map[int]*transport.Client
	process int64
	rng     *rand.Rand
	seen    []oracle.Op
}

// call makes one call of node to (0: whoever may lead).
func (r *reader) call(to int, m *codec.Method, req, resp codec.Message) error {
	leads := to == 0
	if leads {
		to = int(r.p.leader.Load())
	}
	ctx, cancel := context.WithTimeout(r.p.t.Context(), 2*readsElection)
	defer cancel()
	client := r.clients[to]
	if client == nil {
		var err error
		if client, err = transport.Dial(ctx, r.p.addrs[to-1], transport.ClientConfig{}); err != nil {
			r.p.leader.CompareAndSwap(int64(to), int64(to%3+1))
			return err
		}
		r.clients[to] = client
	}
	err := client.Call(ctx, m, req, resp)
	var notLeader *raftpb.NotLeader
	switch {
	case err == nil:
	case errors.As(err, &notLeader):
		if notLeader.Leader.Set && notLeader.Leader.Value > 0 {
			r.p.leader.Store(int64(notLeader.Leader.Value))
		} else if leads {
			r.p.leader.CompareAndSwap(int64(to), int64(to%3+1))
		}
	default:
		client.Close()
		delete(r.clients, to)
		r.p.leader.CompareAndSwap(int64(to), int64(to%3+1))
	}
	return err
}

const staleBound = 20 * time.Millisecond

// read asks for one cell in a mode. A stale read within a bound is one that may have
// happened so much before it began.
func (r *reader) read(cell uint32, mode raftpb.Consistency) bool {
	req := &raftpb.ReadRequest{Group: groupID, Query: binary.BigEndian.AppendUint32(nil, cell), Consistency: mode, TimeoutMs: 500}
	to, early := 0, int64(0)
	switch mode {
	case raftpb.ConsistencyFollower:
		to = 1 + r.rng.IntN(3)
	case raftpb.ConsistencyStale:
		to, early = 1+r.rng.IntN(3), int64(staleBound)
		req.MaxStaleMs = opt(staleBound.Milliseconds())
	}
	op := oracle.Op{Process: r.process, Kind: oracle.Get, Key: strconv.Itoa(int(cell)), Start: r.p.now() - early, Status: oracle.OK}
	var resp raftpb.ReadResponse
	if r.call(to, raftpb.RaftClientRead, req, &resp) != nil {
		return false
	}
	op.End = r.p.now()
	if v := binary.BigEndian.Uint64(resp.Result); v != 0 {
		op.Found, op.Result = true, strconv.FormatUint(v, 10)
	}
	r.seen = append(r.seen, op)
	if early > 0 {
		r.process = r.p.process.Add(1) // two of them may overlap
	}
	return true
}

// write gives a cell a value that no other write has.
func (r *reader) write(cell uint32) {
	value := r.p.values.Add(1)
	cmd := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, cell), value)
	op := oracle.Op{
		Process: r.process, Kind: oracle.Put, Key: strconv.Itoa(int(cell)), Value: strconv.FormatUint(value, 10), Start: r.p.now(), Status: oracle.OK,
	}
	var resp raftpb.ProposeResponse
	err := r.call(0, raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: groupID, Command: cmd, TimeoutMs: 500}, &resp)
	op.End = r.p.now()
	var notLeader *raftpb.NotLeader
	switch {
	case errors.As(err, &notLeader):
		op.Status = oracle.Fail
	case err == nil:
		r.p.terms.Store(resp.Term, true)
	default:
		op.Status = oracle.Info
		r.process = r.p.process.Add(1)
	}
	r.seen = append(r.seen, op)
}

var readModes = [4]raftpb.Consistency{
	raftpb.ConsistencyLinearizable, raftpb.ConsistencyFollower, raftpb.ConsistencyLease, raftpb.ConsistencyStale,
}

// round lets clients read and write new cells until so many reads were answered, and
// returns what they saw.
func (p *readsProof) round(number, reads int) []oracle.Op {
	const readers, writers, cellsOfRound = 48, 4, 64
	var left atomic.Int64
	left.Store(int64(reads))
	var mu sync.Mutex
	var history []oracle.Op
	var running sync.WaitGroup
	for n := range readers + writers {
		running.Go(func() {
			r := &reader{p: p, clients: map[int]*transport.Client{}, process: p.process.Add(1), rng: rand.New(rand.NewPCG(uint64(number), uint64(n)))}
			for i := n; left.Load() > 0 && p.t.Context().Err() == nil; i++ {
				cell := uint32(number*cellsOfRound + r.rng.IntN(cellsOfRound))
				if n < writers {
					r.write(cell)
				} else if r.read(cell, readModes[i%4]) {
					left.Add(-1)
					p.reads[i%4].Add(1)
				}
			}
			for _, c := range r.clients {
				c.Close()
			}
			mu.Lock()
			history = append(history, r.seen...)
			mu.Unlock()
		})
	}
	running.Wait()
	return history
}

// tighten says of a write when it had happened at the latest: no value is written twice, so
// it was before the end of every read that returned it. What became of a write without an
// answer, which might otherwise happen at any time, is known then.
func tighten(history []oracle.Op) {
	noticed := map[string]int64{}
	for i := range history {
		if o := &history[i]; o.Kind == oracle.Get && o.Found {
			if end, ok := noticed[o.Result]; !ok || o.End < end {
				noticed[o.Result] = o.End
			}
		}
	}
	for i := range history {
		o := &history[i]
		if end, ok := noticed[o.Value]; ok && o.Kind == oracle.Put && end >= o.Start && (o.Status == oracle.Info || o.Status == oracle.OK && end < o.End) {
			o.End, o.Status = end, oracle.OK
		}
	}
}

// trouble stops processes and kills them until done is closed. The leader is the usual
// victim, and stands still for longer than it takes the others to elect another.
func (p *readsProof) trouble(done <-chan struct{}) {
	rng := rand.New(rand.NewPCG(3, 3))
	wait := func(d time.Duration) bool {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-done:
			return false
		}
	}
	for n := 0; wait(readsElection); n++ {
		victim := int(p.leader.Load() - 1)
		if n%4 == 3 {
			victim = rng.IntN(3)
		}
		c := p.children[victim]
		if n%10 == 9 {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
			p.kills++
			p.run(victim)
			continue
		}
		if c.cmd.Process.Signal(syscall.SIGSTOP) == nil {
			p.stops++
		}
		wait(readsElection/2 + rand.N(2*readsElection))
		_ = c.cmd.Process.Signal(syscall.SIGCONT)
	}
}

// Clients read in every mode, at every node, while others write, and while the processes of
// the leader and of others are stopped for longer than a lease, or killed. Each answer fits
// into one order of all operations: none is stale.
//
//	make reads-proof    the same with 1,000,000 reads
func TestReadsAreLinearizableThroughStopsAndKills(t *testing.T) {
	p := newReadsProof(t)
	each := *proofReads / max(2, *proofReads/20_000)
	done := make(chan struct{})
	var troubled, judged sync.WaitGroup
	troubled.Go(func() { p.trouble(done) })
	stop := sync.OnceFunc(func() {
		close(done)
		troubled.Wait()
	})
	defer stop()
	total, ops := 0, 0
	for number := 1; !t.Failed(); number++ {
		calm := total >= *proofReads
		if calm {
			stop() // the last round is a calm one
		}
		history := p.round(number, each)
		total += each
		ops += len(history)
		judged.Wait()
		judged.Go(func() {
			tighten(history)
			if r := oracle.Linearizable(history, oracle.Options{Timeout: time.Minute}); r.Verdict != oracle.Legal {
				t.Errorf("round %d: %s: %+v", number, r.Verdict, r.Violation)
			}
		})
		if calm {
			break
		}
	}
	judged.Wait()
	var sum [4]uint64
	for i, c := range p.children {
		_ = c.in.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("node %d: %v", i+1, err)
		}
		var m [4]uint64
		if _, err := fmt.Sscan(c.out.String(), &m[0], &m[1], &m[2], &m[3]); err != nil {
			t.Errorf("node %d said %q: %v", i+1, c.out.String(), err)
		}
		for k := range m {
			sum[k] += m[k]
		}
	}
	terms := 0
	p.terms.Range(func(any, any) bool { terms++; return true })
	if sum[1] == 0 || p.stops == 0 || terms < 2 {
		t.Errorf("%d reads by lease, %d stops, leaders in %d terms: too little happened", sum[1], p.stops, terms)
	}
	t.Logf("%d operations judged; reads: %d linearizable, %d at any member, %d by lease, %d within %v; %d stops, %d kills, leaders in %d terms",
		ops, p.reads[0].Load(), p.reads[1].Load(), p.reads[2].Load(), p.reads[3].Load(), staleBound, p.stops, p.kills, terms)
	t.Logf("in the last lives of the nodes: %d reads by round, %d by lease, %d of what is applied", sum[0], sum[1], sum[2])
}
