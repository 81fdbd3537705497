package raft

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// watch sees all nodes at once and forgets nothing. The numbers in the messages
// are those of the invariants in the project's test plan.
type watch struct {
	leaders   map[Term]NodeID
	votes     map[[2]int64]NodeID     // (voter, term): whom it told that it votes for it
	chains    map[[2]int64]uint64     // (index, term): hash of the log up to there
	committed map[Index]committedMark // never changes
	highest   Index                   // what any client may have seen acknowledged
	granted   int
}

type committedMark struct {
	term  Term
	body  uint64
	chain uint64
}

func (w *watch) init() {
	w.leaders = map[Term]NodeID{}
	w.votes = map[[2]int64]NodeID{}
	w.chains = map[[2]int64]uint64{}
	w.committed = map[Index]committedMark{}
}

// bodyOf is the proposal's number, which stands in for its checksum: a witness has
// no body.
func bodyOf(e *Entry) uint64 { return uint64(e.Crc32c) }

// extend continues a chain of hashes, one for each entry.
func extend(chain []uint64, entries []Entry) []uint64 {
	h := chain[len(chain)-1]
	for i := range entries {
		h = (h ^ uint64(entries[i].Term)) * 0x9e3779b97f4a7c15
		h = (h ^ h>>29 ^ bodyOf(&entries[i])) * 0xbf58476d1ce4e5b9
		h ^= h >> 32
		chain = append(chain, h)
	}
	return chain
}

// checkNode looks at one node after each step.
func (c *cluster) checkNode(s *server) {
	n := s.node
	if n.term < s.term {
		c.failf("I7: node %d falls from term %d to %d", s.id, s.term, n.term)
	}
	s.term = n.term
	l := &n.log
	if l.applied > l.commit || l.commit > l.last || l.durable > l.last || l.tail.hi != l.last+1 {
		c.failf("I8: node %d: applied %d commit %d durable %d last %d tail %d", s.id, l.applied, l.commit, l.durable, l.last, l.tail.hi)
	}
	if n.role != raftpb.RoleLeader {
		return
	}
	for i := range n.members {
		p := &n.members[i]
		if i == n.self {
			continue
		}
		if p.match >= p.next || p.match > l.last || p.inflight.count > n.cfg.MaxInflightAppends ||
			p.window.appends > n.cfg.MaxInflightAppends || p.window.appends < n.cfg.MinInflightAppends {
			c.failf("I8: leader %d: member %d match %d next %d inflight %d", s.id, p.id, p.match, p.next, p.inflight.count)
		}
		if p.inflight.bytes > n.cfg.MaxInflightBytes+n.cfg.MaxAppendBytes+200 {
			c.failf("I19: leader %d: member %d has %d bytes in flight", s.id, p.id, p.inflight.bytes)
		}
	}
	if limit := n.cfg.MaxUncommittedBytes + 4*(68+entryOverhead); l.backlog() > limit+l.tail.bytes(0, n.termStart+1) {
		c.failf("I19: leader %d: backlog of %d bytes", s.id, l.backlog())
	}
}

// checkEffects looks at what is about to be carried out: the log it makes, and
// who leads.
func (c *cluster) checkEffects(s *server) {
	out, w := &s.out, &c.watch
	if out.Install != nil {
		c.checkInstall(s, out.Install)
	}
	if out.TruncateFrom > 0 {
		if out.TruncateFrom <= s.commit {
			c.failf("I6: node %d truncates from %d, committed is %d", s.id, out.TruncateFrom, s.commit)
			return
		}
		s.shadow = s.shadow[:out.TruncateFrom]
	}
	if len(out.Append) > 0 {
		if int(out.AppendFrom) != len(s.shadow) {
			c.failf("node %d appends at %d, its log ends at %d", s.id, out.AppendFrom, len(s.shadow)-1)
			return
		}
		s.shadow = extend(s.shadow, out.Append)
		for i := range out.Append {
			at := out.AppendFrom + Index(i)
			key := [2]int64{int64(at), int64(out.Append[i].Term)}
			if h, ok := w.chains[key]; ok && h != s.shadow[at] {
				c.failf("I3: node %d: another log with term %d at %d", s.id, out.Append[i].Term, at)
			}
			w.chains[key] = s.shadow[at]
		}
	}
	c.checkConfigurations(s)
	for _, f := range out.Facts {
		if f.Kind == FactRole && f.Role == raftpb.RoleLeader {
			if id, ok := w.leaders[f.Term]; ok && id != s.id {
				c.failf("I1: %d and %d lead term %d", id, s.id, f.Term)
			}
			w.leaders[f.Term] = s.id
			c.checkElected(s, f.Term)
			c.doom(s)
		}
	}
	if n := s.node; n.role == raftpb.RoleLeader && s.led != n.term {
		s.led = n.term
		c.checkComplete(s)
	} else if n.role == raftpb.RoleLeader && out.TruncateFrom >= n.termStart {
		c.failf("I2: leader %d truncates its own entries from %d", s.id, out.TruncateFrom)
	}
	if d := int(s.node.log.durable); d >= len(s.disk.chain) || d >= len(s.shadow) || s.disk.chain[d] != s.shadow[d] {
		c.failf("I9: node %d holds %d for durable, its disk does not have it", s.id, d)
	}
}

