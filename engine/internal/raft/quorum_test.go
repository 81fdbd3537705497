package raft

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveWon counts by hand: more than half of each half that there is.
func naiveWon(set, yes uint64) bool {
	all, in := 0, 0
	for i := range MaxMembers {
		if set&(1<<i) != 0 {
			all++
			if yes&(1<<i) != 0 {
				in++
			}
		}
	}
	return all == 0 || 2*in > all
}

// TestElectorateAgainstBruteForce goes through every pair of halves of up to five
// members and every set of votes.
func TestElectorateAgainstBruteForce(t *testing.T) {
	for incoming := range uint64(32) {
		for outgoing := range uint64(32) {
			e := electorate{incoming: incoming, outgoing: outgoing}
			for yes := range uint64(32) {
				want := incoming != 0 && naiveWon(incoming, yes) && naiveWon(outgoing, yes)
				if got := e.won(yes); got != want {
					t.Fatalf("%05b/%05b: won(%05b) = %v", incoming, outgoing, yes, got)
				}
				// Lost: not even everybody who has not refused would be enough.
				no := yes
				rest := naiveWon(incoming, 31&^no) && naiveWon(outgoing, 31&^no)
				if got := e.lost(no); got != !rest {
					t.Fatalf("%05b/%05b: lost(%05b) = %v", incoming, outgoing, no, got)
				}
			}
		}
	}
}

// TestReachedAgainstSorting holds the commit index against the obvious way to find
// it: for every value, does a majority have it?
func TestReachedAgainstSorting(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		var values [MaxMembers]int64
		e := electorate{incoming: rnd.Uint64N(256), outgoing: rnd.Uint64N(256)}
		if rnd.IntN(2) == 0 {
			e.outgoing = 0
		}
		for i := range 8 {
			values[i] = int64(rnd.IntN(6))
		}
		want := int64(-1 << 63)
		for v := range int64(6) {
			var have uint64
			for i := range 8 {
				if values[i] >= v {
					have |= 1 << i
				}
			}
			if e.incoming != 0 && naiveWon(e.incoming, have) && naiveWon(e.outgoing, have) {
				want = v
			}
		}
		if got := e.reached(&values); got != want {
			t.Fatalf("%08b/%08b %v: reached %d, want %d", e.incoming, e.outgoing, values[:8], got, want)
		}
	}
}

// TestQuorumsOverlap: any two winning sets of one electorate share a member, which
// is what makes one leader in a term.
func TestQuorumsOverlap(t *testing.T) {
	for incoming := range uint64(64) {
		for outgoing := range uint64(64) {
			e := electorate{incoming: incoming, outgoing: outgoing}
			for yes := range uint64(64) {
				if e.won(yes) && e.won(63&^yes) {
					t.Fatalf("%06b/%06b: %06b and the rest both win", incoming, outgoing, yes)
				}
			}
		}
	}
}

// TestInflightAgainstSlice runs the window beside a plain slice.
func TestInflightAgainstSlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var ring inflight
		var plain []sent
		next := Index(1)
		for range 200 {
			switch {
			case rnd.IntN(3) > 0:
				next += Index(1 + rnd.IntN(5))
				ring.add(next-1, rnd.IntN(1000), 0)
				plain = append(plain, ring.ring[(ring.head+ring.count-1)&(len(ring.ring)-1)])
			case rnd.IntN(20) == 0:
				ring.reset()
				plain = plain[:0]
			default:
				match := Index(rnd.Int64N(int64(next)))
				ring.free(match)
				plain = slices.DeleteFunc(plain, func(s sent) bool { return s.last <= match })
			}
			bytes := 0
			for _, s := range plain {
				bytes += s.bytes
			}
			if ring.count != len(plain) || ring.bytes != bytes {
				t.Fatalf("holds %d appends of %d bytes, want %d of %d", ring.count, ring.bytes, len(plain), bytes)
			}
			if got, want := ring.full(8, 2000), len(plain) >= 8 || (len(plain) > 0 && bytes >= 2000); got != want {
				t.Fatalf("full = %v with %d appends of %d bytes", got, len(plain), bytes)
			}
		}
		if bits.OnesCount(uint(len(ring.ring))) > 1 {
			t.Fatalf("ring of %d", len(ring.ring))
		}
	}
}
