package runtime

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// requests are the changes and hand-overs that operators wait for. They belong to
// the worker.
type requests struct {
	last    uint64
	waiting []request
}

// request has one of the two functions.
type request struct {
	id       uint64
	change   func(raft.ChangeAnswer)
	transfer func(raft.TransferAnswer)
}

func (q *requests) take(id uint64) (r request) {
	for i := range q.waiting {
		if q.waiting[i].id == id {
			r = q.waiting[i]
			q.waiting = slices.Delete(q.waiting, i, i+1)
			break
		}
	}
	return r
}

// maxRequests bounds what operators may have open in one group.
const maxRequests = 256

// Change asks the core for another configuration; done is told the outcome, on the
// worker: it must not block. r is not kept. When Change returns an error nothing was
// asked and done is not called.
func (g *Group) Change(r raft.ChangeRequest, done func(raft.ChangeAnswer)) error {
	return g.w.inbox.do(func() {
		switch {
		case g.dead:
			done(raft.ChangeAnswer{Refused: raft.RefusalNotLeader})
		case len(g.requests.waiting) >= maxRequests:
			done(raft.ChangeAnswer{Refused: raft.RefusalBusy})
		default:
			g.requests.last++
			g.requests.waiting = append(g.requests.waiting, request{id: g.requests.last, change: done})
			g.w.stepCore(g, raft.Event{Kind: raft.EventChange, Change: &r, RequestID: g.requests.last})
		}
	})
}

// Transfer asks the core to hand over to a member, 0: to whoever is best. done is told
// the outcome, as Change's.
func (g *Group) Transfer(to raft.NodeID, done func(raft.TransferAnswer)) error {
	return g.w.inbox.do(func() {
		switch {
		case g.dead:
			done(raft.TransferAnswer{Refused: raft.RefusalNotLeader})
		case len(g.requests.waiting) >= maxRequests:
			done(raft.TransferAnswer{Refused: raft.RefusalBusy})
		default:
			g.requests.last++
			g.requests.waiting = append(g.requests.waiting, request{id: g.requests.last, transfer: done})
			g.w.stepCore(g, raft.Event{Kind: raft.EventTransfer, Peer: to, RequestID: g.requests.last})
		}
	})
}

// Plan asks the core what a change would lead to. It waits for the worker.
func (g *Group) Plan(r raft.ChangeRequest) (path []raft.Configuration, why raft.Refusal, err error) {
	looked := make(chan struct{})
	err = g.w.inbox.do(func() {
		why = raft.RefusalNotLeader
		if !g.dead {
			path, why = g.node.PlanChange(&r)
		}
		close(looked)
	})
	if err != nil {
		return nil, 0, err
	}
	select {
	case <-looked:
		return path, why, nil
	case <-g.w.stopped:
		return nil, 0, ErrStopped
	}
}

// answerRequests tells operators what became of their requests.
func (g *Group) answerRequests(out *raft.Effects) {
	for _, a := range out.Changes {
		if r := g.requests.take(a.RequestID); r.change != nil {
			r.change(a)
		}
	}
	for _, a := range out.Transfers {
		if r := g.requests.take(a.RequestID); r.transfer != nil {
			r.transfer(a)
		}
	}
}

// dropRequests ends what waits in a group that ends: its outcome is open.
func (g *Group) dropRequests() {
	for _, r := range g.requests.waiting {
		if r.change != nil {
			r.change(raft.ChangeAnswer{Refused: raft.RefusalLeadershipLost})
		} else {
			r.transfer(raft.TransferAnswer{Refused: raft.RefusalLeadershipLost})
		}
	}
	g.requests.waiting = nil
}

// followConfiguration tells who keeps the address book that another configuration
// is in force, before a message to a new member leaves.
func (g *Group) followConfiguration(facts []raft.Fact) {
	changes, installed := 0, false
	for _, f := range facts {
		switch f.Kind {
		case raft.FactConfiguration:
			changes++
		case raft.FactSnapshotInstalled:
			installed = true
		default:
		}
	}
	if changes == 0 {
		return
	}
	c := g.node.Status().Configuration
	if g.onMembers != nil {
		g.onMembers(c, changes > 1 || installed)
	}
	g.w.host.presence.joined(&c)
}

func (s *sender) timeoutNow(g *Group, to raft.NodeID, term raft.Term) error {
	req := raftpb.TimeoutNowRequest{Group: g.id, Term: term, Leader: g.self}
	return s.w.host.network.Call(to, transport.LaneControl, raftpb.RaftPeerTimeoutNow, &req, func(resp codec.Message, err error) {
		v, ok := resp.(*raftpb.TimeoutNowResponse)
		if err != nil || !ok {
			g.unreachable(to)
			return
		}
		g.w.inbox.answered(g, raft.Message{
			Kind: raft.MessageTimeoutNowAnswer, From: to, To: g.self, Term: v.Term, Granted: v.Accepted,
		}, 0)
	})
}

// timeoutNowCall answers a leader that hands over.
type timeoutNowCall struct{ c *transport.Call }

func (a timeoutNowCall) answer(_ *worker, m *raft.Message) {
	a.c.Reply(&raftpb.TimeoutNowResponse{
		Group: a.c.Request.(*raftpb.TimeoutNowRequest).Group, Term: m.Term, Accepted: m.Granted,
	})
}

func (a timeoutNowCall) drop(err error) { a.c.Fail(err) }
