package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/transport"
)

// heavy is a machine with a large state: a counter and a filling that follows from it.
type heavy struct {
	size  int // of the filling in a snapshot
	count atomic.Uint64
	sum   uint64
}

func (h *heavy) Apply(b engine.Batch, _ []engine.Result) error {
	for _, cmd := range b.Commands {
		h.count.Add(1)
		h.sum = h.sum*0x9e3779b97f4a7c15 + uint64(crc32.ChecksumIEEE(cmd.Data))
	}
	return nil
}

func (h *heavy) Query([]byte) ([]byte, error) { return nil, nil }

type heavySnapshot struct {
	size       int
	count, sum uint64
}

func (h *heavy) Snapshot() (engine.Snapshot, error) {
	return &heavySnapshot{h.size, h.count.Load(), h.sum}, nil
}

// filling is size bytes that follow from seed.
func filling(seed uint64, size int, to io.Writer) error {
	rng := rand.NewChaCha8([32]byte(binary.LittleEndian.AppendUint64(make([]byte, 24), seed)))
	b := make([]byte, 64<<10)
	for size > 0 {
		part := b[:min(size, len(b))]
		if _, err := rng.Read(part); err != nil {
			return err
		}
		size -= len(part)
		if _, err := to.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (s *heavySnapshot) WriteTo(w io.Writer) (int64, error) {
	head := binary.LittleEndian.AppendUint64(nil, s.count)
	head = binary.LittleEndian.AppendUint64(head, s.sum)
	head = binary.LittleEndian.AppendUint64(head, uint64(s.size))
	if _, err := w.Write(head); err != nil {
		return 0, err
	}
	return int64(len(head) + s.size), filling(s.sum, s.size, w)
}

func (*heavySnapshot) Close() error { return nil }

// differ is a writer that compares.
type differ struct{ r io.Reader }

func (d differ) Write(p []byte) (int, error) {
	b := make([]byte, len(p))
	if _, err := io.ReadFull(d.r, b); err != nil {
		return 0, err
	}
	if string(b) != string(p) {
		return 0, errors.New("heavy: another filling")
	}
	return len(p), nil
}

func (h *heavy) Restore(r io.Reader) error {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	h.count.Store(binary.LittleEndian.Uint64(head[:]))
	h.sum = binary.LittleEndian.Uint64(head[8:])
	return filling(h.sum, int(binary.LittleEndian.Uint64(head[16:])), differ{r})
}

// haul is a cluster of heavy machines on a network in memory, one of whose members was
// away for too long.
type haul struct {
	*cluster
	net      *transport.Memory
	machines map[engine.NodeID]*heavy
	image    int64 // bytes of the snapshot to be sent
	out      uint64
}

// newHaul makes a group with a snapshot of size bytes and a log that begins behind it;
// node away has nothing of all that. change comes last.
func newHaul(t testing.TB, size int, away engine.NodeID, change func(*engine.Config)) *haul {
	t.Helper()
	h := &haul{net: transport.NewMemory(1), machines: map[engine.NodeID]*heavy{}}
	adjust := func(c *engine.Config) {
		c.Network = h.net.Listen
		c.Snapshots = engine.SnapshotConfig{Entries: 40, KeepEntries: -1, ChunkBytes: 256 << 10, WindowBytes: 1 << 20, MaxBytesPerSecond: -1}
		c.ElectionTimeout = time.Second
		change(c)
	}
	var next engine.NodeID
	h.cluster = newClusterOf(t, 0, adjust, func() engine.StateMachine {
		h.machines[next] = &heavy{size: size}
		return h.machines[next]
	})
	run := func(id engine.NodeID) {
		next = id
		h.start(id)
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		h.addrs[id] = fmt.Sprintf("node%d:1", id)
	}
	for id := range h.addrs {
		if id != away {
			run(id)
		}
	}
	h.proposeMany("before", 45)
	for id := range h.hosts {
		if h.config(id).Snapshots.Entries < 0 {
			if _, err := h.group(id).Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		h.eventually("the log to be dropped", func() bool { return h.status(id).First > 10 })
		names, err := filepath.Glob(filepath.Join(h.dir, fmt.Sprint(id), "snapshot", "*", "*.snap"))
		if err != nil || len(names) != 1 {
			t.Fatalf("node %d has the snapshots %q, %v", id, names, err)
		}
		info, err := os.Stat(names[0])
		if err != nil {
			t.Fatal(err)
		}
		h.image = info.Size()
	}
	return h
}

// begin starts a node with a machine of its own.
func (h *haul) begin(id engine.NodeID) {
	h.t.Helper()
	old := h.machine
	h.machine = func() engine.StateMachine {
		h.machines[id] = &heavy{}
		return h.machines[id]
	}
	h.start(id)
	h.machine = old
}

// sent is what all hosts that ever ran have sent of snapshots.
func (h *haul) sent() uint64 {
	n := h.out
	for _, host := range h.hosts {
		n += host.Metrics().Snapshots.BytesOut
	}
	return n
}

// halt stops a node, and keeps what it has counted.
func (h *haul) halt(id engine.NodeID) {
	h.out += h.hosts[id].Metrics().Snapshots.BytesOut
	h.stop(id)
}

// reaches waits until so much of snapshots was sent.
func (h *haul) reaches(bytes int64) {
	h.t.Helper()
	h.eventually(fmt.Sprintf("%d bytes to be sent", bytes), func() bool { return h.sent() >= uint64(bytes) })
}

// arrives waits until the node has what the others have, and judges the price.
func (h *haul) arrives(id engine.NodeID) {
	h.t.Helper()
	h.eventually("the member to catch up", func() bool {
		s := h.status(id)
		return s.First > 10 && s.Applied >= h.status(h.leader()).Commit
	})
	if n := h.hosts[id].Metrics().Snapshots.Installed; n != 1 {
		h.t.Errorf("%d snapshots were installed, want 1", n)
	}
	if most := uint64(float64(h.image) * 1.3); h.sent() > most {
		h.t.Errorf("%d bytes were sent of a snapshot of %d", h.sent(), h.image)
	}
	h.t.Logf("sent %.3f times the snapshot", float64(h.sent())/float64(h.image))
}

// A new member gets 64 MiB while the others take commands and the connection breaks
// again and again: what has arrived is not sent again, little memory is needed, and the
// commands go on.
func TestASnapshotArrivesThroughABreakingConnection(t *testing.T) {
	const away, size = 3, 64 << 20
	h := newHaul(t, size, away, func(*engine.Config) {})
	leader := h.leader()
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var proposed atomic.Int64
	g := h.group(leader)
	load.Go(func() {
		for ctx.Err() == nil {
			if _, err := g.Propose(ctx, make([]byte, 100)); err == nil {
				proposed.Add(1)
			}
			if proposed.Load() >= 30 { // no further snapshot is due
				return
			}
		}
	})
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	h.begin(away)
	var peak uint64
	for at := int64(0); at < h.image; at += h.image / 10 {
		h.reaches(at)
		h.net.Break(leader, away)
		runtime.GC() // what is in use counts, not what waits for its collection
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	h.arrives(away)
	cancel()
	load.Wait()
	if most := before.HeapAlloc + size/2; peak > most {
		t.Errorf("%d bytes of heap were used, %d before", peak, before.HeapAlloc)
	}
	if h.hosts[leader].Metrics().Snapshots.Resumed < 5 {
		t.Errorf("the transfer was resumed %d times", h.hosts[leader].Metrics().Snapshots.Resumed)
	}
}

// The receiver starts again in the middle, twice.
func TestASnapshotArrivesThoughTheReceiverStartsAgain(t *testing.T) {
	const away = 3
	h := newHaul(t, 16<<20, away, func(*engine.Config) {})
	h.begin(away)
	for _, at := range []int64{h.image / 4, h.image / 2} {
		h.reaches(at)
		h.halt(away)
		h.begin(away)
	}
	h.arrives(away)
}

// The leader ends in the middle. The next one has the same snapshot, byte for byte, and
// goes on where the other was.
func TestASnapshotArrivesThoughTheLeaderChanges(t *testing.T) {
	const away = 3
	h := newHaul(t, 16<<20, away, func(c *engine.Config) { c.Snapshots.MaxBytesPerSecond = 16 << 20 })
	first := h.leader()
	h.begin(away)
	h.reaches(h.image / 2)
	h.halt(first)
	// Two of three are left, one of them without a log: the group needs both.
	h.eventually("the other one to lead", func() bool { return h.group(3-first).Leader() == 3-first })
	h.arrives(away)
	if h.hosts[3-first].Metrics().Snapshots.Resumed == 0 {
		t.Error("the next leader did not go on where the first was")
	}
}

// The sender starts again in the middle, and leads again.
func TestASnapshotArrivesThoughTheSenderStartsAgain(t *testing.T) {
	const away = 3
	h := newHaul(t, 16<<20, away, func(c *engine.Config) { c.Snapshots.MaxBytesPerSecond = 16 << 20 })
	for range 2 {
		leader := h.leader()
		if h.hosts[away] == nil {
			h.begin(away)
		}
		h.reaches(h.image / 3)
		h.halt(leader)
		h.begin(leader)
	}
	h.arrives(away)
}

// A member loses its disk and comes back empty, removed and added again, while the others take
// commands: it gets the snapshot and what follows.
func TestAWipedMemberGetsASnapshot(t *testing.T) {
	c := newCluster(t, 3, often(50, -1))
	leader := c.leader()
	c.proposeMany("before", 120)
	wiped := leader%3 + 1
	c.eventually("the log to be dropped", func() bool { return c.status(leader).First > 60 })
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	g := c.group(leader)
	load.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = g.Propose(ctx, fmt.Appendf(nil, "meanwhile %d", i))
		}
	})
	c.stop(wiped)
	if err := os.RemoveAll(filepath.Join(c.dir, fmt.Sprint(wiped))); err != nil {
		t.Fatal(err)
	}
	c.change(engine.Remove(wiped))
	c.join(wiped)
	c.change(engine.AddVoter(wiped, c.addrs[wiped]))
	c.eventually("the snapshot to be installed", func() bool { return c.status(wiped).First > 60 })
	cancel()
	load.Wait()
	c.equal()
}
