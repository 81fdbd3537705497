package runtime

import (
	"sync"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/wal"
)

// Group is one Raft group on this host. Its fields belong to its worker, but for
// those marked otherwise.
type Group struct {
	id      GroupID
	self    raft.NodeID
	w       *worker
	node    *raft.Node
	log     *wal.Group
	machine Machine // the applier's
	failed  error   // the applier's: the machine's fault, after which nothing is applied or read
	parked  []job   // the applier's: jobs that wait for another attempt
	late    []read  // the applier's: they wait for an index to be applied
	aside   bool    // under the applier's lock: a job hangs, and its goroutine does the rest
	backlog []job   // likewise: the rest

	state     sync.RWMutex  // the applier writes the machine, failed and gone; readers on other goroutines read
	gone      bool          // the machine is left alone
	committed atomic.Uint64 // Index: what a read by lease must find applied
	lease     atomic.Int64  // until when reads need no round, on the host's clock; 0: they do
	observe   Observer

	hardState raft.HardState // the newest; may be ahead of the log by a commit
	hardDirty bool
	role      roleView

	requests  requests
	onMembers func(raft.Configuration, bool)

	queued struct{ clients, messages share } // the inbox's

	open  int          // bytes of proposals that are accepted and not applied
	reads atomic.Int32 // reads that wait for a round or to be run
	limit int          // of open

	waiting ring[waiter]     // proposals in the log, by index
	gated   ring[raft.Gated] // messages that wait for their write, by WriteID
	calls   calls            // requests of other nodes that wait for an answer

	readSeq uint64
	asked   ring[readBatch] // wait for a read index
	granted ring[readBatch] // wait until so much is fed to the applier

	readRound int64 // the newest that confirmed a read here

	commit   raft.Index
	fed      raft.Index // handed to the applier up to here
	fedBytes int        // of jobs not yet applied
	starved  bool       // more to feed, as soon as jobs are applied

	timer    raft.Time
	timerAt  int       // place in timers; -1: none
	coreAt   raft.Time // when the core wants to be called
	patience raft.Time // the election time-out
	slack    raft.Time // by how much a beat may be late, > 0

	pulse   pulse
	snaps   snapshots
	held    held
	repairs repairs

	batch   []proposal // of the drain under way
	reading []read     // likewise
	dead    bool
	asleep  bool // the core sleeps

	reliesOn []*neighbour // whose loss wakes it, while it sleeps
	end      Rejection    // what it died of

	leader  atomic.Int64  // NodeID; read by anyone
	applied atomic.Uint64 // Index; written by the applier, read by anyone
	chain   atomic.Uint64 // hash over the applied entries; written by the applier
}

// Observer hears what happens in a group, on the worker's goroutine: it must not block.
type Observer interface {
	Fact(g GroupID, f raft.Fact)
	// Ended says that the group has ended here, of err.
	Ended(g GroupID, err error)
	// SnapshotTaken says that a snapshot of the machine's state up to last is durable.
	SnapshotTaken(g GroupID, last raft.Index)
}

type roleView struct {
	leader bool
	term   raft.Term
}

// waiter is a proposal that has its place in the log.
type waiter struct {
	index raft.Index
	done  Completion
	size  int
}

// readBatch is the reads of one drain: they share a round.
type readBatch struct {
	id    uint64
	index raft.Index
	reads []read
}

// ID returns the group's id.
func (g *Group) ID() GroupID { return g.id }

// Leader returns the leader as last seen, 0 when unknown. Safe for concurrent use.
func (g *Group) Leader() raft.NodeID { return raft.NodeID(g.leader.Load()) }

// Applied returns the highest applied index. Safe for concurrent use.
func (g *Group) Applied() raft.Index { return raft.Index(g.applied.Load()) }

// Chain returns the hash over all applied entries and the index it stands for.
// The hash is 0 when it is not known. Safe for concurrent use; while entries are applied the
// two may be apart.
func (g *Group) Chain() (raft.Index, uint64) { return g.Applied(), g.chain.Load() }

// Propose queues a command; done is told the result. It never blocks.
// ErrFull or ErrStopped: nothing was queued and done is not called.
func (g *Group) Propose(e raft.Entry, done Completion) error {
	return g.w.inbox.propose(proposal{group: g, entry: e, done: done})
}

// ReadMode says who may serve a read and from what.
type ReadMode uint8

