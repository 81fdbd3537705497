package engine_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine"
)

// often takes a snapshot every entries entries and keeps few behind it.
func often(entries, keep int) func(*engine.Config) {
	return func(c *engine.Config) {
		c.Snapshots = engine.SnapshotConfig{Entries: entries, KeepEntries: keep, ChunkBytes: 1 << 10, WindowBytes: 4 << 10}
	}
}

// proposeMany proposes n numbered commands.
func (c *cluster) proposeMany(name string, n int) {
	c.t.Helper()
	g := c.group(c.leader())
	for i := range n {
		if _, err := g.Propose(c.t.Context(), fmt.Appendf(nil, "%s %d", name, i)); err != nil {
			c.propose(fmt.Sprintf("%s %d", name, i))
			g = c.group(c.leader())
		}
	}
}

func (c *cluster) status(id engine.NodeID) engine.Status {
	c.t.Helper()
	s, err := c.group(id).Status()
	if err != nil {
		c.t.Fatalf("status of %d: %v", id, err)
	}
	return s
}

// equal waits until all running members have applied the same and checks that their
// machines are the same.
func (c *cluster) equal() {
	c.t.Helper()
	c.eventually("all members to have applied the same", func() bool {
		var at engine.Index
		for id := range c.hosts {
			s := c.status(id)
			if at == 0 {
				at = s.Applied
			}
			if s.Applied != at || s.Applied != s.Last {
				return false
			}
		}
		return true
	})
	want, from := []string(nil), engine.NodeID(0)
	for id := range c.hosts {
		got := c.lines(id)
		if from != 0 && strings.Join(got, "\n") != strings.Join(want, "\n") {
			c.t.Fatalf("nodes %d and %d have applied different commands", from, id)
		}
		want, from = got, id
	}
	var chain uint64
	for id := range c.hosts {
		_, got := c.group(id).Chain()
		if chain != 0 && chain != got {
			c.t.Fatalf("node %d has another hash over what it applied", id)
		}
		chain = got
	}
}

// Snapshots are taken by themselves, the log before them goes, and a restart begins
// with the newest.
func TestSnapshotsAreTakenAndStartedFrom(t *testing.T) {
	c := newCluster(t, 3, often(50, -1))
	c.proposeMany("first", 180)
	for id := range c.hosts {
		c.eventually("the log to be dropped", func() bool {
			s := c.status(id)
			return s.Snapshot >= 150 && s.First > 150
		})
	}
	c.equal()
	before := c.lines(1)
	for id := range c.addrs {
		c.stop(id)
	}
	for id := range c.addrs {
		c.start(id)
	}
	c.leader()
	c.proposeMany("second", 10)
	c.equal()
	if got := c.lines(1); len(got) != len(before)+10 || got[0] != "first 0" {
		t.Errorf("%d commands after the restart, want %d", len(got), len(before)+10)
	}
}

// Bytes make a snapshot due as well as entries.
func TestSnapshotsByBytes(t *testing.T) {
	c := newCluster(t, 1, func(cfg *engine.Config) {
		cfg.Snapshots = engine.SnapshotConfig{Entries: -1, Bytes: 64 << 10, KeepEntries: -1}
	})
	c.leader()
	if s := c.status(1); s.Snapshot != 0 {
		t.Fatalf("a snapshot at %d of nothing", s.Snapshot)
	}
	c.proposeMany(strings.Repeat("x", 8<<10), 10)
	c.eventually("a snapshot", func() bool { s := c.status(1); return s.Snapshot >= 6 && s.First > s.Snapshot })
}

// A follower that was away while the log it needs was dropped gets a snapshot, and
// what came after it, while others go on proposing.
func TestAFollowerCatchesUpBySnapshot(t *testing.T) {
	c := newCluster(t, 3, often(50, -1))
	leader := c.leader()
	c.proposeMany("before", 20)
	away := leader%3 + 1
	c.stop(away)
	c.proposeMany("away", 200)
	c.eventually("the log to be dropped", func() bool { return c.status(c.leader()).First > 150 })
	c.start(away)
	c.proposeMany("back", 30)
	c.eventually("the snapshot to be installed", func() bool { return c.status(away).First > 100 })
	c.equal()
}

