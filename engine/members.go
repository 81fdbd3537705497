package engine

import (
	"maps"
	"slices"
	"sync"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Suffrage says what a member may do.
type Suffrage = raftpb.Suffrage

// The kinds of member.
const (
	Voter   = raftpb.SuffrageVoter   // votes, and holds the state
	Learner = raftpb.SuffrageLearner // holds the state, and has no vote
	Witness = raftpb.SuffrageWitness // votes, and holds no state
)

// Member is a member of a group.
type Member struct {
	ID       NodeID
	Address  string   // host:port that the others dial
	Suffrage Suffrage // 0: a voter
	// Priority says who should lead: of the members that can, those of the highest one.
	// 0 is the default.
	Priority int32
}

func (m Member) message() raftpb.Member {
	p := raftpb.Member{ID: m.ID, Address: m.Address, Suffrage: m.Suffrage}
	if p.Suffrage == raftpb.SuffrageUnspecified {
		p.Suffrage = raftpb.SuffrageVoter
	}
	if m.Priority != 0 {
		p.Priority.Value, p.Priority.Set = m.Priority, true
	}
	return p
}

func memberOf(p *raftpb.Member) Member {
	return Member{ID: p.ID, Address: p.Address, Suffrage: p.Suffrage, Priority: p.Priority.Value}
}

// addressBook is where the members of a host's groups are: the network dials them as
// long as a group lists them.
type addressBook struct {
	host *Host

	mu     sync.Mutex
	groups map[GroupID]map[NodeID]string
	listed map[NodeID]int // by how many groups
}

func newAddressBook(h *Host) *addressBook {
	return &addressBook{host: h, groups: map[GroupID]map[NodeID]string{}, listed: map[NodeID]int{}}
}

// set takes over the configuration in force in g.
func (b *addressBook) set(g *Group, c *raft.Configuration) {
	addresses := map[NodeID]string{}
	for _, half := range [][]raftpb.Member{c.Outgoing, c.Incoming} {
		for _, m := range half {
			addresses[m.ID] = m.Address
		}
	}
	g.addresses.Store(&addresses)
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.groups[g.id]
	b.groups[g.id] = addresses
	for id, addr := range addresses {
		was, listed := old[id]
		if !listed {
			b.listed[id]++
		}
		if (!listed || was != addr) && id != b.host.cfg.Node {
			b.host.network.SetPeer(id, b.host.dialAddress(id, addr))
		}
	}
	b.drop(old, addresses)
}

// follow is set for a configuration that follows another one. Who is in it no more is
// forgotten, and if others were in force in between that nobody looked at, so is everybody
// who may have been removed and added again.
func (b *addressBook) follow(g *Group, c *raft.Configuration, skipped bool) {
	b.mu.Lock()
	old := slices.Collect(maps.Keys(b.groups[g.id]))
	b.mu.Unlock()
	b.set(g, c)
	var gone []NodeID
	for _, id := range old {
		if skipped || !b.lists(id) {
			gone = append(gone, id)
		}
	}
	b.host.admission.forget(gone)
}

// lists reports whether a group of this host has that member.
func (b *addressBook) lists(id NodeID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listed[id] > 0
}

// membersOf lists the other members of a group.
func (b *addressBook) membersOf(id GroupID) []NodeID {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []NodeID
	for m := range b.groups[id] {
		if m != b.host.cfg.Node {
			ids = append(ids, m)
		}
	}
	slices.Sort(ids)
	return ids
}

// forget takes the members of a group that has stopped off the book.
func (b *addressBook) forget(id GroupID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(b.groups[id], nil)
	delete(b.groups, id)
}

// drop forgets those of old that kept does not list, if no group does any more.
func (b *addressBook) drop(old, kept map[NodeID]string) {
	for id := range maps.Keys(old) {
		if _, stays := kept[id]; stays {
			continue
		}
		if b.listed[id]--; b.listed[id] == 0 {
			delete(b.listed, id)
			b.host.network.RemovePeer(id)
		}
	}
}
