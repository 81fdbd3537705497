// Package explore searches all worlds of a small scope: three nodes of the real core,
// bounded numbers of elections, commands, beats, crashes, losses and doubled messages,
// and every order in which messages and writes can come. What a random world finds
// with luck, a search finds if it is there.
//
//	s := explore.New(explore.Scope{Nodes: 3, Terms: 2, Commands: 1, Crashes: 1})
//	s.Run(1_000_000)
//	fmt.Println(s.States, s.Complete, s.Err())
//
// Time does not pass: elections begin when the search says so, without pre-votes and
// check-quorum, so a state is what the nodes hold, what is on their disks and under
// way to them, and the messages on the network. Two states with the same fingerprint
// are one (of 64 bits: among 10^7 states a wrong equality is as likely as 1 in 10^5).
package explore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/sim/schedule"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Scope bounds a search. What is 0 does not happen.
type Scope struct {
	Nodes    int
	Terms    raft.Term // the highest that an election may begin
	Commands int
	Beats    int
	Crashes  int // each is a restart too; any part of the writes under way survives
	Losses   int
	Doubles  int
	Mutant   int // a seeded bug of the core; builds with the tag mutants only
}

// left is what of the scope a path has not used up.
type left struct{ commands, beats, crashes, losses, doubles int8 }

// entry names an entry of a log.
type entry struct {
	term raft.Term
	sum  int64
}

// message is one on the network. It is shared by states and never changes.
type message struct {
	raft.Message
	digest uint64
}

// write is one under way, with the messages that wait for it. It never changes.
type write struct {
	id, epoch uint64
	hard      *raft.HardState
	truncate  raft.Index
	entries   []raft.Entry
	gated     []*message
	digest    uint64
}

// place is a node with its disk. It never changes: a step makes a new one.
type place struct {
	node   *raft.Node
	disk   *disk
	queue  []*write
	digest uint64
}

// state is a world. States share what they have in common.
type state struct {
	places    []*place
	network   []*message // by rising digest
	leaders   []raft.NodeID
	committed []entry
	left      left
	path      *step
}

// step says how a state came about.
type step struct {
	before *step
	what   string
}

// Search goes through a scope.
type Search struct {
	States   int  // distinct ones
	Steps    int  // between them
	Complete bool // all of the scope was seen

	scope  Scope
	seen   map[uint64]struct{}
	stack  []*state
	out    raft.Effects
	random schedule.Stream
	err    error
}

// New returns a search that has seen nothing.
func New(s Scope) *Search {
	return &Search{scope: s, seen: map[uint64]struct{}{}, random: schedule.NewStream(1, 1)}
}

// Err is the first violation, with the steps that lead to it.
func (s *Search) Err() error { return s.err }

// dive is after how many new states the search goes on elsewhere: a part of a scope
// that is too large is then seen in all its depths.
const dive = 5_000

// Run searches until all is seen, most distinct states are, or one is wrong. It goes
// into the depth, in random order.
func (s *Search) Run(most int) {
	root := s.root()
	if s.err != nil {
		return
	}
	s.isNew(root)
	s.stack = append(s.stack[:0], root)
	for next := dive; len(s.stack) > 0; {
		if s.err != nil || s.States >= most {
			return
		}
		top := len(s.stack) - 1
		if s.States > next {
			next += dive
			k := s.random.Intn(top + 1)
			s.stack[k], s.stack[top] = s.stack[top], s.stack[k]
		}
		at := s.stack[top]
		s.stack = s.stack[:top]
		s.expand(at)
	}
	s.Complete = true
}

// Bodies of commands are as good as their checksums here.
func (s *Search) root() *state {
	w := &state{
		leaders: make([]raft.NodeID, s.scope.Terms+1),
		left: left{
			int8(s.scope.Commands), int8(s.scope.Beats), int8(s.scope.Crashes), int8(s.scope.Losses), int8(s.scope.Doubles),
		},
	}
	for i := range s.scope.Nodes {
		d := &disk{}
		node, err := s.boot(raft.NodeID(i+1), d)
		if err != nil {
			s.err = err
			return w
		}
		w.places = append(w.places, sealed(node, d, nil))
	}
	return w
}

func (s *Search) boot(id raft.NodeID, d *disk) (*raft.Node, error) {
	c := raft.Config{
		ID: id, ElectionTimeout: 1000, Heartbeat: 100, MinInflightBytes: raft.DefaultMaxInflightBytes, MinInflightAppends: raft.DefaultMaxInflightAppends, Seed: 1, Boot: 1, DisablePreVote: true, DisableCheckQuorum: true,
	}
	for i := range s.scope.Nodes {
		c.Configuration.Incoming = append(c.Configuration.Incoming, raft.Member{ID: raft.NodeID(i + 1), Suffrage: raftpb.SuffrageVoter})
	}
	node, err := raft.New(c, d, d.hard, 0, 0)
	if err == nil {
		mutate(node, s.scope.Mutant)
	}
	return node, err
}

// sealed makes a place that will not change any more.
func sealed(node *raft.Node, d *disk, queue []*write) *place {
	h := schedule.Hash(node.Fingerprint())
	h.Add(d.digest())
	for _, w := range queue {
		h.Add(w.digest)
	}
	return &place{node, d, queue, uint64(h)}
}

// isNew notes a state, and reports whether it was not known.
func (s *Search) isNew(w *state) bool {
	var h schedule.Hash
	for _, p := range w.places {
		h.Add(p.digest)
	}
	for _, m := range w.network {
		h.Add(m.digest)
	}
	for _, l := range w.leaders {
		h.Add(uint64(l))
	}
	for _, e := range w.committed {
		h.Add(uint64(e.term)<<32 ^ uint64(e.sum))
	}
	l := w.left
	h.Add(uint64(l.commands) | uint64(l.beats)<<8 | uint64(l.crashes)<<16 | uint64(l.losses)<<24 | uint64(l.doubles)<<32)
	if _, known := s.seen[uint64(h)]; known {
		return false
	}
	s.seen[uint64(h)] = struct{}{}
	s.States++
	return true
}

// fail ends the search.
func (s *Search) fail(w *state, format string, args ...any) {
	if s.err != nil {
		return
	}
	var lines []string
	for at := w.path; at != nil; at = at.before {
		lines = append(lines, at.what)
	}
	slices.Reverse(lines)
	s.err = fmt.Errorf("explore: %s\n%s", fmt.Sprintf(format, args...), strings.Join(lines, "\n"))
}
