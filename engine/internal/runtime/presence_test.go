package runtime

import (
	"fmt"
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/wal"
)

// A beat of these tests is 100 ms, the election time-out 1 s. Groups sleep after 3 beats;
// a host is lost after 5 without a word.
const electionBeats = 10

// sleepers makes three members whose group sleeps; the first one leads.
func sleepers(t *testing.T) *hands {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	h.restartAll(func() { h.quiesceAfter = 3e8 })
	h.campaign(1)
	h.propose(1, "before the sleep")
	h.pass(8)
	for _, m := range h.members {
		if !m.group.node.Status().Asleep || !m.group.asleep {
			t.Fatalf("member %d does not sleep", m.id)
		}
	}
	return h
}

// restartAll ends all members and starts them again, with what change changes.
func (h *hands) restartAll(change func()) {
	h.close()
	change()
	for i, m := range h.members {
		h.members[i] = h.reopen(m)
	}
	h.settle()
}

func (h *hands) reopen(m *member) *member {
	h.t.Helper()
	again, err := h.open(m.id, m.fs)
	if err != nil {
		h.t.Fatal(err)
	}
	return again
}

// end ends one member, as a process that exits.
func (h *hands) end(m *member) {
	m.manual.w.shutdown()
	for m.work() {
	}
	if err := m.log.Close(); err != nil {
		h.t.Error(err)
	}
	m.cut = true
}

// elected lets time pass until somebody but was leads in a later term, for at most so
// many beats.
func (h *hands) elected(was raft.NodeID, term raft.Term, most int) {
	h.t.Helper()
	for range most {
		h.pass(1)
		for _, m := range h.members {
			if m.id != was && m.group.role.leader && m.group.role.term > term {
				return
			}
		}
	}
	h.t.Fatalf("nobody leads %d beats after the loss of the leader", most)
}

