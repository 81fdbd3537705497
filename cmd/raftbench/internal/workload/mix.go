package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/seed-814fcd60/raftwire/engine"
)

// Mix says how many operations read, and what those reads may see. The zero value
// only writes.
type Mix struct {
	Percent float64 // of operations that read, 0 to 100
	text    string
	modes   []mode
	total   int
}

type mode struct {
	consistency engine.Consistency
	weight      int
}

// modeNames are the names of consistencies on command lines and in results, by value.
var modeNames = []string{engine.Linearizable: "linearizable", engine.Follower: "follower", engine.Stale: "stale", engine.Lease: "lease"}

// ConsistencyName returns the name of a consistency on command lines and in results.
func ConsistencyName(c engine.Consistency) string { return modeNames[c] }

// ParseMix reads the consistencies of reads: "linearizable", or several with weights,
// "linearizable:80,stale:20".
func ParseMix(percent float64, text string) (Mix, error) {
	m := Mix{Percent: percent, text: text}
	for name, weight := range weighted(text) {
		i := slices.Index(modeNames, name)
		if i < 0 {
			return Mix{}, fmt.Errorf("%q is not one of %s", name, strings.Join(modeNames, ", "))
		}
		if weight < 1 || weight > maxWeight {
			return Mix{}, fmt.Errorf("the weight of %q is not in 1 to %d", name, maxWeight)
		}
		m.modes = append(m.modes, mode{engine.Consistency(i), weight})
		m.total += weight
	}
	return m, nil
}

// Next draws an operation: whether it reads, and what the read may see.
func (m *Mix) Next(r *rand.Rand) (read bool, c engine.Consistency) {
	if m.Percent == 0 || r.Float64()*100 >= m.Percent {
		return false, 0
	}
	at := 0
	if len(m.modes) > 1 {
		for left := r.IntN(m.total); left >= m.modes[at].weight; at++ {
			left -= m.modes[at].weight
		}
	}
	return true, m.modes[at].consistency
}

// Uses says whether a read of that consistency may come.
func (m *Mix) Uses(c engine.Consistency) bool {
	return m.Percent > 0 && slices.ContainsFunc(m.modes, func(o mode) bool { return o.consistency == c })
}

// Consistency returns the consistencies as they were given, or "" when nothing reads.
func (m *Mix) Consistency() string {
	if m.Percent == 0 {
		return ""
	}
	return m.text
}
