package runtime

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
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
	q := newInbox(1000)
	body := make([]byte, 600)
	if err := q.propose(proposal{entry: raft.Entry{Body: body}}); err != nil {
		t.Fatalf("first proposal: %v", err)
	}
	if err := q.propose(proposal{entry: raft.Entry{Body: body}}); !errors.Is(err, ErrFull) {
		t.Fatalf("second proposal: %v, want ErrFull", err)
	}
	if err := q.message(inbound{size: 600}); err != nil {
		t.Fatalf("message: %v: proposals must not crowd messages out", err)
	}
	if err := q.message(inbound{size: 600}); !errors.Is(err, ErrFull) {
		t.Fatalf("second message: %v, want ErrFull", err)
	}
	var k work
	q.take(&k)
	if len(k.proposals) != 1 || len(k.messages) != 1 {
		t.Fatalf("took %d proposals and %d messages, want 1 and 1", len(k.proposals), len(k.messages))
	}
	k.reset()
	if err := q.propose(proposal{entry: raft.Entry{Body: make([]byte, 5000)}}); err != nil {
		t.Fatalf("an empty inbox takes one proposal of any size: %v", err)
	}
	q.stop()
	if err := q.read(read{}); !errors.Is(err, ErrStopped) {
		t.Fatalf("read after stop: %v, want ErrStopped", err)
	}
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
