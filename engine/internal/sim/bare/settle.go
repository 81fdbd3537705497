package bare

import (
	"fmt"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Bounds of the liveness phase, after the last message of the times of trouble has
// arrived.
const (
	leaderWithin   = 5 * Election
	convergeWithin = 10 * Election
	convergeAtMost = 100 * Election
)

// settle ends all faults and demands what must then happen: a leader, a command
// that is done, the same log everywhere, an answer to every call and every read.
func (w *World) settle() {
	if w.err != nil {
		return
	}
	w.calm = true
	w.heal()
	w.knobs.MinDelay, w.knobs.MoreDelay, w.knobs.DiskDelay = millisecond, 4*millisecond, millisecond
	w.knobs.ApplyDelay, w.knobs.ApplyBytes = millisecond, 1<<20
	late := w.now + 11*Election
	for _, s := range w.servers {
		late = max(late, s.pausedUntil+Election) // what came to it in its pause comes then
		s.pausedUntil, s.heldUntil, s.fault, s.scratched = 0, 0, storeWell, raft.Span{}
		s.clock.run(w.now, 0)
		if s.stateless && w.knobs.Changes > 0 {
			w.stop(s, 0) // it may be the only one left that can lead
		}
		if s.node == nil {
			w.start(s)
			continue
		}
		if s.lazy {
			w.carryOut(s)
		}
		w.settleTimes(s)
		w.arm(s)
	}
	w.advance(late) // what is late comes in
	w.elects()
	limit := w.now + convergeWithin
	done := w.done()
	for proposed := false; w.err == nil; {
		if leader := w.steady(); !proposed && leader != nil {
			proposed = w.proposeOne(leader)
		}
		if proposed && w.converged() {
			break
		}
		if more := w.done(); more > done && w.now < limit+convergeAtMost-convergeWithin {
			done, limit = more, max(limit, w.now+Election) // much was to be caught up, one entry at a time
		}
		if w.now > limit {
			w.failf("%w: no progress: %s", ErrLiveness, w.statuses())
		}
		w.advance(w.now + Election/20)
	}
	w.advance(w.now + 2*Election)
	w.disturb()
	if w.knobs.Odd.Lockstep && w.err == nil {
		w.lockstep()
	}
	w.checkCalls()
	for _, s := range w.servers {
		if len(s.orders) > 0 && s.orders[0].at < w.now-15*Election {
			w.failf("node %d never answered order %d: %s", s.id, s.orders[0].id, w.statuses())
		}
	}
	w.crooks()
}

// elects waits for a leader that all follow.
func (w *World) elects() {
	limit := w.now + leaderWithin
	for w.err == nil && w.steady() == nil {
		if w.now > limit && w.knobs.Core.DisablePreVote {
			// Who cannot win raises terms for ever, and makes the one who can begin anew.
			w.knobs.Core.DisablePreVote = false
			w.restart()
			limit = w.now + leaderWithin
		}
		if w.now > limit {
			w.failf("%w: no leader: %s", ErrLiveness, w.statuses())
		}
		w.advance(w.now + Election/20)
	}
}

// restart stops and starts all nodes.
func (w *World) restart() {
	for _, s := range w.servers {
		w.stop(s, 0)
	}
	for _, s := range w.servers {
		w.start(s)
	}
}

// proposeOne proposes a command of nobody's.
func (w *World) proposeOne(s *server) bool {
	body := w.body(4)
	w.batch = append(w.batch[:0], raft.Entry{Kind: commandKind, Body: body, Crc32c: sumOf(body)})
	return !w.propose(s, len(s.claims)).Empty()
}

// steady is the leader that all members of its configuration follow; nil if there is
// none.
func (w *World) steady() *server {
	leader := w.leader()
	if leader == nil {
		return nil
	}
	for _, s := range w.members(leader) {
		if s.node == nil {
			return nil
		}
		if follows, term := s.node.Leader(); follows != leader.id || term != leader.was.Term {
			return nil
		}
	}
	return leader
}

// members are those of the configuration that a leader has in force.
func (w *World) members(leader *server) []*server {
	w.among = w.among[:0]
	for i := range leader.node.Members() {
		w.among = append(w.among, w.servers[leader.node.Member(i).ID-1])
	}
	return w.among
}

// converged: all have the same log, have committed and applied it, and no read waits.
func (w *World) converged() bool {
	leader := w.steady()
	if leader == nil {
		return false
	}
	for _, s := range w.members(leader) {
		if p, listed := leader.node.Follower(s.id); listed && (p.Suffrage == raftpb.SuffrageWitness) != s.node.IsWitness() {
			w.failf("node %d is a %v, and does not know", s.id, p.Suffrage)
		}
		if s.was.Commit != leader.was.Last || s.machine.applied != leader.was.Last && !s.witness || len(s.reading) > 0 {
			return false
		}
	}
	return true
}

// done is how far all nodes have come together.
func (w *World) done() (sum raft.Index) {
	for _, s := range w.servers {
		if s.node != nil {
			sum += s.was.Commit + s.machine.applied
		}
	}
	return sum
}

// checkCalls: whoever was asked has answered.
func (w *World) checkCalls() {
	for _, s := range w.servers {
		for _, call := range s.calls {
			if call != 0 && w.err == nil && call+uint64(2*len(w.servers)) < w.calls {
				w.failf("node %d never answered call %d of %d", s.id, call, w.calls)
			}
		}
	}
}

// statuses says what each node waits for.
func (w *World) statuses() string {
	var text strings.Builder
	for _, s := range w.servers {
		if s.node == nil {
			fmt.Fprintf(&text, "\n  %d: down", s.id)
			continue
		}
		st := s.node.Status()
		fmt.Fprintf(&text, "\n  %d: %v term %d vote %d leader %d last %d durable %d commit %d applied %d, %d writes under way, wants %d at %d, %d reads, orders %v",
			s.id, st.Role, st.Term, st.Vote, st.Leader, st.Last, st.Durable, st.Commit, s.machine.applied, s.queue.len(), s.wanted, s.clock.at(w.now), len(s.reading), s.orders)
		for _, m := range st.Configuration.Incoming {
			fmt.Fprintf(&text, " %d%.1v", m.ID, m.Suffrage)
		}
		for _, m := range st.Configuration.Outgoing {
			fmt.Fprintf(&text, " -%d%.1v", m.ID, m.Suffrage)
		}
		if s.leading() {
			fmt.Fprintf(&text, " %+v", st.Members)
		}
	}
	return text.String()
}
