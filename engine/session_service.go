package engine

import (
	"errors"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// maxResultBytes is the longest result of a command or query that a frame holds.
func (h *Host) maxResultBytes() int { return h.cfg.MaxFrameBytes - 4<<10 }

var errLongResult = errors.New("the result is longer than a frame")

// serveEntry proposes an entry and answers the call when it is applied.
func (h *Host) serveEntry(c *transport.Call, g *Group, timeoutMs int32, propose func(*proposal) error, reply func(Result) codec.Message) {
	a := &answer{call: c, group: g.id}
	err := propose(&proposal{group: g, callback: func(r Result, err error) {
		switch {
		case err != nil:
			a.fail(err)
		case len(r.Data) > h.maxResultBytes():
			a.fail(&AppliedError{Index: r.Index, Term: r.Term, Cause: errLongResult})
		default:
			a.reply(reply(r))
		}
	}})
	if err != nil {
		a.fail(err)
		return
	}
	a.limit(timeoutMs, &raftpb.Unavailable{Group: g.id, Reason: "timed out", MaybeApplied: true})
}

func (h *Host) serveOpenSession(c *transport.Call, req *raftpb.OpenSessionRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	open := func(p *proposal) error { return g.submit(raftpb.EntryKindSession, h.openBody(), p) }
	h.serveEntry(c, g, req.TimeoutMs, open, func(r Result) codec.Message {
		return &raftpb.OpenSessionResponse{Group: g.id, Session: int64(r.Index), Window: int32(h.cfg.SessionWindow)}
	})
}

func (h *Host) serveCloseSession(c *transport.Call, req *raftpb.CloseSessionRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	change := raftpb.SessionChange{Kind: raftpb.SessionChangeKindClose, Session: codec.Some(req.Session)}
	end := func(p *proposal) error { return g.submit(raftpb.EntryKindSession, change.AppendCompact(nil), p) }
	h.serveEntry(c, g, req.TimeoutMs, end, func(Result) codec.Message {
		return &raftpb.CloseSessionResponse{Group: g.id}
	})
}
