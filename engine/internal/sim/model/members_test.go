package model_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/model"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

func joint(voters, outgoing []raftpb.NodeID) model.Config {
	return model.Config{Voters: voters, Outgoing: outgoing}
}

func TestChangesOfTheConfiguration(t *testing.T) {
	t.Run("no change before the leader has committed in its term", func(t *testing.T) {
		replicated(t).elect(2, 2, 1, 1, 3).rejected("4.1", "own term 2", write(2, 2, config(2, joint(ids(1, 2), ids(1, 2, 3)))))
	})
	t.Run("one change at a time", func(t *testing.T) {
		replicated(t).ok(write(1, 2, config(1, joint(ids(1, 2), ids(1, 2, 3))))).
			rejected("4.1", "not committed", write(1, 3, config(1, joint(ids(1, 2), nil))))
	})
	t.Run("two voters at once need a joint phase", func(t *testing.T) {
		replicated(t).rejected("4.3", "without a joint phase", write(1, 2, config(1, joint(ids(1, 2, 3, 4, 5), nil))))
	})
	t.Run("one voter needs none", func(t *testing.T) {
		replicated(t).ok(write(1, 2, config(1, model.Config{Voters: ids(1, 2, 3, 4), Learners: ids(5, 6)})))
	})
	t.Run("the old half of a joint phase is the configuration in force", func(t *testing.T) {
		replicated(t).rejected("4.3", "old half", write(1, 2, config(1, joint(ids(4, 5), ids(1, 2)))))
	})
	t.Run("a joint phase ends with its new half", func(t *testing.T) {
		s := replicated(t).ok(write(1, 2, config(1, joint(ids(1, 2), ids(1, 2, 3)))))
		s.settle(2).rejected("4.3", "other than its new half", write(1, 3, config(1, joint(ids(1, 3), nil))))
	})
	t.Run("no joint phase follows another", func(t *testing.T) {
		s := replicated(t).ok(write(1, 2, config(1, joint(ids(1, 2), ids(1, 2, 3)))))
		s.settle(2).rejected("4.3", "from one joint phase to another", write(1, 3, config(1, joint(ids(1, 2), ids(1, 2)))))
	})
	t.Run("somebody votes", func(t *testing.T) {
		replicated(t).rejected("4.3", "without voters", write(1, 2, config(1, model.Config{Learners: ids(1)})))
	})
	t.Run("ids are above zero", func(t *testing.T) {
		replicated(t).rejected("trace", "cannot be", write(1, 2, config(1, model.Config{Voters: ids(1, 0)})))
	})
	t.Run("both halves commit", func(t *testing.T) {
		s := replicated(t).ok(write(1, 2, config(1, joint(ids(1, 4, 5), ids(1, 2, 3)))), durable(1, 1, 1, 2, 1))
		s.follow(2, 2).rejected("3.5", "durable at voters 11", commit(1, 2))
	})
	t.Run("both halves elect", func(t *testing.T) {
		s := replicated(t).ok(write(1, 2, config(1, joint(ids(1, 4, 5), ids(1, 2, 3)))), durable(1, 1, 1, 2, 1)).follow(2, 2)
		s.ok(campaign(2, 2), durable(2, 2, 2, 2, 1), grant(3, 2, 2, 2, 1), durable(3, 2, 2, 1, 1)).rejected("4.3", "both while joint", lead(2, 2, 2, 3))
	})
	t.Run("a configuration that is overwritten counts no more", func(t *testing.T) {
		// Leader 1 enters a joint phase with nodes 4 and 5, alone; leader 2 overwrites
		// that. Node 1 then needs a majority of nodes 1 to 3 again, and no other.
		s := replicated(t).ok(write(1, 2, config(1, joint(ids(1, 4, 5), ids(1, 2, 3)))), durable(1, 1, 1, 2, 1)).elect(2, 2, 1, 1, 3)
		s.ok(write(2, 2, command(2, 22)), durable(2, 2, 2, 2, 2), accept(1, 2, 2, 1, 1, 2, command(2, 22)), durable(1, 2, 0, 2, 2))
		s.ok(campaign(1, 3), durable(1, 3, 1, 2, 2), grant(2, 1, 3, 2, 2), durable(2, 3, 1, 2, 2), lead(1, 3, 1, 2))
	})
	t.Run("a learner does not count", func(t *testing.T) {
		s := replicated(t).ok(write(1, 2, config(1, model.Config{Voters: ids(1, 2), Learners: ids(3)})), durable(1, 1, 1, 2, 1)).follow(3, 2)
		s.rejected("3.5", "durable at voters 1 of 11,", commit(1, 2))
	})
	t.Run("a leader outside of the configuration does not count itself", func(t *testing.T) {
		s := replicated(t).ok(write(1, 2, config(1, joint(ids(2, 3), nil))), durable(1, 1, 1, 2, 1)).follow(2, 2)
		s.rejected("3.5", "durable at voters 10 of 110", commit(1, 2))
	})
}

