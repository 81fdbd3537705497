package runtime

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// presence watches the other hosts on behalf of the groups that sleep. A group that
// sleeps sends nothing, so it relies on its leader's host (the leader: on those of all
// members) being there. One exchange of an empty heartbeat per pair of hosts and
// interval says so, however many groups sleep:
//
//	sleeping groups --rely on--> neighbour --heard in time--> nothing happens
//	                                       --not heard------> EventUnreachable to each of them
//	                                       --other life-----> EventWake to each of them
//
// A host's life is a number that says whether what its groups agreed to still holds. It
// changes with a start of the process, and with the end of a group that led here while the
// others may sleep. Who is shown another one than before wakes.
//
// The heartbeats are sent by the first worker, and only while all workers make progress:
// a host whose workers hang is not there.
type presence struct {
	host     *Host
	interval raft.Time // 0: no group may sleep
	patience raft.Time // without a word for so long a host is lost

	life   atomic.Int64
	armed  atomic.Bool // the first worker ticks, or was asked to
	mu     sync.Mutex  // serialises changes of the list
	others atomic.Pointer[[]*neighbour]

	at    raft.Time // of the next tick; Never: nobody sleeps. The first worker's.
	ticks uint64    // likewise
}

// neighbour is another host.
type neighbour struct {
	id       raft.NodeID
	sleepers atomic.Int32 // groups asleep here that rely on it
	heard    atomic.Int64 // its last word, on this host's clock
	asked    atomic.Int64 // its last request
	life     atomic.Int64 // its own, as last shown; 0: not yet
	told     atomic.Int64 // ours, as it has acknowledged
	lost     atomic.Bool
	due      []atomic.Uint32 // of each worker: what its groups are about to be told
}

// What neighbour.due holds.
const (
	dueLoss = 1 << iota // it cannot be reached
	dueLife             // it shows another life
)

func (p *presence) init(h *Host) {
	p.host, p.at = h, raft.Never
	p.interval, p.patience = h.cfg.Presence.Interval, h.cfg.Presence.Patience
	p.life.Store(h.boot)
	p.others.Store(&[]*neighbour{})
}

// find returns a host that is known, or nil. Safe for concurrent use.
func (p *presence) find(id raft.NodeID) *neighbour {
	for _, n := range *p.others.Load() {
		if n.id == id {
			return n
		}
	}
	return nil
}

