package world

// mutant is a bug that a driver, a state machine or a client may have. Those of the core,
// the runtime and the log have switches of their own.
type mutant int

const (
	mutSessionsForgotten mutant = iota + 1 // M27: the session table is not in the snapshot
	mutAppliedApart                        // M29: the applied index is stored apart from the state
	mutFlagsDecide                         // M31: after a restart the configuration is the one of the flags
	mutExpiryByClock                       // M45: sessions expire by the clock of each node
	mutApplyByClock                        // M46: what a command does depends on more than the log
	mutProposedAgain                       // M49: a command of unknown outcome is proposed again
)
