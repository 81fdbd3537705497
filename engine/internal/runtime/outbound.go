package runtime

import (
	"errors"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
)

// sender turns messages of the core into calls, and answers into replies. It
// belongs to its worker. The requests are reused: the network has encoded them
// when Call returns.
type sender struct {
	w       *worker
	entries []raft.Entry // scratch of stepProposals

	vote      raftpb.VoteRequest
	append_   raftpb.AppendRequest
	readIndex raftpb.ReadIndexRequest
	beats     []peerBeats

	appendAnswer raftpb.AppendResponse
}

// peerBeats are the beats of one drain for one peer: one heartbeat carries them all.
type peerBeats struct {
	to     raft.NodeID
	groups []*Group
	req    raftpb.HeartbeatRequest
}

func (s *sender) init(w *worker) { s.w = w }

// message sends m: a request as a call, an answer to who asked.
func (s *sender) message(g *Group, m *raft.Message) {
	switch m.Kind {
	case raft.MessageVoteAnswer, raft.MessageAppendAnswer, raft.MessageBeatAck, raft.MessageReadIndexAnswer,
		raft.MessageTimeoutNowAnswer, raft.MessageSnapshotAnswer:
		if a := g.calls.take(m.Call); a != nil {
			a.answer(s.w, m)
		}
	case raft.MessageBeat:
		s.beat(g, m)
	default:
		s.request(g, m)
	}
}

// leaveOut lets a heartbeat's reply go without an ack that waits for a write:
// the other groups of that heartbeat need not wait for it. The next beat of this
// group is answered in full.
func (s *sender) leaveOut(g *Group, m *raft.Message) {
	if m.Kind != raft.MessageBeatAck {
		return
	}
	if a := g.calls.take(m.Call); a != nil {
		a.drop(nil)
	}
	m.Call = 0 // another request gets that number before the write is done
}

func (s *sender) request(g *Group, m *raft.Message) {
	var err error
	net, to := s.w.host.network, m.To
	switch m.Kind {
	case raft.MessageVote:
		s.vote = raftpb.VoteRequest{
			Group: g.id, Term: m.Term, Candidate: g.self, LastIndex: m.LastIndex, LastTerm: m.LastTerm,
			PreVote: m.PreVote, Transfer: m.Transfer,
		}
		err = net.Call(to, transport.LaneControl, raftpb.RaftPeerVote, &s.vote, g.onVote(to, s.w.now))
	case raft.MessageAppend:
		s.append_ = raftpb.AppendRequest{
			Group: g.id, Term: m.Term, Leader: g.self, PrevIndex: m.PrevIndex, PrevTerm: m.PrevTerm,
			Commit: m.Commit, Entries: m.Entries, Round: m.Round,
		}
		err = net.Call(to, transport.LaneAppend, raftpb.RaftPeerAppend, &s.append_, g.onAppend(to))
		s.append_.Entries = nil
	case raft.MessageTimeoutNow:
		err = s.timeoutNow(g, to, m.Term)
	case raft.MessageReadIndex:
		s.readIndex = raftpb.ReadIndexRequest{Group: g.id, Origin: g.self, Context: m.Context}
		err = net.Call(to, transport.LaneControl, raftpb.RaftPeerReadIndex, &s.readIndex, g.onReadIndex(to, m.Context))
	}
	if err != nil {
		g.unreachable(to)
	}
}

func (g *Group) unreachable(peer raft.NodeID) {
	g.w.inbox.notify(notice{group: g, peer: peer, unreachable: true}, false)
}

// The answers arrive on goroutines of the transport and go to the inbox as messages.

func (g *Group) onVote(from raft.NodeID, asked raft.Time) func(codec.Message, error) {
	return func(resp codec.Message, err error) {
		v, ok := resp.(*raftpb.VoteResponse)
		if err != nil || !ok {
			g.unreachable(from)
			return
		}
		g.w.inbox.answered(g, raft.Message{
			Kind: raft.MessageVoteAnswer, From: from, To: g.self, Term: v.Term, Granted: v.Granted,
			PreVote: v.PreVote, Reason: v.Reason, AskedTerm: v.AskedTerm,
		}, asked)
	}
}

