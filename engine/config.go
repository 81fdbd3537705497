package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// The vocabulary of raft.thrift.
type (
	NodeID  = raftpb.NodeID
	GroupID = raftpb.GroupID
	Term    = raftpb.Term
	Index   = raftpb.Index
	Role    = raftpb.Role
)

// Durability says what an acknowledged write survives.
type Durability uint8

const (
	// Fsync acknowledges a write when a majority has synced it: it survives the
	// power loss of any minority, and of all at once.
	Fsync Durability = iota
	// NoSync acknowledges what a majority's operating systems hold: it survives
	// killed processes, not a power loss of a majority.
	NoSync
	// Memory keeps the log in memory: nothing survives a restart.
	Memory
)

func (d Durability) String() string {
	switch d {
	case Fsync:
		return "fsync"
	case NoSync:
		return "nosync"
	case Memory:
		return "memory"
	}
	return fmt.Sprintf("Durability(%d)", uint8(d))
}

// Config describes a host. It is copied by Open; zero values mean the defaults named.
type Config struct {
	// Cluster names the cluster; nodes of another one are refused. Required, at most 39 bytes.
	Cluster string
	// Node is this node's id in the cluster, at least 1. Required. A directory
	// belongs to one cluster and node for ever.
	Node NodeID
	// Dir is the data directory, created when missing. Required unless Durability is Memory.
	Dir string
	// Listen is the address to listen on, host:port. Required.
	Listen string

	// Identity, when set, puts all connections under mutual TLS: members are known by their
	// certificates. See transport.Identity, and Host.SetIdentity to replace it. nil: no TLS;
	// then keep the port where only trusted hosts reach it.
	Identity *transport.Identity
	// Dial overrides the address dialed for a member (NAT, proxies, tests).
	Dial map[NodeID]string
	// Codec is what this node sends requests in: "thrift-compact" (default),
	// "thrift-binary" or "msgpack". Nodes of one cluster may differ.
	Codec string
	// Durability is what an acknowledged write survives. Default Fsync.
	Durability Durability

	// ElectionTimeout is the upper bound of the time a follower waits for a leader
	// before it campaigns; each wait is random in [half, all] of it. At least 10 ms.
	// Default 1 s. Too short: elections under load; too long: slow fail-over.
	ElectionTimeout time.Duration
	// MaxElectionTimeout is how far ElectionTimeout may rise by itself on this host, group by group,
	// where the network, the disks or this machine turn out to be slow: to at least five times
	// what a quorum's answers, a write and this process's own delays take together, and back when
	// they are faster again. ElectionTimeout is the lower bound, and what leases and HeartbeatInterval
	// are measured by at any time. Status.ElectionTimeout shows it. At least ElectionTimeout, which
	// is the default: it does not change.
	MaxElectionTimeout time.Duration
	// HeartbeatInterval is how often a leader speaks when it has nothing to say.
	// At most a third of ElectionTimeout. Default: a tenth of it.
	HeartbeatInterval time.Duration

	// QuiesceAfter is for how long a group must have had nothing to do before it sleeps: it
	// sends nothing and costs nothing until somebody wants something, while the hosts go on
	// showing each other that they are there, once per pair however many groups sleep. The
	// loss of a host wakes its groups. Default: 5 x ElectionTimeout. Negative: never.
	QuiesceAfter time.Duration
	// DiskStallAfter is how long no write to the disk may end, while one is under way, before
	// this host's leaders hand over. Default: half of ElectionTimeout. Negative: never.
	DiskStallAfter time.Duration

	// ClockBound switches leases on (see Lease): it is the most by which the clocks of two
	// members may drift apart within half an ElectionTimeout, pauses of a whole machine
	// included. A lease lasts half an ElectionTimeout less this. If clocks do not keep it,
	// Lease reads may be stale; nothing else depends on it. A host that starts gives no vote for
	// half an ElectionTimeout. Below half of ElectionTimeout; the same on all hosts.
	// Default 0: no leases.
	ClockBound time.Duration

	// MaxFrameBytes bounds a message, from and to anyone: who sends a longer one is disconnected. The same on
	// all hosts. 2 MiB to 16,384,000, the default, which stock Thrift libraries have too.
	MaxFrameBytes int
	// MaxCommandBytes bounds a command. Default and maximum: MaxFrameBytes - 64 KiB.
	MaxCommandBytes int
	// MaxInboxBytes bounds what waits for one worker: proposals and reads, and as
	// much again of messages. One group may fill half of it. Over it, Propose returns
	// ErrBusy. 1 MiB to 1 GiB, default 64 MiB.
	MaxInboxBytes int
	// MaxUncommittedBytes bounds the entries of a group that are not committed yet;
	// over it, Propose returns ErrBusy. Twice as much may wait for its machine. 1 MiB to 1 GiB, default 64 MiB.
	MaxUncommittedBytes int
	// MaxInflightBytes and MaxInflightAppends bound what a leader sends to one follower ahead of its
	// answers. The bound in force shrinks while answers come late, because the follower, its
	// disk or the way to it are slow, and grows when it is reached and answers come in time, between Min and Max.
	// One append always fits. 64 KiB to 1 GiB, default 8 MiB; 1 to 65,536, default 256.
	MaxInflightBytes   int
	MaxInflightAppends int
	// MinInflightBytes and MinInflightAppends are as far as they shrink: at most what Max says. Equal
	// to it: the bound is fixed. Defaults 1 MiB and 16, or Max, if that is less.
	MinInflightBytes   int
	MinInflightAppends int
	// MaxSessions bounds the sessions of a group; one more takes the place of the least
	// recently used, by log position. The limits of sessions count for a group as soon
	// as its leader opens a session, on all members alike. 1 to 65,536, default 4,096.
	MaxSessions int
	// SessionWindow is how many commands a session may have open. 1 to 16,384, default 1,024.
	SessionWindow int
	// MaxSessionTableBytes bounds what a group keeps of its sessions, results included;
	// over it, the least recently used go. 4 MiB to 1 GiB, default 64 MiB.
	MaxSessionTableBytes int
	// MaxSessionResultBytes bounds a result that is kept for retries: who retries a
	// command with a longer one gets an AppliedError. At most 16,000,000, default 64 KiB.
	MaxSessionResultBytes int
	// SegmentBytes is the size of a log segment file: 16 KiB to 1 TiB, in steps of 4 KiB. Default 64 MiB.
	SegmentBytes int64
	// Scrub says how often the whole log is read, so that damage is found, and repaired from
	// other members, before it is needed.
	Scrub ScrubConfig
	// Snapshots says when snapshots are taken and what they may cost.
	Snapshots SnapshotConfig
	// Workers is the number of goroutines that groups are spread over. Default:
	// one per two CPUs, at most 8.
	Workers int

	// Services are served on this host's port beside the engine's own.
	Services []Service
	// AllowAdmin decides who may call the admin service (RaftAdmin in raft.thrift), by
	// the address that a call comes from and what the caller's certificate says (nothing
	// without TLS). It must not block. Default: programs on the same machine, and who
	// has a certificate of an administrator.
	AllowAdmin func(remoteAddr string, holder transport.Holder) bool

	// Admit, when set, decides which nodes may talk to this one, beside what is always asked of
	// them: the cluster, the certificate, and that they have not lost their data directory. An
	// error refuses the connection, its text travels. It must not block. Default: all may.
	Admit func(Peer) error
	// Epoch is the least epoch of the cluster: a new node that joins after a recovery from the
	// loss of a quorum must be given the one that the recovery made (Host.Epoch on the others).
	// A directory remembers the highest that it was given.
	Epoch int64

	// Logger hears what an operator should know. Default slog.Default().
	Logger *slog.Logger
	// Observer, when set, is told what happens on this host: one event at a time, in the order
	// in which they were noticed, on a goroutine of its own, so that it may take its time and call the host,
	// but for Close and Group.Stop. 4,096 events may wait for it; what comes then is dropped and
	// counted (Metrics.EventsDropped): what must not be missed is read from Group.Status.
	Observer func(Event)
	// OnFatal is called once, on a goroutine of its own, when the log has failed: all
	// groups have ended, and the process should exit and be restarted. Default: a log line.
	OnFatal func(error)
	// Network makes the network of this host. Default: TCP. For tests: transport.NewMemory's Listen.
	Network func(transport.Config) (transport.Network, error)

	// FS holds the files of the log. Default: the operating system's. For tests and benchmarks: a
	// file system that is slow (wal.NewSlowFS) or fails. Not used with Memory.
	FS wal.FS

	mutation
}