// follow brings a node's durable log from entry 1 to last, in term 1.
func (s *story) follow(n raftpb.NodeID, last raftpb.Index) *story {
	s.t.Helper()
	e := config(1, joint(ids(1, 4, 5), ids(1, 2, 3)))
	return s.ok(accept(n, 1, 1, 1, 1, last, e), durable(n, 1, 1, last, 1))
}

// settle makes entry i, a change, durable at nodes 1 to 3 and committed.
func (s *story) settle(i raftpb.Index) *story {
	s.t.Helper()
	return s.ok(durable(1, 1, 1, i, 1)).follow(2, i).follow(3, i).ok(commit(1, i))
}

func TestSnapshots(t *testing.T) {
	t.Run("a snapshot is a committed prefix", func(t *testing.T) {
		replicated(t).ok(write(1, 2, command(1, 12))).rejected("5", "not a committed prefix", snapshot(2, 1, 1, 2, 1, 2))
	})
	t.Run("a snapshot brings a new node up", func(t *testing.T) {
		replicated(t).ok(snapshot(4, 1, 1, 1, 1, 1), durable(4, 1, 0, 1, 1)).rejected("3.5", "had committed 1", commit(4, 1))
	})
	t.Run("a matching tail stays", func(t *testing.T) {
		two := command(1, 12)
		replicated(t).ok(write(1, 2, two), accept(2, 1, 1, 1, 1, 2, two), snapshot(2, 1, 1, 1, 1, 2)).rejected("3.5", "should end at 2", snapshot(2, 1, 1, 1, 1, 1))
	})
	t.Run("a conflicting log goes", func(t *testing.T) {
		two := command(2, 22)
		s := replicated(t).ok(write(1, 2, command(1, 12), command(1, 13)), durable(1, 1, 1, 3, 1)).elect(2, 2, 1, 1, 3).
			ok(write(2, 2, two), durable(2, 2, 2, 2, 2), accept(3, 2, 2, 1, 1, 2, two), durable(3, 2, 2, 2, 2), commit(2, 2))
		s.rejected("3.5", "should end at 2", snapshot(1, 2, 2, 2, 2, 3))
	})
}