func (g *Group) onAppend(from raft.NodeID) func(codec.Message, error) {
	return func(resp codec.Message, err error) {
		v, ok := resp.(*raftpb.AppendResponse)
		if err != nil || !ok {
			g.unreachable(from)
			return
		}
		g.w.inbox.answered(g, raft.Message{
			Kind: raft.MessageAppendAnswer, From: from, To: g.self, Term: v.Term, Status: v.Status,
			PrevIndex: v.PrevIndex, Matched: v.Matched, Round: v.Round,
			ConflictTerm: v.ConflictTerm.Value, ConflictIndex: v.ConflictIndex.Value, LogLast: v.LastIndex.Value,
		}, 0)
	}
}

func (g *Group) onReadIndex(from raft.NodeID, context int64) func(codec.Message, error) {
	return func(resp codec.Message, err error) {
		m := raft.Message{Kind: raft.MessageReadIndexAnswer, From: from, To: g.self, Context: context}
		var notLeader *raftpb.NotLeader
		if v, ok := resp.(*raftpb.ReadIndexResponse); ok && err == nil {
			m.Term, m.ReadIndex, m.Busy = v.Term, v.Index, v.Index == 0
		} else if errors.As(err, &notLeader) {
			m.Term = notLeader.Term
		}
		g.w.inbox.answered(g, m, 0)
	}
}

func (s *sender) beat(g *Group, m *raft.Message) {
	var p *peerBeats
	for i := range s.beats {
		if s.beats[i].to == m.To {
			p = &s.beats[i]
		}
	}
	if p == nil {
		s.beats = append(s.beats, peerBeats{to: m.To})
		p = &s.beats[len(s.beats)-1]
	}
	p.groups = append(p.groups, g)
	p.req.Beats = append(p.req.Beats, raftpb.Beat{Group: g.id, Term: m.Term, Commit: m.Commit, Round: m.Round, Quiesce: m.Quiesce})
	if len(p.req.Beats) == raftpb.MaxGroupsPerHeartbeat {
		s.flushPeer(p)
	}
}

// flush sends one heartbeat per peer that has beats.
func (s *sender) flush() {
	for i := range s.beats {
		if p := &s.beats[i]; len(p.groups) > 0 {
			s.flushPeer(p)
		}
	}
}

func (s *sender) flushPeer(p *peerBeats) {
	host, to := s.w.host, p.to
	p.req.Leader, p.req.BootID = host.cfg.Node, host.presence.life.Load()
	var groups []*Group
	asked := s.w.now
	if len(p.groups) == 1 {
		g := p.groups[0] // the common case without a copy of the list
		err := host.network.Call(to, transport.LaneControl, raftpb.RaftPeerHeartbeat, &p.req, func(resp codec.Message, err error) {
			host.beatsAnswered(to, asked, resp, err, g)
		})
		if err != nil {
			g.unreachable(to)
		}
	} else {
		groups = append(groups, p.groups...)
		err := host.network.Call(to, transport.LaneControl, raftpb.RaftPeerHeartbeat, &p.req, func(resp codec.Message, err error) {
			host.beatsAnswered(to, asked, resp, err, groups...)
		})
		if err != nil {
			for _, g := range groups {
				g.unreachable(to)
			}
		}
	}
	clear(p.groups)
	p.groups, p.req.Beats = p.groups[:0], p.req.Beats[:0]
}

// beatsAnswered hands the acks of a heartbeat to their groups. A group that is
// left out hears nothing: its next beat is answered. The time that it took is that of the
// first: one heartbeat is one measurement.
func (h *Host) beatsAnswered(from raft.NodeID, asked raft.Time, resp codec.Message, err error, groups ...*Group) {
	v, ok := resp.(*raftpb.HeartbeatResponse)
	if err != nil || !ok {
		for _, g := range groups {
			g.unreachable(from)
		}
		return
	}
	if n := h.presence.find(from); n != nil {
		h.presence.heard(n)
	}
	for i, ack := range v.Acks {
		g := h.find(ack.Group)
		if h.mutated(mutAcksByPlace) && i < len(groups) {
			g = groups[len(groups)-1-i]
		}
		if g != nil {
			g.w.inbox.answered(g, raft.Message{
				Kind: raft.MessageBeatAck, From: from, To: g.self, Term: ack.Term, Round: ack.Round, Wake: ack.Wake,
			}, asked)
			asked = 0
		}
	}
}
