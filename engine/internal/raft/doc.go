// Package raft is the algorithm, as a function: Step takes one event and says in
// Effects what must be done about it. It has no clock, goroutine, lock, I/O or log
// line, and equal inputs give equal outputs, so one seed replays every run.
//
// # How it is driven
//
// A driver owns a Node, its disk and its network. For every event it calls Step
// with an Effects that it then carries out in the order of the fields: hand the
// write to the disk, send what may leave at once, keep what waits for a write. When
// the write is durable it releases what waited and steps EventPersisted. Nothing
// else is demanded of it; in particular it never decides what is safe to send.
//
//   - Writes complete in order. {WriteID, Epoch} of a completion are those of the
//     Effects that asked for it.
//   - A write with MustSync false may be kept back until the next one, or dropped.
//   - Messages may be lost, doubled, delayed and reordered. EventUnreachable only
//     makes recovery faster.
//   - NextTimer replaces ticks: a node that waits for messages asks for no timer.
//   - After an error the node is dead and the Effects of that Step are void.
//
// # Reading order
//
// types.go is the contract. node.go dispatches; election.go, follower.go and
// replication.go are the three roles; read.go is linearizable reads; persist.go
// knows what waits for which write; log.go, progress.go and quorum.go are the
// parts; configuration.go keeps the members; validate.go guards the gate. The
// scripts in testdata tell the rules as stories.
//
// Numbers like M14 and B06 are mutants and bugs of other projects in the test plan.
package raft
