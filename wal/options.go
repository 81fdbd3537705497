package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// SyncMode says what the commit path does to make a batch durable.
type SyncMode uint8

const (
	// SyncFull calls fdatasync before a batch is acknowledged. The default.
	SyncFull SyncMode = iota
	// SyncNone never syncs: a batch is acknowledged when the kernel has it. It
	// survives the end of the process, not a power cut.
	SyncNone
)

// MaxClusterBytes is the longest cluster name that fits a segment header.
const MaxClusterBytes = 39

// Identity says whose log a directory holds. It stands in every segment.
type Identity struct {
	Cluster string // at most MaxClusterBytes
	Node    raftpb.NodeID
	// Incarnation tells the lives of a node apart: a node that lost its disk comes
	// back with another one. 0 in Options: made when the log is created, accepted as it is afterwards.
	Incarnation int64
}

func (id Identity) String() string {
	return fmt.Sprintf("cluster %q node %d incarnation %d", id.Cluster, id.Node, id.Incarnation)
}

// accepts reports whether a log of identity have may be opened under id. The
// zero Identity accepts every log (tools).
func (id Identity) accepts(have Identity) bool {
	if id == (Identity{}) {
		return true
	}
	return id.Cluster == have.Cluster && id.Node == have.Node &&
		(id.Incarnation == 0 || id.Incarnation == have.Incarnation)
}

// Clock is where a log takes the time from. Time only stamps frames and delays
// marks; nothing durable depends on it.
type Clock interface {
	Now() time.Time
	// NewTimer returns a stopped timer that calls f each time it fires.
	NewTimer(f func()) Timer
}

// Timer is a *time.Timer made by time.AfterFunc, or what stands in for it.
type Timer interface {
	Reset(d time.Duration) bool
	Stop() bool
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) NewTimer(f func()) Timer {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return t
}

// Options configures a Log. The zero value of every field is its documented default.
type Options struct {
	mutation

	// Identity of the node. Required to create a log; the zero Identity opens any.
	Identity Identity
	// FS holds the log's files. Default: the operating system's.
	FS FS
	// Catalog opens the catalog. Default: PebbleCatalog. Single-threaded
	// simulations take FileCatalog, which starts no goroutine.
	Catalog CatalogOpener
	// Clock stamps frames. Default: the system's.
	Clock Clock
	// Random is read for the incarnation and the salts. Default: crypto/rand.
	Random io.Reader
	// Logger hears of recovery and of what an operator must know. Default: slog.Default.
	Logger *slog.Logger

	// SegmentBytes is the size of a segment file. A multiple of 4 KiB, at least
	// 16 KiB. Default 64 MiB. A single batch above it makes a segment of its own size.
	SegmentBytes int64
	// Sync: see SyncMode. Default SyncFull.
	Sync SyncMode
	// Spares is the number of segments kept ready ahead of the one in use, their
	// blocks written. Negative: none, every new segment is made when it is needed,
	// and its syncs cost more. Default 1.
	Spares int
	// Lanes is how many frames may be on their way to the disk at once, 1 or 2. The
	// second one is used while few batches come, or large ones, so that they need not
	// wait for the sync before theirs. Default 2; Manual has 1.
	Lanes int
	// MaxFrameBytes bounds what is joined into one write and one sync. A single
	// batch above it still makes one frame. Default 4 MiB.
	MaxFrameBytes int
	// MaxQueuedBytes bounds the batches that wait for the disk, and a single batch.
	// Submit and Write wait for room behind it. At most 1 GiB. Default 64 MiB.
	MaxQueuedBytes int
	// CacheBytes bounds the frames kept in memory, for reads, after they are
	// durable. Negative: none. A frame above a sixteenth of it is not kept: the page
	// cache has it, and cold buffers make the next frame slower. Default 2 MiB.
	CacheBytes int

	// BudgetBytes is the size of the log above which Pinned names the groups that
	// hold it back. Default 4 GiB.
	BudgetBytes int64

	// OnStall is told how long a write or sync has taken while it still hangs, first
	// after StallAfter, then whenever that has doubled. It is called from a goroutine
	// of the clock and must be quick. Default: nobody is told.
	OnStall func(age time.Duration)
	// StallAfter: see OnStall. Default 100 ms.
	StallAfter time.Duration
	// StallFatal is when a write or sync that hangs counts as failed (see OnFatal):
	// what waits for it cannot be answered, so the process should not live on.
	// Negative: never. Default 20 s.
	StallFatal time.Duration

	// OnDamage is told of damage that the log finds in the background, when it reads
	// a segment back that was just filled. It is called from a goroutine of the log
	// and must not call into it. Default: an error in Logger, as always.
	OnDamage func(*CorruptError)

	// Verify makes Open read every segment, whether the catalog has its footer or
	// not, and check every entry's body. For tools, and for those who mistrust a disk.
	Verify bool

	// Salvage makes Open live with damage to what was acknowledged, where it would
	// fail with *CorruptError: it takes the log back to where the damage begins and
	// puts every group in doubt. See Recovery.Uncertain, Group.Uncertain. For owners
	// that can fetch what is missing from other members, and keep what a group in
	// doubt must not do: vote, or acknowledge entries. A log of which a whole segment
	// is missing does not open even so.
	Salvage bool

	// OnFatal is told the first write or sync that failed, once, from a goroutine
	// of the log. Everything is refused from then on, so a process can do no better
	// than to stop. Default: an error in Logger.
	OnFatal func(error)
	// Manual starts no goroutine: the owner calls Step until it reports no more
	// work. For deterministic simulations.
	Manual bool

	forcePrefill bool // tests: write zeros into new segments on any file system
}

