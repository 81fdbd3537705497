package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Snapshot is a state machine's state at one moment: after the commands applied so far
// and before all later ones, which are applied while it is written.
type Snapshot interface {
	// WriteTo writes the state, in a format of your own. It runs on a goroutine of its
	// own, while Apply goes on. Equal states should give equal bytes (no map order, no
	// time): then a transfer to another member goes on where it was when the leader
	// changes. An error of w must be returned.
	WriteTo(w io.Writer) (int64, error)
	// Close lets go of the state. It is called once, whatever happened.
	Close() error
}

// FileSnapshot is a Snapshot with files, such as the tables of a database. Their
// content becomes part of the snapshot, after what WriteTo wrote.
type FileSnapshot interface {
	Snapshot
	// Files returns the files, in an order that follows from the state. It is called
	// after WriteTo.
	Files() ([]SnapshotFile, error)
}

// SnapshotFile is a file of a snapshot.
type SnapshotFile struct {
	Name string // at most 4096 bytes; it means something to the machine only
	Open func() (io.ReadCloser, error)
}

// FileStateMachine is a StateMachine whose snapshots have files.
type FileStateMachine interface {
	StateMachine
	// RestoreFile gets a file of the snapshot, after Restore, in the order of Files.
	RestoreFile(name string, r io.Reader) error
	// RestoreEnd tells that all of the snapshot was given: it becomes the state.
	RestoreEnd() error
}

// BytesSnapshot returns a snapshot that is b, for machines whose state is small enough
// to be encoded while nothing is applied. b must not change any more.
func BytesSnapshot(b []byte) Snapshot { return bytesSnapshot{bytes.NewReader(b)} }

type bytesSnapshot struct{ *bytes.Reader }

func (bytesSnapshot) Close() error { return nil }

// SnapshotConfig says when snapshots are taken and what they may cost. Zero values mean
// the defaults named.
type SnapshotConfig struct {
	// Entries: a group's snapshot is taken every so many entries of its log. At least
	// 10; negative: never by that. Default 500,000.
	Entries int
	// Bytes: and when so many bytes of entries came since the last one. At least 64 KiB;
	// negative: never by that. Default 256 MiB.
	Bytes int64
	// KeepEntries stay in the log behind the newest snapshot, for followers that lag a
	// little: they need not be sent a snapshot. A leader keeps more for a follower that
	// answers, up to Entries. Negative: none, for nobody. Default 50,000.
	KeepEntries int
	// MaxImages is how many snapshots of a group stay on disk. Default 2, at most 100.
	MaxImages int
	// MaxWrites is how many snapshots of this host are written at a time. Default 2.
	MaxWrites int
	// MaxSends is how many snapshots this host sends at a time. Default 4.
	MaxSends int
	// ChunkBytes of a snapshot travel in one message. 1 KiB to 8 MiB, default 256 KiB.
	ChunkBytes int
	// WindowBytes of a snapshot may be sent to a follower and not answered. At least
	// ChunkBytes, at most 64 MiB. Default 4 MiB.
	WindowBytes int
	// MaxReceiveBytes bounds a snapshot that is received; a larger one is refused.
	// Default 1 TiB.
	MaxReceiveBytes int64
	// MaxBytesPerSecond bounds what this host sends of snapshots, to all followers
	// together. Negative: no bound, and commits take longer while a snapshot is sent.
	// Default 64 MiB.
	MaxBytesPerSecond int64
	// FromFollowers lets a follower that needs a snapshot read it from other followers that
	// have the same one, byte for byte, and not from this host while it leads. Members have
	// the same one where their machines write equal states in equal bytes; if not, or if
	// none of them can be reached, this host sends it. Default false.
	FromFollowers bool
}

