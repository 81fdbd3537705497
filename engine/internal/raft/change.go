package raft

import (
	"hash/crc32"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// A change of the configuration passes through entries of the log, one at a time:
// each is in force as soon as it is in the log, and the next is appended when it
// is committed.
//
//	request --> [learners] --> caught up? --> [joint] --> [target] --> answer
//	             only if new                   only if more than one voter differs
//
// What the log holds needs no memory: a leader that finds a committed joint
// configuration leaves it, whoever began it. What only the leader knows, that new
// voters are waited for, ends with its leadership, and the answer says so.

// ChangeRequest asks for another configuration: all steps together, or nothing.
type ChangeRequest struct {
	// Steps are applied in order to the members in force. Adding a learner as a voter
	// promotes it. UPDATE_ADDRESS also sets the priority, if the step has one; what a
	// step does not say of a member stays. Steps of kind REPLACE_ALL stand alone: each
	// gives one member of the whole new configuration.
	Steps []raftpb.Change
	// Compare refuses the change unless the configuration in force is that of the
	// entry Expected (Status.ConfigurationIndex); 0 is the initial one.
	Compare  bool
	Expected Index
	CatchUp  CatchUp
}

// ChangeAnswer ends a change: the configuration of entry Index is committed, and
// all steps with it; or Refused says why not. Every EventChange has one.
type ChangeAnswer struct {
	RequestID     uint64
	Index         Index
	Configuration Configuration // shared with the node: not to be written to
	Refused       Refusal
}

// changing is the change that this leader carries out.
type changing struct {
	active  bool
	request uint64
	target  Configuration // where it ends
	waiting bool          // for new voters to catch up
	catchUp CatchUp
	rounds  []catchUpRound
}

// onChange takes an operator's request.
func (n *Node) onChange(r *ChangeRequest, request uint64, out *Effects) {
	if r == nil {
		n.fail(broken("EventChange without a change"))
		return
	}
	conf := n.inForce()
	target, why := n.plan(r)
	switch {
	case why != RefusalNone:
		n.answerChange(ChangeAnswer{RequestID: request, Index: conf.Index, Refused: why}, out)
		return
	case sameConfiguration(&target, &n.conf):
		n.mark(MarkChangeForNothing)
		n.answerChange(ChangeAnswer{RequestID: request, Index: conf.Index, Configuration: n.conf}, out)
		return
	}
	n.change = changing{active: true, request: request, target: target, catchUp: r.CatchUp.withDefaults(n.election)}
	out.fact(Fact{Kind: FactChangeStarted, Term: n.term, Index: conf.Index})
	if !r.CatchUp.Skip && n.startCatchUp(out) {
		return
	}
	n.enterTarget(out)
}

// plan returns where r leads to, or why it may not be done.
func (n *Node) plan(r *ChangeRequest) (Configuration, Refusal) {
	if why := n.mayChange(r); why != RefusalNone {
		return Configuration{}, why
	}
	target, why := applySteps(&n.conf, r.Steps)
	if why != RefusalNone {
		n.mark(MarkChangeImpossible)
		return target, why
	}
	if why = n.survives(&target); why != RefusalNone {
		n.mark(MarkChangeLosesQuorum)
	}
	return target, why
}

// mayChange says whether any change may begin now. A leader that has committed
// nothing of its own term may not know of a predecessor's change that is already
// decided: two such changes could have quorums without a common member.
func (n *Node) mayChange(r *ChangeRequest) Refusal {
	conf := n.inForce()
	unfinished := n.change.active || len(n.conf.Outgoing) > 0 || conf.Index > n.log.commit
	switch {
	case n.role != raftpb.RoleLeader:
		n.mark(MarkChangeElsewhere)
		return RefusalNotLeader
	case n.transfer.target != 0:
		n.mark(MarkChangeWhileTransferring)
		return RefusalTransferring
	case n.log.commit < n.termStart && !n.mutated(mutChangeTooEarly):
		n.mark(MarkChangeTooEarly)
		return RefusalTooEarly
	case unfinished && !n.mutated(mutSecondChange):
		n.mark(MarkChangeInProgress)
		return RefusalChangeInProgress
	case r.Compare && r.Expected != conf.Index:
		n.mark(MarkChangeCompared)
		return RefusalOtherConfiguration
	}
	return RefusalNone
}

// inForce is the newest configuration in the log.
func (n *Node) inForce() *Change { return &n.changes[len(n.changes)-1] }

// enterTarget appends the configuration that leads to the target: itself, if at
// most one voter differs, or the joint one. While at most one voter differs, any
// majority of the one meets any majority of the other.
func (n *Node) enterTarget(out *Effects) {
	c := &n.change
	if why := n.survives(&c.target); why != RefusalNone {
		n.mark(MarkCatchUpUnsafe)
		n.endChange(why, out)
		return
	}
	c.waiting, c.rounds = false, nil
	next := c.target
	if votersDiffer(&n.conf, &next) > 1 && !n.mutated(mutJointSkipped) {
		n.mark(MarkChangeJoint)
		next.Outgoing, next.AutoLeave = n.conf.Incoming, true
	} else {
		n.mark(MarkChangeSimple)
	}
	n.appendConfiguration(&next, out)
}

// appendConfiguration puts c into the log, and so in force.
func (n *Node) appendConfiguration(c *Configuration, out *Effects) {
	body := c.AppendCompact(nil)
	kind := [1]byte{byte(raftpb.EntryKindConfig)}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Checksum(kind[:], table), table, body)
	entry := [1]Entry{{Term: n.term, Kind: raftpb.EntryKindConfig, Body: body, Crc32c: int64(sum)}}
	n.appendEntries(entry[:], out)
	n.sendToAll(out)
	waiting := n.reads.out
	n.confirmReads(out) // fewer may have to be asked now, and those left may have answered
	if n.reads.out < waiting {
		n.mark(MarkReadsConfirmedByChange)
	}
}

