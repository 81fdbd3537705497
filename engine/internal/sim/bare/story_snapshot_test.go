package bare

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
)

// snapshotEach is how many commands lie between two snapshots.
const snapshotEach = 10

func compacting(k *Knobs) { k.SnapshotEach, k.KeepEntries = snapshotEach, 2 }

func compactingUnreliable(k *Knobs) {
	compacting(k)
	unreliable(k)
}

// installs: snapshots were needed.
func installs(c *Counts) bool { return c.Installs > 10 }

// Test3D: logs are compacted, and who needs what is gone gets a snapshot.
func Test3D(t *testing.T) {
	tellAll(t, []scenario{
		{name: "snapshot basic", nodes: 3, knobs: compacting, tell: snapshotBasic},
		{name: "snapshot install", nodes: 3, knobs: compacting, tell: snapshotInstall(true, false), proves: installs},
		{name: "snapshot install, unreliable", nodes: 3, knobs: compactingUnreliable, tell: snapshotInstall(true, false), proves: installs},
		{name: "snapshot install, crash", nodes: 3, knobs: compacting, tell: snapshotInstall(false, true), proves: installs},
		{name: "snapshot install, unreliable and crash", nodes: 3, knobs: compactingUnreliable, tell: snapshotInstall(false, true), proves: installs},
		{name: "all crash", nodes: 3, knobs: compacting, tell: snapshotAllCrash},
		{name: "init", nodes: 1, knobs: compacting, tell: snapshotInit},
	})
}

// Logs stay short.
func snapshotBasic(s *story) {
	for range 6 * snapshotEach {
		s.agree(3)
	}
	s.wait(Election / 2)
	s.short()
}

// short demands that nobody keeps what a snapshot covers.
func (s *story) short() {
	s.t.Helper()
	for _, n := range s.all() {
		if kept := n.disk.LastIndex() - n.disk.base; kept > 6*snapshotEach {
			s.failf("node %d keeps %d entries", n.id, kept)
		}
	}
}

// A node misses so much that the log no longer has it.
func snapshotInstall(cut, crash bool) func(*story) {
	return func(s *story) {
		s.agree(3)
		first := s.leader()
		for i := range 6 {
			victim, sender := s.node(first, 1), first
			if i%3 == 1 {
				victim, sender = first, s.node(first, 1)
			}
			if cut {
				s.disconnect(victim)
				s.agree(2)
			}
			if crash {
				s.crash(victim)
				s.agree(2)
			}
			for range snapshotEach + s.w.process.Intn(2*snapshotEach) {
				s.propose(sender, s.command(), 8)
			}
			s.agree(2)
			if s.some(2) {
				s.agree(2)
				s.agree(2)
			}
			s.restart(victim)
			s.connect(victim)
			s.agree(3)
			first = s.leader()
		}
		if s.w.knobs.Loss == 0 {
			s.short()
		}
	}
}

// All crash, several times, and go on behind their snapshots.
func snapshotAllCrash(s *story) {
	s.agree(3)
	for range 5 {
		for range snapshotEach/2 + s.w.process.Intn(2*snapshotEach) {
			s.agree(3)
		}
		before := s.agree(3)
		s.crash(s.all()...)
		s.restart(s.all()...)
		if after := s.agree(3); after <= before {
			s.failf("a command stands at %d, one before the crash stood at %d", after, before)
		}
	}
}

// A node that starts from a snapshot, takes some more commands and starts again has
// both.
func snapshotInit(s *story) {
	for range 2 * snapshotEach {
		s.agree(1)
	}
	s.crash(s.all()...)
	s.restart(s.all()...)
	s.agree(1)
	s.crash(s.all()...)
	s.restart(s.all()...)
	if at := s.agree(1); at < raft.Index(2*snapshotEach+2) {
		s.failf("a command stands at %d", at)
	}
}
