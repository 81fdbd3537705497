package raft

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// propose appends commands: propose 1 a b c; or count=N of size=S bytes.
func (s *stage) propose() {
	var entries []Entry
	for _, arg := range s.d.CmdArgs[1:] {
		if len(arg.Vals) == 0 {
			entries = append(entries, command(0, arg.Key))
		}
	}
	for range s.value("count", 0) {
		entries = append(entries, command(0, strings.Repeat("x", int(s.value("size", 0)))))
	}
	a := s.actor()
	s.step(a, Event{Kind: EventPropose, Proposals: entries})
}

// tick lets time pass and fires the timers that come due: tick 100. With only=1
// the other nodes' timers wait.
func (s *stage) tick(end Time) {
	before := s.out.String()
	for next := s.due(end); next != nil; next = s.due(end) {
		s.now = max(s.now, next.timer)
		s.printf("t=%d timer of %d\n", s.now, next.id)
		s.step(next, Event{Kind: EventTimer})
	}
	s.now = end
	if s.flag("quiet") {
		s.forget(before)
	}
}

// due is the node whose timer comes first, at end or before.
func (s *stage) due(end Time) *actor {
	if s.fired++; s.fired > 20000 {
		panic("time stands still") // only a mutant does that
	}
	var next *actor
	for _, a := range s.nodes {
		if a.node == nil || a.timer > end || (s.flag("only") && s.value("only", 0) != int64(a.id)) {
			continue
		}
		if next == nil || a.timer < next.timer {
			next = a
		}
	}
	return next
}

// run lets the whole world live for a while, and shows nothing of it.
func (s *stage) run(end Time) {
	before := s.out.String()
	s.settle()
	for next := s.due(end); next != nil; next = s.due(end) {
		s.now = max(s.now, next.timer)
		s.step(next, Event{Kind: EventTimer})
		s.settle()
	}
	s.now = end
	s.forget(before)
}

func (s *stage) forget(before string) {
	s.out.Reset()
	io.WriteString(&s.out, before)
}

// settle completes all writes and delivers all messages until nothing is left.
// With quiet it does not show how.
func (s *stage) settle() {
	before := s.out.String()
	for range 1000 {
		busy := false
		for _, a := range s.nodes {
			if a.node != nil && len(a.queued) > 0 {
				busy = true
				s.persist(a, len(a.queued))
			}
		}
		net := s.net
		s.net = nil
		for _, m := range net {
			busy = true
			s.handOver(m, false)
		}
		if !busy {
			break
		}
	}
	if s.flag("quiet") {
		s.forget(before)
	}
}

// elect makes a node leader and lets everything settle, without showing how:
// elect 1. It waits until nobody believes in another leader.
func (s *stage) elect() {
	a := s.actor()
	for _, other := range s.nodes {
		if other.node != nil && other != a {
			other.node.leaderHeard -= 1000
		}
	}
	s.step(a, Event{Kind: EventCampaign})
	s.settle()
	s.out.Reset()
	if a.node.role != raftpb.RoleLeader {
		s.printf("%d was not elected\n", a.id)
		return
	}
	s.printf("%d leads term %d, last %d, commit %d\n", a.id, a.node.term, a.node.log.last, a.node.log.commit)
}

// partition cuts or heals links: cut 1 2 (both ways), cut 1 2 one-way, heal.
func (s *stage) partition() {
	if s.d.Cmd == "heal" {
		clear(s.cut)
		return
	}
	one := NodeID(number(s.t, s.d.CmdArgs[0].Key))
	for _, arg := range s.d.CmdArgs[1:] {
		if arg.Key == "one-way" {
			continue
		}
		other := NodeID(number(s.t, arg.Key))
		s.cut[[2]NodeID{one, other}] = true
		if !s.flag("one-way") {
			s.cut[[2]NodeID{other, one}] = true
		}
	}
}

