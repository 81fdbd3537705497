package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// Limits of calls to nodes in other processes.
const (
	proposeLimit = 10 * time.Second // until a node says that it does not know the outcome
	askLimit     = 5 * time.Second  // for status and queries
)

// remoteMember is a node in another process.
type remoteMember struct {
	child *child // nil: a process of somebody else, or none yet
	conns *nodeConns
	label string // durability, of a process of somebody else
}

func (m *remoteMember) status(ctx context.Context, group engine.GroupID) (engine.NodeID, engine.Index, error) {
	r, err := m.ask(ctx, group)
	if err != nil {
		return 0, 0, err
	}
	return r.Leader, r.Applied, nil
}

func (m *remoteMember) ask(ctx context.Context, group engine.GroupID) (*raftpb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r := new(raftpb.StatusResponse)
	if err := m.conns.call(ctx, 0, raftpb.RaftClientStatus, &raftpb.StatusRequest{Group: group}, r); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	return r, nil
}

func (m *remoteMember) query(ctx context.Context, group engine.GroupID, q string) ([]byte, engine.Index, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req := &raftpb.ReadRequest{
		Group: group, Query: []byte(q), Consistency: raftpb.ConsistencyStale, TimeoutMs: int32(askLimit.Milliseconds()),
	}
	var r raftpb.ReadResponse
	if err := m.conns.call(ctx, 0, raftpb.RaftClientRead, req, &r); err != nil {
		return nil, 0, fmt.Errorf("query %q: %w", q, err)
	}
	return r.Result, r.Index, nil
}

// chain is not served to clients.
func (m *remoteMember) chain(engine.GroupID) (engine.Index, uint64, bool) { return 0, 0, false }

// counters asks the node itself, whose process it is.
func (m *remoteMember) counters(ctx context.Context) (c counters, err error) {
	answer, _, err := m.query(ctx, 1, "counters")
	if err != nil {
		return counters{}, err
	}
	if err := json.Unmarshal(answer, &c); err != nil {
		return counters{}, fmt.Errorf("answer to \"counters\": %w", err)
	}
	return c, nil
}

func (m *remoteMember) transfer(ctx context.Context, group engine.GroupID, to engine.NodeID) error {
	ctx, cancel := context.WithTimeout(ctx, proposeLimit)
	defer cancel()
	return m.conns.call(ctx, 0, raftpb.RaftAdminTransferLeadership, &raftpb.TransferRequest{Group: group, Target: to}, new(raftpb.TransferResponse))
}

// kill ends the process at once. Another one may take its place.
func (m *remoteMember) kill() error {
	child := m.child
	m.child, m.label = nil, child.durability
	return child.kill()
}

func (m *remoteMember) durability() string {
	if m.child == nil {
		return m.label
	}
	return m.child.durability
}

func (m *remoteMember) close() error {
	err := m.conns.close()
	if m.child != nil {
		err = errors.Join(err, m.child.stop())
	}
	return err
}

// remoteProposer sends to the leader's node.
type remoteProposer struct {
	members []*remoteMember
	group   engine.GroupID
	at      atomic.Int32 // the member that led when last heard of
	lane    int          // which of a member's connections
	req     raftpb.ProposeRequest
	resp    raftpb.ProposeResponse
}

// proposeAt makes proposers for nodes in other processes.
func proposeAt(members []*remoteMember) func(client uint32, group engine.GroupID, leader engine.NodeID) proposer {
	return func(client uint32, group engine.GroupID, leader engine.NodeID) proposer {
		p := &remoteProposer{members: members, group: group, lane: int(client) % connsPerNode}
		p.at.Store(int32(leader))
		return p
	}
}

// propose implements proposer.
func (p *remoteProposer) propose(command []byte) (outcome, error) {
	p.req = raftpb.ProposeRequest{Group: p.group, Command: command, TimeoutMs: int32(proposeLimit.Milliseconds())}
	return p.send(context.Background())
}

// send sends what is in req.
func (p *remoteProposer) send(ctx context.Context) (outcome, error) {
	at := p.at.Load()
	err := p.members[at-1].conns.call(ctx, p.lane, raftpb.RaftClientPropose, &p.req, &p.resp)
	return p.judge(at, p.resp.Result, err)
}

// start implements proposer.
func (p *remoteProposer) start(command []byte, done func(outcome, error)) {
	at := p.at.Load()
	req := &raftpb.ProposeRequest{Group: p.group, Command: command, TimeoutMs: int32(proposeLimit.Milliseconds())}
	p.members[at-1].conns.begin(p.lane, raftpb.RaftClientPropose, req, func(resp codec.Message, err error) {
		var answer []byte
		if r, ok := resp.(*raftpb.ProposeResponse); ok && err == nil {
			answer = r.Result
		}
		done(p.judge(at, answer, err))
	})
}

