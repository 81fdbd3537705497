package raft

import (
	"math/rand/v2"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Node is one member of one group: the algorithm and nothing else. Step is the
// only way in, Effects the only way out. It has no clock, no goroutine, no lock
// and no I/O but reads of its Log; equal inputs give equal outputs. It belongs to
// one goroutine at a time.
//
// What a node keeps true, whatever arrives:
//
//   - A vote, an answer that carries a term, and a match index leave only through
//     SendAfter of the write that makes them durable, unless they are durable.
//   - In one term there is one vote, and it is cleared by a higher term only.
//   - commit never falls, never passes last, and nothing at or below it is truncated.
//   - A leader appends only; it counts its own log as far as its own writes completed.
//   - Every request is answered exactly once.
type Node struct {
	cfg Config
	rnd *rand.Rand
	now Time
	err error // the reason why this node is dead
	mutation

	// Durable scalars, as last handed to the driver or about to be.
	term  Term
	vote  NodeID
	saved HardState // what the last Effects.HardState said

	role   raftpb.Role
	leader NodeID // 0: unknown
	log    raftLog
	writes writes

	// conf is the configuration in force; members holds one record for each of
	// its members, by rising id.
	changes changes
	conf    Configuration
	voters  electorate
	members []progress
	self    int // position in members; -1: not a member
	witness bool

	electionAt  Time  // when to campaign, unless a leader is heard
	leaderHeard Time  // last word of the current leader
	verified    Index // the log is known to equal the current leader's up to here
	beatRound   int64 // the highest round of the current leader's
	doubt       doubt
	doubtful    bool // a leader's idea of what matches here may be from before the loss
	quiesce     quiesce
	stalled     bool  // the disk: see EventDiskStalled
	lacks       Index // the least that a snapshot must have for this node to go on applying; 0: none is needed

	election Time // how long to wait for a leader or a quorum: see onTune
	sync     Time // what a write takes here

	promisedUntil Time // no votes until then, if there are leases
	lease         lease
	votes         tally
	rank          rank

	// Leader.
	termStart Index // its no-op: nothing commits by counting below it
	beatAt    Time
	quorumAt  Time // when to look whether a quorum was heard
	reads     readQueue

	change     changing
	transfer   transfer
	handedOver Term // the last term in which this leader told another to campaign
	yieldAt    Time // not before: hand over to a higher priority
	yieldWait  Time
	compactTo  Index // where the driver wants the log to begin
	pinned     bool  // and a follower's snapshot holds it back

	handed      Index // committed entries up to here were handed out for applying
	flushCommit bool  // write a commit that moved alone
	scratch     [MaxMembers]int64
}

// New returns a node that continues from what its store holds: hs as last
// written, the entries of log, and a state machine that has applied everything up
// to applied. It returns an error for an invalid Config and for a store that
// contradicts itself.
func New(cfg Config, log Log, hs HardState, applied Index, now Time) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg:  cfg,
		rnd:  rand.New(rand.NewPCG(cfg.Seed, cfg.Boot)),
		now:  now,
		term: hs.Term,
		vote: hs.Vote,
		role: raftpb.RoleFollower,

		election: cfg.ElectionTimeout,
		witness:  cfg.Witness,
	}
	if err := n.loadLog(log, hs, applied); err != nil {
		return nil, err
	}
	n.saved = HardState{Term: hs.Term, Vote: hs.Vote, Commit: hs.Commit}
	n.reads.context = n.rnd.Int64N(doubtContext)
	if err := n.loadChanges(); err != nil {
		return nil, err
	}
	n.settleChanges()
	n.setConfiguration(n.changes[len(n.changes)-1].Configuration)
	n.role = n.restingRole()
	n.resetElectionTimer()
	n.loadDoubt()
	n.lacks = n.cfg.StateLost
	n.loadPromise(hs)
	if n.alone() {
		n.electionAt = max(now, n.promisedUntil)
	}
	n.verified = n.log.commit
	n.quiesce.activeAt = now
	return n, nil
}

