package bare

import "github.com/seed-814fcd60/raftwire/engine/internal/raft"

// A world can have seeded bugs of its own: mistakes of a driver and its store, which
// no change of the core can make. Their numbers follow this one.
const firstDriverMutant = 1000

const (
	mutTermAlone      = firstDriverMutant + iota // M03: term and vote are two records, and a crash comes between
	mutCompactEarly                              // M28: the log is compacted before the snapshot is durable
	mutAppliedApart                              // M29: the applied index is stored apart from the state
	mutFlagsDecide                               // M31: after a restart the configuration is the one of the flags
	mutSyncIgnored                               // M41: a write that failed counts as durable
	mutTruncationLost                            // M43: what was truncated comes back with a restart
	driverMutantsEnd
)

func (w *World) mutated(which int) bool { return w.options.Mutant == which }

// corrupts does to a crashed node's disk what a driver's mistake does. next is the
// first of its writes that did not survive; nil: all did.
func (w *World) corrupts(s *server, next *write) {
	d := &s.disk
	switch {
	case w.mutated(mutTermAlone) && next != nil && next.changed && next.hard.Term >= d.hard.Term:
		d.hard.Vote, d.hard.Term = 0, next.hard.Term
	case w.mutated(mutTruncationLost) && len(s.cutOff) > 0 && d.LastIndex() < s.cutFrom+raft.Index(len(s.cutOff))-1 && d.LastIndex()+1 >= s.cutFrom:
		d.entries = append(d.entries, s.cutOff[d.LastIndex()+1-s.cutFrom:]...)
	case w.mutated(mutAppliedApart) && s.machine.applied > 0:
		applied := s.machine.applied
		s.machine.forget()
		s.machine.applied = applied
	}
}
