package runtime

import (
	"errors"
	"sync"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// ErrFull says that a worker's inbox holds as many bytes as it may, in all or of one
// group. Nothing was queued.
var ErrFull = errors.New("runtime: inbox is full")

// ErrStopped says that the worker has stopped. Nothing was queued.
var ErrStopped = errors.New("runtime: stopped")

// Completion is told once what became of a proposal or a read.
type Completion interface {
	// Fail ends it without a result. It must not block.
	Fail(r Rejection)
}

// proposal is a command on its way to the log.
type proposal struct {
	group *Group
	entry raft.Entry // Kind, Body and Crc32c
	done  Completion
}

// read is a read that waits for its read index. It runs on the applier, after
// everything up to that index was applied.
type read struct {
	group *Group
	local bool // no read index: whatever is applied
	least raft.Index
	any   bool // a follower may serve it
	run   Reader
}

// Reader is a read to run against the state machine.
type Reader interface {
	Completion
	// Run executes the read at a moment when exactly applied is applied.
	Run(applied raft.Index)
}

// Abandoned is a Reader that knows whether nobody waits for it any more: it makes room
// for others.
type Abandoned interface{ Gone() bool }

// inbound is a message from another node, or an answer to one of ours.
type inbound struct {
	group   *Group
	message raft.Message
	answer  answerer  // nil for answers
	size    int       // bytes it holds in memory
	asked   raft.Time // answers: when their request was sent; 0: it is not measured
}

// answerer takes the answer to an inbound request, exactly once: one of its methods is called.
type answerer interface {
	answer(w *worker, m *raft.Message)
	drop(err error)
}

// notice is what other goroutines report about work the worker gave them.
type notice struct {
	group       *Group
	peer        raft.NodeID // unreachable
	open        int         // bytes of proposals of this node that were applied
	applied     raft.Index  // applied up to here
	bytes       int         // of the job applied
	unreachable bool
	err         error // the group must stop
}

// work is what a worker takes from its inbox in one go.
type work struct {
	proposals []proposal
	reads     []read
	messages  []inbound
	notices   []notice
	writes    []*write // durable, in submission order
	control   []func()
}

func (k *work) reset() {
	clear(k.proposals)
	clear(k.reads)
	clear(k.messages)
	clear(k.notices)
	clear(k.writes)
	clear(k.control)
	k.proposals, k.reads, k.messages = k.proposals[:0], k.reads[:0], k.messages[:0]
	k.notices, k.writes, k.control = k.notices[:0], k.writes[:0], k.control[:0]
}

// inbox is the only way into a worker. Its bounds are bytes of proposals and
// bytes of messages, apart; a read counts as 64 bytes of proposals. What a worker reports to itself
// (notices, durable writes, control) is bounded by what it gave out before.
//
// A group may take as much of a budget as it leaves free: alone half of it, two of them a
// third each. So there is always room for a group that has nothing in it.
type inbox struct {
	mu       sync.Mutex
	in       work
	clients  int // bytes of proposals and reads
	messages int // bytes of messages: clients cannot crowd them out
	max      int // for each of the two
	drains   struct{ clients, messages uint64 }
	signaled bool
	holding  bool // proposals wake nobody, unless there are many: the end of a write does
	stopped  bool
	wake     chan struct{}
}

// share is what is one group's of a budget of an inbox. The inbox's lock guards it.
type share struct {
	drain uint64 // what follows is of this drain
	bytes int
}

// in returns the share in what is queued since that drain. The caller holds the lock.
func (s *share) in(drain uint64) *int {
	if s.drain != drain {
		*s = share{drain: drain}
	}
	return &s.bytes
}

func newInbox(maxBytes int) *inbox {
	return &inbox{max: maxBytes, wake: make(chan struct{}, 1)}
}

const queueOverhead = 64 // bytes counted for each item beside its body

// propose queues p, or says why not.
func (q *inbox) propose(p proposal) error {
	size := len(p.entry.Body) + queueOverhead
	q.mu.Lock()
	if err := q.room(&q.clients, p.group.queued.clients.in(q.drains.clients), size); err != nil {
		q.mu.Unlock()
		return err
	}
	q.in.proposals = append(q.in.proposals, p)
	if q.holding && q.clients < holdBytes {
		q.mu.Unlock()
		return nil
	}
	q.unlockAndWake()
	return nil
}

func (q *inbox) read(r read) error {
	q.mu.Lock()
	if err := q.room(&q.clients, r.group.queued.clients.in(q.drains.clients), queueOverhead); err != nil {
		q.mu.Unlock()
		return err
	}
	q.in.reads = append(q.in.reads, r)
	q.unlockAndWake()
	return nil
}

func (q *inbox) message(m inbound) error {
	m.size += queueOverhead
	q.mu.Lock()
	if err := q.room(&q.messages, m.group.queued.messages.in(q.drains.messages), m.size); err != nil {
		q.mu.Unlock()
		return err
	}
	q.in.messages = append(q.in.messages, m)
	q.unlockAndWake()
	return nil
}

// answered queues the answer to a request of ours. It is never refused for want
// of room: the number of requests in flight bounds it.
func (q *inbox) answered(g *Group, m raft.Message, asked raft.Time) {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return
	}
	q.in.messages = append(q.in.messages, inbound{group: g, message: m, asked: asked})
	q.unlockAndWake()
}

