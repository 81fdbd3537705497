package bare

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// The scenarios of the Raft laboratory of MIT's course 6.5840, in virtual time: each
// is told for many seeds, and all invariants hold at every step. Times are in
// election time-outs; a heartbeat is a tenth of one.
//
//	go test ./engine/internal/sim/bare -run 'Test3B/backup' -v

// storySeeds is how often each scenario is told.
const storySeeds = 200

// scenario is one of them.
type scenario struct {
	name  string
	nodes int
	knobs func(*Knobs) // what is not as usual; nil: nothing
	tell  func(*story)
	// proves says whether all seeds together were what the scenario is about; nil: yes.
	proves func(*Counts) bool
}

// tellAll tells scenarios.
func tellAll(t *testing.T, scenarios []scenario) {
	seeds := storySeeds
	if testing.Short() {
		seeds /= 20
	}
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var total Counts
			for seed := range uint64(seeds) {
				s := newStory(t, c, seed)
				c.tell(s)
				s.sound()
				total.Add(&s.w.Counts)
			}
			if c.proves != nil && !c.proves(&total) {
				t.Errorf("%d seeds prove nothing: %+v", seeds, total)
			}
		})
	}
}

// story drives a world by hand.
type story struct {
	t        *testing.T
	w        *World
	away     [maxNodes]bool // cut off from all others
	log      map[raft.Index]uint64
	serial   uint64
	requests int
	bytes    int
}

// failure ends a story.
func (s *story) failf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d: %s%s", s.w.options.Seed, fmt.Sprintf(format, args...), s.w.statuses())
}

// sound: no invariant is broken.
func (s *story) sound() {
	s.t.Helper()
	if err := s.w.Err(); err != nil {
		s.t.Fatal(err)
	}
}

func newStory(t *testing.T, c scenario, seed uint64) *story {
	k := Knobs{
		Nodes: c.nodes, MinDelay: millisecond, MoreDelay: 4 * millisecond, DiskDelay: 2 * millisecond,
		Clients: 1, Batch: 1, ApplyDelay: millisecond, ApplyBytes: 1 << 20, Down: 1, Reorder: true,
	}
	k.Core.ElectionTimeout, k.Core.Heartbeat = Election, Election/10
	k.Volatile = true
	if c.knobs != nil {
		c.knobs(&k)
	}
	s := &story{t: t, w: New(Options{Seed: seed, Knobs: &k}), log: map[raft.Index]uint64{}}
	s.w.applied = func(i raft.Index, e *raft.Entry) {
		if isCommand(e) {
			s.log[i] = binary.LittleEndian.Uint64(e.Body)
		}
	}
	s.w.watch = func(_ *server, out *raft.Effects) {
		for i := range out.SendNow {
			s.count(&out.SendNow[i])
		}
		for i := range out.SendAfter {
			s.count(&out.SendAfter[i].Message)
		}
	}
	return s
}

// count notes what a message costs on the wire, about.
func (s *story) count(m *raft.Message) {
	if isRequest(m.Kind) {
		s.requests++
	}
	s.bytes += 60
	for i := range m.Entries {
		s.bytes += 20 + len(m.Entries[i].Body)
	}
}

// wait lets time pass.
func (s *story) wait(d Time) {
	s.t.Helper()
	s.w.advance(s.w.now + d)
	s.sound()
}

// disconnect cuts a node off from all others, and they from it.
func (s *story) disconnect(nodes ...*server) { s.cut(true, nodes) }

// connect takes it back.
func (s *story) connect(nodes ...*server) { s.cut(false, nodes) }

func (s *story) cut(away bool, nodes []*server) {
	for _, n := range nodes {
		s.away[n.index] = away
	}
	for i := range s.w.servers {
		for j := range s.w.servers {
			s.w.links[i][j].cut = s.away[i] || s.away[j]
		}
	}
}

// crash stops nodes; of their unfinished writes some may be on the disk.
func (s *story) crash(nodes ...*server) {
	for _, n := range nodes {
		if n.node != nil {
			s.w.stop(n, s.w.process.Intn(n.queue.len()+1))
		}
	}
}

func (s *story) restart(nodes ...*server) {
	for _, n := range nodes {
		if n.node == nil {
			s.w.start(n)
		}
	}
}

// node returns the node i places behind another, around the circle.
func (s *story) node(from *server, i int) *server {
	return s.w.servers[(int(from.index)+i)%len(s.w.servers)]
}

func (s *story) all() []*server { return s.w.servers }

// leader waits until one node that is not cut off leads, and leads the highest term
// of those that do.
func (s *story) leader() *server {
	s.t.Helper()
	for range 200 {
		s.wait(Election / 20)
		var best *server
		for _, n := range s.w.servers {
			if n.leading() && !s.away[n.index] && (best == nil || n.was.Term > best.was.Term) {
				best = n
			}
		}
		if best != nil {
			return best
		}
	}
	s.failf("nobody leads")
	return nil
}

// noLeader demands that nobody leads who is not cut off.
func (s *story) noLeader() {
	s.t.Helper()
	for _, n := range s.w.servers {
		if n.leading() && !s.away[n.index] {
			s.failf("node %d leads without a quorum", n.id)
		}
	}
}

// propose gives a command of some bytes to a node; 0: it does not lead.
func (s *story) propose(n *server, command uint64, size int) raft.Index {
	if n.node == nil {
		return 0
	}
	body := s.w.body(max(size, 8))
	binary.LittleEndian.PutUint64(body, command)
	s.w.batch = append(s.w.batch[:0], raft.Entry{Kind: raftpb.EntryKindCommand, Body: body, Crc32c: sumOf(body)})
	at := s.w.propose(n, len(n.claims))
	if at.Empty() {
		return 0
	}
	return at.Lo
}

func (s *story) command() uint64 {
	s.serial++
	return s.serial
}

// have counts the nodes whose state machine has passed a position.
func (s *story) have(i raft.Index) int {
	n := 0
	for _, x := range s.w.servers {
		if x.machine.applied >= i {
			n++
		}
	}
	return n
}

// agree gets a command done: proposed to whoever leads, again if it was lost, and
// applied by so many nodes. It returns the position.
func (s *story) agree(nodes int) raft.Index { s.t.Helper(); return s.agreeOn(8, nodes) }

func (s *story) agreeOn(size, nodes int) raft.Index {
	s.t.Helper()
	command := s.command()
	for end := s.w.now + 15*Election; s.w.now < end; {
		at := raft.Index(0)
		for _, n := range s.w.servers {
			if at == 0 && !s.away[n.index] {
				at = s.propose(n, command, size)
			}
		}
		for lost := s.w.now + 2*Election; at != 0 && s.w.now < lost; s.wait(Election / 50) {
			if s.have(at) >= nodes && s.log[at] == command {
				return at
			}
		}
		s.wait(Election / 20)
	}
	s.failf("%d nodes do not agree", nodes)
	return 0
}

// lost demands that nobody applies what stands at a position.
func (s *story) lost(i raft.Index, command uint64) {
	s.t.Helper()
	if i != 0 && s.log[i] == command {
		s.failf("entry %d is applied without a quorum", i)
	}
}

// some returns whether a coin falls so.
func (s *story) some(of int) bool { return s.w.process.Intn(of) == 0 }

// anyone returns a node at random.
func (s *story) anyone() *server { return s.w.servers[s.w.process.Intn(len(s.w.servers))] }
