package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// An entry whose bytes are damaged on this disk is the same entry on every member that
// has one of its index and term. So whoever holds it intact gives it back:
//
//	found      by a read for a follower, by the applier's feed, at the start, by a scrub
//	Fetch      one member after the other, round after round
//	checked    index, term and checksum, against what the log still knows of the entry
//	stored     by a repair record: wal.Batch.Repair
//	EventReadable, feed: what waited goes on
//
// Where nobody holds it any more, a state that contains it is as good: a member that has
// applied the entry takes a snapshot and lets its log begin behind it; one that has not
// needs such a snapshot (raft.EventStateLost). If there is neither, the entry is lost:
// proposals and reads are refused, with a LostEntryError, until a member that has it
// comes back.

const (
	maxDamaged    = 4096 // entries of a group that are known to be damaged; more are found later
	maxFetchCount = 64   // entries asked for at a time
	maxFetchBytes = 1 << 20
	maxFetches    = 4 // answered by a host at a time

	repairRestMin = raft.Time(50e6) // before everybody is asked again
	repairRestMax = raft.Time(5e9)
)

// Damage is an entry that cannot be read.
type Damage struct {
	Index  raft.Index
	Kind   raftpb.EntryKind // 0: not known
	Crc32c int64            // what its checksum must be, if Kind is known
}

// LostEntryError says that an entry is damaged here and that no member has it, nor a
// state that contains it. It may come back with a member that cannot be reached now.
type LostEntryError struct {
	Group GroupID
	Index raft.Index
	Term  raft.Term
}

// Error implements error.
func (e *LostEntryError) Error() string {
	return fmt.Sprintf("entry %d of term %d of group %d is damaged here, and no member has it", e.Index, e.Term, e.Group)
}

// RepairCounts counts since the host was made.
type RepairCounts struct {
	Damaged, Repaired uint64 // entries found damaged; stored again
	Served            uint64 // entries given to others
}

type repairCounters struct{ damaged, repaired, served atomic.Uint64 }

// RepairCounts returns the counters. Safe for concurrent use.
func (h *Host) RepairCounts() RepairCounts {
	c := &h.repaired
	return RepairCounts{Damaged: c.damaged.Load(), Repaired: c.repaired.Load(), Served: c.served.Load()}
}

// CountRepair counts an entry that was repaired before its group started.
func (h *Host) CountRepair() {
	h.repaired.damaged.Add(1)
	h.repaired.repaired.Add(1)
}

// repairs is what a group knows of damaged entries. It belongs to the worker.
type repairs struct {
	queue  []Damage // by rising index; not stored again yet
	at     int      // place in queue of the one that is asked for
	asking bool
	round  []raft.NodeID // still to be asked for it
	word   verdict       // what those have said that were
	rest   raft.Time     // the longest that the last pause could be
	rests  int           // pauses so far
	until  raft.Time     // end of this one; 0: there is none
	lost   *LostEntryError
}

// verdict sums up what members said about an entry.
type verdict struct {
	silent  bool // somebody did not answer
	covered bool // somebody has a snapshot that contains it
}

// coreLog is the log as a core reads it: what is damaged does not fail it.
type coreLog struct{ *wal.Group }

// Entries implements raft.Log.
func (l coreLog) Entries(dst []raft.Entry, lo, hi raft.Index, maxBytes int) ([]raft.Entry, error) {
	return readable(l.Group, nil, dst, lo, hi, maxBytes)
}

// readable reads up to the first damaged entry; if that is the one at lo, the error is a
// *raft.DamagedError. buf, if it is not nil, is where the bodies are until its next use.
func readable(
	log *wal.Group, buf *wal.ReadBuffer, dst []raft.Entry, lo, hi raft.Index, maxBytes int,
) ([]raft.Entry, error) {
	for {
		got, err := log.EntriesInto(buf, dst, lo, hi, maxBytes)
		if err == nil {
			return got, nil
		}
		var c *wal.CorruptError
		switch {
		case !errors.As(err, &c) || c.Lo >= c.Hi || c.Hi <= lo || c.Lo >= hi:
			return got, err
		case c.Lo > lo:
			hi = c.Lo
		default:
			return dst, &raft.DamagedError{Damaged: raft.Span{Lo: lo, Hi: min(c.Hi, hi)}, Err: c}
		}
	}
}

