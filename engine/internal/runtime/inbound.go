package runtime

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/wal"
)

// errDamaged says that an entry's bytes do not match the checksum that its
// proposer computed. The leader sends it again.
var errDamaged = errors.New("runtime: append: entry checksum mismatch")

// errUnknownEntry says that an entry is of a kind that the log cannot hold, or
// without its body: this version is no witness. It stays with its leader.
var errUnknownEntry = errors.New("runtime: append: entry of an unknown kind")

// maxEntryKind is the last kind that the log has room for.
const maxEntryKind = 15

// ServePeer serves a call of another node. It runs on the connection's reader
// and never blocks: the request goes to the inbox of its group's worker. It
// reports false when the method is none of the runtime's.
func (h *Host) ServePeer(c *transport.Call) bool {
	switch req := c.Request.(type) {
	case *raftpb.AppendRequest:
		h.serveAppend(c, req)
	case *raftpb.HeartbeatRequest:
		h.serveHeartbeat(c, req)
	case *raftpb.VoteRequest:
		h.deliver(c, req.Group, raft.Message{
			Kind: raft.MessageVote, From: c.From, To: h.cfg.Node, Term: req.Term, LastIndex: req.LastIndex,
			LastTerm: req.LastTerm, PreVote: req.PreVote, Transfer: req.Transfer,
		}, 0, voteCall{c})
	case *raftpb.TimeoutNowRequest:
		h.deliver(c, req.Group, raft.Message{
			Kind: raft.MessageTimeoutNow, From: c.From, To: h.cfg.Node, Term: req.Term,
		}, 0, timeoutNowCall{c})
	case *raftpb.ReadIndexRequest:
		h.deliver(c, req.Group, raft.Message{
			Kind: raft.MessageReadIndex, From: c.From, To: h.cfg.Node, Context: req.Context,
		}, 0, readIndexCall{c})
	case *raftpb.FetchRequest:
		if g := h.find(req.Group); g != nil {
			h.ServeFetch(c, req, g.log)
		} else {
			c.Fail(&raftpb.NoSuchGroup{Group: req.Group})
		}
	case *raftpb.SnapshotChunk:
		h.serveSnapshot(c, req)
	case *raftpb.ReadSnapshotRequest:
		h.serveReadSnapshot(c, req)
	default:
		return false
	}
	return true
}

// serveAppend verifies every entry's checksum once, here, before anything of it
// reaches the log: on the connection's goroutine, beside the worker.
func (h *Host) serveAppend(c *transport.Call, req *raftpb.AppendRequest) {
	size := 0
	for i := range req.Entries {
		e := &req.Entries[i]
		left := e.StrippedBytes // of a body that a witness is not sent
		if e.Kind <= raftpb.EntryKindUnspecified || e.Kind > maxEntryKind ||
			(left.Set && (left.Value < 0 || len(e.Body) > 0 || e.Kind != raftpb.EntryKindCommand)) {
			h.cfg.Logger.Warn("unknown entry refused", "node", h.cfg.Node, "group", req.Group, "peer", c.From,
				"index", req.PrevIndex+raft.Index(i)+1, "kind", int32(e.Kind))
			c.Fail(errUnknownEntry)
			return
		}
		if !left.Set && wal.EntryChecksum(e.Kind, e.Body) != e.Crc32c {
			h.cfg.Logger.Warn("damaged entry refused", "node", h.cfg.Node, "group", req.Group, "peer", c.From,
				"index", req.PrevIndex+raft.Index(i)+1)
			c.Fail(errDamaged)
			return
		}
		size += len(e.Body)
	}
	h.deliver(c, req.Group, raft.Message{
		Kind: raft.MessageAppend, From: c.From, To: h.cfg.Node, Term: req.Term, PrevIndex: req.PrevIndex,
		PrevTerm: req.PrevTerm, Commit: req.Commit, Entries: req.Entries, Round: req.Round,
	}, size, appendCall{c})
}

// addressee is the group that a message which names id is for.
func (h *Host) addressee(id GroupID) GroupID {
	if h.mutated(mutWrongGroup) {
		return min(id, 1)
	}
	return id
}

func (h *Host) deliver(c *transport.Call, id GroupID, m raft.Message, size int, a answerer) {
	g := h.find(h.addressee(id))
	if g == nil {
		c.Fail(&raftpb.NoSuchGroup{Group: id})
		return
	}
	if err := g.w.inbox.message(inbound{group: g, message: m, answer: a, size: size}); err != nil {
		c.Fail(err)
	}
}