// loadLog takes over the store and refuses one that contradicts itself.
func (n *Node) loadLog(log Log, hs HardState, applied Index) error {
	l := &n.log
	l.store, l.last = log, log.LastIndex()
	l.marks = n.cfg.Marks
	l.base = log.FirstIndex() - 1
	if err := l.loadTerm(&l.baseTerm, l.base); err != nil {
		return err
	}
	l.keepBytes, l.unappliedMax = n.cfg.TailBytes, n.cfg.MaxUncommittedBytes
	l.applied, l.commit, l.durable = applied, max(hs.Commit, applied, l.base), l.last
	l.tail.lo, l.tail.hi = l.last+1, l.last+1
	n.handed = max(applied, l.base)
	if err := l.loadTerm(&l.lastTerm, l.last); err != nil {
		return err
	}
	if n.cfg.DoubtFrom > 0 {
		n.distrust(hs)
	}
	if l.last == l.base && l.lastTerm > n.term {
		n.term, n.vote = l.lastTerm, 0 // an image came to the disk before the term: in that term nothing was promised
	}
	switch {
	case hs.Term < 0 || hs.Vote < 0 || hs.Commit < 0 || applied < 0:
		return broken("negative value in the store: %+v, applied %d", hs, applied)
	case l.commit > l.last:
		return broken("commit %d, applied %d, but the log ends at %d: acknowledged entries are missing", hs.Commit, applied, l.last)
	case l.lastTerm > n.term:
		return broken("the log ends in term %d, but the term is %d", l.lastTerm, n.term)
	case applied < l.base:
		return broken("applied %d, but the log begins after %d", applied, l.base)
	}
	return nil
}

// loadTerm reads the term of position i, 0 for position 0.
func (l *raftLog) loadTerm(t *Term, i Index) error {
	if i == 0 {
		return nil
	}
	var err error
	if *t, err = l.store.Term(i); err != nil {
		return &StoreError{Op: "term", Index: i, Err: err}
	}
	return nil
}

// Step takes one input and adds to out what must be done about it. Several steps
// may share one Effects before the driver carries it out: their write is then one.
//
// An error means a failed store or a broken invariant (StoreError, BrokenError):
// the node is dead, the contents of out must be thrown away, and every further
// Step returns the same error.
func (n *Node) Step(in Event, out *Effects) error {
	if n.err != nil {
		return n.err
	}
	n.now = max(n.now, in.Now)
	if n.cfg.QuiesceAfter > 0 {
		n.stir(&in, out)
	}
	switch in.Kind {
	case EventTimer:
		n.onTimer(out)
	case EventMessage:
		n.onMessage(in.Message, out)
	case EventPropose:
		n.onPropose(in.Proposals, out)
	case EventRead:
		n.onRead(in.ReadID, out)
	case EventPersisted:
		n.onPersisted(in.WriteID, in.Epoch, out)
	case EventApplied:
		n.onApplied(in.Applied)
	case EventUnreachable:
		n.onUnreachable(in.Peer, out)
	case EventSnapshotTaken:
		n.onSnapshotTaken(in.Snapshot, in.Keep)
	case EventSnapshotFailed:
		n.onSnapshotFailed(in.Peer, out)
	case EventCampaign:
		if n.role != raftpb.RoleLeader && n.mayCampaign(false) {
			n.campaign(out)
		}
	case EventDiskStalled:
		n.onDiskStalled(out)
	case EventDiskOK:
		n.onDiskOK(out)
	case EventWake: // stir did it
	case EventReadable:
		n.onReadable(out)
	case EventStateLost:
		n.onStateLost(in.Applied, out)
	case EventChange:
		n.onChange(in.Change, in.RequestID, out)
	case EventTune:
		n.onTune(in.Election, in.Sync)
	case EventTransfer:
		n.onTransfer(in.Peer, in.RequestID, out)
	default:
		n.fail(broken("event of unknown kind %d", in.Kind))
	}
	n.finish(out)
	if n.err == nil {
		n.err = n.log.err
	}
	return n.err
}

func (n *Node) fail(err error) {
	if n.err == nil {
		n.err = err
	}
}

// finish completes out with what is the same for every input.
func (n *Node) finish(out *Effects) {
	if n.role == raftpb.RoleLeader {
		n.driveChange(out)
	}
	if n.role == raftpb.RoleLeader && n.transfer.target != 0 {
		n.driveTransfer(out)
		if n.role == raftpb.RoleLeader && n.transfer.target == 0 {
			n.driveChange(out) // who was to leave, and waited for this to end, takes nothing more
		}
	}
	if n.compactTo > n.log.base+1 {
		n.compact(out)
	}
	n.handOutCommitted(out)
	n.handOutHardState(out)
	n.log.trim()
	if n.doubt.from != 0 {
		n.endDoubt(out)
	}
	if !n.log.damaged.Empty() {
		out.Damaged, n.log.damaged = n.log.damaged, Span{}
	}
	out.LeaseUntil = n.leaseUntil()
	out.NextTimer = n.nextTimer()
}

