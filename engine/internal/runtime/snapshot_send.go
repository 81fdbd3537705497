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

// send is the stream of an image to one follower, from ask to end. It belongs to
// the worker; tasks read the file, the transport has the snapshot lane.
//
//	waits    for an image: one is being taken, or too many are being sent
//	offers   the description; the answer says from where on the follower wants it
//	streams  chunks, a window ahead of their answers
//	elsewhere  nothing: the follower reads the image from another member
//	rests    after a failure, then offers again: what has arrived is not sent again
//
// Whatever the phase, a beat goes out when nothing was heard for long: to check and
// install an image takes the follower longer than a leader's patience.
type send struct {
	group *Group
	to    raft.NodeID
	term  raft.Term
	least raft.Index
	empty bool // to a witness: without the state
	image *snapshot.Image
	meta  snapshot.Meta
	phase sendPhase
	over  bool
	place bool // holds one of the host's places

	serial   uint64 // raised when the stream begins anew: answers to what was before mean nothing
	next     int64  // to be sent next
	resumed  int64  // from where the follower wanted it
	inflight int    // bytes
	describe bool   // the next chunk carries the description
	reading  bool
	paced    raft.Time // when the next chunk may leave; 0: not asked
	until    raft.Time // end of a rest
	failures int       // since there was progress
	heard    raft.Time // last word, or beat sent
}

type sendPhase uint8

const (
	sendWaits sendPhase = iota
	sendOffers
	sendStreams
	sendElsewhere // the follower takes it from another member (pull)
	sendRests
)

const (
	sendRestMin     = raft.Time(20e6)
	sendRestMax     = raft.Time(2e9)
	maxSendFailures = 10 // in a row, before the core is told
)

// askedFor starts, changes or ends a stream, as the core wants.
func (w *worker) askedFor(g *Group, a raft.SnapshotAsk) {
	i := slices.IndexFunc(g.snaps.sends, func(s *send) bool { return s.to == a.Peer })
	switch {
	case a.Stop && i >= 0:
		w.endSend(g.snaps.sends[i])
		return
	case a.Stop:
		return
	case i < 0:
		g.snaps.sends = append(g.snaps.sends, &send{group: g, to: a.Peer})
		i = len(g.snaps.sends) - 1
		if until, ok := g.snaps.refused[a.Peer]; ok && until > w.now {
			g.snaps.sends[i].phase, g.snaps.sends[i].until = sendRests, until
		}
		delete(g.snaps.refused, a.Peer)
	}
	s := g.snaps.sends[i]
	s.term, s.least, s.empty, s.heard = a.Term, a.Index, a.Witness, w.now
	if s.image != nil && s.meta.Index < s.least {
		w.letGo(s)
	}
	w.advance(s)
}

// letGo gives up the image that is being sent; the next one is another.
func (w *worker) letGo(s *send) {
	if s.image != nil {
		image := s.image
		s.image = nil
		w.host.background.run(func() { _ = image.Close() }) // it was only read
	}
	s.phase = sendWaits
	s.anew()
}

// anew makes what is under way mean nothing.
func (s *send) anew() {
	s.serial++
	s.inflight, s.reading, s.paced = 0, false, 0
}

func (w *worker) endSend(s *send) {
	if s.over {
		return
	}
	s.over = true
	w.letGo(s)
	if s.place {
		w.host.sends.release()
	}
	g := s.group
	g.snaps.sends = slices.DeleteFunc(g.snaps.sends, func(o *send) bool { return o == s })
}

// abandon tells the core that the stream is over without an end.
func (w *worker) abandon(s *send) {
	w.endSend(s)
	w.host.counts.abandoned.Add(1)
	g, to := s.group, s.to
	// Not at once: this may be within a step.
	_ = w.inbox.do(func() { w.stepCore(g, raft.Event{Kind: raft.EventSnapshotFailed, Peer: to}) }) // stopped: so is the core
}

// imageFailed ends the streams that waited for an image that could not be taken.
func (w *worker) imageFailed(g *Group) {
	for _, s := range slices.Clone(g.snaps.sends) {
		if s.phase == sendWaits && s.place {
			w.abandon(s)
		}
	}
}

// advance does what can be done now, and sets the time for what cannot.
func (w *worker) advance(s *send) {
	if s.over || s.group.dead {
		return
	}
	if s.phase == sendRests && w.now >= s.until {
		s.phase = sendWaits
		if s.image != nil {
			s.phase = sendOffers
			w.offer(s)
		}
	}
	if s.phase == sendWaits {
		w.findImage(s)
	}
	if s.phase == sendStreams {
		w.stream(s)
	}
	if s.over {
		return
	}
	if (s.phase == sendOffers || s.phase == sendStreams || s.phase == sendElsewhere) && w.now-s.heard >= s.patience() {
		s.heard = w.now
		w.chunk(s, &raftpb.SnapshotChunk{Offset: s.next}, 0, true)
	}
	w.arm(s.group)
}

