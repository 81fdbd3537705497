package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// writes follows what was handed to the driver and is not known to be durable.
// It answers one question: which write must complete before this may be said?
//
// Writes complete in order. A truncation raises the epoch, and completions of an
// older epoch are ignored: the write that truncated, and so every write before
// it, has a completion of its own to come. That is why pending never holds
// entries of two epochs: a position means one entry only.
type writes struct {
	last  uint64 // the newest WriteID given out
	done  uint64 // the newest known to be durable
	hard  uint64 // the newest that changed term or vote
	epoch uint64

	pending []write // those that hold entries of the current epoch, oldest first
}

// write tells that when id is durable, the log is durable up to last.
type write struct {
	id   uint64
	last Index
}

// begin returns the WriteID of out, giving it one if it had none.
func (w *writes) begin(out *Effects) uint64 {
	if out.WriteID == 0 {
		w.last++
		out.WriteID = w.last
	}
	out.Epoch = w.epoch
	return out.WriteID
}

// holds notes that write id makes the log durable up to last.
func (w *writes) holds(id uint64, last Index) {
	if k := len(w.pending); k > 0 && w.pending[k-1].id == id {
		w.pending[k-1].last = last
		return
	}
	w.pending = append(w.pending, write{id, last})
}

// gate returns the write that makes the log durable up to i, which is beyond what
// is durable: the oldest that reaches so far.
func (w *writes) gate(i Index) uint64 {
	id := w.last
	for k := len(w.pending) - 1; k >= 0 && w.pending[k].last >= i; k-- {
		id = w.pending[k].id
	}
	return id
}

// termGate returns the write that makes the current term and vote durable; 0
// when they are.
func (w *writes) termGate() uint64 {
	if w.hard > w.done {
		return w.hard
	}
	return 0
}

// hardStateChanged makes the write of this step carry term and vote.
func (n *Node) hardStateChanged(out *Effects) {
	n.writes.hard = n.writes.begin(out)
}

// appendEntries puts entries behind the log's last and into the write of out.
func (n *Node) appendEntries(entries []Entry, out *Effects) {
	if len(entries) == 0 {
		return
	}
	id := n.writes.begin(out)
	if len(out.Append) == 0 {
		out.AppendFrom = n.log.last + 1
	}
	out.Append = append(out.Append, entries...)
	out.MustSync = true
	first := n.log.last + 1
	n.log.append(entries)
	n.writes.holds(id, n.log.last)
	n.noteChanges(first, entries, out)
}

// truncate removes everything from index on, in the write of out. What out holds
// of it already, from an earlier step that was not carried out yet, goes too, and
// answers that promised it are turned into refusals.
func (n *Node) truncate(index Index, out *Effects) {
	durable := n.log.durable
	n.log.truncate(index)
	w := &n.writes
	if n.mutated(mutDurableStays) {
		n.log.durable = durable
	} else {
		w.epoch++
	}
	id := w.begin(out)
	w.pending = append(w.pending[:0], write{id, index - 1})
	if w.hard > w.done {
		w.hard = id
	}
	out.MustSync = true
	switch {
	case len(out.Append) == 0: // and so nothing was truncated in out
		out.TruncateFrom = index
	case index <= out.AppendFrom:
		n.mark(MarkCutOfAllUnwritten)
		if index < out.AppendFrom || out.TruncateFrom != 0 {
			out.TruncateFrom = index
		}
		out.Append = nil // messages of out may share it
	default:
		n.mark(MarkCutOfUnwritten)
		out.Append = append([]Entry(nil), out.Append[:index-out.AppendFrom]...)
	}
	for i := range out.SendAfter {
		g := &out.SendAfter[i]
		if m := &g.Message; g.WriteID == id && m.Kind == MessageAppendAnswer && m.Matched >= index {
			n.mark(MarkPromiseWithdrawn)
			m.Status, m.Matched, m.Round, m.Term = raftpb.AppendStatusStaleTerm, 0, 0, n.term
		}
	}
	out.fact(Fact{Kind: FactTruncated, Term: n.term, Index: index})
	n.undoChanges(index, out)
}

// onPersisted takes the completion of a write, and of all before it.
func (n *Node) onPersisted(id, epoch uint64, out *Effects) {
	w := &n.writes
	if id > w.last || epoch > w.epoch {
		n.fail(broken("write %d of epoch %d completed, newest is %d of epoch %d", id, epoch, w.last, w.epoch))
		return
	}
	if epoch < w.epoch {
		n.mark(MarkWriteOvertaken)
		out.fact(Fact{Kind: FactStaleWrite, Term: n.term})
		return
	}
	if id <= w.done {
		n.mark(MarkWriteRepeated)
		return
	}
	if id > w.done+1 {
		n.mark(MarkWritesTogether)
	}
	w.done = id
	k := 0
	for ; k < len(w.pending) && w.pending[k].id <= id; k++ {
		n.log.durable = max(n.log.durable, w.pending[k].last)
	}
	w.pending = append(w.pending[:0], w.pending[k:]...)
	switch n.role {
	case raftpb.RoleLeader:
		n.advanceCommit(out)
		n.feedWitnesses(out)
	case raftpb.RoleCandidate:
		n.countVotes(out)
	}
}

// handOutHardState puts term, vote and commit into the write, if they changed. A
// commit alone rides along with a write that is there anyway, and gets one of its
// own, which owes no sync, only when flushCommit says so.
func (n *Node) handOutHardState(out *Effects) {
	now := HardState{Term: n.term, Vote: n.vote, Commit: n.log.commit}
	if now == n.saved || (out.WriteID == 0 && !n.flushCommit) {
		n.flushCommit = false
		return
	}
	n.flushCommit = false
	if now.Commit != n.saved.Commit && now.Term == n.saved.Term && now.Vote == n.saved.Vote {
		if out.WriteID == 0 {
			n.mark(MarkCommitAlone)
		} else {
			n.mark(MarkCommitRodeAlong)
		}
	}
	n.writes.begin(out)
	if now.Term != n.saved.Term || now.Vote != n.saved.Vote {
		out.MustSync = true
	}
	out.hardState, out.HardState = now, &out.hardState
	n.saved = now
}

// answer sends an answer as soon as what it says is durable: the term it carries
// and, if gate is not 0, that write.
func (n *Node) answer(m Message, gate uint64, out *Effects) {
	term := n.writes.termGate()
	if gate == 0 && term != 0 {
		n.mark(MarkAnswerWaitsForTerm)
	}
	if gate = max(gate, term); gate == 0 {
		out.SendNow = append(out.SendNow, m)
		return
	}
	out.SendAfter = append(out.SendAfter, Gated{WriteID: gate, Message: m})
}

// answerTo is the empty answer to m.
func (n *Node) answerTo(m *Message, kind MessageKind) Message {
	return Message{Kind: kind, From: n.cfg.ID, To: m.From, Call: m.Call, Term: n.term}
}