// handOutCommitted extends out.Commit by what was committed since.
func (n *Node) handOutCommitted(out *Effects) {
	end := n.log.commit
	if n.cfg.ApplyDurable && end > n.log.durable {
		n.mark(MarkApplyHeldBack)
		end = n.log.durable
	}
	if end <= n.handed {
		return
	}
	if n.witness {
		n.handed, n.log.applied = end, end // it has nothing to apply
		return
	}
	if out.Commit.Empty() {
		out.Commit.Lo = n.handed + 1
	}
	out.Commit.Hi = end + 1
	n.handed = end
}

// onApplied notes how far the state machine is.
func (n *Node) onApplied(applied Index) {
	if applied > n.handed {
		n.fail(broken("applied %d, but only entries up to %d were handed out", applied, n.handed))
		return
	}
	n.log.applied = max(n.log.applied, applied)
	if applied >= n.lacks {
		n.lacks = 0
	}
}

func (n *Node) onTimer(out *Effects) {
	n.expireForwards(out)
	if n.role == raftpb.RoleLeader {
		n.leaderTimer(out)
		return
	}
	n.expireTransfer(out)
	n.doubtTimer(out)
	if n.now < n.electionAt || n.quiesce.asleep || !n.electable() {
		n.mark(MarkTimerForNothing)
		return
	}
	if !n.mayCampaign(false) {
		n.resetElectionTimer()
		return
	}
	n.campaign(out)
}

func (n *Node) nextTimer() Time {
	next := n.reads.nextExpiry()
	if n.transfer.target != 0 && !n.mutated(mutTransferNeverEnds) {
		next = min(next, n.transfer.deadline)
	}
	next = min(next, n.doubt.askAt)
	switch {
	case n.quiesce.asleep:
	case n.role == raftpb.RoleLeader:
		if !n.alone() {
			next = min(next, n.beatAt)
			if !n.cfg.DisableCheckQuorum {
				next = min(next, n.quorumAt)
			}
		}
	case n.electable():
		next = min(next, n.electionAt)
	}
	return next
}

// onMessage is the gateway: nothing behind it sees a message that contradicts
// itself, and nothing but votes, appends and beats from a higher term.
func (n *Node) onMessage(m *Message, out *Effects) {
	if m == nil {
		n.fail(broken("EventMessage without a message"))
		return
	}
	if why := n.checkMessage(m); why != "" {
		out.fact(Fact{Kind: FactInvalidMessage, Peer: m.From, Term: m.Term, Message: m.Kind})
		n.refuse(m, out)
		return
	}
	switch m.Kind {
	case MessageVote:
		n.onVote(m, out)
	case MessageAppend:
		n.onAppend(m, out)
	case MessageBeat:
		n.onBeat(m, out)
	case MessageReadIndex:
		n.onReadIndex(m, out)
	case MessageTimeoutNow:
		n.onTimeoutNow(m, out)
	case MessageReadIndexAnswer:
		n.onReadIndexAnswer(m, out)
	case MessageSnapshot:
		n.onSnapshot(m, out)
	default:
		n.onAnswer(m, out)
	}
}

// onAnswer handles the answers that carry a term to obey: a higher one ends
// whatever this node was doing, a lower one is late.
func (n *Node) onAnswer(m *Message, out *Effects) {
	i := n.position(m.From)
	if i < 0 && n.mutated(mutAnyVote) && m.Kind == MessageVoteAnswer && m.Term == n.term {
		n.onVoteAnswer(m, 0, out)
		return
	}
	if i < 0 {
		n.mark(MarkAnswerFromStranger)
		out.fact(Fact{Kind: FactUnknownMember, Peer: m.From, Term: m.Term, Message: m.Kind})
		return
	}
	if m.Term > n.term && !(n.mutated(mutTermIgnored) && m.Kind != MessageVoteAnswer) {
		n.mark(MarkAnswerOfHigherTerm)
		n.becomeFollower(m.Term, 0, out)
		return
	}
	switch {
	case m.Kind == MessageVoteAnswer:
		n.onVoteAnswer(m, i, out)
	case m.Term < n.term || n.role != raftpb.RoleLeader:
		n.mark(MarkAnswerLate)
	case m.Kind == MessageAppendAnswer:
		n.onAppendAnswer(m, &n.members[i], out)
	case m.Kind == MessageBeatAck:
		n.onBeatAck(m, &n.members[i], out)
	case m.Kind == MessageTimeoutNowAnswer:
		n.onTimeoutNowAnswer(m, out)
	case m.Kind == MessageSnapshotAnswer:
		n.onSnapshotAnswer(m, &n.members[i], out)
	}
}

