package main

import (
	"context"
	"errors"
	"fmt"
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
	child *child
	conns *nodeConns // nil until the node was ready
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

func (m *remoteMember) counters(ctx context.Context) (counters, error) {
	r, err := m.ask(ctx, 1)
	if err != nil {
		return counters{}, err
	}
	c := statusCounters(r.Counters)
	cpu, ok := childCPU(m.child.cmd.Process.Pid)
	c.cpu = amount{uint64(cpu), !ok}
	return c, nil
}

func (m *remoteMember) durability() string { return m.child.durability }

func (m *remoteMember) close() error {
	var err error
	if m.conns != nil {
		err = m.conns.close()
	}
	return errors.Join(err, m.child.stop())
}

// remoteProposer proposes at the leader's node.
type remoteProposer struct {
	members []*remoteMember
	group   engine.GroupID
	at      int // index of the member that led when last heard of
	lane    int // which of a member's connections
	req     raftpb.ProposeRequest
	resp    raftpb.ProposeResponse
}

// propose implements proposer.
func (p *remoteProposer) propose(command []byte) (outcome, error) {
	p.req = raftpb.ProposeRequest{Group: p.group, Command: command, TimeoutMs: int32(proposeLimit.Milliseconds())}
	err := p.members[p.at].conns.call(context.Background(), p.lane, raftpb.RaftClientPropose, &p.req, &p.resp)
	if err == nil {
		return answered(p.resp.Result)
	}
	var notLeader *raftpb.NotLeader
	if errors.As(err, &notLeader) {
		if at := int(notLeader.Leader.Or(0)) - 1; at >= 0 && at < len(p.members) {
			p.at = at
			return outcomeRefused, err
		}
	}
	p.at = (p.at + 1) % len(p.members)
	return outcomeOf(err), err
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
