package raft

import (
	"errors"
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// What a disk does to bytes is not what Raft's disks do: it damages single entries of
// which the log still knows that it has them, and images of the state. Neither takes
// back a promise. The node knows index and term of every entry, so it votes,
// acknowledges and leads as before; it only cannot hand the bytes to anybody. (A log
// that cannot say what it had promised is another matter: see doubt.)
//
//	entry damaged    Effects.Damaged; the driver fetches the entry from whoever has it
//	                 and stores it; EventReadable; what waited for it goes on
//	state lost       the entries that it would be rebuilt from are gone or cannot be had:
//	                 EventStateLost, or Config.StateLost at the start. The follower
//	                 answers appends with NEED_SNAPSHOT, and the leader sends it one
//
// A node that lacks state follows and votes; it does not lead, for it could serve nothing.

// DamagedError is what a Log returns for entries that it has and cannot read: their
// bytes are damaged. It does not fail the node.
type DamagedError struct {
	Damaged Span // begins where the entries that were asked for begin
	Err     error
}

// Error implements error.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("raft: entries [%d, %d) are damaged: %v", e.Damaged.Lo, e.Damaged.Hi, e.Err)
}

// Unwrap returns the store's own error.
func (e *DamagedError) Unwrap() error { return e.Err }

// unreadable notes that entries could not be read, if that is all that err says.
func (l *raftLog) unreadable(err error) bool {
	var d *DamagedError
	if !errors.As(err, &d) || d.Damaged.Empty() {
		return false
	}
	l.damaged = d.Damaged
	return true
}

// onReadable sends what waited for a repair.
func (n *Node) onReadable(out *Effects) {
	out.shared = sharedEntries{}
	if n.role == raftpb.RoleLeader {
		n.sendToAll(out)
	}
}

// onStateLost notes that the state machine cannot get past applied: it needs a snapshot
// of more. A leader hands over.
func (n *Node) onStateLost(applied Index, out *Effects) {
	if applied < n.log.base || applied >= n.log.commit || n.lacks == applied+1 {
		return
	}
	n.lacks = applied + 1
	out.fact(Fact{Kind: FactStateLost, Term: n.term, Index: n.lacks})
	if n.role == raftpb.RoleLeader {
		n.handOver(out)
		return
	}
	if n.leader != 0 {
		// It may sleep; a question wakes it. Nobody waits for the answer.
		n.reads.context = (n.reads.context + 1) & (doubtContext - 1)
		out.SendNow = append(out.SendNow, Message{
			Kind: MessageReadIndex, From: n.cfg.ID, To: n.leader, Term: n.term, Context: n.reads.context,
		})
	}
}

// memberLacksState sends a snapshot to a follower that has the log, and not the state.
func (n *Node) memberLacksState(p *progress, m *Message, out *Effects) {
	if p.lacks == 0 {
		out.fact(Fact{Kind: FactMemberLacksState, Term: n.term, Peer: p.id, Index: m.ConflictIndex})
	}
	p.lacks = max(1, min(m.ConflictIndex, n.log.commit))
	n.matched(p, m.Matched, out)
	n.needSnapshot(p, out)
}

// restores reports whether s is the state that this node lacks, at a place of its log
// that stays.
func (n *Node) restores(s *Snapshot) bool {
	if n.lacks == 0 || s.Index < n.lacks {
		return false
	}
	t, ok := n.log.term(s.Index)
	return ok && t == s.Term
}

// restoreConfiguration takes over who was in the group as of s: with the state, this
// node may have lost that too.
func (n *Node) restoreConfiguration(s *Snapshot, out *Effects) {
	if s.ConfigurationIndex < n.changes[0].Index {
		return
	}
	kept := changes{{Index: s.ConfigurationIndex, Configuration: s.Configuration}}
	for _, c := range n.changes {
		if c.Index > s.ConfigurationIndex {
			kept = append(kept, c)
		}
	}
	n.changes = kept
	n.adoptChange(out)
}

// restore makes s the state of this node. The log goes on behind it as it is.
func (n *Node) restore(s *Snapshot, out *Effects) {
	n.writes.begin(out)
	out.Install, out.MustSync = s, true
	n.commitTo(s.Index)
	if out.Commit.Lo != 0 && out.Commit.Lo <= s.Index {
		out.Commit.Lo = min(s.Index+1, out.Commit.Hi)
	}
	n.handed = max(n.handed, s.Index)
	skipUnwritten(s.Index, out)
	n.restoreConfiguration(s, out)
	n.log.base, n.log.baseTerm = s.Index, s.Term
	n.log.tail.drop(s.Index + 1)
	n.lacks = 0
	out.fact(Fact{Kind: FactSnapshotInstalled, Term: n.term, Index: s.Index, Peer: n.leader})
}

// skipUnwritten takes out of the write what an image up to i covers: the disk installs
// it before it appends.
func skipUnwritten(i Index, out *Effects) {
	if len(out.Append) > 0 && out.AppendFrom <= i {
		covered := min(i+1-out.AppendFrom, Index(len(out.Append)))
		out.Append, out.AppendFrom = out.Append[covered:], i+1
	}
	if out.TruncateFrom > 0 {
		out.TruncateFrom = max(out.TruncateFrom, i+1)
	}
}
