//go:build !mutants

package world

import (
	"github.com/seed-814fcd60/raftwire/engine/internal/raft"
	"github.com/seed-814fcd60/raftwire/engine/internal/runtime"
	"github.com/seed-814fcd60/raftwire/wal"
)

// mutation switches seeded bugs on, in builds with the tag mutants only. Here it is
// nothing, and every question to it is false at compile time.
type mutation struct{}

func newMutation(int) mutation            { return mutation{} }
func (mutation) mutated(mutant) bool      { return false }
func (mutation) mutateLog(*wal.Options)   {}
func (mutation) mutateHost(*runtime.Host) {}
func (mutation) mutateCore(*raft.Node)    {}
