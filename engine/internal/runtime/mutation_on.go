//go:build mutants

package runtime

// mutation switches one seeded bug on. A test that does not notice it proves nothing.
type mutation struct{ active mutant }

func (m mutation) mutated(which mutant) bool { return m.active == which }

// Mutate switches the seeded bug with this number on; 0 switches it off.
func Mutate(h *Host, which int) { h.mutation = mutation{active: mutant(which)} }

// Mutants returns the names of the seeded bugs that worlds can show; their numbers are
// the positions, from 1.
func Mutants() []string {
	return []string{
		mutCompactEarly:    "M28-log-goes-early",
		mutSentBeforeWrite: "M02-sent-before-write",
		mutAnyWrite:        "M14-any-write-releases",
		mutWrongGroup:      "M44-wrong-group",
		mutAcksByPlace:     "M44-acks-by-place",
	}
}
