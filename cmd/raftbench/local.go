package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/engine"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/transport/transporttest"
)

// localMember is a node in this process.
type localMember struct {
	host   *engine.Host
	groups []*engine.Group // group id i+1 at i
	// machines belong to the engine's goroutines; they are read through query.
	machines []*machine
	batches  *batchRecorder
	alone    bool // in this process: the query "counters" is answered
}

// startLocal runs all nodes in this process, with TCP on loopback between them.
func startLocal(ctx context.Context, c *runConfig, log *slog.Logger, dirs *dataDirs) (*cluster, error) {
	cl := &cluster{groups: c.groups, failed: make(chan error, 1)}
	identity, err := identities(c.tls)
	if err != nil {
		return nil, err
	}
	locals := make([]*localMember, c.nodes)
	errs := make([]error, c.nodes)
	var wg sync.WaitGroup
	for i := range locals { // together: opening a log writes its first segment
		wg.Go(func() {
			id := engine.NodeID(i + 1)
			cfg := hostConfig(&c.engine, id, clusterName, dirs.node(id), "127.0.0.1:0", queueBytes(c), log)
			cfg.OnFatal = func(err error) { cl.fail(fmt.Errorf("node %d: log failed: %w", id, err)) }
			cfg.Identity, errs[i] = identity(id)
			if errs[i] != nil {
				return
			}
			host, err := engine.Open(ctx, cfg)
			if err != nil {
				errs[i] = fmt.Errorf("start node %d: %w", id, err)
				return
			}
			locals[i] = &localMember{host: host, batches: new(batchRecorder)}
		})
	}
	wg.Wait()
	var members []engine.Member
	for i, m := range locals {
		if m != nil {
			cl.members = append(cl.members, m)
			members = append(members, engine.Member{ID: engine.NodeID(i + 1), Address: m.host.Addr()})
		}
	}
	err = errors.Join(errs...)
	for i := 0; err == nil && i < len(locals); i++ {
		err = locals[i].start(ctx, c.groups, members, c.dropApply == i+1)
	}
	if err != nil {
		return nil, errors.Join(err, cl.close())
	}
	cl.propose = func(_ uint32, group engine.GroupID, leader engine.NodeID) proposer {
		p := &localProposer{members: locals, group: group}
		p.at.Store(int32(leader))
		return p
	}
	return cl, nil
}

// identities makes what the nodes show each other under TLS; nothing without.
func identities(tls bool) (func(engine.NodeID) (*transport.Identity, error), error) {
	if !tls {
		return func(engine.NodeID) (*transport.Identity, error) { return nil, nil }, nil
	}
	authority, err := transporttest.NewAuthority()
	if err != nil {
		return nil, err
	}
	return func(id engine.NodeID) (*transport.Identity, error) {
		return authority.Issue(nil, transport.NodeURI(clusterName, id))
	}, nil
}

// hostConfig is the configuration of a node under load.
func hostConfig(e *engineConfig, id engine.NodeID, cluster, dir, listen string, queued int, log *slog.Logger) engine.Config {
	return engine.Config{
		Cluster: cluster, Node: id, Dir: dir, Listen: listen, Codec: e.codec, Durability: e.durability,
		ElectionTimeout: e.electionTimeout, MaxInboxBytes: queued, MaxUncommittedBytes: queued, SegmentBytes: int64(e.segmentBytes), Logger: log,
		MaxSessions: maxSessions, ClockBound: e.clockBound,
	}
}

// queueBytes is room for every client's command twice over: in the queue and, after a
// change of leaders, once more.
func queueBytes(c *runConfig) int {
	const overhead = 256 // of a queued command, more than there is
	return max(defaultQueuedBytes, 2*c.work.clients*c.work.inFlight*(c.work.sizes.Max()+overhead))
}

// start starts the groups of a node.
func (m *localMember) start(ctx context.Context, groups int, members []engine.Member, drop bool) error {
	for g := range groups {
		sm := &machine{drop: drop && g == 0, batches: m.batches}
		if m.alone {
			sm.counters = nodeCounters(m.host, m.batches)
		}
		group, err := m.host.Start(ctx, engine.GroupConfig{ID: engine.GroupID(g + 1), Members: members, Join: len(members) == 0, Machine: sm})
		if err != nil {
			return fmt.Errorf("start group %d: %w", g+1, err)
		}
		m.groups, m.machines = append(m.groups, group), append(m.machines, sm)
	}
	return nil
}

