package runtime

import (
	"log/slog"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// tally is a machine that counts.
type tally struct{ entries, largest int }

func (m *tally) Apply(entries []raft.Entry, _ raft.Index, _ []Completion) error {
	size := 0
	for i := range entries {
		size += len(entries[i].Body)
	}
	m.entries += len(entries)
	m.largest = max(m.largest, size)
	return nil
}

func (m *tally) Complete() {}

type nobody struct{}

func (nobody) Fact(GroupID, raft.Fact)           {}
func (nobody) Ended(GroupID, error)              {}
func (nobody) SnapshotTaken(GroupID, raft.Index) {}
func (nobody) Fail(Rejection)                    {}

// stopped is a clock that a test holds in its hand.
type stopped struct{ now raft.Time }

func (c *stopped) Now() raft.Time { return c.now }

// A machine that does not keep up is fed up to a bound; the rest waits, committed, in the log,
// and follows as it makes progress. The host has no goroutines: the test takes each step itself.
func TestASlowMachineIsFedUpToABound(t *testing.T) {
	log, _, err := wal.Open("wal", wal.Options{
		Identity: wal.Identity{Cluster: "test", Node: 1}, FS: wal.NewMemFS(), Catalog: wal.FileCatalog, Manual: true,
		SegmentBytes: 64 << 20, Spares: -1, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	clock := &stopped{1}
	h := New(Config{Node: 1, Workers: 1, MaxInboxBytes: 64 << 20, MaxEventBytes: 4 << 20, Logger: slog.New(slog.DiscardHandler), Clock: clock}, log, 1)
	machine := new(tally)
	voter := raftpb.Member{ID: 1, Address: "one", Suffrage: raftpb.SuffrageVoter}
	g, err := h.Start(GroupConfig{ID: 7, Machine: machine, Observer: nobody{}, Raft: raft.Config{
		ID: 1, Configuration: raftpb.Configuration{Incoming: []raftpb.Member{voter}}, ElectionTimeout: 1e9, Heartbeat: 1e8, Seed: 1, Boot: 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := h.workers[0]
	settle := func() { // until neither the worker nor the log has anything to do
		for range 10 {
			clock.now++
			w.step(clock.now)
			for log.Step() {
			}
		}
	}
	settle()
	const commands, size = 40, 512 << 10
	for range commands {
		body := make([]byte, size)
		e := raft.Entry{Kind: raftpb.EntryKindCommand, Body: body, Crc32c: wal.EntryChecksum(raftpb.EntryKindCommand, body)}
		if err := g.Propose(e, nobody{}); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	if g.commit != 1+commands || machine.entries != 0 {
		t.Fatalf("%d committed, %d applied; want %d and none", g.commit, machine.entries, 1+commands)
	}
	if g.fedBytes > maxFedBytes+maxJobBytes || !g.starved {
		t.Errorf("%d bytes fed, starved %t; want at most %d and one job", g.fedBytes, g.starved, maxFedBytes)
	}
	for machine.entries < 1+commands {
		queue := &w.applier.queue
		if queue.size == 0 {
			t.Fatalf("%d entries applied and nothing more is fed", machine.entries)
		}
		for queue.size > 0 {
			j := queue.pop()
			w.applier.apply(&j)
		}
		settle()
	}
	if machine.largest > maxJobBytes || g.fedBytes != 0 {
		t.Errorf("a job of %d bytes, at most %d; %d bytes still count as fed", machine.largest, maxJobBytes, g.fedBytes)
	}
}