// The modes of Read.
const (
	ReadLeader   ReadMode = iota // linearizable, on the leader only
	ReadAnywhere                 // linearizable, on any member that reaches the leader
	ReadLocal                    // what is applied here, however old
)

// Read queues a read; r runs or fails exactly once unless an error is returned.
func (g *Group) Read(mode ReadMode, r Reader) error { return g.ReadAfter(mode, 0, r) }

// ReadAfter is a read that waits until least is applied.
func (g *Group) ReadAfter(mode ReadMode, least raft.Index, r Reader) error {
	return g.w.inbox.read(read{group: g, run: r, least: least, local: mode == ReadLocal, any: mode == ReadAnywhere})
}

// View is the state of a group at one moment.
type View struct {
	raft.Status
	Now raft.Time
	// Damaged is how many entries are known to be damaged here, from FirstDamaged on.
	Damaged      int
	FirstDamaged raft.Index
	Lost         *LostEntryError // not nil: that entry holds the group up, and nobody has it
	OpenBytes    int             // of proposals that are accepted and not applied
	FedBytes     int             // of committed entries that wait for the machine
	End          *Rejection      // not nil: the group has ended, of this
}

// Status asks the worker for the state of the group. It waits for the worker.
func (g *Group) Status() (View, error) {
	got := make(chan View, 1)
	look := func() {
		v := View{Status: g.node.Status(), Now: g.w.now, Damaged: len(g.repairs.queue), Lost: g.repairs.lost, OpenBytes: g.open, FedBytes: g.fedBytes}
		if v.Damaged > 0 {
			v.FirstDamaged = g.repairs.queue[0].Index
		}
		if g.dead {
			end := g.end
			v.End = &end
		}
		got <- v
	}
	if err := g.w.inbox.do(look); err != nil {
		return View{}, err
	}
	select {
	case v := <-got:
		return v, nil
	case <-g.w.stopped:
		return View{}, ErrStopped
	}
}

// Stop ends the group: what waits fails, the host forgets it. When the channel
// that it returns is closed the group has handed its last write to the log (which
// may not be durable yet) and its machine is left alone.
func (g *Group) Stop() <-chan struct{} {
	done := make(chan struct{})
	applied := func() { g.w.applier.push(job{group: g, run: func() { close(done) }}) }
	// The first runs within a drain, whose batch is handed over at its end; the
	// second therefore in a later one.
	retired := func() {
		g.w.retire(g, Rejection{Reason: Stopped})
		if g.w.inbox.do(applied) != nil {
			close(done)
		}
	}
	if g.w.inbox.do(retired) != nil {
		close(done)
	}
	return done
}

// Stopped is closed when the worker of the group has ended.
func (g *Group) Stopped() <-chan struct{} { return g.w.stopped }

// failWaiting ends all proposals and reads that wait.
func (g *Group) failWaiting(r Rejection) {
	lost := r
	lost.MayHappen = true
	for g.waiting.size > 0 {
		w := g.waiting.pop()
		lost.appendedAt = w.index
		g.open -= w.size
		w.done.Fail(lost)
	}
	g.failReads(r)
}

func (g *Group) failReads(r Rejection) {
	for g.asked.size > 0 {
		g.failReadsOf(g.asked.pop().reads, r)
	}
}

// failReadsOf ends reads that were counted.
func (g *Group) failReadsOf(reads []read, r Rejection) {
	g.reads.Add(-int32(len(reads)))
	failAll(reads, r)
}

func failAll(reads []read, r Rejection) {
	for _, q := range reads {
		q.run.Fail(r)
	}
}

// calls remembers who waits for which answer, by the Call of a message.
type calls struct {
	slots []answerer
	free  []uint64
}

func (c *calls) add(a answerer) uint64 {
	if a == nil {
		return 0
	}
	if n := len(c.free); n > 0 {
		call := c.free[n-1]
		c.free = c.free[:n-1]
		c.slots[call-1] = a
		return call
	}
	c.slots = append(c.slots, a)
	return uint64(len(c.slots))
}

// take returns who waits for call, once.
func (c *calls) take(call uint64) answerer {
	if call == 0 || call > uint64(len(c.slots)) {
		return nil
	}
	a := c.slots[call-1]
	if a != nil {
		c.slots[call-1] = nil
		c.free = append(c.free, call)
	}
	return a
}

func (c *calls) dropAll(err error) {
	for i, a := range c.slots {
		if a != nil {
			a.drop(err)
			c.slots[i] = nil
		}
	}
	c.slots, c.free = nil, nil
}
