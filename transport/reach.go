package transport

import (
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// PeerMetrics says whether another node can be reached, as this one sees it.
//
// It can, when a connection to it takes calls and answers come. A connection over which
// nothing comes, though answers are due and the other side's transport was asked for a sign of
// life, counts as none long before StallTimeout ends it. A link that is idle is believed.
type PeerMetrics struct {
	Reachable bool
	// Since is when that began: for a node that fell silent, when its last byte came.
	Since time.Time
}

// reach is what a peer knows of itself. It changes with the first connection of the peer,
// and with what comes over it.
//
//	      connection made                 silent for 2 x ProbeAfter
//	down ----------------> up <---------------------------------------> down, connected
//	  ^                     |                 bytes arrive                     |
//	  +---------------------+--------------------------------------------------+
//	                           connection ends
type reach struct {
	mu    sync.Mutex
	conn  *dialed // in use; nil: none
	state PeerMetrics
}

// connected notes a connection, or with nil the end of the one before. It keeps the time of
// a node that was lost already.
func (r *reach) connected(c *dialed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn = c
	if up := c != nil; r.state.Reachable != up {
		r.state = PeerMetrics{up, time.Now()}
	}
}

// silent notes for how long nothing came over c, of what is due: long enough to count, or
// 0. It reports whether that is news.
func (r *reach) silent(c *dialed, d time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	up := d == 0
	if r.conn != c || r.state.Reachable == up {
		return false
	}
	r.state = PeerMetrics{up, time.Now().Add(-d)}
	return true
}

func (r *reach) read() PeerMetrics {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// listen makes c tell the peer when the other side falls silent.
func (p *peer) listen(c *dialed) {
	log := p.net.log.With("peer", int64(p.id))
	c.heard = func(silent time.Duration) {
		switch news := p.reach.silent(c, silent); {
		case news && silent > 0:
			log.Warn("peer is silent", "dur", silent)
		case news:
			log.Info("peer speaks again")
		}
	}
}

// peer returns what is known of a peer.
func (n *network) peer(id raftpb.NodeID) (m PeerMetrics, known bool) {
	n.mu.RLock()
	p := n.peers[id]
	n.mu.RUnlock()
	if p == nil {
		return m, false
	}
	return p.reach.read(), true
}
