package engine

import (
	"errors"
	"net"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/snapshot"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

func adminMethods() []*codec.Method {
	return []*codec.Method{
		raftpb.RaftAdminChangeMembership, raftpb.RaftAdminPlanChange, raftpb.RaftAdminTransferLeadership,
		raftpb.RaftAdminSnapshot, raftpb.RaftAdminWhy, raftpb.RaftAdminHash,
	}
}

var errNotAllowed = errors.New("engine: not allowed from this address")

// isOperator is who may call the admin service when Config.AllowAdmin does not say.
func isOperator(addr string, holder transport.Holder) bool {
	if holder.Admin != "" {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// serveAdmin serves RaftAdmin, to those who may. It reports false when the method is
// none of it.
func (h *Host) serveAdmin(c *transport.Call) bool {
	if c.Method.Service != raftpb.RaftAdminChangeMembership.Service {
		return false
	}
	holder, _ := c.Holder()
	req, isHash := c.Request.(*raftpb.HashRequest)
	if isHash && c.From != 0 { // members compare
		h.serveHash(c, req)
		return true
	}
	if !h.cfg.AllowAdmin(c.RemoteAddr(), holder) {
		h.cfg.Logger.Warn("admin call refused", "node", h.cfg.Node, "addr", c.RemoteAddr(), "method", c.Method.Name)
		c.Fail(notAllowed(c.Request))
		return true
	}
	switch req := c.Request.(type) {
	case *raftpb.ChangeRequest:
		if c.Method.ID == raftpb.RaftAdminPlanChange.ID {
			h.servePlan(c, req)
		} else {
			h.serveChange(c, req)
		}
	case *raftpb.TransferRequest:
		h.serveTransfer(c, req)
	case *raftpb.SnapshotRequest:
		h.serveSnapshot(c, req)
	case *raftpb.WhyRequest:
		h.serveWhy(c, req)
	case *raftpb.HashRequest:
		h.serveHash(c, req)
	default:
		return false
	}
	return true
}

// serveSnapshot has a snapshot taken; the log before it goes as always, or all of it.
func (h *Host) serveSnapshot(c *transport.Call, req *raftpb.SnapshotRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	compact := req.Compact
	err := g.group.Snapshot(func(m snapshot.Meta, err error) {
		if err != nil {
			c.Fail(&raftpb.Unavailable{Group: g.id, Reason: err.Error()})
			return
		}
		if compact {
			g.group.Relieve()
		}
		c.Reply(&raftpb.SnapshotResponse{Group: g.id, Meta: m})
	})
	if err != nil {
		c.Fail(&raftpb.Unavailable{Group: g.id, Reason: refused(err).Error()})
	}
}

// serveWhy answers from a goroutine of its own: it waits for the worker.
func (h *Host) serveWhy(c *transport.Call, req *raftpb.WhyRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	go func() {
		w, err := g.Why()
		if err != nil {
			c.Fail(&raftpb.NoSuchGroup{Group: g.id})
			return
		}
		r := &raftpb.WhyResponse{Group: g.id, Sentence: w.Sentence}
		if w.Culprit != 0 {
			r.Culprit = codec.Some(w.Culprit)
		}
		c.Reply(r)
	}()
}

// notAllowed is the refusal of an admin call, as an exception where the method has one.
func notAllowed(req codec.Message) error {
	var group GroupID
	switch req := req.(type) {
	case *raftpb.ChangeRequest:
		group = req.Group
	case *raftpb.TransferRequest:
		group = req.Group
	default:
		return errNotAllowed
	}
	return &raftpb.Rejected{Group: group, Code: raftpb.RejectCodeNotAllowed, Reason: errNotAllowed.Error()}
}

func changeRequest(req *raftpb.ChangeRequest) raft.ChangeRequest {
	r := raft.ChangeRequest{Compare: req.Expected.Set, Expected: req.Expected.Value}
	r.Steps = append(r.Steps, req.Changes...) // the request is reused once it is answered
	return r
}

func (h *Host) serveChange(c *transport.Call, req *raftpb.ChangeRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	a := &answer{call: c, group: g.id}
	timeoutMs := req.TimeoutMs
	err := g.group.Change(changeRequest(req), func(end raft.ChangeAnswer) {
		if err := g.refusal(end.Refused); err != nil {
			a.fail(err)
			return
		}
		a.reply(&raftpb.ChangeResponse{Group: g.id, Index: end.Index, Config: end.Configuration})
	})
	if err != nil {
		a.fail(refused(err))
		return
	}
	a.limit(timeoutMs, &raftpb.Unavailable{Group: g.id, Reason: "timed out", MaybeApplied: true})
}

// servePlan answers from a goroutine of its own: the plan waits for the worker.
func (h *Host) servePlan(c *transport.Call, req *raftpb.ChangeRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	r := changeRequest(req)
	go func() {
		a := &answer{call: c, group: g.id}
		path, why, err := g.group.Plan(r)
		if err == nil {
			err = g.refusal(why)
		} else {
			err = refused(err)
		}
		if err != nil {
			a.fail(err)
			return
		}
		resp := &raftpb.PlanResponse{Group: g.id}
		for i := range path {
			note := "simple"
			if len(path[i].Outgoing) > 0 {
				note = "joint: both halves decide"
			}
			resp.Steps = append(resp.Steps, raftpb.PlanStep{
				Config: path[i], ToleratedFailures: int32(raft.ToleratedFailures(&path[i])), Note: note,
			})
		}
		a.reply(resp)
	}()
}

func (h *Host) serveTransfer(c *transport.Call, req *raftpb.TransferRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	a := &answer{call: c, group: g.id}
	err := g.group.Transfer(req.Target, func(end raft.TransferAnswer) {
		if err := g.refusal(end.Refused); err != nil {
			a.fail(err)
			return
		}
		a.reply(&raftpb.TransferResponse{Group: g.id, Term: end.Term})
	})
	if err != nil {
		a.fail(refused(err))
	}
}
