package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// A snapshot is taken while entries are applied:
//
//	worker   feed: the entry at which one is due ends its job
//	applier  applies up to it, then asks the machine for a Capture: cheap
//	task     writes the capture into an image, syncs, renames
//	worker   tells the core, which says how much of the log may go
//
// It is due after so many entries, at an index that is a multiple of the policy's, or
// after so many bytes since the last one. Both follow from the log alone, so that
// members take theirs at the same entries, and their images are the same where the
// machine writes the same.

// SnapshotMachine is a Machine whose state can be taken and replaced. One that is
// none has its whole log kept.
type SnapshotMachine interface {
	Machine
	// Capture returns the state after the entries applied so far. It runs on the
	// applier: cheap, by copying on write or the like.
	// index is the last of them.
	Capture(index raft.Index) (Capture, error)
	// Restore replaces the state by that of the image. It runs on the applier, or before
	// the group starts. After an error the state may be anything.
	Restore(image *snapshot.Image) error
}

// Capture is a state at one moment. It is written while entries are applied.
type Capture interface {
	// Facts is what the engine keeps beside the machine, in an order that follows from
	// the state.
	Facts() []snapshot.KeyValue
	// Write writes the state behind w.Machine, and files. It returns w's errors.
	Write(w *snapshot.Writer) error
	// Close lets go of the state. It is called once.
	Close() error
}

// SnapshotPolicy says when a group's snapshot is due. Zero: never by that.
type SnapshotPolicy struct {
	Entries raft.Index // between two of them
	Bytes   int64      // of entries, likewise
	Keep    raft.Index // entries of the log that stay behind the newest, for followers that lag a little
}

// SnapshotLimits bounds what snapshots may take of a host. All fields are set by the caller.
type SnapshotLimits struct {
	MaxWrites      int   // images written at a time
	MaxSends       int   // images sent at a time
	ChunkBytes     int   // of an image in one message
	WindowBytes    int   // of an image sent and not answered
	BytesPerSecond int64 // sent, over all followers; 0: no bound
	MaxImageBytes  int64 // of an image that is received
	FromFollowers  bool  // a leader lets other members send its images, where they have the same
}

// SnapshotCounts counts since the host was made.
type SnapshotCounts struct {
	Taken, Failed      uint64 // of the own machines
	Sent, Installed    uint64
	BytesOut, BytesIn  uint64 // of images in messages
	Resumed, Abandoned uint64 // streams that went on in the middle of an image; that were given up
	BytesLent          uint64 // of BytesOut, in place of a leader
	Pulled             uint64 // images that came, in part or all, from other members than the leader
}

type snapshotCounters struct {
	taken, failed, sent, installed, bytesOut, bytesIn, resumed, abandoned, bytesLent, pulled atomic.Uint64
}

// SnapshotCounts returns the counters. Safe for concurrent use.
func (h *Host) SnapshotCounts() SnapshotCounts {
	c := &h.counts
	return SnapshotCounts{
		Taken: c.taken.Load(), Failed: c.failed.Load(), Sent: c.sent.Load(), Installed: c.installed.Load(),
		BytesOut: c.bytesOut.Load(), BytesIn: c.bytesIn.Load(), Resumed: c.resumed.Load(), Abandoned: c.abandoned.Load(),
		BytesLent: c.bytesLent.Load(), Pulled: c.pulled.Load(),
	}
}

// snapshots is what a group knows of its snapshots. It belongs to the worker.
type snapshots struct {
	machine SnapshotMachine // nil: none are taken or installed
	store   *snapshot.Group
	policy  SnapshotPolicy

	config      raft.Configuration // as of fed
	configIndex raft.Index
	term        raft.Term  // of the entry fed last
	since       int64      // bytes fed since one was due
	looked      raft.Index // commit at which witness was called last
	busy        bool       // one is being taken
	missed      bool       // one was due meanwhile
	wanted      []*snapshotWait

	sends     []*send
	refused   map[raft.NodeID]raft.Time // until when there is no use in sending to a member
	receiving *receive
	lends     []*lend // pieces of images for others, which wait for their time
}

