package bare

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// image is a snapshot with what it holds. It never changes once it is made.
type image struct {
	is    raft.Snapshot
	state state
}

// stream is a leader's transfer of an image to a follower: some messages that say
// that it goes on, and the last one, which is repeated until it is answered.
type stream struct {
	peer   raft.NodeID
	term   raft.Term
	image  *image     // nil: it is still to be made
	least  raft.Index // that it must hold
	chunks int        // that are still to come before the last
	tries  int        // of the last
}

// takeSnapshot writes down the state machine's state, if enough has changed. Only
// what the own log has durably is worth it: else a crash would leave a state ahead
// of its log.
func (w *World) takeSnapshot(s *server) {
	m := &s.machine
	if w.knobs.SnapshotEach == 0 || w.calm || s.stateless || m.writing != nil || s.restoring != nil || len(m.conf.Incoming) == 0 ||
		m.applied < s.snapshotAt()+w.knobs.SnapshotEach || m.applied > s.was.Durable {
		return
	}
	m.writing = &image{
		is:    raft.Snapshot{Index: m.applied, Term: m.term, Configuration: m.conf, ConfigurationIndex: m.confIndex},
		state: m.state,
	}
	w.push(w.now+Time(w.disk.N(4*int64(w.knobs.DiskDelay))), event{kind: eventSnapshot, node: s.index, gen: s.boot})
}

// snapshotAt is where the newest snapshot ends that a restart would find.
func (s *server) snapshotAt() raft.Index {
	if s.disk.snapshot == nil {
		return 0
	}
	return s.disk.snapshot.is.Index
}

// snapshotDone: the image is on the disk.
func (w *World) snapshotDone(s *server) {
	im := s.machine.writing
	s.machine.writing = nil
	if im.is.Index <= s.snapshotAt() || s.restoring != nil {
		return // a received one has overtaken it
	}
	s.disk.snapshot = im
	if !w.mutated(mutCompactEarly) {
		s.seen.SnapshotDurable(im.is.Index)
	}
	w.Counts.Snapshots++
	keep := im.is.Index + 1 - raft.Index(w.disk.N(int64(w.knobs.KeepEntries)+1))
	if w.options.Trace != nil {
		w.tracef("snapshot of %d at %d, keep %d", s.id, im.is.Index, keep)
	}
	keep = max(keep, 1)
	if w.strikes(spurious, w.knobs.Odd.Spurious, &w.odd) {
		keep = 0 // nothing
	}
	w.step(s, &raft.Event{Kind: raft.EventSnapshotTaken, Snapshot: &im.is, Keep: keep})
}

// streams starts and stops what a leader asks for.
func (w *World) streams(s *server, asks []raft.SnapshotAsk) {
	for _, ask := range asks {
		at := s.streamTo(ask.Peer)
		if ask.Stop {
			if at >= 0 {
				s.sending = append(s.sending[:at], s.sending[at+1:]...)
			}
			continue
		}
		if at >= 0 {
			continue // it goes on
		}
		im := w.imageFor(s, ask.Index)
		if im == nil && ask.Index < s.was.First {
			w.failf("node %d wants a snapshot up to %d or further for node %d, and has none", s.id, ask.Index, ask.Peer)
			return
		}
		s.sending = append(s.sending, stream{peer: ask.Peer, term: ask.Term, image: im, least: ask.Index, chunks: w.network.Intn(4)})
		w.nextChunk(s, ask.Peer)
	}
}

func (s *server) streamTo(peer raft.NodeID) int {
	for i := range s.sending {
		if s.sending[i].peer == peer {
			return i
		}
	}
	return -1
}

func (w *World) nextChunk(s *server, peer raft.NodeID) {
	silent := Time(0)
	if !w.calm && w.strikes(streamHang, w.knobs.Odd.Hang, &w.odd) {
		silent = Time(w.odd.N(int64(8 * Election)))
	}
	w.push(w.now+1+silent+Time(w.network.N(2*int64(w.knobs.MoreDelay)+int64(Election/8))),
		event{kind: eventStream, node: s.index, slot: int32(peer), gen: s.boot})
}

