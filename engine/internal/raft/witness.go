package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A witness votes and keeps the log without the bodies of commands: term, kind,
// length and checksum of each. That is enough to refuse a candidate whose log is
// behind, so it is enough for safety; it never leads, and it applies nothing.
//
// The checksum is the whole entry's: what a witness stores names exactly one
// body, although it does not have it. Who is a witness stays one (checkTarget),
// so no log has bodies in one part and none in another.

// strip takes the bodies of commands out of entries, which nobody else may hold.
func strip(entries []Entry) {
	for i := range entries {
		if e := &entries[i]; e.Kind == raftpb.EntryKindCommand && !e.StrippedBytes.Set {
			e.StrippedBytes.Set, e.StrippedBytes.Value = true, int32(len(e.Body))
			e.Body = nil
		}
	}
}

// A witness is never ahead of everybody who could lead: it would refuse them all
// its vote, for the sake of entries of which it has no body. So it is sent what a
// voter that holds state has on its disk; the leader, as long as it is one, counts
// with its own disk.
//
// witnessEnd is the last position that a witness may be sent.
func (n *Node) witnessEnd() Index {
	end := Index(0)
	for i := range n.members {
		if p := &n.members[i]; p.suffrage == raftpb.SuffrageVoter {
			if i == n.self {
				end = max(end, n.log.durable)
			} else {
				end = max(end, p.match)
			}
		}
	}
	return end
}

// sendableTo is the last position that p may be sent.
func (n *Node) sendableTo(p *progress) Index {
	if p.suffrage != raftpb.SuffrageWitness {
		return n.log.last
	}
	end := n.witnessEnd()
	if p.next <= n.log.last && p.next > end {
		n.mark(MarkWitnessHeldBack)
	}
	return end
}

// feedWitnesses sends witnesses what has become durable.
func (n *Node) feedWitnesses(out *Effects) {
	for i := range n.members {
		if p := &n.members[i]; i != n.self && p.suffrage == raftpb.SuffrageWitness {
			n.sendNew(p, out)
		}
	}
}

// strippedFor is entriesFor a witness.
func (n *Node) strippedFor(lo Index, maxBytes int, out *Effects) []Entry {
	end := n.witnessEnd()
	if lo > end {
		return nil
	}
	start := len(out.arena)
	out.arena = n.log.entries(out.arena, lo, end+1, maxBytes)
	entries := out.arena[start:len(out.arena):len(out.arena)]
	strip(entries)
	return entries
}

// checkStripped: a witness is sent commands without bodies, all others with them.
func (n *Node) checkStripped(e *Entry) string {
	switch {
	case e.StrippedBytes.Set && (e.Kind != raftpb.EntryKindCommand || len(e.Body) > 0 || e.StrippedBytes.Value < 0):
		return "stripped"
	case e.StrippedBytes.Set && !n.witness:
		return "body missing"
	case n.witness && e.Kind == raftpb.EntryKindCommand && !e.StrippedBytes.Set:
		return "body for a witness"
	}
	return ""
}
