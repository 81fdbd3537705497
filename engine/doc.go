// Package engine runs replicated state machines: a [Host] is one process of a
// cluster, a [Group] is one Raft group in it, a [StateMachine] is yours.
//
//	host, err := engine.Open(ctx, engine.Config{Cluster: "prod", Node: 1, Dir: "data", Listen: ":7001"})
//	group, err := host.Start(ctx, engine.GroupConfig{ID: 1, Members: members, Machine: &counter{}})
//	result, err := group.Propose(ctx, []byte("add 1"))
//
// [Group.Propose] returns when the command is durable on a majority and applied
// here. Every error says whether the command may still happen: those that match
// [ErrIndeterminate] leave it open, an [AppliedError] says that only the result is
// lost, all others mean that it did not and will not. [Session.Propose] tries again by
// itself and applies a command exactly once.
//
// [Group.Read] is linearizable by default: it costs one round to a majority,
// shared by all reads that wait, and no log entry.
package engine
