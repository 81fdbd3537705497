//go:build !mutants

package runtime

func setMutant(*Host, mutant) {}
