package runtime

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// Ways to a read, from the cheapest:
//
//	caller's goroutine   ReadHere: what is applied; with a lease, all that is committed
//	applier              ReadLocal: the same, behind what is queued there
//	worker, a round      ReadLeader, ReadAnywhere: a read index, then the applier
//
// A read that wants a least index waits on the applier until that is applied.

// ReadRounds returns how many rounds to a majority have confirmed reads of this host, as
// the leader of their group. Safe for concurrent use.
func (h *Host) ReadRounds() uint64 { return h.readRounds.Load() }

// maxLateReads bounds the reads of a group that wait for an index.
const maxLateReads = 1 << 14

// LeaseIndex reports whether this node leads and holds a lease now, and what must be
// applied here before that lacks nothing that anybody can have seen: all that is
// committed. What is applied is not enough: a follower may have applied more, and shown
// it to a reader. Safe for concurrent use.
func (g *Group) LeaseIndex() (least raft.Index, ok bool) {
	ok = g.Leased()
	return raft.Index(g.committed.Load()), ok
}

// Leased reports whether this node leads and holds a lease now. Safe for concurrent use.
func (g *Group) Leased() bool {
	until := g.lease.Load()
	return until != 0 && int64(g.w.host.clock.Now()) < until
}

// ReadHere runs f on the caller's goroutine, when exactly applied is applied; other calls
// may run at the same time, and an Apply under way is waited for. It reports false,
// without having run f, when the group has ended, or with least when that is not
// applied yet.
func (g *Group) ReadHere(least raft.Index, f func(applied raft.Index)) bool {
	g.state.RLock()
	defer g.state.RUnlock()
	if g.gone || g.failed != nil || g.Applied() < least {
		return false
	}
	f(g.Applied())
	return true
}

// Exclusively runs f while nobody reads the machine. Only a Reader may call it, from Run: nothing
// is applied then.
func (g *Group) Exclusively(f func()) {
	g.state.Lock()
	defer g.state.Unlock()
	f()
}

// leave says that nobody may touch the machine of a group any more.
func (a *applier) leave(g *Group) {
	g.state.Lock()
	g.gone = true
	g.state.Unlock()
	end := Rejection{Reason: Stopped}
	for _, r := range g.late {
		r.run.Fail(end)
	}
	g.late = nil
}

// read runs reads, or lets them wait for the index they want.
func (a *applier) read(g *Group, reads []read) {
	for _, r := range reads {
		switch {
		case g.failed != nil:
			r.run.Fail(Rejection{Reason: Failed, Err: g.failed})
		case r.least <= g.Applied():
			r.run.Run(g.Applied())
		case len(g.late) < maxLateReads || g.dropGone():
			g.late = append(g.late, r)
		default:
			r.run.Fail(Rejection{Reason: Busy, Full: FullReads})
		}
	}
}

// dropGone lets go of reads that nobody waits for any more, and reports whether there
// were any.
func (g *Group) dropGone() bool {
	kept := g.late[:0]
	for _, r := range g.late {
		if q, ok := r.run.(Abandoned); !ok || !q.Gone() {
			kept = append(kept, r)
		}
	}
	n := len(g.late)
	clear(g.late[len(kept):])
	g.late = kept
	return len(kept) < n
}

// readLate runs the reads that waited for what is applied now.
func (a *applier) readLate(g *Group) {
	if len(g.late) == 0 {
		return
	}
	late := g.late
	g.late = nil
	a.read(g, late)
}
