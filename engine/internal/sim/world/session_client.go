package world

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/engine/internal/session"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// sessionKnobs are how a world's clients use sessions.
type sessionKnobs struct {
	clients  int // per group; 0: there are no sessions
	pipeline int // commands that a client has open at most
	retryFor int64
	limits   raftpb.SessionLimits
}

// drawSessions: six worlds in ten have clients with sessions.
func (k *knobs) drawSessions(seed uint64) {
	s := schedule.NewStream(seed, 302)
	if !s.Chance(0.6) {
		return
	}
	k.session = sessionKnobs{
		clients: 1 + s.Intn(6), pipeline: 1 + s.Intn(4), retryFor: int64(s.LogUniform(2e6, 1e9)),
		limits: raftpb.SessionLimits{
			Sessions: int32(1 + s.Intn(8)), Window: int32(1 + s.Intn(8)), Bytes: session.MinTableBytes,
			ResultBytes: []int32{14, 64, 1 << 10, 1 << 20, 4 << 20}[s.Intn(5)],
		},
	}
}

// sessionClients have sessions: they ask again, at any node, until they know what
// became of what they asked for.
//
//	command 7 --> node 2, which does not lead
//	        ----> node 1 ... no answer for a while
//	        ----> node 3: executed
//	              node 1: from the table. Both say the same
type sessionClients struct {
	c        *clients
	all      []*sessionClient
	requests []*request // by slot; those that ended too: attempts at them may still be under way
}

type sessionClient struct {
	place  int
	id     int64 // 0: none
	window int64
	next   int64 // serial
	open   []*request
}

// request is one command, or the opening or the end of a session, until its client
// knows what became of it.
type request struct {
	by       *sessionClient
	slot     int32
	kind     requestKind
	cmd      command
	process  int64
	attempts []*attempt // without an answer
	ended    bool
	answered *result // what it was told first
}

type requestKind uint8

const (
	inSession requestKind = iota
	opening
	closing
)

// attempt is one sending of a request. It implements runtime.Completion.
type attempt struct {
	s     *sessionClients
	r     *request
	at    *member
	start int64
	over  bool
}

// maxAttempts bounds those of one request without an answer.
const maxAttempts = 4

func (s *sessionClients) init(c *clients) {
	s.c = c
	for i := range c.w.k.session.clients {
		s.all = append(s.all, &sessionClient{place: i})
		s.think(s.all[i])
	}
}

// think lets a client act some time later.
func (s *sessionClients) think(cl *sessionClient) {
	w := s.c.w
	w.push(w.now+1+w.clientele.N(4*w.k.thinkFor), event{kind: evSession, node: int8(s.c.g.place), slot: int32(cl.place)})
}

// act begins a request, if the client may.
func (s *sessionClients) act(place int) {
	w, cl := s.c.w, s.all[place]
	if w.calm {
		return
	}
	s.think(cl)
	if w.quiet() {
		return
	}
	switch {
	case cl.id == 0 && len(cl.open) == 0:
		s.begin(&request{by: cl, kind: opening})
	case cl.id == 0 || len(cl.open) >= w.k.session.pipeline || cl.next-cl.lowest(cl.id, cl.next) >= cl.window:
	case len(cl.open) == 0 && w.clientele.Chance(0.02):
		s.begin(&request{by: cl, kind: closing, cmd: command{session: cl.id}})
		cl.id = 0
	case w.did.writes < maxWrites || w.clientele.Chance(0.02):
		r := &request{by: cl, cmd: s.c.drawWrite()}
		r.cmd.session, r.cmd.serial = cl.id, cl.next
		cl.next++
		s.begin(r)
	}
}

func (s *sessionClients) begin(r *request) {
	s.c.processes++
	r.slot, r.process = int32(len(s.requests)), s.c.processes
	s.requests = append(s.requests, r)
	r.by.open = append(r.by.open, r)
	s.try(r)
}