// checkComplete demands that a new leader has everything committed.
func (c *cluster) checkComplete(s *server) {
	top := c.watch.highest
	if top == 0 {
		return
	}
	if int(top) >= len(s.shadow) || s.shadow[top] != c.watch.committed[top].chain {
		c.failf("I4: leader %d of term %d lacks committed %d", s.id, s.node.term, top)
	}
}

// checkCommit looks at newly committed entries: the same everywhere, and durable
// on a quorum when they are first seen.
func (c *cluster) checkCommit(s *server, span Span) {
	if span.Empty() {
		return
	}
	if span.Lo > s.commit+1 && s.commit != 0 {
		c.failf("I5: node %d: commit goes from %d to %d", s.id, s.commit, span.Lo)
	}
	for i := span.Lo; i < span.Hi; i++ {
		if int(i) >= len(s.shadow) {
			c.failf("I6: node %d commits %d, its log ends at %d", s.id, i, len(s.shadow)-1)
			return
		}
		if mark, ok := c.watch.committed[i]; ok {
			if mark.chain != s.shadow[i] {
				c.failf("I5: node %d commits another log at %d", s.id, i)
			}
			continue
		}
		c.firstCommit(s, i)
	}
	s.commit = span.Hi - 1
	c.watch.highest = max(c.watch.highest, s.commit)
}

func (c *cluster) firstCommit(s *server, i Index) {
	entries, err := s.node.Entries(nil, i, i+1, 1)
	if err != nil || len(entries) != 1 {
		c.failf("node %d cannot read committed %d: %v", s.id, i, err)
		return
	}
	c.checkLease(s, i)
	c.watch.committed[i] = committedMark{entries[0].Term, bodyOf(&entries[0]), s.shadow[i]}
}

// checkPromise holds what leaves a node against its disk.
func (c *cluster) checkPromise(s *server, m *Message) {
	hs := s.disk.hs
	c.checkDoubt(s, m)
	if m.Kind == MessageTimeoutNow {
		s.handed = m.Term
	}
	switch {
	case m.Kind == MessageVote && m.PreVote:
		return
	case m.Kind == MessageReadIndex:
		return
	case m.Term > hs.Term:
		c.failf("I9: node %d sends %v of term %d, its disk has %d", s.id, m.Kind, m.Term, hs.Term)
	}
	s.shown = max(s.shown, m.Term)
	switch {
	case m.Kind == MessageVote:
		c.checkVote(s, m.Term, s.id)
	case m.Kind == MessageVoteAnswer && m.Granted && !m.PreVote:
		c.checkVote(s, m.Term, m.To)
	case m.Kind == MessageSnapshotAnswer && m.Matched > 0:
		if i := m.Matched; int(i) >= len(s.disk.chain) || s.disk.chain[i] != c.watch.committed[i].chain {
			c.failf("I9: node %d acknowledges a snapshot up to %d, its disk does not have it", s.id, i)
		}
	case m.Kind == MessageAppendAnswer && m.Status == raftpb.AppendStatusOk:
		i := m.Matched
		if int(i) >= len(s.disk.chain) {
			c.failf("I9: node %d acknowledges %d, its disk ends at %d", s.id, i, len(s.disk.chain)-1)
			return
		}
		leader := c.server(m.To)
		if n := leader.node; n != nil && n.role == raftpb.RoleLeader && n.term == m.Term && !leader.lazy {
			if int(i) >= len(leader.shadow) || leader.shadow[i] != s.disk.chain[i] {
				c.failf("I9: node %d acknowledges %d, which is not what its leader has there", s.id, i)
			}
		}
	}
}

func (c *cluster) checkVote(s *server, term Term, to NodeID) {
	key := [2]int64{int64(s.id), int64(term)}
	if was, ok := c.watch.votes[key]; ok && was != to {
		c.failf("I7: node %d votes for %d and %d in term %d", s.id, was, to, term)
	}
	c.watch.votes[key] = to
	if hs := s.disk.hs; hs.Term == term && hs.Vote != to {
		c.failf("I9: node %d votes for %d in term %d, its disk says %+v", s.id, to, term, hs)
	}
}

// checkRead demands that a read sees all that was acknowledged before it came.
func (c *cluster) checkRead(s *server, r ReadGrant) {
	least, ok := s.reads[r.ReadID]
	if !ok {
		c.failf("node %d grants read %d twice, or one that nobody wanted", s.id, r.ReadID)
		return
	}
	delete(s.reads, r.ReadID)
	if r.Refused {
		return
	}
	c.watch.granted++
	c.tracef("read on %d at %d, at least %d", s.id, r.Index, least)
	if r.Index < least {
		c.failf("I13: node %d serves a read at %d, acknowledged was %d", s.id, r.Index, least)
	}
}