// The same, and the leader sends nothing of it: another follower has it, too.
func TestAFollowerLendsItsSnapshot(t *testing.T) {
	policy := often(50, -1)
	c := newCluster(t, 3, func(cfg *engine.Config) {
		policy(cfg)
		cfg.Snapshots.FromFollowers = true
	})
	away := c.leader()%3 + 1
	c.stop(away)
	c.proposeMany("away", 200)
	c.eventually("the log to be dropped", func() bool { return c.status(c.leader()).First > 150 })
	c.start(away)
	c.eventually("the snapshot to be installed", func() bool { return c.status(away).First > 100 })
	c.proposeMany("back", 30)
	c.equal()
	if got := c.hosts[away].Metrics().Snapshots; got.Pulled == 0 || got.Installed == 0 {
		t.Errorf("%+v", got)
	}
	sent, lent := uint64(0), uint64(0)
	for id := engine.NodeID(1); id <= 3; id++ {
		m := c.hosts[id].Metrics().Snapshots
		sent, lent = sent+m.BytesOut, lent+m.BytesLent
	}
	if lent == 0 || sent != lent {
		t.Errorf("%d bytes were sent, %d of them in the leader's place", sent, lent)
	}
}

// A snapshot that is asked for covers what was applied.
func TestASnapshotIsTakenWhenAskedFor(t *testing.T) {
	c := newCluster(t, 1, nil)
	g := c.group(c.leader())
	c.proposeMany("some", 7)
	applied := g.Applied()
	s, err := g.Snapshot(t.Context())
	if err != nil || s.Index < applied || s.Bytes == 0 {
		t.Fatalf("%+v, %v, want an index of at least %d", s, err, applied)
	}
	again, err := g.Snapshot(t.Context())
	if err != nil || again != s {
		t.Errorf("with nothing new applied: %+v, %v", again, err)
	}
	if got := c.status(1).Snapshot; got != s.Index {
		t.Errorf("status tells snapshot %d", got)
	}
}

// A damaged snapshot whose log is gone: the group does not start, and says why.
func TestADamagedSnapshotIsNotPassedOver(t *testing.T) {
	c := newCluster(t, 1, often(50, -1))
	c.proposeMany("some", 60)
	c.eventually("the log to be dropped", func() bool { return c.status(1).First > 40 })
	c.stop(1)
	images, err := filepath.Glob(filepath.Join(c.dir, "1", "snapshot", "*", "*.snap"))
	if err != nil || len(images) == 0 {
		t.Fatalf("%q, %v", images, err)
	}
	for _, name := range images {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2]++
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := engine.Open(t.Context(), c.config(1))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, err = h.Start(t.Context(), engine.GroupConfig{ID: groupID, Members: c.members(), Machine: &ledger{}})
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("start: %v", err)
	}
}

// sessionSurvives proposes in a session, lets the log of that go, on a member that takes
// part and on one that gets a snapshot, and says what a retry on each of them finds.
func sessionSurvives(t *testing.T, change func(*engine.Config)) error {
	c := newCluster(t, 3, func(cfg *engine.Config) {
		often(50, -1)(cfg)
		change(cfg)
	})
	first := c.leader()
	s, err := c.group(first).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	away := first%3 + 1
	c.stop(away)
	once, err := proposeIn(t, caller(t, c.addrs[first]), s.ID(), 1, 1, "once")
	if err != nil {
		t.Fatal(err)
	}
	c.proposeMany("more", 120)
	c.eventually("the log to be dropped", func() bool { return c.status(first).First > 60 })
	c.start(away)
	c.eventually("the snapshot to be installed", func() bool { return c.status(away).First > 60 })
	c.equal()
	lines := len(c.lines(first))
	retry := func(where string, id engine.NodeID) error {
		again, err := proposeIn(t, caller(t, c.addrs[id]), s.ID(), 1, 1, "once")
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if again.Index != once.Index || len(c.lines(id)) != lines {
			return fmt.Errorf("%s: applied again, at %d after %d", where, again.Index, once.Index)
		}
		return nil
	}
	c.handOverTo(away)
	if err := retry("after the snapshot was installed", away); err != nil {
		return err
	}
	for id := range c.addrs {
		c.stop(id)
	}
	for id := range c.addrs {
		c.start(id)
	}
	return retry("after a restart", c.leader())
}

