package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Session is a client of a group whose commands are applied exactly once, however
// often they have to be sent: the group remembers which of them it has applied, and
// what they returned. Its methods are safe for concurrent use.
type Session struct {
	group  *Group
	id     int64
	window int64

	mu       sync.Mutex
	next     int64          // serial of the next command
	lowest   int64          // all below have ended
	ended    map[int64]bool // from lowest on
	moved    chan struct{}  // closed when lowest rises
	finished bool
}

// Session opens a session in the group, at whichever member leads. It returns when the
// session is replicated. Not knowing whether that happened it opens another one: what is
// left behind makes room by itself (Config.MaxSessions).
func (g *Group) Session(ctx context.Context) (*Session, error) {
	s := &Session{group: g, next: 1, lowest: 1, ended: map[int64]bool{}, moved: make(chan struct{})}
	err := g.chase(ctx, chasing{
		local: func() error {
			r, err := g.await(ctx, raftpb.EntryKindSession, g.host.openBody())
			s.id, s.window = int64(r.Index), int64(g.host.cfg.SessionWindow)
			return err
		},
		remote: func(leader NodeID) error {
			req := &raftpb.OpenSessionRequest{Group: g.id, TimeoutMs: g.host.attemptMs()}
			r, err := callMember(ctx, g.host, leader, raftpb.RaftClientOpenSession, req, func(m codec.Message) raftpb.OpenSessionResponse {
				return *m.(*raftpb.OpenSessionResponse)
			})
			s.id, s.window = r.Session, int64(r.Window)
			return err
		},
		busy: true,
	})
	if err != nil {
		return nil, fmt.Errorf("engine: open session: %w", err)
	}
	return s, nil
}

// ID returns the session's number, unique in its group for ever.
func (s *Session) ID() int64 { return s.id }

// Propose is [Group.Propose], exactly once: while the outcome of an attempt is open, or
// no leader is known, it tries again, at whichever member leads, until ctx ends. An
// error that does not match ErrIndeterminate says that the command was not applied and
// will not be. When as many commands are open as the session may have
// (Config.SessionWindow), it waits for the oldest to end.
//
// ErrSessionExpired: the session is gone; open another one. An error that matches
// ErrIndeterminate too: whether this command was applied before that is not known.
// AppliedError: the command was applied, and its result is too long to be told again.
func (s *Session) Propose(ctx context.Context, cmd []byte) (Result, error) {
	g := s.group
	if err := g.tooLarge(cmd); err != nil {
		return Result{}, err
	}
	serial, err := s.begin(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("engine: propose: %w", err)
	}
	defer s.end(serial)
	var result Result
	err = g.chase(ctx, chasing{
		local: func() (err error) {
			result, err = g.await(ctx, raftpb.EntryKindCommand, g.host.memory.encodePayload(&raftpb.Payload{
				Command: cmd, Session: codec.Some(s.id), Serial: codec.Some(serial), AckedBelow: codec.Some(s.ackedBelow()),
			}))
			return err
		},
		remote: func(leader NodeID) (err error) {
			req := &raftpb.ProposeRequest{
				Group: g.id, Command: cmd, Session: codec.Some(s.id), Serial: codec.Some(serial),
				AckedBelow: codec.Some(s.ackedBelow()), TimeoutMs: g.host.attemptMs(),
			}
			result, err = callMember(ctx, g.host, leader, raftpb.RaftClientPropose, req, func(m codec.Message) Result {
				r := m.(*raftpb.ProposeResponse)
				return Result{Index: r.Index, Term: r.Term, Data: r.Result}
			})
			return err
		},
	})
	if err != nil {
		return Result{}, err
	}
	return result, nil
}

