package runtime

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// The ring against a slice that does the same.
func TestRingKeepsOrderWhileItGrowsAndWraps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var r ring[int]
	var twin []int
	for i := range 10_000 {
		if rng.IntN(5) < 3 || len(twin) == 0 {
			r.push(i)
			twin = append(twin, i)
			continue
		}
		if got := *r.front(); got != twin[0] {
			t.Fatalf("step %d: front %d, want %d", i, got, twin[0])
		}
		if got := r.pop(); got != twin[0] {
			t.Fatalf("step %d: pop %d, want %d", i, got, twin[0])
		}
		twin = twin[1:]
		if r.size != len(twin) {
			t.Fatalf("step %d: size %d, want %d", i, r.size, len(twin))
		}
	}
}

// The timer heap against a sorted list.
func TestTimersGiveTheEarliestGroupFirst(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	groups := make([]*Group, 50)
	for i := range groups {
		groups[i] = &Group{timerAt: -1, timer: raft.Never}
	}
	var heap timers
	wanted := map[*Group]raft.Time{}
	for range 5_000 {
		g := groups[rng.IntN(len(groups))]
		at := raft.Time(rng.IntN(1_000))
		if rng.IntN(4) == 0 {
			at = raft.Never
		}
		heap.set(g, at)
		delete(wanted, g)
		if at != raft.Never {
			wanted[g] = at
		}
		earliest := raft.Never
		for _, at := range wanted {
			earliest = min(earliest, at)
		}
		if heap.next() != earliest || len(heap.heap) != len(wanted) {
			t.Fatalf("next %d of %d groups, want %d of %d", heap.next(), len(heap.heap), earliest, len(wanted))
		}
	}
	var order []raft.Time
	for g := heap.due(raft.Never - 1); g != nil; g = heap.due(raft.Never - 1) {
		order = append(order, g.timer)
		heap.remove(g)
	}
	if !slices.IsSorted(order) || len(order) != len(wanted) {
		t.Fatalf("due in the order %v, want %d sorted", order, len(wanted))
	}
}

// Leaders whose beats are due at any time beat at few times; followers, whose time-outs are
// drawn apart on purpose, are called when they asked for it.
func TestLeadersBeatTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	w := newWorker(&Host{cfg: Config{MaxInboxBytes: 1 << 20}})
	times := map[raft.Time]bool{}
	for range 1000 {
		g := &Group{w: w, timerAt: -1, slack: 25e6, role: roleView{leader: true}, coreAt: raft.Time(rng.IntN(100e6))}
		w.now = g.coreAt - 1
		w.arm(g)
		if late := g.timer - g.coreAt; late < 0 || late >= g.slack {
			t.Fatalf("a beat is %d ns late", late)
		}
		times[g.timer] = true
		g.role.leader = false
		if w.arm(g); g.timer != g.coreAt {
			t.Fatalf("a follower is called %d ns late", g.timer-g.coreAt)
		}
		if g.coreAt, g.role.leader = raft.Never, true; g.timerAt >= 0 {
			w.arm(g)
		}
		if g.timerAt >= 0 {
			t.Fatal("a group that wants no timer has one")
		}
	}
	if len(times) > 5 {
		t.Errorf("1000 groups beat at %d times of an interval", len(times))
	}
}

func TestInboxRefusesOverItsBytesAndNeverQueuesARefusal(t *testing.T) {
	q, g := newInbox(1000), new(Group)
	body := make([]byte, 600)
	if err := q.propose(proposal{group: g, entry: raft.Entry{Body: body}}); err != nil {
		t.Fatalf("first proposal: %v", err)
	}
	if err := q.propose(proposal{group: g, entry: raft.Entry{Body: body}}); !errors.Is(err, ErrFull) {
		t.Fatalf("second proposal: %v, want ErrFull", err)
	}
	if err := q.message(inbound{group: g, size: 600}); err != nil {
		t.Fatalf("message: %v: proposals must not crowd messages out", err)
	}
	if err := q.message(inbound{group: g, size: 600}); !errors.Is(err, ErrFull) {
		t.Fatalf("second message: %v, want ErrFull", err)
	}
	var k work
	q.take(&k, false)
	if len(k.proposals) != 1 || len(k.messages) != 1 {
		t.Fatalf("took %d proposals and %d messages, want 1 and 1", len(k.proposals), len(k.messages))
	}
	k.reset()
	if err := q.propose(proposal{group: g, entry: raft.Entry{Body: make([]byte, 5000)}}); err != nil {
		t.Fatalf("an empty inbox takes one proposal of any size: %v", err)
	}
	q.stop()
	if err := q.read(read{group: g}); !errors.Is(err, ErrStopped) {
		t.Fatalf("read after stop: %v, want ErrStopped", err)
	}
}