type snapshotWait struct {
	least raft.Index
	done  func(snapshot.Meta, error)
}

// ErrNoSnapshots says that a group's machine has no snapshots.
var ErrNoSnapshots = errors.New("runtime: the machine has no snapshots")

// ErrNothingApplied says that there is no state to take a snapshot of.
var ErrNothingApplied = errors.New("runtime: nothing is applied yet")

// Snapshot takes a snapshot of everything applied so far. done is told, on an engine
// goroutine, when it is durable or has failed; it must not block.
func (g *Group) Snapshot(done func(snapshot.Meta, error)) error {
	return g.w.inbox.do(func() { g.w.wantSnapshot(g, g.fed, done) })
}

// Relieve takes a snapshot and drops all of the log that it covers, because the log of
// the host is too large.
func (g *Group) Relieve() {
	w := g.w
	_ = w.inbox.do(func() { // stopped: the log goes with the process
		w.wantSnapshot(g, g.fed, func(m snapshot.Meta, err error) {
			if err == nil {
				w.dropLog(g, m, 0)
			}
		})
	})
}

// wantSnapshot takes a snapshot of least or more entries.
func (w *worker) wantSnapshot(g *Group, least raft.Index, done func(snapshot.Meta, error)) {
	s := &g.snaps
	switch {
	case g.dead:
		done(snapshot.Meta{}, fmt.Errorf("group %d: %w", g.id, ErrStopped))
		return
	case s.machine == nil:
		done(snapshot.Meta{}, ErrNoSnapshots)
		return
	case g.fed == 0 || g.fed < least:
		done(snapshot.Meta{}, ErrNothingApplied)
		return
	}
	s.wanted = append(s.wanted, &snapshotWait{least, done})
	w.satisfy(g)
}

// satisfy answers those whose snapshot is there, and takes one for the others.
func (w *worker) satisfy(g *Group) {
	s := &g.snaps
	if s.busy || len(s.wanted) == 0 {
		return
	}
	if img, err := s.store.Newest(); err == nil {
		m := img.Meta()
		_ = img.Close() // nothing was read
		s.wanted = slices.DeleteFunc(s.wanted, func(x *snapshotWait) bool {
			if x.least <= m.Index {
				x.done(m, nil)
			}
			return x.least <= m.Index
		})
	}
	if len(s.wanted) > 0 {
		s.busy = true
		w.host.writes.force() // somebody waits for it
		w.applier.push(job{group: g, capture: s.capture(g.fed)})
	}
}

// loadSnapshots sets g up for snapshots, if it has them.
func (g *Group) loadSnapshots(c GroupConfig) error {
	m, ok := c.Machine.(SnapshotMachine)
	if !ok || c.Images == nil {
		return nil
	}
	term, err := g.log.Term(c.Applied)
	if c.Applied > 0 && err != nil {
		return fmt.Errorf("start group %d: term of %d: %w", c.ID, c.Applied, err)
	}
	g.snaps = snapshots{
		machine: m, store: c.Images, policy: c.Policy, term: term,
		config: c.Raft.Configuration, configIndex: c.ConfigIndex,
	}
	changes := c.Raft.Changes
	if changes == nil {
		if changes, _, err = Scan(g.log, c.ConfigAt+1, c.Applied+1); err != nil {
			return fmt.Errorf("start group %d: %w", c.ID, err)
		}
	}
	for _, x := range changes {
		if c.ConfigAt < x.Index && x.Index <= c.Applied {
			g.snaps.config, g.snaps.configIndex = x.Configuration, x.Index
		}
	}
	return nil
}

// follow keeps the configuration as of the entry at index.
func (s *snapshots) follow(e *raft.Entry, index raft.Index) {
	if e.Kind != raftpb.EntryKindConfig {
		return
	}
	var c raft.Configuration
	if _, err := c.ParseCompact(e.Body, nil); err == nil { // the core refuses others
		s.config, s.configIndex = c, index
	}
}

// capture describes the state at index, which was just fed.
func (s *snapshots) capture(index raft.Index) *snapshot.Meta {
	s.since, s.missed = 0, false
	return &snapshot.Meta{Index: index, Term: s.term, Config: s.config, ConfigIndex: s.configIndex}
}

