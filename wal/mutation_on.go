//go:build mutants

package wal

// mutation switches one seeded bug on. A test that does not notice it proves nothing.
type mutation struct{ active mutant }

func (m mutation) mutated(which mutant) bool { return m.active == which }

// Mutate switches the seeded bug with this number on, in logs that are opened with o.
func Mutate(o *Options, which int) { o.mutation = mutation{active: mutant(which)} }

// Mutants returns the names of the seeded bugs; their numbers are the positions, from 1.
func Mutants() []string {
	return []string{
		mutDamageIsEnd:    "M40-damage-is-end",
		mutSyncIgnored:    "M41-sync-failure-ignored",
		mutNoDirSync:      "M42-names-not-synced",
		mutTruncationLost: "M43-replay-without-truncation",
	}
}

// resurrect is what M43 does after each record: what the record cut off, of runs and
// terms that reached up to last, is there again.
func (v *groupView) resurrect(runs []run, terms []termSpan, last uint64) {
	if v.last >= last || v.last < v.first {
		return
	}
	for _, r := range runs {
		if r.end() > v.last+1 {
			v.runs = append(v.runs, r)
		}
	}
	for i, t := range terms {
		if i+1 == len(terms) || terms[i+1].start > v.last+1 {
			v.terms = append(v.terms, termSpan{max(t.start, v.last+1), t.term})
		}
	}
	v.last = last
}