// However much some groups send, a group that has nothing in the inbox finds room: a noisy
// one gets half, two a third each, and so on; of proposals and of messages alike.
func TestNoisyGroupsLeaveRoomForOthers(t *testing.T) {
	const size, item = 100_000, 1000
	for _, kind := range []struct {
		name string
		put  func(*inbox, *Group) error
	}{
		{"proposals", func(q *inbox, g *Group) error {
			return q.propose(proposal{group: g, entry: raft.Entry{Body: make([]byte, item-queueOverhead)}})
		}},
		{"messages", func(q *inbox, g *Group) error { return q.message(inbound{group: g, size: item - queueOverhead}) }},
	} {
		q := newInbox(size)
		var k work
		for noisy := 1; noisy <= 9; noisy++ {
			groups := make([]Group, noisy)
			for range size / item { // all push as hard as they can
				for i := range groups {
					_ = kind.put(q, &groups[i]) // refused, when it has its share
				}
			}
			room := 0
			for quiet := new(Group); kind.put(q, quiet) == nil; room += item {
				quiet = new(Group)
			}
			if least := size/(noisy+1) - item; room < least {
				t.Errorf("%s: %d noisy groups leave %d bytes for others, want %d", kind.name, noisy, room, least)
			}
			if noisy == 1 && max(groups[0].queued.clients.bytes, groups[0].queued.messages.bytes) < size/2-item {
				t.Errorf("%s: a group alone gets less than half", kind.name)
			}
			q.take(&k, false)
			k.reset()
		}
	}
}

// What is proposed and not applied is bounded, also where it is committed at once: a machine that
// hangs does not fill the memory. Reads that wait for it are bounded as well.
func TestAMachineThatHangsBoundsWhatWaitsForIt(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	defer h.close()
	h.campaign(1)
	g, w := h.members[0].group, h.members[0].manual.w
	g.limit = 10_000
	deliver := func() { // everything but the machine
		for range 10 {
			for _, m := range h.members {
				for m.log.Step() {
				}
				m.manual.Step()
			}
			for h.next() {
			}
		}
	}
	outcomes := make([]reader, 100)
	for i := range outcomes {
		e := raft.Entry{Kind: raftpb.EntryKindCommand, Body: make([]byte, 500)}
		e.Crc32c = wal.EntryChecksum(e.Kind, e.Body)
		if err := g.Propose(e, &outcomes[i]); err != nil {
			t.Fatal(err)
		}
		deliver()
	}
	busy := 0
	for i := range outcomes {
		if e := outcomes[i].end; e.Reason == Busy && e.Full == FullUnapplied {
			busy++
		} else if e.Reason != 0 {
			t.Fatalf("proposal %d ended with %v", i, e)
		}
	}
	if accepted := len(outcomes) - busy; accepted == 0 || accepted*564 > g.limit {
		t.Errorf("%d proposals of 564 bytes were accepted, want up to %d bytes", accepted, g.limit)
	}
	reads := make([]reader, maxOpenReads+2)
	for i := range reads {
		if err := g.Read(ReadLocal, &reads[i]); err != nil {
			t.Fatal(err)
		}
		if i%(maxOpenReads/4) == 0 || i == maxOpenReads {
			w.step(h.clock.now)
		}
	}
	deliver()
	if last := reads[len(reads)-1].end; last.Reason != Busy || last.Full != FullReads {
		t.Errorf("one read too many ended with %v, want busy", last)
	}
	h.settle() // the machine goes on
	if g.open != 0 || g.reads.Load() != 0 {
		t.Errorf("nothing waits, but %d bytes and %d reads are counted", g.open, g.reads.Load())
	}
	if !reads[0].ran {
		t.Error("a read was forgotten")
	}
	h.propose(1, "afterwards")
}

type countedAnswer struct{ answered, dropped int }

func (a *countedAnswer) answer(*worker, *raft.Message) { a.answered++ }
func (a *countedAnswer) drop(error)                    { a.dropped++ }

func TestCallsGiveEveryAnswererAwayOnce(t *testing.T) {
	var c calls
	a, b := new(countedAnswer), new(countedAnswer)
	first, second := c.add(a), c.add(b)
	if c.take(first) != answerer(a) || c.take(first) != nil {
		t.Fatal("the first call must be given away exactly once")
	}
	if again := c.add(a); again != first {
		t.Fatalf("slot %d is reused, got %d", first, again)
	}
	c.dropAll(ErrStopped)
	if a.dropped != 1 || b.dropped != 1 || c.take(second) != nil {
		t.Fatalf("dropped %d and %d, want 1 and 1", a.dropped, b.dropped)
	}
	if c.take(0) != nil || c.take(99) != nil {
		t.Fatal("calls that nobody made have no answerer")
	}
}
