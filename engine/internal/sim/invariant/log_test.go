package invariant_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/invariant"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// overtaken: node 1 has entries 2 and 3 that nobody else has; node 2 leads term 2 and
// has an entry 2 of its own.
func overtaken(s *stage) {
	s.append(1, command(1, 12), command(1, 13))
	s.lead(2, 2, 3)
	s.append(2, command(2, 22))
	s.observe(1, func(v *view) { v.Role, v.Term, v.Vote = raftpb.RoleFollower, 2, 0 })
}

func TestLogs(t *testing.T) {
	play(t, []story{
		{name: "a conflicting tail is replaced", play: func(s *stage) {
			overtaken(s)
			s.durably(1, write{TruncateFrom: 2, From: 2, Entries: []entry{command(2, 22)}})
			s.log(1, 2, 2)
		}},
		{name: "a leader drops its own entries", wrong: invariant.I2, by: 1, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.write(1, write{TruncateFrom: 2})
		}},
		{name: "another body at the same index and term", wrong: invariant.I3, by: 2, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 666))
		}},
		{name: "another kind at the same index and term", wrong: invariant.I3, by: 2, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, entry{Term: 1, Kind: raftpb.EntryKindSession, Sum: 12})
		}},
		{name: "the same entry behind another one", wrong: invariant.I3, by: 3, play: func(s *stage) {
			overtaken(s)
			s.append(2, command(2, 23))
			s.append(3, command(1, 12), command(2, 23))
		}},
		{name: "a conflicting tail stays behind what was replaced", wrong: invariant.I3, by: 1, play: func(s *stage) {
			overtaken(s)
			s.durably(1, write{TruncateFrom: 2, From: 2, Entries: []entry{command(2, 22)}})
			s.log(1, 3, 1)
		}},
		{name: "an entry that no leader made", wrong: invariant.I3, by: 2, play: func(s *stage) {
			s.append(2, command(1, 12))
		}},
		{name: "entries with a gap before them", wrong: invariant.I8, by: 1, play: func(s *stage) {
			s.write(1, write{From: 3, Entries: []entry{command(1, 13)}})
		}},
		{name: "an entry is dropped that this term's leader was told of", wrong: invariant.I9, by: 2, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.ack(2, 1, 2)
			s.write(2, write{TruncateFrom: 2})
		}},
		{name: "in a later term it may go", play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.ack(2, 1, 2)
			s.lead(3, 2, 1)
			s.durably(2, write{Term: 2, TruncateFrom: 2})
			s.observe(2, func(v *view) { v.Term, v.Vote, v.Last = 2, 0, 1 })
		}},
		{name: "a committed entry is dropped, and behind it one that is not", wrong: invariant.I6, by: 1, play: func(s *stage) {
			overtaken(s) // node 1 ends with entry 3 of term 1
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.write(1, write{TruncateFrom: 1})
		}},
		{name: "a log of another end than its writes made", wrong: invariant.I3, by: 2, play: func(s *stage) { s.log(2, 0, 0) }},
		{name: "a log of another term at its end", wrong: invariant.I3, by: 2, play: func(s *stage) { s.log(2, 1, 7) }},
		{name: "a committed entry is dropped", wrong: invariant.I6, by: 3, play: func(s *stage) {
			s.lead(2, 2, 3)
			s.write(3, write{TruncateFrom: 1})
		}},
	})
}

func TestDurablePosition(t *testing.T) {
	play(t, []story{
		{name: "the durable position stays when others drop entries", play: func(s *stage) {
			s.observe(2, func(v *view) { v.Durable = 1 })
			s.write(2, write{TruncateFrom: 5})
			s.observe(2, func(*view) {})
		}},
		{name: "a node believes in more than its disk has", wrong: invariant.I9, by: 1, play: func(s *stage) {
			s.write(1, write{From: 2, Entries: []entry{command(1, 12)}})
			s.observe(1, func(v *view) { v.Last, v.Durable = 2, 2 })
		}},
		{name: "what was durable at an index is not what stands there now", wrong: invariant.I9, by: 1, play: func(s *stage) {
			overtaken(s)
			s.observe(1, func(v *view) { v.Durable = 3 })
			s.write(1, write{TruncateFrom: 2, From: 2, Entries: []entry{command(2, 22)}})
			s.observe(1, func(v *view) { v.Last, v.LastTerm, v.Durable = 2, 2, 2 })
		}},
		{name: "a durable position falls by itself", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Durable = 1 })
			s.observe(2, func(v *view) { v.Durable = 0 })
		}},
	})
}

