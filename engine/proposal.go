package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Propose replicates cmd and applies it. It returns the state machine's result,
// or an error that says whether the command may still happen (see the package
// comment). cmd is copied. Cancelling ctx ends the wait, not the proposal. Safe
// for concurrent use; concurrent proposals share messages and disk writes.
func (g *Group) Propose(ctx context.Context, cmd []byte) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("engine: propose: %w", err)
	}
	if err := g.tooLarge(cmd); err != nil {
		return Result{}, err
	}
	r, err := g.await(ctx, raftpb.EntryKindCommand, g.host.memory.encodePayload(&raftpb.Payload{Command: cmd}))
	if g.host.cfg.retriesProposals() && errors.Is(err, ErrIndeterminate) {
		return r, g.proposeAgain(ctx, cmd)
	}
	return r, err
}

// await proposes an entry and waits until it is applied. It is not proposed twice: who
// cannot tell whether it was applied must not send it again.
func (g *Group) await(ctx context.Context, kind raftpb.EntryKind, body []byte) (Result, error) {
	p := g.host.memory.proposal()
	p.group = g
	if err := g.submit(kind, body, p); err != nil {
		g.host.memory.recycle(p)
		return Result{}, err
	}
	if ctx.Done() == nil {
		<-p.done // cheaper than a select, and every proposal is completed
	} else {
		select {
		case <-p.done:
		case <-ctx.Done():
			return Result{}, &indeterminate{ctx.Err()} // p is left to whoever completes it
		}
	}
	r, err := p.result, p.err
	g.host.memory.recycle(p)
	return r, err
}

// ProposeAsync is Propose for pipelines: it returns at once, and done runs when
// the outcome is known, on a goroutine of the engine that it must not block. When
// ProposeAsync returns an error, nothing was queued and done does not run.
func (g *Group) ProposeAsync(cmd []byte, done func(Result, error)) error {
	return g.propose(&raftpb.Payload{Command: cmd}, &proposal{group: g, callback: done})
}

func (g *Group) tooLarge(cmd []byte) error {
	if len(cmd) > g.host.cfg.MaxCommandBytes {
		return ErrTooLarge
	}
	return nil
}

// propose queues a command, in a session or without, and completes p.
func (g *Group) propose(payload *raftpb.Payload, p *proposal) error {
	if err := g.tooLarge(payload.Command); err != nil {
		return err
	}
	return g.submit(raftpb.EntryKindCommand, g.host.memory.encodePayload(payload), p)
}

// submit queues an entry and completes p when it is applied.
func (g *Group) submit(kind raftpb.EntryKind, body []byte, p *proposal) error {
	if rand.Uint32()%sampled == 0 {
		p.began = time.Now()
	}
	e := raft.Entry{Kind: kind, Body: body, Crc32c: wal.EntryChecksum(kind, body)}
	if err := g.group.Propose(e, p); err != nil {
		return refused(err)
	}
	return nil
}

// sampled is how many proposals there are to one whose time is taken.
const sampled = 16

// proposal waits for the outcome of one command.
type proposal struct {
	group    *Group
	done     chan struct{} // one slot: completing never blocks
	callback func(Result, error)
	result   Result
	err      error
	began    time.Time // zero: its time is not taken
}

func (p *proposal) complete(r Result, err error) {
	if err == nil && !p.began.IsZero() {
		p.group.host.counters.proposals.Record(time.Since(p.began))
	}
	if p.callback != nil {
		p.callback(r, err)
		return
	}
	p.result, p.err = r, err
	p.done <- struct{}{}
}

// Fail implements runtime.Completion.
func (p *proposal) Fail(r runtime.Rejection) { p.complete(Result{}, p.group.rejected(r)) }

// memory is what a host uses again for its proposals. Safe for concurrent use.
type memory struct {
	proposals sync.Pool // *proposal
	chunks    sync.Pool // *chunk
}

func (m *memory) proposal() *proposal {
	if p, ok := m.proposals.Get().(*proposal); ok {
		return p
	}
	return &proposal{done: make(chan struct{}, 1)}
}

func (m *memory) recycle(p *proposal) {
	p.group, p.result, p.err, p.began = nil, Result{}, nil, time.Time{}
	m.proposals.Put(p)
}

// chunk is memory for the bodies of many proposals: one allocation for hundreds
// of them. It lives as long as the log keeps one of them in memory.
type chunk struct{ free []byte }

const (
	chunkBytes      = 64 << 10
	chunkMaxCommand = 8 << 10 // a larger one gets memory of its own
	payloadOverhead = 64      // bytes around a command in a Payload, at most
)

// encodePayload encodes a command as the body of an entry: once, for the disk and the
// wire of every member.
func (m *memory) encodePayload(payload *raftpb.Payload) []byte {
	cmd := payload.Command
	if len(cmd) > chunkMaxCommand {
		return payload.AppendCompact(make([]byte, 0, len(cmd)+payloadOverhead))
	}
	c, ok := m.chunks.Get().(*chunk)
	if !ok {
		c = new(chunk)
	}
	if cap(c.free)-len(c.free) < len(cmd)+payloadOverhead {
		c.free = make([]byte, 0, chunkBytes)
	}
	start := len(c.free)
	c.free = payload.AppendCompact(c.free)
	body := c.free[start:len(c.free):len(c.free)]
	m.chunks.Put(c)
	return body
}
