package runtime

import (
	"errors"
	"io"
	"slices"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// A leader that would rather not send its image itself (SnapshotLimits.FromFollowers) names,
// beside the description, members that may hold the same one: members take theirs at the same
// entries, and an image is known by the checksum of its content. The receiver reads it from
// them, from where it had got to, and the leader only asks whether it still does:
//
//	leader -- description, holders 2 3 --> 4        4 -- ReadSnapshot 0..   --> 2
//	       <-- ELSEWHERE ----------------- 4          <-- data --------------- 2
//	       -- beat ----------------------> 4        4 -- ReadSnapshot 256K.. --> 2, and so on
//	       <-- ELSEWHERE ----------------- 4
//	       -- beat ----------------------> 4        (it is complete, checked and durable)
//	       <-- RESUME_AT 0 --------------- 4
//	       -- description ---------------> 4        it is here: the core installs it
//	       <-- INSTALLED ----------------- 4
//
// A holder that cannot be reached is left for the next one, and tried again after a pause; one that has another
// image, or sends nonsense, is asked no more. After some rounds without progress the leader is asked to go on itself. Nothing depends on
// what holders say: the image is checked as a whole, and it is the leader's description by which the core
// decides.

// pull is the reading of an image from other members. It belongs to the worker.
type pull struct {
	holders  []raft.NodeID
	at       int       // place in holders
	tried    int       // of them, in this round
	rounds   int       // since there was progress
	until    raft.Time // end of a pause between rounds; 0: there is none
	serial   uint64
	next     int64 // to be asked for next
	take     int64 // to be written next
	inflight int   // bytes asked for and not yet written
	arrived  []piece
}

// maxPullRounds is how often all holders are tried in vain: a connection may have to be made first.
const maxPullRounds = 5

// maxHolders bounds the members that a leader names.
const maxHolders = 8

// maxLends bounds the pieces of images that a host reads for others at a time.
const maxLends = 64

// maxLendBytes bounds one such piece.
const maxLendBytes = 8 << 20

var (
	errLend   = errors.New("runtime: snapshot: too much is asked for, or too often")
	errNoLend = errors.New("runtime: snapshot: it is not here")
)

// imageHolders are members that may hold the image that s would send.
func (s *send) imageHolders() (ids []raft.NodeID) {
	node := s.group.node
	for i := range node.Members() {
		m := node.Member(i)
		if m.ID != s.group.self && m.ID != s.to && m.Suffrage != raftpb.SuffrageWitness &&
			m.State == raftpb.ProgressStateReplicate && m.Match >= s.meta.Index && len(ids) < maxHolders {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// otherHolders copies what a request lends.
func (h *Host) otherHolders(ids []raft.NodeID) []raft.NodeID {
	ids = slices.Clone(ids[:min(len(ids), maxHolders)])
	return slices.DeleteFunc(ids, func(id raft.NodeID) bool { return id == h.cfg.Node || id <= 0 })
}

// mayPull reports whether the rest of an image, of which p is the description alone, may be
// read from others than the leader.
func (r *receive) mayPull(p *piece) bool {
	return len(p.call.holders) > 0 && len(p.data) == 0 && p.offset < r.meta.SizeBytes &&
		!r.over && !r.direct && r.pull == nil && len(r.queue) == 0
}

// pullFrom begins to read the image of r from holders.
func (w *worker) pullFrom(g *Group, r *receive, holders []raft.NodeID) {
	r.pull = &pull{holders: holders, at: int(g.self) % len(holders), next: r.offset, take: r.offset}
	w.pullMore(g, r)
}

// pullMore asks for as much as the window allows.
func (w *worker) pullMore(g *Group, r *receive) {
	limits := &w.host.cfg.Snapshots
	for p := r.pull; p != nil && p.until == 0 && p.next < r.meta.SizeBytes && p.inflight < limits.WindowBytes; p = r.pull {
		from, off, serial := p.holders[p.at], p.next, p.serial
		n := int(min(int64(limits.ChunkBytes), r.meta.SizeBytes-off))
		req := raftpb.ReadSnapshotRequest{
			Group: g.id, Index: r.meta.Index, Term: r.meta.Term, SnapshotID: r.meta.SnapshotID, Offset: off, Count: int32(n),
		}
		err := w.host.network.Call(from, transport.LaneSnapshot, raftpb.RaftPeerReadSnapshot, &req, func(resp codec.Message, err error) {
			x := piece{offset: off, err: err}
			if v, ok := resp.(*raftpb.ReadSnapshotResponse); ok && err == nil {
				x.data = slices.Clone(v.Data)
				if v.Offset != off || len(x.data) != n || int64(snapshot.Checksum(x.data)) != v.ChunkCrc32c {
					x.err = errDamaged
				}
			} else if err == nil {
				x.err = errDamaged
			}
			_ = w.inbox.do(func() { w.pulled(g, r, serial, x) }) // stopped: nobody wants it
		})
		if err != nil {
			w.holderFailed(g, r, err)
			continue
		}
		p.next += int64(n)
		p.inflight += n
	}
}

// pulled takes a holder's answer. Pieces are written in order, whatever order they come in.
func (w *worker) pulled(g *Group, r *receive, serial uint64, x piece) {
	p := r.pull
	if g.dead || r.over || p == nil || p.serial != serial {
		return
	}
	if x.err != nil {
		w.holderFailed(g, r, x.err)
		w.pullMore(g, r)
		return
	}
	p.tried, p.rounds = 0, 0
	w.host.counts.bytesIn.Add(uint64(len(x.data)))
	x.pulled = serial + 1
	p.arrived = append(p.arrived, x)
	for i := 0; i < len(p.arrived); {
		x := p.arrived[i]
		if x.offset != p.take {
			i++
			continue
		}
		p.take += int64(len(x.data))
		x.done = p.take == r.meta.SizeBytes
		r.queue = append(r.queue, x)
		r.queued += len(x.data)
		p.arrived = slices.Delete(p.arrived, i, i+1)
		i = 0
	}
	w.writeChunks(g, r)
}

// holderFailed goes on with the next holder, from what has arrived; after all of them
// without progress the leader sends the rest.
func (w *worker) holderFailed(g *Group, r *receive, err error) {
	p := r.pull
	w.host.cfg.Logger.Debug("snapshot not read from a member", "node", g.self, "group", g.id, "peer", p.holders[p.at], "err", err)
	p.serial++
	p.next, p.inflight, p.arrived = p.take, 0, nil
	if errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrDisconnected) {
		p.tried++
		p.at++
	} else {
		p.holders = slices.Delete(p.holders, p.at, p.at+1)
	}
	if len(p.holders) == 0 {
		r.pull, r.direct = nil, true
		return
	}
	p.at %= len(p.holders)
	if p.tried < len(p.holders) {
		return
	}
	if p.tried, p.rounds = 0, p.rounds+1; p.rounds > maxPullRounds {
		r.pull, r.direct = nil, true
		return
	}
	p.until = w.now + spread(min(sendRestMin<<p.rounds, sendRestMax), g, p.holders[p.at], p.rounds)
	w.arm(g)
}

// pullWake is when a pause between rounds ends.
func (s *snapshots) pullWake() raft.Time {
	if r := s.receiving; r != nil && r.pull != nil && r.pull.until > 0 {
		return r.pull.until
	}
	return raft.Never
}

// pullAgain begins the next round.
func (w *worker) pullAgain(g *Group) {
	if g.snaps.pullWake() <= w.now {
		g.snaps.receiving.pull.until = 0
		w.pullMore(g, g.snaps.receiving)
	}
}

// pieceWritten notes what became of a piece that was read from a member. The image is
// whole then, goes on, or has to come from the leader.
func (w *worker) pieceWritten(g *Group, r *receive, x *piece) {
	switch {
	case x.err != nil:
		w.host.cfg.Logger.Warn("snapshot not received", "node", g.self, "group", g.id, "index", r.meta.Index, "err", x.err)
		r.pull, r.direct, r.offset = nil, true, 0
	case x.image != nil:
		w.host.counts.pulled.Add(1)
		if r.over = true; g.snaps.receiving == r {
			g.snaps.receiving = nil // the leader offers it once more, and finds it here
		}
	default:
		r.offset = x.offset
		if p := r.pull; p != nil && p.serial+1 == x.pulled {
			p.inflight -= len(x.data)
			w.pullMore(g, r)
		}
	}
}

// lend is a piece of an image that is to be read for another member.
type lend struct {
	call  *transport.Call
	req   raftpb.ReadSnapshotRequest
	paced raft.Time
}

// serveReadSnapshot is on the connection's goroutine.
func (h *Host) serveReadSnapshot(c *transport.Call, req *raftpb.ReadSnapshotRequest) {
	g := h.find(req.Group)
	switch {
	case g == nil:
		c.Fail(&raftpb.NoSuchGroup{Group: req.Group})
		return
	case req.Offset < 0 || req.Count < 1 || req.Count > maxLendBytes || g.snaps.store == nil || !h.lends.take():
		c.Fail(errLend)
		return
	}
	l := &lend{call: c, req: *req}
	l.req.SnapshotID = slices.Clone(req.SnapshotID)
	if g.w.inbox.do(func() { g.w.lend(g, l) }) != nil {
		h.lends.release()
		c.Fail(ErrStopped)
	}
}

// lend reads when the host's pace allows it.
func (w *worker) lend(g *Group, l *lend) {
	if g.dead {
		w.host.refuseLend(l, ErrStopped)
		return
	}
	if l.paced = w.host.pace.reserve(w.now, int(l.req.Count)); l.paced > w.now {
		g.snaps.lends = append(g.snaps.lends, l)
		w.arm(g)
		return
	}
	w.host.background.run(func() { w.host.readLent(g, l) })
}

// lendMore reads what was paced, by the order of its time.
func (w *worker) lendMore(g *Group) {
	k := 0
	for ; k < len(g.snaps.lends) && g.snaps.lends[k].paced <= w.now; k++ {
		l := g.snaps.lends[k]
		w.host.background.run(func() { w.host.readLent(g, l) })
	}
	g.snaps.lends = slices.Delete(g.snaps.lends, 0, k)
}

// lendsWake is when the next piece may be read.
func (s *snapshots) lendsWake() raft.Time {
	if len(s.lends) == 0 {
		return raft.Never
	}
	return s.lends[0].paced
}

func (w *worker) endLends(g *Group) {
	for _, l := range g.snaps.lends {
		w.host.refuseLend(l, ErrStopped)
	}
	g.snaps.lends = nil
}

func (h *Host) refuseLend(l *lend, err error) {
	h.lends.release()
	l.call.Fail(err)
}

// readLent is a task.
func (h *Host) readLent(g *Group, l *lend) {
	image, err := g.snaps.store.Open(l.req.Index, l.req.Term)
	if err != nil {
		h.refuseLend(l, errNoLend)
		return
	}
	defer func() { _ = image.Close() }() // it was only read
	if m := image.Meta(); string(m.SnapshotID) != string(l.req.SnapshotID) || l.req.Offset >= m.SizeBytes {
		h.refuseLend(l, errNoLend)
		return
	}
	data := make([]byte, l.req.Count)
	n, err := image.ReadAt(data, l.req.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		h.refuseLend(l, err)
		return
	}
	h.lends.release()
	h.counts.bytesOut.Add(uint64(n))
	h.counts.bytesLent.Add(uint64(n))
	l.call.Reply(&raftpb.ReadSnapshotResponse{
		Group: g.id, Offset: l.req.Offset, Data: data[:n], ChunkCrc32c: int64(snapshot.Checksum(data[:n])),
	})
}
