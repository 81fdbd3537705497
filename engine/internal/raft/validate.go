package raft

import "github.com/seed-814fcd60/raftwire/gen/raftpb"

// maxIndex is where logs end: no sum of a position and a length overflows below it.
const maxIndex Index = 1 << 62

// checkMessage is the one place that judges what a peer sent before anything is
// done about it. It returns what is wrong, or "".
func (n *Node) checkMessage(m *Message) string {
	switch {
	case m.Kind < MessageVote || m.Kind >= messageKinds:
		return "kind"
	case m.From <= 0 || m.From == n.cfg.ID:
		return "from"
	case m.To != n.cfg.ID:
		return "to"
	case m.Term < 0 || m.Term > maxTerm || m.AskedTerm < 0 || m.AskedTerm > maxTerm:
		return "term"
	case outOfRange(m.LastIndex) || outOfRange(m.PrevIndex) || outOfRange(m.Commit) || outOfRange(m.Matched) ||
		outOfRange(m.ConflictIndex) || outOfRange(m.LogLast) || outOfRange(m.ReadIndex):
		return "index"
	case m.Round < 0 || m.Context < 0 || m.ConflictTerm < 0:
		return "negative"
	case m.Kind != MessageAppend && len(m.Entries) > 0:
		return "entries"
	}
	switch m.Kind {
	case MessageVote:
		// A candidate has raised its term; its log cannot be ahead of it.
		if m.Term == 0 || m.LastTerm < 0 || m.LastTerm > m.Term || (m.LastIndex == 0) != (m.LastTerm == 0) {
			return "vote"
		}
	case MessageAppend:
		return n.checkAppend(m)
	case MessageBeat, MessageTimeoutNow:
		if m.Term == 0 {
			return "term"
		}
	case MessageSnapshot:
		return checkSnapshot(m)
	}
	return ""
}

// checkSnapshot: a snapshot is of something, and of nothing newer than its leader;
// one that is to be installed says who is in the group.
func checkSnapshot(m *Message) string {
	s := m.Snapshot
	switch {
	case s == nil || m.Term == 0 || s.Index <= 0 || s.Index > maxIndex || s.Term <= 0 || s.Term > m.Term:
		return "snapshot"
	case s.ConfigurationIndex < 0 || s.ConfigurationIndex > s.Index:
		return "configuration index"
	case m.Done && (len(s.Configuration.Incoming) == 0 || checkConfiguration(&s.Configuration) != nil):
		return "configuration"
	}
	return ""
}

func outOfRange(i Index) bool { return i < 0 || i > maxIndex }

// checkAppend holds an append against what every log obeys: terms rise from
// prevTerm up to the leader's, and no entry is without a kind.
func (n *Node) checkAppend(m *Message) string {
	if m.Term == 0 || m.PrevTerm < 0 || m.PrevTerm > m.Term || (m.PrevIndex == 0) != (m.PrevTerm == 0) {
		return "previous"
	}
	if m.PrevIndex > maxIndex-Index(len(m.Entries)) {
		return "index"
	}
	least := max(m.PrevTerm, 1)
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Term < least || e.Term > m.Term || e.Kind <= raftpb.EntryKindUnspecified {
			return "entry"
		}
		if why := n.checkStripped(e); why != "" {
			return why
		}
		if e.Kind == raftpb.EntryKindConfig {
			if _, err := parseConfiguration(e.Body); err != nil {
				return "configuration"
			}
		}
		least = e.Term
	}
	return ""
}

// refuse answers a request that is not served, so that no call waits for ever:
// without a status, a vote, a round or an index, which is never a yes. What is no
// request gets no answer.
func (n *Node) refuse(m *Message, out *Effects) {
	switch m.Kind {
	case MessageVote:
		answer := n.answerTo(m, MessageVoteAnswer)
		answer.PreVote, answer.AskedTerm = m.PreVote, m.Term
		n.answer(answer, 0, out)
	case MessageAppend:
		answer := n.answerTo(m, MessageAppendAnswer)
		answer.PrevIndex = m.PrevIndex
		n.answer(answer, 0, out)
	case MessageBeat:
		n.answer(n.answerTo(m, MessageBeatAck), 0, out)
	case MessageTimeoutNow:
		n.answer(n.answerTo(m, MessageTimeoutNowAnswer), 0, out)
	case MessageSnapshot:
		answer := n.answerTo(m, MessageSnapshotAnswer)
		answer.SnapshotStatus = raftpb.SnapshotStatusRejected
		n.answer(answer, 0, out)
	case MessageReadIndex:
		answer := n.answerTo(m, MessageReadIndexAnswer)
		answer.Context = m.Context
		n.answer(answer, 0, out)
	}
}
