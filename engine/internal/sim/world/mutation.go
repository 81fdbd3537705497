//go:build !mutants

package world

// mutation switches seeded bugs on, in builds with the tag mutants only. Here it is
// nothing, and every question to it is false at compile time.
type mutation struct{}

func (mutation) forgetsSessions() bool { return false }

func (*machine) expireByClock(int64) {}
