package raft

import "math/bits"

// electorate is who decides, as sets of positions in the member table (bit i is
// member i). A decision needs a majority of incoming and, while the
// configuration is joint, a majority of outgoing too. Learners are in neither.
type electorate struct {
	mutation
	incoming, outgoing uint64
}

// voters is everybody whose voice counts somewhere.
func (e electorate) voters() uint64 { return e.incoming | e.outgoing }

// has reports whether member i votes.
func (e electorate) has(i int) bool { return i >= 0 && e.voters()&(1<<i) != 0 }

// won reports whether yes holds the majorities that are needed. Nobody wins in
// an empty configuration.
func (e electorate) won(yes uint64) bool {
	return e.incoming != 0 && e.majority(e.incoming, yes) && (e.majority(e.outgoing, yes) || e.mutated(mutNewHalfOnly))
}

// lost reports that no further yes can win, given who said no. It is known as
// soon as it is true, not when every vote is in.
func (e electorate) lost(no uint64) bool {
	return !e.majority(e.incoming, ^no) || !e.majority(e.outgoing, ^no)
}

// majority reports whether more than half of set is in yes. An empty set is a half
// that does not exist, and objects to nothing.
func (e electorate) majority(set, yes uint64) bool {
	return set == 0 || bits.OnesCount64(set&yes) >= e.majoritySize(set)
}

func (e electorate) majoritySize(set uint64) int {
	if e.mutated(mutHalfIsQuorum) {
		return (bits.OnesCount64(set) + 1) / 2
	}
	return bits.OnesCount64(set)/2 + 1
}

// reached returns the highest value that the quorums have reached, given each
// member's value: the commit index from match indexes, a confirmed round from
// echoed rounds, the last contact with a quorum from contact times. It is the
// least value there is when nobody votes.
func (e electorate) reached(values *[MaxMembers]int64) int64 {
	least := e.majorityReached(e.incoming, values)
	if e.outgoing != 0 && !e.mutated(mutNewHalfOnly) {
		least = min(least, e.majorityReached(e.outgoing, values))
	}
	return least
}

// majorityReached returns the highest value that a majority of set is at or
// above. Quadratic on purpose: sets are tiny, nothing is sorted or allocated.
func (e electorate) majorityReached(set uint64, values *[MaxMembers]int64) int64 {
	need := e.majoritySize(set)
	best := int64(-1 << 63)
	for left := set; left != 0; left &= left - 1 {
		v := values[bits.TrailingZeros64(left)]
		if v <= best {
			continue
		}
		count := 0
		for other := set; other != 0; other &= other - 1 {
			if values[bits.TrailingZeros64(other)] >= v {
				count++
			}
		}
		if count >= need {
			best = v
		}
	}
	return best
}
