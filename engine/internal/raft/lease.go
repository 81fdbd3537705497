package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// A lease lets a leader serve reads without a round (dissertation, section 6.4.1).
// Whoever echoes a round has heard this leader after the round was sent, and from
// then on refuses votes for half an election time-out by its own clock. So from the
// moment at which the latest round that a quorum has echoed was SENT, nobody can be
// elected for that long, less the bound by which clocks may differ.
//
//	leader     sent 7 ---------------- echoed 7         LeaseUntil
//	             |<------- E/2 - ClockBound ---------------->|
//	follower         heard 7                                   votes again
//	                   |<--------------- E/2 ------------------>|
//
// What has to hold besides: the promise outlives the follower's restart, and its
// knowing who leads; and a leader that told another to campaign has no lease in that
// term any more, because such votes are not refused.

// leaseRounds is for how many rounds the time of sending is kept. An echo of an
// older one extends no lease.
const leaseRounds = 64

type sentRound struct {
	round int64
	at    Time
}

// lease is the leader's: when its newest rounds were sent.
type lease struct {
	sent [leaseRounds]sentRound
}

func (l *lease) start(round int64, now Time) {
	l.sent[round&(leaseRounds-1)] = sentRound{round, now}
}

// longAgo is before every time that counts.
const longAgo Time = -1 << 62

// promise is for how long a voter that heard a leader gives no vote: a constant, however
// long the node waits for leaders at present (see onTune).
func (n *Node) promise() Time { return n.cfg.ElectionTimeout / 2 }

// promised reports whether a leader that this node heard may hold a lease by it,
// whoever leads now and whenever this node was started.
func (n *Node) promised() bool {
	if n.mutated(mutPromiseForgotten) && n.leaderHeard == 0 {
		return false
	}
	return n.cfg.ClockBound > 0 && n.now < n.promisedUntil
}

// loadPromise takes over what a former life may have promised. A node that has never
// been in a term has promised nothing. One that is alone may not have been for long: the
// leader that made it so, and leaves by that, may still hold a lease by its word.
func (n *Node) loadPromise(hs HardState) {
	if n.cfg.ClockBound > 0 && (hs.Term > 0 || n.cfg.DoubtFrom > 0) {
		n.promisedUntil = n.now + n.promise()
	}
}

// leaseUntil is until when this leader may serve reads from what it has applied; 0:
// it may not.
func (n *Node) leaseUntil() Time {
	if n.cfg.ClockBound == 0 || n.role != raftpb.RoleLeader || !n.ownTermCommitted() || n.log.applied < n.termStart {
		return 0
	}
	if n.handedOver == n.term && !n.mutated(mutLeaseAfterHandOver) {
		n.mark(MarkLeaseHandedOver)
		return 0
	}
	for i := range n.members {
		p := &n.members[i]
		n.scratch[i] = int64(longAgo)
		if r := n.lease.sent[p.round&(leaseRounds-1)]; p.round == 0 || r.round != p.round {
			if p.round != 0 {
				n.mark(MarkLeaseRoundForgotten)
			}
			continue
		} else if n.scratch[i] = int64(r.at); n.mutated(mutLeaseFromReceipt) {
			n.scratch[i] = int64(p.contact)
		}
	}
	if n.self >= 0 {
		n.scratch[n.self] = int64(n.now)
	}
	from := Time(n.voters.reached(&n.scratch))
	if from <= longAgo {
		return 0
	}
	until := from + n.promise() - n.cfg.ClockBound
	if n.mutated(mutLeaseGrows) {
		until = from + n.election/2 - n.cfg.ClockBound
	}
	if until <= n.now {
		return 0
	}
	n.mark(MarkLeaseExtended)
	return until
}