// cut looks at entries that are about to be fed. If a snapshot is due at one of them,
// that ends the job.
func (w *worker) cut(g *Group, j *job) {
	s := &g.snaps
	if s.machine == nil {
		return
	}
	for i := range j.entries {
		e, index := &j.entries[i], j.first+raft.Index(i)
		s.term = e.Term
		s.follow(e, index)
		s.since += int64(len(e.Body)) + queueOverhead
		due := s.policy.Entries > 0 && index%s.policy.Entries == 0 || s.policy.Bytes > 0 && s.since >= s.policy.Bytes
		if due || s.missed {
			s.missed = true
			if !s.busy && w.host.writes.take() {
				s.busy = true
				j.capture = s.capture(index)
				clear(j.entries[i+1:])
				j.entries = j.entries[:i+1]
				return
			}
		}
	}
}

// take captures the state on the applier's goroutine and has it written.
func (a *applier) take(g *Group, m *snapshot.Meta) {
	h := g.w.host
	if g.failed != nil || g.Applied() != m.Index {
		h.taken(g, *m, errors.New("the machine has failed"))
		return
	}
	g.state.Lock()
	state, err := g.snaps.machine.Capture(m.Index)
	g.state.Unlock()
	if err != nil {
		h.taken(g, *m, fmt.Errorf("state machine: snapshot at %d: %w", m.Index, err))
		return
	}
	var chain [8]byte
	binary.LittleEndian.PutUint64(chain[:], g.chain.Load())
	facts := state.Facts()
	if g.chain.Load() != 0 {
		facts = append([]snapshot.KeyValue{{Key: []byte(chainKey), Value: chain[:]}}, facts...)
	}
	if h.mutated(mutCompactEarly) {
		_ = g.w.inbox.do(func() { g.w.dropLog(g, *m, g.snaps.policy.Keep) })
	}
	h.background.run(func() {
		got, err := h.write(g.snaps.store, *m, facts, state)
		h.taken(g, got, err)
	})
}

// chainKey is the fact of an image that holds the hash over the entries applied.
const chainKey = "chain"

// write makes an image of a state. One that is there already is as good.
func (h *Host) write(store *snapshot.Group, m snapshot.Meta, facts []snapshot.KeyValue, state Capture) (_ snapshot.Meta, err error) {
	defer func() { err = errors.Join(err, state.Close()) }()
	w, err := store.Create(m)
	if errors.Is(err, snapshot.ErrExists) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	w.Engine(facts)
	w.Machine()
	if err := state.Write(w); err != nil {
		w.Abort()
		return m, fmt.Errorf("state machine: write snapshot at %d: %w", m.Index, err)
	}
	return w.Commit()
}

// taken reports to the worker.
func (h *Host) taken(g *Group, m snapshot.Meta, err error) {
	h.writes.release()
	_ = g.w.inbox.do(func() { g.w.snapshotTaken(g, m, err) }) // stopped: nobody waits any more
}

// snapshotTaken goes on when a snapshot of this node's own state is durable, or is not.
func (w *worker) snapshotTaken(g *Group, m snapshot.Meta, err error) {
	s := &g.snaps
	s.busy = false
	if g.dead {
		return
	}
	if err != nil {
		w.host.counts.failed.Add(1)
		w.host.cfg.Logger.Warn("snapshot failed", "node", g.self, "group", g.id, "index", m.Index, "err", err)
		for _, x := range s.wanted {
			x.done(snapshot.Meta{}, err)
		}
		s.wanted = nil
		w.imageFailed(g)
		return
	}
	w.host.counts.taken.Add(1)
	w.host.cfg.Logger.Info("snapshot taken", "node", g.self, "group", g.id, "index", m.Index, "term", m.Term, "bytes", m.SizeBytes)
	g.observe.SnapshotTaken(g.id, m.Index)
	w.satisfy(g)
	w.dropLog(g, m, w.keep(g, m.Index))
	for _, x := range slices.Clone(s.sends) {
		w.advance(x)
	}
}