func TestTransfer(t *testing.T) {
	hand := func(k model.Kind, to raftpb.NodeID) model.Step { return model.Step{Kind: k, Node: 1, Peer: to} }
	t.Run("a caught-up voter may start at once", func(t *testing.T) {
		replicated(t).ok(hand(model.Transfer, 2), hand(model.TimeoutNow, 2), campaign(2, 2))
	})
	t.Run("no command is accepted meanwhile", func(t *testing.T) {
		replicated(t).ok(hand(model.Transfer, 2)).rejected("3.10", "appends for a client", write(1, 2, command(1, 12)))
	})
	t.Run("after giving up they are again", func(t *testing.T) {
		replicated(t).ok(hand(model.Transfer, 2), hand(model.AbortTransfer, 0), write(1, 2, command(1, 12)))
	})
	t.Run("the target has the whole log", func(t *testing.T) {
		replicated(t).ok(write(1, 2, command(1, 12)), hand(model.Transfer, 2)).rejected("3.10", "up to 1 of 2", hand(model.TimeoutNow, 2))
	})
	t.Run("nobody else is told to start", func(t *testing.T) {
		replicated(t).ok(hand(model.Transfer, 2)).rejected("3.10", "hands over to node 2", hand(model.TimeoutNow, 3))
	})
	t.Run("the target votes", func(t *testing.T) {
		replicated(t).rejected("3.10", "not another voter", hand(model.Transfer, 9))
	})
	t.Run("the target is another node", func(t *testing.T) {
		replicated(t).rejected("3.10", "not another voter", hand(model.Transfer, 1))
	})
	t.Run("the target is a node", func(t *testing.T) {
		replicated(t).rejected("3.10", "not another voter", hand(model.Transfer, 0))
	})
	t.Run("only a leader hands over", func(t *testing.T) {
		begin(t, 1, 2).rejected("3.10", "does not have", hand(model.Transfer, 2))
	})
}

func TestCrashes(t *testing.T) {
	t.Run("a node that is down does nothing", func(t *testing.T) {
		begin(t, 1).ok(crash(1)).rejected("3.8", "is down", campaign(1, 1))
	})
	t.Run("only a node that is down restarts", func(t *testing.T) {
		begin(t, 1).rejected("3.8", "was not down", restart(1, 0, 0, 0, 0))
	})
	t.Run("a durable vote survives", func(t *testing.T) {
		replicated(t).ok(crash(2)).rejected("3.8", "its disk went from", restart(2, 1, 0, 1, 1))
	})
	t.Run("a durable entry survives", func(t *testing.T) {
		replicated(t).ok(crash(2)).rejected("3.8", "lost entries", restart(2, 1, 1, 0, 0))
	})
	t.Run("a write under way may survive", func(t *testing.T) {
		replicated(t).ok(write(1, 2, command(1, 12)), crash(1), restart(1, 1, 1, 2, 1))
	})
	t.Run("a truncated tail may survive until the write behind it completes", func(t *testing.T) {
		s := replicated(t).ok(write(1, 2, command(1, 12)), durable(1, 1, 1, 2, 1)).elect(2, 2, 1, 1, 3).ok(write(2, 2, command(2, 22)))
		s.ok(accept(1, 2, 2, 1, 1, 2, command(2, 22)), crash(1), restart(1, 1, 1, 2, 1))
	})
	t.Run("a disk holds what memory held", func(t *testing.T) {
		replicated(t).rejected("3.8", "memory never held", durable(2, 1, 1, 9, 9))
	})
	t.Run("and no vote that was not given", func(t *testing.T) {
		replicated(t).rejected("3.8", "memory never held", durable(2, 1, 3, 1, 1))
	})
	t.Run("an unsynced vote is free again", func(t *testing.T) {
		begin(t, 1, 2, 3).ok(campaign(1, 1), campaign(2, 1), grant(3, 1, 1, 0, 0), crash(3), restart(3, 0, 0, 0, 0), grant(3, 2, 1, 0, 0))
	})
	t.Run("a snapshot's end is committed after a restart", func(t *testing.T) {
		s := restart(2, 1, 1, 1, 1)
		s.Commit = 2
		replicated(t).ok(crash(2)).rejected("3.8", "said to be committed", s)
	})
}