const maxFrameBytes = raftpb.MaxFrameBytes

// withDefaults returns c with defaults filled in, or all its faults.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Codec, "thrift-compact")
	setDefault(&c.ElectionTimeout, time.Second)
	setDefault(&c.MaxElectionTimeout, c.ElectionTimeout)
	setDefault(&c.HeartbeatInterval, c.ElectionTimeout/10)
	setDefault(&c.QuiesceAfter, 5*c.ElectionTimeout)
	setDefault(&c.DiskStallAfter, c.ElectionTimeout/2)
	setDefault(&c.MaxFrameBytes, maxFrameBytes)
	setDefault(&c.MaxCommandBytes, c.MaxFrameBytes-64<<10)
	setDefault(&c.MaxInboxBytes, 64<<20)
	setDefault(&c.MaxUncommittedBytes, 64<<20)
	c.setWindows()
	setDefault(&c.MaxSessions, 4096)
	setDefault(&c.SessionWindow, 1024)
	setDefault(&c.MaxSessionTableBytes, 64<<20)
	setDefault(&c.MaxSessionResultBytes, 64<<10)
	setDefault(&c.SegmentBytes, 64<<20)
	setDefault(&c.Workers, defaultWorkers())
	c.Snapshots.setDefaults()
	c.Scrub.setDefaults()
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.AllowAdmin == nil {
		c.AllowAdmin = isOperator
	}
	if c.Network == nil {
		c.Network = func(t transport.Config) (transport.Network, error) {
			n, err := transport.Listen(t)
			if err != nil {
				return nil, err // not a nil *TCP in an interface
			}
			return n, nil
		}
	}
	return c, c.validate()
}

