package runtime

import (
	"fmt"
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Of the places for snapshots there are as many as were given, and who is asked by
// somebody does not wait for one.
func TestPlacesOfSnapshots(t *testing.T) {
	p := places{free: 2}
	for i, want := range []bool{true, true, false} {
		if got := p.take(); got != want {
			t.Fatalf("place %d given: %t", i, got)
		}
	}
	p.force()
	p.release()
	if p.take() {
		t.Error("the place that was forced was given again")
	}
	p.release()
	if !p.take() {
		t.Error("a place that was released is not given")
	}
}

// Bytes leave at the pace that was set, whoever sends them; without one, at once.
func TestPaceOfSnapshots(t *testing.T) {
	const second = raft.Time(1e9)
	p := pace{perSecond: 1000}
	for i, want := range []raft.Time{5 * second, 6 * second, 7 * second} {
		if got := p.reserve(5*second, 1000); got != want {
			t.Errorf("chunk %d leaves at %d, want %d", i, got, want)
		}
	}
	if got := p.reserve(20*second, 1000); got != 20*second {
		t.Errorf("after a pause at %d", got)
	}
	free := pace{}
	if got := free.reserve(5, 1<<30); got != 5 {
		t.Errorf("without a pace at %d", got)
	}
}

// silent is a machine that has snapshots of nothing.
type silent struct{}

func (silent) Apply([]raft.Entry, raft.Index, []Completion) error { return nil }
func (silent) Complete()                                          {}
func (silent) Capture(raft.Index) (Capture, error)                { return nil, ErrNoSnapshots }
func (silent) Restore(*snapshot.Image) error                      { return nil }

// ack takes the answers of chunks.
type ack struct{ got []raftpb.SnapshotAck }

func (a *ack) Reply(m codec.Message) { a.got = append(a.got, *m.(*raftpb.SnapshotAck)) }
func (a *ack) Fail(error)            {}

// A leader that pours chunks while the disk of the follower hangs fills the group's
// queue, not its memory: what does not fit is not kept, and the leader is told from where on to send again.
func TestChunksThatWaitAreBounded(t *testing.T) {
	w := &worker{host: &Host{cfg: Config{Snapshots: SnapshotLimits{MaxImageBytes: 1 << 40}}}}
	w.host.background.host, w.host.background.manual = w.host, true // tasks wait: the disk hangs
	g := &Group{id: 1, w: w}
	g.snaps.machine = silent{}
	g.snaps.store, _ = snapshot.New(wal.NewMemFS(), "snapshot", snapshot.Options{}).Group(1)
	meta := snapshot.Meta{Index: 10, Term: 1, SnapshotID: make([]byte, 16), Sha256: make([]byte, 32), SizeBytes: 1 << 40}
	var answers ack
	const size = 1 << 20
	for i := range 2 * maxReceiveBytes / size {
		c := new(transport.Call)
		c.Direct(raftpb.RaftPeerInstallSnapshot, 2, transport.LaneSnapshot, &raftpb.SnapshotChunk{}, &answers)
		a := &snapshotCall{call: c, group: g, id: string(meta.SnapshotID), meta: &meta}
		a.chunk = piece{call: a, offset: int64(i) * size, data: make([]byte, size)}
		w.takeChunk(g, a)
	}
	r := g.snaps.receiving
	if r.queued > maxReceiveBytes || r.queued < maxReceiveBytes/2 {
		t.Errorf("%d bytes wait, the bound is %d", r.queued, maxReceiveBytes)
	}
	if len(answers.got) == 0 || answers.got[0].Status != raftpb.SnapshotStatusResumeAt {
		t.Errorf("answers: %+v", answers.got)
	}
}

// An image that is larger than allowed is refused before a byte of it is kept; the
// leader asks again after a pause, not with every beat.
func TestASnapshotThatIsTooLargeIsRefused(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	defer h.close()
	h.members[2].host.cfg.Snapshots.MaxImageBytes = 100
	h.story()
	if c := h.members[2].host.SnapshotCounts(); c.Installed != 0 || c.BytesIn != 0 {
		t.Errorf("%+v", c)
	}
	tries := 0
	for _, m := range h.members[:2] {
		tries += m.refusals
	}
	if tries == 0 || tries > 3 {
		t.Errorf("offered %d times within two seconds", tries)
	}
}

// A host whose log is too large drops all that a snapshot covers, also what would stay
// for followers that lag.
func TestRelieveDropsTheWholeLog(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	defer h.close()
	h.campaign(1)
	for i := range 7 { // none is due
		h.propose(1, fmt.Sprint("line ", i))
	}
	m := h.members[0]
	log := m.log.Group(handGroup)
	if log.FirstIndex() != 1 {
		t.Fatalf("the log begins at %d", log.FirstIndex())
	}
	m.group.Relieve()
	h.settle()
	if first, last := log.FirstIndex(), log.LastIndex(); first != last+1 {
		t.Errorf("the log is [%d, %d]", first, last)
	}
	h.propose(1, "after")
	h.pass(2)
	if n := len(h.members[1].machine.lines); n != 8 {
		t.Errorf("the follower has applied %d commands", n)
	}
}

// One that asks gets what covers all that was applied when it asked, also when another
// snapshot is under way; and who asks of a machine without snapshots is told.
func TestSnapshotsThatAreAskedFor(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	defer h.close()
	m := h.members[0]
	var got []string
	ask := func(name string) {
		err := m.group.Snapshot(func(meta snapshot.Meta, err error) { got = append(got, fmt.Sprint(name, " ", meta.Index, " ", err)) })
		if err != nil {
			t.Fatal(err)
		}
		m.manual.Step()
	}
	ask("nothing")
	h.campaign(1)
	h.propose(1, "one")
	ask("first")
	m.manual.Apply() // captured, not written
	e := raft.Entry{Kind: raftpb.EntryKindCommand, Body: []byte("two")}
	e.Crc32c = wal.EntryChecksum(e.Kind, e.Body)
	if err := m.group.Propose(e, nobody{}); err != nil {
		t.Fatal(err)
	}
	for m.group.fed < 3 {
		h.deliver()
	}
	ask("second")
	h.settle()
	m.group.snaps.machine = nil
	ask("none")
	want := "[nothing 0 runtime: nothing is applied yet first 2 <nil> second 3 <nil> none 0 runtime: the machine has no snapshots]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v\nwant %s", got, want)
	}
}

// A follower that has paused for a moment when a snapshot is taken gets the entries that
// it lacks; only one that stays away longer is left behind.
func TestALogWaitsForAFollowerThatPaused(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	defer h.close()
	h.campaign(1)
	h.propose(1, "together")
	paused := h.members[2]
	paused.cut = true
	for i := range 11 {
		h.propose(1, fmt.Sprint("line ", i))
	}
	if taken := h.members[0].host.SnapshotCounts().Taken; taken != 1 {
		t.Fatalf("%d snapshots were taken, want 1", taken)
	}
	paused.cut = false
	h.pass(3)
	if n := len(paused.machine.lines); n != 12 {
		t.Errorf("the follower has applied %d commands, want 12", n)
	}
	if c := paused.host.SnapshotCounts(); c.Installed != 0 || c.BytesIn != 0 {
		t.Errorf("it was sent a snapshot: %+v", c)
	}
}
