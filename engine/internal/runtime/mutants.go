package runtime

// mutant is a bug that somebody had, to be switched on in tests of the tests.
type mutant uint8

const (
	mutCompactEarly    mutant = iota + 1 // M28: the log is dropped when a snapshot is begun, not when it is durable
	mutRepairUnchecked                   // M56: whatever a member gives for a damaged entry is stored
)