func (c *Config) setWindows() {
	setDefault(&c.MaxInflightBytes, raft.DefaultMaxInflightBytes)
	setDefault(&c.MaxInflightAppends, raft.DefaultMaxInflightAppends)
	setDefault(&c.MinInflightBytes, min(raft.DefaultMinInflightBytes, c.MaxInflightBytes))
	setDefault(&c.MinInflightAppends, min(raft.DefaultMinInflightAppends, c.MaxInflightAppends))
}

func (c *Config) checkWindows(check func(ok bool, format string, args ...any)) {
	check(64<<10 <= c.MaxInflightBytes && c.MaxInflightBytes <= 1<<30, "MaxInflightBytes: %d, want 64 KiB to 1 GiB", c.MaxInflightBytes)
	check(1 <= c.MaxInflightAppends && c.MaxInflightAppends <= 1<<16, "MaxInflightAppends: %d, want 1 to 65536", c.MaxInflightAppends)
	check(1 <= c.MinInflightBytes && c.MinInflightBytes <= c.MaxInflightBytes,
		"MinInflightBytes: %d, want 1 to MaxInflightBytes %d", c.MinInflightBytes, c.MaxInflightBytes)
	check(1 <= c.MinInflightAppends && c.MinInflightAppends <= c.MaxInflightAppends,
		"MinInflightAppends: %d, want 1 to MaxInflightAppends %d", c.MinInflightAppends, c.MaxInflightAppends)
}

