//go:build !mutants

package explore

import "github.com/seed-814fcd60/raftwire/engine/internal/raft"

func mutate(*raft.Node, int) {}