func (m *localMember) status(_ context.Context, group engine.GroupID) (engine.NodeID, engine.Index, error) {
	g := m.groups[group-1]
	return g.Leader(), g.Applied(), nil
}

func (m *localMember) query(ctx context.Context, group engine.GroupID, q string) (answer []byte, applied engine.Index, err error) {
	g := m.groups[group-1]
	err = g.Read(ctx, engine.Stale, func() (err error) {
		applied = g.Applied()
		answer, err = m.machines[group-1].Query([]byte(q))
		return err
	})
	return answer, applied, err
}

func (m *localMember) chain(group engine.GroupID) (engine.Index, uint64, bool) {
	index, hash := m.groups[group-1].Chain()
	return index, hash, true
}

func (m *localMember) counters(context.Context) (counters, error) {
	// Processor time and allocations are the process's: cluster.counters has them.
	metrics := m.host.Metrics()
	return hostCounters(&metrics, m.batches), nil
}

func (m *localMember) transfer(ctx context.Context, group engine.GroupID, to engine.NodeID) error {
	return m.groups[group-1].Transfer(ctx, to)
}

func (m *localMember) durability() string { return m.host.Durability() }

func (m *localMember) close() error { return m.host.Close() }

// localProposer sends to the leader's host.
type localProposer struct {
	members []*localMember
	group   engine.GroupID
	at      atomic.Int32 // the member that led when last heard of
}

func (p *localProposer) leader() *engine.Group { return p.members[p.at.Load()-1].groups[p.group-1] }

// propose implements proposer. It waits without a limit: a context that can end would
// make all clients meet at its one channel. Closing the host ends the wait.
func (p *localProposer) propose(command []byte) (outcome, error) {
	return p.judge(p.leader().Propose(context.Background(), command))
}

// start implements proposer.
func (p *localProposer) start(command []byte, done func(outcome, error)) {
	if err := p.leader().ProposeAsync(command, func(r engine.Result, err error) { done(p.judge(r, err)) }); err != nil {
		done(p.judge(engine.Result{}, err))
	}
}

// judge says what a proposal came to, and follows the leadership.
func (p *localProposer) judge(r engine.Result, err error) (outcome, error) {
	if err == nil {
		return answered(r.Data)
	}
	p.follow(err)
	if errors.Is(err, engine.ErrIndeterminate) {
		return outcomeUnknown, err
	}
	return outcomeRefused, err
}

func (p *localProposer) follow(err error) {
	var notLeader *engine.NotLeaderError
	if !errors.As(err, &notLeader) {
		return
	}
	at := p.at.Load()
	next := at%int32(len(p.members)) + 1
	if notLeader.Leader != 0 {
		next = int32(notLeader.Leader)
	}
	p.at.CompareAndSwap(at, next)
}

// read implements proposer. Follower and stale reads are for whoever does not lead: they
// go to the members in turn.
func (p *localProposer) read(c engine.Consistency, client uint32) (applied uint64, got outcome, err error) {
	at := p.at.Load() - 1
	if c == engine.Follower || c == engine.Stale {
		at = int32(rand.IntN(len(p.members)))
	}
	m := p.members[at]
	err = m.groups[p.group-1].Read(context.Background(), c, func() error {
		machine := m.machines[p.group-1]
		applied = 0
		if int(client) < len(machine.clients) {
			applied = machine.clients[client].count()
		}
		return nil
	})
	if err != nil {
		p.follow(err)
		return 0, outcomeRefused, err
	}
	return applied, outcomeAcked, nil
}

// openSession implements sessionOpener.
func (p *localProposer) openSession(ctx context.Context) (proposer, error) {
	s, err := p.leader().Session(ctx)
	if err != nil {
		return nil, err
	}
	return &localSession{p, s}, nil
}

// localSession proposes through a session, which finds the leader by itself.
type localSession struct {
	*localProposer
	session *engine.Session
}

func (p *localSession) propose(command []byte) (outcome, error) {
	return p.judge(p.session.Propose(context.Background(), command))
}
