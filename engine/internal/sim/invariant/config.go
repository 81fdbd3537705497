package invariant

import (
	"math/bits"
	"sort"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Config is a configuration: joint while Outgoing is not empty. Witnesses are the
// voters that keep no state and cannot lead.
type Config struct {
	Voters, Outgoing, Learners, Witnesses []raftpb.NodeID
}

// members is a Config as sets of slots.
type members struct{ voters, outgoing, learners, witnesses uint64 }

// configAt says where a configuration stands; 0 is the first one.
type configAt struct {
	index  raftpb.Index
	config int32
}

// change is a configuration that a leader has appended.
type change struct {
	at, before raftpb.Index
	from, to   members
}

func (g *Group) masks(c *Config) members {
	set := func(ids []raftpb.NodeID) (s uint64) {
		for _, id := range ids {
			s |= 1 << g.Node(id).slot
		}
		return s
	}
	return members{set(c.Voters), set(c.Outgoing), set(c.Learners), set(c.Witnesses)}
}

func (m members) quorum(s uint64) bool {
	return majority(m.voters, s) && (m.outgoing == 0 || majority(m.outgoing, s))
}

func majority(of, s uint64) bool { return bits.OnesCount64(of&s) > bits.OnesCount64(of)/2 }

func (m members) voter(slot int) bool { return (m.voters|m.outgoing)>>slot&1 != 0 }

// fault says what is wrong with following one configuration by another, or "".
// Between two good ones every majority of the first meets every majority of the
// second, by one voter's difference or by a joint phase.
func (m members) fault(next members) string {
	switch {
	case next.voters == 0:
		return "the new configuration has no voter"
	case m.outgoing == 0 && next.outgoing == 0 && bits.OnesCount64(m.voters^next.voters) > 1:
		return "more than one voter changes without a joint phase"
	case m.outgoing == 0 && next.outgoing != 0 && next.outgoing != m.voters:
		return "the old half of the joint phase is not the configuration in force"
	case m.outgoing != 0 && next.outgoing != 0:
		return "one joint phase follows another"
	case m.outgoing != 0 && next.voters != m.voters:
		return "the joint phase ends with other voters than its new half"
	}
	return ""
}

// config is the configuration in force in the node's memory.
func (n *Node) config() configAt { return n.configs[len(n.configs)-1] }

// dropConfigs forgets those that stand at i and behind.
func (n *Node) dropConfigs(i raftpb.Index) {
	for len(n.configs) > 1 && n.config().index >= i {
		n.configs = n.configs[:len(n.configs)-1]
	}
}

// configAtCommitted is the committed configuration in force at i.
func (g *Group) configAtCommitted(i raftpb.Index) configAt {
	k := sort.Search(len(g.adopted), func(k int) bool { return g.adopted[k].index > i })
	return g.adopted[k-1]
}

// ConfigIndex is where the configuration that must be in force in the node stands.
func (n *Node) ConfigIndex() raftpb.Index { return n.config().index }
