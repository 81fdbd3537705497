package engine

import (
	"errors"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

func peerMethods() []*codec.Method {
	return []*codec.Method{
		raftpb.RaftPeerVote, raftpb.RaftPeerAppend, raftpb.RaftPeerHeartbeat, raftpb.RaftPeerReadIndex, raftpb.RaftPeerGoodbye,
		raftpb.RaftPeerInstallSnapshot, raftpb.RaftPeerTimeoutNow, raftpb.RaftPeerFetch, raftpb.RaftPeerReadSnapshot,
	}
}

func clientMethods() []*codec.Method {
	return []*codec.Method{
		raftpb.RaftClientPropose, raftpb.RaftClientRead, raftpb.RaftClientStatus,
		raftpb.RaftClientOpenSession, raftpb.RaftClientCloseSession,
	}
}

// ServeCall implements transport.Handler: RaftPeer for the nodes of the cluster,
// RaftClient for anyone. It never blocks.
func (h *Host) ServeCall(c *transport.Call) {
	if h.services.serve(c) {
		return
	}
	switch req := c.Request.(type) {
	case *raftpb.ProposeRequest:
		h.servePropose(c, req)
	case *raftpb.ReadRequest:
		h.serveRead(c, req)
	case *raftpb.OpenSessionRequest:
		h.serveOpenSession(c, req)
	case *raftpb.CloseSessionRequest:
		h.serveCloseSession(c, req)
	case *raftpb.StatusRequest:
		h.serveStatus(c, req)
	case *raftpb.FetchRequest:
		h.serveFetch(c, req)
	case *raftpb.GoodbyeRequest:
		h.cfg.Logger.Debug("peer says goodbye", "node", h.cfg.Node, "peer", c.From)
	default:
		if !h.serveAdmin(c) && !h.rt.ServePeer(c) {
			c.Fail(errors.New("engine: method is not served"))
		}
	}
}

// answer is a call that is answered once: by its outcome or by its time limit.
// Once it is answered the request is gone: whoever needs a part of it has taken it
// before the limit was set.
type answer struct {
	call  *transport.Call
	group GroupID

	mu    sync.Mutex
	given bool
	timer *time.Timer
}

// limit ends the call with late after timeoutMs, if that is positive and nothing
// else has answered it.
func (a *answer) limit(timeoutMs int32, late error) {
	if timeoutMs <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.given {
		a.timer = time.AfterFunc(time.Duration(timeoutMs)*time.Millisecond, func() { a.fail(late) })
	}
}

// claim reports whether the caller is the one to answer.
func (a *answer) claim() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.given {
		return false
	}
	a.given = true
	if a.timer != nil {
		a.timer.Stop()
	}
	return true
}

// over reports whether the call is answered.
func (a *answer) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.given
}

func (a *answer) reply(m codec.Message) {
	if a.claim() {
		a.call.Reply(m)
	}
}

func (a *answer) fail(err error) {
	if a.claim() {
		a.call.Fail(a.exception(err))
	}
}

// exception turns an error of this package into the exception of raft.thrift that
// tells a client the same.
func (a *answer) exception(err error) error {
	var notLeader *NotLeaderError
	var lost *LeadershipLostError
	var declared codec.Exception
	var serial *SerialError
	var applied *AppliedError
	var skipped *ApplyError
	rejected := func(code raftpb.RejectCode) *raftpb.Rejected {
		return &raftpb.Rejected{Group: a.group, Code: code, Reason: err.Error()}
	}
	switch {
	case errors.As(err, &declared):
		return err
	case errors.Is(err, ErrIndeterminate):
		return &raftpb.Unavailable{Group: a.group, Reason: err.Error(), MaybeApplied: true}
	case errors.As(err, &notLeader):
		return redirect(a.group, notLeader.Leader, notLeader.Addr)
	case errors.As(err, &lost): // a read: a command's outcome is open
		return redirect(a.group, lost.Leader, lost.Addr)
	case errors.Is(err, ErrTooLarge):
		return rejected(raftpb.RejectCodeTooLarge)
	case errors.Is(err, ErrBusy):
		return rejected(raftpb.RejectCodeBusy)
	case errors.Is(err, ErrSessionExpired):
		return rejected(raftpb.RejectCodeSessionExpired)
	case errors.As(err, &serial):
		r := rejected(raftpb.RejectCodeSerialOutOfWindow)
		r.ExpectedSerial = codec.Some(serial.First)
		return r
	case errors.Is(err, ErrUnsafeChange):
		return rejected(raftpb.RejectCodeUnsafeChange)
	case errors.Is(err, ErrChangeInProgress):
		return rejected(raftpb.RejectCodeChangeInProgress)
	case errors.Is(err, ErrConfigurationMoved):
		return rejected(raftpb.RejectCodeNotAllowed)
	case errors.Is(err, ErrBadChange):
		return rejected(raftpb.RejectCodeBadArgument)
	case errors.As(err, &skipped):
		return rejected(raftpb.RejectCodeBadArgument)
	case errors.As(err, &applied):
		return &raftpb.Unavailable{Group: a.group, Reason: err.Error(), MaybeApplied: true, Applied: codec.Some(applied.Index)}
	}
	return &raftpb.Unavailable{Group: a.group, Reason: err.Error()}
}

func redirect(group GroupID, leader NodeID, addr string) *raftpb.NotLeader {
	e := &raftpb.NotLeader{Group: group}
	if leader != 0 {
		e.Leader, e.LeaderAddress = codec.Some(leader), codec.Some(addr)
	}
	return e
}

// groupOf finds the group of a call or answers that there is none.
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
	if req.Session.Set != req.Serial.Set {
		c.Fail(&raftpb.Rejected{Group: req.Group, Code: raftpb.RejectCodeBadArgument, Reason: "session and serial belong together"})
		return
	}
	payload := raftpb.Payload{Command: req.Command, Session: req.Session, Serial: req.Serial, AckedBelow: req.AckedBelow}
	h.serveEntry(c, g, req.TimeoutMs, func(p *proposal) error { return g.propose(&payload, p) }, func(r Result) codec.Message {
		return &raftpb.ProposeResponse{Group: g.id, Index: r.Index, Term: r.Term, Result: r.Data}
	})
}
