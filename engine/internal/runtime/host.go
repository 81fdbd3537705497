package runtime

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/transport"
)

// Config is what a Host needs. All fields are set by the caller.
type Config struct {
	Node          raft.NodeID
	Workers       int
	MaxInboxBytes int
	// MaxEventBytes bounds the proposals given to a core at once, which takes or
	// refuses them together.
	MaxEventBytes int
	// HoldFrom is how many proposals make one batch large: those that come while it is being written
	// wait for that. 0: none waits.
	HoldFrom int
	Logger   *slog.Logger
	Clock    Clock // nil: the machine's
	// OnFatal is told once, on a goroutine of its own, when the log has failed.
	OnFatal   func(error)
	Snapshots SnapshotLimits
	// Presence is for groups that may sleep (raft.Config.QuiesceAfter).
	Presence Presence
	// StallAfter is how long no write to the log may end, while one is under way, before
	// the disk counts as stalled. 0: it never does.
	StallAfter raft.Time
	// Tap watches every core. nil, as in production: nobody does.
	Tap Tap
}

// Presence says how hosts show each other that they are there while groups sleep. Zero:
// they do not, and no group may sleep.
type Presence struct {
	Interval raft.Time // between the words of one host; as the heartbeat of its groups
	Patience raft.Time // without a word for so long a host is lost; some intervals, at most an election time-out
}

// Host runs many groups over one log and one network.
type Host struct {
	cfg     Config
	clock   Clock
	log     LogStore
	network transport.Network
	boot    int64
	workers []*worker
	stop    chan struct{}
	running sync.WaitGroup

	mutation
	presence   presence
	disk       diskWatch
	background background
	writes     places // of images
	sends      places
	pace       pace
	buffers    sync.Pool // *[]byte, of chunks
	counts     snapshotCounters
	fetches    places
	lends      places
	readRounds atomic.Uint64
	repaired   repairCounters

	failed sync.Once
	closed sync.Once

	mu     sync.Mutex // serialises changes of groups
	groups atomic.Pointer[map[GroupID]*Group]
}

// New makes a host; Run starts it. Between the two, nothing happens.
func New(cfg Config, log LogStore, boot int64) *Host {
	h := &Host{cfg: cfg, clock: cfg.Clock, log: log, boot: boot, stop: make(chan struct{})}
	if h.clock == nil {
		h.clock = machineClock{time.Now()}
	}
	h.background.host = h
	h.presence.init(h)
	h.fetches.free, h.lends.free = maxFetches, maxLends
	h.writes.free, h.sends.free = cfg.Snapshots.MaxWrites, cfg.Snapshots.MaxSends
	h.pace.perSecond = cfg.Snapshots.BytesPerSecond
	h.groups.Store(&map[GroupID]*Group{})
	for range cfg.Workers {
		h.workers = append(h.workers, newWorker(h))
	}
	return h
}

// Run starts the goroutines. Messages go out through network.
func (h *Host) Run(network transport.Network) {
	h.network = network
	for _, w := range h.workers {
		h.running.Go(w.run)
		h.running.Go(func() { w.applier.run(0) })
	}
}

// Close stops all groups and waits for the goroutines. What waits fails with Stopped.
func (h *Host) Close() {
	h.closed.Do(func() { close(h.stop) })
	h.running.Wait()
}

// GroupConfig describes a group to start.
type GroupConfig struct {
	ID       GroupID
	Raft     raft.Config
	Hard     raft.HardState
	Applied  raft.Index // the machine's state covers the log up to here
	Chain    uint64     // the hash over what it covers
	Machine  Machine
	Observer Observer
	// OnMembers is told the configuration in force, at the start and whenever it changes,
	// on the goroutine of the group's worker; and whether others may have been in force
	// between it and the one before. It must not block. nil: nobody is told.
	OnMembers func(c raft.Configuration, skipped bool)

	// Images holds the group's snapshots, of a Machine that is a SnapshotMachine. nil:
	// none are taken.
	Images      *snapshot.Group
	Damaged     []Damage // entries that cannot be read: see Scan
	Policy      SnapshotPolicy
	ConfigIndex raft.Index // of the entry that Raft.Configuration is from; 0: none
	ConfigAt    raft.Index // where it is in force; the log behind says what follows
}