// judge says what a call of a member came to, and follows the leadership.
func (p *remoteProposer) judge(at int32, answer []byte, err error) (outcome, error) {
	if err == nil {
		return answered(answer)
	}
	next := at%int32(len(p.members)) + 1
	var notLeader *raftpb.NotLeader
	if errors.As(err, &notLeader) {
		if l := notLeader.Leader.Or(0); l > 0 && int(l) <= len(p.members) {
			next = int32(l)
		}
	}
	p.at.CompareAndSwap(at, next)
	return outcomeOf(err), err
}

// wireConsistency is engine.Consistency as requests have it, by value.
var wireConsistency = []raftpb.Consistency{
	engine.Linearizable: raftpb.ConsistencyLinearizable, engine.Follower: raftpb.ConsistencyFollower,
	engine.Stale: raftpb.ConsistencyStale, engine.Lease: raftpb.ConsistencyLease,
}

// read implements proposer. Follower and stale reads are for whoever does not lead: they
// go to the members in turn.
func (p *remoteProposer) read(c engine.Consistency, client uint32) (applied uint64, got outcome, err error) {
	at, leads := p.at.Load(), true
	if c == engine.Follower || c == engine.Stale {
		at, leads = int32(rand.IntN(len(p.members)))+1, false
	}
	req := &raftpb.ReadRequest{
		Group: p.group, Query: strconv.AppendUint([]byte("applied "), uint64(client), 10), Consistency: wireConsistency[c],
		TimeoutMs: int32(proposeLimit.Milliseconds()),
	}
	var resp raftpb.ReadResponse
	err = p.members[at-1].conns.call(context.Background(), p.lane, raftpb.RaftClientRead, req, &resp)
	if err == nil {
		applied, err = strconv.ParseUint(string(resp.Result), 10, 64)
	}
	if err != nil {
		if leads {
			_, err = p.judge(at, nil, err)
		}
		return 0, outcomeRefused, err
	}
	return applied, outcomeAcked, nil
}

// openSession implements sessionOpener.
func (p *remoteProposer) openSession(ctx context.Context) (proposer, error) {
	req := &raftpb.OpenSessionRequest{Group: p.group, TimeoutMs: int32(proposeLimit.Milliseconds())}
	for {
		at := p.at.Load()
		var resp raftpb.OpenSessionResponse
		err := p.members[at-1].conns.call(ctx, p.lane, raftpb.RaftClientOpenSession, req, &resp)
		if err == nil {
			return &remoteSession{p, resp.Session, 0}, nil
		}
		if _, err = p.judge(at, nil, err); ctx.Err() != nil { // a session left behind makes room by itself
			return nil, err
		}
		if err := sleep(ctx, redialPause); err != nil {
			return nil, err
		}
	}
}

// remoteSession proposes in a session: an attempt of unknown outcome is made again with
// the same serial, until the outcome is known.
type remoteSession struct {
	*remoteProposer
	session, serial int64
}

func (p *remoteSession) propose(command []byte) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), proposeLimit)
	defer cancel()
	p.serial++
	p.req = raftpb.ProposeRequest{
		Group: p.group, Command: command, TimeoutMs: int32(proposeLimit.Milliseconds()),
		Session: codec.Some(p.session), Serial: codec.Some(p.serial), AckedBelow: codec.Some(p.serial),
	}
	open := false // an attempt before may have been applied
	for {
		got, err := p.send(ctx)
		var rejected *raftpb.Rejected
		if got == outcomeAcked || errors.As(err, &rejected) && !open {
			return got, err
		}
		open = open || got == outcomeUnknown
		if stopped := sleep(ctx, firstPause); stopped != nil {
			if open {
				return outcomeUnknown, err
			}
			return outcomeRefused, err
		}
	}
}

// sleep waits for d, or for the end of ctx, which it returns.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outcomeOf says what an error of a call leaves open.
func outcomeOf(err error) outcome {
	var unavailable *raftpb.Unavailable
	var declared codec.Exception
	var remote *transport.RemoteError
	switch {
	case errors.As(err, &unavailable):
		if unavailable.MaybeApplied {
			return outcomeUnknown
		}
		return outcomeRefused
	case errors.As(err, &declared): // NotLeader, Rejected, NoSuchGroup
		return outcomeRefused
	case errors.As(err, &remote):
		switch remote.Type {
		case transport.RemoteUnknownMethod, transport.RemoteProtocol, transport.RemoteBusy:
			return outcomeRefused
		}
	case errors.Is(err, transport.ErrUnreachable), errors.Is(err, transport.ErrQueueFull),
		errors.Is(err, transport.ErrTooLarge), errors.Is(err, transport.ErrClosed):
		return outcomeRefused
	}
	return outcomeUnknown
}
