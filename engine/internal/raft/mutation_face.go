//go:build mutants

package raft

// Mutate switches the seeded bug with this number on; 0 switches it off.
func Mutate(n *Node, which int) {
	n.mutation = mutation{active: mutant(which)}
	n.voters.mutation = n.mutation
}

// Mutants returns the names of the seeded bugs; their numbers are the positions,
// from 1.
func Mutants() []string {
	names := []string{""}
	for m := mutant(1); m.String() != "none"; m++ {
		names = append(names, m.String())
	}
	return names
}