// driveChange takes the next step once the last one is committed. It runs at the
// end of every Step of a leader, when nothing holds on to a member any more: a
// configuration makes the table of members anew.
func (n *Node) driveChange(out *Effects) {
	conf, c := n.inForce(), &n.change
	joint := len(n.conf.Outgoing) > 0
	if (conf.Index > n.log.commit && !(joint && n.mutated(mutLeaveEarly))) || n.log.commit < n.termStart {
		return
	}
	switch {
	case joint:
		if c.active {
			n.mark(MarkJointLeft)
		} else {
			n.mark(MarkJointInherited)
		}
		next := n.conf
		next.Outgoing, next.AutoLeave = nil, false
		n.appendConfiguration(&next, out)
	case c.waiting:
		n.watchCatchUp(out)
	case c.active:
		n.mark(MarkChangeDone)
		n.endChange(RefusalNone, out)
	}
	if !joint && !c.active && n.transfer.target == 0 && !n.electable() {
		n.leave(out)
	}
}

// endChange answers the change under way.
func (n *Node) endChange(why Refusal, out *Effects) {
	a := ChangeAnswer{RequestID: n.change.request, Index: n.inForce().Index, Refused: why}
	if why == RefusalNone {
		a.Configuration = n.conf
	}
	n.change = changing{}
	n.answerChange(a, out)
}

func (n *Node) answerChange(a ChangeAnswer, out *Effects) {
	out.Changes = append(out.Changes, a)
	out.fact(Fact{Kind: FactChangeEnded, Term: n.term, Index: a.Index, Refusal: a.Refused})
}

// PlanChange returns the configurations that r would pass through, the last of
// them the one that it asks for, or why it would be refused now. It does nothing.
// An empty path: the configuration is in force already.
func (n *Node) PlanChange(r *ChangeRequest) ([]Configuration, Refusal) {
	target, why := n.plan(r)
	if why != RefusalNone || sameConfiguration(&target, &n.conf) {
		return nil, why
	}
	var path []Configuration
	now := n.conf
	if !r.CatchUp.Skip {
		if first, some := withLearners(&now, &target); some {
			path, now = append(path, first), first
		}
	}
	if votersDiffer(&now, &target) > 1 {
		joint := target
		joint.Outgoing, joint.AutoLeave = now.Incoming, true
		path = append(path, joint)
	}
	return append(path, target), RefusalNone
}