// ErrConfig is matched by what Open and Start say of a Config or GroupConfig that is wrong. Nothing was opened or started.
var ErrConfig = errors.New("engine: bad configuration")

// configFaults are all faults of a configuration.
type configFaults struct{ error }

func (configFaults) Is(target error) bool { return target == ErrConfig }

func (f configFaults) Unwrap() error { return f.error }

func badConfig(faults []error) error {
	if len(faults) == 0 {
		return nil
	}
	return configFaults{errors.Join(faults...)}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// presence says how hosts show each other that they are there while groups sleep: often
// enough that a few words may be lost before half an election time-out has passed.
func (c *Config) presence() runtime.Presence {
	if c.QuiesceAfter < 0 {
		return runtime.Presence{}
	}
	e := raft.Time(c.ElectionTimeout)
	return runtime.Presence{Interval: min(raft.Time(c.HeartbeatInterval), e/10), Patience: e / 2}
}

func (c *Config) validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("engine: config: "+format, args...))
		}
	}
	check(c.Cluster != "" && len(c.Cluster) <= wal.MaxClusterBytes,
		"Cluster: %d bytes, want 1 to %d", len(c.Cluster), wal.MaxClusterBytes)
	check(c.Node >= 1, "Node: %d, want at least 1", c.Node)
	check(c.Dir != "" || c.Durability == Memory, "Dir: empty")
	check(c.Listen != "", "Listen: empty")
	_, known := codec.ByName(c.Codec)
	check(known, "Codec: %q is not known", c.Codec)
	check(c.Durability <= Memory, "Durability: %d is not known", c.Durability)
	check(c.ElectionTimeout >= 10*time.Millisecond, "ElectionTimeout: %v, want at least 10ms", c.ElectionTimeout)
	check(c.MaxElectionTimeout >= c.ElectionTimeout, "MaxElectionTimeout: %v, want at least ElectionTimeout %v", c.MaxElectionTimeout, c.ElectionTimeout)
	check(c.HeartbeatInterval > 0 && c.HeartbeatInterval <= c.ElectionTimeout/3,
		"HeartbeatInterval: %v, want at most a third of ElectionTimeout %v", c.HeartbeatInterval, c.ElectionTimeout)
	check(0 <= c.ClockBound && c.ClockBound < c.ElectionTimeout/2, "ClockBound: %v, want less than half of ElectionTimeout %v",
		c.ClockBound, c.ElectionTimeout)
	check(2<<20 <= c.MaxFrameBytes && c.MaxFrameBytes <= maxFrameBytes, "MaxFrameBytes: %d, want 2 MiB to %d", c.MaxFrameBytes, maxFrameBytes)
	check(c.MaxCommandBytes > 0 && c.MaxCommandBytes <= c.MaxFrameBytes-64<<10,
		"MaxCommandBytes: %d, want 1 to MaxFrameBytes - 64 KiB", c.MaxCommandBytes)
	check(c.Snapshots.ChunkBytes <= c.MaxFrameBytes-64<<10, "Snapshots.ChunkBytes: %d, want at most MaxFrameBytes - 64 KiB", c.Snapshots.ChunkBytes)
	check(16<<10 <= c.SegmentBytes && c.SegmentBytes <= 1<<40 && c.SegmentBytes%4096 == 0,
		"SegmentBytes: %d, want 16 KiB to 1 TiB, in steps of 4 KiB", c.SegmentBytes)
	check(1<<20 <= c.MaxInboxBytes && c.MaxInboxBytes <= 1<<30, "MaxInboxBytes: %d, want 1 MiB to 1 GiB", c.MaxInboxBytes)
	check(1<<20 <= c.MaxUncommittedBytes && c.MaxUncommittedBytes <= 1<<30,
		"MaxUncommittedBytes: %d, want 1 MiB to 1 GiB", c.MaxUncommittedBytes)
	c.checkWindows(check)
	check(1 <= c.MaxSessions && c.MaxSessions <= session.MaxSessions, "MaxSessions: %d, want 1 to %d", c.MaxSessions, session.MaxSessions)
	check(1 <= c.SessionWindow && c.SessionWindow <= session.MaxWindow, "SessionWindow: %d, want 1 to %d", c.SessionWindow, session.MaxWindow)
	check(session.MinTableBytes <= c.MaxSessionTableBytes && c.MaxSessionTableBytes <= session.MaxTableBytes,
		"MaxSessionTableBytes: %d, want 4 MiB to 1 GiB", c.MaxSessionTableBytes)
	check(1 <= c.MaxSessionResultBytes && c.MaxSessionResultBytes <= 16_000_000,
		"MaxSessionResultBytes: %d, want 1 to 16000000", c.MaxSessionResultBytes)
	check(c.Epoch >= 0, "Epoch: %d is negative", c.Epoch)
	check(c.Workers >= 1 && c.Workers <= 256, "Workers: %d, want 1 to 256", c.Workers)
	c.Snapshots.validate(check)
	c.Scrub.validate(check)
	checkServices(c.Services, check)
	for id, addr := range c.Dial {
		check(id >= 1 && addr != "", "Dial: node %d at %q", id, addr)
	}
	return badConfig(faults)
}

