package runtime

import (
	"errors"
	"slices"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// receive is an image on its way here. The core hears of every chunk, and only what it
// still wants is written; a task writes, in order, what has come meanwhile. The chunk
// that completes the image is answered by the core, after Effects.Install is durable.
type receive struct {
	meta    snapshot.Meta
	partial *snapshot.Partial // the task's, while busy
	offset  int64             // wanted next, as of the last task
	queue   []piece
	queued  int // bytes
	busy    bool
	over    bool  // another one takes its place
	pull    *pull // nil: the leader sends it
	direct  bool  // nobody else has it: the leader has to
}

// piece is a chunk that waits for the task, and then its outcome.
type piece struct {
	call   *snapshotCall
	offset int64
	data   []byte
	done   bool

	status raftpb.SnapshotStatus
	image  *snapshot.Meta // not nil: all of it is here, checked and durable
	err    error

	pulled uint64 // serial of the pull by which it came, plus 1; then there is no call
}

// maxReceiveBytes bounds the chunks of a group that wait to be written. A leader whose
// window is larger sends again.
const maxReceiveBytes = 32 << 20

// snapshotCall answers a chunk, when core and disk have spoken.
type snapshotCall struct {
	call  *transport.Call
	group *Group
	id    string
	meta  *snapshot.Meta // nil: the chunk carries none
	chunk piece

	holders []raft.NodeID // from whom it may be read

	asked raft.Term // of the leader that sends
	term  raft.Term // of the answer
	whole bool      // the image is complete: the core's answer is the chunk's
}

// serveSnapshot checks a chunk, on the connection's goroutine.
func (h *Host) serveSnapshot(c *transport.Call, req *raftpb.SnapshotChunk) {
	g := h.find(req.Group)
	if g == nil {
		c.Fail(&raftpb.NoSuchGroup{Group: req.Group})
		return
	}
	a := &snapshotCall{call: c, group: g, id: string(req.SnapshotID), asked: req.Term}
	if int64(snapshot.Checksum(req.Data)) != req.ChunkCrc32c {
		h.cfg.Logger.Warn("damaged chunk refused", "node", h.cfg.Node, "group", g.id, "peer", c.From, "offset", req.Offset)
		c.Fail(errDamaged)
		return
	}
	if req.Meta != nil {
		m, err := cloneMeta(req.Meta)
		if err != nil || string(m.SnapshotID) != a.id {
			c.Fail(errors.New("runtime: snapshot: description of another one"))
			return
		}
		a.meta = &m
		a.holders = h.otherHolders(req.Holders)
	}
	a.chunk = piece{call: a, offset: req.Offset, data: req.Data, done: req.Done}
	m := raft.Message{Kind: raft.MessageSnapshot, From: c.From, To: h.cfg.Node, Term: req.Term}
	if err := g.w.inbox.message(inbound{group: g, message: m, answer: a, size: len(req.Data)}); err != nil {
		c.Fail(err)
	}
}

// chunkArrived gives a chunk to the core, which needs to know of what it is.
func (w *worker) chunkArrived(g *Group, m *raft.Message, a *snapshotCall) {
	of := a.meta
	if r := g.snaps.receiving; of == nil && r != nil && string(r.meta.SnapshotID) == a.id {
		of = &r.meta
	}
	_, a.term = g.node.Leader()
	switch {
	case g.snaps.machine == nil:
		a.reply(raftpb.SnapshotStatusRejected, 0, 0)
		return
	case of != nil && snapshot.Hollow(of) && g.keepsState(of):
		a.reply(raftpb.SnapshotStatusRejected, 0, 0)
		return
	case of == nil:
		a.reply(raftpb.SnapshotStatusResumeAt, 0, 0) // the description comes with the next
		return
	}
	m.Snapshot = describe(of)
	m.Call = g.calls.add(a)
	w.stepCore(g, raft.Event{Kind: raft.EventMessage, Message: m})
}

// keepsState reports whether this node is a member with a state machine, as m knows it.
func (g *Group) keepsState(m *snapshot.Meta) bool {
	return slices.ContainsFunc(m.Config.Incoming, func(x raft.Member) bool {
		return x.ID == g.self && x.Suffrage != raftpb.SuffrageWitness
	})
}

func describe(m *snapshot.Meta) *raft.Snapshot {
	return &raft.Snapshot{Index: m.Index, Term: m.Term, Configuration: m.Config, ConfigurationIndex: m.ConfigIndex}
}

// answer implements answerer: the core has looked at a chunk. What it still wants is written.
func (a *snapshotCall) answer(w *worker, m *raft.Message) {
	a.term = m.Term
	if a.whole || m.SnapshotStatus != raftpb.SnapshotStatusOk {
		a.reply(m.SnapshotStatus, 0, m.Matched)
		return
	}
	w.takeChunk(a.group, a)
}

func (a *snapshotCall) drop(err error) { a.call.Fail(err) }

func (a *snapshotCall) reply(status raftpb.SnapshotStatus, next int64, index raft.Index) {
	a.call.Reply(&raftpb.SnapshotAck{
		Group: a.group.id, Term: a.term, SnapshotID: []byte(a.id), Status: status, NextOffset: next, Index: index,
	})
}

// takeChunk queues a chunk for the task.
func (w *worker) takeChunk(g *Group, a *snapshotCall) {
	r := g.snaps.receiving
	if r == nil || string(r.meta.SnapshotID) != a.id {
		if a.meta == nil {
			a.reply(raftpb.SnapshotStatusResumeAt, 0, 0)
			return
		}
		w.dropReceive(g)
		r = &receive{meta: *a.meta}
		g.snaps.receiving = r
	}
	switch {
	case r.pull != nil && len(a.chunk.data) == 0:
		a.reply(raftpb.SnapshotStatusElsewhere, r.offset, 0)
		return
	case r.pull != nil: // the leader sends it after all
		r.pull, r.direct = nil, true
		a.reply(raftpb.SnapshotStatusResumeAt, r.offset, 0)
		return
	case r.direct && a.meta == nil && len(a.chunk.data) == 0 && !r.busy:
		a.reply(raftpb.SnapshotStatusResumeAt, r.offset, 0)
		return
	case r.meta.SizeBytes > w.host.cfg.Snapshots.MaxImageBytes:
		a.reply(raftpb.SnapshotStatusRejected, 0, 0)
		return
	case a.meta == nil && len(a.chunk.data) == 0:
		a.reply(raftpb.SnapshotStatusOk, r.offset, 0) // a sign of life, while the task is at work
		return
	case r.queued > 0 && r.queued+len(a.chunk.data) > maxReceiveBytes:
		a.reply(raftpb.SnapshotStatusResumeAt, r.offset, 0)
		return
	}
	w.host.counts.bytesIn.Add(uint64(len(a.chunk.data)))
	r.queue = append(r.queue, a.chunk)
	r.queued += len(a.chunk.data)
	w.writeChunks(g, r)
}

// errOver says that a chunk belongs to a transfer that is over. The leader offers again.
var errOver = errors.New("runtime: snapshot: the transfer is over")

// dropReceive ends a transfer. What has arrived stays for another one.
func (w *worker) dropReceive(g *Group) {
	r := g.snaps.receiving
	if r == nil {
		return
	}
	g.snaps.receiving = nil
	r.over = true
	dropPieces(r.queue, errOver)
	r.queue = nil
	if !r.busy {
		w.host.background.run(r.close)
	}
}

// close lets go of the file.
func (r *receive) close() {
	if r.partial != nil {
		_ = r.partial.Close() // what is not on disk is sent again
		r.partial = nil
	}
}

// writeChunks starts the task, unless it is at work.
func (w *worker) writeChunks(g *Group, r *receive) {
	if r.busy || len(r.queue) == 0 {
		return
	}
	r.busy = true
	pieces := r.queue
	r.queue, r.queued = nil, 0
	store := g.snaps.store
	w.host.background.run(func() {
		for i := range pieces {
			r.write(store, &pieces[i])
		}
		if w.inbox.do(func() { w.chunksWritten(g, r, pieces) }) != nil {
			r.close()
			dropPieces(pieces, ErrStopped)
		}
	})
}

// dropPieces answers what will not be written.
func dropPieces(pieces []piece, err error) {
	for i := range pieces {
		if pieces[i].call != nil {
			pieces[i].call.drop(err)
		}
	}
}

// write is the task's part of one chunk.
func (r *receive) write(store *snapshot.Group, p *piece) {
	if r.partial == nil {
		partial, err := store.Receive(r.meta)
		if errors.Is(err, snapshot.ErrExists) {
			p.exists(store, &r.meta)
			return
		}
		if err != nil {
			p.err = err
			return
		}
		r.partial = partial
	}
	p.status = raftpb.SnapshotStatusOk
	err := r.partial.Write(p.offset, p.data)
	var elsewhere *snapshot.OffsetError
	switch {
	case len(p.data) == 0 || errors.As(err, &elsewhere):
		p.status, err = raftpb.SnapshotStatusResumeAt, nil
	case err == nil && p.done && r.partial.Complete():
		m, err := r.partial.Commit()
		r.partial = nil
		p.image, p.err = &m, err
		return
	}
	if err != nil {
		var whole *snapshot.WriteError
		if errors.As(err, &whole) {
			r.close()
		} else {
			r.partial.Discard()
			r.partial = nil
		}
		p.err = err
		return
	}
	p.offset = r.partial.Offset()
}

// exists finds the image that was received before.
func (p *piece) exists(store *snapshot.Group, m *snapshot.Meta) {
	image, err := store.Open(m.Index, m.Term)
	if err == nil {
		m := image.Meta()
		p.image, err = &m, image.Close()
	}
	p.err = err
}

// chunksWritten answers what the task has done.
func (w *worker) chunksWritten(g *Group, r *receive, pieces []piece) {
	r.busy = false
	for i := range pieces {
		p := &pieces[i]
		switch {
		case p.pulled > 0:
			if !g.dead {
				w.pieceWritten(g, r, p)
			}
		case g.dead:
			p.call.drop(ErrStopped)
		case p.err != nil:
			w.receiveFailed(g, r, p)
		case p.image != nil:
			w.complete(g, r, p)
		default:
			r.offset = p.offset
			if r.mayPull(p) {
				w.pullFrom(g, r, p.call.holders)
			}
			if r.pull != nil {
				p.status = raftpb.SnapshotStatusElsewhere
			}
			p.call.reply(p.status, p.offset, 0)
		}
	}
	if r.over || g.dead {
		dropPieces(r.queue, errOver) // came while the image was completed: sent again, after a broken connection
		r.queue, r.queued = nil, 0
		w.host.background.run(r.close)
		return
	}
	w.writeChunks(g, r)
}

// receiveFailed answers a chunk that could not be kept: damaged, then all of it is
// sent again; or the disk has failed, then there is no use in that now.
func (w *worker) receiveFailed(g *Group, r *receive, p *piece) {
	w.host.cfg.Logger.Warn("snapshot not received", "node", g.self, "group", g.id, "index", r.meta.Index, "err", p.err)
	r.offset = 0
	var damage *snapshot.DamageError
	if errors.As(p.err, &damage) {
		p.call.reply(raftpb.SnapshotStatusChecksumMismatch, 0, 0)
		return
	}
	p.call.reply(raftpb.SnapshotStatusRejected, 0, 0)
}

// complete gives the core an image that is whole, checked and durable. Its answer is
// the chunk's.
func (w *worker) complete(g *Group, r *receive, p *piece) {
	a := p.call
	if g.snaps.receiving == r {
		g.snaps.receiving = nil
		r.over = true
	}
	a.whole = true
	w.stepCore(g, raft.Event{Kind: raft.EventMessage, Message: &raft.Message{
		Kind: raft.MessageSnapshot, From: a.call.From, To: g.self, Term: a.asked, Done: true,
		Snapshot: describe(p.image), Call: g.calls.add(a),
	}})
}