// wake is when the stream wants to go on.
func (s *send) wake() raft.Time {
	switch s.phase {
	case sendRests:
		return s.until
	case sendWaits:
		return s.heard + s.group.patience
	case sendElsewhere:
		return s.heard + s.patience()
	}
	if s.paced > 0 {
		return min(s.paced, s.heard+s.group.patience)
	}
	return s.heard + s.group.patience
}

// patience is how long the follower may be silent before it is asked for a word. One that
// reads elsewhere says only then that it is done.
func (s *send) patience() raft.Time {
	if s.phase == sendElsewhere {
		return s.group.patience / 8
	}
	return s.group.patience
}

// findImage takes the newest image that is of use, or has one taken.
func (w *worker) findImage(s *send) {
	if !s.place {
		if s.place = w.host.sends.take(); !s.place {
			s.heard = w.now // asks again after a while
			return
		}
	}
	g := s.group
	image, err := g.snaps.openNewest()
	switch {
	case err == nil && image.Meta().Index >= s.least:
		if s.empty {
			full := image
			image = full.Hollow()
			_ = full.Close() // nothing was read
		}
		s.image, s.meta, s.phase = image, image.Meta(), sendOffers
		w.offer(s)
		return
	case err == nil:
		_ = image.Close() // nothing was read
	}
	s.heard = w.now
	if g.snaps.busy || len(g.snaps.wanted) > 0 {
		return // snapshotTaken comes back here
	}
	w.wantSnapshot(g, s.least, func(_ snapshot.Meta, err error) {
		if err != nil {
			w.host.cfg.Logger.Warn("no snapshot to send", "node", g.self, "group", g.id, "peer", s.to, "err", err)
		}
	})
}

func (s *snapshots) openNewest() (*snapshot.Image, error) {
	if s.store == nil {
		return nil, snapshot.ErrNoImage
	}
	return s.store.Newest()
}

// offer sends the description alone.
func (w *worker) offer(s *send) {
	s.anew()
	s.next, s.describe = 0, true
	w.chunk(s, &raftpb.SnapshotChunk{}, 0, false)
}

// stream sends as much as the window allows.
func (w *worker) stream(s *send) {
	limits := &w.host.cfg.Snapshots
	for !s.reading && s.next < s.meta.SizeBytes && s.inflight < limits.WindowBytes {
		n := int(min(int64(limits.ChunkBytes), s.meta.SizeBytes-s.next))
		if s.paced == 0 {
			s.paced = max(1, w.host.pace.reserve(w.now, n))
		}
		if s.paced > w.now {
			return
		}
		s.paced, s.reading = 0, true
		image, off, serial := s.image, s.next, s.serial
		w.host.background.run(func() {
			buf := w.host.chunkBuffer(n)
			got, err := image.ReadAt(buf, off)
			if got == n || errors.Is(err, io.EOF) {
				err = nil
			}
			_ = w.inbox.do(func() { // stopped: nobody wants it
				w.chunkRead(s, serial, off, buf[:got], err)
				w.host.buffers.Put(&buf) // the transport has encoded it
			})
		})
	}
}

// chunkBuffer returns n bytes that somebody may have used before.
func (h *Host) chunkBuffer(n int) []byte {
	if b, ok := h.buffers.Get().(*[]byte); ok && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]byte, n)
}

// chunkRead sends what a task has read.
func (w *worker) chunkRead(s *send, serial uint64, off int64, data []byte, err error) {
	if s.over || serial != s.serial {
		return
	}
	s.reading = false
	if err != nil || len(data) == 0 {
		w.host.cfg.Logger.Error("snapshot cannot be read", "node", s.group.self, "group", s.group.id, "index", s.meta.Index, "err", err)
		w.abandon(s)
		return
	}
	s.next += int64(len(data))
	s.inflight += len(data)
	w.chunk(s, &raftpb.SnapshotChunk{
		Offset: off, Data: data, ChunkCrc32c: int64(snapshot.Checksum(data)), Done: s.next == s.meta.SizeBytes,
	}, len(data), false)
	w.advance(s)
}

// chunk sends one message of the stream. A beat only asks for a sign of life.
func (w *worker) chunk(s *send, c *raftpb.SnapshotChunk, size int, beat bool) {
	g := s.group
	c.Group, c.Term, c.Leader, c.Source, c.SnapshotID = g.id, s.term, g.self, g.self, s.meta.SnapshotID
	if len(c.Data) == 0 {
		c.ChunkCrc32c = int64(snapshot.Checksum(nil))
	}
	if s.describe && !beat {
		s.describe = false
		c.Meta = &s.meta
		if w.host.cfg.Snapshots.FromFollowers && !s.empty && size == 0 {
			c.Holders = s.imageHolders()
		}
	}
	serial := s.serial
	err := w.host.network.Call(s.to, transport.LaneSnapshot, raftpb.RaftPeerInstallSnapshot, c, func(resp codec.Message, err error) {
		var ack raftpb.SnapshotAck
		if v, ok := resp.(*raftpb.SnapshotAck); ok && err == nil {
			ack = *v
			ack.SnapshotID = nil
		} else if err == nil {
			err = errors.New("runtime: snapshot: no answer of the right type")
		}
		_ = g.w.inbox.do(func() { w.chunkAnswered(s, serial, size, beat, ack, err) }) // stopped: nobody wants it
	})
	if err != nil {
		w.sendFailed(s, err)
		return
	}
	w.host.counts.bytesOut.Add(uint64(size))
}