// Start adds a group. Its node is a follower until it hears otherwise.
func (h *Host) Start(c GroupConfig) (*Group, error) {
	if c.Raft.QuiesceAfter > 0 && h.cfg.Presence.Interval <= 0 {
		return nil, errors.New("runtime: start: QuiesceAfter without Presence: nobody would wake the group")
	}
	log := h.log.Group(c.ID)
	node, err := raft.New(c.Raft, coreLog{log}, c.Hard, c.Applied, h.clock.Now())
	if err != nil {
		return nil, err
	}
	w := h.workers[uint64(c.ID)%uint64(len(h.workers))]
	g := &Group{
		id: c.ID, self: h.cfg.Node, w: w, node: node, log: log, machine: c.Machine, observe: c.Observer,
		onMembers: c.OnMembers, hardState: c.Hard, commit: c.Applied, fed: c.Applied, timerAt: -1,
		coreAt: raft.Never, patience: c.Raft.ElectionTimeout, slack: max(1, c.Raft.Heartbeat/4), limit: openLimit(&c.Raft),
	}
	if c.Raft.StateLost == 0 {
		g.applied.Store(uint64(c.Applied))
	}
	g.chain.Store(c.Chain)
	if err := g.loadSnapshots(c); err != nil {
		return nil, err
	}
	if err := h.register(g); err != nil {
		return nil, err
	}
	started := func() {
		if g.dead {
			return // the log has failed meanwhile
		}
		w.groups = append(w.groups, g)
		w.began(g, &c.Raft)
		w.stepCore(g, raft.Event{Kind: raft.EventTimer})
		w.damaged(g, c.Damaged)
	}
	if err := w.inbox.do(started); err != nil {
		h.forget(g)
		return nil, err
	}
	return g, nil
}

// openLimit is how many bytes of a group's proposals may be accepted and not applied: as
// much as may be uncommitted, and as much again that waits for the machine.
func openLimit(c *raft.Config) int {
	if c.MaxUncommittedBytes > 0 {
		return 2 * c.MaxUncommittedBytes
	}
	return 2 * raft.DefaultMaxUncommittedBytes
}

// ErrExists says that a group of that id runs here.
var ErrExists = errors.New("runtime: group is running")

func (h *Host) register(g *Group) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := *h.groups.Load()
	if old[g.id] != nil {
		return fmt.Errorf("start group %d: %w", g.id, ErrExists)
	}
	next := maps.Clone(old)
	next[g.id] = g
	h.groups.Store(&next)
	return nil
}

func (h *Host) forget(g *Group) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := *h.groups.Load()
	if old[g.id] != g {
		return
	}
	next := maps.Clone(old)
	delete(next, g.id)
	h.groups.Store(&next)
}

// find returns the running group of that id, or nil. Safe for concurrent use.
func (h *Host) find(id GroupID) *Group { return (*h.groups.Load())[id] }

// Find returns the running group of that id, or nil. Safe for concurrent use.
func (h *Host) Find(id GroupID) *Group { return h.find(id) }

// Fail ends all groups, because the log has failed: a leader that can write
// nothing must not go on beating and serving reads. The first call counts.
func (h *Host) Fail(err error) {
	h.failed.Do(func() {
		for _, w := range h.workers {
			_ = w.inbox.do(func() { // stopped: its groups have ended
				for _, g := range slices.Clone(w.groups) {
					w.fail(g, fmt.Errorf("log: %w", err))
				}
			})
		}
		if h.cfg.OnFatal != nil {
			go h.cfg.OnFatal(err)
		}
	})
}

type machineClock struct{ start time.Time }

func (c machineClock) Now() raft.Time { return raft.Time(time.Since(c.start)) }
