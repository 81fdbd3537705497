package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-814fcd60/raftwire/transport"
)

// Link says whether this host reaches another one, as far as it can tell: a connection to it
// takes calls, and answers that are due come. It says nothing about the other direction,
// and a link over which nothing is due is believed.
type Link struct {
	Peer      NodeID
	Reachable bool
	// Since is when that began: of a host that is lost, when it was last heard; of one that
	// was never reached, when it became known.
	Since time.Time
}

// link returns what is known of the link to a node; known is false for a node that is not
// dialed, and on a network that cannot tell.
func (h *Host) link(id NodeID) (l Link, known bool) {
	n, ok := h.network.(interface {
		Peer(NodeID) (transport.PeerMetrics, bool)
	})
	if !ok {
		return l, false
	}
	m, known := n.Peer(id)
	return Link{id, m.Reachable, m.Since}, known
}

// links returns the links to the other members of a configuration.
func (h *Host) links(c *Configuration) (all []Link) {
	seen := map[NodeID]bool{h.cfg.Node: true}
	for _, half := range [][]Member{c.Members, c.Leaving} {
		for _, m := range half {
			if seen[m.ID] {
				continue
			}
			seen[m.ID] = true
			if l, known := h.link(m.ID); known {
				all = append(all, l)
			}
		}
	}
	return all
}

func lostPeers(m *Metrics) (n int64) {
	for _, p := range m.Network.Peers {
		if !p.Reachable {
			n++
		}
	}
	return n
}

// probeAfter is for how long answers may be due before the other host is asked for a sign
// of life; after twice that it counts as lost.
func (c *Config) probeAfter() time.Duration {
	return min(c.ElectionTimeout, transport.DefaultStallTimeout/3)
}

// watchLinks tells the observer when links are lost and found.
func (h *Host) watchLinks() {
	tick := time.NewTicker(min(h.cfg.ElectionTimeout/2, 250*time.Millisecond))
	defer tick.Stop()
	told := map[NodeID]bool{}
	for {
		for id, m := range h.network.Metrics().Peers {
			if was, known := told[id]; known && was == m.Reachable {
				continue
			}
			told[id] = m.Reachable
			kind := EventPeerLost
			if m.Reachable {
				kind = EventPeerReached
			}
			h.tell(Event{Kind: kind, Peer: id})
		}
		select {
		case <-tick.C:
		case <-h.closed:
			return
		}
	}
}

// lost is the time of the link to a member that cannot be reached; zero: it can, or nobody knows.
func (s *Status) lost(id NodeID) time.Time {
	for _, l := range s.Links {
		if l.Peer == id && !l.Reachable {
			return l.Since
		}
	}
	return time.Time{}
}

// whyAlone says who cannot be reached by a member that knows no leader.
func (s *Status) whyAlone() (sentence string, culprit NodeID) {
	var lost []string
	for _, l := range s.Links {
		if !l.Reachable {
			lost, culprit = append(lost, fmt.Sprintf("node %d since %s", l.Peer, l.Since.Format(time.TimeOnly))), l.Peer
		}
	}
	switch len(lost) {
	case 0:
		return "", 0
	case 1:
		return " It cannot reach " + lost[0] + ".", culprit
	}
	return " It cannot reach " + strings.Join(lost[:len(lost)-1], ", ") + " and " + lost[len(lost)-1] + ".", 0
}