// chunkAnswered takes the follower's word.
func (w *worker) chunkAnswered(s *send, serial uint64, size int, beat bool, a raftpb.SnapshotAck, err error) {
	if s.over || s.group.dead || serial != s.serial {
		return
	}
	if err != nil {
		w.sendFailed(s, err)
		return
	}
	g := s.group
	s.heard = w.now
	status := a.Status
	if status != raftpb.SnapshotStatusInstalled && status != raftpb.SnapshotStatusRejected {
		status = raftpb.SnapshotStatusOk
	}
	w.stepCore(g, raft.Event{Kind: raft.EventMessage, Message: &raft.Message{
		Kind: raft.MessageSnapshotAnswer, From: s.to, To: g.self, Term: a.Term, SnapshotStatus: status, Matched: a.Index,
	}})
	if status == raftpb.SnapshotStatusRejected {
		// Its disk is full, say: the core will ask again, with every beat.
		if g.snaps.refused == nil {
			g.snaps.refused = map[raft.NodeID]raft.Time{}
		}
		g.snaps.refused[s.to] = w.now + sendRestMax
	}
	switch {
	case s.over || g.dead: // the core has ended it
		return
	case status != raftpb.SnapshotStatusOk:
		if status == raftpb.SnapshotStatusInstalled {
			w.host.counts.sent.Add(1)
			w.host.cfg.Logger.Info("snapshot sent", "node", g.self, "group", g.id, "peer", s.to, "index", s.meta.Index, "bytes", s.meta.SizeBytes)
		}
		w.endSend(s)
		return
	case a.Status == raftpb.SnapshotStatusElsewhere:
		s.phase, s.failures = sendElsewhere, 0
	case s.phase == sendElsewhere && a.NextOffset <= 0: // it is done, or knows nothing of it any more
		s.phase = sendOffers
		w.offer(s)
	case s.phase == sendElsewhere:
		w.resume(s, a.NextOffset)
	case beat:
	case a.Status == raftpb.SnapshotStatusChecksumMismatch:
		w.suspect(s)
	case a.Status == raftpb.SnapshotStatusOk && s.phase == sendStreams:
		s.inflight -= size
		s.failures = 0
	default:
		w.resume(s, a.NextOffset)
	}
	w.advance(s)
}

// suspect reads the image that the follower found damaged. If it is, here on disk, it
// is sent to nobody any more, and another one is taken.
func (w *worker) suspect(s *send) {
	w.rest(s)
	s.until = w.now + sendRestMax
	if s.empty {
		return // made in memory
	}
	image, meta, serial, store := s.image, s.meta, s.serial, s.group.snaps.store
	w.host.background.run(func() {
		err := image.Verify()
		var damage *snapshot.DamageError
		if !errors.As(err, &damage) {
			return // on the way, or on the follower's disk: it is offered again
		}
		store.Drop(meta)
		_ = w.inbox.do(func() { // stopped: nobody sends it
			w.host.cfg.Logger.Error("snapshot damaged", "node", s.group.self, "group", s.group.id, "index", meta.Index, "err", err)
			if !s.over && s.serial == serial {
				w.letGo(s)
				w.advance(s)
			}
		})
	})
}

// resume streams from where the follower wants it. Without progress since it last
// said so, not at once.
func (w *worker) resume(s *send, from int64) {
	again := s.phase == sendStreams && from <= s.resumed
	s.anew()
	if from < 0 || from >= s.meta.SizeBytes || again {
		w.rest(s)
		return
	}
	if from > 0 {
		w.host.counts.resumed.Add(1)
	}
	s.phase, s.next, s.resumed, s.describe = sendStreams, from, from, true
}

// sendFailed rests before it offers again; after many failures the core decides.
func (w *worker) sendFailed(s *send, err error) {
	if s.failures == 0 {
		w.host.cfg.Logger.Debug("snapshot stream broken", "node", s.group.self, "group", s.group.id, "peer", s.to, "err", err)
	}
	if s.failures+1 >= maxSendFailures {
		w.abandon(s)
		return
	}
	w.rest(s)
	w.arm(s.group)
}

func (w *worker) rest(s *send) {
	s.anew()
	s.phase = sendRests
	s.until = w.now + spread(min(sendRestMin<<s.failures, sendRestMax), s.group, s.to, s.failures)
	s.failures++
}
