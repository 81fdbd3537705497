//go:build mutants

package raft

func setMutant(n *Node, m mutant) {
	n.mutation = mutation{active: m}
	n.voters.mutation, n.log.mutation = n.mutation, n.mutation
}
