package model

import (
	"math/bits"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// members is a Config as sets of slots.
type members struct{ voters, outgoing, learners uint64 }

// masks turns a configuration into sets; its nodes join if they are new.
func (m *Model) masks(c *Config) (sets members, ok bool) {
	ok = true
	set := func(ids []raftpb.NodeID) (s uint64) {
		for _, who := range ids {
			if n := m.node(who); n != nil {
				s |= 1 << n.slot
			} else {
				ok = false
			}
		}
		return s
	}
	return members{set(c.Voters), set(c.Outgoing), set(c.Learners)}, ok
}

// quorum reports whether the nodes in s are a majority, of both halves while joint.
func (c members) quorum(s uint64) bool {
	return majority(c.voters, s) && (c.outgoing == 0 || majority(c.outgoing, s))
}

func majority(of, s uint64) bool {
	return bits.OnesCount64(of&s) > bits.OnesCount64(of)/2
}

// change checks a configuration that a leader is about to append. The one before
// it must be committed, and the leader must have committed in its own term, or two
// of its predecessors' changes may still compete.
func (m *Model) change(n *node, next members) *Rejection {
	now := m.config(n.log)
	switch {
	case next.voters == 0:
		return reject("4.3", "it changes to a configuration without voters")
	case m.configAt(n.log) > n.commit:
		return reject("4.1", "it changes the configuration and the last change, at %d, is not committed (committed: %d)", m.configAt(n.log), n.commit)
	case m.lastTerm(m.at(n.log, n.commit)) != n.term:
		return reject("4.1", "it changes the configuration before it has committed an entry of its own term %d", n.term)
	case now.outgoing == 0 && next.outgoing == 0 && bits.OnesCount64(now.voters^next.voters) > 1:
		return reject("4.3", "it changes more than one voter without a joint phase")
	case now.outgoing == 0 && next.outgoing != 0 && next.outgoing != now.voters:
		return reject("4.3", "it enters a joint phase whose old half is not the configuration in force")
	case now.outgoing != 0 && next.outgoing != 0:
		return reject("4.3", "it goes from one joint phase to another")
	case now.outgoing != 0 && next.voters != now.voters:
		return reject("4.3", "it leaves the joint phase for voters other than its new half")
	}
	return nil
}
