package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A leader whose disk hangs still beats, so nobody replaces it, and it may be the one
// that everything waits for: proposals that come to it, the entries that it has to
// read. The driver watches how long writes take and tells. The leader then hands
// over, and while its disk stalls it does not lead again; it still votes, as soon as
// the disk lets it.

// onDiskStalled ends this node's leadership, if anybody else could lead.
func (n *Node) onDiskStalled(out *Effects) {
	if n.stalled {
		return
	}
	n.stalled = true
	n.mark(MarkDiskStalled)
	out.fact(Fact{Kind: FactDiskStalled, Term: n.term, Role: n.role})
	if n.role == raftpb.RoleLeader {
		n.handOver(out)
	}
}

// handOver leaves the lead to another member. If none has been heard lately this
// node goes on: that helps nobody less than silence would.
func (n *Node) handOver(out *Effects) {
	if n.transfer.target != 0 {
		n.transfer.leaving = true
		return
	}
	to := n.successor()
	if to == 0 {
		n.mark(MarkStalledAlone)
		return
	}
	n.mark(MarkStalledLeader)
	n.startTransfer(transfer{target: to, leaving: true}, out)
}

// onDiskOK lets this node lead again.
func (n *Node) onDiskOK(out *Effects) {
	if !n.stalled {
		return
	}
	n.stalled = false
	out.fact(Fact{Kind: FactDiskOK, Term: n.term, Role: n.role})
	if n.role != raftpb.RoleLeader {
		n.resetElectionTimer()
	}
}

// mayCampaign reports whether this node may ask for votes now. By the word of a
// leader that hands over it may even if it promised that leader not to.
func (n *Node) mayCampaign(transfer bool) bool {
	switch {
	case !n.electable():
	case n.doubt.from != 0:
		n.mark(MarkDoubtCampaign)
	case n.lacks != 0:
	case n.stalled:
		n.mark(MarkStalledNoCampaign)
	case n.promised() && !transfer:
		n.mark(MarkLeaseNoCampaign)
	default:
		return true
	}
	return false
}