func TestCommit(t *testing.T) {
	both := func(s *stage, id raftpb.NodeID) { // node 1 and another have entry 2
		s.append(1, command(1, 12))
		s.append(id, command(1, 12))
	}
	play(t, []story{
		{name: "a majority's disks commit", play: func(s *stage) {
			both(s, 2)
			s.ack(2, 1, 2)
			s.commit(1, 2)
			s.commit(2, 2)
		}},
		{name: "memory does not", wrong: invariant.I6, by: 1, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.write(2, write{From: 2, Entries: []entry{command(1, 12)}})
			s.log(2, 2, 1)
			s.commit(1, 2)
		}},
		{name: "entries of older terms do not commit by counting", wrong: invariant.I6, by: 1, play: func(s *stage) {
			both(s, 2)
			s.lead(1, 2, 2)
			s.commit(1, 2)
		}},
		{name: "with an entry of the leader's term they do", play: func(s *stage) {
			both(s, 2)
			s.lead(1, 2, 2)
			s.append(1, command(2, 23))
			s.append(2, command(2, 23))
			s.commit(1, 3)
		}},
		{name: "a deposed leader may hear late that it had committed", play: func(s *stage) {
			both(s, 2)
			s.ack(2, 1, 2)
			s.lead(2, 2, 3)
			s.append(2, command(2, 22))
			s.append(3, command(1, 12), command(2, 22))
			s.ack(3, 2, 3)
			s.commit(2, 3)
			s.commit(1, 2) // by an answer of term 1 that was slow; node 2 went further in term 2
			s.campaign(3, 3)
		}},
		{name: "a committed entry goes with the term of its leader", wrong: invariant.I6, by: 3, play: func(s *stage) {
			both(s, 3)
			s.ack(3, 1, 2)
			s.commit(1, 2)
			s.durably(3, write{Term: 2, Vote: 2, TruncateFrom: 2})
		}},
		{name: "a commit index falls", wrong: invariant.I7, by: 1, play: func(s *stage) { s.commit(1, 0) }},
		{name: "a commit index beyond the log", wrong: invariant.I8, by: 2, play: func(s *stage) { s.commit(2, 2) }},
		{name: "a follower commits first", wrong: invariant.I5, by: 2, play: func(s *stage) {
			both(s, 2)
			s.commit(2, 2)
		}},
		{name: "a follower commits what it has instead", wrong: invariant.I5, by: 1, play: func(s *stage) {
			overtaken(s)
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.commit(1, 2)
		}},
	})
}

