package bare

import (
	"slices"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// forged makes of a message that is about to arrive at s one that could be, as far as
// it goes, and that is wrong: what s knows contradicts it. It must be refused and change
// nothing; a lie that nobody could know from the truth is none of these, for Raft does
// not stand such liars. False: this message does not lend itself to it.
func (w *World) forged(s *server, m *raft.Message) (lie raft.Message, ok bool) {
	lie = *m
	leader, term := s.node.Leader()
	ofLeader := leader != 0 && leader == m.From && term == m.Term
	switch m.Kind {
	case raft.MessageAppendAnswer, raft.MessageBeatAck, raft.MessageSnapshotAnswer:
		if w.odd.Intn(2) == 0 {
			lie.Round = 1 << 40
		} else {
			lie.Matched = 1 << 40
		}
		return lie, true
	case raft.MessageBeat, raft.MessageTimeoutNow:
		if !ofLeader {
			return lie, false
		}
		return w.usurped(s, lie)
	case raft.MessageAppend:
		switch {
		case !ofLeader:
			return lie, false
		case w.odd.Intn(3) == 0:
			return w.usurped(s, lie)
		}
		return w.rewritten(s, lie)
	case raft.MessageSnapshot:
		switch {
		case !ofLeader:
			return lie, false
		case w.odd.Intn(3) == 0:
			return w.usurped(s, lie)
		}
		is := *m.Snapshot
		lie.Snapshot = &is
		is.Term = other(is.Term, 1, m.Term)
		return lie, is.Index >= s.was.First && is.Index <= s.was.Commit && is.Term != m.Snapshot.Term
	default:
		return lie, false
	}
}

// usurped lets somebody else, if there is anybody, claim the leadership of the message's
// term.
func (w *World) usurped(s *server, lie raft.Message) (raft.Message, bool) {
	others := len(w.servers)
	for k := range others {
		if id := w.servers[(int(s.index)+1+k)%others].id; id != s.id && id != lie.From {
			lie.From = id
			return lie, true
		}
	}
	return lie, false
}

// other is a term near t, between least and most, that is not t, if there is one.
func other(t, least, most raft.Term) raft.Term {
	if t > least {
		return t - 1
	}
	return min(t+1, most)
}

// rewritten gives an append another past: a term of what is committed here.
func (w *World) rewritten(s *server, lie raft.Message) (raft.Message, bool) {
	prev := lie.PrevIndex
	if w.odd.Intn(2) == 0 && prev >= s.was.First && prev <= s.was.Commit {
		was := lie.PrevTerm
		lie.Entries = nil
		lie.PrevTerm = other(was, 1, lie.Term)
		return lie, lie.PrevTerm != was
	}
	k := int(max(s.was.First-prev-1, 0)) // the first that s can compare
	if k >= len(lie.Entries) || prev+1+raft.Index(k) > s.was.Commit {
		return lie, false
	}
	lie.Entries = slices.Clone(lie.Entries)
	was, least := lie.Entries[k].Term, max(lie.PrevTerm, 1)
	if k > 0 {
		least = lie.Entries[k-1].Term
	}
	lie.Entries[k].Term = other(was, least, lie.Term)
	for i := k + 1; i < len(lie.Entries); i++ {
		lie.Entries[i].Term = max(lie.Entries[i].Term, lie.Entries[k].Term)
	}
	return lie, lie.Entries[k].Term != was
}

// mangled makes of a message one that nobody honest could have sent.
func (w *World) mangled(m *raft.Message) raft.Message {
	const tooFar = 1<<62 + 1
	n := *m
	if m.Kind == raft.MessageSnapshot && w.network.Intn(2) == 0 {
		w.mangleContent(&n)
		return n
	}
	switch w.network.Intn(16) {
	case 0:
		n.Kind = 0
	case 1:
		n.Kind = 255
	case 2:
		n.From = n.To
	case 3:
		n.To++
	case 4:
		n.Term = -1
	case 5:
		n.Term = tooFar
	case 6:
		n.LastIndex = -1
	case 7:
		n.Commit = tooFar
	case 8:
		n.Round = -5
	case 9:
		n.ConflictTerm = -1
	case 10:
		n.Matched, n.ReadIndex = -1, -1
	case 11:
		n.From = 0
	default:
		w.mangleContent(&n)
	}
	return n
}

// mangleContent breaks what only some kinds of messages have.
func (w *World) mangleContent(n *raft.Message) {
	switch n.Kind {
	case raft.MessageVote:
		n.LastTerm = n.Term + 1
	case raft.MessageBeat:
		n.Term = 0
	case raft.MessageAppend:
		w.mangleEntries(n)
	case raft.MessageSnapshot:
		is := *n.Snapshot
		n.Snapshot = &is
		switch w.network.Intn(3) {
		case 0:
			n.Snapshot = nil
		case 1:
			is.ConfigurationIndex = is.Index + 1
		default:
			is.Configuration, n.Done = raft.Configuration{}, true
		}
	default:
		n.Entries = []raft.Entry{{Term: 1}}
	}
}

// mangleEntries puts an impossible entry before those of an append.
func (w *World) mangleEntries(n *raft.Message) {
	e := raft.Entry{Term: n.Term, Kind: raftpb.EntryKindConfig}
	switch w.network.Intn(9) {
	case 0:
		n.PrevTerm = n.Term + 1
		return
	case 1:
		n.PrevIndex, n.PrevTerm, n.Entries = 1<<62, 1, []raft.Entry{{Term: n.Term, Kind: raftpb.EntryKindNoop}}
		return
	case 2:
		e.Term, e.Kind = n.Term+1, raftpb.EntryKindNoop
	case 3:
		e.Body = []byte{1}
	case 4:
		none := raft.Configuration{}
		e.Body = none.AppendCompact(nil)
	case 5:
		some := w.initial()
		e.Body = append(some.AppendCompact(nil), 0)
	case 6:
		e.StrippedBytes = codec.Some[int32](3)
	default:
		e.Kind = raftpb.EntryKindCommand // a body for a witness, or none for another
		if to := int(n.To) - 1; to >= 0 && to < len(w.servers) && !w.servers[to].witness {
			e.StrippedBytes = codec.Some[int32](3)
		} else {
			e.Body = []byte{1}
		}
	}
	n.Entries = append([]raft.Entry{e}, n.Entries...)
}