func (c *SnapshotConfig) setDefaults() {
	setDefault(&c.Entries, 500_000)
	setDefault(&c.Bytes, 256<<20)
	setDefault(&c.KeepEntries, 50_000)
	setDefault(&c.MaxImages, 2)
	setDefault(&c.MaxWrites, 2)
	setDefault(&c.MaxSends, 4)
	setDefault(&c.ChunkBytes, 256<<10)
	setDefault(&c.WindowBytes, max(4<<20, c.ChunkBytes))
	setDefault(&c.MaxBytesPerSecond, 64<<20)
	setDefault(&c.MaxReceiveBytes, 1<<40)
}

func (c *SnapshotConfig) validate(check func(ok bool, format string, args ...any)) {
	check(c.Entries < 0 || c.Entries >= 10, "Snapshots.Entries: %d, want at least 10", c.Entries)
	check(c.Bytes < 0 || c.Bytes >= 64<<10, "Snapshots.Bytes: %d, want at least 64 KiB", c.Bytes)
	check(1 <= c.MaxImages && c.MaxImages <= 100, "Snapshots.MaxImages: %d, want 1 to 100", c.MaxImages)
	check(c.MaxWrites >= 1, "Snapshots.MaxWrites: %d, want at least 1", c.MaxWrites)
	check(c.MaxSends >= 1, "Snapshots.MaxSends: %d, want at least 1", c.MaxSends)
	check(1<<10 <= c.ChunkBytes && c.ChunkBytes <= 8<<20, "Snapshots.ChunkBytes: %d, want 1 KiB to 8 MiB", c.ChunkBytes)
	check(c.ChunkBytes <= c.WindowBytes && c.WindowBytes <= 64<<20,
		"Snapshots.WindowBytes: %d, want ChunkBytes to 64 MiB", c.WindowBytes)
	check(c.MaxReceiveBytes > 0, "Snapshots.MaxReceiveBytes: %d, want more than 0", c.MaxReceiveBytes)
}

func (c *SnapshotConfig) limits() runtime.SnapshotLimits {
	return runtime.SnapshotLimits{
		MaxWrites: c.MaxWrites, MaxSends: c.MaxSends, ChunkBytes: c.ChunkBytes, WindowBytes: c.WindowBytes,
		BytesPerSecond: max(0, c.MaxBytesPerSecond), MaxImageBytes: c.MaxReceiveBytes,
		FromFollowers: c.FromFollowers,
	}
}

func imageOptions(c *Config, closed <-chan struct{}) snapshot.Options {
	return snapshot.Options{
		Keep: c.Snapshots.MaxImages, NoSync: c.Durability != Fsync,
		Interrupt: func() error {
			select {
			case <-closed:
				return ErrClosed
			default:
				return nil
			}
		},
	}
}

func (c *SnapshotConfig) policy() runtime.SnapshotPolicy {
	return runtime.SnapshotPolicy{
		Entries: raft.Index(max(0, c.Entries)), Bytes: max(0, c.Bytes), Keep: raft.Index(max(0, c.KeepEntries)),
	}
}

// SnapshotInfo describes a snapshot on this host.
type SnapshotInfo struct {
	Index Index // of the last entry it contains
	Term  Term
	Bytes int64 // on disk
}

// Snapshot takes a snapshot of all that is applied on this member and waits until it is
// durable, at most until ctx ends; then it is taken all the same. The log before it
// is dropped but for SnapshotConfig.KeepEntries. Snapshots are also taken without being
// asked for: see Config.Snapshots.
func (g *Group) Snapshot(ctx context.Context) (SnapshotInfo, error) {
	type outcome struct {
		meta snapshot.Meta
		err  error
	}
	got := make(chan outcome, 1)
	if err := g.group.Snapshot(func(m snapshot.Meta, err error) { got <- outcome{m, err} }); err != nil {
		return SnapshotInfo{}, fmt.Errorf("engine: snapshot: %w", ErrClosed)
	}
	select {
	case o := <-got:
		if errors.Is(o.err, runtime.ErrStopped) {
			o.err = ErrClosed
		}
		if o.err != nil {
			return SnapshotInfo{}, fmt.Errorf("engine: snapshot: %w", o.err)
		}
		return SnapshotInfo{o.meta.Index, o.meta.Term, o.meta.SizeBytes}, nil
	case <-g.group.Stopped():
		return SnapshotInfo{}, fmt.Errorf("engine: snapshot: %w", ErrClosed)
	case <-ctx.Done():
		return SnapshotInfo{}, fmt.Errorf("engine: snapshot: %w", ctx.Err())
	}
}

