// Package judge tells the independent checkers of a simulation what the cores of a
// group do: the invariants after every step, the refinement model of the abstract
// steps, and a hash of everything for comparing runs. A world calls it for each step
// of a core and each thing that happens to a node; it translates and decides nothing.
//
//	world -- Stepped, Durable, Leaves, Crashed, Restarted --> Group --> invariant.Observer
//	                                                               \--> model.Model
//	                                                               \--> schedule.Hash
package judge

import (
	"encoding/binary"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Options of a Group.
type Options struct {
	Invariants invariant.Options
	// Refine checks every step against the model, too.
	Refine bool
	// Observer watches several groups: then they must not share an entry. nil: this one
	// gets its own.
	Observer *invariant.Observer
	ID       raftpb.GroupID // 0: 1
	// Stripped says that some nodes hold entries without their bodies: entries are told
	// apart by length and checksum alone.
	Stripped bool
}

// Group judges one Raft group. One goroutine at a time may use it.
type Group struct {
	Observer *invariant.Observer
	Watched  *invariant.Group // for what only the world knows: clients, health

	Events     uint64 // steps of cores
	Deliveries uint64 // of them, messages
	Elections  uint64 // won
	Hash       schedule.Hash

	stripped bool
	bounded  bool // there are limits to what a node piles up
	model    *model.Model
	rejected error
	nodes    map[raft.NodeID]*Node
	entries  []invariant.Entry
	steps    []model.Entry
}

// New returns the judge of a group that begins with a configuration and empty logs.
func New(o Options, c *raft.Configuration) *Group {
	g := &Group{Observer: o.Observer, stripped: o.Stripped, nodes: map[raft.NodeID]*Node{}}
	if g.Observer == nil {
		g.Observer = invariant.New(o.Invariants)
	}
	g.bounded = g.Observer.Limits() != invariant.Limits{}
	g.Watched = g.Observer.Group(max(1, o.ID), *ConfigOf(c))
	if o.Refine {
		m := modelConfig(c)
		g.model = model.New(*m)
	}
	return g
}

// Err returns the first objection of any of the checkers, nil if there is none.
func (g *Group) Err() error {
	if v := g.Observer.First(); v != nil {
		return v
	}
	return g.rejected
}

// Node returns the judge's side of node id.
func (g *Group) Node(id raft.NodeID) *Node {
	n := g.nodes[id]
	if n == nil {
		n = &Node{group: g, id: id, Watched: g.Watched.Node(id)}
		n.was.Role = raftpb.RoleFollower
		g.nodes[id] = n
	}
	return n
}

// Node is what the judge knows of one node.
type Node struct {
	Watched *invariant.Node

	group  *Group
	id     raft.NodeID
	was    raft.Glance // at the end of its last step
	base   uint64      // added to the numbers of writes, which begin anew with each life
	down   bool
	newest uint64     // the highest number given out, base included
	snap   raft.Index // where its newest snapshot ends
	piled  int        // bytes of its backlog after its last step
	writes []write
	doubt  bool
	lost   bool          // something of its store, since it was repaired: a doubt alone may be about nothing
	voters []raft.NodeID // whose votes were delivered in the candidacy of term votes, itself included
	votes  raft.Term
}

// write is what a disk holds once the write is durable.
type write struct {
	id       uint64
	term     raft.Term
	vote     raft.NodeID
	last     raft.Index
	lastTerm raft.Term
}

// Role is the node's role after its last step.
func (n *Node) Role() raftpb.Role { return n.was.Role }

// Term is the node's term after its last step.
func (n *Node) Term() raft.Term { return n.was.Term }

// Stepped judges one step of a core that has just returned.
func (n *Node) Stepped(core *raft.Node, in *raft.Event, out *raft.Effects) {
	g := n.group
	g.Events++
	now := core.Glance()
	if in.Kind == raft.EventMessage {
		g.Deliveries++
		n.delivered(in.Message)
	}
	if in.Kind == raft.EventSnapshotTaken {
		n.hasSnapshot(in.Snapshot.Index)
	}
	if out.Install != nil {
		n.hasSnapshot(out.Install.Index)
	}
	if out.WriteID != 0 && (out.MustSync || len(out.Append) > 0 || out.TruncateFrom > 0 || out.Install != nil) {
		n.wrote(&now, out)
	}
	if out.CompactTo > 1 {
		n.Watched.Compacted(out.CompactTo - 1)
	}
	if now.Role == raftpb.RoleLeader && n.was.Role != raftpb.RoleLeader {
		g.Elections++
	}
	if g.model != nil && g.rejected == nil {
		n.refine(&now, in, out)
	}
	n.doubt = n.doubt && !out.Repaired
	n.observe(&now)
	if in.Kind == raft.EventMessage && now.Role == raftpb.RoleLeader && in.Message.From != n.id {
		n.progressed(core, in.Message.From)
	}
	if g.bounded {
		n.uses(core, in, out)
	}
	n.was = now
	n.confirms(in, out)
	g.hash(n.id, in, out, &now)
}

// confirms tells of reads that a leader takes and of those that it confirms, its own
// and those of others: each needs a round that began after it came.
func (n *Node) confirms(in *raft.Event, out *raft.Effects) {
	w := n.group.Watched
	switch {
	case in.Kind == raft.EventRead:
		w.ReadAsked(n.readID(in.ReadID, false))
	case in.Kind == raft.EventMessage && in.Message.Kind == raft.MessageReadIndex:
		w.ReadAsked(n.readID(in.Message.Call, true))
	}
	for i := range out.Reads {
		r := &out.Reads[i]
		id := n.readID(r.ReadID, false)
		if !r.Refused && (in.Kind != raft.EventMessage || in.Message.Kind != raft.MessageReadIndexAnswer) {
			n.Watched.ReadConfirmed(id, r.Index)
		}
		w.ReadDropped(id)
	}
	for i := range out.SendNow {
		m := &out.SendNow[i]
		if m.Kind != raft.MessageReadIndexAnswer {
			continue
		}
		id := n.readID(m.Call, true)
		if m.ReadIndex != 0 {
			n.Watched.ReadConfirmed(id, m.ReadIndex)
		}
		w.ReadDropped(id)
	}
}

// readID names a read to the observer: the node's own ones, and those that others
// passed on to it.
func (n *Node) readID(id uint64, passed bool) uint64 {
	out := uint64(1)<<63 | uint64(n.id)<<48 | id&(1<<47-1)
	if passed {
		out |= 1 << 47
	}
	return out
}

// hasSnapshot takes note of an image that is complete and durable.
func (n *Node) hasSnapshot(i raft.Index) {
	n.snap = max(n.snap, i)
	n.Watched.SnapshotDurable(i)
}

func (n *Node) observe(now *raft.Glance) {
	v := invariant.View{
		Role: now.Role, Term: now.Term, Vote: now.Vote, Commit: now.Commit, Applied: now.Applied,
		Snapshot: n.snap, Restoring: now.Applied < n.snap, First: now.First, Last: now.Last, LastTerm: now.LastTerm,
		Durable: now.Durable, Config: now.ConfigIndex, Uncertain: n.doubt,
	}
	n.Watched.Observe(&v)
}

func (n *Node) progressed(core *raft.Node, peer raft.NodeID) {
	if s, ok := core.Follower(peer); ok {
		n.Watched.Progressed(n.group.Watched.Node(peer), invariant.Progress{
			Match: s.Match, Next: s.Next, InflightMessages: s.InflightAppends, InflightBytes: int64(s.InflightBytes),
		})
	}
}

// uses tells what the node has piled up: not committed, if proposals came on top of
// others, which is when the limit holds; without an answer; and in this step's effects.
func (n *Node) uses(core *raft.Node, in *raft.Event, out *raft.Effects) {
	had := n.piled
	n.piled = core.Backlog()
	var r invariant.Resources
	if in.Kind == raft.EventPropose && !out.Accepted.Empty() && had > 0 {
		r.Uncommitted = int64(n.piled)
	}
	for i := range core.Members() {
		m := core.Member(i)
		r.Peer = max(r.Peer, int64(m.InflightBytes))
	}
	r.Effects = bytesOf(out.Append)
	for i := range out.SendNow {
		r.Effects += bytesOf(out.SendNow[i].Entries)
	}
	n.Watched.Uses(r)
}

func bytesOf(entries []raft.Entry) (sum int64) {
	for i := range entries {
		sum += int64(len(entries[i].Body))
	}
	return sum
}

// delivered tells of the message that is the event.
func (n *Node) delivered(m *raft.Message) {
	from := n.group.Watched.Node(m.From)
	if m.Kind == raft.MessageVoteAnswer && m.Granted && !m.PreVote && m.AskedTerm == n.votes {
		n.voters = append(n.voters, m.From)
	}
	if c, ok := claimOf(m, 0); ok {
		n.Watched.Delivered(from, &c)
	}
}

// wrote tells of the write that the core handed out.
func (n *Node) wrote(now *raft.Glance, out *raft.Effects) {
	g := n.group
	id := n.base + out.WriteID
	n.newest = max(n.newest, id)
	w := invariant.Write{ID: id, Term: now.Term, Vote: now.Vote, TruncateFrom: out.TruncateFrom}
	if len(out.Append) > 0 {
		w.From, w.Entries = out.AppendFrom, g.watchedEntries(out.Append)
	}
	if s := out.Install; s != nil {
		w.Snapshot = invariant.Mark{Index: s.Index, Term: s.Term}
	}
	n.Watched.Wrote(&w)
	n.writes = append(n.writes, write{id, now.Term, now.Vote, now.Last, now.LastTerm})
}

// Durable takes note that write id of the core, and all before it, are durable.
func (n *Node) Durable(id uint64) {
	id += n.base
	k := 0
	for k < len(n.writes) && n.writes[k].id <= id {
		k++
	}
	n.Watched.Persisted(id)
	if k == 0 {
		return
	}
	w := n.writes[k-1]
	n.writes = append(n.writes[:0], n.writes[k:]...)
	n.group.check(&model.Step{Kind: model.Durable, Node: n.id, Term: w.term, Vote: w.vote, Index: w.last, LastTerm: w.lastTerm})
}

// Leaves judges a message at the moment at which it leaves, after it waited for a
// write (0: for none).
func (n *Node) Leaves(m *raft.Message, waited uint64) {
	if waited != 0 {
		waited += n.base
	}
	switch m.Kind {
	case raft.MessageBeat, raft.MessageAppend:
		if m.Round != 0 {
			n.Watched.RoundSent(m.Term, m.Round)
		}
		return
	default:
	}
	if c, ok := claimOf(m, waited); ok {
		n.Watched.Sent(&c)
	}
}

// claimOf is what a message claims of its sender, if anything.
func claimOf(m *raft.Message, waited uint64) (c invariant.Claim, ok bool) {
	c = invariant.Claim{To: m.To, Term: m.Term, Write: waited}
	switch m.Kind {
	case raft.MessageVote:
		c.Kind = invariant.VoteAsk
		return c, !m.PreVote
	case raft.MessageVoteAnswer:
		c.Kind, c.Term = invariant.Vote, m.AskedTerm
		if m.PreVote {
			c.Kind = invariant.PreVote
		}
		return c, m.Granted
	case raft.MessageAppendAnswer:
		c.Round = m.Round
		switch m.Status {
		case raftpb.AppendStatusOk, raftpb.AppendStatusNeedSnapshot: // who lacks its state holds entries all the same
			c.Kind, c.Index = invariant.Ack, m.Matched
			return c, true
		case raftpb.AppendStatusLogMismatch:
			c.Kind = invariant.Beat
			return c, true
		default:
			return c, false
		}
	case raft.MessageSnapshotAnswer:
		c.Kind, c.Index = invariant.Ack, m.Matched
		return c, m.SnapshotStatus == raftpb.SnapshotStatusInstalled && m.Matched > 0
	case raft.MessageTimeoutNow:
		c.Kind = invariant.TimeOut
		return c, true
	case raft.MessageBeatAck:
		c.Kind, c.Round = invariant.Beat, m.Round
		return c, m.Round != 0
	default:
		return c, false
	}
}

// Down reports whether the node crashed and was not restarted since.
func (n *Node) Down() bool { return n.down }

// Crashed takes note that the node's memory is gone. Of a node that is down it is
// nothing new.
func (n *Node) Crashed() {
	if n.down {
		return
	}
	n.down = true
	n.Watched.Crashed()
	n.writes = n.writes[:0]
	n.base = n.newest
	n.group.check(&model.Step{Kind: model.Crash, Node: n.id})
}

// Disk is what a node finds when it starts.
type Disk struct {
	Hard        raft.HardState
	Incarnation int64
	Snapshot    raft.Index // what the log begins behind; 0: nothing
	Term        raft.Term  // of the entry there
	Finished    bool       // an image that had arrived became the log, in this start or one that failed
	Damaged     bool       // the store lost what it held, since the last start or in it
	InDoubt     bool       // the node knows that it may have
	DoubtFrom   raft.Index
	Image       raft.Index // where the newest image ends; at least Snapshot
	Entries     []raft.Entry
}

// Restarted judges what a node found on its disk; core is made of it.
func (n *Node) Restarted(core *raft.Node, d *Disk) {
	g := n.group
	n.down, n.doubt, n.lost = false, d.InDoubt, n.lost || d.Damaged
	im := invariant.Image{Term: d.Hard.Term, Vote: d.Hard.Vote, Incarnation: d.Incarnation, Entries: g.watchedEntries(d.Entries),
		Damaged: d.Damaged, DoubtFrom: d.DoubtFrom, Finished: d.Finished}
	im.Snapshot = invariant.Mark{Index: d.Snapshot, Term: d.Term}
	n.Watched.Restarted(&im)
	s := model.Step{Kind: model.Restart, Node: n.id, Term: d.Hard.Term, Vote: d.Hard.Vote, Commit: d.Hard.Commit}
	s.Index, s.LastTerm, s.Uncertain, s.Finished = d.Snapshot, d.Term, d.Damaged, d.Finished
	if k := len(d.Entries); k > 0 {
		s.Index, s.LastTerm = d.Snapshot+raft.Index(k), d.Entries[k-1].Term
	}
	g.check(&s)
	n.snap = max(d.Image, d.Snapshot)
	if n.snap > 0 {
		n.Watched.SnapshotDurable(n.snap)
	}
	n.piled = core.Backlog()
	n.was = core.Glance()
	n.was.Term, n.was.Vote, n.was.Commit = d.Hard.Term, d.Hard.Vote, d.Hard.Commit // a core in doubt may know of a later one
	g.Hash.Add(uint64(d.Hard.Term)<<32 ^ uint64(len(d.Entries)))
}

// Applied takes note that the node's state machine took in entries from first on.
func (n *Node) Applied(first raft.Index, entries []raft.Entry) {
	n.Watched.Applied(first, n.group.watchedEntries(entries))
}

// watchedEntries translates entries. The result is good until the next call.
func (g *Group) watchedEntries(entries []raft.Entry) []invariant.Entry {
	g.entries = g.entries[:0]
	for i := range entries {
		e := &entries[i]
		w := invariant.Entry{Term: e.Term, Kind: e.Kind, Sum: g.Sum(e)}
		if e.Kind == raftpb.EntryKindConfig {
			w.Config = configIn(e.Body)
		}
		g.entries = append(g.entries, w)
	}
	return g.entries
}

// Sum stands for the body of an entry: its checksum, its length and, where every node
// has it, both its ends.
func (g *Group) Sum(e *raft.Entry) uint64 {
	var h schedule.Hash
	size := len(e.Body)
	if e.StrippedBytes.Set {
		size = int(e.StrippedBytes.Value)
	}
	h.Add(uint64(uint32(e.Crc32c))<<32 | uint64(uint32(size)))
	if k := len(e.Body); k >= 8 && !g.stripped {
		h.Add(binary.LittleEndian.Uint64(e.Body) ^ binary.LittleEndian.Uint64(e.Body[k-8:])*3)
	}
	return uint64(h)
}

// ConfigOf translates a configuration.
func ConfigOf(c *raft.Configuration) *invariant.Config {
	var out invariant.Config
	for i := range c.Incoming {
		switch m := &c.Incoming[i]; m.Suffrage {
		case raftpb.SuffrageLearner:
			out.Learners = append(out.Learners, m.ID)
		case raftpb.SuffrageWitness:
			out.Witnesses = append(out.Witnesses, m.ID)
			out.Voters = append(out.Voters, m.ID)
		default:
			out.Voters = append(out.Voters, m.ID)
		}
	}
	for i := range c.Outgoing {
		if m := &c.Outgoing[i]; m.Suffrage != raftpb.SuffrageLearner {
			out.Outgoing = append(out.Outgoing, m.ID)
		}
	}
	return &out
}

func configIn(body []byte) *invariant.Config {
	var c raft.Configuration
	if _, err := c.ParseCompact(body, nil); err != nil {
		return &invariant.Config{}
	}
	return ConfigOf(&c)
}

// hash takes a step into the trace hash.
func (g *Group) hash(id raft.NodeID, in *raft.Event, out *raft.Effects, now *raft.Glance) {
	h := &g.Hash
	h.Add(uint64(id)<<56 ^ uint64(in.Kind)<<48 ^ uint64(in.Now))
	if m := in.Message; m != nil && in.Kind == raft.EventMessage {
		h.Add(uint64(m.Kind)<<56 ^ uint64(m.From)<<48 ^ uint64(m.Term)<<24 ^ uint64(len(m.Entries)))
		h.Add(uint64(m.PrevIndex)<<40 ^ uint64(m.Matched)<<20 ^ uint64(m.Commit) ^ uint64(m.Round)<<50)
	}
	h.Add(uint64(now.Term)<<40 ^ uint64(now.Role)<<36 ^ uint64(now.Last)<<18 ^ uint64(now.Commit))
	h.Add(out.WriteID<<40 ^ uint64(len(out.SendNow))<<32 ^ uint64(len(out.SendAfter))<<24 ^ uint64(out.NextTimer))
}
