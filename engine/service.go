package engine

import (
	"errors"
	goruntime "runtime"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

func peerMethods() []*codec.Method {
	return []*codec.Method{
		raftpb.RaftPeerVote, raftpb.RaftPeerAppend, raftpb.RaftPeerHeartbeat, raftpb.RaftPeerReadIndex, raftpb.RaftPeerGoodbye,
	}
}

func clientMethods() []*codec.Method {
	return []*codec.Method{raftpb.RaftClientPropose, raftpb.RaftClientRead, raftpb.RaftClientStatus}
}

// ServeCall implements transport.Handler: RaftPeer for the nodes of the cluster,
// RaftClient for anyone. It never blocks.
func (h *Host) ServeCall(c *transport.Call) {
	switch req := c.Request.(type) {
	case *raftpb.ProposeRequest:
		h.servePropose(c, req)
	case *raftpb.ReadRequest:
		h.serveRead(c, req)
	case *raftpb.StatusRequest:
		h.serveStatus(c, req)
	case *raftpb.GoodbyeRequest:
		h.cfg.Logger.Debug("peer says goodbye", "node", h.cfg.Node, "peer", c.From)
	default:
		if !h.rt.ServePeer(c) {
			c.Fail(errors.New("engine: method is not served"))
		}
	}
}

// answer is a call that is answered once: by its outcome or by its time limit.
type answer struct {
	call  *transport.Call
	group GroupID
	timer *time.Timer
	given atomic.Bool
}

// newAnswer starts the time limit of a call, when it has one.
func newAnswer(c *transport.Call, group GroupID, timeoutMs int32, late error) *answer {
	a := &answer{call: c, group: group}
	if timeoutMs > 0 {
		a.timer = time.AfterFunc(time.Duration(timeoutMs)*time.Millisecond, func() { a.fail(late) })
	}
	return a
}

func (a *answer) reply(m codec.Message) {
	if a.given.CompareAndSwap(false, true) {
		a.stop()
		a.call.Reply(m)
	}
}

func (a *answer) fail(err error) {
	if a.given.CompareAndSwap(false, true) {
		a.stop()
		a.call.Fail(a.exception(err))
	}
}

func (a *answer) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// exception turns an error of this package into the exception of raft.thrift that
// tells a client the same.
func (a *answer) exception(err error) error {
	var notLeader *NotLeaderError
	var declared codec.Exception
	switch {
	case errors.As(err, &declared):
		return err
	case errors.Is(err, ErrIndeterminate):
		return &raftpb.Unavailable{Group: a.group, Reason: err.Error(), MaybeApplied: true}
	case errors.As(err, &notLeader):
		e := &raftpb.NotLeader{Group: a.group}
		if notLeader.Leader != 0 {
			e.Leader, e.LeaderAddress = codec.Some(notLeader.Leader), codec.Some(notLeader.Addr)
		}
		return e
	case errors.Is(err, ErrTooLarge):
		return &raftpb.Rejected{Group: a.group, Code: raftpb.RejectCodeTooLarge, Reason: err.Error()}
	case errors.Is(err, ErrBusy):
		return &raftpb.Rejected{Group: a.group, Code: raftpb.RejectCodeBusy, Reason: err.Error()}
	}
	return &raftpb.Unavailable{Group: a.group, Reason: err.Error()}
}

// group finds the group of a call or answers that there is none.
func (h *Host) groupOf(c *transport.Call, id GroupID) *Group {
	g := h.Group(id)
	if g == nil {
		c.Fail(&raftpb.NoSuchGroup{Group: id})
	}
	return g
}

func (h *Host) servePropose(c *transport.Call, req *raftpb.ProposeRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	if req.Session.Set || req.Serial.Set {
		c.Fail(&raftpb.Rejected{Group: req.Group, Code: raftpb.RejectCodeNotAllowed, Reason: "sessions are not served by this version"})
		return
	}
	late := &raftpb.Unavailable{Group: req.Group, Reason: "timed out", MaybeApplied: true}
	a := newAnswer(c, req.Group, req.TimeoutMs, late)
	err := g.ProposeAsync(req.Command, func(r Result, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		a.reply(&raftpb.ProposeResponse{Group: g.id, Index: r.Index, Term: r.Term, Result: r.Data})
	})
	if err != nil {
		a.fail(err)
	}
}

func (h *Host) serveRead(c *transport.Call, req *raftpb.ReadRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	mode := Linearizable // a lease read is answered by a round: slower, never weaker
	switch req.Consistency {
	case raftpb.ConsistencyFollower:
		mode = Follower
	case raftpb.ConsistencyStale:
		mode = Stale
	}
	if req.MinIndex.Set || req.MaxStaleMs.Set {
		c.Fail(&raftpb.Rejected{Group: req.Group, Code: raftpb.RejectCodeNotAllowed, Reason: "minIndex and maxStaleMs are not served by this version"})
		return
	}
	late := &raftpb.Unavailable{Group: req.Group, Reason: "timed out"}
	q := &remoteQuery{group: g, query: req.Query, answer: newAnswer(c, req.Group, req.TimeoutMs, late)}
	if err := g.read(mode, q); err != nil {
		q.answer.fail(err)
	}
}

// remoteQuery is a read of a client on the network.
type remoteQuery struct {
	group  *Group
	query  []byte
	answer *answer
}

// Run implements runtime.Reader.
func (q *remoteQuery) Run(applied raft.Index) {
	result, err := q.group.machine.Query(q.query)
	if err != nil {
		q.answer.fail(&raftpb.Rejected{Group: q.group.id, Code: raftpb.RejectCodeBadArgument, Reason: err.Error()})
		return
	}
	q.answer.reply(&raftpb.ReadResponse{Group: q.group.id, Index: applied, Result: result})
}

// Fail implements runtime.Completion.
func (q *remoteQuery) Fail(r runtime.Rejection) { q.answer.fail(q.group.rejected(r)) }

// serveStatus answers from a goroutine of its own: Status waits for the worker.
func (h *Host) serveStatus(c *transport.Call, req *raftpb.StatusRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	go func() {
		s, err := g.Status()
		if err != nil {
			c.Fail(&raftpb.NoSuchGroup{Group: req.Group})
			return
		}
		r := statusResponse(&s)
		r.Counters = h.statusCounters()
		c.Reply(r)
	}()
}

func statusResponse(s *Status) *raftpb.StatusResponse {
	r := &raftpb.StatusResponse{
		Group: s.Group, Node: s.Node, Role: s.Role, Term: s.Term, Vote: s.Vote, Leader: s.Leader,
		FirstIndex: s.First, LastIndex: s.Last, Commit: s.Commit, Applied: s.Applied, Health: raftpb.HealthOk,
	}
	for _, m := range s.Members {
		r.Config.Incoming = append(r.Config.Incoming, raftpb.Member{ID: m.ID, Address: m.Address, Suffrage: raftpb.SuffrageVoter})
	}
	for _, p := range s.Peers {
		r.Progress = append(r.Progress, raftpb.Progress{
			ID: p.ID, Matched: p.Match, NextIndex: p.Next, State: p.State, LastContactMs: p.LastContact.Milliseconds(),
		})
	}
	return r
}

// statusCounters are the host's counters as RaftClient.Status tells them.
func (h *Host) statusCounters() []raftpb.Counter {
	m := h.Metrics()
	var memory goruntime.MemStats
	goruntime.ReadMemStats(&memory)
	return []raftpb.Counter{
		{Name: "syncs", Value: m.Log.Syncs},
		{Name: "log_bytes", Value: m.Log.Bytes},
		{Name: "wire_bytes_out", Value: int64(m.Network.BytesOut)},
		{Name: "wire_bytes_in", Value: int64(m.Network.BytesIn)},
		{Name: "elections", Value: int64(m.Elections)},
		{Name: "leaderships", Value: int64(m.Leaderships)},
		{Name: "mallocs", Value: int64(memory.Mallocs)},
	}
}