func TestStateMachines(t *testing.T) {
	noop := entry{Term: 1, Kind: raftpb.EntryKindNoop}
	play(t, []story{
		{name: "each committed entry once, in order", play: func(s *stage) {
			s.node(2).Applied(1, []entry{noop})
			s.observe(2, func(v *view) { v.Applied = 1 })
			s.node(3).Applied(1, []entry{noop})
			s.observe(3, func(v *view) { v.Commit, v.Applied = 1, 1 })
		}},
		{name: "nothing at all", play: func(s *stage) { s.node(2).Applied(9, nil) }},
		{name: "entry 0", wrong: invariant.I5, by: 2, play: func(s *stage) { s.node(2).Applied(0, []entry{noop}) }},
		{name: "what it has where another entry is committed", wrong: invariant.I5, by: 1, play: func(s *stage) {
			overtaken(s)
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.node(1).Applied(1, []entry{noop, command(1, 12)})
		}},
		{name: "the same snapshot again", play: func(s *stage) {
			s.node(2).Restored(1)
			s.node(2).Restored(1)
		}},
		{name: "twice", wrong: invariant.I5, by: 2, play: func(s *stage) {
			s.node(2).Applied(1, []entry{noop})
			s.node(2).Applied(1, []entry{noop})
		}},
		{name: "something else", wrong: invariant.I5, by: 2, play: func(s *stage) { s.node(2).Applied(1, []entry{command(1, 5)}) }},
		{name: "something that is not in the log", wrong: invariant.I5, by: 2, play: func(s *stage) { s.node(2).Applied(1, []entry{noop, command(1, 5)}) }},
		{name: "an entry of its own that is not committed", wrong: invariant.I5, by: 3, play: func(s *stage) {
			overtaken(s)
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.node(3).Applied(1, []entry{noop, command(1, 12)})
		}},
		{name: "before it is committed", wrong: invariant.I8, by: 1, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.node(1).Applied(1, []entry{noop, command(1, 12)})
			s.observe(1, func(v *view) { v.Applied = 2 })
		}},
		{name: "again after a restart", play: func(s *stage) {
			s.node(2).Applied(1, []entry{noop})
			s.node(2).Crashed()
			s.node(2).Restarted(&image{Term: 1, Vote: 1, Entries: []entry{noop}})
			s.node(2).Applied(1, []entry{noop})
		}},
		{name: "applied falls", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Applied = 1 })
			s.observe(2, func(v *view) { v.Applied = 0 })
		}},
		{name: "a snapshot takes the state back", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.node(2).Applied(1, []entry{noop})
			s.node(2).Restored(0)
		}},
		{name: "equal states at equal positions", play: func(s *stage) {
			s.node(1).State(1, 0xfeed)
			s.node(2).State(1, 0xfeed)
		}},
		{name: "another state at the same position", wrong: invariant.I16, by: 2, play: func(s *stage) {
			s.node(1).State(1, 0xfeed)
			s.node(2).State(1, 0xdead)
		}},
	})
}

func TestOrderOfPositions(t *testing.T) {
	play(t, []story{
		{name: "purged <= snapshot <= applied <= commit <= last", play: func(s *stage) {
			s.observe(2, func(v *view) { v.Applied, v.Snapshot, v.First = 1, 1, 2 })
		}},
		{name: "purged > snapshot", wrong: invariant.I8, by: 2, play: func(s *stage) { s.observe(2, func(v *view) { v.First = 2 }) }},
		{name: "no first position", wrong: invariant.I8, by: 2, play: func(s *stage) { s.observe(2, func(v *view) { v.First = 0 }) }},
		{name: "snapshot > applied", wrong: invariant.I8, by: 2, play: func(s *stage) { s.observe(2, func(v *view) { v.Snapshot = 1 }) }},
		{name: "snapshot > applied while it is taken in", play: func(s *stage) {
			s.observe(2, func(v *view) { v.Snapshot, v.Restoring = 1, true })
		}},
		{name: "applied > commit", wrong: invariant.I8, by: 3, play: func(s *stage) { s.observe(3, func(v *view) { v.Applied = 1 }) }},
		{name: "the snapshot falls back", wrong: invariant.I7, by: 2, play: func(s *stage) {
			s.observe(2, func(v *view) { v.Applied, v.Snapshot = 1, 1 })
			s.observe(2, func(v *view) { v.Snapshot = 0 })
		}},
	})
}

func TestSnapshots(t *testing.T) {
	play(t, []story{
		{name: "a snapshot replaces a log that differs", play: func(s *stage) {
			overtaken(s)
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.durably(1, write{Snapshot: mark{2, 2}, TruncateFrom: 3})
			s.observe(1, func(v *view) { v.Last, v.LastTerm, v.Commit, v.Snapshot, v.First, v.Restoring = 2, 2, 2, 2, 3, true })
		}},
		{name: "a snapshot replaces a log that differs and is no longer", play: func(s *stage) {
			s.append(1, command(1, 12))
			s.lead(2, 2, 3)
			s.append(2, command(2, 22))
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.observe(1, func(v *view) { v.Role, v.Term, v.Vote = raftpb.RoleFollower, 2, 0 })
			s.durably(1, write{Snapshot: mark{2, 2}})
			s.observe(1, func(v *view) { v.LastTerm, v.Commit, v.Snapshot, v.First, v.Restoring = 2, 2, 2, 3, true })
			s.ack(1, 2, 2)
		}},
		{name: "one snapshot after the other, each with a tail", play: func(s *stage) {
			three := []entry{command(1, 12), command(1, 13)}
			s.append(1, three...)
			s.append(2, three...)
			s.ack(2, 1, 3)
			s.commit(1, 3)
			s.durably(2, write{Snapshot: mark{1, 1}})
			s.durably(2, write{Snapshot: mark{2, 1}})
			s.observe(2, func(v *view) { v.Commit, v.Snapshot, v.First, v.Restoring = 3, 2, 3, true })
			s.back(2, image{Term: 1, Vote: 1, Snapshot: mark{2, 1}, Entries: three[1:]})
			s.node(2).Compacted(2)
		}},
	})
}

