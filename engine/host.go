package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Host is one process of a cluster: one log, one listener, one set of connections
// per other node, and any number of groups. Its methods are safe for concurrent use.
type Host struct {
	cfg      Config
	log      *wal.Log
	images   *snapshot.Store
	network  transport.Network
	rt       *runtime.Host
	counters counters
	memory   memory
	book     *addressBook

	admission *admission

	services *ownServices

	closing sync.Once
	closed  chan struct{} // closed when Close begins
	ended   chan struct{} // closed when Close has ended
	err     error         // of Close
	watcher sync.WaitGroup
	tasks   sync.WaitGroup // asked for by calls and comparisons

	events      chan Event // for Config.Observer; nil: there is none
	observing   sync.WaitGroup
	diskStalled atomic.Bool // as the observer was told

	mu     sync.RWMutex // held for a look at the maps, never over I/O
	groups map[GroupID]*Group
	taken  map[GroupID]bool // running, or being started
	lived  map[GroupID]bool // has run in this process: its log may hold what is not durable yet
}

// Open opens the data directory and the listener. What the directory holds must
// belong to this cluster and node. Members of groups are dialed from Start on.
func Open(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: open: %w", err)
	}
	failed := make(chan error, 1) // the log tells its first failure, once
	options := walOptions(cfg, func(err error) { failed <- err })
	damaged := make(chan *wal.CorruptError, 64) // more than that the next scrub finds again
	options.OnDamage = func(e *wal.CorruptError) {
		select {
		case damaged <- e:
		default:
		}
	}
	log, recovery, err := wal.Open(cfg.Dir, options)
	if err != nil {
		return nil, fmt.Errorf("engine: open: %w", err)
	}
	if !recovery.Created {
		cfg.Logger.Info("log recovered", "node", cfg.Node, "frames", recovery.Frames, "segments", recovery.Segments,
			"torn", recovery.Torn, "catalog_rebuilt", recovery.CatalogRebuilt, "dur", recovery.Elapsed)
	}
	closed := make(chan struct{})
	h := &Host{
		cfg: cfg, log: log, groups: map[GroupID]*Group{}, taken: map[GroupID]bool{}, lived: map[GroupID]bool{},
		closed: closed, ended: make(chan struct{}), services: newOwnServices(cfg.Services),
		images: snapshot.New(options.FS, options.FS.PathJoin(cfg.Dir, "snapshot"), imageOptions(&cfg, closed)),
	}
	h.book = newAddressBook(h)
	h.rt = runtime.New(runtime.Config{
		Node: cfg.Node, Workers: cfg.Workers, MaxInboxBytes: cfg.MaxInboxBytes, Logger: cfg.Logger, OnFatal: h.fatal,
		MaxEventBytes: min(4<<20, cfg.MaxUncommittedBytes/4), HoldFrom: holdFrom, Snapshots: cfg.Snapshots.limits(),
		Presence: cfg.presence(), StallAfter: raft.Time(max(0, cfg.DiskStallAfter)),
	}, log, unique())
	if h.admission, err = newAdmission(h, options.FS); err != nil {
		return nil, errors.Join(fmt.Errorf("engine: open: %w", err), log.Close())
	}
	used, _ := codec.ByName(cfg.Codec)
	h.network, err = cfg.Network(transport.Config{
		Cluster: cfg.Cluster, Node: cfg.Node, Incarnation: log.Identity().Incarnation, Listen: cfg.Listen,
		Codec: used, Handler: h, Methods: peerMethods(), ClientMethods: h.services.methods(), Logger: cfg.Logger,
		Admit: h.admission.judge, Refused: h.admission.refused, Epoch: h.admission.epoch,
		CloseTimeout: closeTimeout, Identity: cfg.Identity, MaxFrame: cfg.MaxFrameBytes, ProbeAfter: cfg.probeAfter(),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("engine: open: %w", err), log.Close())
	}
	h.startObserver()
	h.rt.Run(h.network)
	h.watcher.Go(func() {
		for {
			select {
			case err := <-failed:
				h.rt.Fail(err)
			case e := <-damaged:
				h.damageFound(e)
			case <-h.closed:
				return
			}
		}
	})
	h.watcher.Go(h.relieve)
	if cfg.Scrub.Every > 0 {
		h.watcher.Go(h.scrub)
	}
	return h, nil
}

// SetIdentity changes the certificate that this host shows and the roots it believes in,
// for connections made from now on: those that exist stay, and no call fails. It is an error on
// a host without TLS, and for a certificate of another node. It is safe for concurrent use.
func (h *Host) SetIdentity(id *transport.Identity) error {
	n, ok := h.network.(interface {
		SetIdentity(*transport.Identity) error
	})
	if !ok {
		return errors.New("engine: set identity: this network has no TLS")
	}
	return n.SetIdentity(id)
}