// neighbour returns the host id. Safe for concurrent use.
func (p *presence) neighbour(id raft.NodeID) *neighbour {
	if n := p.find(id); n != nil {
		return n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.find(id); n != nil {
		return n
	}
	n := &neighbour{id: id, due: make([]atomic.Uint32, len(p.host.workers))}
	others := append(slices.Clone(*p.others.Load()), n)
	p.others.Store(&others)
	return n
}

// slept notes that g sleeps from now on. Runs on g's worker.
func (p *presence) slept(g *Group) {
	if p.interval == 0 || g.asleep {
		return
	}
	g.asleep = true
	now := int64(g.w.now)
	for _, id := range g.relies() {
		n := p.neighbour(id)
		if n.sleepers.Add(1) == 1 && n.heard.Load() < now {
			n.heard.Store(now) // it spoke for the group, or the group would not sleep
		}
		g.reliesOn = append(g.reliesOn, n)
	}
	for _, n := range g.reliesOn { // after it is counted: a loss from now on finds it
		if n.lost.Load() {
			g.unreachable(n.id)
		}
	}
	p.arm()
}

// woke is the end of slept.
func (p *presence) woke(g *Group) {
	if !g.asleep {
		return
	}
	g.asleep = false
	for _, n := range g.reliesOn {
		n.sleepers.Add(-1)
	}
	clear(g.reliesOn)
	g.reliesOn = g.reliesOn[:0]
}

// relies lists the hosts whose loss must wake g.
func (g *Group) relies() []raft.NodeID {
	if leader, _ := g.node.Leader(); leader != g.self {
		return []raft.NodeID{leader}
	}
	var ids []raft.NodeID
	conf := g.node.Status().Configuration
	for _, m := range conf.Incoming {
		if m.ID != g.self {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// arm sees to it that the first worker ticks.
func (p *presence) arm() {
	if p.interval == 0 || p.armed.Swap(true) {
		return
	}
	_ = p.host.workers[0].inbox.do(func() { p.at = p.host.workers[0].now }) // stopped: too late
}

// tick looks at all hosts. Runs on the first worker.
func (p *presence) tick(now raft.Time) {
	if late := now - p.at; late > p.interval {
		// This process was held up, and with it perhaps what others have sent: they are
		// given the time again.
		for _, n := range *p.others.Load() {
			n.heard.Store(n.heard.Load() + int64(late))
		}
	}
	p.at = now + p.interval
	p.ticks++
	fit := p.workersRun(now)
	watching := false
	for _, n := range *p.others.Load() {
		watched, untold := n.sleepers.Load() > 0, n.told.Load() != p.life.Load()
		watching = watching || watched || untold
		seldom := n.lost.Load() && !watched && p.ticks%lostTicks != 0
		asksUs := int64(now)-n.asked.Load() < 2*int64(p.interval) // one of the two is enough
		if fit && (untold && !seldom || watched && !asksUs) {
			p.call(n)
		}
		if watched && int64(now)-n.heard.Load() >= int64(p.patience) {
			p.lose(n)
		}
	}
	if watching {
		return
	}
	p.at = raft.Never
	p.armed.Store(false)
	for _, n := range *p.others.Load() { // who slept meanwhile saw it armed
		if n.sleepers.Load() > 0 {
			p.arm()
			return
		}
	}
}

// lostTicks is how seldom a host that does not answer is told what has changed here.
const lostTicks = 16

// workersRun asks every worker for a sign, and reports whether all gave one lately.
func (p *presence) workersRun(now raft.Time) bool {
	fit := true
	for _, w := range p.host.workers[1:] {
		if asked := raft.Time(w.pulseAsked.Load()); asked != 0 {
			fit = fit && now-asked < p.patience/2
			continue // it has not answered yet
		}
		w.pulseAsked.Store(int64(now))
		_ = w.inbox.do(func() { w.pulseAsked.Store(0) }) // stopped: so is the host
	}
	return fit
}

// call sends an empty heartbeat.
func (p *presence) call(n *neighbour) {
	life := p.life.Load()
	req := raftpb.HeartbeatRequest{Leader: p.host.cfg.Node, BootID: life}
	err := p.host.network.Call(n.id, transport.LaneControl, raftpb.RaftPeerHeartbeat, &req, func(_ codec.Message, err error) {
		if err != nil {
			p.lose(n)
			return
		}
		n.told.Store(life)
		p.heard(n)
	})
	if err != nil {
		p.lose(n)
	}
}

// heard notes a word from a host. Safe for concurrent use.
func (p *presence) heard(n *neighbour) {
	n.heard.Store(int64(p.host.clock.Now()))
	n.lost.Store(false)
}

// asks notes a heartbeat of another host, which shows its life. A host that no group here
// knows is none of ours. Safe for concurrent use.
func (p *presence) asks(id raft.NodeID, life int64) {
	n := p.find(id)
	if n == nil {
		return
	}
	p.heard(n)
	n.asked.Store(n.heard.Load())
	if n.life.Swap(life) == life {
		return
	}
	p.tell(n, dueLife)
}

// lose tells those who rely on n, once, that it does not answer. Safe for concurrent use.
func (p *presence) lose(n *neighbour) {
	if n.lost.Swap(true) {
		return
	}
	p.tell(n, dueLoss)
}

// tell wakes the groups that rely on n, for a reason. What a worker has not come to yet
// is not queued again: however often a host comes and goes, one entry waits.
func (p *presence) tell(n *neighbour, why uint32) {
	for i, w := range p.host.workers {
		if n.due[i].Or(why) == 0 {
			_ = w.inbox.do(func() { w.wakeFor(n, n.due[i].Swap(0)) }) // stopped: nobody sleeps there
		}
	}
}

// wakeFor wakes the groups that sleep and rely on n.
func (w *worker) wakeFor(n *neighbour, why uint32) {
	kind := raft.EventWake
	if why&dueLoss != 0 {
		kind = raft.EventUnreachable
	}
	for _, g := range slices.Clone(w.groups) {
		if g.asleep && slices.Contains(g.reliesOn, n) {
			w.stepCore(g, raft.Event{Kind: kind, Peer: n.id})
		}
	}
}

// renew gives this host another life, because others may sleep who rely on what is no
// more: a leader here has ended, or a member has started that cannot ask for itself. Who
// leads here in his sleep wakes before others ask him to.
func (p *presence) renew() {
	if p.interval == 0 {
		return
	}
	p.life.Add(1)
	for _, w := range p.host.workers {
		_ = w.inbox.do(w.wakeLeaders) // stopped: nobody sleeps there
	}
	p.arm()
}

func (w *worker) wakeLeaders() {
	for _, g := range slices.Clone(w.groups) {
		if g.asleep && g.role.leader {
			w.stepCore(g, raft.Event{Kind: raft.EventWake})
		}
	}
}

// joined makes the other members of a group known.
func (p *presence) joined(c *raft.Configuration) {
	if p.interval == 0 {
		return
	}
	for _, half := range [][]raft.Member{c.Incoming, c.Outgoing} {
		for i := range half {
			if half[i].ID != p.host.cfg.Node {
				p.neighbour(half[i].ID)
			}
		}
	}
	p.arm()
}

// followSleep keeps track of a group that falls asleep or wakes.
func (w *worker) followSleep(g *Group, facts []raft.Fact) {
	for i := range facts {
		switch facts[i].Kind {
		case raft.FactQuiesced:
			g.pulse.heardAt = 0 // no more beats for a while
			w.host.presence.slept(g)
		case raft.FactWoken:
			w.host.presence.woke(g)
		}
	}
}