// newestSnapshot is the index of the group's newest snapshot on this host, 0 if there is none.
func (g *Group) newestSnapshot() Index {
	images := g.images.Images()
	if len(images) == 0 {
		return 0
	}
	return images[len(images)-1].Index
}

// relieveEvery is how often the host looks whether the log is above its budget.
const relieveEvery = time.Second

// relieve has snapshots taken of the groups whose entries keep the log above its budget.
func (h *Host) relieve() {
	tick := time.NewTicker(relieveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.closed:
			return
		}
		pinned, _ := h.log.Pinned()
		for _, id := range pinned {
			if g := h.Group(id); g != nil {
				g.group.Relieve()
			}
		}
	}
}

// recovered is what a group finds on disk.
type recovered struct {
	images      *snapshot.Group
	machine     *machine
	applied     Index // by the machine
	chain       uint64
	conf        raftpb.Configuration
	configIndex Index // of its entry
	configAt    Index // where it is in force
	lost        Index // not 0: the state up to there is lost
}

// recoverGroup finds the state from which a group's log goes on, and gives it to the
// machine if that is not further itself. stored is the configuration that the log knows.
func (h *Host) recoverGroup(c *GroupConfig, stored raftpb.Configuration) (recovered, error) {
	log := h.log.Group(c.ID)
	out := recovered{conf: stored, configAt: log.Snapshot().Index}
	var err error
	if out.images, err = h.images.Group(c.ID); err != nil {
		return out, err
	}
	found, err := runtime.Recover(log, out.images)
	for _, damage := range found.Damaged {
		h.cfg.Logger.Error("snapshot damaged", "node", h.cfg.Node, "group", c.ID, "err", damage)
		h.tell(Event{Kind: EventDamage, Group: c.ID, Err: damage})
	}
	lost := errors.Is(err, snapshot.ErrNoImage)
	if err != nil && !lost {
		return out, err
	}
	if lost && h.loseState(c.ID, &out) != nil {
		return out, err
	}
	defer found.Close()
	if found.Finish != nil {
		if err := h.log.Write(found.Finish); err != nil {
			return out, err
		}
	}
	if found.Image != nil {
		m := found.Image.Meta()
		out.conf, out.configIndex, out.configAt = m.Config, m.ConfigIndex, m.Index
	}
	if out.machine, out.applied, err = newMachine(c, &h.counters); err != nil {
		return out, err
	}
	out.machine.mutation = h.cfg.mutation
	if lost {
		h.tell(Event{Kind: EventStateLost, Group: c.ID, Index: out.lost})
		out.applied = out.lost
		return out, nil
	}
	out.applied, out.chain, err = found.Restore(out.machine, out.applied)
	return out, err
}

// errNobodyElse says that a lost state can be had from no other member.
var errNobodyElse = errors.New("engine: no other member holds the state")