// inject makes up a message: send append from=1 to=2 term=1 prev=0/0 entries=(1,1).
func (s *stage) inject() {
	m := Message{From: NodeID(s.value("from", 0)), To: NodeID(s.value("to", 0)), Term: Term(s.value("term", 0))}
	for k := MessageVote; k < messageKinds; k++ {
		if k.String() == s.d.CmdArgs[0].Key {
			m.Kind = k
		}
	}
	pair := func(key string) (Index, Term) {
		var i, t int64
		for _, arg := range s.d.CmdArgs {
			if arg.Key == key {
				fmt.Sscanf(arg.Vals[0], "%d/%d", &i, &t)
			}
		}
		return Index(i), Term(t)
	}
	m.LastIndex, m.LastTerm = pair("last")
	m.PrevIndex, m.PrevTerm = pair("prev")
	m.PreVote, m.Transfer, m.Granted = s.flag("pre"), s.flag("transfer"), s.flag("granted")
	m.Commit, m.Round = Index(s.value("commit", 0)), s.value("round", 0)
	m.AskedTerm, m.Matched = Term(s.value("asked", 0)), Index(s.value("matched", 0))
	m.Context, m.ReadIndex = s.value("context", 0), Index(s.value("index", 0))
	m.Status = raftpb.AppendStatus(s.value("status", 0))
	for _, arg := range s.d.CmdArgs {
		if arg.Key == "entries" {
			for _, v := range arg.Vals {
				m.Entries = append(m.Entries, command(Term(number(s.t, v)), "made-up"))
			}
		}
		if arg.Key == "stripped" {
			for _, v := range arg.Vals {
				m.Entries = append(m.Entries, command(Term(number(s.t, v)), "made-up"))
			}
			strip(m.Entries)
		}
	}
	if in := strings.TrimSpace(s.d.Input); in != "" {
		m.Entries = append(m.Entries, Entry{Term: m.Term, Kind: raftpb.EntryKindConfig, Body: s.configuration(in)})
	}
	s.post(m)
	last := s.net[len(s.net)-1]
	s.net = s.net[:len(s.net)-1]
	s.handOver(last, false)
}

// configuration encodes "1 2 3 learners 4 / 1 2": incoming / outgoing.
func (s *stage) configuration(text string) []byte {
	var c Configuration
	half, suffrage := &c.Incoming, raftpb.SuffrageVoter
	for word := range strings.FieldsSeq(text) {
		switch word {
		case "/":
			half, suffrage = &c.Outgoing, raftpb.SuffrageVoter
		case "witnesses":
			suffrage = raftpb.SuffrageWitness
		case "learners":
			suffrage = raftpb.SuffrageLearner
		case "broken":
			return []byte{0xff}
		default:
			*half = append(*half, Member{ID: NodeID(number(s.t, word)), Suffrage: suffrage})
		}
	}
	return c.AppendCompact(nil)
}

// show prints the effects of a step, in the order in which they are carried out.
func (s *stage) show(a *actor) {
	out := &a.eff
	say := func(format string, args ...any) { s.printf("  %d: "+format+"\n", append([]any{a.id}, args...)...) }
	for _, f := range out.Facts {
		say("%s", factText(f))
	}
	if !out.Accepted.Empty() {
		say("accepted [%d, %d)", out.Accepted.Lo, out.Accepted.Hi)
	}
	if out.WriteID != 0 {
		text := fmt.Sprintf("write %d", out.WriteID)
		if out.Epoch > 0 {
			text += fmt.Sprintf(" epoch %d", out.Epoch)
		}
		if h := out.HardState; h != nil {
			text += fmt.Sprintf(": term %d vote %d commit %d", h.Term, h.Vote, h.Commit)
		}
		if i := out.Install; i != nil {
			text += fmt.Sprintf(", install %d/%d", i.Index, i.Term)
		}
		if out.TruncateFrom > 0 {
			text += fmt.Sprintf(", truncate from %d", out.TruncateFrom)
		}
		if len(out.Append) > 0 {
			text += fmt.Sprintf(", append %s", entriesText(out.AppendFrom, out.Append))
		}
		if !out.MustSync {
			text += ", no sync"
		}
		say("%s", text)
	}
	for i := range out.SendNow {
		say("now:     %s", scriptMessage(&out.SendNow[i]))
	}
	for i := range out.SendAfter {
		say("after %d: %s", out.SendAfter[i].WriteID, scriptMessage(&out.SendAfter[i].Message))
	}
	s.showMore(a, say)
	if !out.Commit.Empty() {
		say("commit [%d, %d)", out.Commit.Lo, out.Commit.Hi)
	}
	s.showAnswers(a)
	for _, r := range out.Reads {
		if r.Refused {
			say("read %d refused: %v", r.ReadID, r.Why)
		} else {
			say("read %d granted at %d", r.ReadID, r.Index)
		}
	}
}

func factText(f Fact) string {
	text := f.Kind.String()
	switch f.Kind {
	case FactTerm:
		text = fmt.Sprintf("enters term %d", f.Term)
	case FactRole:
		text = fmt.Sprintf("is now %v in term %d", f.Role, f.Term)
	case FactLeader:
		text = fmt.Sprintf("leader is %d", f.Peer)
	case FactVoted:
		text = fmt.Sprintf("votes for %d in term %d", f.Peer, f.Term)
	case FactChangeStarted, FactChangeEnded, FactTransferStarted, FactTransferSent, FactTransferEnded, FactProposalRefused:
		text = changeFactText(f)
	case FactVoteRefused:
		text += fmt.Sprintf(" to %d: %v", f.Peer, f.Reason)
	case FactInvalidMessage, FactUnknownMember:
		text += fmt.Sprintf(" from %d: %v", f.Peer, f.Message)
	case FactProbe, FactReplicate, FactSnapshotNeeded, FactSnapshotFailed, FactAppendRefused:
		text += fmt.Sprintf(" %d at %d", f.Peer, f.Index)
	case FactTruncated, FactConfiguration, FactSnapshotInstalled:
		text += fmt.Sprintf(" from %d", f.Index)
	}
	return text
}

