package wal

// mutant is a bug that somebody had, to be switched on in tests of the tests.
type mutant uint8

const (
	mutDamageIsEnd    mutant = iota + 1 // M40: a damaged frame ends the log, whatever was promised behind it
	mutSyncIgnored                      // M41: a sync that failed counts as done
	mutNoDirSync                        // M42: names are not synced
	mutTruncationLost                   // M43: recovery ignores what was truncated, also by a snapshot
)