// Close ends the session: what is still open in it fails with ErrSessionExpired, if it
// is not applied yet. A session that is gone already is no error.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.finished = true
	s.mu.Unlock()
	g := s.group
	err := g.chase(ctx, chasing{
		local: func() error {
			c := raftpb.SessionChange{Kind: raftpb.SessionChangeKindClose, Session: codec.Some(s.id)}
			_, err := g.await(ctx, raftpb.EntryKindSession, c.AppendCompact(nil))
			return err
		},
		remote: func(leader NodeID) error {
			req := &raftpb.CloseSessionRequest{Group: g.id, Session: s.id, TimeoutMs: g.host.attemptMs()}
			_, err := callMember(ctx, g.host, leader, raftpb.RaftClientCloseSession, req, func(codec.Message) any { return nil })
			return err
		},
		busy: true,
	})
	if err != nil && !errors.Is(err, ErrSessionExpired) {
		return fmt.Errorf("engine: close session: %w", err)
	}
	return nil
}

// begin takes the next serial, as soon as the window allows it.
func (s *Session) begin(ctx context.Context) (int64, error) {
	for {
		s.mu.Lock()
		serial, moved := s.next, s.moved
		switch {
		case s.finished:
			s.mu.Unlock()
			return 0, ErrSessionExpired
		case serial < s.lowest+s.window:
			s.next++
			s.mu.Unlock()
			return serial, nil
		}
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// end says that serial will not be sent any more: its answer is here, or nobody wants it.
func (s *Session) end(serial int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[serial] = true
	if serial != s.lowest {
		return
	}
	for s.ended[s.lowest] {
		delete(s.ended, s.lowest)
		s.lowest++
	}
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *Session) ackedBelow() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lowest
}

// openBody is the body of the entry that opens a session, with the limits of this host.
func (h *Host) openBody() []byte {
	c := raftpb.SessionChange{Kind: raftpb.SessionChangeKindOpen, Limits: &raftpb.SessionLimits{
		Sessions: int32(h.cfg.MaxSessions), Window: int32(h.cfg.SessionWindow),
		Bytes: int64(h.cfg.MaxSessionTableBytes), ResultBytes: int32(h.cfg.MaxSessionResultBytes),
	}}
	return c.AppendCompact(nil)
}

// chasing is something that a leader does, and that may be asked of it more than once:
// it takes effect at most once, or a second time does no harm. A plain Propose is not
// of this kind.
type chasing struct {
	local  func() error              // at this member
	remote func(leader NodeID) error // at another one
	busy   bool                      // try again when a queue is full
}

// chase tries at whoever leads, again and again, until that has an outcome or ctx ends.
func (g *Group) chase(ctx context.Context, c chasing) error {
	open := false // an attempt may have had its effect
	pause := chasePause{most: g.host.cfg.ElectionTimeout / 2}
	for {
		if err := ctx.Err(); err != nil {
			return wrapOpen(open, err)
		}
		before := g.Leader()
		var err error
		if leader := before; leader == 0 || leader == g.host.cfg.Node {
			err = c.local()
		} else {
			err = c.remote(leader)
		}
		if err == nil {
			return nil
		}
		indeterminate := errors.Is(err, ErrIndeterminate)
		if ctx.Err() != nil || !c.again(err, open) {
			return wrapOpen(open && !indeterminate, err)
		}
		open = open || indeterminate
		if g.Leader() == before {
			pause.wait(ctx)
		}
	}
}

// again reports whether another attempt may have another outcome than err. With open,
// only a later attempt can tell what became of an earlier one.
func (c *chasing) again(err error, open bool) bool {
	var notLeader *NotLeaderError
	var lost *LeadershipLostError
	var failed *FailedError
	switch {
	case errors.As(err, &notLeader), errors.As(err, &lost), errors.Is(err, errElsewhere):
		return true
	case errors.Is(err, ErrBusy):
		return c.busy || open
	case errors.As(err, &failed), errors.Is(err, ErrClosed):
		return false // this member's group has ended
	}
	return false
}

func wrapOpen(open bool, err error) error {
	if open {
		return &indeterminate{err}
	}
	return err
}

// chasePause is the time between two attempts: random, and longer each time.
type chasePause struct{ next, most time.Duration }

func (p *chasePause) wait(ctx context.Context) {
	p.next = min(max(2*p.next, 2*time.Millisecond), p.most)
	t := time.NewTimer(p.next/2 + rand.N(p.next/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// attemptMs is how long one attempt at another member may take: then it is made again.
func (h *Host) attemptMs() int32 {
	return int32(max(time.Second, 2*h.cfg.ElectionTimeout).Milliseconds())
}