// keep is how many entries before index stay in the log: the policy's, and on a leader
// what followers that answer have yet to get, up to as many as come between two
// snapshots. One that paused for a moment is not worth a snapshot.
func (w *worker) keep(g *Group, index raft.Index) raft.Index {
	p := &g.snaps.policy
	keep := p.Keep
	if !g.role.leader || keep == 0 {
		return keep
	}
	for _, m := range g.node.Status().Members {
		if m.ID != g.self && w.now-m.Contact < g.patience && index > m.Match {
			keep = max(keep, min(index-m.Match, p.Entries))
		}
	}
	return keep
}

// dropLog tells the core that the state up to m.Index is safe, and that keep entries
// behind it shall stay nevertheless.
func (w *worker) dropLog(g *Group, m snapshot.Meta, keep raft.Index) {
	taken := raft.Snapshot{Index: m.Index, Term: m.Term, Configuration: m.Config, ConfigurationIndex: m.ConfigIndex}
	w.stepCore(g, raft.Event{
		Kind: raft.EventSnapshotTaken, Snapshot: &taken, Keep: max(1, m.Index+1-keep),
	})
}

// endSnapshots ends what a group has under way, because the group has ended.
func (w *worker) endSnapshots(g *Group) {
	for _, s := range slices.Clone(g.snaps.sends) {
		w.endSend(s)
	}
	w.dropReceive(g)
	w.endLends(g)
	for _, x := range g.snaps.wanted {
		x.done(snapshot.Meta{}, ErrStopped)
	}
	g.snaps.wanted = nil
}

// stageCompact drops the beginning of a group's log with the next write.
func (w *worker) stageCompact(g *Group, to raft.Index) {
	if g.held.is {
		g.held.compact = max(g.held.compact, to)
		to = min(to, g.log.LastIndex()+1) // what there is can go, and makes room
	}
	w.batch.Compact(g.id, to)
	w.note(part{group: g})
}

// stageInstall makes a received snapshot the beginning of the log. The image is durable,
// complete and checked: from here on it stands for what the log held.
func (w *worker) stageInstall(g *Group, s *raft.Snapshot) {
	w.batch.Snapshot(g.id, wal.Snapshot{Index: s.Index, Term: s.Term, Data: s.Configuration.AppendCompact(nil)})
}

// install hands the image of s to the applier, behind everything that was fed before.
func (w *worker) install(g *Group, s *raft.Snapshot) {
	image, err := g.snaps.store.Open(s.Index, s.Term)
	if err != nil {
		w.fail(g, fmt.Errorf("install snapshot: %w", err))
		return
	}
	g.fed, g.commit = s.Index, max(g.commit, s.Index)
	p := &g.snaps
	p.term, p.config, p.configIndex = s.Term, s.Configuration, s.ConfigurationIndex
	p.since, p.missed = 0, false
	w.applier.push(job{group: g, restore: image})
	if len(g.repairs.queue) > 0 { // what it covers needs no repair
		g.repairs.until, g.repairs.lost = w.now+1, nil
	}
	w.feed(g)
}

// restore replaces the machine's state by that of an image, on the applier.
func (a *applier) restore(g *Group, image *snapshot.Image) {
	g.state.Lock()
	defer g.state.Unlock()
	index := image.Meta().Index
	err := g.failed
	if err == nil && index > g.Applied() {
		var chain uint64
		if chain, err = restore(g.snaps.machine, image); err == nil {
			g.chain.Store(chain)
			g.applied.Store(uint64(index))
			g.w.host.counts.installed.Add(1)
			g.w.host.cfg.Logger.Info("snapshot installed", "node", g.self, "group", g.id, "index", index, "bytes", image.Meta().SizeBytes)
		}
	}
	if err := errors.Join(err, image.Close()); err != nil && g.failed == nil {
		g.failed = err
		a.w.inbox.notify(notice{group: g, err: err}, false)
	}
	a.w.inbox.notify(notice{group: g, applied: g.Applied()}, false)
}