// settle ends all faults and demands what must then happen: a leader, a commit
// that reaches everybody, an answer to every call and every read.
func (c *cluster) settle() {
	c.calm = true
	clear(c.cut)
	c.run(c.now + 4*simElection) // late messages and restarts
	deadline := c.now + 20*simElection
	if c.knobs.cfg.DisablePreVote && c.knobs.admin.rate > 0 {
		deadline += 80 * simElection // who knows only an old configuration keeps raising terms
	}
	proposed := false
	for c.failed == "" {
		c.run(c.now + simHeartbeat)
		leader := c.leader()
		if !proposed && leader != nil {
			proposed = c.propose(leader)
		}
		if proposed && c.converged(leader) {
			break
		}
		if c.now > deadline {
			c.failf("liveness: no progress: %s", c.statuses())
		}
	}
	c.checkPeace()
	for _, s := range c.nodes {
		for call, at := range s.calls {
			if at != answered && at < c.now-simElection {
				c.failf("node %d never answered call %d", s.id, call)
			}
		}
	}
}

// checkPeace demands that nobody disturbs a healthy group (I12): not those that were
// removed and do not know it, nor those that never were members.
func (c *cluster) checkPeace() {
	var term Term
	if s := c.leader(); s != nil {
		term = s.node.term
	}
	c.run(c.now + 5*simElection)
	cfg := &c.knobs.cfg
	if c.failed != "" || cfg.DisablePreVote || cfg.DisableCheckQuorum || c.knobs.admin.priorities {
		return
	}
	if s := c.leader(); s == nil || s.node.term != term {
		c.failf("I12: the leader of term %d was disturbed: %s", term, c.statuses())
	}
}

func (c *cluster) leader() *server {
	for _, s := range c.nodes {
		if s.node != nil && s.node.role == raftpb.RoleLeader {
			return s
		}
	}
	return nil
}

func (c *cluster) converged(leader *server) bool {
	if leader == nil {
		return false
	}
	n := leader.node
	if n.change.active || n.transfer.target != 0 || len(n.conf.Outgoing) > 0 || n.inForce().Index > n.log.commit {
		return false
	}
	for _, s := range c.nodes {
		if n.position(s.id) < 0 {
			continue
		}
		if s.node == nil || s.node.leader != leader.id || s.node.log.commit != n.log.last || len(s.reads)+len(s.asked) > 0 {
			return false
		}
		if !s.witness && s.commit != n.log.last {
			return false
		}
	}
	return true
}

func (c *cluster) statuses() string {
	text := ""
	for _, s := range c.nodes {
		if s.node == nil {
			text += fmt.Sprintf("\n  %d: down", s.id)
			continue
		}
		st := s.node.Status()
		text += fmt.Sprintf("\n  %d: %v term %d vote %d leader %d last %d durable %d commit %d queued %d, open: reads %v requests %v change %v transfer to %d; %+v",
			s.id, st.Role, st.Term, st.Vote, st.Leader, st.Last, st.Durable, st.Commit, len(s.queued), s.reads, s.asked, st.Changing, st.TransferTo, st.Members)
	}
	return text
}

func messageText(m *Message) string {
	text := fmt.Sprintf("%v term=%d", m.Kind, m.Term)
	switch m.Kind {
	case MessageVote:
		text += fmt.Sprintf(" last=%d/%d pre=%v", m.LastIndex, m.LastTerm, m.PreVote)
	case MessageVoteAnswer:
		text += fmt.Sprintf(" granted=%v asked=%d pre=%v reason=%d", m.Granted, m.AskedTerm, m.PreVote, m.Reason)
	case MessageAppend:
		text += fmt.Sprintf(" prev=%d/%d commit=%d round=%d entries=%d", m.PrevIndex, m.PrevTerm, m.Commit, m.Round, len(m.Entries))
	case MessageAppendAnswer:
		text += fmt.Sprintf(" status=%d prev=%d matched=%d round=%d hint=%d/%d last=%d", m.Status, m.PrevIndex, m.Matched, m.Round, m.ConflictIndex, m.ConflictTerm, m.LogLast)
	case MessageBeat, MessageBeatAck:
		text += fmt.Sprintf(" commit=%d round=%d", m.Commit, m.Round)
	case MessageSnapshot:
		text += fmt.Sprintf(" %d/%d done=%v", m.Snapshot.Index, m.Snapshot.Term, m.Done)
	case MessageSnapshotAnswer:
		text += fmt.Sprintf(" %v matched=%d", m.SnapshotStatus, m.Matched)
	case MessageReadIndex, MessageReadIndexAnswer:
		text += fmt.Sprintf(" context=%d index=%d", m.Context, m.ReadIndex)
	}
	return text
}
