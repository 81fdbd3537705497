package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// peer is another node as this one dials it.
type peer struct {
	net *network
	id  raftpb.NodeID
	// serial: the peer takes no native frames. It then gets a connection per lane, with
	// one call at a time on each: all that a stock Thrift server is sure to cope with.
	serial atomic.Bool
	reach  reach

	mu    sync.Mutex
	addr  string
	over  bool
	links [laneCount]*link // nil: not wanted so far
	ready [laneCount]atomic.Pointer[dialed]
}

// link keeps one connection of a peer up.
type link struct {
	peer   *peer
	slot   Lane
	wake   chan struct{} // ends the pause before the next attempt
	ctx    context.Context
	cancel context.CancelFunc
	redial context.CancelFunc // ends the attempt under way; under peer.mu
}

func newPeer(n *network, id raftpb.NodeID, addr string) *peer {
	p := &peer{net: n, id: id, addr: addr}
	p.reach.state.Since = time.Now()
	p.want(LaneControl)
	return p
}

// slot is the connection that carries a lane, named by its first lane.
func (p *peer) slot(l Lane) Lane {
	switch {
	case p.serial.Load():
		return l
	case l < LaneSnapshot:
		return LaneControl
	default:
		return LaneSnapshot
	}
}

func (p *peer) call(lane Lane, m *codec.Method, req codec.Message, done func(codec.Message, error)) error {
	if lane >= laneCount {
		lane = LaneBulk
	}
	slot := p.slot(lane)
	c := p.ready[slot].Load()
	if c == nil {
		p.want(slot)
		return ErrUnreachable
	}
	_, err := c.call(lane, req, pending{m: m, done: done})
	return err
}

// want starts the link of a slot if there is none.
func (p *peer) want(slot Lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.links[slot] != nil {
		return
	}
	l := &link{peer: p, slot: slot, wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(p.net.dialing)
	p.links[slot] = l
	p.net.spawn(l.run)
}

// move changes the address and starts over.
func (p *peer) move(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addr == addr {
		return
	}
	p.addr = addr
	for slot, l := range p.links {
		if l == nil {
			continue
		}
		if l.redial != nil {
			l.redial()
		}
		if c := p.ready[slot].Load(); c != nil {
			c.fail(errors.New("peer moved to another address"))
		}
		l.kick()
	}
}

// kick ends the pauses of all links.
func (p *peer) kick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		if l != nil {
			l.kick()
		}
	}
}

func (l *link) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// stop ends all links for good.
func (p *peer) stop(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for slot, l := range p.links {
		if l == nil {
			continue
		}
		l.cancel()
		if c := p.ready[slot].Load(); c != nil {
			c.fail(why)
		}
	}
}

// queued returns the bytes in the peer's queues and whether calls can be made.
func (p *peer) queued() (bytes int, connected bool) {
	for _, c := range p.conns(nil) {
		c.mu.Lock()
		bytes += c.queued
		c.mu.Unlock()
	}
	return bytes, p.ready[LaneControl].Load() != nil
}

func (p *peer) conns(list []*conn) []*conn {
	for i := range p.ready {
		if c := p.ready[i].Load(); c != nil {
			list = append(list, &c.conn)
		}
	}
	return list
}

// run dials, serves the connection until it ends, pauses, and dials again.
func (l *link) run() {
	defer l.cancel()
	p, n := l.peer, l.peer.net
	log := n.log.With("peer", int64(p.id), "lane", l.slot.String())
	pause := backoff{min: n.cfg.BackoffMin, max: n.cfg.BackoffMax}
	told := "" // the last failure that was logged
	for l.ctx.Err() == nil {
		c, err := l.connect()
		if err == nil {
			log.Info("peer connected", "addr", c.nc.RemoteAddr().String(), "native", c.native)
			pause.reset()
			l.tell(true)
			err = cause(c.serve(func() {
				p.ready[l.slot].Store(nil)
				if l.slot == LaneControl {
					p.reach.connected(nil)
				}
				l.tell(false)
			}))
			told = ""
		} else {
			n.counters.dialsFailed.Add(1)
		}
		if l.ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != told {
			told = text
			log.Warn("peer not connected, will retry", "err", err)
		}
		l.rest(pause.draw())
	}
}

// tell reports the state of the peer's first connection, unless the peer has been removed
// and added again meanwhile: the new one speaks for itself.
func (l *link) tell(connected bool) {
	n := l.peer.net
	if n.cfg.PeerState == nil || l.slot != LaneControl {
		return
	}
	n.telling.Lock()
	defer n.telling.Unlock()
	n.mu.RLock()
	now := n.peers[l.peer.id]
	n.mu.RUnlock()
	if now == nil || now == l.peer {
		n.cfg.PeerState(l.peer.id, connected)
	}
}

// connect makes one attempt. On success the connection takes calls.
func (l *link) connect() (*dialed, error) {
	p, n := l.peer, l.peer.net
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	p.mu.Lock()
	addr := p.addr
	l.redial = cancel
	p.mu.Unlock()

	n.counters.dials.Add(1)
	dialCtx, dialed := context.WithTimeout(ctx, n.cfg.DialTimeout)
	nc, err := n.dial(dialCtx, addr)
	dialed()
	if err != nil {
		return nil, err
	}
	c, err := n.greet(ctx, n.secure(nc, tls.Client, (*Identity).dialing), p.id)
	if err != nil {
		return nil, err
	}
	if c.serial && l.slot >= LaneSnapshot {
		c.waits = func() bool { return false } // it cannot be probed, and a snapshot may take its time
	}

	n.mu.RLock() // Close sees either this connection or no connection made after it
	defer n.mu.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	l.redial = nil
	if n.closed || p.over || p.addr != addr {
		nc.Close()
		return nil, errors.New("peer moved or was removed, or this side is closing")
	}
	p.serial.Store(!c.native)
	if l.slot == LaneControl {
		p.listen(c)
		p.reach.connected(c)
	}
	p.ready[l.slot].Store(c)
	return c, nil
}

// rest pauses for d, until kicked, or until the link is stopped.
func (l *link) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.wake:
	case <-l.ctx.Done():
	}
}

// backoff is the pause between attempts: it doubles, and each is drawn from its upper
// half, so that nodes that lost a peer together do not return together.
type backoff struct{ min, max, next time.Duration }

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) draw() time.Duration {
	b.next = min(max(2*b.next, b.min), b.max)
	return b.next/2 + rand.N(b.next/2+1)
}
