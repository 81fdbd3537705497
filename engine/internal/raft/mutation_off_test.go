//go:build !mutants

package raft

func setMutant(*Node, mutant) {}
