package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// DamagedEntryError says that an entry of the log is damaged on this member's disk, that it
// must be applied before anything else can be, and that no member has it, nor a state
// that contains it. It may come back with a member that cannot be reached now, which the
// group goes on asking for; retry after a pause. What was proposed before may happen still:
// the error then matches ErrIndeterminate too.
type DamagedEntryError struct {
	Group GroupID
	Index Index
	Term  Term
}

func (e *DamagedEntryError) Error() string {
	return fmt.Sprintf("engine: group %d: entry %d of term %d is damaged here, and no member has it", e.Group, e.Index, e.Term)
}

// What an Event of damage says that a start has found.
var (
	errLogDamaged   = errors.New("engine: the log was damaged, and is an older state of itself")
	errEntryDamaged = errors.New("engine: the entry is damaged, and is fetched from another member")
)

// RepairStatus is what a group is about to repair on this member. All zero: nothing.
type RepairStatus struct {
	// Entries is how many entries of the log are known to be damaged and are being fetched
	// from other members; First is the lowest of them.
	Entries int
	First   Index
	// Lost says that entry First of them holds the group up on this member, and that no
	// member has it. nil: that is not so, or not known yet.
	Lost *DamagedEntryError
	// Snapshot, if not 0, says that the state was lost here, or what leads to it: a snapshot of
	// so much, or more, is awaited from the leader, and until then nothing is applied.
	Snapshot Index
}

func (r *RepairStatus) pending() bool { return r.Entries > 0 || r.Snapshot != 0 }

// RepairMetrics counts damaged entries.
type RepairMetrics struct {
	Damaged  uint64 // entries found damaged on this host
	Repaired uint64 // entries that other members gave back
	Served   uint64 // entries given to other members
	Scrubs   uint64 // times that the whole log was read
}

func repairStatus(v *runtime.View) RepairStatus {
	r := RepairStatus{Entries: v.Damaged, First: v.FirstDamaged, Snapshot: v.Lacks}
	if v.Lost != nil {
		r.Lost = damagedEntry(v.Lost)
	}
	return r
}

func damagedEntry(err error) *DamagedEntryError {
	var e *runtime.LostEntryError
	if !errors.As(err, &e) {
		e = new(runtime.LostEntryError)
	}
	return &DamagedEntryError{Group: e.Group, Index: e.Index, Term: e.Term}
}

// why says what a repair holds up.
func (r *RepairStatus) why(s *Status) (Holdup, bool) {
	switch {
	case r.Lost != nil:
		return Holdup{fmt.Sprintf("Entry %d is damaged on node %d, and no member has it.", r.Lost.Index, s.Node), s.Node}, true
	case r.Snapshot != 0:
		return Holdup{fmt.Sprintf("Node %d has lost its state and waits for a snapshot of %d or more.", s.Node, r.Snapshot), s.Node}, true
	case r.Entries > 0 && r.First > s.Applied && r.First <= s.Commit:
		return Holdup{fmt.Sprintf("Entry %d is damaged on node %d and is being fetched from another member.", r.First, s.Node), s.Node}, true
	}
	return Holdup{}, false
}

// serveFetch gives entries to a member that lacks them, also of a group that is only about
// to start here.
func (h *Host) serveFetch(c *transport.Call, req *raftpb.FetchRequest) {
	h.mu.RLock()
	known := h.taken[req.Group] || h.lived[req.Group]
	h.mu.RUnlock()
	if !known {
		c.Fail(&raftpb.NoSuchGroup{Group: req.Group})
		return
	}
	h.rt.ServeFetch(c, req, h.log.Group(req.Group))
}

// configurations reads the log of a group that is about to start: its configurations,
// and which entries are damaged. A damaged one that is, or may be, a configuration is
// fetched before anything else happens: who votes depends on it.
func (h *Host) configurations(ctx context.Context, id GroupID) ([]raft.Change, []runtime.Damage, error) {
	log := h.log.Group(id)
	for {
		changes, damaged, err := runtime.Scan(log, log.FirstIndex(), log.LastIndex()+1)
		if err != nil {
			return nil, nil, err
		}
		var first *runtime.Damage
		for i := range damaged {
			if k := damaged[i].Kind; first == nil && (k == 0 || k == raftpb.EntryKindConfig) {
				first = &damaged[i]
			}
		}
		if first == nil {
			return changes, damaged, nil
		}
		if err := h.fetchNow(ctx, id, *first); err != nil {
			return nil, nil, err
		}
	}
}