// Start starts a group on this host. On the first start of the group here its
// members are stored; from then on the stored configuration counts.
func (h *Host) Start(ctx context.Context, c GroupConfig) (*Group, error) {
	if err := c.validate(h.cfg.Node); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: start group %d: %w", c.ID, err)
	}
	lived, err := h.take(c.ID)
	if err != nil {
		return nil, err
	}
	g, err := h.start(ctx, c, lived)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		delete(h.taken, c.ID)
		return nil, fmt.Errorf("engine: start group %d: %w", c.ID, err)
	}
	h.groups[c.ID], h.lived[c.ID] = g, true
	return g, nil
}

// take reserves a group's id for the caller and tells whether the group has run
// here before.
func (h *Host) take(id GroupID) (lived bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.closed:
		return false, ErrClosed
	default:
	}
	if h.taken[id] {
		return false, fmt.Errorf("engine: start group %d: %w", id, ErrExists)
	}
	h.taken[id] = true
	return h.lived[id], nil
}

// forget makes room for another start of a group that has stopped.
func (h *Host) forget(g *Group) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.groups[g.id] == g {
		h.book.forget(g.id)
		delete(h.groups, g.id)
		delete(h.taken, g.id)
	}
}

func (h *Host) start(ctx context.Context, c GroupConfig, lived bool) (*Group, error) {
	conf, err := h.configuration(c)
	if err != nil {
		return nil, err
	}
	if lived {
		if err := h.settle(ctx, c.ID); err != nil {
			return nil, err
		}
	}
	found, err := h.recoverGroup(&c, conf)
	if err != nil {
		return nil, err
	}
	g := &Group{host: h, id: c.ID, machine: found.machine, images: found.images, observer: &observer{h: h}}
	g.machine.hashed, g.machine.faulted = g.compare, g.faulted
	h.book.set(g, &found.conf)
	stored := h.log.Group(c.ID).HardState()
	core := h.coreConfig(c.ID, found.conf)
	core.ConfigurationIndex, core.Witness, core.StateLost = found.configIndex, c.Witness, found.lost
	core.ApplyDurable = found.machine.disk != nil
	var damaged []runtime.Damage
	if core.Changes, damaged, err = h.configurations(ctx, c.ID); err != nil {
		h.book.forget(c.ID)
		return nil, err
	}
	if h.log.Group(c.ID).Uncertain() {
		// Damage took the log back to an older state of itself. What was committed then, still
		// is; whatever else was acknowledged or voted since is forgotten.
		core.DoubtFrom, core.VoteDoubt = stored.Commit+1, true
		h.cfg.Logger.Error("log was damaged: the group neither votes nor acknowledges here until a leader has repaired it",
			"node", h.cfg.Node, "group", c.ID, "index", core.DoubtFrom, "term", stored.Term)
		h.tell(Event{Kind: EventDamage, Group: c.ID, Index: core.DoubtFrom, Err: errLogDamaged})
	}
	for i := range damaged {
		h.tell(Event{Kind: EventDamage, Group: c.ID, Index: damaged[i].Index, Err: errEntryDamaged})
	}
	g.group, err = h.rt.Start(runtime.GroupConfig{
		ID:          c.ID,
		Raft:        core,
		Hard:        raft.HardState{Term: stored.Term, Vote: stored.Vote, Commit: stored.Commit},
		Applied:     found.applied,
		Chain:       found.chain,
		Machine:     found.machine,
		Observer:    g.observer,
		Images:      found.images,
		Damaged:     damaged,
		Policy:      h.cfg.Snapshots.policy(),
		ConfigIndex: found.configIndex,
		ConfigAt:    found.configAt,
		OnMembers:   func(c raft.Configuration, skipped bool) { h.book.follow(g, &c, skipped) },
	})
	if err != nil {
		h.book.forget(c.ID)
	}
	return g, err
}