// The answers to the calls above. The structs hold one pointer, so that keeping
// one in an interface allocates nothing.
type (
	voteCall      struct{ c *transport.Call }
	appendCall    struct{ c *transport.Call }
	readIndexCall struct{ c *transport.Call }
)

func (a voteCall) answer(_ *worker, m *raft.Message) {
	a.c.Reply(&raftpb.VoteResponse{
		Group: a.c.Request.(*raftpb.VoteRequest).Group, Term: m.Term, Granted: m.Granted,
		PreVote: m.PreVote, Reason: m.Reason, AskedTerm: m.AskedTerm,
	})
}

func (a appendCall) answer(w *worker, m *raft.Message) {
	r := &w.send.appendAnswer
	*r = raftpb.AppendResponse{
		Group: a.c.Request.(*raftpb.AppendRequest).Group, Term: m.Term, Status: m.Status,
		PrevIndex: m.PrevIndex, Matched: m.Matched, Round: m.Round,
	}
	if m.ConflictTerm != 0 {
		r.ConflictTerm = codec.Some(m.ConflictTerm)
	}
	if m.ConflictIndex != 0 {
		r.ConflictIndex = codec.Some(m.ConflictIndex)
	}
	if m.Status != raftpb.AppendStatusOk {
		r.LastIndex = codec.Some(m.LogLast)
	}
	a.c.Reply(r)
}

func (a readIndexCall) answer(_ *worker, m *raft.Message) {
	group := a.c.Request.(*raftpb.ReadIndexRequest).Group
	if m.ReadIndex == 0 && !m.Busy {
		a.c.Fail(&raftpb.NotLeader{Group: group, Term: m.Term})
		return
	}
	a.c.Reply(&raftpb.ReadIndexResponse{Group: group, Term: m.Term, Index: m.ReadIndex, Context: m.Context})
}

func (a voteCall) drop(err error)      { a.c.Fail(err) }
func (a appendCall) drop(err error)    { a.c.Fail(err) }
func (a readIndexCall) drop(err error) { a.c.Fail(err) }

// heartbeat gathers the acks of one heartbeat from the workers of its groups and
// replies when the last has spoken.
type heartbeat struct {
	call  *transport.Call
	left  atomic.Int32
	acks  []raftpb.BeatAck // acks[i] belongs to beat i, term 0: left out
	beats []beatCall
	resp  raftpb.HeartbeatResponse

	// Nearly every heartbeat of a host with few groups has one beat.
	oneAck  [1]raftpb.BeatAck
	oneBeat [1]beatCall
}

type beatCall struct {
	*heartbeat
	i int
}

func newHeartbeat(c *transport.Call, beats int) *heartbeat {
	hb := &heartbeat{call: c}
	if hb.acks, hb.beats = hb.oneAck[:], hb.oneBeat[:]; beats != 1 {
		hb.acks, hb.beats = make([]raftpb.BeatAck, beats), make([]beatCall, beats)
	}
	hb.left.Store(int32(beats) + 1)
	return hb
}

func (h *Host) serveHeartbeat(c *transport.Call, req *raftpb.HeartbeatRequest) {
	if len(req.Beats) > raftpb.MaxGroupsPerHeartbeat {
		c.Fail(errors.New("runtime: heartbeat: too many groups"))
		return
	}
	h.presence.asks(c.From, req.BootID)
	hb := newHeartbeat(c, len(req.Beats))
	for i := range req.Beats {
		b := &req.Beats[i]
		g := h.find(b.Group)
		if g == nil {
			hb.spoken()
			continue
		}
		m := raft.Message{
			Kind: raft.MessageBeat, From: c.From, To: h.cfg.Node, Term: b.Term, Commit: b.Commit, Round: b.Round,
			Quiesce: b.Quiesce,
		}
		hb.beats[i] = beatCall{hb, i}
		if g.w.inbox.message(inbound{group: g, message: m, answer: &hb.beats[i]}) != nil {
			hb.spoken()
		}
	}
	hb.spoken()
}

func (b *beatCall) answer(_ *worker, m *raft.Message) {
	group := b.call.Request.(*raftpb.HeartbeatRequest).Beats[b.i].Group
	b.acks[b.i] = raftpb.BeatAck{Group: group, Term: m.Term, Round: m.Round, Wake: m.Wake}
	b.spoken()
}

func (b *beatCall) drop(error) { b.spoken() }

func (h *heartbeat) spoken() {
	if h.left.Add(-1) > 0 {
		return
	}
	h.resp.Acks = slices.DeleteFunc(h.acks, func(a raftpb.BeatAck) bool { return a.Term == 0 })
	h.call.Reply(&h.resp)
}