func (h *hands) awake() (ids []raft.NodeID) {
	for _, m := range h.members {
		if !m.group.dead && !m.group.node.Status().Asleep {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// Asleep, the group has no timer and sends nothing; its hosts show each other that they
// are there, at most once per pair and interval. A proposal wakes everybody it must.
func TestASleepingGroupCostsOneHeartbeatPerPairOfHosts(t *testing.T) {
	h := sleepers(t)
	defer h.close()
	h.heartbeats, h.beats = 0, 0
	h.pass(100)
	if h.beats != 0 {
		t.Errorf("%d beats of a group that sleeps", h.beats)
	}
	// The pairs with the leader's host rely on each other; the followers need not.
	if h.heartbeats < 2*100/3 || h.heartbeats > 2*100 {
		t.Errorf("%d heartbeats in 100 intervals, want one per interval for each of 2 pairs", h.heartbeats)
	}
	if ids := h.awake(); len(ids) > 0 {
		t.Errorf("awake: %v", ids)
	}
	h.propose(1, "good morning")
	h.pass(2)
	for _, m := range h.members {
		if n := len(m.machine.lines); n != 2 {
			t.Errorf("member %d has applied %d commands, want 2", m.id, n)
		}
	}
	h.pass(10)
	if ids := h.awake(); len(ids) > 0 {
		t.Errorf("awake again after the work was done: %v", ids)
	}
}

// The loss of the leader's host wakes its followers, whether connections break at once or
// nothing is heard any more; they elect another within the time that an awake group has.
func TestALostHostWakesWhoReliesOnIt(t *testing.T) {
	for name, lose := range map[string]func(m *member){
		"cut":    func(m *member) { m.cut = true },
		"silent": func(m *member) { m.silent = true },
	} {
		t.Run(name, func(t *testing.T) {
			h := sleepers(t)
			defer h.close()
			term := h.members[0].group.role.term
			lose(h.members[0])
			h.elected(1, term, 3*electionBeats)
			h.propose(h.leader(), "without the first")
			h.pass(20)
			if h.members[0].group.role.leader {
				t.Error("the lost leader still leads, although its host heard nobody")
			}
			h.members[0].cut, h.members[0].silent = false, false
			h.pass(40)
			if ids := h.awake(); len(ids) > 0 {
				t.Errorf("awake long after all are back: %v", ids)
			}
			for _, m := range h.members {
				if n := len(m.machine.lines); n != 2 {
					t.Errorf("member %d has applied %d commands, want 2", m.id, n)
				}
			}
		})
	}
}

// The loss of a follower's host wakes the leader, which then no more sleeps: it tries to
// reach the follower until that is back.
func TestAGroupDoesNotSleepWhileAMemberIsLost(t *testing.T) {
	h := sleepers(t)
	defer h.close()
	h.members[2].cut = true
	h.pass(40)
	if !h.members[0].group.role.leader || h.members[0].group.node.Status().Asleep {
		t.Fatal("the leader sleeps, or leads no more, although it can reach a majority")
	}
	h.members[2].cut = false
	h.pass(40)
	if ids := h.awake(); len(ids) > 0 {
		t.Errorf("awake long after all are back: %v", ids)
	}
}

// A leader's process that ends and starts again between two looks at it has another life:
// who slept relying on the former one wakes, and a leader is found.
func TestAHostThatRestartsUnseenWakesWhoReliedOnIt(t *testing.T) {
	h := sleepers(t)
	term := h.members[0].group.role.term
	h.end(h.members[0])
	h.clock.now++
	h.members[0] = h.reopen(h.members[0])
	defer h.close()
	h.elected(0, term, 3*electionBeats)
}

// A leader that ends while its process lives on would never be missed: its host is there.
// So its host takes another life.
func TestTheEndOfALeaderWakesItsFollowers(t *testing.T) {
	h := sleepers(t)
	defer h.close()
	term := h.members[0].group.role.term
	h.members[0].group.Stop()
	h.settle()
	h.elected(1, term, 3*electionBeats)
}

// Who falls asleep while the host it relies on is lost already is told at once: nobody
// would tell it later.
func TestWhoFallsAsleepTooLateIsWoken(t *testing.T) {
	h := sleepers(t)
	defer h.close()
	follower := h.members[1]
	p := &follower.host.presence
	follower.manual.w.wakeFor(p.find(1), dueLife)
	p.find(1).lost.Store(true)
	leader := h.members[0].group
	_, term := leader.node.Leader()
	follower.manual.w.stepCore(follower.group, raft.Event{Kind: raft.EventMessage, Message: &raft.Message{
		Kind: raft.MessageBeat, From: 1, To: 2, Term: term, Commit: leader.node.Commit(), Round: 1 << 20, Quiesce: true,
	}})
	if !follower.group.asleep {
		t.Fatal("the follower does not take the offer")
	}
	follower.manual.Step()
	if follower.group.asleep {
		t.Error("the follower sleeps on a host that is lost")
	}
}

// However often a host shows another life or is lost before a worker gets to run, one
// entry waits for it; and a host that no group knows leaves no trace.
func TestPresenceQueuesNoMoreThanOneEntryPerHost(t *testing.T) {
	h := sleepers(t)
	defer h.close()
	p := &h.members[1].host.presence
	for life := range int64(1000) {
		p.asks(1, life)
		p.lose(p.find(1))
		p.asks(raft.NodeID(100+life), life)
	}
	q := h.members[1].manual.w.inbox
	q.mu.Lock()
	waiting := len(q.in.control)
	q.mu.Unlock()
	if waiting != 1 {
		t.Errorf("%d entries wait, want 1", waiting)
	}
	if n := len(*p.others.Load()); n != 2 {
		t.Errorf("%d hosts are known, want the 2 of the group", n)
	}
}

// A host one of whose workers hangs says nothing, for its groups could not wake.
func TestAHostWhoseWorkerHangsIsNotThere(t *testing.T) {
	h := sleepers(t)
	defer h.close()
	host := h.members[0].host
	stuck := newWorker(host)
	host.workers = append(host.workers, stuck)
	defer func() { host.workers = host.workers[:1] }()
	for now, most := raft.Time(0), host.presence.patience/2; now <= most; now += 1e8 {
		if fit := host.presence.workersRun(1 + now); fit != (now < most) {
			t.Fatalf("%d ms after the question: fit is %v", now/1e6, fit)
		}
	}
	stuck.step(1e9)
	if !host.presence.workersRun(2e9) {
		t.Error("the worker runs again, and still counts as stuck")
	}
}

// The disk of the leader hangs: it hands over, within the time of an election, to a member
// whose disk works; and proposals are taken there.
func TestALeaderWhoseDiskHangsHandsOver(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	h.restartAll(func() { h.stallAfter = 5e8 })
	defer h.close()
	h.campaign(1)
	h.propose(1, "the disk works")
	term := h.members[0].group.role.term
	h.members[0].hung = true
	h.propose(1, "the disk hangs")
	h.elected(1, term, electionBeats)
	if h.members[0].group.role.leader {
		t.Error("two lead")
	}
	if !h.members[0].group.node.Status().DiskStalled {
		t.Error("the group was not told of its disk")
	}
	h.propose(h.leader(), "on another disk")
	h.members[0].hung = false
	h.pass(5)
	if h.members[0].group.node.Status().DiskStalled {
		t.Error("the disk works again, and the group was not told")
	}
	want := []string{"the disk works", "the disk hangs", "on another disk"}
	for _, m := range h.members {
		var got []string
		for _, l := range m.machine.lines {
			got = append(got, l.text)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("member %d applied %q, want %q", m.id, got, want)
		}
	}
}

// A disk on which writes end is slow, not stalled, whatever waits for it; and a process that
// was held up does not blame its disk at once.
func TestASlowDiskIsNotStalled(t *testing.T) {
	h := newHands(t, 0, false, func(raft.NodeID) wal.FS { return wal.NewMemFS() })
	h.restartAll(func() { h.stallAfter = 5e8 })
	defer h.close()
	h.campaign(1)
	w := h.members[0].manual.w
	for range 20 { // more and more waits; one write ends every 400 ms
		h.clock.now += 4e8
		w.now = h.clock.now
		w.wrote()
		w.wrote()
		w.writeEnded()
		if w.watchDisk(w.now); w.flights.hung {
			t.Fatal("a disk that makes progress counts as stalled")
		}
	}
	w.watchDisk(w.now + 3e9) // nobody looked for a long time
	if w.flights.hung {
		t.Error("the disk is blamed for what may be the process's own pause")
	}
	w.watchDisk(w.now + 3e9 + w.host.cfg.StallAfter/2)
	if !w.flights.hung {
		t.Error("nothing has ended for long, and the disk does not count as stalled")
	}
	for w.flights.began.size > 0 {
		w.writeEnded()
	}
	if w.flights.hung || w.flights.at != raft.Never {
		t.Error("nothing is under way, and the disk counts as stalled")
	}
}

// What a beat says of sleep, and what its acknowledgement answers, crosses the wire.
func TestBeatsCarryOffersOfSleep(t *testing.T) {
	h := sleepers(t)
	defer h.close()
	for _, m := range h.members[1:] {
		if got := m.group.reliesOn; len(got) != 1 || got[0].id != 1 {
			t.Errorf("member %d relies on %v, want its leader", m.id, got)
		}
	}
	if got := h.members[0].group.reliesOn; len(got) != 2 {
		t.Errorf("the leader relies on %d hosts, want both others", len(got))
	}
	if h.members[0].group.node.Role() != raftpb.RoleLeader {
		t.Error("the leader lost its role in its sleep")
	}
}