// settle waits until all that a group's earlier life in this process handed to the
// log is durable. The log shows what was handed over; a core that starts takes what
// it sees for durable and promises it. Writing the state once more, with a sync, is
// the barrier: the log completes writes in order.
func (h *Host) settle(ctx context.Context, id GroupID) error {
	written := make(chan error, 1)
	go func() {
		var b wal.Batch
		b.HardState(id, h.log.Group(id).HardState())
		written <- h.log.Write(&b)
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// configuration returns the stored configuration of a group; on its first start
// it stores the members given, durably, before anything else happens in the group.
func (h *Host) configuration(c GroupConfig) (raftpb.Configuration, error) {
	var conf raftpb.Configuration
	if s := h.log.Group(c.ID).Snapshot(); len(s.Data) > 0 {
		_, err := conf.ParseCompact(s.Data, nil)
		return conf, err
	}
	for _, m := range c.Members {
		conf.Incoming = append(conf.Incoming, m.message())
	}
	if h.log.Group(c.ID).FirstIndex() > 1 {
		return conf, nil // damage took what was stored; the image that the log begins behind has it
	}
	var b wal.Batch
	b.Snapshot(c.ID, wal.Snapshot{Data: conf.AppendCompact(nil)})
	return conf, h.log.Write(&b)
}

func (h *Host) coreConfig(id GroupID, conf raftpb.Configuration) raft.Config {
	return raft.Config{
		ID:                  h.cfg.Node,
		Configuration:       conf,
		ElectionTimeout:     raft.Time(h.cfg.ElectionTimeout),
		Heartbeat:           raft.Time(h.cfg.HeartbeatInterval),
		ClockBound:          raft.Time(h.cfg.ClockBound),
		QuiesceAfter:        raft.Time(max(0, h.cfg.QuiesceAfter)),
		Seed:                seed(h.cfg.Node, id, h.log.Identity().Incarnation),
		Boot:                uint64(unique()),
		MaxUncommittedBytes: h.cfg.MaxUncommittedBytes,
		MaxElectionTimeout:  raft.Time(h.cfg.MaxElectionTimeout),
		MaxInflightBytes:    h.cfg.MaxInflightBytes,
		MaxInflightAppends:  h.cfg.MaxInflightAppends,
		MinInflightBytes:    h.cfg.MinInflightBytes,
		MinInflightAppends:  h.cfg.MinInflightAppends,
	}
}

func (h *Host) dialAddress(id NodeID, addr string) string {
	if instead := h.cfg.Dial[id]; instead != "" {
		return instead
	}
	return addr
}

// Group returns the running group of that id, or nil.
func (h *Host) Group(id GroupID) *Group {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.groups[id]
}

// Groups returns the running groups by their ids, ascending.
func (h *Host) Groups() []*Group {
	h.mu.RLock()
	defer h.mu.RUnlock()
	all := slices.AppendSeq(make([]*Group, 0, len(h.groups)), maps.Values(h.groups))
	slices.SortFunc(all, func(a, b *Group) int { return cmp.Compare(a.id, b.id) })
	return all
}

// Node returns the node's id in its cluster.
func (h *Host) Node() NodeID { return h.cfg.Node }

// Addr returns the address the host listens on.
func (h *Host) Addr() string { return h.network.Addr() }

// SetCodec changes what this host sends requests in: a name as in Config.Codec.
// Connections and calls in flight go on, for every frame names its codec; the other
// nodes need not change at the same time, or at all.
func (h *Host) SetCodec(name string) error {
	c, ok := codec.ByName(name)
	if !ok {
		return fmt.Errorf("engine: codec %q is not known", name)
	}
	h.network.SetCodec(c)
	return nil
}

// Durability says what an acknowledged write survives on this host, honestly: a
// directory on a file system in memory is "none (tmpfs)" whatever was configured.
// Only "fsync" may be called durable.
func (h *Host) Durability() string { return h.log.Durability() }

// Close hands over the groups that this host leads, if that takes no longer than an
// election time-out or 3 s, stops all groups, then the network, then the log. What waits ends with
// ErrClosed (and ErrIndeterminate where it may still happen). Idempotent: a second
// call waits for the first. Do not call it from Apply or from a function that the
// engine runs, but for OnFatal. It waits until Config.Observer has been told what happened.
func (h *Host) Close() error {
	h.closing.Do(func() {
		h.mu.Lock()
		close(h.closed) // under the lock: no Start gets past it
		h.mu.Unlock()
		h.watcher.Wait()
		h.handOver()
		h.services.end()
		h.rt.Close()
		network := h.network.Close()
		h.services.running.Wait()
		h.tasks.Wait() // what calls have begun; no call comes any more
		h.endObserver()
		h.err = errors.Join(network, h.log.Close())
		close(h.ended)
	})
	<-h.ended
	return h.err
}

// handOver lets others lead the groups of this host, before it goes: nobody then has to
// wait until they find out.
func (h *Host) handOver() {
	h.mu.RLock()
	ended, asked := make(chan struct{}, len(h.groups)), 0
	for _, g := range h.groups {
		if g.Leader() == h.cfg.Node && g.group.Transfer(0, func(raft.TransferAnswer) { ended <- struct{}{} }) == nil {
			asked++
		}
	}
	h.mu.RUnlock()
	patience := time.NewTimer(h.handOverTimeout())
	defer patience.Stop()
	for range asked {
		select {
		case <-ended:
		case <-patience.C:
			return
		}
	}
}

// handOverTimeout bounds how long a leader that stops looks for another one: as long as
// the others would take to elect one.
func (h *Host) handOverTimeout() time.Duration { return min(h.cfg.ElectionTimeout, 3*time.Second) }

func (h *Host) fatal(err error) {
	if h.cfg.OnFatal != nil {
		h.cfg.OnFatal(err)
		return
	}
	h.cfg.Logger.Error("log failed: restart the process", "node", h.cfg.Node, "err", err)
}

// closeTimeout bounds how long Close goes on sending what is queued.
const closeTimeout = 300 * time.Millisecond

// holdFrom is how many proposals make a batch so large that others wait while it is
// written (docs/benchmarks.md): below, what counts is how soon a batch leaves.
const holdFrom = 48

func defaultWorkers() int { return min(max(goruntime.NumCPU()/2, 1), 8) }