// notify queues n. A quiet notice does not wake the worker: it is read when
// something else does.
func (q *inbox) notify(n notice, quiet bool) {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return
	}
	q.in.notices = append(q.in.notices, n)
	if quiet {
		q.mu.Unlock()
		return
	}
	q.unlockAndWake()
}

func (q *inbox) written(w *write) {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return
	}
	q.in.writes = append(q.in.writes, w)
	q.unlockAndWake()
}

// do queues f to run on the worker.
func (q *inbox) do(f func()) error {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return ErrStopped
	}
	q.in.control = append(q.in.control, f)
	q.unlockAndWake()
	return nil
}

// room reserves size bytes of a budget for a group that has own of it. The caller holds
// the lock.
func (q *inbox) room(used, own *int, size int) error {
	if q.stopped {
		return ErrStopped
	}
	if *used > 0 && *own+size > q.max-*used {
		return ErrFull
	}
	*used += size
	*own += size
	return nil
}

func (q *inbox) unlockAndWake() {
	first := !q.signaled
	q.signaled = true
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// Under load, proposals that come while a write is under way wait for its end and go with
// the next one: fewer and larger batches, each of which costs a system call for the disk
// and several for the network on every node. They wait no longer than holdFor, and
// holdBytes of them do not wait. Where few clients propose, what counts is how soon a
// batch leaves: a batch of fewer than Config.HoldFrom holds nothing up.
//
//	drain   100 proposals -> write 1 ------------------- ends
//	            proposals  . . . . . . . . . . (held) . .  -> write 2
//	            messages, reads      -> drained as they come
const (
	holdBytes           = 128 << 10
	holdFor   raft.Time = 5e6
)

// take swaps the queued work for k, which must be empty. With hold, proposals stay, but
// for many and when a write has ended.
func (q *inbox) take(k *work, hold bool) {
	q.mu.Lock()
	q.in, *k = *k, q.in
	if q.holding = hold && !q.stopped && len(k.writes) == 0 && q.clients < holdBytes; q.holding {
		q.in.proposals, k.proposals = k.proposals, q.in.proposals
	} else {
		q.clients = 0
		q.drains.clients++
	}
	q.messages = 0
	q.drains.messages++
	q.signaled = false
	q.mu.Unlock()
}

// hold lets proposals wait for the end of a write.
func (q *inbox) hold() {
	q.mu.Lock()
	q.holding = true
	q.mu.Unlock()
}

// bytes returns what is queued. Safe for concurrent use.
func (q *inbox) bytes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.clients + q.messages
}

// InboxBytes returns what waits for the workers. Safe for concurrent use.
func (h *Host) InboxBytes() (n int) {
	for _, w := range h.workers {
		n += w.inbox.bytes()
	}
	return n
}

// stop refuses what comes from now on; what is queued can still be taken.
func (q *inbox) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
}