func restore(m SnapshotMachine, image *snapshot.Image) (chain uint64, err error) {
	if chain, err = chainOf(image); err != nil {
		return 0, err
	}
	if of := image.Meta(); snapshot.Hollow(&of) {
		return 0, nil // a witness: it has no state
	}
	if err := m.Restore(image); err != nil {
		return 0, fmt.Errorf("state machine: restore snapshot at %d: %w", image.Meta().Index, err)
	}
	return chain, nil
}

// Recovery is what a group finds on disk at its start.
type Recovery struct {
	Image   *snapshot.Image // intact, checked; nil: none. Restore closes it.
	Damaged []error         // newer images that are not intact; the log still holds what they held
	// Finish must be durable before the group starts: an image had arrived, and the
	// process ended before the log was told. nil: nothing is to be done.
	Finish *wal.Batch
	log    *wal.Group
}

// Recover finds the state from which the entries of log go on. An error says that it
// is not there: the log begins behind all that is intact.
func Recover(log *wal.Group, store *snapshot.Group) (Recovery, error) {
	image, damaged, err := store.Recover(log.FirstIndex() - 1)
	r := Recovery{Image: image, Damaged: damaged, log: log}
	if err != nil || image == nil {
		return r, err
	}
	if len(damaged) > 0 { // sent to nobody, and in nobody's way
		if err := store.SetAside(image.Meta().Index); err != nil {
			return r, errors.Join(err, image.Close())
		}
	}
	m := image.Meta()
	if m.Index <= log.LastIndex() {
		if t, err := log.Term(m.Index); err == nil && t == m.Term {
			return r, nil
		}
	}
	// A crash came between the image and the record of it. What the log holds is behind
	// it, or in conflict with it: of no use. Or the log lost what says where it begins, so that what it holds cannot be told to
	// follow from the image: it is in doubt, and goes. Term and commit follow what is known now; no commit is beyond the log.
	hard := log.HardState()
	if hard.Term < m.Term {
		hard.Term, hard.Vote = m.Term, 0
	}
	hard.Commit = m.Index
	r.Finish = new(wal.Batch)
	r.Finish.HardState(log.ID(), hard)
	r.Finish.Snapshot(log.ID(), wal.Snapshot{Index: m.Index, Term: m.Term, Data: m.Config.AppendCompact(nil)})
	return r, nil
}

// Close lets go of the image, if nobody has taken it. Idempotent.
func (r *Recovery) Close() {
	if r.Image != nil {
		_ = r.Image.Close() // it was only read
		r.Image = nil
	}
}

// Restore gives a machine the state that was recovered, if its own is older than the
// image's. It returns how far the machine then is and the hash over what it applied.
func (r *Recovery) Restore(m SnapshotMachine, applied raft.Index) (raft.Index, uint64, error) {
	if r.Image == nil {
		return applied, r.chain(0, 0, applied), nil
	}
	image := r.Image
	r.Image = nil
	if at := image.Meta().Index; at <= applied {
		chain, err := chainOf(image)
		return applied, r.chain(chain, at, applied), errors.Join(err, image.Close())
	}
	chain, err := restore(m, image)
	return image.Meta().Index, chain, errors.Join(err, image.Close())
}

// places is a number of things that may happen at a time.
type places struct {
	mu   sync.Mutex
	free int
}

func (p *places) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free <= 0 {
		return false
	}
	p.free--
	return true
}

// force takes a place even if there is none.
func (p *places) force() {
	p.mu.Lock()
	p.free--
	p.mu.Unlock()
}

func (p *places) release() {
	p.mu.Lock()
	p.free++
	p.mu.Unlock()
}

// pace spreads bytes over time.
type pace struct {
	mu        sync.Mutex
	perSecond int64
	next      raft.Time
}

// reserve returns when n bytes may leave.
func (p *pace) reserve(now raft.Time, n int) raft.Time {
	if p.perSecond <= 0 {
		return now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := max(now, p.next)
	p.next = at + raft.Time(float64(n)/float64(p.perSecond)*1e9)
	return at
}

// cloneMeta copies what a request lends.
func cloneMeta(m *raftpb.SnapshotMeta) (snapshot.Meta, error) {
	var c snapshot.Meta
	_, err := c.ParseCompact(m.AppendCompact(nil), &codec.Limits{})
	return c, err
}