// Sessions are part of a snapshot: what was applied in one before it is not applied again.
func TestASnapshotRemembersSessions(t *testing.T) {
	if err := sessionSurvives(t, func(*engine.Config) {}); err != nil {
		t.Error(err)
	}
}

// binder is a machine whose snapshots are files.
type binder struct {
	ledger
	files    map[string]string
	restored bool
}

type binderSnapshot struct {
	engine.Snapshot
	lines []string
}

func (b *binder) Snapshot() (engine.Snapshot, error) {
	return binderSnapshot{engine.BytesSnapshot([]byte("index")), slices.Clone(b.lines)}, nil
}

func (s binderSnapshot) Files() ([]engine.SnapshotFile, error) {
	var files []engine.SnapshotFile
	for i, line := range s.lines {
		files = append(files, engine.SnapshotFile{
			Name: fmt.Sprint("page ", i),
			Open: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(strings.Repeat(line, 50_000))), nil
			},
		})
	}
	return files, nil
}

func (b *binder) Restore(r io.Reader) error {
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "index" {
		return fmt.Errorf("binder: %q, %w", got, err)
	}
	b.files = map[string]string{}
	return nil
}

func (b *binder) RestoreFile(name string, r io.Reader) error {
	got, err := io.ReadAll(r)
	b.files[name] = string(got)
	return err
}

func (b *binder) RestoreEnd() error {
	for i := range len(b.files) {
		page := b.files[fmt.Sprint("page ", i)]
		b.lines = append(b.lines, page[:len(page)/50_000])
	}
	b.restored = true
	return nil
}

// Files of a machine are part of its snapshots.
func TestFilesArePartOfASnapshot(t *testing.T) {
	var last *binder
	c := newClusterOf(t, 1, nil, func() engine.StateMachine {
		last = &binder{}
		return last
	})
	for i := range 7 {
		c.propose(fmt.Sprint("line ", i))
	}
	s, err := c.group(1).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Bytes < 7*6*50_000 {
		t.Errorf("the snapshot has %d bytes", s.Bytes)
	}
	c.stop(1)
	c.start(1)
	c.leader()
	if !last.restored || len(last.lines) != 7 || last.lines[6] != "line 6" {
		t.Errorf("restored %t, %q", last.restored, last.lines)
	}
}

// A machine on disk that was left behind gets a snapshot, with what the engine keeps in
// it, and goes on from there after a restart.
func TestAMachineOnDiskInstallsASnapshot(t *testing.T) {
	c, disks := vaultsOf(t, 3, often(50, -1))
	first := c.leader()
	away := first%3 + 1
	c.propose("before")
	c.stop(away)
	var want []string
	for i := range 120 {
		want = append(want, fmt.Sprint("line ", i))
		c.propose(want[i])
	}
	c.eventually("the log to be dropped", func() bool { return c.status(first).First > 60 })
	c.startVault(away, disks)
	installed := func() bool {
		return c.status(away).First > 60 && c.status(away).Applied >= c.status(first).Commit
	}
	c.eventually("the snapshot to be installed", installed)
	c.stop(away)
	c.startVault(away, disks)
	c.propose("after")
	want = append([]string{"before"}, append(want, "after")...)
	c.eventually("the member to follow", func() bool { return slices.Equal(disks[away].all(), want) })
	if n := c.hosts[away].Metrics().Snapshots.Installed; n != 0 {
		t.Errorf("%d snapshots were installed after the restart", n)
	}
	if len(disks[away].twice) != 0 {
		t.Errorf("applied twice: %v", disks[away].twice)
	}
}