// try sends a request to some node, most often the one that is taken for the leader,
// and arranges for the next attempt.
func (s *sessionClients) try(r *request) {
	c, w := s.c, s.c.w
	if r.ended {
		return
	}
	pause := w.k.session.retryFor
	if m := c.someone(); m.group != nil && len(r.attempts) < maxAttempts {
		a := &attempt{s: s, r: r, at: m, start: w.now}
		r.cmd.acked = r.by.lowest(r.cmd.session, r.cmd.serial)
		e := s.entry(r)
		c.g.judge.Watched.Proposed(c.g.judge.Sum(&e))
		r.attempts = append(r.attempts, a)
		w.did.attempts++
		if m.group.Propose(e, a) != nil {
			s.over(a, oracle.Fail, nil)
		} else {
			w.poke(m.n)
		}
		if w.o.Trace != nil {
			w.trace(m.n, "session", "process %d: kind %d %+v", r.process, r.kind, r.cmd)
		}
	}
	w.push(w.now+pause/2+w.clientele.N(pause), event{kind: evRetry, node: int8(c.g.place), slot: r.slot})
}

// lowest is the serial of a session below which the client has all answers, most at
// most.
func (cl *sessionClient) lowest(session, most int64) int64 {
	for _, r := range cl.open {
		if r.cmd.session == session {
			most = min(most, r.cmd.serial)
		}
	}
	return most
}

func (s *sessionClients) entry(r *request) raft.Entry {
	if r.kind == inSession {
		return s.c.entry(&r.cmd)
	}
	change := raftpb.SessionChange{Kind: raftpb.SessionChangeKindClose, Session: codec.Some(r.cmd.session)}
	if r.kind == opening {
		limits := s.c.w.k.session.limits
		change = raftpb.SessionChange{Kind: raftpb.SessionChangeKindOpen, Limits: &limits}
	}
	body := change.AppendCompact(nil)
	return raft.Entry{Kind: raftpb.EntryKindSession, Body: body, Crc32c: wal.EntryChecksum(raftpb.EntryKindSession, body)}
}

// Fail implements runtime.Completion. A node that does not lead may say who does.
func (a *attempt) Fail(r runtime.Rejection) {
	if a.over {
		return
	}
	s, status := a.s, oracle.Fail
	if r.MayHappen {
		status = oracle.Info
	}
	if r.Leader > 0 {
		s.c.leader = int(r.Leader) - 1
	}
	s.over(a, status, nil)
}

// over ends an attempt; v is the answer, if there is one.
func (s *sessionClients) over(a *attempt, status oracle.Status, v *result) {
	r := a.r
	a.over = true
	r.attempts = slices.DeleteFunc(r.attempts, func(other *attempt) bool { return other == a })
	if r.kind != inSession {
		return
	}
	o := oracle.Op{Status: status, Session: r.cmd.session, Serial: r.cmd.serial}
	if v != nil {
		o.Result, o.Swapped = v.text(), v.swapped
	}
	s.c.record(&r.cmd, r.process, a.start, a.at.n, o)
}

// complete is the answer to an attempt.
func (a *attempt) complete(v *verdict) {
	if a.over {
		return
	}
	s, r, w := a.s, a.r, a.s.c.w
	s.c.leader = a.at.n.place
	switch {
	case r.kind == opening:
		s.over(a, oracle.OK, nil)
		if !r.ended { // another attempt at it opens a session that nobody uses
			r.by.id, r.by.window, r.by.next = int64(v.at), int64(v.result.number), 1
			w.did.sessions++
		}
	case r.kind == closing:
		s.over(a, oracle.OK, nil)
	case v.outcome == session.Expired:
		s.over(a, oracle.Fail, nil)
		s.expired(r)
	case v.outcome == session.Outside:
		s.over(a, oracle.Fail, nil)
		if !r.ended {
			w.fail(string(invariant.I15), "serial %d of session %d is refused, and its client has no answer", r.cmd.serial, r.cmd.session)
		}
	case v.dropped:
		w.did.resultsDropped++
		s.over(a, oracle.Info, nil)
	default:
		s.told(a, v)
	}
	s.end(r)
}