func TestDamagedDisks(t *testing.T) {
	wiped := model.Step{Kind: model.Restart, Node: 2, Uncertain: true}
	repaired := model.Step{Kind: model.Repaired, Node: 2}
	t.Run("a node without memory has no vote", func(t *testing.T) {
		replicated(t).ok(crash(2), wiped, campaign(3, 2)).rejected("3.8", "no say in elections", grant(2, 3, 2, 1, 1))
	})
	t.Run("what it helped to commit comes back first", func(t *testing.T) {
		replicated(t).ok(crash(2), wiped, accept(2, 1, 1, 0, 0, 0), durable(2, 1, 0, 0, 0)).rejected("3.8", "without the committed entries", repaired)
	})
	t.Run("so does its term", func(t *testing.T) {
		replicated(t).ok(crash(2), wiped, accept(2, 1, 1, 0, 0, 1, command(1, 11)), durable(2, 0, 0, 1, 1)).rejected("3.8", "in term 0", repaired)
	})
	t.Run("but not that of a candidacy that ended with it", func(t *testing.T) {
		replicated(t).ok(campaign(2, 2), durable(2, 2, 2, 1, 1), crash(2), wiped, accept(2, 1, 1, 0, 0, 1, command(1, 11)), durable(2, 1, 0, 1, 1), repaired)
	})
	t.Run("nor those of several", func(t *testing.T) {
		alone := func() *story {
			return replicated(t).ok(campaign(2, 2), durable(2, 2, 2, 1, 1), campaign(2, 3), durable(2, 3, 2, 1, 1))
		}
		again := accept(2, 1, 1, 0, 0, 1, command(1, 11))
		alone().ok(crash(2), wiped, again, durable(2, 1, 0, 1, 1), repaired, campaign(3, 2), grant(2, 3, 2, 1, 1))
		alone().ok(campaign(3, 2), durable(3, 2, 3, 1, 1), campaign(3, 3), durable(3, 3, 3, 1, 1), campaign(3, 4), grant(2, 3, 4, 1, 1), durable(2, 4, 3, 1, 1), crash(2), wiped, again, durable(2, 1, 0, 1, 1)).rejected("3.8", "in term 1", repaired)
	})
	t.Run("it does not vote twice in a term whose vote it forgot", func(t *testing.T) {
		replicated(t).ok(model.Step{Kind: model.StepDown, Node: 1}, campaign(1, 2)).
			ok(campaign(3, 2), grant(2, 3, 2, 1, 1), durable(2, 2, 3, 1, 1), crash(2), wiped, durable(3, 2, 3, 1, 1), lead(3, 2, 3, 2)).
			ok(accept(2, 3, 2, 0, 0, 1, command(1, 11)), durable(2, 2, 0, 1, 1), repaired).
			rejected("3.4", "it voted for node 3", grant(2, 1, 2, 1, 1))
	})
	t.Run("repaired, it votes again", func(t *testing.T) {
		replicated(t).ok(crash(2), wiped, accept(2, 1, 1, 0, 0, 1, command(1, 11)), durable(2, 1, 0, 1, 1), repaired, campaign(3, 2), grant(2, 3, 2, 1, 1))
	})
	t.Run("a sound node needs no repair", func(t *testing.T) {
		replicated(t).rejected("3.8", "nothing was wrong", repaired)
	})
	t.Run("a damaged disk invents no term", func(t *testing.T) {
		s := wiped
		s.Term = 7
		replicated(t).ok(crash(2)).rejected("3.8", "was never behind term 1", s)
	})
}

func TestNonsense(t *testing.T) {
	begin(t, 1).rejected("trace", "id above 0", campaign(0, 1))
	begin(t, 1).rejected("trace", "no step of kind", model.Step{Node: 1})
	begin(t, 1).rejected("trace", "no step of kind", model.Step{Kind: model.AbortTransfer + 1, Node: 1})
	s := begin(t, 1)
	for n := raftpb.NodeID(2); n <= model.MaxNodes; n++ {
		s.ok(crash(n))
	}
	s.rejected("trace", "at most 64", crash(65))
}