// loseState makes do without the state that the log goes on from, because its image is
// damaged or gone: the log is all there, so this member votes and acknowledges, and a
// snapshot of another member takes the place. It is an error if there can be none.
func (h *Host) loseState(id GroupID, out *recovered) error {
	floor := h.log.Group(id).FirstIndex() - 1
	conf := out.conf
	for _, m := range out.images.Images() { // the newest that still says who was in the group
		if m.Index >= floor && len(m.Config.Incoming) > 0 {
			conf, out.configIndex = m.Config, m.ConfigIndex
		}
	}
	others := func(half []raftpb.Member) bool {
		return slices.ContainsFunc(half, func(m raftpb.Member) bool {
			return m.ID != h.cfg.Node && m.Suffrage != raftpb.SuffrageWitness
		})
	}
	if !others(conf.Incoming) && !others(conf.Outgoing) {
		return errNobodyElse
	}
	term, err := h.log.Group(id).Term(floor)
	if err != nil {
		return err
	}
	var b wal.Batch // the next start finds no image that says it
	b.Snapshot(id, wal.Snapshot{Index: floor, Term: term, Data: conf.AppendCompact(nil)})
	if err := errors.Join(h.log.Write(&b), out.images.SetAside(floor)); err != nil {
		return err
	}
	out.conf, out.configAt, out.lost = conf, floor, floor
	return nil
}

// sessionsKey is the fact of a snapshot that holds the session table.
const sessionsKey = "sessions"

// Capture implements runtime.SnapshotMachine.
func (m *machine) Capture(index Index) (runtime.Capture, error) {
	if m.disk != nil {
		// The log that this state covers will go: the state must not.
		if err := m.cover(index); err != nil {
			return nil, err
		}
		if err := m.disk.Sync(); err != nil {
			return nil, fmt.Errorf("sync: %w", err)
		}
	}
	s, err := m.sm.Snapshot()
	if err != nil {
		return nil, err
	}
	out := &capture{state: s}
	if !m.forgetsSessions() {
		out.facts = []snapshot.KeyValue{{Key: []byte(sessionsKey), Value: m.sessions.Append(nil)}}
	}
	return out, nil
}

// cover tells a machine on disk that its state covers the log up to last: behind the
// newest batch were entries that are no commands.
func (m *machine) cover(last Index) error {
	if applied, err := m.disk.Applied(); err != nil || applied >= last {
		return err
	}
	err := m.sm.Apply(Batch{Last: last, machine: m}, nil)
	m.meta, m.metaDone = nil, false
	return err
}

// Restore implements runtime.SnapshotMachine.
func (m *machine) Restore(image *snapshot.Image) error {
	table := session.New()
	fact := func(kv snapshot.KeyValue) (err error) {
		if string(kv.Key) == sessionsKey {
			table, err = session.Decode(kv.Value)
		}
		return err
	}
	files, hasFiles := m.sm.(FileStateMachine)
	file := func(name string, r io.Reader) error {
		if !hasFiles {
			return fmt.Errorf("snapshot has the file %q, but the machine takes none", name)
		}
		return files.RestoreFile(name, r)
	}
	if err := image.Read(fact, m.sm.Restore, file); err != nil {
		return err
	}
	if hasFiles {
		if err := files.RestoreEnd(); err != nil {
			return err
		}
	}
	m.sessions, m.pause = table, 0
	if m.disk == nil {
		return nil
	}
	m.sessions.Track()
	return m.cover(image.Meta().Index)
}

// capture is a state of the machine and of what the engine keeps beside it.
type capture struct {
	state Snapshot
	facts []snapshot.KeyValue
}

// Facts implements runtime.Capture.
func (c *capture) Facts() []snapshot.KeyValue { return c.facts }

// Write implements runtime.Capture.
func (c *capture) Write(w *snapshot.Writer) error {
	if _, err := c.state.WriteTo(w); err != nil {
		return err
	}
	withFiles, ok := c.state.(FileSnapshot)
	if !ok {
		return nil
	}
	files, err := withFiles.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := copyFile(w, f); err != nil {
			return fmt.Errorf("file %q: %w", f.Name, err)
		}
	}
	return nil
}

func copyFile(w *snapshot.Writer, f SnapshotFile) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	w.File(f.Name)
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// Close implements runtime.Capture.
func (c *capture) Close() error { return c.state.Close() }