// GroupConfig describes a group to start.
type GroupConfig struct {
	// ID names the group in its cluster, at least 1. Required.
	ID GroupID
	// Members are the group's first members, the same list on each of them. It
	// counts when this member starts the group for the first time; later the stored
	// configuration does. Required, with this node in it, unless Join is set.
	Members []Member
	// Join starts a member that the group does not have yet: it waits until the leader
	// that adds it (Group.Change) tells it who the others are. Members must be empty.
	Join bool
	// Witness says, with Join, that it will be added as a witness (AddWitness): a member
	// that votes, and keeps the log without the commands. Its Machine is never used.
	Witness bool
	// Machine is what the group replicates. Required.
	Machine StateMachine
	// HashEvery has the state hashed at every index that is a multiple of it, on all members,
	// and compared by the leader. What differs is logged, counted and in the Status. The
	// same on all members. 0: never. It costs what HashStateMachine says.
	HashEvery Index
	// OnApplyError is what becomes of the group when the machine returns an error from
	// Apply. The same on all members. Default Halt.
	OnApplyError ApplyPolicy
}

func (c *GroupConfig) validate(self NodeID) error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("engine: group config: "+format, args...))
		}
	}
	check(c.ID >= 1, "ID: %d, want at least 1", c.ID)
	check(c.Machine != nil, "Machine: nil")
	check(c.HashEvery >= 0, "HashEvery: %d is negative", c.HashEvery)
	check(c.OnApplyError <= Skip, "OnApplyError: %d is not known", c.OnApplyError)
	_, disk := c.Machine.(DiskStateMachine)
	check(!disk || c.OnApplyError != Skip, "OnApplyError: a machine on disk cannot skip")
	seen := map[NodeID]bool{}
	for _, m := range c.Members {
		check(m.ID >= 1, "Members: id %d, want at least 1", m.ID)
		check(m.Address != "", "Members: node %d has no address", m.ID)
		check(Voter <= m.Suffrage && m.Suffrage <= Witness || m.Suffrage == 0, "Members: node %d: unknown suffrage %d", m.ID, m.Suffrage)
		check(!seen[m.ID], "Members: node %d is there twice", m.ID)
		seen[m.ID] = true
	}
	check(seen[self] || c.Join, "Members: node %d (this one) is missing", self)
	check(c.Join || !c.Witness, "Witness: the Members say it, without Join")
	check(!c.Join || len(c.Members) == 0, "Members: %d, but Join is set", len(c.Members))
	return badConfig(faults)
}