// becomeFollower leaves any role, entering term if it is a higher one. The vote
// is cleared by a higher term only: a node that stands down within its term has
// voted in it.
func (n *Node) becomeFollower(term Term, leader NodeID, out *Effects) {
	was := n.role
	switch was {
	case raftpb.RoleLeader:
		n.mark(MarkLeaderDeposed)
	case raftpb.RolePrecandidate, raftpb.RoleCandidate:
		n.mark(MarkCandidateStoodDown)
	}
	if term > n.term {
		n.wake(MarkWokenByMessage, out)
		n.term, n.verified, n.beatRound = term, n.log.commit, 0
		n.doubtful = n.doubt.from != 0
		if !n.mutated(mutVoteKept) {
			n.vote = 0
		}
		n.hardStateChanged(out)
		out.fact(Fact{Kind: FactTerm, Term: term})
	} else if n.mutated(mutVoteCleared) {
		n.vote = 0
	}
	n.role = n.restingRole()
	n.votes = tally{}
	if was != n.role {
		n.resetElectionTimer()
		out.fact(Fact{Kind: FactRole, Term: n.term, Role: n.role, Peer: leader})
	}
	if was == raftpb.RoleLeader {
		n.wake(MarkWokenByMessage, out)
		n.stopStreams(out)
		n.endReads(out)
		if n.change.active {
			n.mark(MarkChangeOfDeposed)
			n.endChange(RefusalLeadershipLost, out)
		}
	}
	n.setLeader(leader, out)
}

// setLeader notes who leads the current term. Reads that were passed to another
// leader will not be answered by it.
func (n *Node) setLeader(leader NodeID, out *Effects) {
	if n.leader == leader {
		return
	}
	n.leader = leader
	n.endForwards(out)
	if leader != 0 {
		out.fact(Fact{Kind: FactLeader, Term: n.term, Peer: leader})
	}
	n.leaderKnown(out)
}

// restingRole is the role of a node that neither leads nor wants to.
func (n *Node) restingRole() raftpb.Role {
	if n.self >= 0 && n.members[n.self].suffrage == raftpb.SuffrageLearner {
		return raftpb.RoleLearner
	}
	return raftpb.RoleFollower
}

// electable reports whether this node may lead: a voter that holds state. One that
// an entry of its log removes may, too, until that entry is committed: the others
// may not be able to elect anybody else (section 4.2.2). It has no vote of its own
// then.
func (n *Node) electable() bool {
	if n.witness {
		return false
	}
	if n.voters.has(n.self) && n.members[n.self].suffrage == raftpb.SuffrageVoter || n.mutated(mutLearnerCampaigns) && n.self >= 0 {
		return true
	}
	for k := len(n.changes) - 1; k > 0 && n.changes[k].Index > n.log.commit; k-- {
		if leads(&n.changes[k-1].Configuration, n.cfg.ID) {
			return true
		}
	}
	return false
}

// alone reports whether this node decides everything by itself.
func (n *Node) alone() bool {
	return n.self >= 0 && len(n.members) == 1 && n.electable()
}

// resetElectionTimer waits anew: a random time in [E/2, E], in a part of it by
// priority.
func (n *Node) resetElectionTimer() {
	least, most := n.electionWait()
	if n.mutated(mutNotRandom) {
		most = least
	}
	n.electionAt = n.now + least + Time(n.rnd.Int64N(int64(most-least)+1))
}

// Entries appends the entries of [lo, hi) to dst, from memory or from the Log,
// until their sizes would pass maxBytes, but at least one; it may stop early
// where memory begins. For the driver: what Effects.Commit asks to apply. Bodies
// are shared with the node and never written to. A DamagedError says that the entry at
// lo is to be repaired; it is no failure.
func (n *Node) Entries(dst []Entry, lo, hi Index, maxBytes int) ([]Entry, error) {
	if lo <= n.log.base || hi > n.log.last+1 {
		return dst, broken("entries [%d, %d) wanted of [%d, %d)", lo, hi, n.log.base+1, n.log.last+1)
	}
	dst = n.log.entries(dst, lo, hi, maxBytes)
	if d := n.log.damaged; d.Lo == lo && d.Hi > lo && n.log.err == nil {
		n.log.damaged = Span{}
		return dst, &DamagedError{Damaged: d}
	}
	return dst, n.log.err
}
