package raft

import (
	"cmp"
	"errors"
	"slices"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Change is a CONFIG entry of the log.
type Change struct {
	Index         Index
	Configuration Configuration
}

// changes is every configuration that may still matter: first the newest that is
// certain to stay, then those of entries that may be truncated. The last one is
// in force: a configuration counts as soon as it is in the log.
type changes []Change

// position returns where member id stands in members; -1 if it is none.
func (n *Node) position(id NodeID) int {
	for i := range n.members {
		if n.members[i].id == id {
			return i
		}
	}
	return -1
}

// loadChanges takes the configurations of the log: from Config.Changes, or by
// reading it.
func (n *Node) loadChanges() error {
	n.changes = changes{{Index: n.cfg.ConfigurationIndex, Configuration: n.cfg.Configuration}}
	for _, c := range n.cfg.Changes {
		n.loadChange(c)
	}
	if n.cfg.Changes != nil {
		return nil
	}
	var buf []Entry
	for lo := n.log.base + 1; lo <= n.log.last; lo += Index(len(buf)) {
		if buf = n.log.entries(buf[:0], lo, n.log.last+1, DefaultMaxAppendBytes); n.log.err != nil {
			return n.log.err
		}
		if d := n.log.damaged; !d.Empty() {
			return &DamagedError{Damaged: d}
		}
		for i := range buf {
			if buf[i].Kind != raftpb.EntryKindConfig {
				continue
			}
			c, err := parseConfiguration(buf[i].Body)
			if err != nil {
				return broken("entry %d: %v", lo+Index(i), err)
			}
			n.loadChange(Change{lo + Index(i), c})
		}
	}
	return nil
}

// loadChange takes c unless it is older than the snapshot's configuration: a log may
// begin below its snapshot.
func (n *Node) loadChange(c Change) {
	if c.Index > n.cfg.ConfigurationIndex {
		n.changes = append(n.changes, c)
	}
}

// parseConfiguration reads the body of a CONFIG entry.
func parseConfiguration(body []byte) (Configuration, error) {
	var c Configuration
	size, err := c.ParseCompact(body, nil)
	switch {
	case err != nil:
		return c, err
	case size != len(body):
		return c, errors.New("bytes after the configuration")
	case len(c.Incoming) == 0:
		return c, errors.New("no members")
	}
	return c, checkConfiguration(&c)
}

// noteChanges puts the configurations among entries, which were just appended
// from first on, in force.
func (n *Node) noteChanges(first Index, entries []Entry, out *Effects) {
	changed := false
	for i := range entries {
		if entries[i].Kind != raftpb.EntryKindConfig {
			continue
		}
		c, err := parseConfiguration(entries[i].Body)
		n.fail(err) // nil: checkAppend has read it too
		n.changes = append(n.changes, Change{first + Index(i), c})
		changed = true
	}
	if changed && !n.mutated(mutAdoptAtCommit) {
		n.adoptChange(out)
	}
}

// undoChanges rolls back to the configuration before index.
func (n *Node) undoChanges(index Index, out *Effects) {
	k := len(n.changes)
	for k > 1 && n.changes[k-1].Index >= index {
		k--
	}
	if k == len(n.changes) {
		return
	}
	n.changes = n.changes[:k]
	n.mark(MarkConfigurationUndone)
	if n.mutated(mutChangeStays) {
		return
	}
	n.adoptChange(out)
}

// settleChanges forgets what a committed configuration has replaced.
func (n *Node) settleChanges() {
	k := 0
	for k+1 < len(n.changes) && n.changes[k+1].Index <= n.log.commit {
		k++
	}
	if k > 0 {
		n.changes = slices.Delete(n.changes, 0, k)
		if n.mutated(mutAdoptAtCommit) {
			n.setConfiguration(n.changes[0].Configuration)
		}
	}
}

func (n *Node) adoptChange(out *Effects) {
	last := n.changes[len(n.changes)-1]
	old := n.members
	n.setConfiguration(last.Configuration)
	n.stopStreamsOf(old, out)
	if n.role == raftpb.RoleFollower || n.role == raftpb.RoleLearner {
		if role := n.restingRole(); role != n.role {
			n.role = role
			out.fact(Fact{Kind: FactRole, Term: n.term, Role: role, Peer: n.leader})
		}
	}
	out.fact(Fact{Kind: FactConfiguration, Term: n.term, Index: last.Index})
}

// leads reports whether c lets a node lead.
func leads(c *Configuration, id NodeID) bool {
	may := func(m Member) bool { return m.ID == id && m.Suffrage == raftpb.SuffrageVoter }
	return slices.ContainsFunc(c.Incoming, may) || slices.ContainsFunc(c.Outgoing, may)
}

// mayBeMember reports whether id is a member, or may be one again when what is not
// committed is truncated.
func (n *Node) mayBeMember(id NodeID) bool {
	is := func(m Member) bool { return m.ID == id }
	for k := range n.changes {
		c := &n.changes[k].Configuration
		if slices.ContainsFunc(c.Incoming, is) || slices.ContainsFunc(c.Outgoing, is) {
			return true
		}
	}
	return false
}

// setConfiguration puts c in force: members by rising id, with what is known of
// those who stay. A member with another incarnation is a new one. Who votes in one half and learns in the other votes.
func (n *Node) setConfiguration(c Configuration) {
	old := n.members
	n.conf = c
	n.members = make([]progress, 0, len(c.Incoming)+len(c.Outgoing))
	add := func(half []Member) {
		for _, m := range half {
			if i := n.position(m.ID); i >= 0 {
				if n.members[i].suffrage == raftpb.SuffrageLearner {
					n.members[i].suffrage = m.Suffrage
				}
				continue
			}
			p := progress{id: m.ID, incarnation: m.Incarnation, state: raftpb.ProgressStateProbe, next: n.log.last + 1, contact: n.now, window: n.openWindow()}
			for i := range old {
				if old[i].id == m.ID && old[i].incarnation == m.Incarnation {
					p = old[i]
				}
			}
			p.suffrage, p.priority = m.Suffrage, m.Priority.Or(0)
			n.members = append(n.members, p)
		}
	}
	add(c.Incoming)
	add(c.Outgoing)
	slices.SortFunc(n.members, func(a, b progress) int { return cmp.Compare(a.id, b.id) })
	n.self = n.position(n.cfg.ID)
	n.voters = electorate{mutation: n.mutation, incoming: n.votersOf(c.Incoming), outgoing: n.votersOf(c.Outgoing)}
	n.witness = n.isWitness()
	n.setRank()
}

// isWitness is as the configuration says, or, while none lists this node, as before.
func (n *Node) isWitness() bool {
	if n.self < 0 {
		return n.witness
	}
	return n.members[n.self].suffrage == raftpb.SuffrageWitness
}

// votersOf is the set of positions that vote in one half of a configuration.
func (n *Node) votersOf(half []Member) uint64 {
	var set uint64
	for _, m := range half {
		if m.Suffrage != raftpb.SuffrageLearner || n.mutated(mutLearnerCounts) {
			set |= 1 << n.position(m.ID)
		}
	}
	return set
}
