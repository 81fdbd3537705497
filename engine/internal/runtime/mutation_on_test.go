//go:build mutants

package runtime

func setMutant(h *Host, m mutant) { h.mutation = mutation{active: m} }
