package engine

import (
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

func (h *Host) serveRead(c *transport.Call, req *raftpb.ReadRequest) {
	g := h.groupOf(c, req.Group)
	if g == nil {
		return
	}
	mode := Linearizable
	switch req.Consistency {
	case raftpb.ConsistencyFollower:
		mode = Follower
	case raftpb.ConsistencyStale:
		mode = Stale
	case raftpb.ConsistencyLease:
		mode = Lease
	}
	if req.MinIndex.Value < 0 || req.MaxStaleMs.Value < 0 || req.MaxStaleMs.Value > int64(time.Hour/time.Millisecond)*24*365 {
		c.Fail(&raftpb.Rejected{Group: req.Group, Code: raftpb.RejectCodeBadArgument, Reason: "minIndex or maxStaleMs is out of bounds"})
		return
	}
	bound := ReadBound{MinIndex: req.MinIndex.Value, MaxAge: time.Duration(req.MaxStaleMs.Value) * time.Millisecond}
	if req.MaxStaleMs.Set && bound.MaxAge == 0 && mode == Stale {
		mode = Follower // nothing may be missing
	}
	q := &remoteQuery{group: g, query: req.Query, answer: &answer{call: c, group: g.id}, way: g.way(mode, bound)}
	timeoutMs := req.TimeoutMs
	if err := g.group.ReadAfter(q.way.mode, q.way.least, q); err != nil {
		q.answer.fail(refused(err))
		return
	}
	q.answer.limit(timeoutMs, &raftpb.Unavailable{Group: g.id, Reason: "timed out"})
}

// remoteQuery is a read of a client on the network. It runs on the applier: the
// goroutine that reads the connection must not wait for an Apply.
type remoteQuery struct {
	group  *Group
	query  []byte
	way    readWay
	answer *answer
}

// Run implements runtime.Reader.
func (q *remoteQuery) Run(applied raft.Index) {
	q.group.learn(q.way, applied)
	result, err := q.group.machine.sm.Query(q.query)
	if q.way.leased && !q.group.group.Leased() {
		q.way.leased = false // it ended meanwhile: another may lead
		if err := q.group.group.ReadAfter(runtime.ReadLeader, q.way.least, q); err != nil {
			q.answer.fail(refused(err))
		}
		return
	}
	q.group.countRead(q.way)
	switch {
	case err != nil:
		q.answer.fail(&raftpb.Rejected{Group: q.group.id, Code: raftpb.RejectCodeBadArgument, Reason: err.Error()})
	case len(result) > q.group.host.maxResultBytes():
		q.answer.fail(&raftpb.Rejected{Group: q.group.id, Code: raftpb.RejectCodeTooLarge, Reason: errLongResult.Error()})
	default:
		q.answer.reply(&raftpb.ReadResponse{Group: q.group.id, Index: applied, Result: result})
	}
}

// Gone implements runtime.Abandoned.
func (q *remoteQuery) Gone() bool { return q.answer.over() }

// Fail implements runtime.Completion.
func (q *remoteQuery) Fail(r runtime.Rejection) { q.answer.fail(q.group.rejected(r)) }
