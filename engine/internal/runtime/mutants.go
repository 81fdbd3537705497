package runtime

// mutant is a bug that somebody had, to be switched on in tests of the tests.
type mutant uint8

const (
	mutCompactEarly    mutant = iota + 1 // M28: the log goes when a snapshot is begun, not when it is durable
	mutSentBeforeWrite                   // M02: what waits for a write leaves at once
	mutAnyWrite                          // M14: any write releases all that waits for one
	mutWrongGroup                        // M44: a message is taken by another group than the one that it names
	mutAcksByPlace                       // M44: the acks of a joint heartbeat are told apart by their place, from the wrong end
	mutRepairUnchecked                   // M56: whatever a member gives for a damaged entry is stored
)