// withDefaults returns a copy with the defaults filled in.
func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = defaultFS()
	}
	if o.Catalog == nil {
		o.Catalog = PebbleCatalog
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	setDefault(&o.SegmentBytes, 64<<20)
	setDefault(&o.BudgetBytes, 4<<30)
	setDefault(&o.StallAfter, 100*time.Millisecond)
	setDefault(&o.StallFatal, 20*time.Second)
	setDefault(&o.Spares, 1)
	setDefault(&o.Lanes, 2)
	if o.Manual {
		o.Lanes = 1
	}
	setDefault(&o.MaxFrameBytes, 4<<20)
	setDefault(&o.MaxQueuedBytes, 64<<20)
	setDefault(&o.CacheBytes, 2<<20)
	return o
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// validate joins all faults, by field name.
func (o *Options) validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("wal: options: "+format, args...))
		}
	}
	check(len(o.Identity.Cluster) <= MaxClusterBytes,
		"Identity.Cluster: %d bytes, at most %d", len(o.Identity.Cluster), MaxClusterBytes)
	check(o.Identity.Node >= 0, "Identity.Node: %d is negative", o.Identity.Node)
	check(o.Identity.Incarnation >= 0, "Identity.Incarnation: %d is negative", o.Identity.Incarnation)
	check(o.SegmentBytes >= 16<<10 && o.SegmentBytes%alignBytes == 0 && o.SegmentBytes <= 1<<40,
		"SegmentBytes: %d is not a multiple of %d between 16 KiB and 1 TiB", o.SegmentBytes, alignBytes)
	check(o.Sync <= SyncNone, "Sync: unknown mode %d", o.Sync)
	check(o.Spares <= 64, "Spares: %d, at most 64", o.Spares)
	check(o.Lanes >= 1 && o.Lanes <= 2, "Lanes: %d is neither 1 nor 2", o.Lanes)
	check(o.MaxFrameBytes >= alignBytes && o.MaxFrameBytes <= o.MaxQueuedBytes,
		"MaxFrameBytes: %d is not between %d and MaxQueuedBytes", o.MaxFrameBytes, alignBytes)
	check(o.StallAfter > 0, "StallAfter: %v is negative", o.StallAfter)
	check(o.BudgetBytes > 0, "BudgetBytes: %d is negative", o.BudgetBytes)
	check(o.MaxQueuedBytes <= 1<<30, "MaxQueuedBytes: %d, at most 1 GiB", o.MaxQueuedBytes)
	return errors.Join(faults...)
}