// damages lists what a read found.
func damages(err error) (found []Damage) {
	if err == nil {
		return nil
	}
	var d *raft.DamagedError
	if !errors.As(err, &d) {
		return nil
	}
	var c *wal.CorruptError
	for i := d.Damaged.Lo; i < d.Damaged.Hi; i++ {
		one := Damage{Index: i}
		if errors.As(err, &c) && c.Kind != 0 {
			one.Kind, one.Crc32c = c.Kind, c.Crc32c
		}
		found = append(found, one)
	}
	return found
}

// Scan reads the log from lo up to hi. It returns the configurations in it, never nil,
// and what is damaged: an entry of kind CONFIG, or of an unknown one, among them may be a
// configuration that is missing.
func Scan(log *wal.Group, lo, hi raft.Index) ([]raft.Change, []Damage, error) {
	changes := []raft.Change{}
	var damaged []Damage
	var buf []raft.Entry
	lo = max(lo, log.FirstIndex())
	for lo < hi {
		var err error
		buf, err = readable(log, nil, buf[:0], lo, hi, maxJobBytes)
		if found := damages(err); len(found) > 0 {
			damaged = append(damaged, found...)
			lo += raft.Index(len(found))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for i := range buf {
			if buf[i].Kind != raftpb.EntryKindConfig {
				continue
			}
			c := raft.Change{Index: lo + raft.Index(i)}
			if _, err := c.Configuration.ParseCompact(buf[i].Body, nil); err != nil {
				return nil, nil, fmt.Errorf("configuration at %d: %w", c.Index, err)
			}
			changes = append(changes, c)
		}
		lo += raft.Index(len(buf))
	}
	return changes, damaged, nil
}

// Damaged tells of damage that somebody else found, such as a scrub. Safe for concurrent use.
func (h *Host) Damaged(e *wal.CorruptError) {
	g := h.find(e.Group)
	if g == nil || e.Lo >= e.Hi {
		return // its next start finds it
	}
	_ = g.w.inbox.do(func() { // stopped: the next start finds it
		var found []Damage
		for i := e.Lo; i < e.Hi && len(found) < maxDamaged; i++ {
			if g.log.Suffers(e, i) { // repairs are the worker's: none begins between this and the next line
				found = append(found, Damage{i, e.Kind, e.Crc32c})
			}
		}
		g.w.damaged(g, found)
	})
}

// damaged begins to repair entries.
func (w *worker) damaged(g *Group, found []Damage) {
	r := &g.repairs
	for _, d := range found {
		i, known := slices.BinarySearchFunc(r.queue, d.Index, func(x Damage, i raft.Index) int { return cmp.Compare(x.Index, i) })
		if known || len(r.queue) >= maxDamaged || g.dead {
			continue
		}
		r.queue = slices.Insert(r.queue, i, d)
		if i < r.at || (i == r.at && r.asking) {
			r.at++
		}
		w.host.repaired.damaged.Add(1)
		w.host.cfg.Logger.Error("entry damaged", "node", g.self, "group", g.id, "index", d.Index)
	}
	w.repair(g)
}

// wake is when the next round begins.
func (r *repairs) wake() raft.Time {
	if r.asking || len(r.queue) == 0 || r.until == 0 {
		return raft.Never
	}
	return r.until
}

// repair asks the next member for the entry whose turn it is.
func (w *worker) repair(g *Group) {
	r := &g.repairs
	if g.dead || r.asking || (r.until != 0 && w.now < r.until) {
		return
	}
	r.until = 0
	first, last := g.log.FirstIndex(), g.log.LastIndex()
	r.queue = slices.DeleteFunc(r.queue, func(d Damage) bool { return d.Index < first || d.Index > last })
	if len(r.queue) == 0 {
		w.whole(g)
		return
	}
	if r.at >= len(r.queue) {
		r.at = 0
	}
	if r.round == nil {
		r.word, r.round = verdict{}, g.holders()
	}
	for len(r.round) > 0 {
		to := r.round[0]
		r.round = r.round[1:]
		if w.ask(g, to) {
			return
		}
		r.word.silent = true
	}
	w.nobody(g)
}

// holders are the members that may have what is damaged here.
func (g *Group) holders() []raft.NodeID {
	c := g.node.Status().Configuration
	ids := []raft.NodeID{}
	for _, half := range [][]raft.Member{c.Incoming, c.Outgoing} {
		for _, m := range half {
			if m.ID != g.self && !slices.Contains(ids, m.ID) && (m.Suffrage != raftpb.SuffrageWitness || g.node.IsWitness()) {
				ids = append(ids, m.ID)
			}
		}
	}
	return ids
}

// ask sends one question; false if it cannot be sent.
func (w *worker) ask(g *Group, to raft.NodeID) bool {
	r := &g.repairs
	first, n := r.queue[r.at].Index, 1
	for r.at+n < len(r.queue) && n < maxFetchCount && r.queue[r.at+n].Index == first+raft.Index(n) {
		n++
	}
	_, term := g.node.Leader()
	req := raftpb.FetchRequest{Group: g.id, Term: term, First: first, Count: int32(n)}
	err := w.host.network.Call(to, transport.LaneSnapshot, raftpb.RaftPeerFetch, &req, func(resp codec.Message, err error) {
		var got fetched
		if v, ok := resp.(*raftpb.FetchResponse); ok && err == nil {
			got = fetched{answered: true, first: v.First, entries: slices.Clone(v.Entries)}
		}
		_ = w.inbox.do(func() { w.fetched(g, to, first, got) }) // stopped: nobody wants it
	})
	r.asking = err == nil
	return err == nil
}

// fetched is a member's answer.
type fetched struct {
	answered bool
	first    raft.Index // of entries; when there are none, where the member's log begins
	entries  []raft.Entry
}

// fetched stores what a member gave, and goes on asking.
func (w *worker) fetched(g *Group, from raft.NodeID, asked raft.Index, a fetched) {
	r := &g.repairs
	r.asking = false
	if g.dead {
		return
	}
	var b wal.Batch
	var stored []raft.Index
	if a.first == asked {
		for i := range a.entries {
			index := asked + raft.Index(i)
			if g.fits(index, &a.entries[i]) {
				b.Repair(g.id, index, a.entries[i])
				stored = append(stored, index)
			}
		}
	}
	r.word.silent = r.word.silent || !a.answered
	r.word.covered = r.word.covered || (a.answered && len(a.entries) == 0 && a.first > asked)
	if len(stored) == 0 {
		w.repair(g)
		return
	}
	w.host.cfg.Logger.Info("entries fetched", "node", g.self, "group", g.id, "peer", from, "index", stored[0], "count", len(stored))
	r.asking = true // until it is durable
	w.host.log.Submit(&b, func(err error) {
		_ = w.inbox.do(func() { w.restored(g, stored, err) }) // stopped: its next start finds what is damaged
	})
}

// fits checks that e is the entry at index, which is damaged here; for a witness it
// takes the body away.
func (g *Group) fits(index raft.Index, e *raft.Entry) bool {
	if g.w.host.mutated(mutRepairUnchecked) {
		return true
	}
	term, err := g.log.Term(index)
	k, known := slices.BinarySearchFunc(g.repairs.queue, index, func(x Damage, i raft.Index) int { return cmp.Compare(x.Index, i) })
	if err != nil || term != e.Term || !known || e.Kind <= raftpb.EntryKindUnspecified || e.Kind > maxEntryKind {
		return false
	}
	if d := g.repairs.queue[k]; d.Kind != 0 && (d.Kind != e.Kind || d.Crc32c != e.Crc32c) {
		return false
	}
	if e.StrippedBytes.Set {
		return g.node.IsWitness() && len(e.Body) == 0
	}
	if wal.EntryChecksum(e.Kind, e.Body) != e.Crc32c {
		return false
	}
	if g.node.IsWitness() && e.Kind == raftpb.EntryKindCommand {
		e.StrippedBytes, e.Body = codec.Some(int32(len(e.Body))), nil
	}
	return true
}

// restored goes on when entries are whole again, and durable.
func (w *worker) restored(g *Group, stored []raft.Index, err error) {
	r := &g.repairs
	r.asking = false
	if g.dead {
		return
	}
	if err != nil { // no space, or the log has moved: found again if it counts still
		w.host.cfg.Logger.Warn("repair not stored", "node", g.self, "group", g.id, "index", stored[0], "err", err)
		w.restRepair(g)
		return
	}
	w.host.repaired.repaired.Add(uint64(len(stored)))
	w.host.cfg.Logger.Info("entries repaired", "node", g.self, "group", g.id, "index", stored[0], "count", len(stored))
	r.queue = slices.DeleteFunc(r.queue, func(d Damage) bool { return slices.Contains(stored, d.Index) })
	r.round, r.rest, r.lost = nil, 0, nil
	w.stepCore(g, raft.Event{Kind: raft.EventReadable})
	if !g.dead {
		w.feed(g)
		w.repair(g)
	}
}

// whole ends the repair of a group: nothing of its log is damaged, as far as is known.
func (w *worker) whole(g *Group) {
	g.repairs = repairs{}
	w.arm(g)
}

// nobody goes on when everybody was asked for an entry and nobody gave it.
func (w *worker) nobody(g *Group) {
	r := &g.repairs
	d, word := r.queue[r.at], r.word
	r.round = nil
	blocks := d.Index == g.fed+1 && d.Index <= g.commit
	switch {
	case g.fed >= d.Index && g.snaps.machine != nil && !word.silent:
		// The state contains it: it takes the place of the log up to here.
		w.wantSnapshot(g, g.fed, func(m snapshot.Meta, err error) {
			if err == nil {
				w.dropLog(g, m, 0)
			}
		})
	case blocks && word.covered:
		w.stepCore(g, raft.Event{Kind: raft.EventStateLost, Applied: g.fed})
	case blocks && !word.silent && r.lost == nil:
		term, _ := g.log.Term(d.Index)
		r.lost = &LostEntryError{Group: g.id, Index: d.Index, Term: term}
		w.host.cfg.Logger.Error("entry lost: no member has it", "node", g.self, "group", g.id, "index", d.Index, "term", term)
		w.refuseWaiting(g)
	}
	if g.dead {
		return
	}
	if r.at++; r.at < len(r.queue) {
		w.repair(g)
		return
	}
	r.at = 0
	w.restRepair(g)
}

// restRepair begins anew after a pause.
func (w *worker) restRepair(g *Group) {
	r := &g.repairs
	r.rest = min(max(repairRestMin, 2*r.rest), repairRestMax)
	r.rests++
	r.until, r.round = w.now+spread(r.rest, g, 0, r.rests), nil
	w.arm(g)
}

// refuseWaiting ends what waits for an entry that is lost.
func (w *worker) refuseWaiting(g *Group) {
	why := Rejection{Reason: Damaged, Err: g.repairs.lost}
	g.failWaiting(why)
	for g.granted.size > 0 {
		g.failReadsOf(g.granted.pop().reads, why)
	}
}

// refuseClients ends what clients ask of a group that waits for an entry that is lost. What
// is applied can still be read.
func (w *worker) refuseClients(g *Group) {
	why := Rejection{Reason: Damaged, Err: g.repairs.lost}
	for _, p := range g.batch {
		p.done.Fail(why)
	}
	clear(g.batch)
	g.batch = g.batch[:0]
	g.reading = slices.DeleteFunc(g.reading, func(r read) bool {
		if r.local && r.least <= g.fed {
			return false
		}
		r.run.Fail(why)
		return true
	})
}

// feedStopped looks why entries cannot be handed to the applier. It returns false when
// that is no damage.
func (w *worker) feedStopped(g *Group, err error) bool {
	found := damages(err)
	if len(found) == 0 {
		return false
	}
	w.damaged(g, found)
	return true
}

// ServeFetch gives entries of a log to a member that lacks them. The reading is a task's.
func (h *Host) ServeFetch(c *transport.Call, req *raftpb.FetchRequest, log *wal.Group) {
	if req.First < 1 || req.Count < 1 || !h.fetches.take() {
		c.Fail(errFetch)
		return
	}
	id, first, count := req.Group, req.First, raft.Index(min(req.Count, maxFetchCount))
	h.background.run(func() {
		defer h.fetches.release()
		resp := raftpb.FetchResponse{Group: id, First: first}
		hi := min(first+count, log.LastIndex()+1)
		var err error
		switch {
		case first < log.FirstIndex():
			resp.First = log.FirstIndex()
		case first < hi:
			resp.Entries, err = readable(log, nil, nil, first, hi, maxFetchBytes)
		}
		if found := damages(err); len(found) > 0 {
			if g := h.find(id); g != nil {
				_ = g.w.inbox.do(func() { g.w.damaged(g, found) }) // stopped: its next start finds it
			}
		} else if err != nil {
			c.Fail(errFetch)
			return
		}
		if len(resp.Entries) > 0 {
			resp.Term = resp.Entries[0].Term
		}
		h.repaired.served.Add(uint64(len(resp.Entries)))
		c.Reply(&resp)
	})
}

var errFetch = errors.New("runtime: fetch: not served now")
