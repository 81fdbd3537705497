//go:build !mutants

package wal

// mutation switches seeded bugs on, in builds with the tag mutants only. Here it is
// nothing, and every question to it is false at compile time.
type mutation struct{}

func (mutation) mutated(mutant) bool { return false }

func (*groupView) resurrect([]run, []termSpan, uint64) {}