// chunk sends the next piece of a stream, or gives it up.
func (w *World) chunk(s *server, peer raft.NodeID) {
	at := s.streamTo(peer)
	if at < 0 {
		if w.strikes(spurious, w.knobs.Odd.Spurious, &w.odd) { // it has ended before, and that is told too late
			w.step(s, &raft.Event{Kind: raft.EventSnapshotFailed, Peer: peer})
		}
		return
	}
	st := &s.sending[at]
	if st.tries > 6 || !w.calm && w.strikes(streamBreak, w.knobs.StreamBreak, &w.network) {
		s.sending = append(s.sending[:at], s.sending[at+1:]...)
		w.step(s, &raft.Event{Kind: raft.EventSnapshotFailed, Peer: peer})
		return
	}
	if st.image == nil {
		if st.image = w.imageFor(s, st.least); st.image == nil {
			w.nextChunk(s, peer)
			return
		}
	}
	m := raft.Message{Kind: raft.MessageSnapshot, From: s.id, To: peer, Term: st.term, Snapshot: &st.image.is}
	if st.chunks > 0 {
		st.chunks--
	} else {
		m.Done = true
		st.tries++
	}
	slot := w.pack(s, &m)
	w.parcels[slot].image = st.image
	w.nextChunk(s, peer)
	w.send(s, slot)
}

// streamAnswered ends a stream of which the follower says that it is over.
func (w *World) streamAnswered(s *server, m *raft.Message) {
	if m.SnapshotStatus != raftpb.SnapshotStatusInstalled && m.SnapshotStatus != raftpb.SnapshotStatusRejected {
		return
	}
	if at := s.streamTo(m.From); at >= 0 && s.sending[at].term == m.Term {
		s.sending = append(s.sending[:at], s.sending[at+1:]...)
	}
}

// installs notes that the node's state is to be that of the snapshot it received.
func (w *World) installs(s *server, is *raft.Snapshot) {
	if s.received == nil || s.received.is.Index != is.Index {
		w.failf("node %d installs a snapshot up to %d, which it has not received", s.id, is.Index)
		return
	}
	s.restoring, s.installed = s.received, s.received
	s.machine.handed = max(s.machine.handed, is.Index)
	s.mayRestore = w.knobs.Volatile || s.witness
	w.Counts.Installs++
}

// restore puts the state machine where the installed snapshot says.
func (w *World) restore(s *server) {
	m, im := &s.machine, s.restoring
	s.restoring, s.stateless = nil, false
	m.state = im.state
	m.handed = max(m.handed, m.applied)
	s.seen.Restored(m.applied)
	s.seen.State(m.applied, uint64(m.hash))
	w.serveReads(s)
	w.step(s, &raft.Event{Kind: raft.EventApplied, Applied: m.applied})
}

// compact drops the log's beginning. Nobody waits for it, and a crash may undo it.
func (w *World) compact(s *server) {
	if to := s.compactTo; to > s.disk.base+1 && to <= s.disk.LastIndex()+1 && to <= s.snapshotAt()+1 && w.disk.Intn(2) == 0 {
		s.disk.compact(to)
		s.seen.Compacted(to - 1)
	}
}

// compact drops what stands before to.
func (d *disk) compact(to raft.Index) {
	under, _ := d.Term(to - 1)
	d.entries = append(d.entries[:0], d.entries[to-d.base-1:]...)
	d.base, d.under = to-1, under
}

// install replaces what a snapshot covers.
func (d *disk) install(im *image) {
	i := im.is.Index
	if own := d.snapshot; own == nil || own.is.Index < i {
		d.snapshot = im
	}
	if i < d.base {
		return // its own has overtaken it
	}
	if t, err := d.Term(i); err == nil && t == im.is.Term {
		d.compact(i + 1)
	} else {
		d.entries = d.entries[:0]
	}
	d.base, d.under = i, im.is.Term
}