// The configuration is part of a snapshot: a new member learns from it who is in the group,
// and when the entry that changed the members has left the log, a restart still knows them.
func TestASnapshotRemembersTheMembers(t *testing.T) {
	c := newCluster(t, 3, often(50, -1))
	c.proposeMany("before", 120)
	c.eventually("the log to be dropped", func() bool { return c.status(c.leader()).First > 60 })
	c.join(4)
	c.change(engine.AddVoter(4, c.addrs[4]))
	c.eventually("the snapshot to be counted", func() bool { return c.hosts[4].Metrics().Snapshots.Installed == 1 })
	c.equal()
	changed := c.status(c.leader()).Last
	c.proposeMany("after", 120)
	for id := range c.addrs {
		c.eventually("the change to leave the log", func() bool { return c.status(id).First > changed })
	}
	c.equal()
	for id := range c.addrs {
		c.stop(id)
	}
	for id := engine.NodeID(1); id <= 3; id++ {
		c.start(id)
	}
	c.rejoin(4)
	c.leader()
	for id := range c.addrs {
		if got := ids(c.status(id).Members); !slices.Equal(got, []engine.NodeID{1, 2, 3, 4}) {
			t.Errorf("node %d knows the members %v", id, got)
		}
	}
	c.proposeMany("again", 5)
	c.equal()
}

// A witness that was away while the log it needs was dropped gets the description of a
// snapshot and nothing of the state, and votes and acknowledges on.
func TestAWitnessInstallsASnapshotWithoutState(t *testing.T) {
	const id = engine.GroupID(9)
	c := newCluster(t, 3, often(50, -1))
	members := c.members()
	members[2].Suffrage = engine.Witness
	ledgers := map[engine.NodeID]*ledger{}
	join := func(node engine.NodeID) {
		ledgers[node] = &ledger{}
		if _, err := c.hosts[node].Start(t.Context(), engine.GroupConfig{ID: id, Machine: ledgers[node], Members: members}); err != nil {
			t.Fatal(err)
		}
	}
	for node := range c.hosts {
		join(node)
	}
	propose := func(name string, count int) {
		for i := range count {
			c.eventually("a proposal", func() bool {
				for node := engine.NodeID(1); node <= 2; node++ {
					if h := c.hosts[node]; h != nil {
						if _, err := h.Group(id).Propose(t.Context(), fmt.Appendf(nil, "%s %d", name, i)); err == nil {
							return true
						}
					}
				}
				return false
			})
		}
	}
	first := func(node engine.NodeID) engine.Index {
		s, err := c.hosts[node].Group(id).Status()
		if err != nil {
			t.Fatal(err)
		}
		return s.First
	}
	propose("before", 60)
	c.eventually("the witness to drop its log", func() bool { return first(3) > 40 })
	if n := c.hosts[3].Metrics().Snapshots.Installed; n != 0 {
		t.Errorf("it has installed %d snapshots", n)
	}
	c.stop(3)
	propose("away", 120)
	c.eventually("the log to be dropped", func() bool { return first(1) > 100 && first(2) > 100 })
	c.start(3)
	join(3)
	c.eventually("the witness to follow", func() bool { return first(3) > 100 })
	c.eventually("the installation to be counted", func() bool { return c.hosts[3].Metrics().Snapshots.Installed == 1 })
	if m := c.hosts[3].Metrics().Snapshots; m.BytesIn > 1000 {
		t.Errorf("%+v", m)
	}
	c.stop(c.hosts[1].Group(id).Leader()) // the witness is needed now
	propose("with it", 10)
	c.stop(3)
	c.start(3)
	join(3)
	propose("and after its restart", 10)
	if n := len(ledgers[3].lines); n != 0 {
		t.Errorf("the witness applied %d commands", n)
	}
}
