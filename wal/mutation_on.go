//go:build mutants

package wal

// mutation switches one seeded bug on. A test that does not notice it proves nothing.
type mutation struct{ active mutant }

func (m mutation) mutated(which mutant) bool { return m.active == which }

// Mutate switches the seeded bug with this number on, in logs that are opened with o.
func Mutate(o *Options, which int) { o.mutation = mutation{active: mutant(which)} }

// Mutants returns the names of the seeded bugs; their numbers are the positions, from 1.
func Mutants() []string {
	return []string{
		mutDamageIsEnd:    "M40-damage-is-end",
		mutSyncIgnored:    "M41-sync-failure-ignored",
		mutNoDirSync:      "M42-names-not-synced",
		mutTruncationLost: "M43-replay-without-truncation",
	}
}