// entriesText is "5:2 6:2(a)": index:term and a short body.
func entriesText(from Index, entries []Entry) string {
	if len(entries) > 6 {
		return fmt.Sprintf("%d entries %d..%d", len(entries), from, from+Index(len(entries))-1)
	}
	var words []string
	for i := range entries {
		words = append(words, fmt.Sprintf("%d:%d%s", from+Index(i), entries[i].Term, entryText(&entries[i])))
	}
	return strings.Join(words, " ")
}

func scriptMessage(m *Message) string {
	text := fmt.Sprintf("%d->%d %v term=%d", m.From, m.To, m.Kind, m.Term)
	switch m.Kind {
	case MessageVote:
		text += fmt.Sprintf(" last=%d/%d", m.LastIndex, m.LastTerm)
		if m.PreVote {
			text += " pre"
		}
		if m.Transfer {
			text += " transfer"
		}
	case MessageVoteAnswer:
		text += fmt.Sprintf(" asked=%d", m.AskedTerm)
		if m.PreVote {
			text += " pre"
		}
		if m.Granted {
			text += " granted"
		} else {
			text += " refused " + m.Reason.String()
		}
	case MessageAppend:
		text += fmt.Sprintf(" prev=%d/%d commit=%d round=%d", m.PrevIndex, m.PrevTerm, m.Commit, m.Round)
		if len(m.Entries) > 0 {
			text += " " + entriesText(m.PrevIndex+1, m.Entries)
		}
	case MessageAppendAnswer:
		text += fmt.Sprintf(" %v prev=%d round=%d", m.Status, m.PrevIndex, m.Round)
		switch m.Status {
		case raftpb.AppendStatusOk:
			text += fmt.Sprintf(" matched=%d", m.Matched)
		case raftpb.AppendStatusUncertain:
			text += fmt.Sprintf(" stored=%d hint=%d/%d last=%d", m.Matched, m.ConflictIndex, m.ConflictTerm, m.LogLast)
		case raftpb.AppendStatusLogMismatch:
			text += fmt.Sprintf(" hint=%d/%d last=%d", m.ConflictIndex, m.ConflictTerm, m.LogLast)
		}
	case MessageBeat:
		text += fmt.Sprintf(" commit=%d round=%d", m.Commit, m.Round)
		if m.Quiesce {
			text += " quiesce"
		}
	case MessageBeatAck:
		text += fmt.Sprintf(" round=%d", m.Round)
		if m.Wake {
			text += " wake"
		}
	case MessageTimeoutNowAnswer:
		if m.Granted {
			text += " granted"
		} else {
			text += " refused"
		}
	case MessageReadIndexAnswer:
		text += fmt.Sprintf(" index=%d", m.ReadIndex)
	case MessageSnapshot:
		text += fmt.Sprintf(" %d/%d", m.Snapshot.Index, m.Snapshot.Term)
		if m.Done {
			text += " done"
		}
	case MessageSnapshotAnswer:
		text += fmt.Sprintf(" %v matched=%d", m.SnapshotStatus, m.Matched)
	}
	return text
}

// status shows all nodes, or one with what it knows of the members.
func (s *stage) status() {
	for _, a := range s.nodes {
		if a.node == nil {
			s.printf("%d: down\n", a.id)
			continue
		}
		st := a.node.Status()
		s.printf("%d: %v term %d vote %d leader %d log [%d, %d] durable %d commit %d\n",
			st.ID, st.Role, st.Term, st.Vote, st.Leader, st.First, st.Last, st.Durable, st.Commit)
		if len(s.d.CmdArgs) == 0 || number(s.t, s.d.CmdArgs[0].Key) != int64(a.id) {
			continue
		}
		for _, m := range st.Members {
			s.printf("   %d %v %v match %d next %d in flight %d", m.ID, m.Suffrage, m.State, m.Match, m.Next, m.InflightAppends)
			if !s.showWindows || m.ID == a.id {
				s.printf("\n")
				continue
			}
			s.printf(" of %d\n", m.WindowAppends)
		}
	}
}

func (s *stage) tune(a *actor) {
	s.step(a, Event{Kind: EventTune, Election: Time(s.value("election", 0)), Sync: Time(s.value("sync", 0))})
}

func (s *stage) apply(a *actor) {
	a.applied = a.commit
	s.step(a, Event{Kind: EventApplied, Applied: a.applied})
}
