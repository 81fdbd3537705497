//go:build !mutants

package engine

import "context"

// mutation switches seeded bugs on, in builds with the tag mutants only. Here it is
// nothing, and every question to it is false at compile time.
type mutation struct{}

func (mutation) forgetsSessions() bool                   { return false }
func (mutation) retriesProposals() bool                  { return false }
func (mutation) expiresByClock(_ *machine, _ int64) bool { return false }

func (*Group) proposeAgain(context.Context, []byte) error { return nil }