func TestTailsBehindSnapshots(t *testing.T) {
	play(t, []story{
		{name: "a tail that differs stays behind it", wrong: invariant.I3, by: 1, play: func(s *stage) {
			overtaken(s)
			s.append(3, command(2, 22))
			s.commit(2, 2)
			s.write(1, write{Snapshot: mark{2, 2}})
		}},
		{name: "a matching tail stays behind it", play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.durably(2, write{Snapshot: mark{1, 1}})
			s.observe(2, func(v *view) { v.Snapshot, v.First, v.Restoring = 1, 2, true })
			s.ack(2, 1, 2)
			s.commit(1, 2)
		}},
		{name: "a matching tail that is committed goes", wrong: invariant.I6, by: 2, play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.ack(2, 1, 2)
			s.commit(1, 2)
			s.write(2, write{Snapshot: mark{1, 1}, TruncateFrom: 2})
		}},
		{name: "a snapshot of what is not committed", wrong: invariant.I16, by: 2, play: func(s *stage) {
			s.write(2, write{Snapshot: mark{2, 1}})
		}},
		{name: "a snapshot with another term at its end", wrong: invariant.I16, by: 2, play: func(s *stage) {
			s.write(2, write{Snapshot: mark{1, 7}})
		}},
		{name: "an old snapshot changes nothing", play: func(s *stage) {
			s.append(1, command(1, 12))
			s.append(2, command(1, 12))
			s.ack(2, 1, 2)
			s.commit(1, 2)
			s.durably(3, write{Snapshot: mark{2, 1}})
			s.observe(3, func(v *view) { v.Last, v.LastTerm, v.Commit, v.Snapshot, v.First, v.Restoring = 2, 1, 2, 2, 3, true })
			s.durably(3, write{Snapshot: mark{1, 1}})
			s.observe(3, func(*view) {})
		}},
		{name: "a truncation below a snapshot", wrong: invariant.I6, by: 3, play: func(s *stage) {
			s.durably(3, write{Snapshot: mark{1, 1}})
			s.write(3, write{TruncateFrom: 1})
		}},
		{name: "log goes when the snapshot is on the disk", play: func(s *stage) {
			s.node(2).SnapshotDurable(1)
			s.node(2).Compacted(1)
		}},
		{name: "log goes before", wrong: invariant.I18, by: 2, play: func(s *stage) { s.node(2).Compacted(1) }},
	})
}

// TestTwoHistories: when worse has happened before, a second entry at a committed
// position is still seen as that.
func TestTwoHistories(t *testing.T) {
	s := led(t)
	s.append(1, command(1, 12))
	s.append(3, command(1, 12))
	s.ack(3, 1, 2)
	s.commit(1, 2)
	s.fine()
	s.durably(3, write{Term: 2, Vote: 2, TruncateFrom: 2}) // I6 already
	s.log(3, 1, 1)
	s.lead(2, 2, 3)
	s.append(2, command(2, 22))
	s.append(3, command(2, 22))
	s.commit(2, 2)
	all, _ := s.o.Violations()
	for _, v := range all {
		if v.ID == invariant.I6 && v.Node == 2 && v.Index == 2 {
			return
		}
	}
	t.Errorf("a second entry 2 is committed and the observer says %v", all)
}
