//go:build mutants

package runtime

// mutation switches one seeded bug on. A test that does not notice it proves nothing.
type mutation struct{ active mutant }

func (m mutation) mutated(which mutant) bool { return m.active == which }