// fetchNow brings an entry back before its group starts. It asks until somebody gives it,
// until all have said that they do not have it, or until ctx ends.
func (h *Host) fetchNow(ctx context.Context, id GroupID, d runtime.Damage) error {
	term, err := h.log.Group(id).Term(d.Index)
	if err != nil {
		return err
	}
	lost := &DamagedEntryError{Group: id, Index: d.Index, Term: term}
	h.cfg.Logger.Error("entry damaged", "node", h.cfg.Node, "group", id, "index", d.Index, "term", term)
	h.tell(Event{Kind: EventDamage, Group: id, Index: d.Index, Err: errEntryDamaged})
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		silent := false
		for _, to := range h.book.membersOf(id) {
			req := &raftpb.FetchRequest{Group: id, First: d.Index, Count: 1}
			attempt, cancel := context.WithTimeout(ctx, h.cfg.ElectionTimeout)
			got, err := callMember(attempt, h, to, raftpb.RaftPeerFetch, req, func(m codec.Message) []raftpb.Entry {
				return append([]raftpb.Entry(nil), m.(*raftpb.FetchResponse).Entries...)
			})
			cancel()
			silent = silent || err != nil
			if err != nil || len(got) == 0 || got[0].Term != term || wal.EntryChecksum(got[0].Kind, got[0].Body) != got[0].Crc32c ||
				got[0].StrippedBytes.Set || (d.Kind != 0 && (got[0].Kind != d.Kind || got[0].Crc32c != d.Crc32c)) {
				continue
			}
			if err := h.log.Repair(id, d.Index, got[0]); err != nil {
				return err
			}
			h.rt.CountRepair()
			h.cfg.Logger.Info("entries repaired", "node", h.cfg.Node, "group", id, "index", d.Index, "count", 1)
			return nil
		}
		if !silent {
			return lost
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), lost)
		case <-h.closed:
			return ErrClosed
		}
	}
}

// scrub reads the whole log from time to time, at a bounded rate, and has what is damaged
// repaired before anybody needs it.
func (h *Host) scrub() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.watcher.Go(func() {
		select {
		case <-h.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	pause := time.NewTimer(h.cfg.Scrub.Every)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-h.closed:
			return
		}
		report, err := h.log.Scrub(ctx, h.cfg.Scrub.MaxBytesPerSecond)
		for _, d := range report.Damage {
			h.damageFound(d)
		}
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, wal.ErrClosed) {
				h.cfg.Logger.Warn("scrub ended early", "node", h.cfg.Node, "err", err)
			}
		} else {
			h.counters.scrubs.Add(1)
		}
		pause.Reset(h.cfg.Scrub.Every)
	}
}

// damageFound takes what the log found in the background.
func (h *Host) damageFound(e *wal.CorruptError) {
	h.tell(Event{Kind: EventDamage, Group: e.Group, Index: e.Lo, Err: e})
	if e.Lo >= e.Hi {
		h.cfg.Logger.Error("log damaged", "node", h.cfg.Node, "err", e) // nothing in it that is needed
		return
	}
	h.rt.Damaged(e)
}

// ScrubConfig says how often the whole log is read, and how fast.
type ScrubConfig struct {
	// Every is the pause between two readings. Negative: the log is not read but when it is
	// needed. Default 24 h.
	Every time.Duration
	// MaxBytesPerSecond bounds what a reading takes of the disk. At least 64 KiB; negative: no
	// bound. Default 8 MiB.
	MaxBytesPerSecond int64
}

func (c *ScrubConfig) setDefaults() {
	setDefault(&c.Every, 24*time.Hour)
	setDefault(&c.MaxBytesPerSecond, 8<<20)
}

func (c *ScrubConfig) validate(check func(ok bool, format string, args ...any)) {
	check(c.MaxBytesPerSecond < 0 || c.MaxBytesPerSecond >= 64<<10,
		"Scrub.MaxBytesPerSecond: %d, want at least 64 KiB", c.MaxBytesPerSecond)
}