// expired: a session that its client did not close may only be gone if others needed
// the room.
func (s *sessionClients) expired(r *request) {
	w := s.c.w
	w.did.expiredAnswers++
	if !s.c.g.twin.expired[r.cmd.session] {
		w.fail(string(invariant.I15), "session %d is called expired, and nothing expired it", r.cmd.session)
	}
	if r.by.id == r.cmd.session {
		r.by.id = 0
	}
}

// told takes an answer to a command.
func (s *sessionClients) told(a *attempt, v *verdict) {
	r, c := a.r, s.c
	if v.outcome != session.Apply {
		c.w.did.fromTable++
	}
	if was := r.answered; was != nil && *was != v.result {
		c.w.fail(string(invariant.I15), "serial %d of session %d is answered with %+v, and was with %+v", r.cmd.serial, r.cmd.session, v.result, *was)
	}
	answer := v.result
	r.answered = &answer
	c.g.judge.Watched.ClientAcked(v.at)
	c.hunt.Acked(v.at)
	if !r.ended {
		c.w.did.writes++
	}
	s.over(a, oracle.OK, &answer)
}

// end: the client knows what became of it.
func (s *sessionClients) end(r *request) {
	if !r.ended {
		r.ended = true
		r.by.open = slices.DeleteFunc(r.by.open, func(other *request) bool { return other == r })
	}
}

// each calls f for every attempt without an answer.
func (s *sessionClients) each(f func(*attempt)) {
	for _, r := range s.requests {
		for _, a := range slices.Clone(r.attempts) {
			f(a)
		}
	}
}

// crashed: of whom n owes an answer sees the connection end.
func (s *sessionClients) crashed(n *node) {
	s.each(func(a *attempt) {
		if a.at.n == n {
			s.over(a, oracle.Info, nil)
		}
	})
}

// busy reports whether some request has not ended.
func (s *sessionClients) busy() bool {
	return slices.ContainsFunc(s.all, func(cl *sessionClient) bool { return len(cl.open) > 0 })
}

// judge asks the oracle of sessions, when all members are equal.
func (s *sessionClients) judge() {
	s.each(func(a *attempt) { s.over(a, oracle.Info, nil) })
	for _, v := range oracle.Sessions(s.c.history, s.c.g.twin.effects) {
		if v.Check != "order" || s.c.w.k.session.pipeline == 1 {
			s.c.w.fail("oracle", "%v", &v)
			return
		}
	}
	s.resolve()
}

// resolve replaces attempts of unknown outcome by what became of them, which is known
// at the end: else every session that expired leaves some that no oracle can place, and
// the search for an order takes for ever. A wrong answer in here is found out by that
// search, as a value that nobody wrote or that came too late.
func (s *sessionClients) resolve() {
	for i := range s.c.history {
		o := &s.c.history[i]
		if o.Session == 0 || o.Status != oracle.Info {
			continue
		}
		e, ok := s.c.g.twin.first[[2]int64{o.Session, o.Serial}]
		if o.Status = oracle.Fail; ok && e.when >= o.Start {
			o.Status, o.End, o.Result, o.Swapped = oracle.OK, e.when, e.result.text(), e.result.swapped
		}
	}
}

// concurrent reports whether an oracle objects to the order of commands that a session
// had open at the same time: that is for the network to choose.
func (s *sessionClients) concurrent(v *oracle.Violation) bool {
	if v.Check != "order" || v.Op < 0 || v.Other < 0 || s.c.w.k.session.pipeline == 1 {
		return false
	}
	a, b := &s.c.history[v.Op], &s.c.history[v.Other]
	return a.Session != 0 && a.Session == b.Session
}
